"""Agreement of raters."""

from __future__ import annotations

import krippendorff
import numpy as np
import pytest
from statsmodels.stats.inter_rater import cohens_kappa

from promptlab.stats.agreement import (
    LEVELS,
    cohen_kappa,
    fleiss_kappa,
    kappa_interval,
    krippendorff_alpha,
    krippendorff_interval,
    position_bias,
)

NONE = np.nan
KRIPPENDORFF = np.array(
    [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, NONE, NONE, NONE],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, NONE, 3],
        [NONE, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, NONE],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, NONE],
    ]
)
"""Four observers, twelve units (Krippendorff 2011)."""

FLEISS = [
    *([0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0]),
    *([2, 2, 8, 1, 1], [7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2]),
    *([6, 5, 2, 1, 0], [0, 2, 2, 3, 7]),
]


def test_grant_proposals_have_a_kappa_of_0_4() -> None:
    found = cohen_kappa([[20, 5], [10, 15]])
    _, low, high = found.interval()

    assert found == pytest.approx((0.4, 0.126996, 0.7), abs=1e-6)
    assert (low, high) == pytest.approx((0.151092, 0.648908), abs=1e-6)


def test_the_error_of_kappa_is_statsmodels_for_more_categories() -> None:
    table = [[30, 4, 2], [3, 20, 8], [1, 5, 12]]

    found = cohen_kappa(table)

    oracle = cohens_kappa(np.array(table))
    assert (found.value, found.error) == pytest.approx((oracle.kappa, oracle.std_kappa))


def test_one_category_alone_has_no_kappa() -> None:
    assert np.isnan(cohen_kappa([[10, 0], [0, 0]]).value)


def test_fourteen_raters_of_ten_subjects() -> None:
    assert fleiss_kappa(FLEISS) == pytest.approx(0.210, abs=5e-4)
    with pytest.raises(ValueError, match="the same number of ratings, 2 or more"):
        fleiss_kappa([[1, 1], [2, 1]])


@pytest.mark.parametrize(
    ("level", "alpha"), list(zip(LEVELS, [0.743, 0.815, 0.849, 0.797], strict=True))
)
def test_krippendorffs_own_example(level: str, alpha: float) -> None:
    found = krippendorff_alpha(KRIPPENDORFF, level)

    assert found == pytest.approx(alpha, abs=5e-4)
    assert found == pytest.approx(
        krippendorff.alpha(KRIPPENDORFF, level_of_measurement=level)
    )


def test_alpha_is_one_of_raters_who_agree_and_near_zero_of_chance() -> None:
    dice = np.random.default_rng(0)
    alike = np.tile(dice.integers(0, 3, 200), (3, 1))

    assert krippendorff_alpha(alike) == 1
    assert krippendorff_alpha(dice.integers(0, 3, (3, 200))) == pytest.approx(
        0, abs=0.08
    )
    assert np.isnan(krippendorff_alpha(np.ones((2, 5))))
    with pytest.raises(ValueError, match="unknown level 'rank'; valid names: nominal"):
        krippendorff_alpha(alike, "rank")


def test_alphas_interval_holds_it_and_shrinks_with_items() -> None:
    dice = np.random.default_rng(1)
    truth = dice.integers(0, 3, 400)
    ratings = np.where(
        dice.random((3, 400)) < 0.8, truth, dice.integers(0, 3, (3, 400))
    )

    many, few = krippendorff_interval(ratings), krippendorff_interval(ratings[:, :40])

    assert many.low < krippendorff_alpha(ratings) == many.value < many.high
    assert few.high - few.low > 2 * (many.high - many.low)
    assert many == krippendorff_interval(ratings[:, ::-1])


def test_a_judge_that_keeps_to_outputs_has_no_bias_one_that_keeps_to_places_has() -> (
    None
):
    first = np.array([1.0, 0] * 20)

    fair, biased = (
        position_bias(first, 1 - first),
        position_bias([1.0] * 40, [1.0] * 40),
    )

    assert fair.flipped.value == 0
    assert fair.first.value == 0.5
    assert fair.p == 1
    assert biased.flipped.value == 1
    assert biased.first.low > 0.5
    assert biased.p < 1e-9


def test_ties_decide_nothing_and_missing_verdicts_are_left_out() -> None:
    found = position_bias([0.5, 0.5, np.nan], [0.5, 1.0, 1.0])

    assert found.flipped.value == 0.5
    assert found.first.value == 1
    assert found.p == 1


def test_kappa_of_ratings_is_that_of_their_table() -> None:
    one = [0] * 30 + [1] * 30
    other = [0] * 20 + [1] * 10 + [0] * 5 + [1] * 25

    found = kappa_interval(one, other)

    oracle = cohens_kappa(np.array([[20, 10], [5, 25]]))
    assert found.value == pytest.approx(oracle.kappa)
    # By t instead of z, and n − 1 instead of n.
    half = oracle.std_kappa * np.sqrt(60 / 59) * 2.000995
    assert found.high - found.value == pytest.approx(half, rel=1e-5)


def test_squared_kappa_is_statsmodels_weighted_one() -> None:
    table = np.array([[11, 3, 1], [2, 9, 4], [0, 5, 8]])
    one, other = (np.repeat(of.ravel(), table.ravel()) for of in np.indices((3, 3)))

    found = kappa_interval(one, other, squared=True)

    oracle = cohens_kappa(table, wt="quadratic")
    assert found.value == pytest.approx(oracle.kappa)


def test_repeats_of_an_item_change_no_interval_of_kappa_or_alpha() -> None:
    dice = np.random.default_rng(3)
    one, other = dice.integers(0, 2, (2, 50))
    items = np.tile(np.arange(50), 3)
    twice = np.tile([one, other], 3).astype(float)

    assert kappa_interval(*twice, items) == pytest.approx(kappa_interval(one, other))
    wide = krippendorff_interval(twice, clusters=items)
    once = krippendorff_interval([one, other], clusters=np.arange(50))
    assert wide.high - wide.low == pytest.approx(once.high - once.low, rel=0.1)


def test_full_agreement_of_few_is_no_certainty() -> None:
    few, many = (kappa_interval([0, 1] * n, [0, 1] * n) for n in (5, 200))

    assert few.value == few.high == 1.0
    assert few.low < 0.5
    assert many.low > 0.95
    alike = np.tile([0.0, 1.0], (3, 4))
    assert krippendorff_interval(alike).low < 0.7
    assert krippendorff_interval(alike, clusters=[0] * 8).low < 0.3
    assert np.isnan(kappa_interval([1, 1], [1, 1]).value)
    assert np.isnan(kappa_interval([], []).value)
