"""Who goes on in a race."""

from __future__ import annotations

import numpy as np
import pytest

from promptlab.stats.race import eliminate, halve, race, rounds
from tests.stats.simulations import world


@pytest.mark.parametrize(
    ("cases", "ends"),
    [(200, [20, 40, 80, 160, 200]), (160, [20, 40, 80, 160]), (15, [15]), (20, [20])],
)
def test_rounds_double_until_all_cases_are_asked(cases: int, ends: list[int]) -> None:
    assert rounds(cases) == ends


def test_rounds_always_grow() -> None:
    assert rounds(6, first=1, eta=1.1) == [1, 2, 3, 4, 5, 6]
    with pytest.raises(ValueError, match="expected first >= 1, got 0"):
        rounds(10, first=0)
    with pytest.raises(ValueError, match="expected eta > 1, got 1"):
        rounds(10, eta=1)


def test_the_better_half_goes_on() -> None:
    assert halve([0.1, 0.9, 0.5, 0.7, np.nan], keep=1).tolist() == [1, 2, 3]
    assert halve([0.1, 0.9, 0.5, 0.7], keep=3).tolist() == [1, 2, 3]
    assert halve([0.1, 0.2], keep=3).tolist() == [0, 1]


def test_of_equals_the_cheaper_goes_on_then_one_by_chance() -> None:
    even = [0.5] * 4

    assert halve(even, keep=1, costs=[3, 1, 2, 1]).tolist() == [1, 3]
    assert {tuple(halve(even, keep=1, seed=n)) for n in range(20)} > {(0, 1), (2, 3)}
    assert halve([0.1 + 0.2, 0.3], keep=1, costs=[2, 1]).tolist() == [1]


def test_a_race_asks_a_quarter_and_its_winner_everything() -> None:
    scores = np.random.default_rng(0).random((72, 200)) + np.eye(72, 200)[:, :1] * 0
    scores[17] += 1

    winner, asked = race(scores)

    assert winner == 17
    assert asked[17] == 200
    assert asked.sum() / scores.size == pytest.approx(0.264, abs=0.005)
    assert sorted(set(asked)) == [20, 40, 80, 160, 200]


def test_those_surely_behind_are_eliminated() -> None:
    dice = np.random.default_rng(1)
    scores = np.array([[0.7], [0.69], [0.3]]) + dice.normal(0, 0.2, (3, 40))

    assert eliminate(scores, 200, 5).tolist() == [True, True, False]


def test_the_last_case_settles_it() -> None:
    """When no case is left to ask, who is behind stays behind."""
    dice = np.random.default_rng(1)
    scores = np.array([[0.7], [0.69]]) + dice.normal(0, 0.2, (2, 40))

    assert eliminate(scores, 40, 1).sum() == 1
    assert eliminate(scores, 400, 1).all()


def test_twins_of_the_leader_stay() -> None:
    scores = np.tile(np.random.default_rng(1).random(40), (3, 1))

    assert eliminate(scores, 40, 1).all()


def test_the_winner_of_the_whole_grid_mostly_survives_elimination() -> None:
    dice = np.random.default_rng(8)
    kept, strictly, asked = [], [], []
    for _ in range(60):
        scores = world(dice).scores
        best = scores.mean(axis=1).argmax()
        for strict, survived in ((False, kept), (True, strictly)):
            left = np.arange(72)
            calls = 0
            ends = rounds(200)
            for start, end in zip([0, *ends], ends, strict=False):
                calls += len(left) * (end - start)
                left = left[eliminate(scores[left, :end], 200, 5, strict=strict)]
            survived.append(best in left)
            asked += [calls / scores.size] * (not strict)

    assert np.mean(kept) >= 0.9
    assert np.mean(strictly) >= np.mean(kept)
    assert np.mean(asked) < 0.45
