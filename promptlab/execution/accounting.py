"""The account of a run: what its calls take, kept within budgets, and entered in the
ledger."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from types import TracebackType
from typing import TypeVar

import orjson

from promptlab.errors import CacheError, Failure
from promptlab.execution.scheduling.limiter import header_number
from promptlab.formats import dollars, thousands
from promptlab.money.budget import Budget, BudgetLimits, Spend, in_words, most_usd
from promptlab.money.images import MOST_TOKENS
from promptlab.money.price import Price
from promptlab.money.prices import Prices
from promptlab.money.reported import SOURCE
from promptlab.spec.content import images_in
from promptlab.spec.request import Request
from promptlab.spec.response import Response
from promptlab.spec.usage import PriceContext, when
from promptlab.store.ledger import BudgetStatus, CallRow, Ledger, LedgerEntry, SentCall

RATE_LIMIT_HEADERS = tuple(
    f"x-ratelimit-{what}-{of}"
    for of in ("requests", "tokens")
    for what in ("limit", "remaining")
)
"""Headers with a server's limits, and how much is left of them."""


T = TypeVar("T")


class BudgetReached(Exception):
    """The next call might exceed a budget, and nothing is in flight that might leave
    something over. Its text says which budget."""


class RunAccounting:
    """Counts calls, their tokens and their cost; reserves for them, and enters them."""

    def __init__(
        self,
        prices: Prices,
        ledger: Ledger,
        limits: BudgetLimits,
        *,
        project: Mapping[str, BudgetLimits],
        experiment: str,
        run: str | None,
    ) -> None:
        """`limits` are the run's own, `project` those of the project by period."""
        self.calls = 0
        """Calls that were answered."""
        self.input_tokens = 0
        self.output_tokens = 0
        self.billed_usd = 0.0
        """NaN once a call has no known price."""
        self.guards = limits.any or bool(project)
        """Whether there is a budget, the run's or the project's."""
        self._price = cache(lambda *context: prices.price(PriceContext(*context)))
        self._candidate_prices = cache(
            lambda *context: prices.candidate_prices(PriceContext(*context))
        )
        self._ledger = ledger
        self._limits = limits
        self._budget = Budget(limits)
        self._of_project = bool(project)
        self.whose = run, experiment
        """The run and the experiment that calls are entered under."""
        self._waiting: deque[LedgerEntry] = deque()
        self._writing = threading.Lock()
        self._going_out: list[tuple[Call, asyncio.Future[None]]] = []
        """The calls that are sent in this turn of the loop."""
        self._beyond: dict[tuple[str, str], Spend] = {}
        """By base URL and model, the most that a call took beyond its bound."""
        self._rate_limits: dict[tuple[str, str], Mapping[str, str]] = {}
        self._sent: set[Call] = set()
        ledger.begin()
        self._version = ledger.database.version
        self._changed = False
        """Whether others have changed the ledger since the budgets were read."""
        self._in_flight = 0
        self._settled = asyncio.Event()
        self._first = asyncio.Lock()
        """Of the calls that wait for a budget, held by the one that came first."""

    def call(self, request: Request, attempt: int) -> Call:
        """An attempt at a call, to be made within `async with`."""
        return Call(self, request, attempt)

    def write(self) -> None:
        """Enters in the ledger what waits for it.

        Raises:
            CacheError: it cannot be written; it goes on waiting. Where the project has
                no budget, that alone is no reason to end the run.
        """
        with self._writing:
            try:
                self._enter_waiting()
            except CacheError:
                if self._of_project:
                    raise
            with suppress(CacheError):  # what has to be read says so
                version = self._ledger.database.version
                self._changed |= self._version != version
                self._version = version

    def _enter_waiting(self) -> None:
        entries = _taken(self._waiting)
        try:
            if entries:
                self._ledger.enter(entries)
        except CacheError:
            self._waiting.extendleft(reversed(entries))
            raise

    def heed_budgets(self) -> None:
        """Keeps to the project's budgets as they are now, if others have changed
        something: those that were set while the run goes on count for it too.

        Raises:
            CacheError: the ledger cannot be read.
        """
        if not self._changed:
            return
        self._changed = False
        self._of_project = bool(self._ledger.budgets())
        self.guards = self._limits.any or self._of_project
        if self._of_project:
            for call in self._sent:
                call.hold(self._ledger)

    def close(self) -> None:
        """Enters all in the ledger, and the servers' rate limits.

        Raises:
            CacheError: it cannot be written; it is entered when this process opens the
                ledger the next time.
        """
        with self._writing:
            try:
                self._enter_waiting()
            except CacheError:
                self._ledger.leave(_taken(self._waiting))
                raise
        if self._rate_limits:
            seen = {
                served: tuple(
                    header_number(headers.get(name)) for name in RATE_LIMIT_HEADERS
                )
                for served, headers in self._rate_limits.items()
            }
            self._ledger.enter_limits(seen, time.time())

    # Of single calls.

    async def reserve(self, most: Spend) -> int | None:
        """Reserves what a call takes at most, once there is enough left; its number in
        the ledger, where the project has a budget.

        Raises:
            BudgetReached: there will not be enough.
        """
        async with self._first:
            while isinstance(reserved := self._reserved(most), str):
                if not self._in_flight:
                    raise BudgetReached(reserved)
                self._settled.clear()
                await self._settled.wait()
        self._in_flight += 1
        return reserved

    def adopted(self, request: Request) -> Spend:
        """What is reserved for a call that was sent before there was a budget."""
        most = self.most(request)
        self._budget.reserve(most)
        self._in_flight += 1
        return most.counted

    def settle(self, most: Spend, took: Spend) -> None:
        """Replaces what was reserved for a call by what it took."""
        self._budget.settle(most, took)
        self._in_flight -= 1
        self._settled.set()

    def release(self, call: Call) -> None:
        """Gives back what the ledger has of a call that was not sent."""
        self._sent.discard(call)
        if call.in_flight is not None:
            with suppress(CacheError):  # then it counts as if it had been sent
                self._ledger.release(call.in_flight)

    async def send(self, call: Call) -> None:
        """Returns once it is on disk that a call goes out; those of one turn of the
        loop are noted together."""
        self._sent.add(call)
        loop = asyncio.get_running_loop()
        if not self._going_out:
            loop.call_soon(self._note_sent)
        noted = loop.create_future()
        self._going_out.append((call, noted))
        await noted

    def _note_sent(self) -> None:
        going_out, self._going_out = self._going_out, []
        calls = [call for call, noted in going_out if not noted.cancelled()]
        try:
            with suppress(CacheError):  # it is not known, should the process be killed
                numbers = self._ledger.send([call.as_sent for call in calls])
                for call, number in zip(calls, numbers, strict=True):
                    call.in_flight = number
        finally:
            for _, noted in going_out:
                if not noted.done():
                    noted.set_result(None)

    def enter(self, call: Call, entered: LedgerEntry) -> None:
        """Has what became of a call wait for the next `write`."""
        self._sent.discard(call)
        self._waiting.append(entered)

    def priced(self, request: Request, response: Response) -> Price | None:
        """The price of a call that was answered; None if it is not known."""
        model, tier = response.model, response.service_tier
        at = when(response.received_s)
        return self._price(request.base_url, request.model, model, tier, *at)

    def count(self, response: Response, cost_usd: float | None) -> None:
        """Counts a call that was answered, and those that the client made for it."""
        usage = response.usage
        self.calls += response.calls
        self.input_tokens += usage.input_tokens or 0
        self.output_tokens += usage.output_tokens or 0
        self.billed_usd += float("nan") if cost_usd is None else cost_usd

    def note_rate_limits(self, request: Request, headers: Mapping[str, str]) -> None:
        """Notes the limits in a reply's headers."""
        if RATE_LIMIT_HEADERS[0] in headers or RATE_LIMIT_HEADERS[2] in headers:
            self._rate_limits[request.base_url, request.model] = headers

    def most(self, request: Request) -> Spend:
        """What a call takes at most: its bound, and what others took beyond theirs, as
        at a gateway that adds to the prompt or a server that ignores max_tokens."""
        bound = self._bound(request)
        beyond = self._beyond and self._beyond.get((request.base_url, request.model))
        return bound.plus(beyond) if beyond else bound

    def note_beyond(self, request: Request, took: Spend) -> None:
        """Notes what a call took beyond its bound, if it did."""
        served = request.base_url, request.model
        known = self._beyond.get(served, Spend())
        if any(more := took.beyond(self._bound(request).plus(known))):
            self._beyond[served] = known.plus(more)

    def _bound(self, request: Request) -> Spend:
        """What bounds a call. A token is at least a byte of what is sent, but for an
        image, which is bounded whatever it is sent as."""
        messages = request.body.get("messages", ())
        images = [i for message in messages for i in images_in(message.get("content"))]
        asked = len(orjson.dumps(request.body)) + len(images) * MOST_TOKENS
        asked -= sum(len(url) for url, _ in images if url.startswith("data:"))
        given = request.most_output
        tier, at = request.body.get("service_tier"), when(time.time())
        prices = self._candidate_prices(
            request.base_url, request.model, None, tier, *at
        )
        costs = [most_usd(price, asked, given) for price in prices]
        return Spend(max(costs, default=0.0), asked + given)

    def _reserved(self, most: Spend) -> int | str | None:
        """The number of the reservation, if it has one; or why there is none."""
        if not self._budget.reserve(most):
            return self._budget.says(most)
        if not self._of_project:
            return None
        number: int | BudgetStatus | None = None
        try:
            number = self._ledger.reserve(most, time.time())
            if not isinstance(number, int):
                self.write()  # what is settled by now is reserved no longer
                number = self._ledger.reserve(most, time.time())
        finally:
            if not isinstance(number, int):
                self._budget.settle(most, Spend())
        return number if isinstance(number, int) else _says(number, most)


def _taken(waiting: deque[T]) -> list[T]:
    """What waits by now, taken away; others may add to it meanwhile."""
    return [waiting.popleft() for _ in range(len(waiting))]


class Call:
    """One attempt at a call: reserved for when it is entered, settled by its outcome.

    What is neither answered nor failed by its end may be charged all the same, if it
    was sent; it counts at its worst case.
    """

    def __init__(self, account: RunAccounting, request: Request, attempt: int) -> None:
        self._accounting = account
        self._request = request
        self._attempt = attempt
        self._most = Spend()
        self.in_flight: int | None = None
        """Its number in the ledger, if it has one yet."""
        self._guarded = self._sent = self._over = False

    async def __aenter__(self) -> Call:
        """Returns when the budgets allow it; raises `BudgetReached`."""
        self._accounting.heed_budgets()
        if self._accounting.guards:
            most = self._accounting.most(self._request)
            self.in_flight = await self._accounting.reserve(most)
            self._most = most.counted
            self._guarded = True
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._over:
            return
        if self._sent:
            given_up = kind is None or not issubclass(kind, Exception)
            said = "given up" if given_up or kind is None else kind.__name__
            self._end(CallRow(*self._beginning(), error=said), self._most)
            self._put_on_disk()
            return
        if self._guarded:
            self._accounting.settle(self._most, Spend())
        self._accounting.release(self)

    async def sent(self) -> None:
        """Returns once it is noted that it goes out now."""
        await self._accounting.send(self)
        self._sent = True

    @property
    def as_sent(self) -> SentCall:
        """What is noted of it when it goes out."""
        return SentCall(self._beginning(), self._most, self.in_flight)

    def hold(self, ledger: Ledger) -> None:
        """Reserves for it, which is under way, within budgets that were set since."""
        if not self._guarded:
            self._most = self._accounting.adopted(self._request)
            self._guarded = True
        elif self.in_flight is not None:
            return
        self.in_flight = ledger.hold(self._most, time.time(), self.in_flight)

    def answered(self, response: Response) -> None:
        """Counts and enters it, with what it took."""
        usage = response.usage
        price = self._accounting.priced(self._request, response)
        cost_usd, source = response.reported_cost_usd, SOURCE
        if cost_usd is None:
            cost_usd = None if price is None else price.call_usd(usage)
            source = "" if price is None else price.source
        self._accounting.count(response, cost_usd)
        self._accounting.note_rate_limits(self._request, response.headers)
        saved_usd = None if price is None else price.prompt_cache_saved_usd(usage)
        line = CallRow(
            *self._beginning(),
            response.model,
            response.service_tier,
            usage.input_tokens,
            usage.cached_input_tokens,
            usage.cache_write_tokens,
            usage.output_tokens,
            usage.reasoning_tokens,
            cost_usd,
            saved_usd,
            source or None,
            response.latency_s,
            None,
            200,
            response.request_id,
        )
        usd, tokens = self._most  # for a server that does not say
        if usage.input_tokens is not None and usage.output_tokens is not None:
            tokens = usage.input_tokens + usage.output_tokens
        took = Spend(usd if cost_usd is None else cost_usd, tokens)
        if self._accounting.guards and any(took.beyond(self._most)):
            self._accounting.note_beyond(self._request, took)
        self._end(line, took)

    def failed(self, failure: Failure) -> None:
        """Enters it as failed. It counts at its worst case if it may be charged."""
        unsettled = failure.may_be_charged
        self._accounting.note_rate_limits(self._request, failure.headers)
        line = CallRow(
            *self._beginning(),
            error=failure.label,
            status=None if failure.kind == "broken_off" else failure.status,
            request_id=failure.request_id,
        )
        self._end(line, self._most if unsettled else Spend())
        if unsettled:
            self._put_on_disk()

    def _beginning(self) -> tuple[float, str | None, str, str, str, int]:
        """What its line begins with, whatever became of it."""
        asked, number = self._request, self._attempt
        return time.time(), *self._accounting.whose, asked.base_url, asked.model, number

    def _put_on_disk(self) -> None:
        """What may be charged, and has no answer that is stored with it, does not wait
        for one."""
        with suppress(CacheError):  # then it does
            self._accounting.write()

    def _end(self, line: CallRow, took: Spend) -> None:
        self._over = True
        if self._guarded:
            self._accounting.settle(self._most, took)
        entered = LedgerEntry(line, took, self.in_flight)
        self._accounting.enter(self, entered)


def _says(status: BudgetStatus, most: Spend) -> str:
    """That a budget of the project is reached."""
    limits, spent, held = status.limits, status.spent, status.reserved
    if status.exceeded(most) == "usd":
        limit, gone, flying, next_ = (
            in_words(a, dollars) for a in (limits.usd, spent.usd, held.usd, most.usd)
        )
    else:
        limit, gone, flying, next_ = (
            f"{in_words(a, thousands)} tokens"
            for a in (limits.tokens, spent.tokens, held.tokens, most.tokens)
        )
    flying = f"up to {flying} reserved, " if any(held) else ""
    return (
        f"the project's budget of {limit} a {status.period} is reached: {gone} "
        f"spent, {flying}and the next call may take {next_}; "
        "pl.set_budget or `promptlab usage budget` sets it"
    )
