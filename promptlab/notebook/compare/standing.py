"""Standings: how each column of a comparison scores, alone and against the baseline.

The unit is the case: repeats of one, and other parameters, are averaged first. What is
counted, and how, is that of `promptlab.leaderboard`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from promptlab.analysis.scores import means_by_case, score_interval
from promptlab.notebook.compare.comparison import Comparison
from promptlab.stats.paired import TIE, compare

WON, LOST, TIED, MISSING_SCORE = "won", "lost", "tied", "unscored"
OUTCOMES = (WON, LOST, TIED, MISSING_SCORE)
"""What a case can be of a column: better, worse or as good as in the baseline; with an
answer that has no score."""


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How a column scores on some rows."""

    interval: tuple[float, float, float]
    """Its score, and the ends of the 95 % interval."""
    cases: int
    """How many cases have a score."""
    missing: int
    """How many answered trials have none."""
    delta: tuple[float, float, float] | None = None
    """Its score minus the baseline's on the same cases, and the ends of the interval;
    None where it is the baseline, or they have no case in common."""
    outcomes: tuple[int, int, int] = (0, 0, 0)
    """The cases that it won, lost and tied."""

    @property
    def sure(self) -> bool:
        """Whether the interval of the difference leaves 0 out."""
        return self.delta is not None and not self.delta[1] <= 0 <= self.delta[2]


def standings(
    comparison: Comparison,
    name: str,
    columns: Sequence[int],
    baseline: int | None,
    rows: np.ndarray,
) -> list[Standing]:
    """How each of the columns scores on some rows; `baseline` is a column."""
    means = case_means(comparison, name, columns, rows)
    interval = score_interval(means, shares=is_share(comparison, name))
    counts = (~np.isnan(means)).sum(axis=1)
    base = np.full(means.shape[1], np.nan)
    if baseline is not None:
        base = case_means(comparison, name, [baseline], rows)[0]
    found = compare(means, base)
    better = _won_lost(comparison, name, means - base)
    return [
        Standing(
            interval=_ends(interval.value[i], interval.low[i], interval.high[i]),
            cases=int(counts[i]),
            missing=int(missing(comparison, name, column, rows).sum()),
            delta=_ends(found.delta[i], found.low[i], found.high[i])
            if column != baseline and found.cases[i]
            else None,
            outcomes=(
                int((better[i] > 0).sum()),
                int((better[i] < 0).sum()),
                int((better[i] == 0).sum()),
            ),
        )
        for i, column in enumerate(columns)
    ]


def of_outcome(
    comparison: Comparison,
    name: str,
    kind: str,
    column: int,
    baseline: int | None,
    rows: np.ndarray,
) -> np.ndarray:
    """Which of some rows belong to a case with that outcome in a column."""
    if kind == MISSING_SCORE:
        return missing(comparison, name, column, rows)
    if baseline is None:
        return np.zeros(len(rows), dtype=bool)
    means = case_means(comparison, name, [column, baseline], rows)
    better = _won_lost(comparison, name, means[0] - means[1])
    wanted = {WON: 1, LOST: -1, TIED: 0}[kind]
    return np.asarray((better == wanted)[comparison.case_codes[rows]])


def case_means(
    comparison: Comparison, name: str, columns: Sequence[int], rows: np.ndarray
) -> np.ndarray:
    """Columns × cases: the mean score of each case in some rows, NaN where missing."""
    cases = comparison.case_codes
    number = int(cases.max(initial=-1)) + 1
    positions = comparison.positions[rows][:, list(columns)]
    there = positions >= 0
    row, column = np.nonzero(there)
    scores = comparison.scored(name)[positions[there]]
    shape = (len(columns), number)
    return means_by_case(column, cases[rows][row], scores, shape)


def missing(
    comparison: Comparison, name: str, column: int, rows: np.ndarray
) -> np.ndarray:
    """Which of some rows have an answer in a column, but no score for it."""
    positions = comparison.positions[rows, column]
    unknown = np.isnan(comparison.scored(name)) & ~comparison.failed
    return np.asarray((positions >= 0) & unknown[positions])


def is_share(comparison: Comparison, name: str) -> bool:
    """Whether all values of a score lie between 0 and 1."""
    scores = comparison.scored(name)
    return not bool(((scores < 0) | (scores > 1)).any())


def _won_lost(comparison: Comparison, name: str, differences: np.ndarray) -> np.ndarray:
    """1 where a difference is for the better, −1 for the worse, 0 for none, NaN where
    it is not known."""
    for_better = -1 if comparison.lower_is_better(name) else 1
    level = np.where(np.abs(differences) <= TIE, 0.0, differences)
    return np.asarray(for_better * np.sign(level))


def _ends(value: float, low: float, high: float) -> tuple[float, float, float]:
    return float(value), float(low), float(high)
