"""Scores of which less is better, such as lengths, distances, latency and cost."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import promptlab as pl
from promptlab import scorers
from promptlab.testing import FakeClient, last_text
from tests.analysis.tables import scored


def lengths(cases: int = 60, seed: int = 0) -> pd.DataFrame:
    """Short outputs of one prompt, long ones of another, and some in between."""
    dice = np.random.default_rng(seed)
    typical = {"long": 90, "short": 30, "usual": 60}
    table = scored(
        {name: dice.normal(size, 8, cases).tolist() for name, size in typical.items()}
    )
    return table.rename(columns={"exact": "words"})


def test_the_lowest_is_the_best() -> None:
    board = pl.leaderboard(lengths(), "words", baseline="usual", lower_is_better=True)

    assert board.table["prompt"].tolist() == ["short", "usual", "long"]
    assert board.table["verdict"].tolist() == ["better", "baseline", "worse"]
    assert board.table["could_be_best"].tolist() == [True, False, False]
    assert board.table["delta"][0] < 0
    assert board.table["wins"].tolist()[0] > 55
    assert board.table["losses"].tolist()[2] > 55
    assert board.winner.label == "short"
    assert board.winner.low < board.winner.corrected < board.winner.high
    assert "words (lower is better) by prompt" in str(board)


def test_the_pooled_winner_is_the_lowest_too() -> None:
    board = pl.leaderboard(lengths(), "words", lower_is_better=True, pool=True)

    assert board.winner.label == "short"
    assert board.winner.corrected == pytest.approx(30, abs=3)


def test_what_is_less_mirrors_what_is_more() -> None:
    table = lengths(30)
    mirrored = table.assign(words=-table["words"])

    lower = pl.leaderboard(table, "words", baseline="usual", lower_is_better=True)
    higher = pl.leaderboard(mirrored, "words", baseline="usual")

    alike = ["prompt", "verdict", "wins", "losses", "p_adjusted", "could_be_best"]
    pd.testing.assert_frame_equal(lower.table[alike], higher.table[alike])
    assert lower.winner.corrected == -higher.winner.corrected
    assert lower.winner.low == -higher.winner.high


def test_effects_are_better_where_they_take_away() -> None:
    found = pl.effects(lengths(), "words", baseline="usual", lower_is_better=True)

    verdicts = dict(zip(found.table["level"], found.table["verdict"], strict=True))
    assert verdicts == {"long": "worse", "short": "better"}


def test_of_a_pair_the_shorter_is_better() -> None:
    pair = pl.compare_pair(lengths(), "long", "short", "words", lower_is_better=True)

    assert pair.verdict == "better"
    assert pair.delta < 0
    assert pair.table["difference"].is_monotonic_decreasing
    assert "60 won, 0 lost" in str(pair)


def test_the_front_has_what_is_short_and_cheap() -> None:
    costs = {"short": 0.002, "usual": 0.001, "long": 0.003}
    table = lengths()
    table["cost_usd"] = table["prompt"].map(costs)

    found = pl.pareto(table, "words", lower_is_better=True)

    on = dict(zip(found.table["prompt"], found.table["on_front"], strict=True))
    assert on == {"usual": True, "short": True, "long": False}


def test_repeats_are_right_at_or_below_the_threshold() -> None:
    table = scored({"plain": [[1, 2], [3, 9], [8, 9]]})

    found = pl.stability(table, threshold=3, lower_is_better=True)

    shares = found.table[["always", "sometimes", "never"]].iloc[0].tolist()
    assert shares == pytest.approx([1 / 3, 1 / 3, 1 / 3])


def test_a_failed_trial_is_no_record_time() -> None:
    table = lengths()
    table.loc[table["prompt"] == "long", "words"] = np.nan
    table.loc[table["prompt"] == "long", "error"] = "500: no answer"

    board = pl.leaderboard(table, "words", lower_is_better=True)

    assert board.table["prompt"].tolist() == ["short", "usual", "long"]
    assert board.table["n"].tolist() == [60, 60, 0]
    assert "60 of 180 trials failed and are left out" in str(board)


def test_latency_and_cost_are_better_low_without_a_word_and_are_no_shares() -> None:
    table = lengths()
    table["latency_s"] = table["prompt"].map({"long": 0.9, "short": 0.3, "usual": 0.6})

    board = pl.leaderboard(table, "latency_s")

    assert board.table["prompt"].tolist() == ["short", "usual", "long"]
    assert "0.3 [0.3, 0.3]" in str(board)
    assert "%" not in str(board)


def test_a_scorer_says_so_in_the_table_and_files_of_it(tmp_path) -> None:
    client = FakeClient(
        lambda request: "a b" if "long" in last_text(request) else "abc"
    )
    experiment = pl.Experiment(
        "lengths",
        grid={"model": ["m"], "prompt": {"long": "long {{x}}", "short": "short {{x}}"}},
        dataset=[{"x": str(n)} for n in range(4)],
        scorers=[
            scorers.scorer(name="words", lower_is_better=True)(
                lambda output: len(output.split())
            )
        ],
    )
    results = experiment.run(client=client, progress=False)
    results.to(tmp_path / "run.parquet")

    for table in (results, results.table, pl.read_results(tmp_path / "run.parquet")):
        assert pl.leaderboard(table, "words").table["prompt"][0] == "short"
    other = results.score(
        scorers.scorer(name="words")(lambda output: len(output.split()))
    )
    assert pl.leaderboard(other, "words").table["prompt"][0] == "long"


def test_the_attribute_of_a_table_may_hold_anything() -> None:
    table = lengths()
    table.attrs["promptlab"]["lower_is_better"] = "words"

    assert pl.leaderboard(table, "words").table["prompt"][0] == "long"


@pytest.mark.parametrize("draw", [pl.plot_leaderboard, pl.plot_effects])
def test_axes_say_which_way_is_better(draw) -> None:
    figure = draw(lengths(20), "words", lower_is_better=True)

    assert figure.axes[0].get_xlabel().startswith("words (lower is better)")
