"""The runner: asks what is not cached, and gathers the results."""

from __future__ import annotations

import asyncio
import time
import warnings
from array import array
from collections import deque
from collections.abc import Collection, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from promptlab.errors import (
    CacheError,
    CallError,
    CredentialsError,
    Failure,
    PromptlabWarning,
)
from promptlab.execution.accounting import Account
from promptlab.execution.caller import (
    RATE_LIMITED,
    AskedElsewhere,
    Caller,
    LeftOff,
    RunEnded,
)
from promptlab.execution.handle import Handle, check_may_wait
from promptlab.execution.loop import background_loop
from promptlab.execution.options import RunOptions
from promptlab.execution.preflight import check_run
from promptlab.execution.progress import Display, Progress, display_for
from promptlab.execution.scheduling.lanes import Gate, Lane
from promptlab.execution.scheduling.order import Order
from promptlab.execution.scheduling.queue import Queue, lose_patience
from promptlab.execution.scheduling.retries import Verdict, judge
from promptlab.models.client import Client
from promptlab.models.credentials import NOT_NEEDED, Key, asked
from promptlab.models.key_prompt import can_ask
from promptlab.models.redaction import redacted
from promptlab.money.budget import BudgetLimits
from promptlab.results.columns import Answers
from promptlab.results.costs import cache_savings
from promptlab.results.results import Results, Status
from promptlab.results.run_answers import RunAnswers
from promptlab.results.runs import RunRecord
from promptlab.results.table import build_table
from promptlab.secret import sealed
from promptlab.spec.capabilities import other_name
from promptlab.spec.definition import Definition
from promptlab.spec.request import Request
from promptlab.spec.response import ReplySummary
from promptlab.spec.trial import EffectiveVariant, Trial
from promptlab.store.cache import ResponseCache, open_cache
from promptlab.store.ledger import CacheHits, Ledger, opened_ledger
from promptlab.store.lookup import TrialLookup, TrialStatus, look_up
from promptlab.store.wire_names import keep_name

if TYPE_CHECKING:
    import pandas as pd

GRACE_S = 5.0
"""How long calls in flight may still finish when a run is ended: they are paid for."""

LEAVE_S = 5.0
"""How long a run that is given up may take to end before it is left."""

PROGRESS_EVERY_S = 0.1

NOT_CACHED = Failure(
    kind="not_cached",
    message="the trial is not in the cache, and offline makes no calls",
    attempts=0,
)
"""One for all misses: there may be a million."""


def run(
    experiment: Definition, *, wanted: Collection[int] | None = None, **options: Any
) -> Results:
    """Runs an experiment to the end: what is cached is not asked again.

    Ctrl-C or the stop button ends it early, keeps every answer that was paid for, and
    gives the results so far; running it again goes on from there. Pressed twice, calls
    in flight are given up, and `KeyboardInterrupt` is raised when that is done, or
    after a few seconds; a third time, at once.

    With `wanted`, only trials of these indexes are asked; others are looked up. The
    options are those of `RunOptions`.

    Raises:
        SpecError: an option is wrong, or a prompt fails on some case.
        CredentialsError: a key is needed and there is none.
        CacheError: the cache cannot be used.
    """
    check_may_wait()
    handle = _started(Run(experiment, RunOptions.of(sealed(options)), wanted))
    interrupts = 0
    while True:
        try:
            results = handle.result(LEAVE_S if interrupts > 1 else None)
            break
        except TimeoutError:  # something holds the event loop up
            if interrupts < 2:
                raise
            raise KeyboardInterrupt from None
        except KeyboardInterrupt:
            interrupts += 1
            if interrupts > 2:
                raise
            handle.cancel()  # what is in flight may arrive; a second time, not
    if interrupts > 1:  # in a loop over experiments: not on to the next
        raise KeyboardInterrupt
    _warn_of_prices(results)
    return results


async def arun(
    experiment: Definition, *, wanted: Collection[int] | None = None, **options: Any
) -> Results:
    """As `run`, for a running event loop of any kind: `await experiment.arun()`.

    When it is cancelled the run ends, its answers are kept, and the cancellation goes
    on to the caller.
    """
    handle = _started(Run(experiment, RunOptions.of(sealed(options)), wanted))
    finished = asyncio.wrap_future(handle.future)
    try:
        # The stop button of a notebook is noticed only when the loop wakes up.
        while not finished.done():
            await asyncio.wait([finished], timeout=0.1)
        results = finished.result()
        _warn_of_prices(results)
        return results
    except asyncio.CancelledError:
        handle.cancel()
        await asyncio.wait([asyncio.wrap_future(handle.future)], timeout=2 * GRACE_S)
        raise


def start(
    experiment: Definition, *, wanted: Collection[int] | None = None, **options: Any
) -> Handle:
    """Starts a run in the background and returns at once; a notebook shows a button
    that stops it.

    With `wanted`, only trials of these indexes are asked; others are looked up.

    Raises:
        SpecError: an option is wrong.
    """
    run_options = RunOptions.of(sealed(options))
    return _started(Run(experiment, run_options, wanted, stoppable=True))


def _started(run: Run) -> Handle:
    """The run, under way; its keys are found in the thread of the caller, as a keyring
    or a question may have to wait for the user."""
    run.find_keys()
    return Handle(run, background_loop().submit(run.execute()))


class Run:
    """One run of an experiment: lookup, calls, results. It lives on the loop."""

    def __init__(
        self,
        experiment: Definition,
        options: RunOptions,
        wanted: Collection[int] | None = None,
        *,
        stoppable: bool = False,
    ) -> None:
        """A notebook shows a button to stop it, if it is `stoppable`."""
        self._experiment = experiment
        self._options = options
        self._wanted = None if wanted is None else set(wanted)
        self._stop = self._cancel_soon if stoppable else None
        self._requests = options.requests(experiment)
        self._answers = Answers(len(experiment))
        self._pricing = options.pricing(experiment)
        self._keys: dict[str, Key] = {}
        self._followers: dict[int, array[int]] = {}
        self._gate = Gate(
            options.max_concurrency,
            rpm=options.rpm,
            tpm=options.tpm,
            max_wait_s=options.max_wait_s,
        )
        self._queues: dict[tuple[str, str], Queue] = {}
        self._order = Order(experiment, self._queue_of)
        self._leading: dict[int, asyncio.Task[Any] | None] = {}
        """Who asks those that others wait for; None where another process does."""
        self._lanes: list[Lane] = []
        self._cache: ResponseCache | None = None
        self._account: Account | None = None
        self._caller: Caller | None = None
        self._refused: dict[Lane | EffectiveVariant, Failure] = {}
        self._renamed: set[tuple[str, str]] = set()
        """The base URLs and models whose name of `max_tokens` was learned."""
        self._ending = asyncio.Event()
        self._hurry = asyncio.Event()
        self._status: Status = "complete"
        self._reason = ""
        self._state = "looking up"
        self._blind = False
        self._elapsed_s: float | None = None
        self._started = time.monotonic()
        self._recent: deque[tuple[float, int]] = deque([(self._started, 0)], maxlen=50)

    def find_keys(self) -> None:
        """Finds the keys of the servers that may be called. In a notebook, the user is
        asked for those that are missing, if a call is to be made."""
        self._keys = self._options.keys(self._requests)
        lacking = {url for url, key in self._keys.items() if key.secret is None}
        if lacking and can_ask():
            for base_url in self._called(lacking):
                self._keys[base_url] = asked(self._keys[base_url])

    @property
    def keys(self) -> tuple[str, ...]:
        """Which key goes to which server, a line each; none for those without one."""
        return tuple(
            f"{key.said} goes to {urlsplit(base_url).netloc}"
            for base_url, key in self._keys.items()
            if key.secret is not None and key.said != NOT_NEEDED
        )

    async def execute(self) -> Results:
        """Runs to the end; gives the results of what was answered or failed."""
        with display_for(self._options.progress, self._stop) as show:
            reporter = asyncio.create_task(self._report(show))
            try:
                results = await self._run()
            finally:
                reporter.cancel()
                with suppress(asyncio.CancelledError):
                    await reporter
            self._show(show)
        return results

    def cancel(self) -> None:
        """Ends the run as the user asks; once it is ending, calls in flight are no
        longer waited for."""
        if self._ending.is_set():
            self._hurry.set()
        else:
            self.end("interrupted")

    def _cancel_soon(self) -> None:
        """As `cancel`, from any thread."""
        background_loop().loop.call_soon_threadsafe(self.cancel)

    def end(self, status: Status, reason: str = "") -> None:
        """Ends the run early: no further call starts, those in flight may finish."""
        if self._ending.is_set() or self._elapsed_s is not None:
            return
        self._status, self._reason, self._state = status, reason, "finishing"
        self._ending.set()
        if self._caller:
            self._caller.ending = True

    def _leave_off(self, reason: str) -> None:
        """Notes why one model is not asked on; what others are asked goes on."""
        if not self._ending.is_set():
            self._status, self._reason = "stopped", reason

    def table(self) -> pd.DataFrame:
        """The table of the trials that have an outcome by now."""
        return build_table(self._pricing, self._answers)

    def results(self, run: str | None = None) -> Results:
        """What has an outcome by now; `run` is the name of its record."""
        over = self._elapsed_s is not None
        return Results(
            self._experiment,
            self._answers,
            pricing=self._pricing,
            status=self._status if over else "running",
            reason=self._reason,
            calls=self._calls,
            billed_usd=self._account.billed_usd if self._account else 0.0,
            elapsed_s=self._elapsed_s or time.monotonic() - self._started,
            run=run,
            lookup=self._cache.entries_of if self._cache is not None else None,
        )

    def progress(self) -> Progress:
        """How far the run is."""
        now = time.monotonic()
        speed = self._calls_per_s(now)
        account = self._account
        return Progress(
            name=self._experiment.name,
            trials=len(self._answers),
            answered=self._answers.answered.count(1),
            cached=self._answers.cached.count(1),
            failed=len(self._answers.failures),
            calls=self._calls,
            input_tokens=account.input_tokens if account else 0,
            output_tokens=account.output_tokens if account else 0,
            billed_usd=account.billed_usd if account else 0.0,
            in_flight=self._gate.in_flight,
            elapsed_s=self._elapsed_s or now - self._started,
            calls_per_s=speed,
            left_s=self._left_s(now, speed),
            waiting="; ".join(
                filter(None, (lane.held_back(now) for lane in self._lanes))
            ),
            notes="; ".join(note for lane in self._lanes for note in lane.notes),
            state=self._state,
            reason=self._reason,
        )

    # One run, step by step.

    async def _run(self) -> Results:
        options = self._options
        if options.use_cache:
            self._cache = open_cache(options.cache)
        await self._survey()
        with opened_ledger() as ledger:
            return await self._asked(ledger)

    async def _asked(self, ledger: Ledger) -> Results:
        """Asks what is missing, and enters in the ledger what was taken and saved."""
        client = None
        budgets = ledger.budgets()
        if self._queues:
            ledger.check_writable()
            if self._cache is not None:
                self._cache.check_writable()
            waiting = (trial for queue in self._queues.values() for trial in queue)
            check_run(self._experiment, self._options, budgets.values(), waiting)
            client = self._options.opened_client(self._requests, self._keys)
        record = self._begin_record()
        run = record.name if record else None
        if client is not None:
            try:
                await self._ask(client, ledger, budgets, run)
            except BaseException:
                if record:
                    record.release()
                raise
        self._elapsed_s = time.monotonic() - self._started
        self._state = self._status
        answered, cached = self._answers.answered, self._answers.cached
        results = self.results(run)
        try:
            ledger.enter_hits(self._hits(results))
        except CacheError as error:  # nothing was paid for them
            warnings.warn(str(error), PromptlabWarning, stacklevel=2)
        if record:
            anew = (i for i, done in enumerate(answered) if done and not cached[i])
            record.wire_names = [
                (*served, name) for served, name in self._requests.names.items()
            ]
            record.finish(results, anew, RunAnswers.of(self._answers))
        return results

    def _begin_record(self) -> RunRecord | None:
        if not self._options.record:
            return None
        models = [level.value for level in self._experiment.grid.levels("model")]
        routes = {model: self._options.route(model) for model in models}
        folder = str(self._cache.directory) if self._cache is not None else ""
        own = self._pricing.prices.own
        return RunRecord.begin(self._experiment, routes, folder, own)

    def _hits(self, results: Results) -> list[CacheHits]:
        """What was taken from the cache, as the ledger keeps it."""
        now, name, each = time.time(), self._experiment.name, self._experiment.repeats
        return [
            CacheHits(
                now,
                results.run,
                name,
                *self._requests.destination(place * each),
                trials,
                None if saved_usd != saved_usd else saved_usd,
            )
            for place, trials, saved_usd in cache_savings(
                self._experiment, results.table
            )
        ]

    async def _survey(self) -> None:
        """Takes what is cached into the answers, and queues the rest."""
        reads = None if self._options.refresh else self._cache
        groups = look_up(self._requests, reads)
        # Off the loop: others run, and this run may be ended, however long it takes.
        while group := await asyncio.to_thread(next, groups, None):
            for lookup in group:
                self._take(lookup)
            if self._ending.is_set():
                return
        self._order.settle()

    def _take(self, lookup: TrialLookup) -> None:
        index = lookup.trial
        if lookup.status is TrialStatus.CACHED:
            self._answers.put(index, lookup.heads, lookup.key)
        elif lookup.status is TrialStatus.DUPLICATE:
            self._followers.setdefault(lookup.first, array("Q")).append(index)
            if self._options.offline:
                self._answers.fail(index, NOT_CACHED, lookup.heads)
            elif self._wants(index) and not self._wants(lookup.first):
                self._wanted = (self._wanted or set()) | {lookup.first}
                self._queue_of(lookup.first).put(lookup.first)
        elif self._options.offline:
            failure = _dead_end(lookup.heads) or NOT_CACHED
            self._answers.fail(index, failure, lookup.heads)
        elif self._wants(index) and self._options.leader_first:
            self._order.put(index, lookup.turns)
        elif self._wants(index):
            self._queue_of(index).put(index)

    def _called(self, base_urls: set[str]) -> set[str]:
        """Those of the base URLs that a trial is to be asked at."""
        options = self._options
        reads = options.use_cache and not options.refresh
        cache = open_cache(options.cache) if reads else None
        called = set()
        for group in look_up(self._requests, cache):
            for lookup in group:
                cached = lookup.status is TrialStatus.CACHED
                if not cached and self._wants(lookup.trial):
                    called.add(self._requests.destination(lookup.trial)[0])
            if base_urls <= called:
                break
        return base_urls & called

    def _wants(self, index: int) -> bool:
        return self._wanted is None or index in self._wanted

    def _queue_of(self, index: int) -> Queue:
        destination = self._requests.destination(index)
        if destination not in self._queues:
            self._queues[destination] = Queue()
        return self._queues[destination]

    async def _ask(
        self,
        client: Client,
        ledger: Ledger,
        budgets: Mapping[str, BudgetLimits],
        run: str | None,
    ) -> None:
        """Asks what is lined up, until all has an outcome or the run is ended."""
        options, name = self._options, self._experiment.name
        self._account = Account(
            self._pricing.prices,
            ledger,
            options.limits,
            project=budgets,
            experiment=name,
            run=run,
        )
        caller = self._caller = Caller(
            client,
            self._cache,
            options,
            self._account,
            name,
            stop=lambda reason: self.end("stopped", reason),
            leave_off=self._leave_off,
        )
        pool_of = background_loop().pools.of
        pools = [pool_of(client, *destination) for destination in self._queues]
        self._lanes = [
            Lane(model, self._gate, pool, queue)
            for ((_, model), queue), pool in zip(
                self._queues.items(), pools, strict=True
            )
        ]
        self._state = "running"
        workers = [
            asyncio.create_task(self._work(lane, caller))
            for lane in self._lanes
            for _ in range(min(lane.queue.left, options.max_concurrency))
        ]
        patience = asyncio.create_task(
            lose_patience(
                self._queues.values(),
                lambda leader: self._leading[leader] in (None, *caller.in_flight),
            )
        )
        try:
            await self._until_done(workers, caller)
        finally:
            for worker in (*workers, patience):
                worker.cancel()  # before what they use is closed
            outcomes = await asyncio.gather(*workers, return_exceptions=True)
            self._gate.close()
            await caller.close()
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                raise outcome

    async def _until_done(
        self, workers: Sequence[asyncio.Task[None]], caller: Caller
    ) -> None:
        """Waits for the workers; once the run is ended, only for calls in flight."""
        await _first(workers, self._ending.wait())
        if self._ending.is_set():
            for worker in workers:
                if worker not in caller.in_flight:
                    worker.cancel()
            await _first(workers, self._hurry.wait(), timeout_s=GRACE_S)

    # One trial.

    async def _work(self, lane: Lane, caller: Caller) -> None:
        while not self._ending.is_set():
            if (index := await lane.queue.take()) is None:
                return
            if lane.queue.leads(index):
                self._leading[index] = asyncio.current_task()
            try:
                await self._settle(self._experiment.trials[index], lane, caller)
            except LeftOff:  # nor will those that others wait for be asked
                lane.queue.let_go(index, succeeded=False)
                return
            except RunEnded:
                return
            except AskedElsewhere as other:
                if lane.queue.leads(index):
                    self._leading[index] = None
                lane.queue.put_off(index, other.look_again_s)
            else:
                lane.queue.let_go(index, succeeded=False)

    async def _settle(self, trial: Trial, lane: Lane, caller: Caller) -> None:
        """Gives a trial its outcome, and draws conclusions from it."""
        try:
            await self._converse(trial, lane, caller)
        except CallError as error:
            await self._draw_conclusions(trial, lane, error.failure)
        except CredentialsError as error:
            self.end("stopped", str(error))
        except (RunEnded, AskedElsewhere):
            raise
        except Exception:  # it is the trial's failure
            return

    async def _converse(self, trial: Trial, lane: Lane, caller: Caller) -> None:
        """Asks every question of a trial, each with the replies before it."""
        if failure := self._refused.get(lane) or self._refused.get(trial.variant):
            self._fail(trial, failure)
            return
        index = trial.index
        heads: list[ReplySummary] = []
        paid: list[bool] = []
        key = ""
        try:
            while request := await self._next(index, heads):
                if heads:  # others may have begun with the same words
                    caller.share(key, heads[-1])
                try:
                    head, was_there = await caller.reply(
                        request, lane, stay=bool(heads)
                    )
                except CallError as error:
                    self._rename(request, error.failure)
                    again = await self._next(index, heads)
                    if again is None or again.key == request.key:
                        raise
                    continue
                lane.queue.let_go(index, succeeded=True)
                heads.append(head)
                paid.append(not was_there)
                key = request.key
        except (RunEnded, AskedElsewhere):
            raise
        except Exception as error:  # one trial's trouble is not the run's
            self._fail(trial, _failure(error), heads, paid)
            raise
        self._answers.put(index, heads, key, paid)
        for follower in self._followers.get(index, ()):
            self._answers.put(follower, heads, key)

    async def _next(self, index: int, heads: Sequence[ReplySummary]) -> Request | None:
        """The call of a trial after these replies; None when it is over.

        Raises:
            CallError: it is not over, and cannot go on from the last of them.
        """
        replies = [head.message for head in heads]
        if self._requests.is_quick(index):
            request = self._requests.request(index, replies)
        else:
            request = await asyncio.to_thread(self._requests.request, index, replies)
        if request and (failure := _dead_end(heads)):
            raise CallError(failure)
        return request

    def _rename(self, request: Request, failure: Failure) -> None:
        """Calls `max_tokens` by its other name from now on, where a server refuses the
        one that it was sent under and names the other; once for a model."""
        served = request.base_url, request.model
        refused = failure.status in (400, 422) and served not in self._renamed
        if refused and (name := other_name(request.body, failure.message)):
            self._renamed.add(served)
            self._requests.rename(*served, name)
            keep_name(*served, name)

    def _fail(
        self,
        trial: Trial,
        failure: Failure,
        heads: Sequence[ReplySummary] = (),
        paid: Sequence[bool] = (),
    ) -> None:
        failure = failure.to_keep()
        self._answers.fail(trial.index, failure, heads, paid)
        for follower in self._followers.get(trial.index, ()):
            self._answers.fail(follower, failure, heads)

    async def _draw_conclusions(
        self, trial: Trial, lane: Lane, failure: Failure
    ) -> None:
        """Spares the calls that would be refused the same way."""
        verdict = judge(failure)
        if verdict is Verdict.STOP and failure.status == 403:  # is it the key, or this?
            verdict = judge(failure, answered=await lane.pool.has_answered())
        if failure.kind == "unreachable" and not lane.answered:
            verdict = Verdict.FAIL_MODEL
        too_long = (failure.retry_after_s or 0) > self._options.max_wait_s
        too_long |= failure.status == RATE_LIMITED and lane.limiter.refuses
        if verdict is Verdict.REPEAT and too_long:
            verdict = Verdict.FAIL_MODEL
        if verdict is Verdict.STOP:
            self.end("stopped", failure.summary + _remedy(failure))
        elif verdict in (Verdict.FAIL_MODEL, Verdict.FAIL_VARIANT):
            what = lane if verdict is Verdict.FAIL_MODEL else trial.variant
            said = f"not asked, as the same was refused before: {failure.message}"
            refused = replace(failure, kind="refused", message=said, attempts=0)
            self._refused.setdefault(what, refused)

    # Progress.

    async def _report(self, show: Display) -> None:
        while True:
            self._show(show)
            await asyncio.sleep(PROGRESS_EVERY_S)
            self._recent.append((time.monotonic(), self._calls))

    def _show(self, show: Display) -> None:
        """Shows how far the run is; a display that fails is no reason to fail."""
        if self._blind:
            return
        try:
            show(self.progress())
        except BaseException as error:  # an exit, too, would end the loop of all runs
            self._blind = True
            warnings.warn(
                f"progress is no longer shown: {error!r}",
                PromptlabWarning,
                stacklevel=2,
            )

    def _calls_per_s(self, now: float) -> float:
        """Calls answered a second, over the last few seconds."""
        if self._elapsed_s is not None:
            return self._calls / self._elapsed_s
        since, calls = self._recent[0]
        return (self._calls - calls) / (now - since) if now > since else 0.0

    def _left_s(self, now: float, speed: float) -> float | None:
        """About how long the rest takes, at this speed and within the limits."""
        least_s = max((lane.least_s(now) for lane in self._lanes), default=0.0)
        if speed > 0:
            return max(sum(lane.left for lane in self._lanes) / speed, least_s)
        return least_s or None

    @property
    def _calls(self) -> int:
        return self._account.calls if self._account else 0


async def _first(
    tasks: Sequence[asyncio.Task[None]],
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


def _warn_of_prices(results: Results) -> None:
    if results.price_note:  # where the experiment's own method was called
        warnings.warn(results.price_note, PromptlabWarning, stacklevel=4)


def _failure(error: Exception) -> Failure:
    if isinstance(error, CallError):
        return error.failure
    said = redacted(" ".join(str(error).split()))
    return Failure(kind=type(error).__name__, message=said or "no message")


def _dead_end(heads: Sequence[ReplySummary]) -> Failure | None:
    """Why a conversation that has more to ask cannot go on."""
    if not heads or not (why := heads[-1].dead_end):
        return None
    turn = f"turn {len(heads)} of the conversation"
    return Failure(kind="dead_end", message=f"{turn}: {why}", attempts=0)


def _remedy(failure: Failure) -> str:
    if failure.status == 401:
        return "; check the API key and that it belongs to this server"
    if failure.status == 403:
        return "; the key may not use this model or server"
    return "; no further call can succeed until the account has credit"
