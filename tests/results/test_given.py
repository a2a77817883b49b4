"""Given answers: tables from elsewhere as results, without a call."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

import promptlab as pl
from promptlab import scorers

from .making import FAILURE, experiment, results

ROWS = [
    {"question": q, "answer": answer, "label": label, "model": model}
    for model, answers in (("a", ("4", "Paris")), ("b", ("5", "Paris")))
    for q, answer, label in zip(
        ("2 + 2?", "France?"), answers, ("4", "Paris"), strict=True
    )
]


def given(rows: Any = ROWS, **more: Any) -> pl.Results:
    return pl.Results.from_table(rows, output="answer", expected="label", **more)


def test_given_answers_are_scored_summarised_and_ranked_without_a_call() -> None:
    scored = given().score(scorers.exact())

    assert scored.totals.calls == 0
    assert scored.totals.billed_usd == 0
    assert scored.summary()["exact"].to_dict() == {"a": 1.0, "b": 0.5}
    assert pl.leaderboard(scored, "exact").table["model"].tolist() == ["a", "b"]
    assert "b" in pl.compare(scored, by="model")._repr_html_()


def test_they_are_trials_by_case_variant_and_repeat() -> None:
    table = given([*ROWS, {**ROWS[0], "answer": "four"}]).table

    assert table["trial"].tolist() == [0, 1, 2, 4, 6]
    assert table["output"].tolist() == ["4", "four", "5", "Paris", "Paris"]
    assert table["repeat"].tolist() == [0, 1, 0, 0, 0]
    assert table["case"].tolist() == ["1", "1", "1", "2", "2"]
    assert table["expected"].tolist() == ["4", "4", "4", "Paris", "Paris"]


def test_totals_count_the_rows_also_where_variants_miss_cases() -> None:
    totals = given(ROWS[:3]).totals

    assert (totals.trials, totals.answered, totals.missing) == (3, 3, 0)


def test_variants_are_those_that_the_rows_have_whatever_models_take() -> None:
    rows = [
        {"output": "x", "model": "gpt-5", "temperature": 0.5, "style": "short"},
        {"output": "y", "model": "o3", "temperature": 1.0, "style": None},
    ]

    found = pl.Results.from_table(rows, variants=["model", "temperature", "style"])
    assert found.varying == ["model", "temperature", "style"]
    assert len(found.experiment.effective_variants) == 2
    assert found.table["temperature"].tolist() == [0.5, 1.0]
    assert found.experiment.warnings == ()


def test_a_column_says_which_rows_are_of_one_case() -> None:
    rows = [{**row, "nr": row["question"][0]} for row in ROWS]

    assert given(rows, case="nr").table["case"].tolist() == ["2", "2", "F", "F"]


def test_a_row_without_an_output_is_a_failed_trial() -> None:
    rows = [{**ROWS[0], "answer": None}, {**ROWS[1], "answer": float("nan")}, *ROWS[2:]]

    failed = given([{**row, "error": "timeout: 60 s"} for row in rows])
    assert failed.totals.failed == 2
    assert failed.errors["kind"].tolist() == ["timeout", "timeout"]
    assert failed.table["error"].tolist()[0] == "timeout: 60 s"


def test_what_rows_say_of_cost_and_time_is_taken() -> None:
    rows = [
        {**row, "cost_usd": 0.25, "latency_s": 2, "output_tokens": 7} for row in ROWS
    ]

    found = given(rows)
    assert found.totals.cost_usd == 1.0
    assert found.totals.billed_usd == 0
    assert found.summary()["mean_latency_s"].tolist() == [2.0, 2.0]
    assert found.table["output_tokens"].tolist() == [7] * 4


def test_answers_may_be_objects_or_numbers() -> None:
    found = pl.Results.from_table({"output": [{"a": 1}, [2], 3, True, ""]})

    assert found.table["output"].tolist() == ['{"a":1}', "[2]", "3", "true", ""]


@pytest.mark.parametrize("ending", [".parquet", ".jsonl", ".csv", ".xlsx"])
def test_an_export_is_results_again(tmp_path: Path, ending: str) -> None:
    ran = results(experiment(model=["m", "n"], repeats=2), ["1", FAILURE] * 4)
    scored = ran.score(scorers.contains("1"))
    path = scored.to(tmp_path / f"run{ending}")

    again = pl.Results.from_table(path)

    assert_frame_equal(again.table, pl.read_results(path), check_dtype=False)
    assert again.scores == scored.scores
    assert again.totals.failed == 4


def test_they_go_on_to_a_later_stage() -> None:
    dataset = given().to_dataset(rename={"output": "draft"}, by="case")

    assert dataset[0].inputs == {"draft": ["4", "5"], "question": "2 + 2?"}


def test_a_record_has_the_answer_and_no_message_that_was_not_known() -> None:
    record = given()[0]

    assert record.messages == [{"role": "assistant", "content": "4"}]
    assert record.trial.variant.labels["model"] == "a"
    assert record.logprobs == ()


def test_their_experiment_cannot_be_run() -> None:
    with pytest.raises(pl.SpecError, match="answers were given in a table, without"):
        given().experiment.run()  # type: ignore[attr-defined]


def test_hostile_answers_are_escaped_as_any() -> None:
    hostile = "</script><img src=x onerror=alert(1)>=cmd()|\x1b[31m"
    found = pl.Results.from_table({"output": [hostile], "q": ["?"]})

    assert found.table["output"][0] == hostile
    assert "<img" not in found._repr_html_()
    assert "<img" not in pl.compare(found)._repr_html_()


def test_frames_with_an_index_and_numpy_values_are_read_by_position() -> None:
    frame = pd.DataFrame(
        {"output": ["a", "b"], "q": np.array([1, 2]), 3: [pd.NA, 1.5]}, index=[7, 7]
    )

    table = pl.Results.from_table(frame).table
    assert table["q"].tolist() == [1, 2]
    assert "3" in table


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        ([{"answer": "a"}], {}, "no column is called 'output'; output= names the one"),
        (
            [{"output": "a"}],
            {"expected": "wanted"},
            "has no column 'wanted'; valid names",
        ),
        ([{"output": "a"}], {"output": "outputs"}, "did you mean 'output'"),
        ([], {}, "the table has no rows"),
        ("nothing.txt", {}, "results are written as"),
        (3, {}, "expected a DataFrame, rows as dicts or the path"),
        (
            [{"output": "a", "id": 1, "n": 1}, {"output": "b", "id": 1, "n": 2}],
            {},
            "'n' differs among the rows of case '1'; if it is a parameter, name it",
        ),
        ([{"output": "a", "id": None}], {}, "row 1 has no 'id'"),
        (
            [
                {"output": "a", "id": 1, "repeat": 0},
                {"output": "b", "id": 1, "repeat": 0},
            ],
            {},
            "two rows are repeat 0 of one variant and case",
        ),
        ([{"output": "a", "latency_s": "fast"}], {}, "column 'latency_s': could not"),
        (
            [{"output": "a", "answer": "b"}],
            {"output": "answer"},
            "a column 'output' beside 'answer'",
        ),
    ],
    ids=[
        *("output", "expected", "misspelt", "empty", "ending", "kind"),
        *("differs", "no id", "twice", "no number", "beside"),
    ],
)
def test_what_cannot_be_read_is_one_clear_line(
    rows: Any, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(pl.PromptlabError, match=message):
        pl.Results.from_table(rows, **options)


def test_wordings_of_a_prompt_stay_wordings_and_go_along_to_a_later_stage() -> None:
    worded = pl.Wordings("Ticket: {{t}}\nTeam:", formats=2)
    ran = results(experiment([{"t": "a"}], prompt={"team": worded}))

    again = pl.Results.from_table(ran.table)

    assert again.schema.wordings == ("wording",)
    assert again.varying == []
    dataset = again.to_dataset(keep="latency_s")
    assert dataset[0].id == "1 · as written"
    assert dataset[1].metadata["source_wording"] == "blank lines"
