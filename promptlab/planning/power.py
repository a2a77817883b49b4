"""Power: how many cases and repeats a difference takes, and what they cost."""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from promptlab.analysis.scores import Scores, scores_of
from promptlab.errors import SpecError, brief
from promptlab.formats import counted, dollars, points
from promptlab.money.estimate import Range
from promptlab.planning.plan import Plan, cost_in_words
from promptlab.render.analysis import Analysis, Shown
from promptlab.stats.means import is_binary
from promptlab.stats.power import (
    Variances,
    cases_needed,
    detectable,
    mcnemar_cases_needed,
    mcnemar_detectable,
    variances,
)

if TYPE_CHECKING:
    import pandas as pd

    from promptlab.results.results import Results

REPEATS = (1, 2, 3, 5)
"""The numbers of repeats that are looked at."""

FEW_CASES, FEW_UNITS = 20, 30
"""Below these, variances of a pilot and the normal approximation are rough."""

EXACT = 20_000
"""Up to so many cases McNemar's test is computed; above, by the normal approximation,
which is a few per cent lower."""

MOST = 1e12
"""Cases that nobody has."""


class Design(NamedTuple):
    """A number of cases and repeats, what it shows and what it takes."""

    cases: int
    repeats: int
    detectable: float
    """The least difference that it shows with the chance wanted, in units of the
    score; NaN if it shows none."""
    trials: int
    cost_usd: Range
    """What all trials cost at list price, at least and at most, with nothing cached."""


@dataclass(frozen=True, kw_only=True)
class Expected:
    """How much scores are expected to vary, and how that is known."""

    variances: Variances
    binary: bool = False
    """Whether each score is 0 or 1: then one repeat is tested by McNemar's test."""
    shares: bool = False
    """Whether scores lie between 0 and 1, so that differences are points."""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Power(Shown):
    """How many cases an experiment needs to see a difference: `.table` has each number
    of repeats, `.recommended` what to run; shown as a card or text."""

    name: str
    """The experiment's."""
    mde: float
    """The minimum detectable effect: the difference of scores that is to be seen."""
    power: float
    alpha: float
    comparisons: int
    expected: Expected
    designs: tuple[Design, ...]
    """For each number of repeats, the fewest cases that show `mde`."""
    now: Design
    """The experiment as it is: all cases of its dataset, its repeats."""
    unpriced: tuple[str, ...] = ()
    """The models, not on this machine, whose price is unknown."""
    free: tuple[str, ...] = ()
    """The models on this machine without a price: assumed to be free."""

    @property
    def enough(self) -> bool:
        """Whether the dataset has as many cases as `recommended`."""
        return self.recommended.cases <= self.now.cases

    @cached_property
    def recommended(self) -> Design:
        """The fewest repeats for which the dataset has enough cases, as cases tell more
        than repeats for the same price; if it never has, the fewest trials."""
        fitting = [one for one in self.designs if one.cases <= self.now.cases]
        return fitting[0] if fitting else min(self.designs, key=lambda one: one.trials)

    @property
    def table(self) -> pd.DataFrame:
        """A row for each of `designs`, and one for the experiment as it is (`now`):
        `cases`, `repeats`, `detectable`, `trials`, `cost_low` and `cost_high` in US
        dollars, `in_dataset` (whether it has so many cases)."""
        import pandas as pd

        return pd.DataFrame(
            [
                {
                    "cases": one.cases,
                    "repeats": one.repeats,
                    "detectable": one.detectable,
                    "trials": one.trials,
                    "cost_low": one.cost_usd.low,
                    "cost_high": one.cost_usd.high,
                    "in_dataset": one.cases <= self.now.cases,
                }
                for one in (*self.designs, self.now)
            ]
        )

    @property
    def headline(self) -> str:
        """What to run to see the difference, and what that costs, in one line."""
        one = self.recommended
        return (
            f"to see {self._difference(self.mde)} takes {_size(one)}: "
            f"{counted(one.trials, 'trial')}, cost: "
            f"{cost_in_words(one.cost_usd, self.unpriced, self.free)}"
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """What the dataset can show, and what the numbers rest on, one line each."""
        among = f", shared by {self.comparisons:,} comparisons" * (self.comparisons > 1)
        lines = [
            self._on_dataset(),
            f"Seen means: with a chance of {self.power:.0%}, two-sided at "
            f"α = {self.alpha:g}{among}",
            *self.expected.notes,
        ]
        if self.recommended.cases < FEW_UNITS:
            lines.append(f"Below {FEW_UNITS} cases these numbers are only about right")
        return (*lines, "Costs are what plan() says with nothing cached")

    def _on_dataset(self) -> str:
        has = f"The dataset has {counted(self.now.cases, 'case')}"
        seen = f"as it is, {_size(self.now)}, the experiment sees {self._seen}"
        if self.enough:
            return f"{has}, which are enough; {seen}"
        return f"{has}, {self.recommended.cases - self.now.cases:,} too few; {seen}"

    @property
    def _seen(self) -> str:
        """What the experiment as it is shows, in words."""
        least = self.now.detectable
        if math.isnan(least):
            return "no difference, however great"
        return f"{self._difference(least)} or more"

    def _difference(self, value: float) -> str:
        text = points(value, share=self.expected.shares)
        return text if self.expected.shares else f"a difference of {text}"

    def _shown(self) -> Analysis:
        rows = [
            [
                "as it is" if one is self.now else "needed",
                f"{one.cases:,}",
                f"{one.repeats:,}",
                points(one.detectable, share=self.expected.shares),
                f"{one.trials:,}",
                dollars(one.cost_usd.low),
                dollars(one.cost_usd.high),
            ]
            for one in (*self.designs, self.now)
        ]
        return Analysis(
            kind="Power",
            title=f"{self.name}: {self.headline}",
            head=[
                *("", "cases", "repeats", "sees", "trials"),
                *("costs at least", "at most"),
            ],
            rows=rows,
            texts=1,
            notes=self.notes,
            total=len(rows),
        )


def power(
    plan: Plan,
    mde: float,
    expected: Expected,
    *,
    power: float = 0.8,
    alpha: float = 0.05,
    comparisons: int | None = None,
) -> Power:
    """What it takes to see a difference of `mde`, at the prices of a plan in which
    nothing is cached.

    Raises:
        SpecError: if a number is out of bounds, or there is nothing to compare.
    """
    experiment = plan.experiment
    cases, each = len(experiment.dataset), experiment.repeats
    variants = len(experiment) // (cases * each)
    if variants < 2:
        raise SpecError(
            "power compares variants, and the grid has only one: give some parameter "
            "two values or more"
        )
    if comparisons is None:
        comparisons = variants - 1
    whole = isinstance(comparisons, int) and not isinstance(comparisons, bool)
    if not whole or comparisons < 1:
        raise SpecError(f"comparisons: expected an integer >= 1, got {comparisons!r}")
    mde = _between("mde", mde, 0, 1 if expected.shares else math.inf)
    chances: dict[str, Any] = {
        "power": _between("power", power, 0.5, 1),
        "alpha": _between("alpha", alpha, 0, 0.5),
        "comparisons": comparisons,
    }

    def design(cases: int, repeats: int, seen: float) -> Design:
        trials = variants * cases * repeats
        part = trials / len(experiment)
        low, high = plan.total_usd
        return Design(cases, repeats, seen, trials, Range(low * part, high * part))

    helps = expected.variances.within_a + expected.variances.within_b > 0
    repeats = sorted({*(REPEATS if helps else REPEATS[:1]), each})
    unpriced = [
        judge.model
        for judge in plan.judging
        if judge.new and not judge.free and math.isnan(judge.cost_usd.low)
    ]
    return Power(
        name=experiment.name,
        mde=mde,
        expected=expected,
        designs=tuple(
            design(_needed(mde, expected, number, chances), number, mde)
            for number in repeats
        ),
        now=design(cases, each, _seen(cases, expected, each, chances)),
        unpriced=tuple(dict.fromkeys((*plan.unpriced, *unpriced))),
        free=plan.free,
        **chances,
    )


def expected(
    *,
    mde: float,
    pilot: Results | pd.DataFrame | None = None,
    score: str | None = None,
    variances: Sequence[float] | None = None,
    base_rate: float | None = None,
) -> Expected:
    """How much scores vary: from a pilot, or as stated.

    Raises:
        SpecError: unless just one of the three is given, and of use.
    """
    given = {"pilot": pilot, "variances": variances, "base_rate": base_rate}
    names = [name for name, value in given.items() if value is not None]
    if len(names) != 1:
        raise SpecError(
            "how much do scores vary? expected one of pilot= (results with a score), "
            "variances= (between cases, and within one for each variant) and "
            f"base_rate= (the share of right answers), got {', '.join(names) or 'none'}"
        )
    if score is not None and pilot is None:
        raise SpecError(f"score={score!r} is a column of a pilot: give pilot= as well")
    if pilot is not None:
        return _from_pilot(scores_of(pilot, score))
    if base_rate is not None:
        return _from_base_rate(base_rate, mde)
    assert variances is not None
    return Expected(variances=_stated(variances))


def _from_pilot(scores: Scores) -> Expected:
    """The variances of each variant with the best, of the pair in the middle."""
    if scores.lower_is_better:
        raise SpecError(
            f"of {scores.name!r} lower is better, and power plans for scores of which "
            "more is better: name another score, or give variances="
        )
    if scores.clusters is not None:
        raise SpecError(
            "the pilot's cases come in clusters, which power does not count: "
            "pl.leaderboard(pilot).cases_needed(mde) says how many clusters it takes"
        )
    if len(scores) < 2:
        raise SpecError(
            "expected a pilot of two variants or more, whose scores are compared; "
            f"it has {len(scores)}"
        )
    best = max(range(len(scores)), key=lambda place: _mean_of(scores, place))
    of_best = scores.by_repeat(best)
    found = [
        variances(of_best, scores.by_repeat(place))
        for place in range(len(scores))
        if place != best
    ]
    known = [one for one in found if not math.isnan(one.between)]
    if not known:
        raise SpecError(
            f"expected a pilot with 2 cases or more that two variants have a score of "
            f"{scores.name!r} for; from about {FEW_CASES} its variances are of use"
        )
    known.sort(key=lambda one: float(one.of_difference()))
    middle = known[len(known) // 2]
    if middle.of_difference() == 0:
        raise SpecError(
            "in the pilot variants do not differ in how cases score, so nothing says "
            "how much they vary: run more cases, or give base_rate= or variances="
        )
    cases, repeats = of_best.shape
    basis = [
        f"Variances are those of {scores.name} in a pilot of "
        f"{counted(len(scores), 'variant')} × {counted(cases, 'case')} × "
        f"{counted(repeats, 'repeat')}",
        *scores.notes,
    ]
    if cases < FEW_CASES:
        basis.append(f"A pilot of fewer than {FEW_CASES} cases may be far off")
    if repeats == 1:
        basis.append(
            "The pilot has one repeat, which does not say what more of them would gain"
        )
    return Expected(
        variances=middle,
        binary=bool(is_binary(scores.trials[None, :])[0]),
        shares=scores.shares,
        notes=tuple(basis),
    )


def _mean_of(scores: Scores, place: int) -> float:
    known = scores.means[place][scores.means[place] == scores.means[place]]
    return float(known.mean()) if len(known) else -math.inf


def _from_base_rate(base_rate: float, mde: float) -> Expected:
    """The variance of two shares that are independent, `mde` apart: p(1−p) + q(1−q)."""
    rate = _between("base_rate", base_rate, 0, 1)
    away = _between("mde", mde, 0, 1)
    others = [other for other in (rate - away, rate + away) if 0 <= other <= 1]
    if not others:
        raise SpecError(
            f"no share is {points(away)} from a base rate of {rate:g}: expected mde of "
            f"at most {max(rate, 1 - rate):g}"
        )
    between = rate * (1 - rate) + max(other * (1 - other) for other in others)
    return Expected(
        variances=Variances(between),
        binary=True,
        shares=True,
        notes=(
            f"Variances are those of a base rate of {rate:g} if variants are right "
            "independently of each other; where they agree on cases, fewer will do, "
            "as a pilot would show",
        ),
    )


def _stated(given: Sequence[float]) -> Variances:
    wanted = (
        "variances: expected 1 to 3 numbers >= 0, not all 0 (between cases, and within "
        f"one for each variant), got {brief(given)}"
    )
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise SpecError(wanted)
    values = list(given)
    if not 1 <= len(values) <= 3 or not all(map(_is_number, values)):
        raise SpecError(wanted)
    if min(values) < 0 or not sum(values) > 0:
        raise SpecError(wanted)
    return Variances(*map(float, values))


def _needed(
    mde: float, expected: Expected, repeats: int, chances: dict[str, Any]
) -> int:
    found = float(cases_needed(mde, expected.variances, repeats=repeats, **chances))
    if not found < MOST:
        raise SpecError(
            f"to see a difference of {mde:g} takes more than {MOST:,.0f} cases: "
            "expected a greater mde"
        )
    cases = max(2, math.ceil(found))
    if expected.binary and repeats == 1 and cases <= EXACT:
        variance = float(expected.variances.of_difference())
        discordant = min(1.0, max(mde, variance + mde**2))
        return mcnemar_cases_needed(mde, discordant, **chances)
    return cases


def _seen(
    cases: int, expected: Expected, repeats: int, chances: dict[str, Any]
) -> float:
    if expected.binary and repeats == 1 and cases <= EXACT:
        variance = float(expected.variances.of_difference())
        return mcnemar_detectable(cases, variance, **chances)
    if cases < 2:
        return math.nan
    least = float(detectable(cases, expected.variances, repeats=repeats, **chances))
    return math.nan if expected.shares and least > 1 else least


def _between(name: str, value: Any, low: float, high: float) -> float:
    if _is_number(value) and low < value < high:
        return float(value)
    above = f" and < {high:g}" if math.isfinite(high) else ""
    hint = ""
    if name == "mde" and _is_number(value) and 1 <= value < 100:
        hint = f"; scores are shares: {value:g} points are mde={value / 100:g}"
    raise SpecError(
        f"{name}: expected a number > {low:g}{above}, got {brief(value)}{hint}"
    )


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer that no float holds
        return False


def _size(design: Design) -> str:
    return f"{counted(design.cases, 'case')} × {counted(design.repeats, 'repeat')}"
