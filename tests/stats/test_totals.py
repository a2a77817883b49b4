"""Totals: the sum of what is not known, and an interval that holds it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t

from promptlab.stats.designs import deal
from promptlab.stats.totals import Interval, rest_of_total


def rest(
    values: list[float],
    strata: list[int],
    left: list[int],
    clusters: list[int] | None = None,
    level: float = 0.9,
) -> Interval:
    return rest_of_total(
        np.array(values, dtype=float),
        np.array(strata, dtype=np.int64),
        np.array(clusters or range(len(values)), dtype=np.int64),
        np.array(left, dtype=np.int64),
        level=level,
    )


def test_the_sum_is_the_mean_times_what_is_left() -> None:
    """N²(1−m/N)s²/m with N = 10, m = 2, s² = 2 is 80; t of one degree is 6.314."""
    half = 6.313751514675043 * math.sqrt(80) / 16

    found = rest([1, 3], [0, 0], [8])

    assert found == pytest.approx((16, 16 * math.exp(-half), 16 * math.exp(half)))


def test_degrees_of_freedom_are_satterthwaites() -> None:
    """(80 + 20)² / (80²/1 + 20²/1), of two strata with variances of 80 and 20."""
    freedom = 100**2 / (80**2 + 20**2)
    two, one = rest([1, 3, 4, 5], [0, 0, 1, 1], [8, 8]), rest([1, 3], [0, 0], [8])

    assert 1 < freedom < 2
    assert two.value == 16 + 36
    assert math.log(two.high / two.value) == pytest.approx(
        t.ppf(0.95, freedom) * math.sqrt(100) / 52
    )
    assert two.high / two.value < one.high / one.value


def test_what_is_all_alike_is_known_without_doubt() -> None:
    assert rest([2, 2, 5, 5], [0, 0, 1, 1], [10, 3]) == (35, 35, 35)


def test_what_is_known_to_the_end_leaves_nothing() -> None:
    assert rest([1, 9, 4], [0, 0, 1], [0, 0]) == (0, 0, 0)
    assert rest([], [], [0, 0]) == (0, 0, 0)


def test_a_stratum_that_is_known_to_the_end_is_no_matter() -> None:
    alone = rest([1, 3], [0, 0], [8])

    assert rest([1, 3, math.nan, 700], [0, 0, 1, 1], [8, 0]) == alone


def test_a_stratum_of_which_nothing_is_known_leaves_all_unknown() -> None:
    found = rest([1, 3], [0, 0], [8, 1])

    assert all(math.isnan(part) for part in found)


def test_a_single_unit_is_taken_to_vary_as_the_others_do() -> None:
    single = rest([1, 3, 20], [0, 0, 1], [8, 8])
    pair = rest([1, 3, 10, 30], [0, 0, 1, 1], [8, 8])

    assert single.value == pair.value
    assert single.high > pair.high


def test_where_nothing_is_known_twice_the_interval_has_no_ends() -> None:
    value, low, high = rest([1, 20], [0, 1], [8, 8])

    assert value == 168
    assert math.isnan(low)
    assert math.isnan(high)


def test_a_value_that_is_not_known_leaves_the_sum_unknown() -> None:
    assert all(math.isnan(part) for part in rest([1, math.nan], [0, 0], [8]))


def test_units_that_move_together_are_not_taken_for_many() -> None:
    apart = rest([1, 2, 3] * 4, [s for s in range(4) for _ in range(3)], [9] * 4)
    together = rest(
        [1, 2, 3] * 4, [s for s in range(4) for _ in range(3)], [9] * 4, [0, 1, 2] * 4
    )

    assert together.value == apart.value
    assert together.high > apart.high


AMOUNTS = st.lists(st.floats(0.01, 100), min_size=2, max_size=12)


@given(AMOUNTS, AMOUNTS, st.floats(0.5, 0.98))
def test_a_surer_interval_is_wider_and_holds_the_estimate(
    some: list[float], others: list[float], level: float
) -> None:
    values, strata = some + others, [0] * len(some) + [1] * len(others)

    sure = rest(values, strata, [7, 9], level=level)
    surer = rest(values, strata, [7, 9], level=level + 0.01)

    assert 0 <= surer.low <= sure.low <= sure.value <= sure.high <= surer.high


@given(st.permutations(range(8)))
def test_the_order_of_what_is_known_is_no_matter(order: list[int]) -> None:
    values, strata = [1, 3, 4, 9, 2, 2, 8, 5], [0, 0, 0, 0, 1, 1, 1, 1]
    clusters = [0, 1, 2, 3, 0, 1, 2, 3]

    again = [[column[i] for i in order] for column in (values, strata, clusters)]

    assert rest(again[0], again[1], [5, 5], again[2]) == pytest.approx(
        rest(values, strata, [5, 5], clusters)
    )


@dataclass(frozen=True)
class World:
    """Answers of lognormal length, cut by max_tokens: cases, variants and what is left
    each vary; the dearest models may cost many times as much as others."""

    variants: int
    cases: int = 200
    pilot: int = 2
    """Answers of each variant that are dealt."""
    first: int = 0
    """Cases that all variants were asked before."""
    spread: float = 0.0
    """Of the logarithm of the prices."""
    caps: tuple[int, ...] = (256, 1024)

    def costs(self, dice: np.random.Generator) -> np.ndarray:
        case = dice.normal(0, 0.5, (self.cases, 1))
        variant = dice.normal(0, 0.5, self.variants)
        rest = dice.normal(0, 0.5, (self.cases, self.variants))
        tokens = np.ceil(np.exp(5 + case + variant + rest))
        caps = np.resize(self.caps, self.variants)
        return np.minimum(tokens, caps) * np.exp(dice.normal(0, self.spread, caps.size))

    def known(self, dice: np.random.Generator) -> np.ndarray:
        answered = np.zeros((self.cases, self.variants), dtype=np.int64)
        answered[: self.first] = 1
        wanted = np.full(self.variants, self.pilot)
        for case, variant, _ in deal(answered[:, :, None] == 0, answered, wanted, dice):
            answered[case, variant] = 1
        return answered == 1

    def coverage(self, worlds: int) -> tuple[float, float]:
        """How often the interval holds what is left, and its median half width, as a
        share of it."""
        held, widths = 0, []
        for seed in range(worlds):
            dice = np.random.default_rng(seed)
            costs, known = self.costs(dice), self.known(dice)
            cases, variants = np.nonzero(known)
            truth, left = costs[~known].sum(), (~known).sum(axis=0)
            found = rest_of_total(costs[known], variants, cases, left, level=0.9)
            held += found.low <= truth <= found.high
            widths.append((found.high - found.low) / 2 / truth)
        return held / worlds, float(np.median(widths))


@pytest.mark.parametrize(
    "world",
    [
        World(72),
        World(8),
        World(4),
        World(24, spread=1.5),
        World(8, spread=1.5),
        World(12, caps=(16, 4096)),
        World(12, cases=10),
        World(8, pilot=0, first=10, spread=1.0),
        World(72, pilot=0, first=80),
        World(8, first=20),
    ],
    ids=str,
)
def test_the_interval_holds_what_is_left_as_often_as_it_says(world: World) -> None:
    """At least 0.87 of simulated worlds, at a nominal 0.90."""
    held, _ = world.coverage(400)

    assert 0.87 <= held <= 0.985


def test_two_answers_of_each_variant_tell_much_of_a_large_grid() -> None:
    """1 % of the answers tell what is left to within some 10 %."""
    _, half = World(72).coverage(100)

    assert half < 0.12


def test_the_same_cases_for_all_do_not_pass_for_many() -> None:
    world = World(72, pilot=0, first=5)

    held, half = world.coverage(300)

    assert held >= 0.87
    assert half > 2 * World(72, pilot=5).coverage(50)[1]
