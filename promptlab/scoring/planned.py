"""The plan with its judgements: which of those that scores need are cached, and what
the others take."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from promptlab.embeddings.vectors import Vectors, no_vectors
from promptlab.execution.options import RunOptions
from promptlab.money.estimate import Estimate, Range
from promptlab.money.prices import is_free
from promptlab.money.tokens import Observations, counter_for
from promptlab.planning.judging import PlannedJudgements
from promptlab.planning.plan import Plan, planned
from promptlab.results.record import Score
from promptlab.scoring.judge import Judge
from promptlab.scoring.rows import Rows
from promptlab.scoring.scorer import Scorer
from promptlab.spec.content import text_in
from promptlab.spec.definition import Definition
from promptlab.spec.request import Request, most_output
from promptlab.spec.usage import PriceContext, when
from promptlab.store.cache import open_cache
from promptlab.store.lookup import TrialLookup, TrialStatus

if TYPE_CHECKING:
    import pandas as pd

NOT_ASKED = "not asked: this is a plan"


def plan(experiment: Definition, options: RunOptions) -> Plan:
    """What a run with these options would do, judging included: nothing is called, no
    key is needed.

    Raises:
        SpecError: an option is wrong, or a prompt fails on some case.
        CacheError: the cache cannot be read.
    """
    scorers = [scorer for scorer in experiment.scorers if scorer.judges]
    outputs: dict[int, str] = {}

    def note(lookup: TrialLookup) -> None:
        if scorers and lookup.status is TrialStatus.CACHED:
            outputs[lookup.trial] = lookup.heads[-1].output

    found = planned(experiment, options, options.pricing(experiment), note)
    if not scorers:
        return found
    return replace(found, judging=_judging(found, scorers, outputs, options))


def _judging(
    found: Plan,
    scorers: Sequence[Scorer],
    outputs: Mapping[int, str],
    options: RunOptions,
) -> tuple[PlannedJudgements, ...]:
    """What the judges of these scorers take, by model."""
    rows = found.table.assign(
        output=[outputs.get(trial, "") for trial in range(len(found.statuses))]
    )
    fields = found.experiment.dataset.fields
    answered = list(outputs)
    to_come = [trial for trial in range(len(rows)) if trial not in outputs]
    asked = _asked(scorers, rows.iloc[answered], fields, options)
    cached = _cached(asked.values(), options)
    judges = [judge for scorer in scorers for judge in scorer.judges]
    totals: list[_Total] = []
    by_id: dict[int, _Total] = {}  # equal judges are one; few are other objects
    for judge in (*judges, *(judge for judge, _ in asked.values())):
        if id(judge) not in by_id:
            by_id[id(judge)] = _total_of(judge, totals, options)
    for key, (judge, request) in asked.items():
        by_id[id(judge)].note(request, cached=key in cached)
    if to_come and not options.offline:
        bounds = _most_answered(found.experiment, to_come)
        unanswered = Rows(rows.iloc[to_come], fields)
        for total in totals:
            times = judges.count(total.judge)
            total.expect(unanswered, bounds, times, len(rows))
    return _by_model(totals)


Asked = dict[str, tuple[Judge, Request]]
"""By key, what is asked and who is."""


def _asked(
    scorers: Iterable[Scorer],
    table: pd.DataFrame,
    fields: Sequence[str],
    options: RunOptions,
) -> Asked:
    """The judgements that scoring these rows asks for, each once."""
    asked: Asked = {}

    def ask(
        judge: Judge, seen: Sequence[Mapping[str, Any]]
    ) -> Sequence[Mapping[str, Score]]:
        for row in filter(judge.has_answers, seen):
            for repeat in range(judge.repeats):
                request = judge.request(row, options.base_url_for, repeat)
                asked.setdefault(request.key, (judge, request))
        return [dict.fromkeys(judge.names, Score(None, NOT_ASKED)) for _ in seen]

    def embed(
        texts: Sequence[str | None], model: str, dimensions: int | None
    ) -> Vectors:
        return no_vectors(len(texts), NOT_ASKED)

    rows = Rows(table, fields, ask=ask, embed=embed)
    for scorer in scorers if len(rows) else ():
        try:
            scorer.evaluate(rows)
        except KeyError:  # it needs what only a run's table has, such as latency_s
            for judge in scorer.judges:
                ask(judge, rows.seen(judge))
    return asked


def _cached(
    asked: Iterable[tuple[Judge, Request]], options: RunOptions
) -> frozenset[str]:
    """The keys of those that are cached, or are as asked of a server that refused the
    JSON Schema."""
    reads = options.use_cache and not options.refresh
    cache = open_cache(options.cache) if reads else None
    if cache is None:
        return frozenset()
    plain = {request.key: _without_schema(request) for _, request in asked}
    found = cache.heads([*plain, *(key for key in plain.values() if key)])
    return frozenset(
        key for key, other in plain.items() if key in found or other in found
    )


def _without_schema(request: Request) -> str:
    """The key of a request without its JSON Schema; empty if it has none."""
    if "response_format" not in request.body:
        return ""
    body = {n: v for n, v in request.body.items() if n != "response_format"}
    return Request(request.base_url, body, request.repeat).key


class _Total:
    """Sums what the judgements of one judge take."""

    def __init__(self, judge: Judge, options: RunOptions) -> None:
        self.judge = judge
        self.cached = self.known = 0
        self._options = options
        self._base_url = judge.base_url or options.base_url_for(judge.model)
        body = judge.body(dict.fromkeys(judge.answers, ""), self._base_url)
        self._counter = counter_for(judge.model)
        bounds = most_output(body), self._counter.tool_tokens(body)
        self._least, self._most = Estimate(*bounds), Estimate(*bounds)

    def note(self, request: Request, *, cached: bool) -> None:
        """Notes a judgement of an answer that is there."""
        self.known += 1
        if cached:
            self.cached += 1
        elif not self._options.offline:
            self._add(self._tokens(request.body), 0)

    def expect(
        self, rows: Rows, bounds: Sequence[float], times: int, trials: int
    ) -> None:
        """Notes the judgements of trials that are still to be answered.

        Args:
            rows: Those trials.
            bounds: The most tokens of each one's answer.
            times: How often the judge is asked of each trial.
            trials: How many there are, answered ones included.
        """
        empty = dict.fromkeys(self.judge.answers, "")
        sizes = [
            self._tokens(self.judge.body(row | empty, self._base_url))
            for row in rows.seen(self.judge)
        ]
        each = times * self.judge.repeats
        number = len(rows) * each
        if len(self.judge.answers) > 1:  # each may be compared with one that is there
            number = trials * each - self.known
        pairs = zip(sizes, bounds, strict=True)
        for size, most in itertools.islice(itertools.cycle(pairs), number):
            self._add(size, most * len(self.judge.answers))

    def planned(self) -> PlannedJudgements:
        """What they take."""
        counted = Observations(self._counter).calibration
        tier = self.judge.parameters.get("service_tier")
        now = when(time.time())
        context = PriceContext(self._base_url, self.judge.model, None, tier, *now)
        price = self._options.prices_in_force.price(context)
        least, most = self._least, self._most
        return PlannedJudgements(
            model=self.judge.model,
            cached=self.cached,
            new=least.calls,
            input_tokens=Range(
                least.input_tokens(counted).low, most.input_tokens(counted).high
            ),
            output_tokens=least.output_tokens,
            cost_usd=Range(
                least.cost_usd(price, counted).low, most.cost_usd(price, counted).high
            ),
            free=is_free(price, context),
        )

    def _tokens(self, body: Mapping[str, Any]) -> float:
        contents = (message["content"] for message in body["messages"])
        return self._counter.messages(map(text_in, contents))

    def _add(self, tokens: float, answers: float) -> None:
        self._least.add([tokens], ())
        self._most.add([tokens + answers], ())


def _total_of(judge: Judge, totals: list[_Total], options: RunOptions) -> _Total:
    """That of an equal judge, or a new one at the end of these."""
    for total in totals:
        if total.judge == judge:
            return total
    totals.append(_Total(judge, options))
    return totals[-1]


def _most_answered(experiment: Definition, trials: Iterable[int]) -> list[float]:
    """The most tokens that the answer of each of these trials may have."""
    variants = experiment.effective_variants
    bounds = [most_output(variant.parameters) for variant in variants]
    return [bounds[trial // experiment.repeats % len(bounds)] for trial in trials]


def _by_model(totals: Iterable[_Total]) -> tuple[PlannedJudgements, ...]:
    found: dict[str, PlannedJudgements] = {}
    for more in (total.planned() for total in totals):
        before = found.get(more.model)
        found[more.model] = more if before is None else before.plus(more)
    return tuple(found.values())
