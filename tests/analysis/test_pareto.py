"""Score against cost."""

from __future__ import annotations

import numpy as np
import pytest

import promptlab as pl
from tests.analysis.tables import drawn, scored

CHANCES = {"cheap": 0.4, "dear": 0.8, "wasteful": 0.5}
COSTS = {"cheap": 0.001, "dear": 0.004, "wasteful": 0.01}


def table(cases: int = 150):
    trials = drawn(CHANCES, cases)
    noise = np.random.default_rng(0).random(len(trials)) / 1e5
    return trials.assign(cost_usd=trials["prompt"].map(COSTS) + noise)


def test_the_front_has_whom_no_other_beats_in_score_and_cost() -> None:
    found = pl.pareto(table())

    assert found.table["prompt"].tolist() == ["cheap", "dear", "wasteful"]
    assert found.table["on_front"].tolist() == [True, True, False]
    assert found.table["p_front"].tolist() == pytest.approx([1, 1, 0], abs=0.02)
    assert found.table["cost_usd"][1] == pytest.approx(0.004, abs=1e-5)
    assert (found.table["cost_low"] < found.table["cost_usd"]).all()
    assert "on the front" in str(found)
    assert "$0.0040" in found._repr_html_()


def test_the_order_of_the_rows_changes_no_byte() -> None:
    shuffled = table(60).sample(frac=1, random_state=2)

    one, other = pl.pareto(table(60)), pl.pareto(shuffled)

    assert one.table.to_csv() == other.table.to_csv()


def test_without_any_cost_there_is_no_front() -> None:
    with pytest.raises(pl.SpecError, match=r"no cost is known.*prices= of run"):
        pl.pareto(table(5).assign(cost_usd=np.nan))


def test_scores_and_their_intervals_are_those_of_the_leaderboard() -> None:
    names = ["prompt", "score", "ci_low", "ci_high", "n"]
    few = scored({"plain": [1, 0, 0], "steps": [1, 1, [0, 1]]})

    front, board = pl.pareto(few).table, pl.leaderboard(few).table

    assert front[names].sort_values("prompt").to_numpy().tolist() == (
        board[names].sort_values("prompt").to_numpy().tolist()
    )
    assert front[["ci_low", "ci_high"]].stack().between(0, 1).all()
