"""How many cases it takes."""

from __future__ import annotations

import math

import numpy as np
import pytest
from statsmodels.stats.power import TTestPower

from promptlab.stats.paired import mcnemar
from promptlab.stats.power import (
    Variances,
    cases_needed,
    detectable,
    detection_rate,
    mcnemar_cases_needed,
    mcnemar_detection_rate,
    variances,
)

MILLER = Variances(1 / 9)


def test_969_questions_show_three_points_as_miller_has_it() -> None:
    assert cases_needed(0.03, MILLER) == pytest.approx(968.9975, abs=1e-3)


def test_repeats_save_cases_up_to_a_limit() -> None:
    noisy = Variances(1 / 9, 1 / 6, 1 / 6)

    assert cases_needed(0.03, noisy, repeats=np.array([1, 10])) == pytest.approx(
        [3876, 1260], abs=0.5
    )
    assert cases_needed(0.03, noisy, repeats=10**9) == pytest.approx(969, abs=0.1)


def test_what_can_be_seen_is_the_inverse_of_what_it_takes() -> None:
    for comparisons in (1, 7):
        number = cases_needed(0.05, MILLER, comparisons=comparisons)

        seen = detectable(number, MILLER, comparisons=comparisons)
        assert seen == pytest.approx(0.05)
    assert cases_needed(0.05, MILLER, comparisons=7) > cases_needed(0.05, MILLER)


@pytest.mark.parametrize("cases", [8, 30, 60])
def test_the_chance_to_see_a_difference_is_that_of_the_t_test(cases: int) -> None:
    rate = detection_rate(cases, 0.1, Variances(0.04))

    assert rate == pytest.approx(TTestPower().power(0.5, cases, 0.05), abs=1e-9)


def test_a_large_difference_is_seen_for_sure() -> None:
    assert detection_rate([300, 3_000], 1, Variances(0.04)).tolist() == [1, 1]
    assert np.isnan(detection_rate(30, 0.1, Variances(math.nan)))


def test_mcnemars_chance_is_that_of_all_tables() -> None:
    cases, difference, discordant = 12, 0.3, 0.6
    won, lost = (discordant + difference) / 2, (discordant - difference) / 2
    expected = 0.0
    for wins in range(cases + 1):
        for losses in range(cases + 1 - wins):
            ties = cases - wins - losses
            ways = math.comb(cases, wins) * math.comb(cases - wins, losses)
            chance = ways * won**wins * lost**losses * (1 - discordant) ** ties
            expected += chance * bool(mcnemar(wins, losses) <= 0.05)

    rate = mcnemar_detection_rate(cases, difference, discordant)

    assert rate == pytest.approx(expected)


def test_mcnemar_takes_some_more_cases_than_the_formula() -> None:
    needed = mcnemar_cases_needed(0.05, 0.2)
    formula = cases_needed(0.05, Variances(0.2 - 0.05**2))

    assert formula < needed < 1.2 * formula
    assert mcnemar_detection_rate(needed, 0.05, 0.2) >= 0.8


def test_a_difference_is_at_most_the_share_of_cases_that_differ() -> None:
    with pytest.raises(ValueError, match=r"discordant cases from 0\.3 to 1, got 0\.2"):
        mcnemar_detection_rate(10, -0.3, 0.2)
    with pytest.raises(ValueError, match="difference other than 0"):
        mcnemar_cases_needed(0, 0.2)
    assert mcnemar_detection_rate(10, 0, 0) == 0


def test_a_pilot_tells_variances_between_and_within_cases() -> None:
    dice = np.random.default_rng(0)
    hard = dice.normal(0, 1, (4_000, 1))
    a = hard + dice.normal(0, 0.3, (4_000, 1)) + dice.normal(0, 0.2, (4_000, 3))
    b = hard + dice.normal(0, 0.1, (4_000, 2))

    found = variances(a, b)

    assert found == pytest.approx((0.09, 0.04, 0.01), rel=0.08)


def test_a_pilot_of_one_repeat_tells_their_sum() -> None:
    dice = np.random.default_rng(0)
    a, b = dice.normal(0, 1, (100, 1)), dice.normal(0, 1, (100, 1))

    found = variances(a, b)

    assert found.between == pytest.approx((a - b).var(ddof=1))
    assert (found.within_a, found.within_b) == (0, 0)
    assert math.isnan(variances(a[:1], b[:1]).between)
