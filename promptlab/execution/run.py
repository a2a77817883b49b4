"""A run: the trials of an experiment through an engine, and their outcomes gathered."""

from __future__ import annotations

import asyncio
import time
import warnings
from array import array
from collections import deque
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from promptlab.errors import CacheError, CallError, Failure, PromptlabWarning
from promptlab.execution.engine import NOT_CACHED, Engine, Outcome
from promptlab.execution.hooks import Event, EventKind
from promptlab.execution.loop import background_loop
from promptlab.execution.options import RunOptions
from promptlab.execution.progress import Display, Progress, Silent, display_for
from promptlab.execution.scheduling.queue import PrefixScheduler, Queue, seed
from promptlab.formats import counted
from promptlab.models.credentials import NOT_NEEDED, Key, asked
from promptlab.models.key_prompt import can_ask
from promptlab.money.budget import BudgetLimits
from promptlab.results.columns import OutcomeColumns
from promptlab.results.costs import cache_savings
from promptlab.results.record import Record
from promptlab.results.results import Results, settled_record
from promptlab.results.run_answers import RunAnswers
from promptlab.results.runs import RunRecord
from promptlab.results.table import build_table
from promptlab.spec.address import EMBEDDINGS
from promptlab.spec.capabilities import other_name
from promptlab.spec.definition import Definition
from promptlab.spec.prompt import Turn
from promptlab.spec.request import Request
from promptlab.spec.response import ReplySummary
from promptlab.store.cache import ResponseCache, open_cache
from promptlab.store.ledger import CacheHits, Ledger, opened_ledger
from promptlab.store.lookup import TrialLookup, TrialStatus, look_up
from promptlab.store.wire_names import keep_name

if TYPE_CHECKING:
    import pandas as pd

PROGRESS_EVERY_S = 0.1


class Run:
    """One run of an experiment: lookup, calls, results. It lives on the loop.

    For its engine it is the `Conversations`: a trial is one, by its index.
    """

    def __init__(
        self,
        experiment: Definition,
        options: RunOptions,
        only_trials: Collection[int] | None = None,
        *,
        stoppable: bool = False,
    ) -> None:
        """A notebook shows a button to stop it, if it is `stoppable`."""
        self._experiment = experiment
        self._options = options
        self._only_trials = None if only_trials is None else set(only_trials)
        self._stop = self._cancel_soon if stoppable else None
        self._requests = options.requests(experiment)
        self._base_urls = list(
            dict.fromkeys(base_url for base_url, _ in self._requests.destinations())
        )
        self._answers = OutcomeColumns(len(experiment))
        self._pricing = options.pricing(experiment)
        self._engine = Engine(experiment.name, options)
        self._judging: Engine | None = None
        """Asks judges, while answers are scored."""
        self._keys: dict[str, Key] = {}
        self._followers: dict[int, array[int]] = {}
        """By trial, those that ask the same from first to last."""
        self._order = PrefixScheduler(
            [
                seed(q.base_url, q.model, q.parameters)
                for q in experiment.effective_variants
            ],
            self._queue_of,
        )
        self._cache: ResponseCache | None = None
        self._doomed: dict[int, Failure] = {}
        """By place among the effective variants, why its trials would be refused."""
        self._renamed: set[tuple[str, str]] = set()
        """The base URLs and models whose name of `max_tokens` was learned."""
        self._progress_failed = False
        self._state = "looking up"
        self._elapsed_s: float | None = None
        self._started = time.monotonic()
        self._recent: deque[tuple[float, int]] = deque([(self._started, 0)], maxlen=50)

    def find_keys(self) -> None:
        """Finds the keys of the servers that may be called. In a notebook, the user is
        asked for those that are missing, if a call is to be made."""
        self._keys = self._options.keys(self._base_urls)
        lacking = {url for url, key in self._keys.items() if key.secret is None}
        if lacking and can_ask():
            for base_url in self._called(lacking):
                self._keys[base_url] = asked(self._keys[base_url])

    @property
    def keys(self) -> tuple[str, ...]:
        """Which key goes to which server, a line each; none for those without one."""
        return tuple(
            f"{key.source} goes to {urlsplit(base_url).netloc}"
            for base_url, key in self._keys.items()
            if key.secret is not None and key.source != NOT_NEEDED
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
        if self._judging is not None:
            self._judging.cancel()
        elif self._elapsed_s is None:
            self._engine.cancel()

    def _cancel_soon(self) -> None:
        """As `cancel`, from any thread."""
        background_loop().loop.call_soon_threadsafe(self.cancel)

    def table(self) -> pd.DataFrame:
        """The table of the trials that have an outcome by now."""
        return build_table(self._pricing, self._answers)

    def results(self, run: str | None = None) -> Results:
        """What has an outcome by now; `run` is the name of its record."""
        over = self._elapsed_s is not None
        account = self._engine.accounting
        return Results(
            self._experiment,
            self._answers,
            pricing=self._pricing,
            status=self._engine.status if over else "running",
            reason=self._engine.reason,
            calls=self._engine.calls,
            billed_usd=account.billed_usd if account else 0.0,
            elapsed_s=self._elapsed_s or time.monotonic() - self._started,
            run=run,
            lookup=self._cache.entries_of if self._cache is not None else None,
        )

    def progress(self) -> Progress:
        """How far the run is."""
        now = time.monotonic()
        speed = self._calls_per_s(now)
        engine, account = self._engine, self._engine.accounting
        state = self._state
        if engine.is_ending and self._elapsed_s is None:
            state = "finishing"
        return Progress(
            name=self._experiment.name,
            trials=len(self._answers),
            answered=self._answers.answered.count(1),
            cached=self._answers.cached.count(1),
            failed=len(self._answers.failures),
            calls=engine.calls,
            input_tokens=account.input_tokens if account else 0,
            output_tokens=account.output_tokens if account else 0,
            billed_usd=account.billed_usd if account else 0.0,
            in_flight=engine.in_flight,
            elapsed_s=self._elapsed_s or now - self._started,
            calls_per_s=speed,
            left_s=self._left_s(now, speed),
            waiting=engine.waiting(now),
            notes=engine.notes,
            state=state,
            reason=engine.reason,
        )

    # One run, step by step.

    async def _run(self) -> Results:
        """Takes what is cached, asks the rest, and enters in the ledger and the run's
        record what was taken and saved."""
        self._event("started", self._experiment.size)
        if self._options.use_cache:
            self._cache = open_cache(self._options.cache)
        await self._look_up()
        with opened_ledger() as ledger:
            record = None
            if self._engine.queues:
                record = await self._ask(ledger)
            else:
                record = self._begin_record()
            self._elapsed_s = time.monotonic() - self._started
            self._state = self._engine.status
            results = self.results(record.name if record else None)
            if self._experiment.scorers and results.totals.answered:
                results = await self._score(results, ledger)
            self._keep(results, ledger, record)
        counts = results.totals
        self._event(
            "ended",
            f"{results.status}: {counts.answered:,} answered ({counts.cached:,} cached)"
            f", {counts.failed:,} failed, {counted(counts.calls, 'call')} made",
        )
        return results

    def _check_judges(self, limits: Sequence[BudgetLimits]) -> None:
        """Raises `SpecError` for a judge or an embedding model that one of these
        budgets cannot be kept for."""
        limits = [each for each in limits if each.any]
        for scorer in self._experiment.scorers:
            for judge in scorer.judges:
                request = judge.request({"output": ""}, self._options.base_url_for)
                self._engine.check_bounded(request, limits)
            for model in scorer.embeds:
                body = {"model": model, "input": ""}
                request = self._engine.request(body, endpoint=EMBEDDINGS)
                self._engine.check_bounded(request, limits)

    async def _score(self, results: Results, ledger: Ledger) -> Results:
        """Scores the answers. Judges are asked within what is left of the budgets; of a
        run that was ended early, only the cache is."""
        if not any(
            scorer.judges or scorer.embeds for scorer in self._experiment.scorers
        ):
            return await asyncio.to_thread(results.score)
        ended = self._engine.is_ending
        options = replace(self._options, offline=True) if ended else self._options
        self._judging = judging = Engine(self._experiment.name, options)
        prices, account = self._pricing.prices, self._engine.accounting
        judging.open(self._cache, ledger, prices, results.run, account)
        self._state = "scoring"
        try:
            return await asyncio.to_thread(results.score, engine=judging)
        finally:
            await judging.close()
            self._judging, self._state = None, self._engine.status

    def _event(self, kind: EventKind, message: str) -> None:
        self._engine.hooks.event(Event(kind, self._experiment.name, message))

    async def _look_up(self) -> None:
        """Takes what is cached into the answers, and queues the rest."""
        reads = None if self._options.refresh else self._cache
        groups = look_up(self._requests, reads)
        # Off the loop: others run, and this run may be ended, however long it takes.
        while group := await asyncio.to_thread(next, groups, None):
            for lookup in group:
                self._take(lookup)
            if self._engine.is_ending:
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
                self._only_trials = (self._only_trials or set()) | {lookup.first}
                self._queue_of(lookup.first).put(lookup.first)
        elif self._options.offline:
            failure = _dead_end(lookup.heads, lookup.turns) or NOT_CACHED
            self._answers.fail(index, failure, lookup.heads)
        elif self._wants(index) and self._options.leader_first:
            case, variant = self._place(index)
            self._order.put(index, lookup.turns, group=case, kind=variant)
        elif self._wants(index):
            self._queue_of(index).put(index)

    async def _ask(self, ledger: Ledger) -> RunRecord | None:
        """Asks what is lined up, until all has an outcome or the run is ended."""
        ledger.check_writable()
        if self._cache is not None:
            self._cache.check_writable()
        waiting = (trial for queue in self._engine.queues.values() for trial in queue)
        budgets = ledger.budgets().values()
        self._options.check_budgets(self._experiment, budgets, waiting)
        self._check_judges([self._options.limits, *budgets])
        client = self._options.opened_client(self._base_urls, self._keys)
        record = self._begin_record()
        try:
            self._engine.use(client, *self._base_urls)
            run = record.name if record else None
            self._engine.open(self._cache, ledger, self._pricing.prices, run)
            self._state = "running"
            try:
                await self._engine.work_through(self)
            finally:
                await self._engine.close()
        except BaseException:
            if record:
                record.release()
            raise
        return record

    def _begin_record(self) -> RunRecord | None:
        if not self._options.record:
            return None
        models = [level.value for level in self._experiment.grid.levels("model")]
        routes = {model: self._options.base_url_for(model) for model in models}
        folder = str(self._cache.directory) if self._cache is not None else ""
        own = self._pricing.prices.own
        return RunRecord.begin(self._experiment, routes, folder, own)

    def _keep(self, results: Results, ledger: Ledger, record: RunRecord | None) -> None:
        """Enters what was taken from the cache, and how the run ended."""
        if record or not self._options.record:  # else there is no place to write
            try:
                ledger.enter_hits(self._hits(results))
            except CacheError as error:  # nothing was paid for them
                warnings.warn(str(error), PromptlabWarning, stacklevel=2)
        if record:
            answers = self._answers
            record.wire_names = [
                (*served, name) for served, name in self._requests.names.items()
            ]
            record.finish(results, answers.asked, RunAnswers.of(answers))

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
        return self._only_trials is None or index in self._only_trials

    def _place(self, index: int) -> tuple[int, int]:
        """The case and the variant of a trial."""
        experiment = self._experiment
        return divmod(index // experiment.repeats, len(experiment.effective_variants))

    def _queue_of(self, index: int) -> Queue:
        return self._engine.queue_of(*self._requests.destination(index))

    # The trials as conversations.

    async def next_request(
        self, number: int, replies: Sequence[ReplySummary]
    ) -> Request | None:
        """The call of a trial after these replies; None when it is over.

        Raises:
            CallError: it is not over, and cannot go on from the last of them.
        """
        messages = [reply.message for reply in replies]
        if self._requests.is_quick(number):
            request = self._requests.request(number, messages)
        else:
            request = await asyncio.to_thread(self._requests.request, number, messages)
        turns = self._requests.turns(number) if replies else ()
        if request and (failure := _dead_end(replies, turns)):
            raise CallError(failure)
        return request

    def doomed(self, number: int) -> Failure | None:
        """Why a trial would be refused, as another of its variant was."""
        return self._doomed.get(self._place(number)[1]) if self._doomed else None

    def refused(self, number: int, failure: Failure) -> None:
        """Takes note that the trials of a variant would be refused the same way."""
        self._doomed.setdefault(self._place(number)[1], failure)

    def note_failure(self, request: Request, failure: Failure) -> None:
        """Calls `max_tokens` by its other name from now on, where a server refuses the
        one that it was sent under and names the other; once for a model."""
        served = request.base_url, request.model
        refused = failure.status in (400, 422) and served not in self._renamed
        if refused and (name := other_name(request.body, failure.message)):
            self._renamed.add(served)
            self._requests.rename(*served, name)
            keep_name(*served, name)

    def settle(self, number: int, outcome: Outcome) -> None:
        """Notes what a trial gave, for those too that ask the same."""
        replies, paid, key, failure, _ = outcome
        if "on_record" in self._engine.hooks:
            self._engine.hooks.call("on_record", self._record(number, outcome))
        followers = self._followers.get(number, ())
        if failure is None:
            self._answers.put(number, replies, key, paid)
            for follower in followers:
                self._answers.put(follower, replies, key)
        else:
            failure = failure.to_keep()
            self._answers.fail(number, failure, replies, paid)
            for follower in followers:
                self._answers.fail(follower, failure, replies)

    def _record(self, number: int, outcome: Outcome) -> Record:
        return settled_record(
            self._experiment.trials[number],
            self._pricing,
            self._place(number)[1],
            outcome.replies,
            outcome.paid,
            outcome.key,
            outcome.failure,
        )

    # Progress.

    async def _report(self, show: Display) -> None:
        while True:
            self._show(show)
            await asyncio.sleep(PROGRESS_EVERY_S)
            self._recent.append((time.monotonic(), self._engine.calls))

    def _show(self, show: Display) -> None:
        """Shows how far the run is; a display that fails is no reason to fail."""
        if self._progress_failed or type(show) is Silent:
            return
        try:
            show(self.progress())
        except BaseException as error:  # an exit, too, would end the loop of all runs
            self._progress_failed = True
            warnings.warn(
                f"progress is no longer shown: {error!r}",
                PromptlabWarning,
                stacklevel=2,
            )

    def _calls_per_s(self, now: float) -> float:
        """Calls answered a second, over the last few seconds."""
        if self._elapsed_s is not None:
            return self._engine.calls / self._elapsed_s
        since, calls = self._recent[0]
        return (self._engine.calls - calls) / (now - since) if now > since else 0.0

    def _left_s(self, now: float, speed: float) -> float | None:
        """About how long the rest takes, at this speed and within the limits."""
        least_s = self._engine.least_s(now)
        if speed > 0:
            return max(self._engine.left / speed, least_s)
        return least_s or None


def _dead_end(replies: Sequence[ReplySummary], turns: Sequence[Turn]) -> Failure | None:
    """Why a conversation that has more to ask cannot go on."""
    if not replies or not (why := replies[-1].dead_end(turns[len(replies)])):
        return None
    turn = f"turn {len(replies)} of the conversation"
    return Failure(kind="dead_end", message=f"{turn}: {why}", attempts=0)
