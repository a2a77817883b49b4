"""Many comparisons at once: p-values that stay honest, and one test of them all."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from promptlab.stats.means import Numbers, mean
from promptlab.stats.resampling import resampled_means

METHODS = ("holm", "fdr_bh", "fdr_by", "bonferroni", "none")


def adjust(p_values: ArrayLike, method: str = "holm") -> Numbers:
    """Adjusts p-values for how many there are; missing ones stay NaN and do not count.

    - `holm`: p(i)·(m−i+1), made monotone (Holm 1979). A false "better" appears
      in at most 5 % of such tables (at 0.05), whatever the comparisons have in common.
    - `bonferroni`: p·m; never better than Holm's.
    - `fdr_bh`: p(i)·m/i, made monotone from below (Benjamini & Hochberg 1995): at most
      5 % of what is called different is not, on average, if comparisons are
      independent or hang together positively. For screening many.
    - `fdr_by`: that times Σ1/i (Benjamini & Yekutieli 2001), however they hang
      together.
    - `none`: as they are, for a single comparison that was fixed beforehand.

    The family is every p-value that a reader sees in one table.

    Raises:
        ValueError: if the method is none of these.
    """
    if method not in METHODS:
        raise ValueError(
            f"unknown method {method!r}; valid names: {', '.join(METHODS)}"
        )
    p = np.asarray(p_values, dtype=float)
    adjusted = np.full(p.shape, np.nan)
    present = np.flatnonzero(~np.isnan(p))
    order = present[np.argsort(p[present], kind="stable")]
    count = len(order)
    ranks = np.arange(1, count + 1)
    ordered = p[order]
    if method == "holm":
        ordered = np.maximum.accumulate(ordered * (count - ranks + 1))
    elif method == "bonferroni":
        ordered = ordered * count
    elif method != "none":
        factor = (1 / ranks).sum() if method == "fdr_by" else 1.0
        ordered = ordered * factor * count / ranks
        ordered = np.minimum.accumulate(ordered[::-1])[::-1]
    adjusted[order] = np.minimum(ordered, 1.0)
    return adjusted


def max_t(
    scores: ArrayLike,
    baseline: ArrayLike,
    clusters: ArrayLike | None = None,
    *,
    resamples: int = 2_000,
    seed: int = 0,
) -> Numbers:
    """p-values of variants (variants × cases) against a baseline (cases), adjusted.

    The share of resamples of whole cases, or clusters, in which the largest |t| of all
    comparisons, centred at what was seen, is at least a comparison's own: single-step
    max-T of Westfall & Young (1993). Sharper than Holm if variants answer alike, as it
    uses how they move together. Valid from about 50 units; never below 1/(resamples+1).
    """
    differences = np.asarray(scores, float) - np.asarray(baseline, float)
    found = mean(differences, clusters)
    means, _ = resampled_means(differences, clusters, resamples=resamples, seed=seed)
    varies = found.error > 0
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.where(found.value == 0, 0.0, np.abs(found.value) / found.error)
        drawn = np.where(varies, np.abs(means - found.value) / found.error, 0.0)
    largest = np.sort(drawn.max(axis=1, initial=0.0))
    extreme = resamples - np.searchsorted(largest, t * (1 - 1e-9), side="left")
    return np.where(np.isnan(t), np.nan, (extreme + 1) / (resamples + 1))


def any_difference(scores: ArrayLike) -> tuple[float, float]:
    """Whether variants (variants × cases) differ at all: Friedman's χ² and its p.

    The variants' mean ranks within cases, corrected for ties, against χ² with K−1
    degrees of freedom (Friedman 1937; Conover, "Practical Nonparametric Statistics",
    5.8). Of 0/1 scores it is Cochran's Q (1950). Cases with a missing score are left
    out. Valid for three variants or more on about 10 independent cases or more; says
    nothing of which differ. (0, 1) if all scores of each case tie.
    """
    from scipy.special import chdtrc
    from scipy.stats import rankdata

    scores = np.asarray(scores, dtype=float)
    scores = scores[:, ~np.isnan(scores).any(axis=0)]
    count = len(scores)
    ranks = rankdata(scores, axis=0)
    away = ranks - (count + 1) / 2
    within = float((away**2).sum())
    if within == 0:
        return 0.0, 1.0
    statistic = (count - 1) * float((away.sum(axis=1) ** 2).sum()) / within
    return statistic, float(chdtrc(count - 1, statistic))


def dunnett(control: ArrayLike, *samples: ArrayLike, seed: int = 0) -> Any:
    """Two-sided p of several samples against one control that has other cases.

    Dunnett's test (1955). For scores of different cases only, about normal with one
    variance. On the same cases `compare` with `adjust`, or `max_t`, see far smaller
    differences. The integral is taken by chance: p is exact to about 0.0005.
    """
    from scipy import stats

    return stats.dunnett(*samples, control=control, rng=seed).pvalue
