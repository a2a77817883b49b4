"""Intervals of shares."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest

from promptlab.stats.intervals import (
    Interval,
    clopper_pearson,
    students_t,
    wald,
    wilson,
)

NEWCOMBE: list[tuple[Callable[..., Interval], list[tuple[float, float]]]] = [
    (wald, [(0.2522, 0.3638), (0.0527, 0.15), (0, 0), (0, 0.1009)]),
    (wilson, [(0.2553, 0.3662), (0.0624, 0.1605), (0, 0.1611), (0.0061, 0.1718)]),
    (
        partial(wilson, continuity=True),
        [(0.2535, 0.3682), (0.0598, 0.1644), (0, 0.2005), (0.0018, 0.1963)],
    ),
    (
        clopper_pearson,
        [(0.2527, 0.3676), (0.0578, 0.1617), (0, 0.1684), (0.0009, 0.1776)],
    ),
]
"""Newcombe (1998), Stat Med 17:857, Table I: 81 of 263, 15 of 148, 0 of 20, 1 of 29."""


@pytest.mark.parametrize(
    ("method", "ends"), NEWCOMBE, ids=["wald", "wilson", "continuity", "exact"]
)
def test_shares_have_the_intervals_that_newcombe_printed(
    method: Callable[..., Interval], ends: list[tuple[float, float]]
) -> None:
    _, low, high = method([81, 15, 0, 1], [263, 148, 20, 29])

    assert low == pytest.approx([end[0] for end in ends], abs=5e-5)
    assert high == pytest.approx([end[1] for end in ends], abs=5e-5)


@pytest.mark.parametrize("method", [wilson, clopper_pearson])
def test_a_full_share_is_the_mirror_of_an_empty_one(
    method: Callable[..., Interval],
) -> None:
    none, all_ = method(0, 20), method(20, 20)

    assert (all_.low, all_.high) == pytest.approx((1 - none.high, 1))


@pytest.mark.parametrize("method", [wald, wilson, clopper_pearson])
def test_no_case_has_no_interval(method: Callable[..., Interval]) -> None:
    found = method(np.array([0]), np.array([0]))

    assert all(math.isnan(one) for one in (found.value[0], found.low[0], found.high[0]))


def test_a_lower_level_is_narrower() -> None:
    assert wilson(5, 20, 0.8).high < wilson(5, 20, 0.95).high


@pytest.mark.parametrize(
    ("freedom", "quantile"),
    [(1, 12.706), (4, 2.776), (5, 2.571), (10, 2.228), (30, 2.042), (1000, 1.962)],
)
def test_students_t_is_that_of_the_tables(freedom: int, quantile: float) -> None:
    assert students_t(freedom, 0.95) == pytest.approx(quantile, abs=1e-3)
