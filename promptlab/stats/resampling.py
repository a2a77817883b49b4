"""Resampling: what else could have been seen, had other cases been drawn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from promptlab.stats.means import Numbers, by_cluster

BLOCK = 4_000_000
"""How many numbers are held at a time."""


def resampled_means(
    scores: ArrayLike,
    clusters: ArrayLike | None = None,
    *,
    resamples: int = 2_000,
    seed: int = 0,
) -> tuple[Numbers, Numbers]:
    """Means of variants when cases are drawn with replacement, all variants together.

    `scores` is variants × cases, means over repeats, NaN where missing. Whole clusters
    are drawn if cases come in `clusters`. Returns, each resamples × variants, the means
    of the cases drawn and those of the cases not drawn (about 37 %, "out of bag"); NaN
    if there are none (Efron & Tibshirani 1993, ch. 6). The order of the cases changes
    nothing but the last digits.
    """
    scores = np.asarray(scores, dtype=float)
    scores, clusters = _in_order(scores, clusters)
    present = ~np.isnan(scores)
    sums, counts = np.where(present, scores, 0.0), present.astype(float)
    if clusters is not None:
        sums, counts = by_cluster(sums, clusters), by_cluster(counts, clusters)
        order = np.lexsort((*counts[::-1], *sums[::-1]))
        sums, counts = sums[:, order], counts[:, order]
    drawn = times_drawn(sums.shape[1], resamples, seed)
    left = (drawn == 0).astype(float)
    even = bool((counts == counts[:1]).all())  # one variant's counts do for all
    divisors = counts[:1] if even else counts
    with np.errstate(divide="ignore", invalid="ignore"):
        return (
            drawn @ sums.T / (drawn @ divisors.T),
            left @ sums.T / (left @ divisors.T),
        )


def times_drawn(units: int, resamples: int, seed: int) -> Numbers:
    """How often each unit is drawn: resamples × units, each row adding up to units."""
    dice = np.random.default_rng(seed)
    drawn = np.zeros((resamples, units))
    step = max(1, BLOCK // max(units, 1))
    for start in range(0, resamples, step):
        rows = min(step, resamples - start)
        picked = dice.integers(0, max(units, 1), (rows, units))
        picked += units * np.arange(rows)[:, None]
        counts = np.bincount(picked.ravel(), minlength=rows * units)
        drawn[start : start + rows] = counts.reshape(rows, units)
    return drawn


class Bootstrap(NamedTuple):
    """A statistic, its standard error and an interval."""

    value: float
    error: float
    low: float
    high: float


def bootstrap(
    values: ArrayLike,
    statistic: Callable[[Numbers], Any],
    clusters: ArrayLike | None = None,
    *,
    level: float = 0.95,
    resamples: int = 2_000,
    seed: int = 0,
) -> Bootstrap:
    """Any statistic of cases with an interval, such as a median or cost per success.

    `values` is … × cases: several rows are drawn together, so that a ratio or a
    difference of two stays paired. `statistic` takes such an array and reduces its last
    axis. Whole clusters are drawn if cases come in `clusters`.

    The interval is BCa, corrected for bias and skew by the jackknife (Efron &
    Tibshirani 1993, ch. 14). Valid from about 20 units, and for statistics that change
    smoothly; a median needs more. Not for maxima. Without a spread, of no width.
    """
    values, clusters = _in_order(np.asarray(values, dtype=float), clusters)
    members = [np.array([place]) for place in range(values.shape[-1])]
    if clusters is not None:
        codes = np.unique(clusters, return_inverse=True)[1]
        members = [np.flatnonzero(codes == one) for one in range(codes.max() + 1)]
        members.sort(key=lambda places: (len(places), places.tolist()))
    units = len(members)
    dice = np.random.default_rng(seed)
    if clusters is None:
        drawn: list[Any] = []
        step = max(1, BLOCK // max(values.size, 1))
        for start in range(0, resamples, step):
            rows = min(step, resamples - start)
            picked = dice.integers(0, units, (rows, units))
            drawn.extend(np.atleast_1d(statistic(values[..., picked])))
    else:
        drawn = [
            statistic(values[..., np.concatenate([members[one] for one in picked])])
            for picked in dice.integers(0, units, (resamples, units))
        ]
    seen = float(statistic(values))
    jackknifed = np.array(
        [statistic(np.delete(values, places, axis=-1)) for places in members]
    )
    found = np.asarray(drawn, dtype=float)
    low, high = np.quantile(found, _bca(seen, found, jackknifed, level))
    return Bootstrap(seen, float(found.std(ddof=1)), float(low), float(high))


def _bca(seen: float, drawn: Numbers, jackknifed: Numbers, level: float) -> Numbers:
    """The shares of the draws at which the interval ends."""
    from scipy.special import ndtr, ndtri

    below = ((drawn < seen).mean() + (drawn <= seen).mean()) / 2
    bias = ndtri(np.clip(below, 1 / len(drawn), 1 - 1 / len(drawn)))
    away = jackknifed.mean() - jackknifed
    squares = (away**2).sum()
    skew = (away**3).sum() / (6 * squares**1.5) if squares > 0 else 0.0
    z = bias + ndtri(np.array([(1 - level) / 2, (1 + level) / 2]))
    return np.asarray(ndtr(bias + z / (1 - skew * z)))


def _in_order(values: Numbers, clusters: ArrayLike | None) -> tuple[Numbers, Any]:
    """The cases in an order that depends on their values only, so that equal seeds draw
    equal resamples however the rows of a table stand."""
    order = np.lexsort(np.atleast_2d(values)[::-1])
    return values[..., order], None if clusters is None else np.asarray(clusters)[order]
