"""Rankings from votes."""

from __future__ import annotations

import choix
import numpy as np
import pytest

from promptlab.stats.ranking import bradley_terry

HOME_WINS = [
    [0, 4, 4, 4, 6, 4, 6],
    [3, 0, 4, 4, 6, 6, 4],
    [2, 4, 0, 2, 4, 4, 6],
    [3, 5, 2, 0, 4, 4, 6],
    [5, 2, 3, 4, 0, 5, 6],
    [2, 3, 3, 4, 4, 0, 2],
    [2, 1, 1, 2, 1, 3, 0],
]
HOME_LOSSES = [
    [0, 3, 2, 3, 1, 2, 0],
    [3, 0, 2, 3, 0, 1, 3],
    [5, 3, 0, 4, 3, 2, 0],
    [3, 1, 5, 0, 3, 2, 1],
    [1, 5, 3, 2, 0, 2, 0],
    [5, 3, 4, 3, 2, 0, 4],
    [5, 5, 6, 4, 6, 4, 0],
]
"""American League 1987, by home team and away team (Agresti 2002, table 10.10):
Milwaukee, Detroit, Toronto, New York, Boston, Cleveland, Baltimore."""
BALTIMORE = 6

HOME, AWAY = np.array([(i, j) for i in range(7) for j in range(7) if i != j]).T
BASEBALL = (
    HOME,
    AWAY,
    np.array(HOME_WINS)[HOME, AWAY],
    np.array(HOME_LOSSES)[HOME, AWAY],
)

CITATIONS = np.array(
    [
        [714, 33, 320, 284],
        [730, 425, 813, 276],
        [498, 68, 1072, 325],
        [221, 17, 142, 188],
    ]
)
"""Biometrika, Comm. Statist., JASA and JRSS B: cited, by what cites (Stigler 1994)."""


def test_baseball_without_the_home_advantage() -> None:
    found = bradley_terry(*BASEBALL, position=False)
    abilities, errors = found.against(BALTIMORE)

    assert abilities[:6] == pytest.approx(
        [1.5814, 1.4364, 1.2945, 1.2476, 1.1077, 0.6839], abs=5e-5
    )
    assert errors[:6] == pytest.approx(
        [0.3433, 0.3396, 0.3367, 0.3359, 0.3339, 0.3319], abs=5e-5
    )
    assert errors[6] == 0
    assert found.deviance == pytest.approx(44.0535, abs=5e-5)
    assert (found.freedom, found.position) == (36, 0)


def test_baseball_with_the_home_advantage_which_is_that_of_being_shown_first() -> None:
    found = bradley_terry(*BASEBALL)

    assert found.position == pytest.approx(0.3023, abs=5e-5)
    assert found.position_error == pytest.approx(0.1309, abs=5e-5)
    assert (found.deviance, found.freedom) == (pytest.approx(38.6429, abs=5e-5), 35)
    assert np.sort(found.shares) == pytest.approx(
        [0.044, 0.088, 0.137, 0.157, 0.164, 0.19, 0.22], abs=5e-4
    )


def test_journals_by_who_cites_whom() -> None:
    first, second = np.triu_indices(4, 1)

    found = bradley_terry(
        first,
        second,
        CITATIONS.T[first, second],
        CITATIONS[first, second],
        position=False,
    )

    abilities, _ = found.against(0)
    assert abilities == pytest.approx([0, -2.9491, -0.4796, 0.2690], abs=5e-5)


def test_abilities_are_choixs_whatever_the_counts_are_given_as() -> None:
    dice = np.random.default_rng(0)
    first, second = dice.integers(0, 4, (2, 300))
    first, second = first[first != second], second[first != second]
    won = (dice.random(len(first)) < 0.5 + (first - second) / 10).astype(float)

    found = bradley_terry(first, second, won, 1 - won, position=False)

    pairs = [
        (i, j) if w else (j, i) for i, j, w in zip(first, second, won, strict=True)
    ]
    assert found.abilities == pytest.approx(choix.opt_pairwise(4, pairs), abs=1e-4)
    assert found.abilities.sum() == pytest.approx(0)


def test_a_tie_is_half_a_win_for_each() -> None:
    even = bradley_terry([0, 1], [1, 0], [0.5, 0.5], [0.5, 0.5], position=False)

    assert even.abilities == pytest.approx([0, 0])


def test_votes_of_a_rater_hang_together() -> None:
    dice = np.random.default_rng(1)
    raters = np.arange(30).repeat(20)
    taste = dice.random(30) < 0.6
    won = np.where(dice.random(600) < 0.9, taste[raters], ~taste[raters]).astype(float)
    first = np.zeros(600, dtype=int)

    alone = bradley_terry(first, first + 1, won, 1 - won, position=False)
    together = bradley_terry(
        first, first + 1, won, 1 - won, position=False, clusters=raters
    )

    assert together.abilities == pytest.approx(alone.abilities)
    assert together.against(0)[1][1] > 2.5 * alone.against(0)[1][1]
    assert together.interval().low[0] < alone.interval().low[0]


def test_who_never_lost_has_no_finite_ability() -> None:
    with pytest.raises(
        ValueError, match="never lost, or never won, against the others"
    ):
        bradley_terry([0, 1, 0], [1, 2, 2], [3, 1, 2], [0, 1, 0])
