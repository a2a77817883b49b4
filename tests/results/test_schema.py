"""The schema: what a column is does not depend on where it stands."""

from __future__ import annotations

from io import BytesIO, StringIO
from pathlib import Path

import orjson
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

import promptlab as pl
from promptlab.notebook.trial_table import TrialTable
from promptlab.results.schema import Schema
from promptlab.results.scores import ScoreColumn

from .making import experiment, results


def scored() -> pl.Results:
    """Two cases with metadata, a variable of the prompt as a parameter, a score."""
    rows = [
        {"t": "a", "n": 1, "expected": "x", "source": "web"},
        {"t": "b", "n": 2, "expected": "y", "source": "book"},
    ]
    asked = experiment(
        pl.Dataset(rows, metadata=["source"]),
        prompt={"plain": "{{t}} {{n}} {{tone}}"},
        tone=["neutral", "warm"],
    )
    return results(asked).with_scores(
        {"exact": ScoreColumn([0, 1, 0.5, None], ["no", "yes", None, None])}
    )


OURS = {
    "parameters": ("model", "prompt", "tone"),
    "inputs": ("t", "n"),
    "metadata": ("source",),
    "scores": ("exact",),
}


def found(table: pd.DataFrame) -> dict[str, tuple[str, ...]]:
    schema = Schema.of(table)
    return {name: getattr(schema, name) for name in OURS}


def test_a_table_of_results_says_what_its_columns_are() -> None:
    schema = Schema.of(scored().table)

    assert found(scored().table) == OURS
    assert schema.note == ""
    assert schema.names("explanation") == ("exact_explanation",)
    assert schema.names("expected", "repeat", "case") == ("case", "expected", "repeat")


def test_what_is_recorded_in_the_table_is_plain_json() -> None:
    attributes = scored().table.attrs

    assert orjson.loads(orjson.dumps(attributes)) == attributes


def test_a_column_put_between_the_parameters_is_none_of_them() -> None:
    table = scored().table
    table.insert(1, "note", "checked")

    assert found(table) == OURS | {"scores": ("note", "exact")}


def test_columns_in_another_order_are_what_they_were() -> None:
    table = scored().table

    shuffled = TrialTable.of(table[sorted(table)]).schema

    assert sorted(shuffled.parameters) == sorted(OURS["parameters"])
    assert sorted(shuffled.inputs) == sorted(OURS["inputs"])
    assert (shuffled.metadata, shuffled.scores) == (("source",), ("exact",))


@pytest.mark.parametrize(
    "change",
    [
        lambda table: table.sort_values("tone", ascending=False),
        lambda table: table.query("tone == 'warm'"),
        lambda table: table.reset_index(drop=True),
        lambda table: pd.concat([table, table]),
        lambda table: table.merge(table[["trial"]], on="trial"),
    ],
    ids=["sorted", "filtered", "renumbered", "put together", "merged"],
)
def test_what_pandas_makes_of_a_table_keeps_it(change: object) -> None:
    assert callable(change)
    assert found(change(scored().table)) == OURS


def test_a_column_keeps_its_role_under_another_name() -> None:
    table = scored().table.rename(columns={"t": "ticket", "exact": "same"})

    assert found(table) == OURS | {"inputs": ("ticket", "n"), "scores": ("same",)}


def test_an_added_column_is_a_score_unless_it_has_the_name_of_a_parameter() -> None:
    table = scored().table.assign(mine=0.5, mine_explanation="so", top_p=0.9)

    schema = Schema.of(table)

    assert schema.scores == ("exact", "mine")
    assert "mine_explanation" in schema.names("explanation")
    assert schema.parameters == (*OURS["parameters"], "top_p")


def test_parquet_keeps_it_whoever_writes_and_reads_it(tmp_path: Path) -> None:
    ours = scored().to(tmp_path / "ours.parquet")
    theirs = BytesIO()
    scored().table.drop(columns="n").to_parquet(theirs)

    assert found(pl.read_results(ours)) == OURS
    assert found(pd.read_parquet(ours)) == OURS
    assert found(pd.read_parquet(theirs)) == OURS | {"inputs": ("t",)}


@pytest.mark.parametrize("ending", [".csv", ".jsonl", ".xlsx"])
def test_files_that_do_not_say_it_are_read_by_the_order_of_a_run(
    tmp_path: Path, ending: str
) -> None:
    table = pl.read_results(scored().to(tmp_path / f"table{ending}"))

    assert found(table) == OURS
    assert TrialTable.of(table).schema.note == ""
    assert_frame_equal(table, scored().table, check_dtype=ending == ".jsonl")


def test_a_foreign_table_is_taken_by_its_order_and_says_what_is_doubtful() -> None:
    table = pd.read_csv(StringIO(scored().table.to_csv(index=False)))

    assert found(table) == OURS
    with pytest.warns(
        pl.PromptlabWarning,
        match="does not say what its columns are; taken by order: 'tone' parameter$",
    ):
        TrialTable.of(table)


def test_a_foreign_table_in_another_order_is_taken_by_names_and_content() -> None:
    text = scored().table.drop(columns="n")[::-1].to_csv(index=False)
    table = pd.read_csv(StringIO(text))
    table = table[sorted(table, reverse=True)].assign(temperature=0.5)

    with pytest.warns(pl.PromptlabWarning, match="taken by content: 't.* input"):
        schema = TrialTable.of(table).schema

    assert set(schema.parameters) == {"model", "prompt", "temperature"}
    assert set(schema.inputs) == {"t", "source"}
    assert set(schema.scores) == {"tone", "exact"}
    assert schema.names("explanation") == ("exact_explanation",)
    assert schema.names("expected") == ("expected",)


def test_what_replies_say_beside_is_no_input_of_the_same_name() -> None:
    row = {"t": "a", "refusal": "Politely"}
    asked = experiment([row], prompt=["{{t}} {{refusal}}"])

    schema = Schema.of(results(asked).table)

    assert schema.inputs == ("t", "refusal")
    assert schema.reply_column("refusal") is None


@pytest.mark.parametrize("said", [None, 7, {"roles": 7}, {"roles": {"t": "king"}}])
def test_a_damaged_record_of_the_roles_is_no_error(said: object) -> None:
    table = scored().table
    table.attrs["promptlab"] = said

    assert found(table) == OURS
