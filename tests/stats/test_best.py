"""The best of many, and what its score is worth."""

from __future__ import annotations

import math
from time import process_time

import numpy as np
import pytest

from promptlab.stats.best import corrected_winner, could_be_best, pooled_means
from promptlab.stats.means import case_means, mean
from promptlab.stats.paired import compare

DICE = np.random.default_rng(11)
HARD = DICE.normal(0, 0.2, 200)


def grid(*means: float, cases: int = 200, noise: float = 0.1) -> np.ndarray:
    dice = np.random.default_rng(12)
    scores = np.array(means)[:, None] + HARD[:cases]
    return scores + dice.normal(0, noise, scores.shape)


def test_a_variant_that_loses_on_all_of_many_cases_is_ruled_out() -> None:
    def possible(cases: int) -> list[bool]:
        return could_be_best(np.array([[1.0], [0.0]]).repeat(cases, axis=1)).tolist()

    assert possible(12) == [True, False]
    assert possible(2) == [True, True]  # by chance once in two times


def test_those_far_behind_the_best_are_ruled_out_those_beside_it_are_not() -> None:
    possible = could_be_best(grid(0.7, 0.705, 0.5, 0.69, 0.4))

    assert possible.tolist() == [True, True, False, True, False]


def test_few_cases_rule_out_less() -> None:
    many, few = (could_be_best(grid(0.7, 0.62, cases=n, noise=0.2)) for n in (200, 12))

    assert many.tolist() == [True, False]
    assert few.tolist() == [True, True]


def test_pairing_tells_apart_what_hard_cases_would_hide() -> None:
    scores = grid(0.7, 0.67, noise=0.02)
    apart = np.array([scores[0], np.random.default_rng(1).permutation(scores[1])])

    assert could_be_best(scores).tolist() == [True, False]
    assert could_be_best(apart).tolist() == [True, True]


def test_variants_that_answer_alike_are_best_together() -> None:
    scores = grid(0.7, 0.7, 0.5)
    scores[1] = scores[0]

    assert could_be_best(scores).tolist() == [True, True, False]
    assert could_be_best(np.ones((3, 60))).all()


def test_clusters_are_what_is_drawn() -> None:
    scores = np.repeat(grid(0.7, 0.66, cases=12, noise=0.2), 10, axis=1)
    clusters = np.repeat(np.arange(12), 10)

    assert could_be_best(scores).tolist() == [True, False]
    assert could_be_best(scores, clusters).tolist() == [True, True]


def test_the_best_is_always_among_them_and_what_has_no_score_never() -> None:
    scores = grid(0.7, 0.6, 0.65)
    scores[0, 100:] = np.nan
    scores[1] = np.nan

    possible = could_be_best(scores)

    assert possible.tolist() == [True, False, False]
    assert could_be_best(scores[:1]).tolist() == [True]
    assert could_be_best(scores[:, :1]).tolist() == [True, False, True]


@pytest.mark.parametrize("clustered", [False, True])
def test_neither_order_of_cases_nor_of_variants_matters(clustered: bool) -> None:
    scores = grid(0.7, 0.69, 0.68, 0.66, 0.64, noise=0.25)
    clusters = np.arange(200) // 2 if clustered else None
    order = np.random.default_rng(2).permutation(200)
    again = None if clusters is None else clusters[order]

    assert (
        could_be_best(scores, clusters) == could_be_best(scores[:, order], again)
    ).all()
    assert corrected_winner(scores, clusters) == pytest.approx(
        corrected_winner(scores[:, order], again)
    )


def test_equal_seeds_give_equal_bytes() -> None:
    scores = grid(0.7, 0.69, 0.68)

    assert corrected_winner(scores, seed=3) == corrected_winner(scores, seed=3)
    assert corrected_winner(scores, seed=3) != corrected_winner(scores, seed=4)


def test_a_winner_among_equals_is_corrected_down_a_lone_one_is_not() -> None:
    equals = grid(*[0.6] * 30, noise=0.5)
    alone = grid(0.6, noise=0.5)

    assert equals.mean(axis=1).max() - corrected_winner(equals).value > 0.02
    value, low, high = corrected_winner(alone)
    assert value == pytest.approx(alone.mean(), abs=0.005)
    assert low < value < high


def test_no_score_has_no_winner() -> None:
    assert all(math.isnan(one) for one in corrected_winner(np.full((2, 5), np.nan)))


LEVELS = np.array(list(np.ndindex(3, 4)))


def test_pooling_draws_a_grid_of_main_effects_to_their_fit() -> None:
    truth = np.array([0.0, 0.1, 0.2])[LEVELS[:, 0]] + 0.05 * LEVELS[:, 1] + 0.3
    scores = grid(*truth, noise=0.5)

    pooled = pooled_means(scores, LEVELS)

    far = np.abs(scores.mean(axis=1) - scores.mean() - (truth - truth.mean())).mean()
    near = np.abs(pooled.means - pooled.means.mean() - (truth - truth.mean())).mean()
    assert pooled.weight < 0.5
    assert near < 0.8 * far


def test_pooling_leaves_a_grid_of_interactions_as_it_is() -> None:
    truth = np.random.default_rng(1).normal(0.5, 0.3, 12)
    scores = grid(*truth, noise=0.2)

    pooled = pooled_means(scores, LEVELS)

    assert pooled.weight > 0.98
    assert pooled.means == pytest.approx(scores.mean(axis=1), abs=0.02)


def test_pooling_draws_those_with_fewer_cases_further() -> None:
    scores = grid(*[0.5] * 11, 0.9, noise=0.6)
    holed = scores.copy()
    holed[11, 20:] = np.nan

    raw, pooled = mean(holed).value, pooled_means(holed, LEVELS).means

    kept = (pooled[11] - pooled[:11].mean()) / (raw[11] - raw[:11].mean())
    whole = pooled_means(scores, LEVELS).means
    assert kept < (whole[11] - whole[:11].mean()) / (
        scores[11].mean() - scores[:11].mean()
    )


def test_pooling_too_few_variants_changes_nothing() -> None:
    scores = grid(0.5, 0.6)

    means, weight = pooled_means(scores, [[0], [1]])

    assert weight == 1
    assert means == pytest.approx(scores.mean(axis=1))


def test_a_large_grid_takes_seconds() -> None:
    """72 variants × 1,000 cases × 3 repeats, 2,000 resamples: `benchmarks.statistics`
    holds it to 3 s; here a machine may be three times as slow."""
    scores = (np.random.default_rng(5).random((72, 1_000, 3)) < 0.7).astype(float)

    begun = process_time()
    means = case_means(scores)
    compare(means[1:], means[0])
    could_be_best(means)
    corrected_winner(means)

    assert process_time() - begun < 9
