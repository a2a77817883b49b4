"""Scores: a score of a table as variants × cases, what all analyses begin with."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from promptlab.errors import PromptlabWarning, SpecError, did_you_mean
from promptlab.formats import counted, label, plain_text
from promptlab.results.results import Results
from promptlab.results.schema import Schema
from promptlab.stats.intervals import Interval, wilson
from promptlab.stats.means import Mean, is_binary, mean

Numbers = NDArray[np.float64]
Errors = Literal["zero", "drop"]

DIGITS = 12
"""Means are rounded to so many, lest the order of the rows shows in the last digit."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Scores:
    """A score of each variant on each case; repeats are averaged.

    Variants and cases are in an order of their own, not that of the rows.
    """

    table: pd.DataFrame
    name: str
    by: tuple[str, ...]
    """The columns whose values make a variant."""
    values: tuple[tuple[Any, ...], ...]
    """The values of each variant, one for each column of `by`."""
    means: Numbers
    """Variants × cases, means over repeats; NaN where no score is known."""
    repeats: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]
    """The variant, the case and the place among the repeats of each trial."""
    trials: Numbers
    """The score of each trial, in the order of `repeats`."""
    rows: NDArray[np.int64]
    """The place of each of these trials in the table."""
    cases: tuple[Any, ...]
    """The id of each case."""
    clusters: NDArray[np.int64] | None
    """The cluster of each case; None if each is one of its own."""
    failed: NDArray[np.int64]
    """How many trials of each variant failed."""
    missing: NDArray[np.int64]
    """How many trials of each variant were answered but have no score."""
    costs: Numbers
    """Variants × cases: the mean cost of a trial in US dollars."""
    latencies: Numbers
    """The median latency of each variant in seconds."""
    lower_is_better: bool = False
    measured: bool = False
    """Whether it is what a run measures, such as latency, and no scorer's score."""
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.values)

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """What each variant is called: the values of its columns."""
        return tuple(" · ".join(label(one) for one in each) for each in self.values)

    @cached_property
    def shares(self) -> bool:
        """Whether all scores lie between 0 and 1, so that differences are points."""
        if self.measured:
            return False
        known = self.trials[~np.isnan(self.trials)]
        return len(known) == 0 or bool(known.min() >= 0 and known.max() <= 1)

    @property
    def sign(self) -> int:
        """1, or -1 if lower is better: times a score, more is better."""
        return -1 if self.lower_is_better else 1

    @property
    def good(self) -> Numbers:
        """The means times `sign`."""
        return self.means * self.sign

    @property
    def heading(self) -> str:
        """The score's name, and that lower is better where it is."""
        return f"{self.name} (lower is better)" if self.lower_is_better else self.name

    @property
    def title(self) -> str:
        """What is compared, and on how many cases."""
        cases = counted(self.means.shape[1], "case")
        if self.clusters is not None:
            cases += f" in {counted(len(np.unique(self.clusters)), 'cluster')}"
        variants = counted(len(self), "variant")
        return f"{self.heading} by {', '.join(self.by)} · {variants} × {cases}"

    @cached_property
    def index(self) -> pd.DataFrame:
        """The columns of `by`, a row for each variant."""
        columns = zip(*self.values, strict=True)
        return pd.DataFrame(
            {name: list(of) for name, of in zip(self.by, columns, strict=True)}
        )

    @cached_property
    def levels(self) -> tuple[NDArray[np.int64], list[list[Any]]]:
        """The number of each variant's level of each column, and the levels' values."""
        codes, values = [], []
        for column in zip(*self.values, strict=True):
            firsts: dict[Any, Any] = {}
            for one in column:
                firsts.setdefault(_hashable(one), one)
            place = {key: number for number, key in enumerate(firsts)}
            codes.append([place[_hashable(one)] for one in column])
            values.append([*firsts.values()])
        return np.array(codes, dtype=np.int64).T, values

    def ends(self, low: Any, high: Any, reach: Any = 1.0) -> tuple[Any, Any]:
        """The ends of intervals of differences: of shares at most `reach` from 0."""
        if not self.shares:
            return low, high
        return np.maximum(low, -reach), np.minimum(high, reach)

    def filled(self, value: float) -> Numbers:
        """The means if each missing verdict had been this score."""
        return means_by_case(
            self.repeats[0],
            self.repeats[1],
            np.where(np.isnan(self.trials), value, self.trials),
            self.means.shape,
        )

    def by_repeat(self, variant: int) -> Numbers:
        """The scores of a variant as cases × repeats, NaN where one is missing."""
        return self._by_repeat(variant, self.trials, np.nan)

    def outputs(self, variant: int) -> NDArray[np.object_]:
        """The outputs of a variant as cases × repeats, None where one is missing."""
        outputs = self.table["output"].astype(object)
        texts = outputs.where(outputs.notna(), None).to_numpy(dtype=object)[self.rows]
        return self._by_repeat(variant, texts, None)

    def _by_repeat(self, variant: int, of: NDArray[Any], missing: Any) -> NDArray[Any]:
        variants, cases, places = self.repeats
        mine = variants == variant
        shape = (self.means.shape[1], int(places.max(initial=-1)) + 1)
        table = np.full(shape, missing, dtype=of.dtype)
        table[cases[mine], places[mine]] = of[mine]
        return table


def scores_of(
    results: Results | pd.DataFrame,
    score: str | None = None,
    by: str | Sequence[str] | None = None,
    *,
    cluster: str | None = None,
    errors: Errors = "zero",
    lower_is_better: bool | None = None,
    wordings: bool = False,
) -> Scores:
    """A score of results, or of any table with their columns.

    Args:
        score: its column; may be left out if there is only one.
        by: the columns whose values make a variant; all parameters that vary unless
            given. Trials that differ in other columns are averaged within their case.
        cluster: a column with the same value for cases that are alike; of results of a
            later stage, that of the case of the first.
        errors: a failed trial scores 0, or with "drop" has no score; nor has it one
            where lower is better, since 0 would be the best.
        lower_is_better: unless given, as the scorer says, and so of latency, cost and
            numbers of tokens.
        wordings: whether each wording of a prompt is a variant of its own where `by` is
            not given; else they are averaged.

    Raises:
        SpecError: if a column is missing, a score is not numeric, or a case is in two
            clusters.
    """
    table = table_of(results)
    schema = Schema.of(table)
    name = _score_name(table, schema, score)
    columns = _columns(table, schema, by, wordings=wordings)
    if cluster is None and isinstance(results, Results):
        cluster = results.cluster
    if errors not in ("zero", "drop"):
        raise SpecError(f"expected errors='zero' or 'drop', got {errors!r}")
    variants, values = _coded(table, columns)
    cases, ids = _coded(table, ("case",))
    shape = (len(values), len(ids))

    failed = _failed(table)
    trials = _numeric(table, name)
    check_finite(trials, name)
    missing = np.isnan(trials) & ~failed
    lower = schema.lower_is_better(name) if lower_is_better is None else lower_is_better
    scored = errors == "zero" and not lower
    trials[failed] = 0.0 if scored else np.nan
    repeat = _numeric(table, "repeat") if "repeat" in table else np.zeros(len(table))
    order = np.lexsort((np.nan_to_num(trials, nan=np.inf), repeat, cases, variants))
    variants, cases, trials = variants[order], cases[order], trials[order]
    new = np.diff(variants * shape[1] + cases, prepend=-1) != 0
    starts = np.flatnonzero(new)
    places = np.arange(len(new)) - np.repeat(starts, np.diff([*starts, len(new)]))

    costs = np.full(shape, np.nan)
    if "cost_usd" in table:
        costs = means_by_case(
            variants, cases, _numeric(table, "cost_usd")[order], shape
        )
    latencies = np.full(shape[0], np.nan)
    if "latency_s" in table:
        seconds = pd.Series(_numeric(table, "latency_s")[order])
        latencies = seconds.groupby(variants).median().to_numpy()
    return Scores(
        table=table,
        name=name,
        by=columns,
        values=values,
        means=means_by_case(variants, cases, trials, shape),
        repeats=(variants, cases, places),
        trials=trials,
        rows=order,
        cases=tuple(case for (case,) in ids),
        clusters=None if cluster is None else _clusters(table, cluster, len(ids)),
        failed=np.bincount(variants, failed[order], shape[0]).astype(np.int64),
        missing=np.bincount(variants, missing[order], shape[0]).astype(np.int64),
        costs=costs,
        latencies=latencies,
        lower_is_better=lower,
        measured=schema.roles.get(name) == "outcome",
        notes=(
            *_on_score(results, name),
            *_notes(schema, failed, scored=scored, drop=errors == "drop"),
            *_on_wordings(table, schema, columns),
        ),
    )


def table_of(results: Results | pd.DataFrame) -> pd.DataFrame:
    """The table of results, or one with their columns.

    Raises:
        SpecError: if it is neither, has no cases, or no rows.
    """
    table = results.table if isinstance(results, Results) else results
    if not isinstance(table, pd.DataFrame):
        raise SpecError(
            "expected Results, or a DataFrame with the columns of Results.table, got "
            f"{type(results).__name__}"
        )
    if "case" not in table:
        raise SpecError("the table has no column 'case', which says what was asked")
    if not len(table):
        raise SpecError("the table has no trials to compare")
    return table


def _score_name(table: pd.DataFrame, schema: Schema, score: str | None) -> str:
    if score is None:
        if len(schema.scores) == 1:
            return schema.scores[0]
        found = ", ".join(map(repr, schema.scores)) or "none"
        raise SpecError(f"which score? the table has {found}: give score=")
    if score not in table:
        raise SpecError(
            f"the table has no column {score!r}{did_you_mean(score, schema.scores)}; "
            f"scores: {', '.join(schema.scores) or 'none'}"
        )
    return score


def _columns(
    table: pd.DataFrame,
    schema: Schema,
    by: str | Sequence[str] | None,
    *,
    wordings: bool,
) -> tuple[str, ...]:
    if by is None:
        nested = () if wordings else schema.wordings
        parameters = [n for n in schema.parameters if n in table and n not in nested]
        varying = [n for n in parameters if len(_column(table[n])[1]) > 1]
        chosen = tuple(varying or parameters[:1])
        if not chosen:
            raise SpecError("the table has no parameters to compare: give by=")
        return chosen
    columns = (by,) if isinstance(by, str) else tuple(by)
    for name in columns:
        if name not in table:
            raise SpecError(
                f"the table has no column {name!r}{did_you_mean(name, map(str, table))}"
            )
    if not columns:
        raise SpecError("expected one column or more in by=, got none")
    return columns


def _coded(
    table: pd.DataFrame, columns: Sequence[str]
) -> tuple[NDArray[np.int64], tuple[tuple[Any, ...], ...]]:
    """A number for each row's values in some columns, and the values; in the order in
    which they read, numbers by size."""
    codes, values = zip(*(_column(table[name]) for name in columns), strict=True)
    sizes = tuple(len(one) for one in values)
    together = np.ravel_multi_index(codes, sizes)
    distinct, numbers = np.unique(together, return_inverse=True)
    places = np.unravel_index(distinct, sizes)
    found = (
        tuple(of[place] for of, place in zip(values, row, strict=True))
        for row in zip(*places, strict=True)
    )
    return numbers.astype(np.int64), tuple(found)


def _column(column: pd.Series[Any]) -> tuple[NDArray[np.int64], list[Any]]:
    """The number of each row's value, and the values in order."""
    try:
        codes, distinct = pd.factorize(column, use_na_sentinel=False)
        values = list(distinct)
    except TypeError:  # lists and objects have no hash
        codes, _ = pd.factorize(np.array([plain_text(v) for v in column], object))
        values = [column.iloc[int(n)] for n in np.unique(codes, return_index=True)[1]]
    values = [None if _is_missing(one) else one for one in values]
    order = sorted(
        range(len(values)), key=lambda place: _rank(_hashable(values[place]))
    )
    ranks = np.empty(len(values), dtype=np.int64)
    ranks[order] = np.arange(len(values))
    return ranks[codes], [values[place] for place in order]


def _is_missing(value: Any) -> bool:
    return (
        value is None or value is pd.NA or (isinstance(value, float) and value != value)
    )


def _hashable(value: Any) -> Any:
    return value if isinstance(value, (int, float, str)) else plain_text(value)


def _rank(key: Any) -> tuple[int, float, str]:
    if isinstance(key, str):
        return 1, 0.0, key
    return 0, float(key), ""


def _numeric(table: pd.DataFrame, name: str) -> Numbers:
    try:
        numbers = pd.to_numeric(table[name])
    except (TypeError, ValueError) as error:
        raise SpecError(f"column {name!r} does not hold numbers: {error}") from error
    return numbers.to_numpy(dtype="float64", na_value=np.nan, copy=True)


def check_finite(numbers: Numbers, name: str) -> None:
    """Refuses scores that have no mean."""
    if infinite := int(np.isinf(numbers).sum()):
        raise SpecError(
            f"column {name!r} has {counted(infinite, 'infinite score')}; expected "
            "finite numbers, or NaN where there is no score"
        )


def _failed(table: pd.DataFrame) -> NDArray[np.bool_]:
    if "error" not in table:
        return np.zeros(len(table), dtype=bool)
    return table["error"].notna().to_numpy(dtype=bool)


def means_by_case(
    variants: NDArray[np.int64],
    cases: NDArray[np.int64],
    numbers: Numbers,
    shape: tuple[int, ...],
) -> Numbers:
    """Variants × cases: the mean of the numbers of each, given by trial; NaN where no
    trial has one."""
    known = ~np.isnan(numbers)
    places = (variants * shape[1] + cases)[known]
    size = shape[0] * shape[1]
    with np.errstate(invalid="ignore"):
        means = np.bincount(places, numbers[known], size) / np.bincount(
            places, minlength=size
        )
    return np.asarray(np.round(means, DIGITS).reshape(shape))


def score_interval(
    means: Numbers, clusters: NDArray[np.int64] | None = None, *, shares: bool
) -> Interval:
    """The score of each variant and its 95 % interval, from variants × cases.

    It is Wilson's where all means are 0 or 1 and there are no clusters, else Student's
    t, within 0 and 1 if scores are `shares`.
    """
    found = mean(means, clusters)
    value, low, high = found.interval()
    if shares:
        low, high = np.maximum(low, 0.0), np.minimum(high, 1.0)
    if clusters is None:
        binary = is_binary(means)
        exact = wilson(np.nansum(means, axis=1), found.count)
        low = np.where(binary, exact.low, low)
        high = np.where(binary, exact.high, high)
    return Interval(value, low, high)


def interval_by_group(
    groups: NDArray[np.int64], size: int, cases: NDArray[np.int64], values: Numbers
) -> Interval:
    """Of each group of trials the mean over cases of their mean values, and the ends of
    its 95 % interval, as `score_interval` has them; `groups` and `cases` number each
    trial's, and NaN is a missing value."""
    known = ~np.isnan(values)
    number = int(cases.max(initial=0)) + 1
    pairs, place = np.unique(groups[known] * number + cases[known], return_inverse=True)
    means = np.bincount(place, values[known]) / np.bincount(place)
    group = pairs // number
    count = np.bincount(group, minlength=size)
    with np.errstate(invalid="ignore", divide="ignore"):
        value = np.bincount(group, means, size) / count
        squares = np.bincount(group, (means - value[group]) ** 2, size)
        error = np.sqrt(squares / (count - 1) / count)
    error = np.where(count > 1, error, np.nan)
    _, low, high = Mean(value, error, count - 1, count).interval()
    if len(means) and means.min() >= 0 and means.max() <= 1:
        low, high = np.maximum(low, 0.0), np.minimum(high, 1.0)
    fractions = (means != 0) & (means != 1)
    binary = (np.bincount(group, fractions, size) == 0) & (count > 0)
    exact = wilson(np.where(binary, value * count, 0.0), count)
    return Interval(
        value,
        np.where(binary, exact.low, low),
        np.where(binary, exact.high, high),
    )


def _clusters(table: pd.DataFrame, name: str, cases: int) -> NDArray[np.int64]:
    if name not in table:
        raise SpecError(
            f"the table has no column {name!r}{did_you_mean(name, map(str, table))}"
        )
    codes, ids = _coded(table, ("case",))
    groups, values = _coded(table, (name,))
    pairs = np.unique(np.stack([codes, groups], axis=1), axis=0)
    if len(pairs) > cases:
        case = pairs[:-1][pairs[:-1, 0] == pairs[1:, 0]][0, 0]
        mine = [label(values[group][0]) for one, group in pairs if one == case]
        raise SpecError(
            f"case {ids[case][0]!r} is in {counted(len(mine), 'cluster')} of {name!r}: "
            f"{', '.join(mine[:4])}; a case is in one"
        )
    return np.asarray(pairs[:, 1], dtype=np.int64)


def _notes(
    schema: Schema, failed: NDArray[np.bool_], *, scored: bool, drop: bool
) -> tuple[str, ...]:
    lines = [schema.note] if schema.note else []
    if number := int(failed.sum()):
        of = counted(len(failed), "trial")
        if scored:
            lines.append(
                f'{number:,} of {of} failed and score 0; errors="drop" leaves them out'
            )
        else:
            lines.append(
                f"{number:,} of {of} failed and are left out: variants are compared on "
                "the cases that both answered, which may be the easier ones"
            )
        if drop:
            warnings.warn(lines[-1], PromptlabWarning, stacklevel=4)
    return tuple(lines)


def _on_wordings(
    table: pd.DataFrame, schema: Schema, columns: Sequence[str]
) -> list[str]:
    number = max((table[n].nunique() for n in schema.wordings if n in table), default=0)
    if number < 2 or not set(columns).isdisjoint(schema.wordings):
        return []
    return [
        f"Averaged over the wordings of each prompt, up to {number:,}; how far these "
        "are apart is in pl.sensitivity"
    ]


def _on_score(results: Results | pd.DataFrame, name: str) -> list[str]:
    """What to know of a score: who judged it, and how far people agree."""
    if not isinstance(results, Results):
        return []
    return results.score_notes.get(name, [])


def matching(scores: Scores, wanted: Any) -> dict[int, int]:
    """The columns of `scores.by`, and the levels of each, that a baseline names.

    It is a value of one of the columns, one value for each of them, or a mapping.

    Raises:
        SpecError: if no variant has them, or a value could be of several columns.
    """
    _, levels = scores.levels
    if isinstance(wanted, Mapping):
        for name in wanted:
            if name not in scores.by:
                raise SpecError(
                    f"baseline: {name!r} is not compared"
                    f"{did_you_mean(str(name), scores.by)}; by: {', '.join(scores.by)}"
                )
        found = {scores.by.index(name): value for name, value in wanted.items()}
    elif isinstance(wanted, (tuple, list)) and len(wanted) == len(scores.by) > 1:
        found = dict(enumerate(wanted))
    else:
        places = [n for n, of in enumerate(levels) if _place(of, wanted) is not None]
        if len(places) > 1:
            names = ", ".join(scores.by[n] for n in places)
            raise SpecError(
                f"baseline {wanted!r} is a value of {names}: give "
                f"baseline={{{scores.by[places[0]]!r}: {wanted!r}}}"
            )
        found = {places[0] if places else 0: wanted}
    matched = {}
    for place, value in found.items():
        level = _place(levels[place], value)
        if level is None:
            valid = [label(one) for one in levels[place]]
            raise SpecError(
                f"no {scores.by[place]} is {value!r}"
                f"{did_you_mean(label(value), valid)}; "
                f"valid values: {', '.join(valid[:20])}"
            )
        matched[place] = level
    return matched


def _place(levels: Sequence[Any], value: Any) -> int | None:
    """Where a value is among the levels, by itself or by its label."""
    for place, level in enumerate(levels):
        if _hashable(level) == _hashable(value):
            return place
    texts = [label(level) for level in levels]
    return texts.index(value) if isinstance(value, str) and value in texts else None
