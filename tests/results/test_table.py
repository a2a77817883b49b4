"""The table: its columns, in order, and the types they have."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

import promptlab as pl
from promptlab.results.columns import OutcomeColumns

from .making import FAILURE, experiment, head, results


def test_columns_come_in_the_order_of_the_design() -> None:
    asked = experiment(
        [{"t": "a", "u": 1, "expected": "x"}],
        seed=[1],
        max_tokens=[16],
        temperature=[0],
        system=["Be {{u}}"],
    )

    assert list(results(asked).table) == [
        "trial",
        "model",
        "prompt",
        "system",
        "temperature",
        "max_tokens",
        "seed",
        "case",
        "t",
        "u",
        "expected",
        "repeat",
        "output",
        "finish_reason",
        "input_tokens",
        "cached_input_tokens",
        "output_tokens",
        "reasoning_tokens",
        "latency_s",
        "cost_usd",
        "billed_usd",
        "cached",
        "error",
        "key",
    ]


@pytest.mark.filterwarnings("ignore::promptlab.PromptlabWarning")
def test_types_do_not_depend_on_the_values() -> None:
    asked = experiment(
        [{"t": "a", "u": 1, "expected": "x"}, {"t": "b", "u": None}],
        system={"none": None, "agent": "Be brief"},
        temperature=[0],
        max_tokens=[16],
    )

    types = results(asked, ["yes", FAILURE, None, "no"]).table.dtypes

    assert {name: str(dtype) for name, dtype in types.items()} == {
        "trial": "int64",
        "model": "category",
        "prompt": "category",
        "system": "category",
        "temperature": "float64",
        "max_tokens": "Int64",
        "case": "category",
        "t": "category",
        "u": "Int64",
        "expected": "category",
        "repeat": "int64",
        "output": "str",
        "finish_reason": "category",
        "input_tokens": "Int64",
        "cached_input_tokens": "Int64",
        "output_tokens": "Int64",
        "reasoning_tokens": "Int64",
        "latency_s": "float64",
        "cost_usd": "float64",
        "billed_usd": "float64",
        "cached": "bool",
        "error": "str",
        "key": "str",
    }


@pytest.mark.filterwarnings("ignore::promptlab.PromptlabWarning")
def test_what_is_not_sent_is_shown_as_missing() -> None:
    asked = experiment(
        [{"t": "a"}],
        model=["gpt-4.1", "gpt-6-luna"],
        temperature=[0, 1],
        max_tokens=[8],
    )

    table = results(asked).table

    assert table["model"].tolist() == ["gpt-4.1", "gpt-4.1", "gpt-6-luna"]
    assert table["temperature"].isna().tolist() == [False, False, True]
    assert table["max_tokens"].tolist() == [8, 8, 8]


@pytest.mark.filterwarnings("ignore::promptlab.PromptlabWarning")
def test_a_parameter_that_is_sent_to_no_model_keeps_its_type() -> None:
    table = results(
        experiment(model=["gpt-6-luna"], temperature=[0, 0.5], top_p=[1])
    ).table

    for name in ("temperature", "top_p"):
        assert table[name].dtype == "float64"
        assert table[name].isna().all()


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        (["x", None], "category"),
        ([1, None], "Int64"),
        ([1, 0.5], "float64"),
        ([True, None], "boolean"),
        ([[1], {"a": 2}], "object"),
        ([1, "1"], "object"),
        ([2**63, 1], "object"),
        ([2**60, 0.5], "object"),
        ([2**53 + 1, 2**62], "Int64"),
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore::promptlab.PromptlabWarning")
def test_inputs_keep_their_values(values: list[Any], dtype: str) -> None:
    asked = experiment([{"t": "a", "u": value} for value in values])

    column = results(asked).table["u"]

    assert str(column.dtype) == dtype
    assert [None if v is None or v is pd.NA or v != v else v for v in column] == values


def test_a_trial_without_an_outcome_has_no_row() -> None:
    table = results(experiment(repeats=2), [None, "b", None, FAILURE]).table

    assert table["trial"].tolist() == [1, 3]
    assert table["case"].tolist() == ["1", "2"]
    assert table["repeat"].tolist() == [1, 1]


def test_a_failure_is_a_row_with_an_error_and_no_answer() -> None:
    table = results(experiment(), ["a", FAILURE]).table

    assert table["error"][1] == "429 rate_limit_exceeded: Slow down (6 attempts)"
    assert table["error"].isna().tolist() == [True, False]
    missing = ["output", "finish_reason", "output_tokens", "latency_s", "key"]
    assert table.loc[1, missing].isna().all()


def test_tokens_that_the_server_does_not_tell_are_missing_not_0() -> None:
    table = results(experiment()).table

    assert table["cached_input_tokens"].isna().all()
    assert table["reasoning_tokens"].tolist() == [0, 0]


def test_a_conversation_is_one_row_with_its_last_reply_and_all_its_tokens() -> None:
    asked = experiment([{"t": "a"}])
    answers = OutcomeColumns(1)
    heads = [
        head("one", "length", (10, 1, 5, None, 0), 0.25),
        head("two", "stop", (20, 2, 6, 1, 0), 0.5),
    ]

    answers.put(0, heads, "last", [True, True])
    (row,) = pl.Results(asked, answers).table.to_dict("records")

    assert row["output"] == "two"
    assert row["finish_reason"] == "stop"
    assert (row["input_tokens"], row["cached_input_tokens"]) == (30, 3)
    assert row["output_tokens"] == 11
    assert pd.isna(row["reasoning_tokens"])
    assert row["latency_s"] == 0.75
    assert row["key"] == "last"


def test_a_finish_reason_of_the_servers_own_is_kept() -> None:
    table = results(experiment(), finish_reason="eos_token").table

    assert table["finish_reason"].tolist() == ["eos_token", "eos_token"]


def test_an_empty_table_has_all_its_columns() -> None:
    table = results(experiment(), [None, None]).table

    assert len(table) == 0
    assert list(table) == list(results(experiment()).table)


def test_many_answers_in_any_order_stand_in_their_rows() -> None:
    asked = experiment([{"t": "a"}], repeats=10_000)
    answers = OutcomeColumns(len(asked))

    for index in reversed(range(len(asked))):
        answers.put(index, [head(str(index))], "k")

    output = pl.Results(asked, answers).table["output"]
    assert output.tolist() == [str(index) for index in range(len(asked))]


def test_metadata_stands_after_what_is_expected() -> None:
    rows = [{"t": "a", "source": "web", "expected": "b"}, {"t": "c"}]
    dataset = pl.Dataset(rows, metadata=["source"])

    table = results(experiment(dataset)).table

    names = list(table)
    assert names[names.index("case") :][:5] == [
        "case",
        "t",
        "expected",
        "source",
        "repeat",
    ]
    assert [None if pd.isna(v) else v for v in table["source"]] == ["web", None]
