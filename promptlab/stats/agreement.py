"""Agreement of raters, judges among them: beyond what chance would give."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from promptlab.stats.intervals import Interval, normal, wilson
from promptlab.stats.means import Numbers, mean
from promptlab.stats.resampling import times_drawn

LEVELS = ("nominal", "ordinal", "interval", "ratio")


class Kappa(NamedTuple):
    """Cohen's κ; see `cohen_kappa`."""

    value: float
    error: float
    """Asymptotic standard error (Fleiss, Cohen & Everitt 1969)."""
    agreement: float
    """The share of items on which both raters agree."""

    def interval(self, level: float = 0.95) -> Interval:
        """κ ± z·error; valid for 50 items or more."""
        half = normal(level) * self.error
        return Interval(self.value, self.value - half, self.value + half)


def cohen_kappa(table: ArrayLike) -> Kappa:
    """κ = (p_o − p_e)/(1 − p_e) of two raters, from their table of counts.

    `table` is the categories of the one × those of the other.

    p_o is the share of agreement, p_e what independent raters with these margins would
    reach (Cohen 1960). 1 is full agreement, 0 none beyond chance. Low if nearly all
    items are of one category, however much raters agree: show the table and p_o too.
    NaN if both gave the same single category to everything.
    """
    shares = np.asarray(table, dtype=float)
    count = shares.sum()
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = shares / count
        rows, columns = shares.sum(axis=1), shares.sum(axis=0)
        observed, expected = float(np.trace(shares)), float(rows @ columns)
        kappa = np.float64(observed - expected) / (1 - expected)
        margins = rows[None, :] + columns[:, None]  # p_·i + p_j·, transposed as in FCE
        same = np.diag(shares) * (1 - np.diag(margins) * (1 - kappa)) ** 2
        other = (shares * margins**2).sum() - (
            np.diag(shares) * np.diag(margins) ** 2
        ).sum()
        inner = (
            same.sum()
            + (1 - kappa) ** 2 * other
            - (kappa - expected * (1 - kappa)) ** 2
        )
        error = np.sqrt(max(inner, 0.0) / count) / (1 - expected)
    return Kappa(float(kappa), float(error), observed)


def kappa_interval(
    one: ArrayLike,
    other: ArrayLike,
    clusters: ArrayLike | None = None,
    *,
    squared: bool = False,
    level: float = 0.95,
) -> Interval:
    """κ of two raters with an interval, from what each said of every item.

    1 − D/E, for the mean difference D of an item's two ratings and the mean difference
    E of any rating of the one and any of the other. Differences are 0/1 (Cohen 1960),
    or with `squared` those of numbers, squared: weighted κ (Cohen 1968), which is also
    the concordance of Lin (1989), so that the numbers need not be whole.

    The error is by the delta method (as Fleiss, Cohen & Everitt 1969), summed within
    `clusters`, a label for each item such as its case; the interval is ± t·error, and
    where all ratings agree it reaches down to where Wilson's interval of the agreement
    does. Valid from about 20 clusters. NaN if all ratings are the same.
    """
    x, y = np.asarray(one, dtype=float), np.asarray(other, dtype=float)
    groups = np.arange(len(x)) if clusters is None else np.asarray(clusters)
    number = len(np.unique(groups))
    apart, by_chance, from_chance = _differs(x, y)
    differ = float(by_chance)
    if squared:
        apart, by_chance, from_chance = _squares(x, y)
    if not len(x) or differ == 0:
        return Interval(np.nan, np.nan, np.nan)
    ratio = float(apart.mean() / by_chance)
    if ratio == 0:
        least = wilson(number, number, level).low
        return Interval(1.0, max(-1.0, 1 - (1 - float(least)) / differ), 1.0)
    moved = (ratio * from_chance - (apart - apart.mean())) / by_chance
    found = mean(moved, groups).interval(level)
    half = float(found.high - found.value)
    return Interval(1 - ratio, max(-1.0, 1 - ratio - half), min(1.0, 1 - ratio + half))


def _differs(x: Numbers, y: Numbers) -> tuple[Numbers, float, Numbers]:
    """Whether each item's ratings differ, how often any two do, and how much each item
    moves that."""
    values, codes = np.unique(np.concatenate([x, y]), return_inverse=True)
    a, b = codes[: len(x)], codes[len(x) :]
    shares = [np.bincount(of, minlength=len(values)) / max(len(x), 1) for of in (a, b)]
    by_chance = 1 - float(shares[0] @ shares[1])
    from_chance = (1 - shares[1][a]) + (1 - shares[0][b]) - 2 * by_chance
    return np.asarray(a != b, dtype=float), by_chance, from_chance


def _squares(x: Numbers, y: Numbers) -> tuple[Numbers, float, Numbers]:
    """The same of squared differences."""
    by_chance = x.var() + y.var() + (x.mean() - y.mean()) ** 2
    from_chance = (x - y.mean()) ** 2 + y.var() + (y - x.mean()) ** 2 + x.var()
    return (x - y) ** 2, float(by_chance), from_chance - 2 * by_chance


def fleiss_kappa(counts: ArrayLike) -> float:
    """κ of several raters, the same number for each item.

    `counts` (items × categories) says how many chose each category.
    (P̄ − P̄_e)/(1 − P̄_e), for the mean share of agreeing pairs P̄ and P̄_e = Σp_j² (Fleiss
    1971). Where raters miss items, `krippendorff_alpha`. NaN if all is one category.

    Raises:
        ValueError: if items have different numbers of ratings, or fewer than 2.
    """
    counts = np.asarray(counts, dtype=float)
    raters = counts.sum(axis=1)
    if len(raters) == 0 or (raters != raters[0]).any() or raters[0] < 2:
        raise ValueError("expected the same number of ratings, 2 or more, of each item")
    n = raters[0]
    observed = float(((counts**2).sum(axis=1) - n).mean() / (n * (n - 1)))
    expected = float(((counts.sum(axis=0) / counts.sum()) ** 2).sum())
    return (observed - expected) / (1 - expected) if expected < 1 else float("nan")


def krippendorff_alpha(ratings: ArrayLike, level: str = "nominal") -> float:
    """Krippendorff's α = 1 − D_o/D_e of any number of raters.

    `ratings` is raters × items, NaN where one did not rate.
    D_o is the mean difference of ratings within items, D_e that of all ratings; the
    difference is 0/1 (`nominal`), of ranks (`ordinal`), squared (`interval`) or squared
    relative to the sum (`ratio`, for numbers that are not negative) (Krippendorff 2011,
    "Computing Krippendorff's alpha-reliability"). 1 is full agreement, 0 chance, below
    0 systematic disagreement; 0.8 is called reliable, 0.667 is the least to draw
    tentative conclusions from. NaN if all ratings are the same.

    Raises:
        ValueError: if the level of measurement is none of `LEVELS`.
    """
    counts, differences, _ = _ratings(ratings, level)
    return float(_alpha(counts, differences, np.ones((1, len(counts))))[0])


def krippendorff_interval(
    ratings: ArrayLike,
    level: str = "nominal",
    clusters: ArrayLike | None = None,
    *,
    confidence: float = 0.95,
    resamples: int = 2_000,
    seed: int = 0,
) -> Interval:
    """Krippendorff's α with an interval: its quantiles when items are drawn again.

    Whole `clusters` are drawn, if items have labels of these. Where all ratings agree,
    it reaches down to where Wilson's interval of the agreement does. Valid from about
    30 items or clusters. For raters that stand for others, their number counts as well,
    which this leaves out.

    Raises:
        ValueError: as `krippendorff_alpha` does.
    """
    counts, differences, rated = _ratings(ratings, level)
    groups = np.arange(len(counts))
    if clusters is None:
        counts = counts[np.lexsort(counts.T[::-1])]
    else:
        groups = np.unique(np.asarray(clusters)[rated], return_inverse=True)[1]
    units = int(groups.max(initial=-1)) + 1
    value = float(_alpha(counts, differences, np.ones((1, len(counts))))[0])
    if value == 1:
        return Interval(value, float(wilson(units, units, confidence).low), value)
    times = times_drawn(units, resamples, seed)
    drawn = _alpha(counts, differences, times[:, groups])
    drawn = drawn[~np.isnan(drawn)]
    if len(drawn) == 0:
        return Interval(value, np.nan, np.nan)
    low, high = np.quantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(value, float(low), float(high))


class PositionBias(NamedTuple):
    """What the order in which two outputs are shown does; see `position_bias`."""

    flipped: Interval
    """The share of pairs whose verdict changed with the order."""
    first: Interval
    """Of decided verdicts, the share for what was shown first: ½ without a bias."""
    p: float
    """Two-sided, exact, of the pairs that followed the position."""


def position_bias(
    first_then: ArrayLike, first_swapped: ArrayLike, level: float = 0.95
) -> PositionBias:
    """Whether a judge prefers a place, from pairs that it saw in both orders.

    For each pair and both orders: 1 if what was shown first won, 0 if it lost, ½ for a
    tie. A verdict that keeps to an output is 1 and 0; one that keeps to a place is the
    same twice. The intervals are Wilson's, p is binomial among those of a place.
    Valid for independent pairs.
    """
    from scipy.special import bdtr

    a, b = np.asarray(first_then, float), np.asarray(first_swapped, float)
    both = ~(np.isnan(a) | np.isnan(b))
    a, b = a[both], b[both]
    flipped = np.abs(a + b - 1) > 0
    front = int(((a == 1) & (b == 1)).sum())
    back = int(((a == 0) & (b == 0)).sum())
    verdicts = np.concatenate([a, b])
    decided = verdicts != 0.5
    wins = int((verdicts == 1).sum())
    # Two verdicts of one pair are not independent: the share is that of so many pairs.
    pairs = max(int(decided.sum()) / 2, 1e-12)
    return PositionBias(
        wilson(int(flipped.sum()), len(a), level),
        wilson(wins / 2, pairs, level),
        float(min(1.0, 2 * bdtr(min(front, back), front + back, 0.5))),
    )


def _ratings(ratings: ArrayLike, level: str) -> tuple[Numbers, Numbers, Any]:
    """How often each item got each value (items × values, rated twice or more), the
    squared difference of each two values, and which items these are."""
    if level not in LEVELS:
        raise ValueError(f"unknown level {level!r}; valid names: {', '.join(LEVELS)}")
    ratings = np.asarray(ratings, dtype=float)
    values = np.unique(ratings[~np.isnan(ratings)])
    counts = (ratings.T[:, :, None] == values).sum(axis=1).astype(float)
    rated = counts.sum(axis=1) >= 2
    counts = counts[rated]
    return counts, _differences(values, counts.sum(axis=0), level), rated


def _differences(values: Numbers, frequencies: Numbers, level: str) -> Numbers:
    if level == "nominal":
        return np.asarray(values[:, None] != values, dtype=float)
    if level == "ordinal":  # ranks, as Σ n_g between both less half of each
        values = np.cumsum(frequencies) - frequencies / 2
    apart = np.asarray((values[:, None] - values) ** 2)
    if level == "ratio":
        sums = (values[:, None] + values) ** 2
        apart = np.divide(apart, sums, out=np.zeros_like(apart), where=sums > 0)
    return apart


def _alpha(counts: Numbers, differences: Numbers, weights: Numbers) -> Numbers:
    """α for each row of weights, which say how often each item counts."""
    rated = counts.sum(axis=1)
    within = ((counts @ differences) * counts).sum(axis=1) / np.maximum(rated - 1, 1)
    totals = weights @ counts
    all_ratings = totals.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        observed = weights @ within / all_ratings
        expected = ((totals @ differences) * totals).sum(axis=1)
        expected = expected / (all_ratings * (all_ratings - 1))
        return np.asarray(np.where(expected > 0, 1 - observed / expected, np.nan))
