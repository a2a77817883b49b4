"""The spread of wordings, beyond what chance does."""

from __future__ import annotations

import numpy as np
import pytest

from promptlab.stats.spread import spread

SHROUT_FLEISS = np.array(
    [
        [9, 2, 5, 8],
        [6, 1, 3, 2],
        [8, 4, 6, 8],
        [7, 1, 2, 6],
        [10, 5, 6, 9],
        [6, 2, 4, 7],
    ]
).T
"""Four judges of six targets (Shrout & Fleiss 1979, Psychol Bull 86:420, table 2)."""


def test_components_are_those_of_a_published_analysis() -> None:
    found = spread(SHROUT_FLEISS)

    # Mean squares of table 3: judges 32.49, targets 11.24, the rest 1.02.
    assert found.deviation**2 == pytest.approx((32.49 - 1.02) / 6, abs=0.002)
    targets = (11.24 - 1.02) / 4
    judges = (32.49 - 1.02) / 6
    assert found.share == pytest.approx(judges / (judges + targets + 1.02), abs=0.001)
    assert found.range == pytest.approx(46 / 6 - 15 / 6)
    assert found.low < found.deviation < found.high


def test_the_interval_is_that_of_tukey_and_williams() -> None:
    # (W−1)(s² − F·V)/χ² by hand, with the quantiles of tables: F(0.975; 3, 15) = 4.153,
    # F(0.025; 3, 15) = 0.0701, χ²(0.975; 3) = 9.348, χ²(0.025; 3) = 0.2158.
    found = spread(SHROUT_FLEISS)

    assert found.low**2 == pytest.approx((32.49 - 4.153 * 1.02) * 3 / 6 / 9.348, 0.002)
    assert found.high**2 == pytest.approx(
        (32.49 - 0.0701 * 1.02) * 3 / 6 / 0.2158, 0.002
    )


def test_a_case_that_one_wording_lacks_counts_for_none() -> None:
    scores = np.column_stack([SHROUT_FLEISS, [100, np.nan, 0, 0]])

    found = spread(scores)

    assert found.cases == 6
    assert found.deviation == spread(SHROUT_FLEISS).deviation


def test_the_order_of_wordings_and_cases_changes_nothing() -> None:
    dice = np.random.default_rng(0)
    shuffled = SHROUT_FLEISS[dice.permutation(4)][:, dice.permutation(6)]

    one, other = spread(SHROUT_FLEISS), spread(shuffled)

    assert one[1:] == pytest.approx(other[1:])


def test_each_case_its_own_cluster_is_no_cluster() -> None:
    found = spread(SHROUT_FLEISS, np.arange(6))

    assert found[1:] == pytest.approx(spread(SHROUT_FLEISS)[1:])


def test_cases_that_hang_together_leave_more_to_chance() -> None:
    scores = np.repeat(SHROUT_FLEISS, 5, axis=1)

    found = spread(scores, np.repeat(np.arange(6), 5))

    assert found[1:5] == pytest.approx(spread(SHROUT_FLEISS)[1:5])
    assert spread(scores).low > found.low


@pytest.mark.parametrize("shape", [(1, 5), (3, 1), (3, 0)])
def test_of_one_wording_or_one_case_nothing_is_known(shape) -> None:
    found = spread(np.ones(shape))

    assert np.isnan(found[1:6]).all()


def test_wordings_that_answer_alike_have_no_spread() -> None:
    found = spread(np.tile([0.0, 1.0, 1.0], (4, 1)))

    assert found[1:6] == (0, 0, 0, 0, 0)


@pytest.mark.parametrize("deviation", [0.0, 0.05])
@pytest.mark.parametrize("size", [1, 4], ids=["cases", "clusters"])
def test_intervals_hold_the_truth_as_often_as_they_say(size, deviation) -> None:
    dice, held, worlds = np.random.default_rng(3), 0, 400
    for _ in range(worlds):
        units = 80 // size
        chances = 0.6 + dice.normal(0, 0.2, units) + dice.normal(0, 0.1, (6, units))
        chances = np.repeat(chances, size, axis=1)
        chances += dice.normal(0, deviation, 6)[:, None]
        scores = (dice.random(chances.shape) < chances).astype(float)
        found = spread(scores, np.repeat(np.arange(units), size))
        held += found.low <= deviation <= found.high

    assert held / worlds >= 0.93
