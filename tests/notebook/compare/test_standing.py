"""Standings: how the columns of a comparison score, and which rows they won."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from results.making import FAILURE, experiment, results

import promptlab as pl
from promptlab.notebook.compare.comparison import AS_EXPECTED, Comparison
from promptlab.notebook.compare.row_filter import RowFilter, shown
from promptlab.notebook.compare.standing import standings
from promptlab.notebook.compare.static_html import static_html
from promptlab.notebook.trial_table import TrialTable
from promptlab.scorers import scorer

from ..tables import comparison, live, table, view

HOSTILE = "</script><b>=cmd()|`\x1b[31m"


def scored(
    plain: list[float | None], steps: list[float | None], **more: Any
) -> pd.DataFrame:
    """Cases c0, c1, … with a score of each of two prompts."""
    pairs = list(zip(plain, steps, strict=True))
    outputs = {
        (f"c{i}", p): "text" for i in range(len(pairs)) for p in ("plain", "steps")
    }
    return table(outputs, quality=[score for pair in pairs for score in pair], **more)


def headings(made: pd.DataFrame, **asked: Any) -> list[dict[str, Any]]:
    question = {"kind": "summary", "view": {"columns": [0, 1], "baseline": 0, **asked}}
    return [h["score"] for h in live(comparison(made)).answer(question)["headings"]]


def cases(made: pd.DataFrame, **more: Any) -> list[str]:
    given = comparison(made)
    found = shown(given, view(given, **more))
    return [made["case"].iloc[given.first[row]] for row in found]


def test_a_heading_has_the_score_the_difference_and_who_won() -> None:
    plain, steps = headings(scored([1, 1, 0, 0, 1], [1, 0, 0, 1, 0]))

    assert plain["text"] == "60% [23, 88]"
    assert (plain["delta"], plain["outcomes"]) == (None, [])
    assert steps["text"].startswith("40% [")
    assert steps["delta"].startswith("−20 [")
    assert steps["delta"].endswith("] points")
    assert steps["outcomes"] == [
        ["won@1", "won", 1],
        ["lost@1", "lost", 2],
        ["tied@1", "tied", 2],
    ]
    assert steps["way"] is None


def test_the_heading_and_the_leaderboard_say_the_same() -> None:
    noise = np.random.default_rng(3)
    made = scored(list(noise.random(40)), list(noise.random(40) * 0.8), repeats=1)

    (_, steps) = standings(comparison(made), "quality", (0, 1), 0, np.arange(40))
    board = pl.leaderboard(made, "quality", by="prompt", baseline="plain").table
    row = board[board["prompt"] == "steps"].iloc[0]

    assert steps.interval == pytest.approx(
        (row["score"], row["ci_low"], row["ci_high"])
    )
    assert steps.delta == pytest.approx(
        (row["delta"], row["delta_low"], row["delta_high"])
    )
    assert steps.outcomes == (row["wins"], row["losses"], row["ties"])


def test_repeats_of_a_case_are_one_case() -> None:
    outputs = {(f"c{i}", p): "text" for i in range(3) for p in ("plain", "steps")}
    made = table(outputs, repeats=4)
    made["quality"] = [1.0, 0.0] * 12
    given = comparison(made)

    (plain, steps) = standings(given, "quality", (0, 1), 0, np.arange(len(given)))

    assert (plain.cases, steps.cases) == (3, 3)
    assert steps.outcomes == (0, 0, 3)


def test_each_outcome_is_a_filter_and_headings_still_count_the_others() -> None:
    made = scored([1, 1, 0, None], [1, 0, 1, 1])

    assert cases(made, only=frozenset(["won@1"])) == ["c2"]
    assert cases(made, only=frozenset(["lost@1"])) == ["c1"]
    assert cases(made, only=frozenset(["tied@1"])) == ["c0"]
    assert cases(made, only=frozenset(["unscored@0"])) == ["c3"]
    _, steps = headings(made, only=["won@1"])
    assert [count for *_, count in steps["outcomes"]] == [1, 1, 1]


def test_headings_follow_the_filter() -> None:
    made = scored([1, 1, 0, 0], [1, 1, 1, 1], in_tier=["a"] * 4 + ["b"] * 4)

    everything, _ = headings(made)
    slice_of_b, steps = headings(made, text="b", field="row:tier")

    assert everything["text"].startswith("50% [")
    assert slice_of_b["text"].startswith("0% [")
    assert steps["outcomes"][0] == ["won@1", "won", 2]


def test_a_missing_score_is_counted_and_a_failed_trial_scores_0() -> None:
    made = scored([1, None, 1], [1, 1, None], error=[None] * 5 + ["429: slow down"])
    made.loc[5, "output"] = None

    plain, steps = headings(made)

    assert (plain["cases"], plain["outcomes"]) == (2, [["unscored@0", "unscored", 1]])
    assert (steps["cases"], steps["text"][:3]) == (3, "67%")
    assert "failed trials count as 0" in steps["title"]


def test_the_score_is_chosen_among_those_of_the_table() -> None:
    made = scored([0.2, 0.4], [0.6, 0.8], stars=[1, 5, 2, 3], tone=["warm"] * 4)
    given = comparison(made)

    assert given.scores == ("quality", "stars")
    plain, steps = headings(made, score="stars")
    assert plain["text"].startswith("1.5 [")
    assert "points" not in steps["delta"]
    assert headings(made, score="nonsense") == headings(made)


def test_without_scores_the_expected_output_is_the_score_and_without_both_none() -> (
    None
):
    outputs = {("c1", "plain"): "yes", ("c1", "steps"): "no"}
    given = comparison(table(outputs, expected={"c1": "yes"}))

    assert given.scores == (AS_EXPECTED,)
    assert headings(table(outputs)) == [None, None]
    assert comparison(table(outputs)).scores == ()


def lengths(outputs: list[Any], **options: Any) -> Comparison:
    """Two prompts on two cases, scored by how long the outputs are."""
    run = results(experiment(prompt={"p": "{{t}}", "q": "? {{t}}"}), outputs)
    length = scorer(name="length", lower_is_better=True, **options)
    scored = run.score(length(lambda output: len(output)))
    return Comparison.of(TrialTable.of(scored), "prompt")


def test_a_scorer_that_says_what_is_right_decides() -> None:
    given = lengths(["yes", "no", FAILURE, "no"], threshold=2)

    assert given.criterion is not None
    assert (given.criterion.met, given.criterion.unmet) == ("length ≤ 2", "length > 2")
    assert given.right is not None
    assert given.right.tolist() == [0, 1, 0, 1]


def test_where_lower_is_better_less_wins_and_a_failure_is_not_the_best() -> None:
    all_rows = np.arange(2)
    better, worse = lengths(["yes", "no"] * 2), lengths(["yes", FAILURE] * 2)

    _, shorter = standings(better, "length", (0, 1), 0, all_rows)
    _, failed = standings(worse, "length", (0, 1), 0, all_rows)

    assert (shorter.outcomes, shorter.interval[0]) == ((2, 0, 0), 2)
    assert (failed.outcomes, failed.cases, failed.delta) == ((0, 0, 0), 0, None)


def test_rows_are_sorted_by_score_difference_disagreement_and_length() -> None:
    made = scored([1, 0.5, 0], [0.5, 0.5, 1])
    made.loc[made["case"] == "c1", "output"] = "a longer text"

    assert cases(made, sort="delta@1:") == ["c0", "c1", "c2"]
    assert cases(made, sort="delta@1:", descending=True) == ["c2", "c1", "c0"]
    assert cases(made, sort="score@0:") == ["c2", "c1", "c0"]
    assert cases(made, sort="disagree") == ["c2", "c0", "c1"]
    assert cases(made, sort="longest") == ["c1", "c0", "c2"]


@pytest.mark.parametrize("kind", ["won@9", "won@", "won@-1", "won", "evil@0", 7, None])
def test_an_unknown_outcome_is_left_out(kind: Any) -> None:
    given = comparison(scored([1], [0]))

    assert RowFilter.of(given, {"columns": [0, 1], "only": [kind]}).only == frozenset()


def test_the_static_view_has_scores_and_explanations_stay_text() -> None:
    made = scored([1, 0], [0, 1])
    made["quality_explanation"] = HOSTILE
    made = made.rename(
        columns={"quality": "<b>q", "quality_explanation": "<b>q_explanation"}
    )
    session = live(comparison(made))

    html = static_html(session)
    row = session.answer({"kind": "open", "count": 5})["rows"][0]

    assert "1 won · 1 lost · 0 tied" in html
    assert "50% [" in html
    assert "<b>q" not in html
    assert row["outputs"][0]["scores"] == [["<b>q: 1", f"<b>q\n{HOSTILE}"]]


def test_the_drawer_has_each_score_with_all_of_its_explanation() -> None:
    made = scored([1, None], [0, 1], tone=["warm"] * 4)
    made["quality_explanation"] = ["so " * 9_000, None, "ValueError: no number", None]
    session = live(comparison(made))

    first = session.answer({"kind": "request", "trial": 0})["request"]["scores"]
    third = session.answer({"kind": "request", "trial": 2})["request"]["scores"]
    rest = session.answer(
        {"kind": "text", "trial": 0, "part": "why:quality", "start": 20_000}
    )

    assert [(s["name"], s["value"]) for s in first] == [
        ("quality", "1"),
        ("tone", "warm"),
    ]
    assert (first[0]["why"]["sent"], first[0]["why"]["length"]) == (20_000, 27_000)
    assert len(rest["text"]) == 7_000
    assert (third[0]["value"], third[0]["why"]["text"]) == (
        "missing",
        "ValueError: no number",
    )


def test_an_empty_table_and_one_column_have_no_difference() -> None:
    made = scored([1, 0], [0, 1])

    empty = live(comparison(made.iloc[:0]), baseline=None)
    (alone,) = live(comparison(made[made["prompt"] == "plain"]), baseline=None).answer(
        {"kind": "summary", "view": {"columns": [0]}}
    )["headings"]

    assert "problem" not in empty.answer({"kind": "summary", "view": {"columns": []}})
    assert (alone["score"]["text"][:3], alone["score"]["delta"]) == ("50%", None)
