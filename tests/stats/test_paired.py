"""Two variants on the same cases."""

from __future__ import annotations

import numpy as np
import pytest

from promptlab.stats.intervals import wilson
from promptlab.stats.paired import (
    compare,
    mcnemar,
    mcnemar_chi2,
    paired_shares,
    sign_flip,
)

DARWIN = np.array([49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]) / 8
"""Inches that crossed plants grew taller than self-fertilised ones (Fisher 1935)."""

DICE = np.random.default_rng(7)
BINARY = (DICE.random((4, 60)) < 0.7).astype(float)
GRADED = DICE.normal(0.6, 0.2, (4, 60))


def test_approval_ratings_of_agresti() -> None:
    """Of 1,600, 86 came to approve, 150 no longer did."""
    chi2, p = mcnemar_chi2(86, 150)
    value, low, high = paired_shares(86, 150, 1600, adjusted=False)

    assert chi2 == pytest.approx(17.3559, abs=5e-5)
    assert p == pytest.approx(3.0993e-05, abs=1e-9)
    assert mcnemar(86, 150) == pytest.approx(3.71594e-05, abs=1e-9)
    assert (value, low, high) == pytest.approx((-0.04, -0.0587, -0.0213), abs=5e-5)
    assert (high - low) / 2 / 1.959964 == pytest.approx(0.0095, abs=1e-4)


def test_pairing_sees_more_than_two_separate_shares() -> None:
    paired = paired_shares(86, 150, 1600)
    one, other = wilson(944, 1600), wilson(880, 1600)

    apart = np.hypot(one.high - one.low, other.high - other.low)
    assert paired.high - paired.low < 0.6 * apart


def test_darwins_plants_by_all_signs() -> None:
    assert sign_flip(DARWIN) == 1726 / 32768


def test_signs_drawn_by_chance_come_close_to_all_of_them() -> None:
    differences = np.concatenate([DARWIN, [5.0, -3.0, 4.0]])
    signs = np.array(np.meshgrid(*[[-1, 1]] * 18)).reshape(18, -1)
    exact = (np.abs(differences @ signs) >= abs(differences.sum()) - 1e-9).mean()

    drawn = sign_flip(differences, seed=1)

    assert drawn == pytest.approx(exact, abs=0.01)
    assert drawn == sign_flip(differences[::-1], seed=1)
    assert drawn != sign_flip(differences, seed=2)


def test_clusters_flip_as_wholes() -> None:
    assert sign_flip([1, 1, 1, 1], [0, 0, 1, 1]) == 0.5
    assert sign_flip([1, 1, 1, 1]) == 0.125
    assert sign_flip([0, 0, np.nan]) == 1


def test_five_discordant_cases_never_suffice() -> None:
    assert mcnemar([5, 6, 0], [0, 0, 0]) == pytest.approx([0.0625, 0.03125, 1])


def test_a_share_has_an_interval_even_if_no_case_differs() -> None:
    value, low, high = paired_shares(0, 0, 50)

    assert value == 0
    assert -0.1 < low < 0 < high < 0.1


def test_scores_of_0_and_1_are_tested_by_mcnemar_others_by_t() -> None:
    binary, graded = compare(BINARY, BINARY[0]), compare(GRADED, GRADED[0])
    difference = GRADED[1] - GRADED[0]

    assert set(binary.test) == {"mcnemar"}
    assert binary.p[1] == mcnemar(binary.wins[1], binary.losses[1])
    assert set(graded.test) == {"t"}
    assert graded.delta[1] == pytest.approx(difference.mean())
    half = 2.000995 * difference.std(ddof=1) / np.sqrt(60)
    assert graded.high[1] - graded.delta[1] == pytest.approx(half, rel=1e-6)


def test_few_graded_cases_are_tested_by_flipping_signs() -> None:
    found = compare(DARWIN, np.zeros(15))

    assert found.test[0] == "sign_flip"
    assert found.p[0] == 1726 / 32768


def test_clusters_are_the_units_of_all_tests() -> None:
    clusters = np.arange(60) // 5

    found = compare(BINARY, BINARY[0], clusters)

    assert set(found.test) == {"sign_flip"}
    assert found.p[1] == sign_flip(BINARY[1] - BINARY[0], clusters)


def test_wins_losses_and_ties_are_cases() -> None:
    found = compare([[1, 0, 1, 1, np.nan]], [0, 1, 1, 1, 1])

    assert (found.wins[0], found.losses[0], found.ties[0]) == (1, 1, 2)
    assert found.cases[0] == 4
    assert found.delta[0] == 0


def test_a_missing_score_takes_its_case_out_of_the_pair() -> None:
    holed = GRADED.copy()
    holed[1, :10] = np.nan

    found = compare(holed, GRADED[0])

    assert found.cases.tolist() == [60, 50, 60, 60]
    assert found.delta[1] == pytest.approx((GRADED[1] - GRADED[0])[10:].mean())


@pytest.mark.parametrize("scores", [BINARY, GRADED], ids=["0/1", "graded"])
@pytest.mark.parametrize("clusters", [None, np.arange(60) // 3], ids=["", "clusters"])
def test_the_order_of_the_cases_changes_nothing(
    scores: np.ndarray, clusters: np.ndarray | None
) -> None:
    order = np.random.default_rng(3).permutation(60)

    found = compare(scores, scores[0], clusters)
    again = compare(
        scores[:, order],
        scores[0, order],
        None if clusters is None else clusters[order],
    )

    for one, other in zip(found[:8], again[:8], strict=True):
        assert one == pytest.approx(other, abs=1e-12)
