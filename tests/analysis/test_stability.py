"""Repeats of a case."""

from __future__ import annotations

import numpy as np
import pytest

import promptlab as pl
from tests.analysis.tables import scored

REPEATED = {
    "steady": [[1, 1, 1], [1, 1, 1], [0, 0, 0], [0, 0, 0]],
    "shaky": [[1, 0, 1], [0, 1, 0], [1, 1, 1], [0, 0, 0]],
}


def test_cases_are_right_always_sometimes_or_never() -> None:
    found = pl.stability(scored(REPEATED)).table.set_index("prompt")

    assert found.loc["steady", ["always", "sometimes", "never"]].tolist() == [
        0.5,
        0,
        0.5,
    ]
    assert found.loc["shaky", ["always", "sometimes", "never"]].tolist() == [
        *(0.25, 0.5, 0.25),
    ]
    assert found["repeats"].tolist() == [3, 3]


def test_pass_at_k_and_pass_hat_k_are_means_over_cases() -> None:
    board = pl.stability(scored(REPEATED), k=2)
    found = board.table.set_index("prompt")

    assert found["pass_at_k"]["shaky"] == pytest.approx((1 + 2 / 3 + 1 + 0) / 4)
    assert found["pass_hat_k"]["shaky"] == pytest.approx((1 / 3 + 0 + 1 + 0) / 4)
    assert found["pass_hat_k_low"]["shaky"] == 0
    assert 0.3 < found["pass_hat_k_high"]["shaky"] <= 1
    assert "pass@2" in str(board)
    assert "pass^2" in board._repr_html_()


def test_k_is_the_fewest_repeats_unless_given() -> None:
    table = scored(REPEATED)

    assert pl.stability(table).k == 3
    assert pl.stability(table[table["trial"] > 0]).k == 2


def test_scores_deviate_between_repeats() -> None:
    found = pl.stability(scored(REPEATED)).table.set_index("prompt")

    assert found["score_sd"]["steady"] == 0
    assert found["score_sd"]["shaky"] == pytest.approx(np.sqrt((1 / 3 + 1 / 3) / 4))


def test_outputs_that_differ_are_told_apart_from_scores_that_do() -> None:
    table = scored(REPEATED)
    table.loc[table["trial"] == 0, "output"] = "yes!"

    found = pl.stability(table).table.set_index("prompt")

    assert found["same_output"]["steady"] == 0.75
    assert found["pairwise_same"]["steady"] == pytest.approx((1 / 3 + 3) / 4)
    assert found["same_output"]["shaky"] == 1


def test_each_case_can_be_looked_at() -> None:
    cases = pl.stability(scored(REPEATED)).cases

    assert list(cases) == ["prompt", "case", "right", "repeats"]
    shaky = cases[cases["prompt"] == "shaky"]
    assert shaky["right"].tolist() == [2, 1, 3, 0]


def test_a_threshold_says_what_is_right() -> None:
    graded = scored({"plain": [[0.8, 0.9], [0.6, 0.9]]})

    assert pl.stability(graded, threshold=0.7).table["always"].tolist() == [0.5]


def test_without_repeats_there_is_nothing_to_say() -> None:
    with pytest.raises(
        pl.SpecError, match="no case was asked twice: run with repeats=3"
    ):
        pl.stability(scored({"plain": [1.0, 0.0]}))
    with pytest.raises(pl.SpecError, match="expected k >= 1, got 0"):
        pl.stability(scored(REPEATED), k=0)


def test_what_repeats_of_a_share_differ_by_is_in_points() -> None:
    shares = pl.stability(scored({"shaky": [[1, 0], [0, 1]]}))
    graded = pl.stability(scored({"shaky": [[1, 3], [3, 1]]}))

    assert "71 points" in str(shares)
    assert "1.41" in str(graded)
    assert "points" not in str(graded)
