"""Live comparisons: what they answer to a front end."""

from __future__ import annotations

import threading
from typing import Any

import pandas as pd
import pytest
from results.making import FAILURE, experiment, results

import promptlab as pl
from promptlab.notebook.compare.comparison import Comparison
from promptlab.notebook.compare.comparison_session import ComparisonSession
from promptlab.notebook.compare.marks import Marks
from promptlab.notebook.compare.row_filter import RowFilter
from promptlab.notebook.compare.static_html import static_html
from promptlab.notebook.trial_table import TrialTable

from ..tables import TWO, comparison, live, table

VIEW = {"columns": [0, 1], "baseline": 0}


def page(
    given: ComparisonSession, start: int = 0, count: int = 25, **view: Any
) -> dict[str, Any]:
    question = {
        "kind": "page",
        "view": {**VIEW, **view},
        "start": start,
        "count": count,
    }
    return given.answer(question)


def cases(answer: dict[str, Any]) -> list[str]:
    return [row["case"] for row in answer["rows"]]


def hundred() -> ComparisonSession:
    return live(
        comparison({(f"c{i}", p): f"{p} {i}" for i in range(100) for p in "ab"})
    )


def test_opening_gives_the_columns_and_the_first_rows() -> None:
    made = table(TWO, in_text=["a", "a", "b", "b"], expected={"c1": "yes, it is"})

    answer = live(comparison(made)).answer({"kind": "open", "count": 25})

    opening = answer["opening"]
    assert (opening["rows"], opening["trials"], opening["name"]) == (2, 4, "letters")
    assert (opening["by"], opening["columns"]) == (["prompt"], ["plain", "steps"])
    assert opening["view"] == RowFilter(columns=(0, 1), baseline=0).to_plain()
    assert opening["kinds"] == ["differs", "wrong", "pinned", "marked"]
    assert [h["labels"] for h in answer["headings"]] == [
        [["prompt", "plain"]],
        [["prompt", "steps"]],
    ]
    assert (answer["start"], answer["total"], cases(answer)) == (0, 2, ["c1", "c2"])


def test_a_view_that_is_reopened_says_which_filter_it_applies() -> None:
    given = hundred()
    left = {
        **VIEW,
        "text": "c7",
        "field": "row:case",
        "only": ["differs"],
        "score": "",
        "sort": "row:case",
        "descending": True,
        "folded": False,
        "opened": [],
    }
    page(given, **left)

    answer = given.answer({"kind": "open", "count": 5})

    assert answer["total"] == 11
    assert answer["opening"]["view"] == left


def test_an_answer_brings_its_question_back() -> None:
    answer = live(comparison()).answer(
        {"kind": "open", "count": 5, "from": "v", "id": 7}
    )

    assert (answer["from"], answer["id"]) == ("v", 7)


def test_a_row_has_its_case_inputs_expected_and_outputs() -> None:
    made = table(
        TWO,
        in_text=["a", "a", "b", "b"],
        expected={"c1": "YES, it is"},
        finish_reason=["stop", "length", "stop", "stop"],
        input_tokens=[10, 11, 12, 13],
        output_tokens=[5, 6, 7, None],
        latency_s=[0.25, 1.5, 20.0, None],
        cost_usd=[0.00012, 0.5, None, None],
    )

    row = page(live(comparison(made)))["rows"][0]

    assert row["case"] == "c1"
    assert row["inputs"] == [["text", "a", 1]]
    assert row["expected"] == ["YES, it is", 10]
    assert row["tags"] == []
    assert row["mark"] == {"pinned": False, "kind": None, "note": ""}
    first, second = row["outputs"]
    assert (first["text"], first["sent"], first["length"]) == ("yes, it is", 10, 10)
    assert (first["verdict"], second["verdict"]) == ("expected", "unexpected")
    assert (first["same"], second["same"]) == (True, False)
    assert second["notes"][0][:2] == ["truncated", "cut off"]
    assert first["facts"] == [
        ["5 tok", "10 input tokens, 5 output tokens"],
        ["250 ms", "latency_s"],
        ["$0.00012", "cost_usd"],
    ]


def test_scores_are_shown_beside_the_output_numbers_and_strings() -> None:
    made = table(
        TWO,
        judge=[0.25, 1.0, None, 1.0],
        tone=["warm", None, "cold", "warm"],
        why=["so " * 100, None, None, None],
    )

    row = page(live(comparison(made)))["rows"][0]

    first, second = row["outputs"]
    assert (first["verdict"], second["verdict"]) == (None, None)
    assert [said for said, _ in second["scores"]] == ["judge: 1"]
    judge, tone, why = (said for said, _ in first["scores"])
    assert (judge, tone) == ("judge: 0.25", "tone: warm")
    assert why.startswith("why: so so")
    assert len(why) < 80


def test_a_missing_trial_is_none_and_a_failed_one_says_why() -> None:
    run = results(
        experiment(prompt={"p": "{{t}}", "q": "?"}), ["yes", FAILURE, "no", None]
    )

    first, second = page(live(Comparison.of(TrialTable.of(run))))["rows"]

    assert first["outputs"][1]["text"] is None
    assert first["outputs"][1]["error"].startswith("429 rate_limit_exceeded")
    assert second["outputs"][1] is None


def test_tags_show_other_parameters_and_repeats() -> None:
    grid = {"prompt": {"p": "{{t}}", "q": "? {{t}}"}, "temperature": [0, 0.5]}
    run = results(experiment(**grid, repeats=2))

    row = page(live(Comparison.of(TrialTable.of(run), "prompt")))["rows"][3]

    assert row["tags"] == [["temperature", "0.5"], ["repeat", "1"]]


def test_pages_start_at_whole_pages_and_hold_at_most_a_hundred_rows() -> None:
    given = hundred()

    assert page(given, 57)["start"] == 50
    assert cases(page(given, 99))[-1] == "c99"
    assert page(given, 10_000)["start"] == 75
    assert page(given, -5)["start"] == 0
    assert len(page(given, 0, 10_000)["rows"]) == 100
    assert len(page(given, 0, 0)["rows"]) == 1


def test_a_page_of_nothing_has_no_rows() -> None:
    answer = page(hundred(), 50, text="nowhere")

    assert (answer["start"], answer["total"], answer["rows"]) == (0, 0, [])


def test_an_empty_table_is_answered_for() -> None:
    given = live(comparison(table(TWO).iloc[:0]), baseline=None)

    answer = given.answer({"kind": "open", "count": 25})

    assert (answer["total"], answer["opening"]["columns"]) == (0, [])
    assert "problem" not in given.answer({"kind": "summary", "view": {"columns": []}})


def test_the_summary_counts_kinds_and_what_is_right() -> None:
    made = table(TWO, expected={"c1": "yes, it is", "c2": "maybe"})

    answer = live(comparison(made)).answer({"kind": "summary", "view": VIEW})

    assert answer["counts"] == {"differs": 1, "wrong": 2, "pinned": 0, "marked": 0}
    assert [h["score"]["text"] for h in answer["headings"]] == [
        "50% [9, 91]",
        "0% [0, 66]",
    ]


def test_a_heading_shows_failed_truncated_and_means() -> None:
    made = table(
        TWO,
        finish_reason=["length", "stop", "stop", "stop"],
        output_tokens=[5, 6, 8, 6],
        latency_s=[0.2, 1.0, 0.4, 1.0],
        cost_usd=[0.001, 0.5, 0.002, None],
        error=[None, None, None, "500: broken"],
        right=[True, False, True, None],
        judge=[1.0, 0.25, 0.5, None],
        refused=[False, False, True, True],
    )
    made.loc[3, "output"] = None

    answer = live(comparison(made)).answer({"kind": "summary", "view": VIEW})

    told = [[fact["text"] for fact in h["facts"]] for h in answer["headings"]]
    assert told == [
        [
            *("2 trials", "50% cut off", "6.5 tok", "300 ms", "$0.0015"),
            *("judge 0.75", "refused 50%"),
        ],
        [
            *("2 trials", "1 failed", "6 tok", "1.0 s", "$0.50"),
            *("judge 0.25", "refused 50%"),
        ],
    ]


def test_a_score_with_a_threshold_is_written_out_wherever_it_decides() -> None:
    made = table(TWO, score=[0.64, 0.2, 0.5, None], right=[False] * 4)

    given = live(comparison(made, score="score"))
    opening = given.answer({"kind": "open", "count": 5})
    summary = given.answer({"kind": "summary", "view": VIEW})

    first, second = opening["rows"][0]["outputs"]
    words = opening["opening"]["verdicts"]
    assert words[first["verdict"]] == "✓ score ≥ 0.5"
    assert words[second["verdict"]] == "✗ score < 0.5"
    assert ["right: no", "right"] in first["scores"]
    assert opening["opening"]["wrong"][0] == "Score < 0.5"
    assert [h["facts"][1]["text"] for h in summary["headings"]] == [
        "100% score ≥ 0.5",
        "0% score ≥ 0.5",
    ]
    assert "✓ score ≥ 0.5" in static_html(given)


def test_a_trial_that_failed_has_no_verdict() -> None:
    outputs = {("c1", "plain"): "yes", ("c1", "steps"): None}
    errors = [None, "timeout"]
    made = table(outputs, expected={"c1": "yes"}, error=errors, right=[True, False])

    (row,) = page(live(comparison(made)))["rows"]

    first, second = row["outputs"]
    assert (first["verdict"], second["verdict"]) == ("right", None)


def test_a_column_of_numbers_or_booleans_passes_no_verdict() -> None:
    made = table(
        TWO, expected={"c1": "yes, it is"}, toxicity=[0.02] * 4, refused=[False] * 4
    )

    answer = live(comparison(made)).answer({"kind": "open", "count": 5})

    first, second = answer["rows"][0]["outputs"]
    assert (first["verdict"], second["verdict"]) == ("expected", "unexpected")
    said = [text for text, _ in first["scores"]]
    assert said == ["toxicity: 0.02", "refused: no"]


def test_a_score_of_true_and_false_is_named_in_its_verdict() -> None:
    made = table(TWO, refused=[True, False, False, False])

    answer = live(comparison(made, score="refused")).answer(
        {"kind": "open", "count": 5}
    )

    assert answer["opening"]["verdicts"] == {
        "right": "✓ refused: yes",
        "wrong": "✗ refused: no",
    }
    assert answer["opening"]["wrong"][0] == "Not refused"


def test_long_outputs_are_sent_in_part_and_read_on() -> None:
    text = "é" * 4_000 + "x" * 300_000
    given = live(comparison({("c", "a"): text, ("c", "b"): "short"}))

    output = page(given)["rows"][0]["outputs"][0]
    assert (output["text"], output["length"]) == ("é" * 4_000, 304_000)
    read, end = output["text"], output["sent"]
    while end < output["length"]:
        more = given.answer(
            {"kind": "text", "trial": 0, "part": "output", "start": end}
        )
        read, end = read + more["text"], more["end"]
        assert len(more["text"]) <= 200_000

    assert read == text


@pytest.mark.parametrize(
    "part", ["nothing", "message:0", "input:nothing", "message:-1"]
)
def test_an_unknown_text_is_a_problem(part: str) -> None:
    question = {"kind": "text", "trial": 0, "part": part, "start": 0}

    assert "unknown text" in live(comparison()).answer(question)["problem"]


@pytest.mark.parametrize(
    "question",
    [
        {},
        {"kind": "evil"},
        {"kind": "__init__"},
        {"kind": "page"},
        {"kind": "page", "view": {}, "start": 0, "count": 1},
        {"kind": "page", "view": VIEW, "start": "x", "count": 1},
        {
            "kind": "page",
            "view": {**VIEW, "field": "row:x", "text": "y"},
            "start": 0,
            "count": 1,
        },
        {"kind": "page", "view": {**VIEW, "sort": "note:"}, "start": 0, "count": 1},
        {"kind": "text", "trial": 99, "part": "output", "start": 0},
        {"kind": "request", "trial": 99},
        {"kind": "request", "trial": -1},
        {"kind": "mark", "row": 99, "change": {}},
        {"kind": "mark", "row": -1, "change": {"pinned": True}},
        {"kind": "mark", "row": 0, "change": {"kind": "evil"}},
        {"kind": "mark", "row": 0, "change": 7},
    ],
)
def test_a_question_that_makes_no_sense_is_a_problem(question: dict[str, Any]) -> None:
    given = live(comparison())

    answer = given.answer({**question, "id": 3})

    assert isinstance(answer["problem"], str)
    assert answer["id"] == 3
    assert len(page(given)["rows"]) == 2


def test_a_mark_is_kept_and_the_one_before_is_returned() -> None:
    given = live(comparison())

    answer = given.answer({"kind": "mark", "row": 1, "change": {"note": "hm"}})
    again = given.answer({"kind": "mark", "row": 1, "change": {"note": ""}})

    assert (answer["before"]["note"], answer["after"]["note"]) == ("", "hm")
    assert (again["before"]["note"], again["after"]["note"]) == ("hm", "")


def test_a_pinned_row_moves_to_the_first_page() -> None:
    given = hundred()
    row = page(given, 75)["rows"][-1]["row"]

    given.answer({"kind": "mark", "row": row, "change": {"pinned": True}})

    assert cases(page(given))[:2] == ["c99", "c0"]
    assert cases(page(live(comparison(), name="other"))) == ["c1", "c2"]


def test_marks_of_another_notebook_are_seen() -> None:
    given = live(comparison())
    assert cases(page(given)) == ["c1", "c2"]

    Marks("letters").put(comparison().key(1), {"pinned": True})

    assert cases(page(given)) == ["c2", "c1"]


def test_marks_are_given_as_a_table() -> None:
    given = live(comparison())
    given.answer({"kind": "mark", "row": 1, "change": {"kind": "star"}})

    assert given.marks[["experiment", "case", "mark"]].values.tolist() == [
        ["letters", "c2", "star"]
    ]


def test_the_table_is_what_was_looked_at_last() -> None:
    made = table(TWO, in_text=["a", "a", "b", "b"], expected={"c1": "yes"})
    given = live(comparison(made))

    assert list(given.table) == ["case", "repeat", "text", "expected", "plain", "steps"]
    assert given.table["steps"].tolist() == ["yes, it was", "no"]
    page(given, columns=[1], only=["differs"])
    assert given.table.values.tolist() == [["c1", 0, "a", "yes", "yes, it was"]]
    page(given, sort="row:case", descending=True)
    assert given.table["case"].tolist() == ["c2", "c1"]


def test_a_missing_output_is_missing_in_the_table() -> None:
    given = live(comparison({**TWO, ("c3", "steps"): "alone"}))

    assert given.table["plain"].isna().tolist() == [False, False, True]


def test_columns_of_the_same_name_stay_distinct_in_the_table() -> None:
    given = live(comparison({("c", "case"): "x", ("c", "b"): "y"}))

    assert list(given.table) == ["case", "repeat", "case (output)", "b"]


def test_marks_of_a_bare_table_have_a_name_that_a_larger_one_shares() -> None:
    made = table(TWO, in_text=["a", "a", "b", "b"])
    other = table(TWO, in_text=["z", "z", "b", "b"])

    names = [
        live(comparison(t), name=None).kept.name for t in (made.iloc[:2], made, other)
    ]

    assert names[0] == names[1] != names[2]
    assert names[0].startswith("table-")


def test_results_keep_their_marks_under_the_name_of_the_experiment() -> None:
    run = results(experiment(prompt={"p": "{{t}}", "q": "? {{t}}"}))

    assert live(Comparison.of(TrialTable.of(run)), name=None).kept.name == "letters"


def test_threads_can_ask_at_once() -> None:
    given = hundred()
    answers: list[dict[str, Any]] = []

    def ask(number: int) -> None:
        for sort in ("row:case", "different", ""):
            answers.append(page(given, number, sort=sort, text=f'"{number}"'))
            given.answer({"kind": "mark", "row": number, "change": {"pinned": True}})

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [a for a in answers if "problem" in a] == []
    assert len(given.marks) == 8


def test_a_request_is_shown_message_by_message() -> None:
    prompt = pl.Prompt(
        [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "First: {{t}}"},
            {"role": "user", "content": "Then?"},
        ]
    )
    run = results(experiment(prompt={"talk": prompt}, temperature=[0.5]))

    asked = live(Comparison.of(TrialTable.of(run)), baseline=None).answer(
        {"kind": "request", "trial": 1}
    )["request"]

    said = [(m["turn"], m["role"], m["text"]) for m in asked["messages"]]
    assert said[:2] == [(0, "system", "Be brief."), (0, "user", "First: b")]
    assert asked["parameters"] == [["model", "m"], ["temperature", "0.5"]]
    assert asked["title"] == ["2", "model m"]
    assert asked["note"] == ""
    assert ["input tokens", "10"] in asked["outcome"]


def test_request_details_hold_what_came_beside_an_output() -> None:
    given = table(TWO, tool_calls=["[]", None, None, None], reasoning=["Hm."] * 4)

    asked = live(comparison(given)).answer({"kind": "request", "trial": 0})["request"]

    assert ["tool calls", "[]"] in asked["outcome"]
    assert ["reasoning", "Hm."] in asked["outcome"]


def test_dropped_parameters_are_shown_with_the_reason() -> None:
    with pytest.warns(pl.PromptlabWarning, match="temperature is not sent"):
        refusing = pl.Experiment(
            "letters",
            grid={"model": ["m"], "prompt": ["{{t}}"], "temperature": [0.5]},
            dataset=[{"t": "a"}],
            capabilities={"m": {"temperature": False}},
        )

    given = live(Comparison.of(TrialTable.of(results(refusing))), baseline=None)
    asked = given.answer({"kind": "request", "trial": 0})["request"]

    assert asked["parameters"] == [["model", "m"]]
    assert [name for name, _ in asked["dropped"]] == ["temperature"]


def test_a_bare_table_shows_inputs_in_place_of_messages() -> None:
    made = table(TWO, in_text=["a", "a", "b", "b"], error=[None, None, None, "boom"])

    given = live(comparison(made))
    asked = given.answer({"kind": "request", "trial": 3})["request"]

    assert asked["messages"] == []
    assert "does not hold the messages" in asked["note"]
    assert [(i["role"], i["text"]) for i in asked["inputs"]] == [("text", "b")]
    assert asked["parameters"] == [["model", "m"], ["prompt", "steps"]]
    assert ["error", "boom"] in asked["outcome"]
    whole = given.answer({"kind": "text", "trial": 3, "part": "input:text", "start": 0})
    assert whole["text"] == "b"


def test_many_long_inputs_are_cut_to_fit() -> None:
    inputs = {f"in_{i}": ["x" * 5_000] * 4 for i in range(60)}

    row = page(live(comparison(table(TWO, **inputs))))["rows"][0]

    assert len(row["inputs"]) == 40
    assert sum(len(text) for _, text, _ in row["inputs"]) <= 6_000
    assert all(length == 5_000 for _, _, length in row["inputs"])


def test_half_a_character_in_a_note_is_kept_as_a_sign() -> None:
    given = live(comparison())

    answer = given.answer({"kind": "mark", "row": 0, "change": {"note": "a\ud83d"}})

    assert answer["after"]["note"] == "a?"
    assert Marks("letters").of(comparison().key(0)).note == "a?"


def test_answers_are_plain_json() -> None:
    made = pd.concat([table(TWO, judge=[0.1, 0.2, float("nan"), 1.0])])
    given = live(comparison(made))

    def check(value: Any) -> None:
        if isinstance(value, dict):
            assert all(isinstance(name, str) for name in value)
            value = list(value.values())
        if isinstance(value, list):
            for item in value:
                check(item)
            return
        assert value is None or type(value) in (str, int, bool)

    for question in (
        {"kind": "open", "count": 5},
        {"kind": "page", "view": VIEW, "start": 0, "count": 5},
        {"kind": "summary", "view": VIEW},
        {"kind": "request", "trial": 0},
        {"kind": "mark", "row": 0, "change": {"pinned": True}},
    ):
        check(given.answer(question))
