"""The engine: requests in, replies out.

A request is looked up, asked within limits and budgets, repeated where that helps,
stored and entered in the ledger. An engine knows nothing of trials, tables or widgets:
a run, a judge, a conversation in a cell are requests through one.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import (
    AsyncIterator,
    Callable,
    Collection,
    Coroutine,
    Iterable,
    Mapping,
    Sequence,
)
from contextlib import ExitStack, asynccontextmanager
from dataclasses import replace
from typing import Any, Literal, NamedTuple, Protocol, Self, TypeVar, Unpack

from promptlab.errors import CallError, CredentialsError, Failure, PromptlabError
from promptlab.execution.accounting import RunAccounting
from promptlab.execution.caller import (
    RATE_LIMITED,
    Answer,
    AskedElsewhere,
    Caller,
    LeftOff,
    RunEnded,
)
from promptlab.execution.hooks import Hooks, Reply
from promptlab.execution.loop import background_loop
from promptlab.execution.options import RunOptions, RunOptionsDict, with_run_options
from promptlab.execution.scheduling.pool import ModelSlots, RunConcurrency
from promptlab.execution.scheduling.queue import (
    PrefixScheduler,
    Queue,
    release_stalled_followers,
    seed,
)
from promptlab.execution.scheduling.retries import Verdict, classify
from promptlab.models.client import Client
from promptlab.models.openai import OpenAIClient
from promptlab.models.redaction import redacted
from promptlab.money.budget import BudgetLimits, check_bounded
from promptlab.money.prices import Prices
from promptlab.secret import sealed
from promptlab.spec.address import CHAT
from promptlab.spec.request import Request
from promptlab.spec.response import ReplySummary, Response
from promptlab.spec.usage import PriceContext, when
from promptlab.store.cache import ResponseCache, checked_response, open_cache
from promptlab.store.ledger import Ledger, opened_ledger

NOT_CACHED = Failure(
    kind="not_cached",
    message="the trial is not in the cache, and offline makes no calls",
    attempts=0,
)
"""One for all misses: there may be a million."""

WINDOW = 10_000
"""Requests that `ask_all` takes at a time."""

SHARE_WRITING = 4
"""One more worker for so many calls that may be in flight: while one has its answer
written to disk, another goes on in its place."""

GRACE_S = 5.0
"""How long calls in flight may still finish when an engine is ended: they are paid."""

Ending = Literal["complete", "interrupted", "stopped"]

T = TypeVar("T")


class Outcome(NamedTuple):
    """How a conversation ended."""

    replies: Sequence[ReplySummary]
    paid: Sequence[bool]
    """Of each reply, whether it took a call of this engine's."""
    key: str
    """Of the last call that was answered."""
    failure: Failure | None
    """Why it broke off; None if it came to its end."""
    response: Response | None = None
    """The last answer in whole, where it came by a call just now."""


class Conversations(Protocol):
    """What an engine is given to ask: conversations of one call or more, by number."""

    async def next_request(
        self, number: int, replies: Sequence[ReplySummary]
    ) -> Request | None:
        """The call after these replies; None when the conversation is over.

        Raises:
            CallError: it is not over, and cannot go on from the last reply.
        """

    def doomed(self, number: int) -> Failure | None:
        """Why a conversation need not be begun, as the same was refused before."""

    def refused(self, number: int, failure: Failure) -> None:
        """Takes note that the like of it would be refused the same way."""

    def note_failure(self, request: Request, failure: Failure) -> None:
        """Learns from a failed call; where `next_request` gives another one now, that
        is made in its place."""

    def settle(self, number: int, outcome: Outcome) -> None:
        """Takes how a conversation ended."""


class Engine:
    """Requests in, replies out, within one cache, one budget, one set of limits.

    ```python
    async with pl.Engine(budget_usd=1) as engine:
        reply = await engine.ask(engine.request(body))
    ```
    """

    @with_run_options
    def __init__(
        self,
        name: str = "engine",
        options: RunOptions | None = None,
        **more: Unpack[RunOptionsDict],
    ) -> None:
        """`name` labels its answers and its rows of the ledger; the options are those
        of a run, as `RunOptions` or by name.

        Raises:
            SpecError: an option is wrong.
        """
        self.options = options or RunOptions(**sealed(more))
        self.name = name
        self.status: Ending = "complete"
        self.reason = ""
        """Why not everything was asked; empty if the user ended it."""
        self.accounting: RunAccounting | None = None
        self.queues: dict[tuple[str, str], Queue] = {}
        """By base URL and model, the conversations that nobody has begun."""
        self._concurrency = RunConcurrency(
            self.options.max_concurrency,
            rpm=self.options.rpm,
            tpm=self.options.tpm,
            max_wait_s=self.options.max_wait_s,
        )
        self._slots: dict[tuple[str, str], ModelSlots] = {}
        self.hooks = Hooks(
            on_reply=self.options.on_reply,
            on_record=self.options.on_record,
            on_event=self.options.on_event,
        )
        self._leading: dict[int, asyncio.Task[Any] | None] = {}
        """Who asks what others wait for; None if another process does."""
        self._refused: dict[ModelSlots, Failure] = {}
        self._clients: dict[str, Client] = {}
        """By base URL; opened when first asked."""
        self._opening = asyncio.Lock()
        self._cache: ResponseCache | None = None
        self._ledger: Ledger | None = None
        self._caller: Caller | None = None
        self._ending = asyncio.Event()
        self._hurry = asyncio.Event()

    # For those who want just this.

    async def __aenter__(self) -> Self:
        await _on_the_loop(self._open())
        return self

    async def __aexit__(self, *_: object) -> None:
        await _on_the_loop(self._close())

    def request(
        self, body: Mapping[str, Any], repeat: int = 0, *, endpoint: str = CHAT
    ) -> Request:
        """A request with that body, to where the options send its model."""
        base_url = self.options.base_url_for(str(body["model"]))
        return Request(base_url, body, repeat, endpoint=endpoint)

    async def ask(self, request: Request) -> Reply:
        """The reply to one request, from the cache or by as many calls as it takes.

        A call that fails is a reply with an `error`, as is one that a budget has no
        room for.

        Raises:
            SpecError: there is a budget that cannot be kept for it, as its price is not
                known or its answer may have any length.
            CredentialsError: a key is needed and none was found.
        """
        return await _on_the_loop(self._ask(request))

    async def ask_all(
        self, requests: Iterable[Request], on_reply: Callable[[Reply], None]
    ) -> None:
        """Asks many requests side by side; `on_reply` gets each reply as it comes, in
        the thread of the engine.

        They are taken as needed, some thousands at a time. Of those that begin alike
        one goes first. A cancelled engine, or one whose budget is reached, gives no
        reply to the rest; `status` and `reason` say so.

        Raises:
            SpecError, CredentialsError: as `ask`.
        """
        await _on_the_loop(self._ask_all(requests, on_reply))

    @asynccontextmanager
    async def claimed(self, keys: Iterable[str], most: int) -> AsyncIterator[set[str]]:
        """Those of the keys, at most so many, that no other run asks now. Within it, no
        other run on the cache asks them: for calls whose answers hold several."""
        caller = self._opened()
        claimed: set[str] = set()
        try:
            await _on_the_loop(caller.claim(keys, most, claimed))
            yield claimed
        finally:
            await _on_the_loop(caller.give_back(claimed))

    async def _open(self) -> None:
        options = self.options
        cache = open_cache(options.cache) if options.use_cache else None
        if cache is not None and not options.offline:
            cache.check_writable()
        self._stack = ExitStack()
        ledger = self._stack.enter_context(opened_ledger())
        self.open(cache, ledger, options.prices_in_force)

    async def _close(self) -> None:
        with self._stack:
            await self.close()

    async def _ask(self, request: Request) -> Reply:
        caller = self._opened()
        if (answer := caller.cached(request)) is None:
            if self.options.offline:
                return Reply(request, None, NOT_CACHED, cached=False)
            self.check_bounded(request)
            slots = await self._opened_slots(request.base_url, request.model)
            asking = asyncio.create_task(caller.answer(request, slots, stay=True))
            try:
                await self._until_done([asking])
            finally:
                asking.cancel()
            try:
                answer = await asking
            except CallError as error:
                reply = Reply(request, None, error.failure, cached=False)
                self.hooks.call("on_reply", reply)
                return reply
            except (RunEnded, asyncio.CancelledError) as error:
                said = str(error) or "the engine was ended"
                failure = Failure(kind="not_asked", message=said, attempts=0)
                return Reply(request, None, failure, cached=False)
        reply = Reply(request, self._whole(request, answer), None, answer.cached)
        if not reply.cached:
            self.hooks.call("on_reply", reply)
        return reply

    async def _ask_all(
        self, requests: Iterable[Request], on_reply: Callable[[Reply], None]
    ) -> None:
        self._opened()
        numbered = enumerate(requests)
        while not self.is_ending:
            window = dict(itertools.islice(numbered, WINDOW))
            if not window:
                return
            await self._ask_window(_SingleRequests(window, self._whole, on_reply))

    async def _ask_window(self, window: _SingleRequests) -> None:
        reads = None if self.options.refresh else self._cache
        keys = [request.key for request in window.requests.values()]
        found = reads.heads(keys) if reads is not None else {}
        asked = [r for r in window.requests.values() if r.key not in found]
        seeds = list(dict.fromkeys(map(_seed, asked)))
        kinds = {of: kind for kind, of in enumerate(seeds)}
        order = PrefixScheduler(seeds, lambda n: self.queue_of(*window.destination(n)))
        limits = self._budget_limits()
        for number, request in window.requests.items():
            if (summary := found.get(request.key)) is not None:
                window.settle(number, Outcome([summary], [False], request.key, None))
            elif self.options.offline:
                window.settle(number, Outcome([], [], "", NOT_CACHED))
            else:
                self.check_bounded(request, limits)
                await self._opened_slots(*window.destination(number))
                order.put(
                    number,
                    [request.body.get("messages", [])],
                    group=0,
                    kind=kinds[_seed(request)],
                )
        order.settle()
        await self.work_through(window)

    @property
    def cache(self) -> ResponseCache | None:
        """Where its answers are kept, once it is open; None if nowhere."""
        return self._cache

    def _opened(self) -> Caller:
        if self._caller is None:
            raise PromptlabError(
                "the engine is not open: use `async with pl.Engine(...) as engine:`"
            )
        return self._caller

    def _whole(self, request: Request, answer: Answer) -> Response | None:
        """The whole answer, read from the cache where it was not received just now."""
        if answer.response is not None or self._cache is None:
            return answer.response
        entry = self._cache.get(request.key)
        return None if entry is None else entry.response

    def _budget_limits(self) -> list[BudgetLimits]:
        """The budgets that hold, the engine's and the project's."""
        assert self.accounting is not None
        assert self._ledger is not None
        if not self.accounting.guards:
            return []
        return [self.options.limits, *self._ledger.budgets().values()]

    def check_bounded(
        self, request: Request, limits: Sequence[BudgetLimits] | None = None
    ) -> None:
        """Raises `SpecError` if no budget can be kept for it: of `limits`, or of all
        that hold."""
        if limits := self._budget_limits() if limits is None else limits:
            tier, at = request.body.get("service_tier"), when(time.time())
            context = PriceContext(request.base_url, request.model, None, tier, *at)
            price = self.options.prices_in_force.price(context)
            check_bounded(limits, price, context, request.most_output)

    async def _opened_slots(self, base_url: str, model: str) -> ModelSlots:
        """The way to a model, with the client of its server opened."""
        async with self._opening:
            if base_url not in self._clients:
                keys = await asyncio.to_thread(self.options.keys, [base_url])
                self.use(self.options.opened_client([base_url], keys), base_url)
        return self._slots_of(base_url, model)

    # For those who drive it on the loop.

    def open(
        self,
        cache: ResponseCache | None,
        ledger: Ledger,
        prices: Prices,
        run: str | None = None,
        accounting: RunAccounting | None = None,
    ) -> None:
        """Makes it ready to ask; `close` must follow. `run` is the name that its calls
        have in the ledger; with `accounting`, those of another engine, it spends what
        that one left of the budgets."""
        self._cache, self._ledger = cache, ledger
        self.accounting = accounting or RunAccounting(
            prices,
            ledger,
            self.options.limits,
            project=ledger.budgets(),
            experiment=self.name,
            run=run,
        )
        self._caller = Caller(
            self._complete,
            cache,
            self.options,
            self.accounting,
            self.name,
            self.hooks,
            stop=lambda reason: self.end("stopped", reason),
        )
        self._caller.ending = self.is_ending

    def use(self, client: Client, *base_urls: str) -> None:
        """Asks at these base URLs through this client."""
        self._clients.update(dict.fromkeys(base_urls, client))

    async def close(self) -> None:
        """Returns when every answer is on disk, and every call in the ledger."""
        self._concurrency.close()
        if self._caller is not None:
            await self._caller.close()
        if self.options.client is None:
            for client in dict.fromkeys(self._clients.values()):
                await client.close()

    @property
    def is_ending(self) -> bool:
        """Whether no further call starts."""
        return self._ending.is_set()

    def end(self, status: Ending, reason: str = "") -> None:
        """Ends it early: no further call starts, those in flight may finish."""
        if self.is_ending:
            return
        self.status, self.reason = status, reason
        self._ending.set()
        if self._caller is not None:
            self._caller.ending = True

    def cancel(self) -> None:
        """Ends it as the user asks; once it is ending, calls in flight are no longer
        waited for."""
        if self.is_ending:
            self._hurry.set()
        else:
            self.end("interrupted")

    # Asking.

    def queue_of(self, base_url: str, model: str) -> Queue:
        """The queue of what is to be asked there."""
        where = base_url, model
        if where not in self.queues:
            self.queues[where] = Queue()
        return self.queues[where]

    async def work_through(self, conversations: Conversations) -> None:
        """Holds the conversations that are in the queues, until all have an outcome or
        the engine is ended."""
        all_slots = [self._slots_of(*where) for where in self.queues]
        most = self.options.max_concurrency
        workers = [
            asyncio.create_task(self._work(slots, conversations, places))
            for slots in all_slots
            for places in [asyncio.Semaphore(most)]
            for _ in range(min(slots.queue.left, most + most // SHARE_WRITING))
        ]
        if not workers:
            return
        patience = asyncio.create_task(
            release_stalled_followers(self.queues.values(), self._is_sent)
        )
        try:
            await self._until_done(workers)
        finally:
            for task in (*workers, patience):
                task.cancel()
            outcomes = await asyncio.gather(*workers, return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                raise outcome

    def _slots_of(self, base_url: str, model: str) -> ModelSlots:
        where = base_url, model
        if where not in self._slots:
            client, queue = self._clients[base_url], self.queue_of(*where)
            shared = background_loop().limiters.of(client, base_url, model)
            self._slots[where] = ModelSlots(model, self._concurrency, shared, queue)
        return self._slots[where]

    async def _complete(self, request: Request) -> Response:
        client = self._clients[request.base_url]
        response = await client.complete(request)
        return response if type(client) is OpenAIClient else checked_response(response)

    def _is_sent(self, leader: int) -> bool:
        assert self._caller is not None
        task = self._leading[leader]
        return task is None or task in self._caller.in_flight

    async def _until_done(self, workers: Collection[asyncio.Task[Any]]) -> None:
        """Waits for the workers; once it is ended, only for calls in flight."""
        assert self._caller is not None
        await _first(workers, self._ending.wait())
        if self.is_ending:
            for worker in workers:
                if worker not in self._caller.in_flight:
                    worker.cancel()
            await _first(workers, self._hurry.wait(), timeout_s=GRACE_S)

    async def _work(
        self,
        slots: ModelSlots,
        conversations: Conversations,
        places: asyncio.Semaphore,
    ) -> None:
        """Holds one conversation after the other. Each has a place until its first
        answer came, so that not too many begin."""
        queue = slots.queue
        while not self.is_ending:
            await places.acquire()
            place = _Place(places)
            number = None if self.is_ending else await queue.take()
            if number is None:
                place.leave()
                return
            if queue.leads(number):  # those behind it are to come next
                self._leading[number] = asyncio.current_task()
                place.stays = True
            try:
                await self._converse(number, slots, conversations, place)
            except LeftOff as error:  # nor will those that others wait for be asked
                self._leave_off(str(error))
                queue.let_go(number, succeeded=False)
                return
            except RunEnded as error:
                if str(error):
                    self.end("stopped", str(error))
                return
            except AskedElsewhere as other:
                if queue.leads(number):
                    self._leading[number] = None
                queue.put_off(number, other.look_again_s)
            else:
                queue.let_go(number, succeeded=False)
            finally:
                place.stays = False
                place.leave()

    async def _converse(
        self,
        number: int,
        slots: ModelSlots,
        conversations: Conversations,
        place: _Place,
    ) -> None:
        """Makes the calls of a conversation, each with the replies before it."""
        assert self._caller is not None
        replies: list[ReplySummary] = []
        paid: list[bool] = []
        key, response = "", None
        failure = self._refused.get(slots) or conversations.doomed(number)
        try:
            while failure is None and (
                request := await conversations.next_request(number, replies)
            ):
                if replies:  # others may have begun with the same words
                    self._caller.share(key, replies[-1])
                try:
                    answer = await self._caller.answer(
                        request, slots, place.leave, stay=bool(replies)
                    )
                except CallError as error:
                    reply = Reply(request, None, error.failure, cached=False)
                    self.hooks.call("on_reply", reply)
                    conversations.note_failure(request, error.failure)
                    again = await conversations.next_request(number, replies)
                    if again is None or again.key == request.key:
                        raise
                    continue
                if "on_reply" in self.hooks:
                    self._tell(request, answer)
                slots.queue.let_go(number, succeeded=True)
                replies.append(answer.summary)
                paid.append(not answer.cached)
                key, response = request.key, answer.response
        except (RunEnded, AskedElsewhere):
            raise
        except Exception as error:  # one conversation's trouble is not the others'
            failure = _failure(error)
            conversations.settle(number, Outcome(replies, paid, key, failure))
            if isinstance(error, CallError):
                await self._conclude(number, slots, failure, conversations)
            elif isinstance(error, CredentialsError):
                self.end("stopped", str(error))
        else:
            outcome = Outcome(replies, paid, key, failure, response)
            conversations.settle(number, outcome)

    def _tell(self, request: Request, answer: Answer) -> None:
        """Hands the reply of a call to `on_reply`."""
        if not answer.cached:
            whole = self._whole(request, answer)
            self.hooks.call("on_reply", Reply(request, whole, None, cached=False))

    async def _conclude(
        self,
        number: int,
        slots: ModelSlots,
        failure: Failure,
        conversations: Conversations,
    ) -> None:
        """Spares the calls that would be refused the same way."""
        verdict = classify(failure)
        if verdict is Verdict.STOP and failure.status == 403:  # is it the key, or this?
            verdict = classify(failure, answered=await slots.shared.has_answered())
        if failure.kind == "unreachable" and not slots.answered:
            verdict = Verdict.FAIL_MODEL
        too_long = (failure.retry_after_s or 0) > self.options.max_wait_s
        too_long |= failure.status == RATE_LIMITED and slots.limiter.refuses
        if verdict is Verdict.RETRY and too_long:
            verdict = Verdict.FAIL_MODEL
        if verdict is Verdict.STOP:
            self.end("stopped", failure.summary + _remedy(failure))
        elif verdict in (Verdict.FAIL_MODEL, Verdict.FAIL_VARIANT):
            said = f"not asked, as the same was refused before: {failure.message}"
            refused = replace(failure, kind="refused", message=said, attempts=0)
            if verdict is Verdict.FAIL_MODEL:
                self._refused.setdefault(slots, refused)
            else:
                conversations.refused(number, refused)

    def _leave_off(self, reason: str) -> None:
        """Notes why one model is not asked on; what others are asked goes on."""
        if not self.is_ending:
            self.status, self.reason = "stopped", reason

    # How far it is.

    @property
    def calls(self) -> int:
        """Calls that were answered."""
        return self.accounting.calls if self.accounting else 0

    @property
    def in_flight(self) -> int:
        """Calls that are under way."""
        return self._concurrency.in_flight

    @property
    def left(self) -> int:
        """Conversations that are not over."""
        return sum(slots.left for slots in self._all_slots)

    def least_s(self, now: float) -> float:
        """How long what is left takes at least within the limits."""
        return max((slots.least_s(now) for slots in self._all_slots), default=0.0)

    def waiting(self, now: float) -> str:
        """What calls are held back by, and for how long; empty if by nothing."""
        wait_reason = (slots.wait_reason(now) for slots in self._all_slots)
        return "; ".join(filter(None, wait_reason))

    @property
    def notes(self) -> str:
        """What was learnt of the servers that the user should know."""
        return "; ".join(note for slots in self._all_slots for note in slots.notes)

    @property
    def _all_slots(self) -> list[ModelSlots]:
        return list(self._slots.values())  # others' threads may look


def _seed(request: Request) -> bytes:
    """What requests have in common whose prompts a provider may keep as one."""
    return seed(request.base_url, request.model, request.body)


class _Place:
    """One of the places for conversations whose first answer has not come."""

    def __init__(self, places: asyncio.Semaphore) -> None:
        self.stays = False
        """Set to keep it."""
        self._places = places
        self._left = False

    def leave(self) -> None:
        """Gives it to another, once."""
        if not self._left and not self.stays:
            self._left = True
            self._places.release()


class _SingleRequests:
    """Requests that stand for themselves, as `Conversations`."""

    def __init__(
        self,
        requests: Mapping[int, Request],
        whole: Callable[[Request, Answer], Response | None],
        on_reply: Callable[[Reply], None],
    ) -> None:
        self.requests = requests
        self._whole = whole
        self._on_reply = on_reply

    def destination(self, number: int) -> tuple[str, str]:
        """The base URL and the model of a request."""
        request = self.requests[number]
        return request.base_url, request.model

    async def next_request(
        self, number: int, replies: Sequence[ReplySummary]
    ) -> Request | None:
        return None if replies else self.requests[number]

    def doomed(self, number: int) -> Failure | None:
        return None

    def refused(self, number: int, failure: Failure) -> None:
        """Another request may fare better."""

    def note_failure(self, request: Request, failure: Failure) -> None:
        """A request is made as it is."""

    def settle(self, number: int, outcome: Outcome) -> None:
        request = self.requests[number]
        if outcome.failure is not None:
            self._on_reply(Reply(request, None, outcome.failure, cached=False))
            return
        cached = not any(outcome.paid)
        answer = Answer(outcome.replies[0], cached, outcome.response)
        response = self._whole(request, answer)
        self._on_reply(Reply(request, response, None, cached))


async def _on_the_loop(coroutine: Coroutine[Any, Any, T]) -> T:
    """Awaits it on the loop of all runs, from any event loop."""
    loop = background_loop()
    if loop.is_here:
        return await coroutine
    return await asyncio.wrap_future(loop.submit(coroutine))


async def _first(
    tasks: Collection[asyncio.Task[Any]],
    signal: Coroutine[Any, Any, Any],
    timeout_s: float | None = None,
) -> None:
    """Waits for all tasks to be done, the signal, or the time to pass."""
    signalled = asyncio.ensure_future(signal)
    everyone = asyncio.ensure_future(asyncio.wait(tasks))
    try:
        await asyncio.wait(
            [everyone, signalled],
            timeout=timeout_s,
            return_when=asyncio.FIRST_COMPLETED,
        )
    finally:
        signalled.cancel()
        everyone.cancel()


def _failure(error: Exception) -> Failure:
    if isinstance(error, CallError):
        return error.failure
    said = redacted(" ".join(str(error).split()))
    return Failure(kind=type(error).__name__, message=said or "no message")


def _remedy(failure: Failure) -> str:
    if failure.status == 401:
        return "; check the API key and that it belongs to this server"
    if failure.status == 403:
        return "; the key may not use this model or server"
    return "; no further call can succeed until the account has credit"
