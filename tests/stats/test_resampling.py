"""Cases drawn again."""

from __future__ import annotations

import numpy as np
import pytest

from promptlab.stats.means import mean
from promptlab.stats.resampling import bootstrap, resampled_means, times_drawn

MICE = np.array([94.0, 197, 16, 38, 99, 141, 23])
DICE = np.random.default_rng(5)
SCORES = DICE.normal(0.5, 0.2, (3, 80))


def test_mouse_data_have_the_ideal_standard_errors() -> None:
    """Efron and Tibshirani (1993), table 2.1, of endless resamples: 23.36 and 37.83."""
    of_mean = bootstrap(MICE, lambda x: np.mean(x, axis=-1), resamples=20_000)
    of_median = bootstrap(MICE, lambda x: np.median(x, axis=-1), resamples=20_000)

    assert of_mean.error == pytest.approx(23.3635234, abs=0.5)
    assert of_median.error == pytest.approx(37.8346744, abs=0.5)


def test_each_resample_draws_as_many_units_as_there_are() -> None:
    drawn = times_drawn(50, 300, seed=0)

    assert drawn.shape == (300, 50)
    assert (drawn.sum(axis=1) == 50).all()
    assert (drawn == 0).mean() == pytest.approx(0.364, abs=0.01)
    assert drawn.var() == pytest.approx(0.98, abs=0.05)


def test_means_of_resamples_spread_as_the_error_says() -> None:
    inside, outside = resampled_means(SCORES, resamples=4_000)

    assert inside.std(axis=0) == pytest.approx(mean(SCORES).error, rel=0.05)
    assert outside.mean(axis=0) == pytest.approx(SCORES.mean(axis=1), abs=0.005)


def test_whole_clusters_are_drawn() -> None:
    clusters = np.arange(80) // 4
    alike = np.repeat(SCORES[:, ::4], 4, axis=1)

    inside, _ = resampled_means(alike, clusters, resamples=4_000)

    assert inside.std(axis=0) == pytest.approx(mean(alike, clusters).error, rel=0.06)


@pytest.mark.parametrize("clustered", [False, True])
def test_the_order_of_the_cases_changes_nothing(clustered: bool) -> None:
    clusters = np.arange(80) // 4 if clustered else None
    order = np.random.default_rng(1).permutation(80)
    shuffled = None if clusters is None else clusters[order]

    one = resampled_means(SCORES, clusters, resamples=50)
    other = resampled_means(SCORES[:, order], shuffled, resamples=50)

    assert one[0] == pytest.approx(other[0], abs=1e-12)
    assert one[1] == pytest.approx(other[1], abs=1e-12)


def test_missing_scores_are_left_out_of_each_resample() -> None:
    holed = SCORES.copy()
    holed[0, :40] = np.nan

    inside, _ = resampled_means(holed, resamples=2_000)

    assert inside[:, 0].mean() == pytest.approx(SCORES[0, 40:].mean(), abs=0.01)
    assert inside[:, 0].std() == pytest.approx(mean(holed).error[0], rel=0.1)


def test_a_ratio_of_two_sums_keeps_its_cases_together() -> None:
    cost = SCORES[0] * 2
    paired = np.array([cost, SCORES[0]])

    found = bootstrap(paired, lambda x: x[0].sum(axis=-1) / x[1].sum(axis=-1))

    assert found == pytest.approx((2, 0, 2, 2), abs=1e-9)


def test_the_interval_of_a_mean_is_near_students() -> None:
    found = bootstrap(SCORES[0], lambda x: x.mean(axis=-1))
    _, low, high = mean(SCORES[0]).interval()

    assert (found.low, found.high) == pytest.approx((low, high), abs=0.006)


def test_a_bootstrap_of_clusters_draws_them_whole() -> None:
    clusters = np.arange(80) // 4
    alike = np.repeat(SCORES[0, ::4], 4)

    found = bootstrap(alike, lambda x: x.mean(axis=-1), clusters)

    assert found.error == pytest.approx(mean(alike, clusters).error, rel=0.1)
