"""Intervals of means."""

from __future__ import annotations

import math

import numpy as np
import pytest

from promptlab.stats.intervals import mean_interval, students_t

ONCE = np.array([1.0, 2.0, 3.0, 4.0])
EACH = np.arange(4)


def test_the_interval_is_students_where_each_cluster_has_one_value() -> None:
    low, high = mean_interval(ONCE, EACH)

    half = 3.182 * ONCE.std(ddof=1) / 2
    assert (low, high) == pytest.approx((2.5 - half, 2.5 + half), rel=1e-3)


def test_asking_the_same_again_makes_no_narrower_interval() -> None:
    again = mean_interval(np.tile(ONCE, 5), np.tile(EACH, 5))

    assert again == pytest.approx(mean_interval(ONCE, EACH))


@pytest.mark.parametrize("values", [[], [1.0], [1.0, 2.0]])
def test_one_cluster_gives_no_interval(values: list[float]) -> None:
    clusters = np.zeros(len(values), dtype=np.int64)

    low, high = mean_interval(np.array(values), clusters)

    assert math.isnan(low)
    assert math.isnan(high)


@pytest.mark.parametrize(
    ("freedom", "quantile"),
    [(1, 12.706), (4, 2.776), (5, 2.571), (10, 2.228), (30, 2.042), (1000, 1.962)],
)
def test_students_t_is_that_of_the_tables(freedom: int, quantile: float) -> None:
    assert students_t(freedom, 0.95) == pytest.approx(quantile, abs=1e-3)
