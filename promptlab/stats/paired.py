"""Pairs: two variants on the same cases, by the difference of each case."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from promptlab.stats.intervals import Interval, normal
from promptlab.stats.means import Mean, Numbers, by_cluster, is_binary, mean

EXACT_UNITS = 16
"""Up to so many units all 2^n signs are tried, rather than some drawn by chance."""

FEW_UNITS = 30
"""With fewer units than this, signs are flipped rather than t trusted."""

TIE = 1e-12
"""Differences up to this are rounding, and count as equal."""

TESTS = ("mcnemar", "t", "sign_flip")


class Comparison(NamedTuple):
    """Variants compared with a baseline on the same cases; an entry for each."""

    delta: Numbers
    """Mean score minus the baseline's, over the cases that have both."""
    low: Numbers
    high: Numbers
    p: Numbers
    """Two-sided, of this comparison alone: adjust it if there are several."""
    cases: NDArray[np.int64]
    """How many cases have both scores."""
    wins: NDArray[np.int64]
    losses: NDArray[np.int64]
    ties: NDArray[np.int64]
    test: NDArray[np.str_]
    """Where p comes from: one of `TESTS`."""
    difference: Mean
    """The differences as a mean of cases, for what else is asked of them."""


def compare(
    scores: ArrayLike,
    baseline: ArrayLike,
    clusters: ArrayLike | None = None,
    *,
    level: float = 0.95,
    seed: int = 0,
) -> Comparison:
    """Compares variants with a baseline, by the test that the scores call for.

    `scores` (variants × cases, or cases) and `baseline` (cases) are means over repeats,
    NaN where missing; `clusters` (cases) labels those that are alike.

    Scores of 0 and 1 without clusters: McNemar's exact test, and Bonett and Price's
    interval. Otherwise the mean of the differences with its cluster-robust error (var d
    = var a + var b − 2 cov): Student's t, and below 30 units, which need not be about
    normal, a sign-flip test. The units are the cases, or the clusters if given.

    Valid if units are independent of each other, as draws of those it should hold for.
    Of 0/1 scores with repeats that differ, or in clusters, from about 20 units. Not for
    scores of other cases than the baseline's.
    """
    scores, base = np.atleast_2d(np.asarray(scores, float)), np.asarray(baseline, float)
    differences = scores - base
    found = mean(differences, clusters)
    wins = (differences > TIE).sum(axis=-1)
    losses = (differences < -TIE).sum(axis=-1)
    _, low, high = found.interval(level)
    p = found.p_value()
    test = np.full(len(scores), "t", dtype="U9")

    binary = np.zeros(len(scores), dtype=bool)
    if clusters is None:
        together = ~np.isnan(differences)
        binary = is_binary(np.where(together, scores, np.nan)) & is_binary(
            np.where(together, base, np.nan)
        )
        of_shares = paired_shares(wins, losses, found.count, level)
        low, high = (
            np.where(binary & (found.count > 0), exact, about)
            for exact, about in ((of_shares.low, low), (of_shares.high, high))
        )
        p = np.where(binary, mcnemar(wins, losses), p)
        test[binary] = "mcnemar"
    few = ~binary & (found.freedom + 1 < FEW_UNITS) & (found.count > 0)
    for place in np.flatnonzero(few):
        p[place] = sign_flip(differences[place], clusters, seed=seed)
        test[place] = "sign_flip"
    ties = found.count - wins - losses
    return Comparison(
        found.value, low, high, p, found.count, wins, losses, ties, test, found
    )


def mcnemar(wins: ArrayLike, losses: ArrayLike) -> Any:
    """McNemar's exact two-sided p: wins | wins + losses ~ Binomial(½).

    For 0/1 scores, one for each case, of independent cases (McNemar 1947; Agresti,
    "Categorical Data Analysis", 10.1). Cases that tie say nothing about it. Exact for
    any number of cases, so that a few discordant ones never give a low p: with 5 the
    least is 0.0625.
    """
    from scipy.special import bdtr

    wins, losses = np.asarray(wins, dtype=float), np.asarray(losses, dtype=float)
    return np.minimum(
        1.0, 2 * bdtr(np.minimum(wins, losses), (wins + losses).astype(int), 0.5)
    )


def mcnemar_chi2(wins: ArrayLike, losses: ArrayLike) -> tuple[Any, Any]:
    """McNemar's statistic (b − c)²/(b + c), and its p by χ² with one degree of freedom.

    To compare with others' figures; valid for 25 discordant cases or more. Else
    `mcnemar`.
    """
    from scipy.special import chdtrc

    wins, losses = np.asarray(wins, dtype=float), np.asarray(losses, dtype=float)
    statistic = (wins - losses) ** 2 / np.maximum(wins + losses, 1)
    return statistic, chdtrc(1, statistic)


def paired_shares(
    wins: ArrayLike,
    losses: ArrayLike,
    cases: ArrayLike,
    level: float = 0.95,
    *,
    adjusted: bool = True,
) -> Interval:
    """The difference of two shares of 0/1 scores on the same independent cases.

    Bonett and Price (2012, J Educ Behav Stat 37:479): of b wins and c losses among n
    cases, p = (b+1)/(n+2) and q = (c+1)/(n+2) give p − q ± z√((p + q − (p−q)²)/(n+2)).
    Valid for any counts: with no win and no loss it still has a width. Without
    `adjusted`, the textbook's, of b, c and n (Agresti, 10.1.1), valid for some hundred
    cases. The value is (b−c)/n.
    """
    b, c, n = (np.asarray(counts, dtype=float) for counts in (wins, losses, cases))
    extra = 1 if adjusted else 0
    with np.errstate(divide="ignore", invalid="ignore"):
        p, q = (b + extra) / (n + 2 * extra), (c + extra) / (n + 2 * extra)
        half = normal(level) * np.sqrt((p + q - (p - q) ** 2) / (n + 2 * extra))
        value = (b - c) / n
    low, high = np.maximum(p - q - half, -1.0), np.minimum(p - q + half, 1.0)
    return Interval(value, low, high)


def sign_flip(
    differences: ArrayLike,
    clusters: ArrayLike | None = None,
    *,
    draws: int = 9_999,
    seed: int = 0,
) -> float:
    """Two-sided p of differences (cases), by flipping the signs of whole clusters.

    The share of the 2^n signs under which |Σd| is at least what was seen (Fisher 1935):
    all of them up to 16 units that differ, else (k+1)/(draws+1) of so many drawn
    (Phipson & Smyth 2010). Valid for scores of any kind and number if, without a true
    difference, each is as likely as its opposite. 1 if nothing differs.
    """
    differences = np.asarray(differences, dtype=float)
    sums = np.where(np.isnan(differences), 0.0, differences)
    if clusters is not None:
        sums = by_cluster(sums, clusters)
    sums = np.sort(sums[np.abs(sums) > TIE])
    if len(sums) == 0:
        return 1.0
    seen = abs(sums.sum()) * (1 - 1e-9)
    if len(sums) <= EXACT_UNITS:
        totals = np.zeros(1)
        for one in sums[1:]:  # the first keeps its sign: the other half mirrors this
            totals = np.concatenate([totals + one, totals - one])
        return float((np.abs(totals + sums[0]) >= seen).mean())
    dice = np.random.default_rng(seed)
    extreme, left = 0, draws
    while left > 0:
        block = min(left, max(1, 4_000_000 // len(sums)))
        signs = dice.integers(0, 2, (block, len(sums)), dtype=np.int8) * 2.0 - 1
        extreme += int((np.abs(signs @ sums) >= seen).sum())
        left -= block
    return (extreme + 1) / (draws + 1)
