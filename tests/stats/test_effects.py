"""Effects of parameters, and linear models where a grid has holes."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from statsmodels.datasets import grunfeld

from promptlab.stats.effects import effects_of, estimate, least_squares
from tests.stats.simulations import chance

LEVELS = np.array(list(np.ndindex(2, 3)))


def balanced() -> np.ndarray:
    """Two prompts at three temperatures on 50 cases."""
    dice = np.random.default_rng(0)
    cases = dice.normal(0, 1, 50)
    return np.array(
        [
            [dice.random() < chance(case + 0.4 * prompt + 0.1 * t) for case in cases]
            for prompt, t in LEVELS
        ]
    ).astype(float)


def test_a_main_effect_is_the_mean_of_the_differences_of_cases() -> None:
    found = estimate(balanced(), effects_of(LEVELS))

    assert found.value[0] == pytest.approx(0.10666667, abs=1e-8)
    assert found.error[0] == pytest.approx(0.05167489510952585, abs=1e-12)


def test_on_a_complete_grid_it_is_least_squares_clustered_by_case() -> None:
    scores = balanced()
    rows = LEVELS.repeat(50, axis=0)
    design = np.column_stack(
        [np.ones(300), rows[:, 0] == 1, rows[:, 1] == 1, rows[:, 1] == 2]
    )
    cases = np.tile(np.arange(50), 6)

    own = estimate(scores, effects_of(LEVELS, order=1))
    fit = least_squares(scores.ravel(), design, cases)

    assert fit.coefficients[1:] == pytest.approx(own.value)
    plain = fit.errors * np.sqrt(49 / 50 * (300 - 4) / 299)  # Stata's correction undone
    assert plain[1] == pytest.approx(0.051155536248669, abs=1e-12)
    assert plain[1] * np.sqrt(50 / 49) == pytest.approx(own.error[0])
    naive = least_squares(scores.ravel(), design).errors
    assert naive[1] == pytest.approx(0.057283342966183204, abs=1e-12)


def test_effects_are_named_by_their_levels() -> None:
    found = effects_of(LEVELS, references=[1, 0])

    assert [(e.parameters, e.levels, e.references) for e in found] == [
        ((0,), (0,), (1,)),
        ((1,), (1,), (0,)),
        ((1,), (2,), (0,)),
        ((0, 1), (0, 1), (1, 0)),
        ((0, 1), (0, 2), (1, 0)),
    ]


def test_an_interaction_is_a_difference_of_differences() -> None:
    means = np.array([0.1, 0.2, 0.3, 0.4, 0.9, 0.6])
    found = estimate(np.tile(means[:, None], 5), effects_of(LEVELS))

    assert found.value == pytest.approx([0.43333333, 0.3, 0.2, 0.4, 0.0])


def test_weights_of_an_effect_add_up_to_nothing() -> None:
    levels = np.array(list(np.ndindex(2, 3, 2)))

    for effect in effects_of(levels):
        assert effect.weights.sum() == pytest.approx(0)
        assert np.abs(effect.weights).sum() == pytest.approx(2 ** len(effect.levels))


def test_holes_of_a_grid_leave_what_can_be_paired() -> None:
    """Without (1, 2), the prompts are compared at the other two temperatures."""
    means = np.array([0.1, 0.2, 0.3, 0.4, 0.9])

    found = estimate(np.tile(means[:, None], 5), effects_of(LEVELS[:5]))

    assert found.value[:3] == pytest.approx([0.5, 0.3, 0.2])
    assert found.value[3] == pytest.approx(0.4)
    assert np.isnan(found.value[4])
    assert found.count[4] == 0


def test_a_case_counts_where_all_that_is_compared_has_a_score() -> None:
    scores = balanced()
    scores[5, 0] = np.nan

    found = estimate(scores, effects_of(LEVELS))

    assert found.count.tolist() == [49, 50, 49, 50, 49]


def test_investments_of_grunfeld_clustered_by_firm() -> None:
    """The errors are those of statsmodels, which are Stata's."""
    data = grunfeld.load_pandas().data
    design = np.column_stack([np.ones(len(data)), data["value"], data["capital"]])
    firms = data["firm"].to_numpy().astype(str)

    fit = least_squares(data["invest"], design, firms)

    oracle = sm.OLS(data["invest"].to_numpy(), design).fit(
        cov_type="cluster",
        cov_kwds={"groups": np.unique(firms, return_inverse=True)[1]},
    )
    assert fit.coefficients == pytest.approx(oracle.params)
    assert fit.errors == pytest.approx(oracle.bse)
    assert fit.freedom == len(set(firms)) - 1


def test_weighted_least_squares_are_statsmodels() -> None:
    dice = np.random.default_rng(1)
    x, y, w = dice.normal(size=(30, 2)), dice.normal(size=30), dice.random(30) + 0.5

    fit = least_squares(y, x, weights=w)

    oracle = sm.WLS(y, x, weights=w).fit()
    assert fit.coefficients == pytest.approx(oracle.params)
    assert fit.errors == pytest.approx(oracle.bse)
