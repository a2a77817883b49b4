"""Means of cases that may be alike: their errors, intervals and tests."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from promptlab.stats.intervals import Interval

Numbers = NDArray[np.float64]


class Mean(NamedTuple):
    """Means and what is needed to judge them; each field is an array of one shape."""

    value: Any
    error: Any
    """The standard error; NaN with fewer than two clusters."""
    freedom: Any
    """Degrees of freedom: the number of clusters with a value, less one."""
    count: Any
    """How many values are not missing."""

    def interval(self, level: float = 0.95) -> Interval:
        """The mean ± t·error (Student 1908); valid for 30 values or more, or fewer
        that are about normal; for 20 clusters or more where values come in clusters.

        It has no width if all values are equal: of 0/1 scores take `wilson`.
        """
        half = _quantile(self.freedom, (1 + level) / 2) * self.error
        return Interval(self.value, self.value - half, self.value + half)

    def p_value(self, expected: ArrayLike = 0.0) -> Any:
        """Two-sided p of t = (mean − expected)/error; 1 if neither differs nor varies.

        Valid when `interval` is.
        """
        upper, lower = self.one_sided(expected)
        return np.minimum(1.0, 2 * np.minimum(upper, lower))

    def p_equivalent(self, margin: float) -> Any:
        """p of the claim that the mean lies within ±margin: two one-sided t tests.

        The greater of both p (TOST; Schuirmann 1987). It is at most 0.05 just where the
        90 % interval lies inside ±margin. Not the same as a high p of a difference,
        which also too few cases give.
        """
        above, _ = self.one_sided(-margin)
        _, below = self.one_sided(margin)
        return np.maximum(above, below)

    def one_sided(self, expected: ArrayLike = 0.0) -> tuple[Any, Any]:
        """p that the mean is greater than expected, and p that it is less."""
        from scipy.special import stdtr

        away = self.value - np.asarray(expected)
        with np.errstate(divide="ignore", invalid="ignore"):
            t = np.where(away == 0, 0.0, away / self.error)
        return stdtr(self.freedom, -t), stdtr(self.freedom, t)


def mean(values: ArrayLike, clusters: ArrayLike | None = None) -> Mean:
    """The mean over the last axis, with an error that holds if cases come in clusters.

    `values` (… × cases) are means over repeats, NaN where missing; `clusters` (cases)
    has the same label for cases that are alike, such as questions on one document.

    The variance is G/(G−1)·Σ_g(Σ_i(s_ig − s̄))²/n², for G clusters that hold n values:
    the cluster-robust variance of a mean (Liang & Zeger 1986; Miller 2024,
    arXiv:2411.00640, eq. 4), with the usual correction for few of them. If each case is
    a cluster of its own, it is s²/n.

    Valid if clusters are independent of each other; from about 20 of them. Repeats of
    one case are not new cases: average them first, or give them one cluster.
    """
    values = np.asarray(values, dtype=float)
    present = ~np.isnan(values)
    count = present.sum(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        value = np.where(present, values, 0.0).sum(axis=-1) / count
        away = np.where(present, values - value[..., None], 0.0)
        groups = count
        if clusters is not None:
            away = by_cluster(away, clusters)
            groups = (by_cluster(present, clusters) > 0).sum(axis=-1)
        squares = (away**2).sum(axis=-1)
        error = np.sqrt(groups / (groups - 1) * squares) / count
        error = np.where(groups > 1, error, np.nan)[()]
    return Mean(value, error, groups - 1, count)


def case_means(scores: ArrayLike) -> Numbers:
    """The mean of each case over its repeats, the last axis; NaN if all are missing."""
    scores = np.asarray(scores, dtype=float)
    present = ~np.isnan(scores)
    with np.errstate(invalid="ignore"):
        total = np.where(present, scores, 0.0).sum(axis=-1)
        return np.asarray(total / present.sum(axis=-1))


def by_cluster(values: ArrayLike, clusters: ArrayLike) -> Numbers:
    """Sums over the clusters of the last axis: … × cases become … × clusters."""
    values = np.asarray(values, dtype=float)
    labels, codes = np.unique(np.asarray(clusters), return_inverse=True)
    if len(codes) != values.shape[-1]:
        raise ValueError(
            f"expected a cluster for each of {values.shape[-1]} cases, got {len(codes)}"
        )
    if len(labels) == 0:
        return values
    order = np.argsort(codes, kind="stable")
    starts = np.searchsorted(codes[order], np.arange(len(labels)))
    return np.asarray(np.add.reduceat(values[..., order], starts, axis=-1))


def is_binary(values: ArrayLike) -> Any:
    """Whether all values of the last axis are 0 or 1, missing ones aside."""
    values = np.asarray(values, dtype=float)
    return ((values == 0) | (values == 1) | np.isnan(values)).all(axis=-1)


def _quantile(freedom: Any, share: float) -> Any:
    from scipy.special import stdtrit

    return stdtrit(np.where(np.asarray(freedom) > 0, freedom, np.nan), share)
