"""The forecast: what a run would cost, from a few answers that are bought for it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from promptlab.errors import SpecError
from promptlab.execution.runner import run
from promptlab.formats import counted, dollars, thousands
from promptlab.money.estimate import Range
from promptlab.planning.pilot import ObservedCosts, Pilot, look_up_costs
from promptlab.planning.plan import Plan, without
from promptlab.render.forecast_card import forecast_card
from promptlab.spec.definition import Definition
from promptlab.stats.intervals import Interval
from promptlab.stats.totals import rest_of_total

if TYPE_CHECKING:
    import pandas as pd

    from promptlab.errors import Failure
    from promptlab.results.results import Results, Status

VARIANTS = 12
"""Rows of the card's table."""

FEW = 8
"""Answers below which an interval says little, of skewed amounts above all."""


@dataclass(frozen=True, repr=False, eq=False, kw_only=True)
class Forecast:
    """What a run of an experiment would take now, after a pilot."""

    experiment: Definition
    cost_usd: float
    """What a run would still pay, in US dollars; NaN if that is unknown."""
    low: float
    high: float
    """The interval of it, within what the plan says is possible."""
    level: float
    """How often such an interval holds what a run then pays."""
    input_tokens: Interval
    """What a run would still send, and the interval of it."""
    output_tokens: Interval
    """What it would still be answered with, reasoning included, and its interval."""
    known_usd: float
    """What the cached answers cost at list price, the pilot's among them."""
    plan: Plan
    """What is left to do after the pilot: calls, and the bounds of their cost."""
    by: pd.DataFrame
    """One row for each variant: its parameters, the `answers` it is judged by, the
    trials that a run would still pay for (`left`), what one of these takes on average
    and what all of them take."""
    calls: int
    """How many calls the pilot made."""
    billed_usd: float
    """What they cost; NaN if a price is unknown."""
    failed: int
    """How many trials of the pilot failed."""
    status: Status
    """How the pilot ended: `complete`, also if none was needed."""
    notes: tuple[str, ...] = ()
    """What is worth knowing of the pilot, one line each."""

    @property
    def worst_case(self) -> float:
        """What a run would still pay at most, in US dollars: all of max_tokens."""
        return self.plan.cost_usd.high

    @property
    def total_usd(self) -> Interval:
        """What all answers cost in the end: those that are there, and the rest."""
        rest = self.cost_usd, self.low, self.high
        return Interval(*(self.known_usd + part for part in rest))

    @property
    def cost(self) -> str:
        """What a run would still pay, in words."""
        if not self.plan.calls:
            return "nothing: every answer is cached"
        if self.cost_usd == self.cost_usd:
            between = self._between(dollars, self.low, self.high)
            return f"{dollars(self.cost_usd)}{between}{without(self.plan.free)}"
        low, _ = self.plan.cost_usd
        return self.plan.cost if low != low else "not known"

    @property
    def tokens(self) -> str:
        """What a run would still send and be answered with, in words."""
        values = self.input_tokens.value, self.output_tokens.value
        if all(value != value for value in values):
            return "not known"
        return ", ".join(
            f"{thousands(value)} {way}{self._between(thousands, low, high)}"
            if value == value
            else f"an unknown number {way}"
            for way, (value, low, high) in (
                ("in", self.input_tokens),
                ("out", self.output_tokens),
            )
        )

    def __repr__(self) -> str:
        calls, known = self.plan.calls, self.cost_usd == self.cost_usd
        left = f"{counted(calls, 'call')} left, {'for' if known else 'cost'}"
        line = f"{left if calls else 'a run would pay'} {self.cost}"
        if self.status != "complete" or self.failed:
            line += f"; {self.notes[0]}"
        return f"Forecast({self.experiment.name!r}: {line})"

    def _repr_html_(self) -> str:
        return _card(self)

    def _between(self, written: Any, low: float, high: float) -> str:
        ends = written(low), written(high)
        if ends[0] == ends[1] or low != low:
            return ""
        most = "any number" if math.isinf(high) else ends[1]
        return f" ({ends[0]} to {most}, {self.level:.0%} sure)"


def forecast(experiment: Definition, pilot: Pilot, *, level: float = 0.9) -> Forecast:
    """Predict what a run would cost from the answers of a pilot, which are bought now.

    Sums and intervals are those of `stats.totals.rest_of_total`. In the simulations of
    `tests/stats` with four variants and more, an interval at 0.9 holds in at least 87
    of 100 cases; with fewer variants, two answers of each are too few. Cached answers
    are assumed to be like the missing ones.

    Raises:
        SpecError: an option is wrong, or a prompt fails on some case.
        CredentialsError: a key is needed and none was found.
        CacheError: the cache cannot be used.
    """
    if not isinstance(level, (int, float)) or not 0 < level < 1:
        raise SpecError(f"level: expected a share between 0 and 1, got {level!r}")
    plan, observed, asked = pilot.plan, pilot.observed, pilot.trials
    results = None
    if asked:
        results = run(experiment, pilot.options, asked)
        plan, observed = look_up_costs(experiment, pilot.options)
    failures = _failures(results, asked)
    cost = _interval(observed, "usd", level, plan.cost_usd)
    return Forecast(
        experiment=experiment,
        cost_usd=cost.value,
        low=cost.low,
        high=cost.high,
        level=level,
        input_tokens=_interval(observed, "input", level, plan.input_tokens),
        output_tokens=_interval(observed, "output", level, plan.output_tokens),
        known_usd=observed.usd,
        plan=plan,
        by=_by_variant(experiment, observed),
        calls=results.totals.calls if results is not None else 0,
        billed_usd=results.totals.billed_usd if results is not None else 0.0,
        failed=len(failures),
        status=results.status if results is not None else "complete",
        notes=(*_trouble(results, failures, len(asked)), *_doubts(plan, observed)),
    )


def _failures(results: Results | None, asked: Sequence[int]) -> list[Failure]:
    """Why trials of the pilot have no answer."""
    found = results.failures if results is not None else {}
    return [found[trial] for trial in asked if trial in found]


def _interval(
    observed: ObservedCosts, what: str, level: float, bounds: Range
) -> Interval:
    """What is left to take, and its interval, cut at what is possible."""
    found = rest_of_total(
        observed.took(what),
        observed.variants,
        observed.cases,
        observed.open,
        level=level,
    )
    value, low, high = found
    if value != value or bounds.low != bounds.low:
        return found
    least, most = min(bounds.low, value), max(bounds.high, value)
    # fmax and fmin give the bound if an end is NaN.
    return Interval(value, np.fmax(low, least).item(), np.fmin(high, most).item())


def _by_variant(experiment: Definition, observed: ObservedCosts) -> pd.DataFrame:
    """One row for each variant: its answers so far, and what is left to pay."""
    import pandas as pd

    from promptlab.results.table import trial_columns

    variants = len(experiment.effective_variants)
    columns = trial_columns(experiment, np.arange(variants) * experiment.repeats)
    answers = np.bincount(observed.variants, minlength=variants)
    by = {name: columns[name] for name in experiment.grid.parameters}
    by |= {"answers": answers, "left": observed.open}
    for what, name in (
        ("usd", "cost_usd"),
        ("input", "input_tokens"),
        ("output", "output_tokens"),
    ):
        sums = np.bincount(observed.variants, observed.took(what), variants)
        with np.errstate(divide="ignore", invalid="ignore"):
            means = np.where(answers > 0, sums / answers, np.nan)
        by[f"mean_{name}"] = means
        by[name] = np.where(observed.open > 0, means * observed.open, 0.0)
    return pd.DataFrame(by, copy=False)


def _trouble(
    results: Results | None, failures: Sequence[Failure], asked: int
) -> Iterator[str]:
    """What went wrong in the pilot."""
    if results is not None and results.status != "complete":
        why = f": {results.reason}" if results.reason else ""
        yield f"the pilot was {results.status}{why}"
    if failures:
        summaries = Counter(failure.summary for failure in failures)
        (often, _), *_ = summaries.most_common(1)
        yield (
            f"{len(failures):,} of the pilot's {asked:,} trials failed, and a run "
            f"would ask them again: {often}"
        )


def _doubts(plan: Plan, observed: ObservedCosts) -> Iterator[str]:
    """Why the interval is missing or unreliable, and what the project's budgets
    leave."""
    answers = np.bincount(observed.variants, minlength=len(observed.open))
    silent = np.flatnonzero((observed.open > 0) & (answers == 0)).tolist()
    used = int(answers[observed.open > 0].sum())
    if silent:
        first = str(plan.experiment.effective_variants[silent[0]].declared)
        which = first if len(silent) == 1 else f"{len(silent):,} variants ({first}, …)"
        yield f"no answers from {which}, so the total is unknown"
    elif plan.calls and used < FEW:
        yield f"based on only {used} answers; a larger pilot= gives a better forecast"
    if np.isnan(observed.took("output")).any():
        yield "the server did not report the tokens of every answer"
    scorers = plan.experiment.scorers
    if judges := dict.fromkeys(j.model for one in scorers for j in one.judges):
        yield f"without judgements by {', '.join(judges)}: plan() has what they take"
    yield from plan.notes


def _card(forecast: Forecast) -> str:
    """What is left to pay, what all comes to, the pilot, and each variant."""
    plan, worst, known = forecast.plan, forecast.worst_case, forecast.known_usd
    rows = [("left to pay", forecast.cost)]
    if plan.calls:
        if worst == worst:
            most = "unbounded (max_tokens is not set)"
            rows.append(("at most", most if math.isinf(worst) else dollars(worst)))
        rows.append(("tokens", forecast.tokens))
    if known == known:
        total = dollars(forecast.total_usd.value)
        cached = f"({dollars(known)} for cached answers)"
        rows.append(("total", f"{total} {cached}"))
    pilot = "no call: judged by cached answers"
    if forecast.calls:
        paid = forecast.billed_usd
        cost = f" for {dollars(paid)}" if paid == paid else ""
        pilot = f"{counted(forecast.calls, 'call')}{cost}"
    rows.append(("pilot", pilot))
    by = forecast.by[forecast.by["left"] > 0]
    priced = bool(by["cost_usd"].notna().any())
    amount, write = ("cost_usd", dollars) if priced else ("output_tokens", thousands)
    by = by.sort_values(amount, ascending=False, kind="stable")
    grid = forecast.experiment.grid
    names = [name for name in grid.parameters if len(grid.used(name)) > 1]
    variants = [
        (
            [_label(row[name]) for name in names],
            [
                f"{row['answers']:,}",
                f"{row['left']:,}",
                write(row[amount]) if priced or row[amount] == row[amount] else "–",
            ],
        )
        for row in by.head(VARIANTS).to_dict("records")
        if len(by) > 1
    ]
    return forecast_card(
        forecast.experiment.name,
        f"{counted(plan.calls, 'call')} left",
        rows,
        warnings=forecast.notes,
        parameters=names,
        measures=["answers", "to ask", "left to pay" if priced else "tokens out"],
        variants=variants,
        more=len(by) - VARIANTS,
    )


def _label(value: Any) -> str:
    if value is None or value != value:
        return "–"
    return f"{value:g}" if isinstance(value, float) else str(value)
