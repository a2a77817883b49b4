"""What the statistics say, held against a truth that is known: simulated grids.

`python -m benchmarks.statistics` takes more of them and prints the figures.
"""

from __future__ import annotations

import pytest

from tests.stats.simulations import coverage, detected, false_alarms, races, winners


@pytest.mark.parametrize("graded", [False, True], ids=["0/1", "graded"])
def test_variants_alike_are_rarely_called_different(graded: bool) -> None:
    assert false_alarms(400, graded=graded) <= 0.065


@pytest.mark.parametrize("clusters", [0, 20], ids=["50 cases", "20 clusters"])
def test_intervals_of_differences_hold_the_truth(clusters: int) -> None:
    assert coverage(1_000, clusters=clusters) >= 0.93


def test_the_winner_of_many_is_corrected_for_having_won() -> None:
    found = winners(30, resamples=300)

    assert found.raw_bias > 0.025
    assert abs(found.corrected_bias) <= 0.015
    assert abs(found.pooled_bias) <= 0.015
    assert found.covered >= 0.9
    assert found.holds_best >= 0.95
    assert found.size < 40
    assert found.pooled_best > found.best


def test_a_race_finds_the_best_as_often_with_a_quarter_of_the_calls() -> None:
    found = races(300)

    assert found.calls <= 0.27
    assert abs(found.best - found.whole_best) <= 0.06


@pytest.mark.parametrize("binary", [False, True], ids=["graded", "0/1"])
def test_as_many_cases_as_it_is_said_to_take_show_the_difference(binary: bool) -> None:
    assert detected(800, binary=binary) == pytest.approx(0.8, abs=0.05)
