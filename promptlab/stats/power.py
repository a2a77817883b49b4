"""Power: how many cases a difference takes to be seen, and what some can show."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from promptlab.stats.intervals import normal
from promptlab.stats.means import case_means
from promptlab.stats.stability import within_variance


class Variances(NamedTuple):
    """What makes the difference of two variants vary, in squared points of score."""

    between: float
    """ω²: of the true difference, from case to case."""
    within_a: float = 0.0
    """σ²: of the first variant's score, from repeat to repeat of a case."""
    within_b: float = 0.0

    def of_difference(self, repeats: ArrayLike = 1) -> Any:
        """The variance of a case's difference when each variant has so many repeats."""
        return self.between + (self.within_a + self.within_b) / np.asarray(repeats)


def variances(a: ArrayLike, b: ArrayLike) -> Variances:
    """The variances of two variants' scores, from a pilot (each cases × repeats).

    σ² is the mean variance within cases; ω² is the variance of the difference of means
    less what σ² gives to it, at least 0 (Miller 2024, arXiv:2411.00640, sec. 5). With
    one repeat, all is ω²: as much as the same number of repeats will show again. Valid
    from about 20 cases; from fewer it may be far off. NaN below two.
    """
    a, b = np.atleast_2d(np.asarray(a, float)), np.atleast_2d(np.asarray(b, float))
    differences = case_means(a) - case_means(b)
    both = ~np.isnan(differences)
    if both.sum() < 2:
        return Variances(np.nan, np.nan, np.nan)
    a, b = a[both], b[both]
    within = [0.0 if (v := within_variance(x)) != v else v for x in (a, b)]
    noise = sum(
        variance * float((1 / (~np.isnan(x)).sum(axis=1)).mean())
        for variance, x in zip(within, (a, b), strict=True)
    )
    total = float(differences[both].var(ddof=1))
    return Variances(max(0.0, total - noise), within[0], within[1])


def cases_needed(
    mde: ArrayLike,
    variances: Variances,
    *,
    repeats: ArrayLike = 1,
    power: float = 0.8,
    alpha: float = 0.05,
    comparisons: int = 1,
) -> Any:
    """How many cases it takes to see a difference of `mde`, with a chance of `power`.

    n = (z_{α/2} + z_β)²·(ω² + σ²_A/R + σ²_B/R)/mde² for paired cases, R repeats of each
    and a two-sided test (Miller 2024, arXiv:2411.00640, eq. 9); not rounded. Of several
    comparisons α is shared (Bonferroni), as Holm's correction does at first.

    Valid for 30 cases or more, by their means; McNemar's exact test takes some more:
    `mcnemar_cases_needed`. Of cases in clusters, this counts clusters.
    """
    z = normal(1 - alpha / comparisons) + normal(2 * power - 1)
    with np.errstate(divide="ignore", over="ignore"):
        return z**2 * variances.of_difference(repeats) / np.square(mde)


def detectable(
    cases: ArrayLike,
    variances: Variances,
    *,
    repeats: ArrayLike = 1,
    power: float = 0.8,
    alpha: float = 0.05,
    comparisons: int = 1,
) -> Any:
    """The least difference that so many cases show, with a chance of `power`.

    The inverse of `cases_needed`: "this run could have seen 9 points".
    """
    z = normal(1 - alpha / comparisons) + normal(2 * power - 1)
    with np.errstate(divide="ignore"):
        return z * np.sqrt(variances.of_difference(repeats) / np.asarray(cases))


def detection_rate(
    cases: ArrayLike,
    difference: ArrayLike,
    variances: Variances,
    *,
    repeats: ArrayLike = 1,
    alpha: float = 0.05,
    comparisons: int = 1,
) -> Any:
    """The chance that so many cases show a true difference: the power of paired t.

    From the noncentral t distribution with n−1 degrees of freedom and the noncentrality
    difference·√(n/var d), both sides. Valid when `cases_needed` is, and for fewer cases
    if differences are about normal.
    """
    from scipy.special import nctdtr, stdtrit

    n = np.asarray(cases, dtype=float)
    with np.errstate(divide="ignore", invalid="ignore"):
        away = np.abs(difference) * np.sqrt(n / variances.of_difference(repeats))
    bound = stdtrit(n - 1, 1 - alpha / comparisons / 2)
    # Of tails too thin to compute, scipy says NaN.
    above, below = (np.nan_to_num(nctdtr(n - 1, away, end)) for end in (bound, -bound))
    return 1 - above + below + 0 * away


def mcnemar_detection_rate(
    cases: int,
    difference: float,
    discordant: float,
    *,
    alpha: float = 0.05,
    comparisons: int = 1,
) -> float:
    """The chance that McNemar's exact test shows a true difference of two shares.

    `discordant` is the share of cases in which just one of the variants is right, which
    is ω² + difference² for one repeat of 0/1 scores. Exact: the sum over all numbers of
    discordant cases (Binomial(n, discordant)) and of wins among them.

    Raises:
        ValueError: if `discordant` is below the difference, or above 1.
    """
    from scipy.stats import binom

    if not abs(difference) <= discordant <= 1:
        raise ValueError(
            f"expected a share of discordant cases from {abs(difference)} to 1, got "
            f"{discordant}"
        )
    if discordant == 0:
        return 0.0
    numbers = np.arange(cases + 1)
    # The greatest k that is rejected of m discordant cases: 2·P(X <= k) <= alpha.
    tail = alpha / comparisons / 2
    bound = binom.ppf(tail, numbers, 0.5)
    bound -= binom.cdf(bound, numbers, 0.5) > tail
    share = (1 + difference / discordant) / 2
    few = binom.cdf(bound, numbers, share)
    many = binom.sf(numbers - bound - 1, numbers, share)
    chances = binom.pmf(numbers, cases, discordant)
    return float((chances * (few + many)).sum())


def mcnemar_cases_needed(
    mde: float,
    discordant: float,
    *,
    power: float = 0.8,
    alpha: float = 0.05,
    comparisons: int = 1,
) -> int:
    """How many cases McNemar's exact test takes to see a difference of two shares.

    The first number with which `mcnemar_detection_rate` reaches `power`, to 1 %: some
    more than `cases_needed`, as the exact test keeps below α.

    Raises:
        ValueError: as `mcnemar_detection_rate` does, and if `mde` is 0.
    """
    if mde == 0:
        raise ValueError("expected a difference other than 0")

    def seen(cases: int) -> bool:
        rate = mcnemar_detection_rate(
            cases, mde, discordant, alpha=alpha, comparisons=comparisons
        )
        return rate >= power

    low, high = 1, 16
    while not seen(high):
        low, high = high, 2 * high
    while high - low > max(1, high // 100):
        middle = (low + high) // 2
        low, high = (low, middle) if seen(middle) else (middle, high)
    return high


def mcnemar_detectable(
    cases: int,
    variance: float,
    *,
    power: float = 0.8,
    alpha: float = 0.05,
    comparisons: int = 1,
) -> float:
    """The least difference of two shares that McNemar's exact test shows in so many
    cases, with a chance of `power`; NaN if it shows none.

    `variance` is that of a case's difference; variance + difference² of the cases are
    then discordant. The inverse of `mcnemar_cases_needed`, to 0.0001.
    """

    def seen(difference: float) -> bool:
        rate = mcnemar_detection_rate(
            *(cases, difference, min(1.0, max(difference, variance + difference**2))),
            alpha=alpha,
            comparisons=comparisons,
        )
        return rate >= power

    low, high = 0.0, 1.0
    if not seen(high):
        return float("nan")
    while high - low > 1e-4:
        middle = (low + high) / 2
        low, high = (low, middle) if seen(middle) else (middle, high)
    return high
