"""Means of cases, with errors that hold if cases are alike."""

from __future__ import annotations

import math

import numpy as np
import pytest

from promptlab.stats.means import by_cluster, case_means, is_binary, mean

ONCE = np.array([1.0, 2.0, 3.0, 4.0])
EACH = np.arange(4)

SLEEP = np.array([1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4])
"""Hours of sleep that one drug gave more than another (Student 1908)."""


def test_the_interval_is_students_where_each_cluster_has_one_value() -> None:
    value, low, high = mean(ONCE, EACH).interval()

    half = 3.182 * ONCE.std(ddof=1) / 2
    assert (value, low, high) == pytest.approx((2.5, 2.5 - half, 2.5 + half), rel=1e-3)
    assert mean(ONCE).interval() == pytest.approx((value, low, high))


def test_students_sleep() -> None:
    found = mean(SLEEP)
    _, low, high = found.interval()

    assert found.value / found.error == pytest.approx(4.062128, abs=1e-6)
    assert found.p_value() == pytest.approx(0.00283289, abs=1e-8)
    assert (low, high) == pytest.approx((0.7001142, 2.4598858), abs=1e-7)


def test_mouse_data_of_efron_and_tibshirani() -> None:
    treated = mean([94, 197, 16, 38, 99, 141, 23])
    control = mean([52, 104, 146, 10, 51, 30, 40, 27, 46])

    assert (treated.value, treated.error) == pytest.approx((86.857143, 25.23549))
    assert (control.value, control.error) == pytest.approx((56.222222, 14.158603))


@pytest.mark.parametrize("clustered", [False, True])
def test_asking_the_same_again_makes_no_narrower_interval(clustered: bool) -> None:
    clusters = np.array([0, 0, 1, 2]) if clustered else EACH

    again = mean(np.tile(ONCE, 5), np.tile(clusters, 5)).interval()

    assert again == pytest.approx(mean(ONCE, clusters).interval())


def test_clusters_may_have_any_labels_in_any_order() -> None:
    values = np.array([0.0, 1.0, 1.0, 0.0, 1.0])

    found = mean(values, ["b", "a", "b", "c", "a"])

    assert found == pytest.approx(mean(values[[1, 4, 0, 2, 3]], [0, 0, 1, 1, 2]))
    assert found.freedom == 2


def test_cases_that_are_alike_tell_less() -> None:
    dice = np.random.default_rng(0)
    values = np.repeat(dice.normal(size=30), 5) + dice.normal(0, 0.1, 150)
    clusters = np.repeat(np.arange(30), 5)

    assert mean(values, clusters).error > 2 * mean(values).error


def test_missing_values_are_left_out() -> None:
    holed = np.array([[1.0, np.nan, 2.0, 3.0, 4.0], [np.nan] * 5])

    found = mean(holed)

    assert found.value[0] == mean(ONCE).value
    assert found.error[0] == pytest.approx(mean(ONCE).error)
    assert found.count.tolist() == [4, 0]
    assert math.isnan(found.value[1])


@pytest.mark.parametrize("values", [[], [1.0], [1.0, 2.0]], ids=["0", "1", "2"])
def test_one_cluster_gives_no_interval(values: list[float]) -> None:
    _, low, high = mean(values, np.zeros(len(values))).interval()

    assert math.isnan(low)
    assert math.isnan(high)


def test_a_difference_that_never_varies_is_no_chance_and_none_is_no_difference() -> (
    None
):
    assert mean([0.1] * 5).p_value() == pytest.approx(0, abs=1e-12)
    assert mean([0.0] * 5).p_value() == 1


def test_equivalence_is_claimed_where_the_90_percent_interval_is_inside() -> None:
    found = mean(np.linspace(-0.05, 0.06, 40))
    _, low, high = found.interval(0.90)

    assert found.p_equivalent(high + 1e-9) <= 0.05 < found.p_equivalent(high - 1e-6)
    assert found.p_equivalent(1e-4) > 0.4
    assert low < 0 < high


def test_repeats_are_averaged_and_what_is_missing_left_out() -> None:
    means = case_means([[1, 0, 1], [1, np.nan, np.nan], [np.nan] * 3])

    assert means == pytest.approx([2 / 3, 1, np.nan], nan_ok=True)


def test_sums_by_cluster_want_a_cluster_for_each_case() -> None:
    assert by_cluster([[1, 2, 3]], [1, 0, 1]).tolist() == [[2, 4]]
    with pytest.raises(ValueError, match="a cluster for each of 3 cases, got 2"):
        by_cluster([[1, 2, 3]], [1, 0])


def test_only_zeros_and_ones_are_binary() -> None:
    rows = [[0, 1, np.nan], [0, 0.5, 1]]

    assert is_binary(rows).tolist() == [True, False]
