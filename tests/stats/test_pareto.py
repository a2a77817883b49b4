"""The front of score against cost."""

from __future__ import annotations

import numpy as np
import pytest

from promptlab.stats.pareto import chance_on_front, front


def test_the_front_is_whom_no_other_beats_in_both() -> None:
    costs = [3.0, 1, 2, 2, 4, 2.5]
    scores = [0.8, 0.5, 0.6, 0.4, 0.7, 0.6]

    assert front(costs, scores).tolist() == [True, True, True, False, False, False]


def test_twins_are_on_the_front_together() -> None:
    assert front([1, 1, 1, 2], [0.5, 0.5, 0.4, 0.5]).tolist() == [
        *(True, True, False, False)
    ]


def test_what_has_no_cost_or_score_is_not_on_the_front() -> None:
    assert front([np.nan, 1], [0.9, 0.5]).tolist() == [False, True]
    assert front([1, 1], [np.nan, np.nan]).tolist() == [False, False]


def test_each_row_has_a_front_of_its_own_as_all_pairs_say() -> None:
    dice = np.random.default_rng(0)
    costs, scores = dice.integers(0, 6, (2, 200, 7)).astype(float)

    cheaper = (costs[:, :, None] <= costs[:, None]) & (
        scores[:, :, None] >= scores[:, None]
    )
    better = (costs[:, :, None] < costs[:, None]) | (
        scores[:, :, None] > scores[:, None]
    )
    assert (front(costs, scores) == ~(cheaper & better).any(axis=1)).all()


def test_the_chance_to_be_on_the_front_is_shared_by_those_that_tie() -> None:
    dice = np.random.default_rng(1)
    costs = np.array([1.0, 2, 2.001])[:, None] + dice.normal(0, 0.01, (3, 100))
    scores = np.array([0.5, 0.7, 0.7])[:, None] + dice.normal(0, 0.3, (3, 100))

    chances = chance_on_front(costs, scores)

    assert chances[0] == 1
    assert 0.1 < chances[2] < 0.9
    assert chances == pytest.approx(chance_on_front(costs[:, ::-1], scores[:, ::-1]))
