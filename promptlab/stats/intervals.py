"""Intervals: how far an estimate may be from the truth; shares of 0/1 scores."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike


class Interval(NamedTuple):
    """An estimate and the ends of its interval, numbers or arrays; NaN if unknown."""

    value: Any
    low: Any
    high: Any


def wilson(
    successes: ArrayLike,
    count: ArrayLike,
    level: float = 0.95,
    *,
    continuity: bool = False,
) -> Interval:
    """Wilson's score interval of a share of `count` independent 0/1 scores.

    (p + z²/2n ± z√(p(1−p)/n + z²/4n²)) / (1 + z²/n) (Wilson 1927; Newcombe 1998,
    Stat Med 17:857, method 3, or 4 with the correction for continuity, which is wider).

    Valid for any number of cases and any share, 0 and 1 included. Not for graded
    scores, several repeats of a case, or cases in clusters: then it is too narrow.
    """
    k, n = np.asarray(successes, dtype=float), np.asarray(count, dtype=float)
    z = normal(level)
    with np.errstate(invalid="ignore", divide="ignore"):
        p = k / n
        shift = np.where(continuity, 1.0, 0.0)
        centre = 2 * n * p + z**2
        low = z**2 + shift * (-2 - 1 / n) + 4 * p * (n * (1 - p) + shift)
        high = z**2 + shift * (2 - 1 / n) + 4 * p * (n * (1 - p) - shift)
        # 1/n of a corrected end may take the root below zero where the end is 0 or 1.
        low = centre - shift - z * np.sqrt(np.maximum(low, 0))
        high = centre + shift + z * np.sqrt(np.maximum(high, 0))
        low = np.where(k == 0, 0.0, low / (2 * (n + z**2)))
        high = np.where(k == n, 1.0, high / (2 * (n + z**2)))
        known = np.where(n > 0, 1.0, np.nan)
    return Interval(p, low * known, high * known)


def clopper_pearson(
    successes: ArrayLike, count: ArrayLike, level: float = 0.95
) -> Interval:
    """The exact interval of a share of `count` independent 0/1 scores.

    The quantiles (1∓level)/2 of beta distributions (Clopper & Pearson 1934; Newcombe
    1998, method 5). It covers the truth at least as often as `level` says, and is wide:
    take it if a promise must hold, else `wilson`. Valid when `wilson` is.
    """
    from scipy.special import betaincinv

    k, n = np.asarray(successes, dtype=float), np.asarray(count, dtype=float)
    tail = (1 - level) / 2
    with np.errstate(invalid="ignore", divide="ignore"):
        low = np.where(k == 0, 0.0, betaincinv(np.maximum(k, 0.5), n - k + 1, tail))
        high = np.where(
            k == n, 1.0, betaincinv(k + 1, np.maximum(n - k, 0.5), 1 - tail)
        )
        known = np.where(n > 0, 1.0, np.nan)
        return Interval(k / n, low * known, high * known)


def wald(successes: ArrayLike, count: ArrayLike, level: float = 0.95) -> Interval:
    """The textbook interval of a share, p ± z√(p(1−p)/n), cut at 0 and 1.

    To compare with others' figures only (Newcombe 1998, method 1): it is too narrow
    for fewer than some hundred cases, and has no width at all where p is 0 or 1.
    """
    k, n = np.asarray(successes, dtype=float), np.asarray(count, dtype=float)
    with np.errstate(invalid="ignore", divide="ignore"):
        p = k / n
        half = normal(level) * np.sqrt(p * (1 - p) / n)
    return Interval(p, np.maximum(p - half, 0.0), np.minimum(p + half, 1.0))


def students_t(freedom: float, level: float) -> float:
    """How many standard errors to each side an interval of a level takes."""
    from scipy.special import stdtrit  # slow to import

    return float(stdtrit(freedom, (1 + level) / 2))


def normal(level: float) -> float:
    """The same if the error is known: 1.96 for a level of 0.95."""
    from scipy.special import ndtri

    return float(ndtri((1 + level) / 2))
