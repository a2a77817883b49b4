"""The front of score against cost: variants that no other beats in both."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from promptlab.stats.means import Numbers
from promptlab.stats.resampling import resampled_means


def front(costs: ArrayLike, scores: ArrayLike) -> NDArray[np.bool_]:
    """Which variants (the last axis) are on the front: none is as cheap and better, or
    as good and cheaper.

    Equal ones are on it together. A variant whose cost or score is NaN is not.
    """
    costs, scores = np.asarray(costs, dtype=float), np.asarray(scores, dtype=float)
    known = ~(np.isnan(costs) | np.isnan(scores))
    costs, scores = np.where(known, costs, np.inf), np.where(known, scores, -np.inf)
    order = np.lexsort((-scores, costs), axis=-1)
    ordered = np.take_along_axis(scores, order, axis=-1)
    cost = np.take_along_axis(costs, order, axis=-1)
    best = np.maximum.accumulate(ordered, axis=-1)
    nothing = np.full((*best.shape[:-1], 1), -np.inf)
    before = np.concatenate([nothing, best[..., :-1]], axis=-1)
    paid = np.concatenate([nothing, cost[..., :-1]], axis=-1)
    on = ordered > before
    for place in range(1, on.shape[-1]):  # twins of one that is on the front
        twin = (ordered[..., place] == ordered[..., place - 1]) & (
            cost[..., place] == paid[..., place]
        )
        on[..., place] |= twin & on[..., place - 1]
    result = np.zeros(on.shape, dtype=bool)
    np.put_along_axis(result, order, on, axis=-1)
    return np.asarray(result & known)


def chance_on_front(
    costs: ArrayLike,
    scores: ArrayLike,
    clusters: ArrayLike | None = None,
    *,
    resamples: int = 1_000,
    seed: int = 0,
) -> Numbers:
    """How often each variant is on the front when cases are drawn again.

    `costs` and `scores` (variants × cases, means over repeats) are drawn together, so
    that costly and hard cases stay together. A share of resamples, no probability that
    a variant is truly on the front; valid from about 50 units.
    """
    costs, scores = np.asarray(costs, dtype=float), np.asarray(scores, dtype=float)
    both, _ = resampled_means(
        np.concatenate([scores, costs]), clusters, resamples=resamples, seed=seed
    )
    count = len(scores)
    return np.asarray(front(both[:, count:], both[:, :count]).mean(axis=0))
