"""Totals: what the unknown part of everything comes to, from the part that is known."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from promptlab.stats.intervals import Interval, students_t

Numbers = NDArray[np.float64]
Places = NDArray[np.int64]


UNKNOWN = Interval(math.nan, math.nan, math.nan)


def rest_of_total(
    values: Numbers, strata: Places, clusters: Places, left: Places, *, level: float
) -> Interval:
    """The sum of the positive values that are not known, with an interval.

    Of each unit that is known, `values` holds what it came to, `strata` the place of
    its stratum in `left`, which says how many units of it are not known, and `clusters`
    what it has in common with units of other strata.

    The sum is Σ uȳ over the strata, for u unknown units and the mean ȳ of k known ones;
    its variance is Σ (u+k)(u/k)s², where s² is the variance within the stratum: the
    stratified estimator with the finite population correction (Cochran, "Sampling
    Techniques", 5.3–5.5). Where the known units of a cluster move together, as those of
    a case that all variants were asked, the sum over clusters of their squared sums is
    greater, and taken instead. The degrees of freedom are Satterthwaite's, which are
    few where one stratum, such as a dear model, makes up most of the variance. The
    interval is Student's t on the logarithm of the sum, as amounts are skewed.

    A stratum with one known unit is taken to vary, relative to its mean, as the others
    do. NaN where a stratum has none; without an end where nothing has two.
    """
    open_ = left[strata] > 0
    values, strata, clusters = values[open_], strata[open_], clusters[open_]
    known = np.bincount(strata, minlength=len(left)).astype(float)
    if ((left > 0) & (known == 0)).any():
        return UNKNOWN
    means = np.bincount(strata, values, len(left)) / np.maximum(known, 1)
    value = float(left @ means)
    if value == 0 or value != value:
        return Interval(value, value, value)
    variance, freedom = _variance(values, strata, clusters, left, known, means)
    if variance != variance:
        return Interval(value, math.nan, math.nan)
    half = students_t(freedom, level) * math.sqrt(variance) / value
    with np.errstate(over="ignore"):
        return Interval(
            value, float(value * np.exp(-half)), float(value * np.exp(half))
        )


def _variance(
    values: Numbers,
    strata: Places,
    clusters: Places,
    left: Places,
    known: Numbers,
    means: Numbers,
) -> tuple[float, float]:
    """The variance of the sum, and its degrees of freedom."""
    away = values - means[strata]
    freedoms = np.maximum(known - 1, 0)
    squares = np.bincount(strata, away**2, len(left))
    several = freedoms > 0
    within = np.zeros(len(left))
    within[several] = squares[several] / freedoms[several]
    alone = known == 1
    if alone.any():
        usable = several & (means > 0)
        if not usable.any():
            return math.nan, math.nan
        relative = squares[usable] @ means[usable] ** -2.0 / freedoms[usable].sum()
        within[alone] = relative * means[alone] ** 2
    weights = left * (left + known) / np.maximum(known, 1)
    parts = weights * within
    stratified = float(parts.sum())
    scale = np.sqrt(weights / np.maximum(freedoms, 1)) * several
    together = np.bincount(clusters, scale[strata] * away)
    clustered = float(together @ together + parts[alone].sum())
    if clustered > stratified * (1 + 1e-9):  # equal, but for rounding, where none share
        count = len(np.unique(clusters))
        # Of n independent normal sums z, 3(Σz²)²/Σz⁴ is about n; of unequal ones, less.
        even = 3 * (together @ together) ** 2 / (together**4).sum() - 1
        return clustered, max(1.0, min(count - 1.0, float(even)))
    if stratified == 0:
        return 0.0, 1.0
    pooled = np.where(several, freedoms, freedoms.sum())
    spread = parts**2 / np.maximum(pooled, 1)
    return stratified, max(1.0, float(stratified**2 / spread.sum()))
