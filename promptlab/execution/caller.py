"""The caller: makes each call once for all who ask it, and again where that helps."""

from __future__ import annotations

import asyncio
import logging
import math
import random
import time
import warnings
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import orjson

from promptlab.errors import CacheError, CallError, Failure, PromptlabWarning
from promptlab.execution.accounting import BudgetReached, Call, RunAccounting
from promptlab.execution.hooks import Event, Hooks
from promptlab.execution.loop import background_loop
from promptlab.execution.options import RunOptions
from promptlab.execution.scheduling.limiter import LONGEST_RESET_S, Permit
from promptlab.execution.scheduling.pool import ModelSlots, WaitTooLongError
from promptlab.execution.scheduling.retries import Backoff, Verdict, classify
from promptlab.models.redaction import redacted
from promptlab.spec.content import images_in
from promptlab.spec.request import Request
from promptlab.spec.response import ReplySummary, Response
from promptlab.store.cache import Entry, ResponseCache
from promptlab.store.writer import CacheWriter

ATTEMPTS_TO_REACH = 3
"""How often a call is made at most at a server that has answered none yet, where no
connection comes about."""

RATE_LIMITED = 429

STALE_S = 0.1
"""How long after a look into the cache another is due before a call is sent."""

LOOK_AGAIN_S = 0.05, 1.0
"""How soon, and how late, to look again whether another process has an answer."""

CHARACTERS_PER_TOKEN = 3
"""For the limiter's estimates only: on the safe side for most languages."""


def _nothing() -> None:
    pass


class RunEnded(Exception):
    """No further call starts; its text says why, where the user did not end it."""


class LeftOff(RunEnded):
    """The server lets no further call to the model start for too long."""


class Answer(NamedTuple):
    """What answers a request."""

    summary: ReplySummary
    cached: bool
    """Whether it needed no call of this one's."""
    response: Response | None = None
    """The whole answer, where it came by a call just now."""


class AskedElsewhere(Exception):
    """Another process asks the same now: its answer is waited for."""

    def __init__(self, look_again_s: float) -> None:
        super().__init__()
        self.look_again_s = look_again_s
        """When to ask again, in seconds."""


class _SentError(CallError):
    """A call that was sent failed; the limiter has taken note."""

    def __init__(self, failure: Failure, wait_s: float | None) -> None:
        super().__init__(failure)
        self.wait_s = wait_s
        """How long all calls have to wait; None if this one waits alone."""


class Caller:
    """Answers requests: from the cache, from a call under way, else by a call.

    An answer is on disk before it is given back. Its place in flight is the next
    call's as soon as it came.
    """

    def __init__(
        self,
        complete: Callable[[Request], Awaitable[Response]],
        cache: ResponseCache | None,
        options: RunOptions,
        account: RunAccounting,
        experiment: str,
        hooks: Hooks,
        stop: Callable[[str], None],
    ) -> None:
        """`complete` makes one call; `stop` is called with the reason when answers can
        no longer be stored."""
        self.in_flight: set[asyncio.Task[Any]] = set()
        """The tasks whose call has been sent, or whose answer is being stored."""
        self.ending = False
        """Set to let no further call start."""
        self._complete_once = complete
        self._cache = cache
        self._accounting = account
        self._options = options
        self._experiment = experiment
        self._hooks = hooks
        self._stop = stop
        self._commits = CacheWriter(self._write)
        self._flights = background_loop().flights
        self._renewed: dict[str, Answer] = {}
        folder = cache.directory.resolve() if cache is not None else None
        self._place = str(folder or f"run {id(self)}")
        self._claims = (
            background_loop().claims.join(folder) if folder is not None else None
        )
        self._elsewhere_since: dict[str, float] = {}
        self._backoff = Backoff()
        self._dice = random.Random()

    async def answer(
        self,
        request: Request,
        slots: ModelSlots,
        came: Callable[[], object] = _nothing,
        *,
        stay: bool = False,
    ) -> Answer:
        """The answer to a request, from the cache or by a call; `came` is called when
        it was received, before it is on disk.

        With `stay`, it waits here while another process asks the same.

        Raises:
            CallError: the call failed, after all attempts.
            AskedElsewhere: another process asks the same.
            RunEnded: no call starts any more, `LeftOff` if none to this model.
        """
        place = self._place, request.key
        while True:
            while (flight := self._flights.get(place)) is not None:
                if (shared := await asyncio.shield(flight)) is not None:
                    return Answer(shared.summary, True, shared.response)
            if not (look_again_s := self._claimed_elsewhere(request.key)):
                break
            if not stay:
                raise AskedElsewhere(look_again_s)
            await asyncio.sleep(look_again_s)
        flight = self._flights[place] = asyncio.get_running_loop().create_future()
        answer = None
        try:
            # Another process may have asked since the cache was looked through.
            answer = self.cached(request) or await self._asked(request, slots, came)
            return answer
        finally:
            del self._flights[place]
            flight.set_result(answer)
            if self._claims is not None:
                self._claims.give_back(request.key)

    async def claim(self, keys: Iterable[str], most: int, claimed: set[str]) -> None:
        """Adds to `claimed` those of the keys that nobody else asks, at most so many;
        `give_back` must follow."""
        flight = asyncio.get_running_loop().create_future()
        for key in keys:
            if len(claimed) == most:
                return
            if (self._place, key) not in self._flights and (
                self._claims is None or self._claims.take(key)
            ):
                self._flights[self._place, key] = flight
                claimed.add(key)

    async def give_back(self, claimed: Iterable[str]) -> None:
        """Lets others ask what was claimed, where it has no answer."""
        for key in claimed:
            flight = self._flights.pop((self._place, key))
            if not flight.done():
                flight.set_result(None)
            if self._claims is not None:
                self._claims.give_back(key)

    def share(self, key: str, summary: ReplySummary) -> None:
        """Keeps an answer for the other conversations of this run that begin so, where
        the cache is not read."""
        if self._cache is None or self._options.refresh:
            self._renewed[key] = Answer(summary, cached=True)

    async def close(self) -> None:
        """Returns when every answer is on disk, and every call in the ledger."""
        await self._commits.close()
        if self._claims is not None:
            background_loop().claims.leave(self._claims)
        try:
            await asyncio.to_thread(self._accounting.close)
        except CacheError as error:
            warnings.warn(str(error), PromptlabWarning, stacklevel=2)

    def _claimed_elsewhere(self, key: str) -> float:
        """In how many seconds to look again, if another process asks this; else 0, and
        it is this process's. One that takes too long is not waited for: it may stand
        still. Nor is any where the cache is not read."""
        if self._claims is None:
            return 0.0
        if self._claims.take(key) or self._options.refresh:
            self._elsewhere_since.pop(key, None)
            return 0.0
        now = time.monotonic()
        waited_s = now - self._elsewhere_since.setdefault(key, now)
        if waited_s > self._options.timeout_s + self._options.max_wait_s:
            return 0.0
        soonest_s, latest_s = LOOK_AGAIN_S
        return min(max(soonest_s, waited_s / 4), latest_s)

    def cached(self, request: Request) -> Answer | None:
        """The answer if it is cached, else None."""
        if self._cache is None or self._options.refresh:
            return self._renewed.get(request.key)
        summary = self._cache.head(request.key)
        return None if summary is None else Answer(summary, cached=True)

    async def _asked(
        self, request: Request, slots: ModelSlots, came: Callable[[], object]
    ) -> Answer:
        """The answer to a call, made as often as it takes and makes sense, unless
        another process has it meanwhile."""
        looked_at = time.monotonic()
        waited_s = 0.0
        attempt = failed = 0
        while True:
            attempt += 1
            try:
                return await self._attempt(request, slots, came, attempt, looked_at)
            except _SentError as error:
                failure, wait_s = error.failure.after(attempt), error.wait_s
            said = f"attempt {attempt} of a call to {request.model} failed: "
            self._hooks.event(
                Event(
                    "attempt_failed",
                    self._experiment,
                    said + failure.label,
                    request,
                    failure,
                ),
                logging.DEBUG,
            )
            if classify(failure) is not Verdict.RETRY:
                raise CallError(failure)
            if failure.status != RATE_LIMITED:
                failed += 1
                if failed >= self._most_attempts(failure, slots):
                    raise CallError(failure)
            alone = wait_s is None
            if wait_s is None:
                asked_s = failure.retry_after_s or 0.0
                wait_s = asked_s + self._backoff.wait_s(failed, self._dice)
            waited_s += wait_s
            if waited_s > self._options.max_wait_s:
                raise CallError(_too_long(failure, wait_s, self._options.max_wait_s))
            if alone:
                await slots.rest(wait_s)

    def _most_attempts(self, failure: Failure, slots: ModelSlots) -> int:
        """Fewer at a server that was never reached: most likely it is not there."""
        most = self._options.max_attempts
        never = failure.kind == "unreachable" and not slots.answered
        return min(most, ATTEMPTS_TO_REACH) if never else most

    async def _attempt(
        self,
        request: Request,
        slots: ModelSlots,
        came: Callable[[], object],
        attempt: int,
        looked_at: float,
    ) -> Answer:
        """One attempt: sent within budgets and limits, unless another process was
        faster, and stored."""
        if self.ending:
            raise RunEnded
        task = asyncio.current_task()
        assert task is not None
        try:
            async with self._accounting.call(request, attempt) as call:
                place = await slots.enter(_tokens(request), again=attempt > 1)
                try:
                    is_stale = time.monotonic() > looked_at + STALE_S
                    if is_stale and (answer := self.cached(request)) is not None:
                        slots.limiter.withdraw(place)
                        return answer
                    if self.ending:  # while it waited for its place
                        slots.limiter.withdraw(place)
                        raise RunEnded
                    self.in_flight.add(task)
                    response = await self._sent(request, slots, place, call)
                finally:
                    slots.leave()
            came()
            if attempt > 1:
                response = replace(response, attempts=attempt)
            return await self._stored(request, response)
        except BudgetReached as error:
            raise RunEnded(str(error)) from None
        except WaitTooLongError as error:
            raise LeftOff(str(error)) from None
        finally:
            self.in_flight.discard(task)

    async def _sent(
        self, request: Request, slots: ModelSlots, place: Permit, call: Call
    ) -> Response:
        """The answer to a call that has its place, entered in the ledger."""
        try:
            await call.sent()
            response = await self._complete(request)
            now = time.monotonic()
            slots.limiter.answered(place, response.headers, now)
            used = response.usage
            tokens = (used.input_tokens or 0) + (used.output_tokens or 0)
            slots.limiter.charge(place, tokens, now)
            slots.answered = slots.shared.answered = True
            call.answered(response)
            return response
        except CallError as error:
            call.failed(error.failure)
            failure = _plausible(error.failure, slots)
            wait_s = self._slow_down(failure, place, slots)
            raise _SentError(failure, wait_s) from error
        finally:
            slots.limiter.lost(place)

    async def _complete(self, request: Request) -> Response:
        """The client's answer; an exit or a cancellation of its own is one call's."""
        try:
            return await self._complete_once(request)
        except (asyncio.CancelledError, KeyboardInterrupt, SystemExit) as error:
            task = asyncio.current_task()
            if isinstance(error, asyncio.CancelledError) and task and task.cancelling():
                raise  # the run gives the call up
            said = str(error) or "raised by the client"
            raise CallError(
                Failure(kind=type(error).__name__, message=redacted(said))
            ) from error

    async def _stored(self, request: Request, response: Response) -> Answer:
        if not request.kept:
            try:
                await asyncio.to_thread(self._accounting.write)
            except CacheError as error:
                self._stop(str(error))
            return Answer(response.summary, False, response)
        entry = Entry.of(request, response, self._experiment)
        _ = entry.value  # what cannot be written fails here, and alone
        try:
            summary = await self._commits.put(entry)
        except CacheError as error:  # paid for: it stays in the results
            self._stop(f"{error}; export these results to keep them")
            summary = entry.head
        return Answer(summary, False, response if summary is entry.head else None)

    def _write(self, entries: Sequence[Entry]) -> Mapping[str, ReplySummary]:
        try:
            self._accounting.write()  # what was paid, before what it was paid for
        finally:
            there = self._kept(entries)
        return there

    def _kept(self, entries: Sequence[Entry]) -> Mapping[str, ReplySummary]:
        """Stores answers; those that were there before, in place of some."""
        if self._cache is None:
            return {}
        if self._options.refresh:
            self._cache.put(entries)
            return {}
        return self._cache.add(entries)

    def _slow_down(
        self, failure: Failure, place: Permit, slots: ModelSlots
    ) -> float | None:
        """Tells the limiter of a failure, before another call takes its place. Returns
        how long all calls have to wait; None if this one waits alone."""
        limiter, headers, now = slots.limiter, failure.headers, time.monotonic()
        asked_s = failure.retry_after_s or None
        too_long = asked_s is not None and asked_s > self._options.max_wait_s
        if classify(failure) is not Verdict.RETRY:
            limiter.settled(place, headers, now)
            return None
        if failure.status == RATE_LIMITED:
            wait_s = limiter.refused(place, headers, None if too_long else asked_s, now)
            return asked_s if too_long and wait_s else wait_s
        limiter.failed(place, headers, now)
        if asked_s is not None and not too_long:
            limiter.pause(asked_s, "Retry-After", now)
        return asked_s


def _plausible(failure: Failure, slots: ModelSlots) -> Failure:
    """The failure, without a Retry-After that no server can mean, such as a date."""
    if (failure.retry_after_s or 0) <= LONGEST_RESET_S:
        return failure
    slots.limiter.ignore("Retry-After", f"{failure.retry_after_s:.3g} s")
    return replace(failure, retry_after_s=None)


def _tokens(request: Request) -> int:
    """About what a server charges a call against its limit when it comes: the most that
    may be answered, or the prompt by its characters, whichever is more (OpenAI, "Rate
    limits"); servers that charge both are found out by their headers."""
    characters = sum(map(_characters, request.body.get("messages", [request.body])))
    cap = int(request.most_output) if math.isfinite(request.most_output) else 0
    return max(characters // CHARACTERS_PER_TOKEN, cap)


def _characters(message: Mapping[str, Any]) -> int:
    """How long a message is; one that is no plain text, as JSON, without images."""
    content = message.get("content")
    if isinstance(content, str):
        return len(content)
    images = sum(len(url) for url, _ in images_in(content))
    return len(orjson.dumps(message)) - images


def _too_long(failure: Failure, wait_s: float, max_wait_s: float) -> Failure:
    return replace(
        failure,
        message=f"{failure.message}; a further attempt would have to wait "
        f"{wait_s:.3g} s, and max_wait_s is {max_wait_s:g} for all of them",
    )
