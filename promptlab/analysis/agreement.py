"""Agreement: whether a judge, or any other score, says what people say."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple, overload

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from promptlab.analysis.ratings import HUMAN, Human, Rated, preferred, rated
from promptlab.analysis.scores import check_finite, table_of
from promptlab.errors import (
    CacheError,
    PromptlabWarning,
    SpecError,
    brief,
    did_you_mean,
)
from promptlab.formats import (
    coefficient_text,
    counted,
    dollars,
    interval_text,
    label,
    number,
    plain_text,
    score_text,
)
from promptlab.render.analysis import Analysis, Shown
from promptlab.results.judged import keep_check
from promptlab.results.results import Results
from promptlab.results.schema import EXPLANATION, Schema
from promptlab.results.table import plain_values
from promptlab.stats.agreement import kappa_interval
from promptlab.stats.intervals import Interval, wilson
from promptlab.stats.means import mean

SHOWN = 10
"""Rows of the card; `.table` has all."""

RIGHT, WRONG = "right", "wrong"

WORDS = {
    **dict.fromkeys(("right", "pass", "yes", "true", "good", "correct", "1"), RIGHT),
    **dict.fromkeys(("wrong", "fail", "no", "false", "bad", "incorrect", "0"), WRONG),
}
"""What people write for right and wrong, in small letters."""


class Limit(NamedTuple):
    """From which number on a score is right."""

    threshold: float | None
    lower_is_better: bool = False

    def passes(self, value: float) -> bool:
        assert self.threshold is not None
        if self.lower_is_better:
            return value <= self.threshold
        return value >= self.threshold


@overload
def agreement(
    results: Results | pd.DataFrame,
    score: str,
    *,
    human: Human,
    threshold: float | None = None,
    cluster: str = "case",
) -> Agreement: ...
@overload
def agreement(
    results: Results | pd.DataFrame,
    score: list[str] | tuple[str, ...],
    *,
    human: Human,
    threshold: float | None = None,
    cluster: str = "case",
) -> Agreements: ...
def agreement(
    results: Results | pd.DataFrame,
    score: str | list[str] | tuple[str, ...],
    *,
    human: Human,
    threshold: float | None = None,
    cluster: str = "case",
) -> Agreement | Agreements:
    """How far a score, such as a judge's, agrees with what people say.

    It gives the share of agreement, and κ, agreement beyond chance, both with 95 %
    intervals that hold if rows of one case are alike; how often each rater said what;
    and the rows where they differ. Verdicts and labels are compared as such, graded
    numbers by weighted κ (`promptlab.stats.agreement.kappa_interval`). Votes on pairs
    are compared with which output of the pair scores higher.

    Args:
        results: results, or any table with their columns and one of scores.
        score: the column of the score; or several, for a table with a row for each.
        human: what people said: the name of a column; a Series with the index of the
            table, or an index that names columns of it; a DataFrame with a column
            `human` and columns that say what was rated, such as `case` and `prompt`,
            or `output`, and `rater` where several rated; or `pl.votes()`.
        threshold: the least score that is right (the greatest, where lower is better),
            where people said right or wrong; default: the scorer's.
        cluster: a column with the same value for rows that are alike.

    What is found of a judge is kept in the project, and shown with its scores from then
    on: in `summary()`, on cards and leaderboards.

    Raises:
        SpecError: if a column is missing, the ratings do not fit the table, or they and
            the score cannot be compared.

    Example:
        >>> import pandas as pd
        >>> table = pd.DataFrame({
        ...     "case": range(6), "output": list("abcdef"),
        ...     "polite": [1, 1, 1, 0, 0, 1], "said": [1, 1, 0, 0, 0, 1],
        ... })
        >>> print(agreement(table, "polite", human="said").title)
        polite and people agree on 83% [44, 97] of 6 rated; κ 0.67 [−0.14, 1.00]
    """
    table = table_of(results)
    name = results.experiment.name if isinstance(results, Results) else ""
    thresholds = _thresholds(results) if threshold is None else {}
    names = [score] if isinstance(score, str) else list(score)
    if not names:
        raise SpecError("expected one score or more, got none")
    each = tuple(
        _agreement(table, one, human, thresholds.get(one, threshold), cluster, name)
        for one in names
    )
    if isinstance(results, Results):
        each = tuple(_kept(results, one) for one in each)
    return each[0] if isinstance(score, str) else Agreements(each=each)


def _kept(results: Results, found: Agreement) -> Agreement:
    """What was found, which is kept for whoever looks at scores of the same judge."""
    column = results.score_columns.get(found.score)
    if column is None or column.judged_by is None:
        return found
    found = replace(found, cost_usd=column.judging_usd)
    if found.n:
        try:
            name = results.experiment.name
            keep_check(name, found.score, column.judged_by, found.check)
        except CacheError as error:
            warnings.warn(
                f"what is known of {found.score!r} is not kept: {error}",
                PromptlabWarning,
                stacklevel=4,
            )
    return found


def _thresholds(results: Results | pd.DataFrame) -> dict[str, float | None]:
    if not isinstance(results, Results):
        return {}
    return {name: of.threshold for name, of in results.score_columns.items()}


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Agreement(Shown):
    """A score beside what people say: shown as a card or text."""

    score: str
    said: Rated
    people: Sequence[Any]
    """What people said of each item that has both."""
    judge: Sequence[Any]
    """What the score says of it."""
    places: Sequence[int]
    """The places of these items among those rated."""
    clusters: NDArray[np.int64]
    graded: bool
    """Whether both are numbers that are more or less apart."""
    trials: pd.DataFrame
    """The table of all trials."""
    cost_usd: float = math.nan
    """What the judgements of all rows cost at list price; NaN if that is unknown, or
    no model was asked."""

    @property
    def n(self) -> int:
        """How many items have both."""
        return len(self.people)

    @property
    def missing(self) -> int:
        """Items that people rated and that have no score."""
        return len(self.said.values) - self.n

    @cached_property
    def agreement(self) -> Interval:
        """The share of items of which both say the same, with its 95 % interval."""
        same = np.array(self._same, dtype=float)
        if not len(same):
            return Interval(np.nan, np.nan, np.nan)
        units = len(np.unique(self.clusters))
        if units == len(same) or same.min() == same.max():
            return wilson(same.mean() * units, units)
        value, low, high = mean(same, self.clusters).interval()
        return Interval(value, max(0.0, low), min(1.0, high))

    @cached_property
    def kappa(self) -> Interval:
        """κ with its 95 % interval: 1 is full agreement, 0 what chance would give. Of
        graded scores it is weighted by the squared difference."""
        people, judge = self.people, self.judge
        if not self.graded:
            codes = {one: n for n, one in enumerate(self.labels)}
            people, judge = ([codes[one] for one in of] for of in (people, judge))
        return kappa_interval(people, judge, self.clusters, squared=self.graded)

    @cached_property
    def labels(self) -> list[Any]:
        """What was said, each once: right before wrong, numbers by size."""
        found = dict.fromkeys([*self.people, *self.judge])
        if found.keys() <= {RIGHT, WRONG}:
            return [RIGHT, WRONG]
        if all(isinstance(one, (int, float)) for one in found):
            return sorted(found)
        return sorted(found, key=str)

    @cached_property
    def confusion(self) -> pd.DataFrame | None:
        """How many items people called this and the score that: a row for each of
        people's, a column for each of the score's; None of graded scores."""
        if self.graded:
            return None
        place = {one: n for n, one in enumerate(self.labels)}
        counts = np.zeros((len(place), len(place)), dtype=int)
        for person, judge in zip(self.people, self.judge, strict=True):
            counts[place[person], place[judge]] += 1
        names = [label(one) for one in self.labels]
        return pd.DataFrame(
            counts,
            index=pd.Index(names, name="people"),
            columns=pd.Index(names, name=self.score),
        )

    @property
    def base_rate(self) -> float:
        """The share of items that people call right; NaN where that is not what they
        said."""
        if not self.n or self.labels != [RIGHT, WRONG]:
            return float("nan")
        return self.people.count(RIGHT) / self.n

    @cached_property
    def table(self) -> pd.DataFrame:
        """The items on which they differ: what varies, `case`, `repeat`, `human`, the
        score, its explanation and the output; of pairs both variants and what each
        rater calls the better one."""
        differ = [n for n, same in enumerate(self._same) if not same]
        items = [self.said.places[self.places[n]] for n in differ]
        said = {
            HUMAN: [self.people[n] for n in differ],
            self.score: [self.judge[n] for n in differ],
        }
        rows = self.trials.iloc[[item[0] for item in items]].reset_index(drop=True)
        if self.said.names is None:
            beside = [f"{self.score}{EXPLANATION}", "output"]
        else:
            names = [self.said.names[self.places[n]] for n in differ]
            said = {"one": [a for a, _ in names], "other": [b for _, b in names]} | said
            beside = []
        columns = {name: rows[name] for name in self._keys}
        columns |= {name: pd.Series(of, dtype=object) for name, of in said.items()}
        columns |= {name: rows[name] for name in beside if name in rows}
        return pd.DataFrame(columns)

    @cached_property
    def rows(self) -> pd.DataFrame:
        """The rows of the results on which they differ, with `human` beside: for
        `pl.compare(found.rows)`. Of pairs, both rows."""
        said: dict[int, Any] = {}
        for n, same in enumerate(self._same):
            if not same:
                pair = self.said.places[self.places[n]]
                said |= dict.fromkeys(pair, self.people[n])
        places = sorted(said)
        rows: pd.DataFrame = self.trials.iloc[places].copy()
        if HUMAN not in rows:
            rows[HUMAN] = [label(said[place]) for place in places]
        return rows

    @property
    def check(self) -> str:
        """What is known, in short: `κ 0.41 [0.20, 0.60] on 40 rated`."""
        return f"{coefficient_text('κ', *self.kappa)} on {self.n:,} rated"

    @property
    def title(self) -> str:
        """How far they agree, in one line."""
        what = "rated" if self.said.names is None else "pairs voted on"
        if not self.n:
            return f"{self.score} and people: nothing that is {what} has a score"
        share = interval_text(*self.agreement)
        kappa = coefficient_text("κ", *self.kappa)
        return f"{self.score} and people agree on {share} of {self.n:,} {what}; {kappa}"

    @property
    def notes(self) -> list[str]:
        """What to know of it, in sentences."""
        return [*self._on_values(), *self._on_what_is_left_out()]

    @cached_property
    def _same(self) -> list[bool]:
        return [bool(a == b) for a, b in zip(self.people, self.judge, strict=True)]

    @property
    def _keys(self) -> list[str]:
        """The columns that tell rows apart."""
        schema = Schema.of(self.trials)
        names = [*schema.parameters, *schema.names("case", "repeat")]
        told = [n for n in names if self.trials[n].map(plain_text).nunique() > 1]
        return told or ["case"]

    def _shown(self) -> Analysis:
        if self.confusion is not None and len(self.labels) <= SHOWN and self.n:
            return self._confused()
        rows = self.table.head(SHOWN)
        columns = [name for name in rows if name != "output"]
        return Analysis(
            kind="Agreement",
            title=self.title,
            head=[str(name) for name in columns],
            rows=[
                [_cell(value) for value in row]
                for row in rows[columns].itertuples(index=False)
            ],
            texts=len(columns),
            notes=self.notes,
            total=len(self.table),
            of="on which they differ",
        )

    def _confused(self) -> Analysis:
        assert self.confusion is not None
        names = [str(name) for name in self.confusion]
        rest = len(self.table)
        differ = "1 differs: .table lists it" if rest == 1 else ""
        differ = differ or f"{rest:,} differ: .table lists them"
        return Analysis(
            kind="Agreement",
            title=self.title,
            head=["people", *(f"{self.score}: {name}" for name in names), "all"],
            rows=[
                [str(name), *(f"{count:,}" for count in counts), f"{sum(counts):,}"]
                for name, counts in zip(
                    self.confusion.index,
                    self.confusion.to_numpy().tolist(),
                    strict=True,
                )
            ],
            texts=1,
            notes=[*[f"{differ}, pl.compare shows .rows"] * (rest > 0), *self.notes],
        )

    def _on_values(self) -> list[str]:
        if not self.n:
            return []
        if self.graded:
            judge, people = (np.asarray(of, float) for of in (self.judge, self.people))
            apart = float(judge.mean() - people.mean())
            word = "above" if apart >= 0 else "below"
            lines = [
                f"{self.score} is {number(abs(apart))} {word} people on average; κ is "
                "weighted by the squared difference"
            ]
        elif self.labels == [RIGHT, WRONG]:
            ours = list(self.judge).count(RIGHT) / self.n
            lines = [
                f"Base rate: people call {score_text(self.base_rate)} right, "
                f"{self.score} {score_text(ours)}"
            ]
        else:
            lines = []
        lines.append("κ is agreement beyond chance: 1 is full, 0 is what chance gives")
        most = max(map(list(self.people).count, set(self.people)))
        if not self.graded and most / self.n >= 0.9:
            lines.append(
                "Nearly all were called the same: κ is then low, or unknown, however "
                "much they agree"
            )
        units = len(np.unique(self.clusters))
        if units < 20:
            lines.append(
                f"Few cases ({units:,}): the intervals are rough below 20 of them"
            )
        return lines

    def _on_what_is_left_out(self) -> list[str]:
        parts = list(self.said.left_out)
        if self.missing:
            parts.insert(0, f"{self.missing:,} rated without a score")
        if self.said.unrated:
            parts.append(f"{counted(self.said.unrated, 'output')} nobody rated")
        left_out = f"Left out: {', '.join(parts)}"
        raters = f"Raters among themselves: {self.said.raters}"
        return [*[left_out] * bool(parts), *[raters] * bool(self.said.raters)]


def _cell(value: Any) -> str:
    return "" if value is None or value != value else label(value)


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Agreements(Shown):
    """Several scores, such as those of several judges, beside what people say."""

    each: tuple[Agreement, ...]

    @cached_property
    def table(self) -> pd.DataFrame:
        """A row for each score: `score`, `n` (rated, with a score), `agreement`,
        `kappa` and `base_rate` (the share that people call right), the first two each
        with `_low` and `_high` (95 %), `missing` (rated, without a score), and
        `cost_usd` (of the judgements of all rows, at list price; NaN if unknown)."""
        rows = []
        for one in self.each:
            row: dict[str, Any] = {"score": one.score, "n": one.n}
            for name, found in (("agreement", one.agreement), ("kappa", one.kappa)):
                row |= {name: found.value}
                row |= {f"{name}_low": found.low, f"{name}_high": found.high}
            row |= {"base_rate": one.base_rate, "missing": one.missing}
            rows.append({**row, "cost_usd": one.cost_usd})
        return pd.DataFrame(rows)

    def __getitem__(self, score: str) -> Agreement:
        """The agreement of one score."""
        for one in self.each:
            if one.score == score:
                return one
        names = [one.score for one in self.each]
        raise SpecError(
            f"no score {score!r}{did_you_mean(score, names)}; "
            f"scores: {', '.join(names)}"
        )

    def _shown(self) -> Analysis:
        rows = [
            [
                one.score,
                f"{one.n:,}",
                interval_text(*one.agreement),
                coefficient_text("", *one.kappa).strip(),
                f"{one.missing:,}",
                dollars(one.cost_usd),
            ]
            for one in self.each
        ]
        return Analysis(
            kind="Agreement",
            title=f"{counted(len(self.each), 'score')} and people",
            head=["score", "rated", "agree", "κ", "without a score", "judging"],
            rows=rows,
            texts=1,
            notes=[
                "κ is agreement beyond chance: 1 is full, 0 is what chance gives; "
                "scores whose intervals overlap may be alike"
            ],
        )


def _agreement(
    table: pd.DataFrame,
    score: str,
    human: Human,
    threshold: float | None,
    cluster: str,
    experiment: str,
) -> Agreement:
    schema = Schema.of(table)
    for name in (score, cluster):
        if name not in table:
            known = schema.scores if name == score else tuple(map(str, table))
            raise SpecError(
                f"the table has no column {name!r}{did_you_mean(str(name), known)}"
                + (f"; scores: {', '.join(schema.scores) or 'none'}")
            )
    said = rated(human, table, score, experiment)
    people: list[Any] = list(said.values)
    if said.names is None:
        scores = plain_values(table[score])
        judge = [scores[place] for (place,) in said.places]
        limit = Limit(threshold, schema.lower_is_better(score))
        if limit.lower_is_better and all(value in (0, 1, None) for value in judge):
            judge = [None if value is None else 1 - value for value in judge]
        people, judge, graded = _alike(people, judge, score, limit)
    else:
        judge, graded = _preferences(table, score, said), False
    kept = [n for n, value in enumerate(judge) if value is not None]
    groups = pd.factorize(table[cluster].map(plain_text))[0]
    return Agreement(
        score=score,
        said=said,
        people=[people[n] for n in kept],
        judge=[judge[n] for n in kept],
        places=kept,
        clusters=np.array([groups[said.places[n][0]] for n in kept], dtype=np.int64),
        graded=graded,
        trials=table,
    )


def _preferences(table: pd.DataFrame, score: str, said: Rated) -> list[Any]:
    """Which output of each pair scores higher."""
    assert said.names is not None
    try:
        scores = pd.to_numeric(table[score]).to_numpy("float64", na_value=np.nan)
    except (TypeError, ValueError):
        raise SpecError(
            f"votes say which of two outputs is better, and {score!r} is no number: "
            "rate outputs one by one to compare labels"
        ) from None
    if Schema.of(table).lower_is_better(score):
        scores = -scores
    pairs = zip(said.places, said.names, strict=True)
    return [preferred(scores, places, names) for places, names in pairs]


def _alike(
    people: list[Any], judge: list[Any], score: str, limit: Limit
) -> tuple[list[Any], list[Any], bool]:
    """What people and a score say, in the same words, and whether that is graded."""
    kinds = _kind(people), _kind(judge)
    if kinds == ("number", "number") and limit.threshold is None:
        for name, values in ((HUMAN, people), (score, judge)):
            check_finite(np.array(values, dtype=float), name)
        return people, judge, True
    verdicts = [_verdicts(of, limit) for of in (people, judge)]
    if "label" not in kinds or kinds == ("label", "verdict"):
        if verdicts[0] is None or verdicts[1] is None:
            side = HUMAN if verdicts[0] is None else score
            other = "people say" if side == score else f"{score!r} says"
            raise SpecError(
                f"{side!r} is graded and {other} right or wrong: threshold= says from "
                "which number on it is right"
            )
        return verdicts[0], verdicts[1], False
    labels = [[None if v is None else label(v) for v in of] for of in (people, judge)]
    theirs, ours = ({v for v in of if v is not None} for of in labels)
    if theirs and ours and not theirs & ours:
        raise SpecError(
            f"people and {score!r} have no word in common: people say "
            f"{brief(sorted(theirs))}, {score!r} {brief(sorted(ours))}"
        )
    return labels[0], labels[1], False


def _kind(values: Sequence[Any]) -> str:
    """`verdict` (0 and 1, or words for these), `number` or `label`."""
    known = [value for value in values if value is not None]
    if all(isinstance(value, (bool, int, float)) for value in known):
        return "verdict" if all(value in (0, 1) for value in known) else "number"
    return "label" if _verdicts(known, Limit(None)) is None else "verdict"


def _verdicts(values: Sequence[Any], limit: Limit) -> list[Any] | None:
    """Right and wrong, None where one is missing; None if they are something else."""
    verdicts: list[Any] = []
    numbers = [v for v in values if isinstance(v, (int, float))]
    graded = any(v not in (0, 1) for v in numbers)
    for value in values:
        if value is None:
            verdicts.append(None)
        elif graded and isinstance(value, (int, float)):
            if limit.threshold is None:
                return None
            verdicts.append(RIGHT if limit.passes(value) else WRONG)
        elif (word := WORDS.get(label(value).strip().casefold())) is not None:
            verdicts.append(word)
        else:
            return None
    return verdicts
