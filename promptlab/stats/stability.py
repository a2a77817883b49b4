"""Stability: what repeats of one case have in common."""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from promptlab.stats.means import Numbers


def pass_at_k(successes: ArrayLike, repeats: ArrayLike, k: int) -> Any:
    """The chance that one or more of k repeats of a case succeed, pass@k.

    1 − C(n−c,k)/C(n,k) from c successes in n repeats of each case, unbiased (Chen et
    al. 2021, arXiv:2107.03374). NaN where n < k. For an interval, take the `mean` of it
    over cases. For work that is checked, so that one good answer is enough.

    Raises:
        ValueError: if k is below 1.
    """
    c, n = np.asarray(successes, dtype=float), np.asarray(repeats, dtype=float)
    return 1 - _share_of_draws(n - c, n, k)


def pass_hat_k(successes: ArrayLike, repeats: ArrayLike, k: int) -> Any:
    """The chance that all of k repeats of a case succeed, pass^k: C(c,k)/C(n,k).

    From c successes in n repeats of each case, unbiased (Yao et al. 2024, τ-bench,
    arXiv:2406.12045). NaN where n < k. For an interval, take the `mean` of it over
    cases. For work that nobody checks, so that each answer must be good.

    Raises:
        ValueError: if k is below 1.
    """
    return _share_of_draws(np.asarray(successes, float), np.asarray(repeats, float), k)


class Outcomes(NamedTuple):
    """Shares of the cases by how their repeats went; they add up to 1."""

    always: float
    """Right in every repeat."""
    sometimes: float
    never: float
    cases: int


def outcomes(scores: ArrayLike, threshold: float = 1.0) -> Outcomes:
    """How many cases (cases × repeats) are right always, sometimes, never.

    A score of `threshold` or more is right; missing repeats are left out, and cases
    with nothing else. "Sometimes" grows with the number of repeats: compare it only
    among equal numbers.
    """
    scores = np.asarray(scores, dtype=float)
    repeats = (~np.isnan(scores)).sum(axis=-1)
    right = (scores >= threshold).sum(axis=-1)[repeats > 0]
    repeats = repeats[repeats > 0]
    if len(right) == 0:
        return Outcomes(np.nan, np.nan, np.nan, 0)
    always, never = float((right == repeats).mean()), float((right == 0).mean())
    return Outcomes(always, max(0.0, 1 - always - never), never, len(right))


class Agreement(NamedTuple):
    """How alike the outputs of each case are; arrays with an entry for each case."""

    all_equal: Numbers
    """1 where all outputs are the same, else 0; its mean is TARr@n."""
    pairwise: Numbers
    """The share of pairs of outputs that are the same."""
    entropy: Numbers
    """Entropy of the outputs over ln n, its most: 0 all equal, 1 all distinct."""
    repeats: Any


def agreement(outputs: ArrayLike) -> Agreement:
    """How often repeats (cases × repeats, of any values, None if missing) are the same.

    Total agreement rate: of outputs as they are it is TARr@n, of parsed answers TARa@n
    (Atil et al. 2024, arXiv:2408.04667). It falls as n grows, pairwise agreement does
    not: take that to compare runs with different repeats. NaN below 2 outputs.
    """
    table = np.asarray(outputs, dtype=object)
    found = []
    for row in table:
        values = [value for value in row if value is not None and value == value]
        n = len(values)
        if n < 2:
            found.append((np.nan, np.nan, np.nan, n))
            continue
        counts = np.array(list(Counter(values).values()))
        shares = counts / n
        pairs = (counts * (counts - 1)).sum() / (n * (n - 1))
        entropy = max(0.0, -(shares * np.log(shares)).sum() / np.log(n))
        found.append((float(len(counts) == 1), pairs, entropy, n))
    columns = np.array(found, dtype=float).reshape(-1, 4).T
    return Agreement(columns[0], columns[1], columns[2], columns[3].astype(int))


def repeat_deviation(scores: ArrayLike) -> float:
    """The standard deviation of scores between repeats of one case (cases × repeats).

    √ of the mean of the cases' variances s², weighted by their degrees of freedom; NaN
    without a case that has two scores. It says how far off a single run may be in one
    case; over n cases it shrinks to this/√n.
    """
    variance = within_variance(scores)
    return float(np.sqrt(variance))


def within_variance(scores: ArrayLike) -> float:
    """The pooled variance of scores between repeats of one case (cases × repeats)."""
    scores = np.asarray(scores, dtype=float)
    present = ~np.isnan(scores)
    repeats = present.sum(axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = np.where(present, scores, 0.0).sum(axis=-1) / repeats
        squares = (np.where(present, scores - means[..., None], 0.0) ** 2).sum()
        return float(squares / np.maximum(repeats - 1, 0).sum())


def _share_of_draws(good: Any, n: Any, k: int) -> Any:
    """C(good, k)/C(n, k), as a product, which overflows for no n."""
    if k < 1:
        raise ValueError(f"expected k >= 1, got {k}")
    share = np.ones(np.broadcast(good, n).shape)
    with np.errstate(divide="ignore", invalid="ignore"):
        for taken in range(k):
            share = share * np.maximum(good - taken, 0) / (n - taken)
    return np.where(n >= k, share, np.nan)
