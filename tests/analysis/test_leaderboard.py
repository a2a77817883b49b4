"""The leaderboard: who is better, and how sure that is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import promptlab as pl
from promptlab.stats.intervals import wilson
from promptlab.stats.means import mean
from promptlab.stats.multiple import adjust
from promptlab.stats.paired import compare
from promptlab.testing import FakeClient, last_text
from tests.analysis.tables import drawn, scored

THREE = {"plain": 0.5, "steps": 0.8, "warm": 0.5}
GRID = {
    (prompt, model): chance + more
    for prompt, chance in THREE.items()
    for model, more in (("a", 0.0), ("b", 0.1))
}
NAMES = ("prompt", "model")
COLUMNS = (
    *("score", "ci_low", "ci_high", "n", "missing", "delta", "delta_low", "delta_high"),
    *("p_adjusted", "verdict", "wins", "losses", "ties", "could_be_best"),
    *("cost_usd", "latency_s"),
)


def by_prompt(board, column: str) -> dict:
    return dict(zip(board.table["prompt"], board.table[column], strict=True))


def matrix(table: pd.DataFrame) -> np.ndarray:
    means = table.pivot_table("exact", "prompt", "case", sort=False)
    return means.to_numpy()


def test_the_table_has_the_columns_of_the_grid_then_those_of_the_ranking() -> None:
    board = pl.leaderboard(drawn(GRID, names=NAMES), "exact", baseline="plain")

    assert tuple(board.table) == ("prompt", "model", *COLUMNS)
    assert board.table["score"].is_monotonic_decreasing
    assert len(board.table) == 6


def test_better_worse_and_cannot_tell_are_words() -> None:
    board = pl.leaderboard(drawn(THREE, 200), baseline="plain")

    assert by_prompt(board, "verdict") == {
        "steps": "better",
        "warm": "cannot tell",
        "plain": "baseline",
    }
    other = pl.leaderboard(drawn(THREE, 200), baseline="steps")
    assert by_prompt(other, "verdict")["plain"] == "worse"


def test_the_figures_are_those_of_the_statistics() -> None:
    table = drawn(THREE)
    scores = matrix(table)  # plain, steps, warm
    found = compare(scores[1:], scores[0])
    share = wilson(scores.sum(axis=1), 100)

    board = pl.leaderboard(table, "exact", baseline="plain")

    adjusted = dict(zip(["steps", "warm"], adjust(found.p), strict=True))
    row = board.table.set_index("prompt").loc["steps"]
    assert row["p_adjusted"] == adjusted["steps"]
    assert (row["delta"], row["delta_low"], row["delta_high"]) == pytest.approx(
        (found.delta[0], found.low[0], found.high[0])
    )
    assert (row["wins"], row["losses"], row["ties"]) == (
        *(found.wins[0], found.losses[0], found.ties[0]),
    )
    assert (row["ci_low"], row["ci_high"]) == pytest.approx(
        (share.low[1], share.high[1])
    )
    assert board.raw_p.dropna().tolist() == pytest.approx(found.p.tolist())


def test_wilson_is_for_one_repeat_of_0_and_1_the_mean_for_others() -> None:
    table = drawn(THREE, repeats=3)

    board = pl.leaderboard(table, "exact")

    _, low, high = mean(matrix(table)).interval()
    rows = board.table.set_index("prompt").loc[["plain", "steps", "warm"]]
    assert rows["ci_low"].tolist() == pytest.approx(low.tolist())
    assert rows["ci_high"].tolist() == pytest.approx(high.tolist())


@pytest.mark.parametrize("repeats", [1, 3])
def test_every_row_again_as_a_repeat_changes_nothing(repeats: int) -> None:
    table = drawn(GRID, repeats=repeats, names=NAMES)
    again = table.assign(repeat=table["repeat"] + repeats)
    twice = pd.concat([table, again], ignore_index=True)
    twice.attrs = table.attrs

    board = pl.leaderboard(table, baseline="plain")

    pd.testing.assert_frame_equal(
        board.table, pl.leaderboard(twice, baseline="plain").table
    )


def test_the_order_of_the_rows_changes_no_byte() -> None:
    table = drawn(GRID, repeats=3, names=NAMES)
    shuffled = table.sample(frac=1, random_state=1)

    one, other = (pl.leaderboard(t, baseline="plain") for t in (table, shuffled))

    assert one.table.to_csv() == other.table.to_csv()
    assert str(one) == str(other)


def test_a_value_of_one_column_compares_each_with_its_like() -> None:
    table = drawn(GRID, names=NAMES)

    board = pl.leaderboard(table, baseline="plain").table

    apart = table.pivot_table("exact", "case", ["prompt", "model"])
    for row in board.to_dict("records"):
        if row["prompt"] == "plain":
            assert row["verdict"] == "baseline"
        else:
            variant = apart[row["prompt"]][row["model"]]
            expected = (variant - apart["plain"][row["model"]]).mean()
            assert row["delta"] == pytest.approx(expected)


@pytest.mark.parametrize(
    "baseline",
    [("plain", "a"), {"prompt": "plain", "model": "a"}],
    ids=["values", "mapping"],
)
def test_a_value_of_each_column_is_one_baseline_for_all(baseline: object) -> None:
    board = pl.leaderboard(drawn(GRID, names=NAMES), baseline=baseline).table

    assert (board["verdict"] == "baseline").sum() == 1
    assert board["delta"].notna().sum() == 5


def test_columns_that_are_not_compared_are_averaged() -> None:
    table = drawn(GRID, names=NAMES)

    board = pl.leaderboard(table, by="prompt", baseline="plain")

    pooled = table.groupby("prompt")["exact"].mean()
    assert by_prompt(board, "score") == pytest.approx(pooled.to_dict())
    assert board.table["n"].tolist() == [100] * 3


def test_any_column_can_be_compared() -> None:
    table = drawn(THREE).rename(columns={"document": "language"})
    table["language"] = np.where(table["language"] % 2, "de", "en")
    table["case"] += table["language"]

    board = pl.leaderboard(table, "exact", by=["prompt", "language"])

    assert len(board.table) == 6
    assert board.table["n"].sum() == 300


def test_without_a_baseline_there_are_no_p_values_but_those_that_could_be_best() -> (
    None
):
    board = pl.leaderboard(drawn(THREE, 200))

    assert board.table[["delta", "p_adjusted", "wins"]].isna().all(axis=None)
    assert by_prompt(board, "could_be_best") == {
        "steps": True,
        "warm": False,
        "plain": False,
    }
    assert by_prompt(board, "verdict")["steps"] == "could be best"


def test_the_winner_is_told_with_the_score_to_expect() -> None:
    alike = drawn({str(n): 0.6 for n in range(20)}, 60)

    board = pl.leaderboard(alike)

    winner = board.winner
    assert winner.score == board.table["score"].max()
    assert winner.corrected < winner.score - 0.02
    assert winner.low < winner.corrected < winner.high
    assert "of 20 variants could be best; " in str(board)
    assert f"expect {winner.corrected:.0%}" in str(board)


def test_pooling_chooses_and_corrects_by_what_variants_have_in_common() -> None:
    board = pl.leaderboard(drawn(GRID, 40, names=NAMES), pool=True)

    assert np.isnan(board.winner.low)
    assert 0 < board.winner.corrected < 1


def test_cases_of_one_cluster_count_as_one() -> None:
    alike = {
        name: np.repeat(np.random.default_rng(n).random(15) < chance, 4).tolist()
        for n, (name, chance) in enumerate(THREE.items())
    }
    table = scored(alike)

    wide = pl.leaderboard(table, cluster="document", baseline="plain")
    narrow = pl.leaderboard(table, baseline="plain")

    width = (narrow.table["ci_high"] - narrow.table["ci_low"]).mean()
    assert (wide.table["ci_high"] - wide.table["ci_low"]).mean() > 1.7 * width
    assert "60 cases in 15 clusters" in str(wide)
    assert wide.raw_p.min() > narrow.raw_p.min()


def test_a_case_is_in_one_cluster() -> None:
    table = drawn(THREE)
    table.loc[5, "document"] = 99

    with pytest.raises(pl.SpecError, match=r"case 'case 5' is in 2 clusters of 'docum"):
        pl.leaderboard(table, cluster="document")


def test_failed_trials_score_nothing_unless_they_are_dropped() -> None:
    table = scored({"plain": [1.0] * 40, "steps": [1.0] * 40})
    table.loc[:9, ["exact", "error"]] = [np.nan, "timeout"]

    board = pl.leaderboard(table, baseline="steps")

    assert by_prompt(board, "score") == {"steps": 1, "plain": 0.75}
    assert by_prompt(board, "losses")["plain"] == 10
    assert "10 of 80 trials failed and score 0" in str(board)
    with pytest.warns(pl.PromptlabWarning, match="10 of 80 trials failed and are left"):
        dropped = pl.leaderboard(table, baseline="steps", errors="drop")
    assert by_prompt(dropped, "score")["plain"] == 1
    assert by_prompt(dropped, "ties")["plain"] == 30
    assert by_prompt(dropped, "n") == {"plain": 30, "steps": 40}


def test_missing_verdicts_are_counted_and_bounded() -> None:
    table = scored({"plain": [1.0] * 40, "steps": [1.0] * 20 + [0.0] * 20})
    table.loc[:9, "exact"] = np.nan

    board = pl.leaderboard(table, baseline="plain")

    assert by_prompt(board, "missing") == {"plain": 10, "steps": 0}
    assert by_prompt(board, "score") == {"plain": 1, "steps": 0.5}
    bounds = board.bounds.set_index("prompt").loc["plain"]
    assert bounds.to_dict() == {"score_worst": 0.75, "score_best": 1.0}
    assert "plain: 10 verdicts missing; its score lies between 75% and 100%" in str(
        board
    )


def test_a_difference_that_would_not_matter_is_as_good() -> None:
    dice = np.random.default_rng(1)
    base = dice.random(200)
    table = scored(
        {
            "plain": base.tolist(),
            "alike": (base + dice.normal(0, 0.02, 200)).tolist(),
            "apart": (base + dice.normal(0, 0.5, 200)).tolist(),
        }
    )

    board = pl.leaderboard(table, baseline="plain", equivalence=0.02)

    assert by_prompt(board, "verdict")["alike"] == "as good"
    assert by_prompt(board, "verdict")["apart"] == "cannot tell"


def test_it_says_what_it_could_have_seen_and_how_many_cases_more_would_take() -> None:
    few, many = (pl.leaderboard(drawn(THREE, n), baseline="plain") for n in (40, 400))

    assert few.detectable > 2 * many.detectable
    assert few.cases_needed(few.detectable) == pytest.approx(40, abs=1)
    assert f"could have seen a difference of {100 * few.detectable:.0f} points" in str(
        few
    )
    assert f"to see 5 points takes about {few.cases_needed(0.05):,.0f} cases" in str(
        few
    )
    with pytest.raises(pl.SpecError, match="expected mde > 0, got 0"):
        few.cases_needed(0)


def test_other_corrections_are_milder() -> None:
    table = drawn(THREE, 60)
    holm, bh, none = (
        pl.leaderboard(table, baseline="plain", correct=method).table["p_adjusted"]
        for method in ("holm", "fdr_bh", "none")
    )

    assert (holm.dropna() >= bh.dropna()).all()
    assert (bh.dropna() >= none.dropna()).all()


def test_scores_beyond_0_and_1_are_numbers_not_points() -> None:
    dice = np.random.default_rng(0)
    table = scored(
        {"a": dice.normal(3, 1, 50).tolist(), "b": dice.normal(5, 1, 50).tolist()}
    )

    text = str(pl.leaderboard(table, baseline="a"))

    assert "%" not in text
    assert "points" not in text


def test_a_variant_without_any_score_is_last_and_nothing_is_said_of_it() -> None:
    table = scored({"plain": [1.0, 0.0] * 20, "none": [np.nan] * 40})

    board = pl.leaderboard(table, baseline="plain").table

    assert board["prompt"].tolist() == ["plain", "none"]
    assert board["verdict"].tolist() == ["baseline", "cannot tell"]
    assert board["n"].tolist() == [40, 0]
    assert np.isnan(board["p_adjusted"][1])


def test_one_variant_alone_has_a_score_and_no_more() -> None:
    board = pl.leaderboard(drawn({"plain": 0.5}))

    assert board.table["score"].between(0.3, 0.7).all()
    assert "could have seen" not in str(board)


def test_equal_seeds_give_equal_bytes_others_do_not_move_what_is_seen() -> None:
    table = drawn(GRID, names=NAMES)

    one, again, other = (pl.leaderboard(table, seed=seed) for seed in (0, 0, 1))

    assert one.winner == again.winner != other.winner
    assert one.table.to_csv() == again.table.to_csv()


def test_card_and_text_tell_the_same_and_markup_of_a_model_stays_text() -> None:
    table = drawn({"<script>x</script>": 0.5, "steps": 0.8}, 80)
    board = pl.leaderboard(table, baseline="<script>x</script>")

    card, text = board._repr_html_(), str(board)

    assert "<script>" not in card
    assert "&lt;script&gt;" in card
    for word in ("better", "baseline", "expect", "could have seen"):
        assert word in card
        assert word in text


def test_of_many_variants_the_first_are_shown_and_all_in_the_table() -> None:
    board = pl.leaderboard(drawn({str(n): 0.5 for n in range(35)}, 10))

    assert len(board.table) == 35
    assert "and 5 more in .table" in str(board)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"score": "exakt"}, "no column 'exakt'; did you mean 'exact'"),
        ({"by": "promt"}, "no column 'promt'; did you mean 'prompt'"),
        ({"by": []}, "one column or more in by="),
        ({"cluster": "documents"}, "no column 'documents'; did you mean 'document'"),
        ({"baseline": "plian"}, "no prompt is 'plian'; did you mean 'plain'"),
        ({"baseline": {"promt": "plain"}}, "'promt' is not compared; did you mean"),
        ({"correct": "bh"}, "unknown correction 'bh'; valid names: holm, "),
        ({"equivalence": 0}, "expected equivalence > 0, got 0"),
        ({"errors": "ignore"}, "expected errors='zero' or 'drop', got 'ignore'"),
        ({"score": "output"}, "column 'output' does not hold numbers"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_what_is_wrong_is_said_with_what_would_do(options: dict, message: str) -> None:
    with pytest.raises(pl.SpecError, match=message):
        pl.leaderboard(drawn(THREE, 10), **options)


def test_a_value_of_two_columns_wants_the_name_of_one() -> None:
    table = drawn({("a", "a"): 0.5, ("b", "b"): 0.5}, 10, names=NAMES)

    with pytest.raises(
        pl.SpecError, match=r"value of prompt, model: give baseline=\{'p"
    ):
        pl.leaderboard(table, baseline="a")


def test_a_table_without_cases_or_with_several_scores_is_refused() -> None:
    table = drawn(THREE, 10)

    with pytest.raises(pl.SpecError, match="no column 'case'"):
        pl.leaderboard(table.drop(columns="case"))
    with pytest.raises(
        pl.SpecError, match=r"which score\? the table has 'exact', 'other'"
    ):
        pl.leaderboard(table.assign(other=1.0))
    with pytest.raises(pl.SpecError, match="no trials to compare"):
        pl.leaderboard(table.iloc[:0])
    with pytest.raises(
        pl.SpecError, match=r"expected Results, or a DataFrame .* got list"
    ):
        pl.leaderboard([])


def test_results_of_a_run_are_ranked_by_their_scorer(tmp_path: Path) -> None:
    capitals = {"France": "Paris", "Italy": "Rome", "Spain": "Madrid", "Peru": "Lima"}

    def answer(request: pl.Request) -> str:
        text = last_text(request)
        right = next(of for land, of in capitals.items() if land in text)
        return right if "capital" in text or request.repeat else "no idea"

    experiment = pl.Experiment(
        "capitals",
        grid=pl.Grid(
            model=["fake"],
            prompt={"plain": "{{land}}?", "steps": "The capital of {{land}}?"},
        ),
        dataset=[
            {"id": land, "land": land, "expected": of} for land, of in capitals.items()
        ],
        scorers=["exact"],
        repeats=2,
    )
    results = experiment.run(client=FakeClient(answer), cache=tmp_path, progress=False)

    board = pl.leaderboard(results, baseline="plain")

    assert by_prompt(board, "score") == {"steps": 1, "plain": 0.5}
    assert by_prompt(board, "wins")["steps"] == 4
    assert by_prompt(board, "verdict")["steps"] == "cannot tell"  # of four cases
    assert pl.effects(results).table["effect"].tolist() == [0.5]
    assert pl.compare_pair(results, "plain", "steps").delta == 0.5
    assert pl.stability(results).table["sometimes"].tolist() == [1, 0]


def test_without_any_score_no_variant_is_behind() -> None:
    board = pl.leaderboard(scored({"plain": [np.nan] * 3, "steps": [np.nan] * 3}))

    assert board.table["verdict"].tolist() == ["cannot tell", "cannot tell"]


def test_two_variants_that_could_be_best_are_both() -> None:
    board = pl.leaderboard(scored({"plain": [1, 0, 1], "steps": [1, 0, 1]}))

    assert "Both variants could be best; plain is in front" in str(board)


def test_where_all_cases_score_alike_nothing_flatters_the_first() -> None:
    board = pl.leaderboard(scored({"plain": [1] * 9, "steps": [1] * 9}))

    assert "flatters" not in str(board)


@pytest.mark.parametrize(
    "analysed",
    [
        pl.leaderboard,
        pl.effects,
        pl.stability,
        pl.pareto,
        lambda table: pl.compare_pair(table, "plain", "steps"),
        lambda table: pl.agreement(table.assign(said=0.5), "exact", human="said"),
    ],
    ids=["leaderboard", "effects", "stability", "pareto", "pair", "agreement"],
)
def test_an_infinite_score_is_refused(analysed: Callable[[pd.DataFrame], Any]) -> None:
    table = scored({"plain": [1, np.inf], "steps": [0.5, -np.inf]})

    with pytest.raises(pl.SpecError, match="'exact' has 2 infinite scores; expected"):
        analysed(table)


def test_no_terminal_obeys_a_name_of_a_score_or_of_a_variant() -> None:
    name = "right\x1b]0;owned\x07"
    table = scored({"plain": [0, 1, 1], "\x1b[31mred": [1, 1, 1]})
    table = table.rename(columns={"exact": name})

    text = str(pl.leaderboard(table, name, by="prompt"))

    assert not any(sign in text for sign in "\x1b\x07")
