"""Spread: how far the wordings of one prompt are apart, beyond what chance does."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from promptlab.stats.means import Numbers, by_cluster, mean


class Spread(NamedTuple):
    """Wordings of one prompt on the same cases; see `spread`."""

    means: Numbers
    """Of each wording, over the cases that all have; NaN if there are none."""
    range: float
    """The highest of these minus the lowest."""
    deviation: float
    """The standard deviation of wordings' true means."""
    low: float
    high: float
    """The ends of its interval."""
    share: float
    """The part of the variance of a score that wordings make up, from 0 to 1."""
    cases: int


def spread(
    scores: ArrayLike, clusters: ArrayLike | None = None, *, level: float = 0.95
) -> Spread:
    """How far wordings (of wordings × cases, means over repeats) are apart.

    The range is what was seen. It grows with the number of wordings, and is above 0 by
    chance alone. The deviation is not: s² = Σ(ȳ_w − ȳ)²/(W−1) of W wordings, less V,
    the variance that the cases give such a mean, of what is left when the means of
    wordings and cases are taken out; V is 0 at the least. So σ_w = √(s² − V), the
    component of two-way analysis of variance without replication (Searle, Casella &
    McCulloch 1992, ch. 4): σ²_w = (MS_w − MS_e)/N. With `clusters`, V is that of means
    whose cases hang together.

    The interval is that of Tukey and Williams (Williams 1962, Biometrika 49:278): the
    ends of σ²_w are (W−1)(s² − F·V)/χ², with the quantiles of F on W−1 and (W−1)(N−1)
    and of χ² on W−1 degrees of freedom; 0 at the least. The share is
    σ²_w/(σ²_w + σ²_case + σ²_rest), from the same analysis.

    Valid if wordings are a random draw of those that could have been written, and
    about normal; for 30 cases, or 20 clusters, or more. From few wordings the interval
    is wide: five are a start, two say next to nothing.
    """
    scores = np.asarray(scores, dtype=float)
    count = len(scores)
    whole = ~np.isnan(scores).any(axis=0)
    scores = scores[:, whole]
    cases = scores.shape[1]
    if count < 2 or cases < 2:
        nothing = np.nan
        means = mean(scores).value
        return Spread(means, nothing, nothing, nothing, nothing, nothing, cases)
    if clusters is not None:
        clusters = np.asarray(clusters)[whole]
    means = scores.mean(axis=1)
    rest = scores - scores.mean(axis=0)
    units = cases if clusters is None else by_cluster(scores, clusters).shape[1]
    seen = float(means.var(ddof=1))
    error = mean(rest, clusters).error
    noise = float(np.mean(error**2)) * count / (count - 1)
    low, high = _interval(seen, noise, count - 1, (count - 1) * (units - 1), level)
    between = max(seen - noise, 0.0)
    return Spread(
        means,
        float(means.max() - means.min()),
        between**0.5,
        low**0.5,
        high**0.5,
        _share(scores, between),
        cases,
    )


def _interval(
    seen: float, noise: float, freedom: int, freedom_rest: int, level: float
) -> tuple[float, float]:
    """The ends of the interval of σ²_w."""
    from scipy.special import chdtri, fdtri

    def end(share: float) -> float:
        excess = seen - noise * fdtri(freedom, max(freedom_rest, 1), share)
        return float(max(freedom * excess / chdtri(freedom, 1 - share), 0.0))

    return end((1 + level) / 2), end((1 - level) / 2)


def _share(scores: Numbers, between: float) -> Any:
    count, cases = scores.shape
    rest = scores - scores.mean(axis=0) - scores.mean(axis=1)[:, None] + scores.mean()
    residual = (rest**2).sum() / ((count - 1) * (cases - 1))
    of_cases = max(scores.mean(axis=0).var(ddof=1) - residual / count, 0.0)
    total = between + of_cases + residual
    return float(between / total) if total > 0 else 0.0
