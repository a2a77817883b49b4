"""Many comparisons at once."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from promptlab.stats.multiple import METHODS, adjust, any_difference, dunnett, max_t
from promptlab.stats.paired import compare

BENJAMINI_HOCHBERG = np.array(
    [
        *(0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459),
        *(0.324, 0.4262, 0.5719, 0.6528, 0.759, 1.0),
    ]
)
"""Benjamini and Hochberg (1995), 4.1."""


@pytest.mark.parametrize(
    ("method", "rejected"),
    [("bonferroni", 3), ("holm", 3), ("fdr_bh", 4), ("fdr_by", 3), ("none", 9)],
)
def test_p_values_of_benjamini_and_hochberg(method: str, rejected: int) -> None:
    shuffled = np.random.default_rng(0).permutation(BENJAMINI_HOCHBERG)

    adjusted = adjust(shuffled, method)

    assert (adjusted <= 0.05).sum() == rejected
    if method != "none":
        expected = multipletests(shuffled, method=method)[1]
        assert adjusted == pytest.approx(expected, abs=1e-12)


def test_adjusted_values_are_those_of_rs_p_adjust() -> None:
    holm = [0.0015, 0.0056, 0.0247, 0.114, 0.2211, 0.278, 0.278, 0.278, 0.3213]
    bh = [0.0015, 0.003, 0.0095, 0.0356, 0.0603, 0.0639, 0.0639, 0.0645, 0.0765]

    assert adjust(BENJAMINI_HOCHBERG)[:9] == pytest.approx(holm, abs=5e-5)
    assert adjust(BENJAMINI_HOCHBERG, "fdr_bh")[:9] == pytest.approx(bh, abs=5e-5)


@pytest.mark.parametrize("method", METHODS)
def test_a_missing_p_is_no_comparison(method: str) -> None:
    found = adjust([0.01, np.nan, 0.03], method)

    assert found == pytest.approx(
        np.insert(adjust([0.01, 0.03], method), 1, np.nan), nan_ok=True
    )
    assert adjust([], method).tolist() == []


def test_an_unknown_method_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown method 'bh'; valid names: holm, "):
        adjust([0.1], "bh")


def test_max_t_is_sharper_than_holm_where_variants_answer_alike() -> None:
    dice = np.random.default_rng(2)
    base = dice.normal(0, 1, 100)
    scores = base + 0.16 + dice.normal(0, 0.6, 100) + dice.normal(0, 0.1, (20, 100))

    sharp = max_t(scores, base)

    assert (sharp < adjust(compare(scores, base).p)).all()
    assert (sharp >= compare(scores, base).p / 2).all()
    assert (sharp == max_t(scores[:, ::-1], base[::-1])).all()


def test_max_t_sees_no_difference_where_there_is_none() -> None:
    same = np.tile(np.random.default_rng(1).random(50), (3, 1))

    assert max_t(same, same[0]).tolist() == [1, 1, 1]


def test_blood_counts_of_dunnett() -> None:
    control = [7.4, 8.5, 7.2, 8.24, 9.84, 8.32]
    drugs = [9.76, 8.8, 7.68, 9.36], [12.8, 9.68, 12.16, 9.2, 10.55]

    assert dunnett(control, *drugs) == pytest.approx([0.62, 0.0058], abs=6e-4)


def test_rounding_times_of_first_base() -> None:
    """Hollander and Wolfe (1973), p. 140: three ways on 22 players; χ² is 11.14."""
    times = np.array(
        [
            *([5.40, 5.50, 5.55], [5.85, 5.70, 5.75], [5.20, 5.60, 5.50]),
            *([5.55, 5.50, 5.40], [5.90, 5.85, 5.70], [5.45, 5.55, 5.60]),
            *([5.40, 5.40, 5.35], [5.45, 5.50, 5.35], [5.25, 5.15, 5.00]),
            *([5.85, 5.80, 5.70], [5.25, 5.20, 5.10], [5.65, 5.55, 5.45]),
            *([5.60, 5.35, 5.45], [5.05, 5.00, 4.95], [5.50, 5.50, 5.40]),
            *([5.45, 5.55, 5.50], [5.55, 5.55, 5.35], [5.45, 5.50, 5.55]),
            *([5.50, 5.45, 5.25], [5.65, 5.60, 5.40], [5.70, 5.65, 5.55]),
            [6.30, 6.30, 6.25],
        ]
    ).T

    statistic, p = any_difference(times)

    assert (statistic, p) == pytest.approx((11.1429, 0.003805), abs=5e-5)
    assert (statistic, p) == pytest.approx(stats.friedmanchisquare(*times))


def test_of_0_and_1_it_is_cochrans_q() -> None:
    scores = (np.random.default_rng(4).random((3, 40)) < [[0.4], [0.6], [0.7]]) * 1.0
    right, count = scores.sum(axis=0), len(scores)
    q = (count - 1) * (
        (count * (scores.sum(axis=1) ** 2).sum() - right.sum() ** 2)
        / (count * right.sum() - (right**2).sum())
    )

    assert any_difference(scores)[0] == pytest.approx(q)
    assert any_difference(np.ones((3, 5))) == (0, 1)
