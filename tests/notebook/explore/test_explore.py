"""The explorer, driven from Python as a front end drives it."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd
import pytest
from results.making import FAILURE, experiment, results
from seen import HOSTILE, Seen

import promptlab as pl
from promptlab.notebook.explore.explore import Explorer, explore

from ..tables import table


def made() -> pl.Results:
    return results(
        experiment(
            temperature=[0, 1],
            prompt={"plain": "{{t}}", "kind": "Please: {{t}}"},
        ),
        ["a", FAILURE, "c", "d", "e", "f", "g", "h"],
    )


def texts(explorer: Explorer) -> list[list[Any]]:
    return [
        [index and (index["text"], index["count"]) for index in line["groups"]]
        for line in explorer.pivot_table.shown["lines"]
    ]


def press(explorer: Explorer, row: int, column: int) -> None:
    message = {"kind": "open", "row": row, "column": column}
    explorer.pivot_table._handle_custom_msg(message, [])


def test_it_begins_with_what_varies_and_the_first_measure() -> None:
    explorer = explore(made())

    assert repr(explorer) == "Explorer(output_tokens by prompt × temperature)"
    assert texts(explorer) == [
        [("5", "2"), ("5", "1 of 2"), ("5", "3 of 4")],
        [("5", "2"), ("5", "2"), ("5", "4")],
        [("5", "4"), ("5", "3 of 4"), ("5", "7 of 8")],
    ]


def test_rows_columns_and_measure_can_be_given() -> None:
    explorer = explore(made(), "temperature", "case", "share failed")

    assert texts(explorer)[1][0] == ("50%", "2")
    assert explorer.table.loc["1", "1"] == 0.5


def test_choosing_others_changes_the_table() -> None:
    explorer = explore(made())

    explorer.measure.value = "share failed"
    explorer.columns.value = "–"

    assert texts(explorer) == [[("25%", "4")], [("0%", "4")], [("12%", "8")]]


def test_choosing_the_same_twice_swaps_rows_and_columns() -> None:
    explorer = explore(made())

    explorer.rows.value = "temperature"

    assert explorer.columns.value == "prompt"
    explorer.columns.value = "temperature"
    assert explorer.rows.value == "prompt"
    assert repr(explorer) == "Explorer(output_tokens by prompt × temperature)"


def test_pressing_a_number_opens_its_trials_in_the_comparison() -> None:
    explorer = explore(made())

    press(explorer, 0, 1)

    assert explorer.trials["output"].fillna("").tolist() == ["", "f"]
    assert explorer.pivot_table.opened == [0, 1]
    assert Seen(explorer._caption.value).text == "2 trials: prompt plain, temperature 1"
    (comparison,) = explorer._below.children
    assert repr(comparison) == "Comparison(2 rows × 1)"
    asked = comparison.answer({"kind": "request", "trial": 1})["request"]
    assert asked["messages"][0]["text"] == "b"
    press(explorer, -1, 0)
    assert repr(explorer._below.children[0]) == "Comparison(2 rows × 2)"


def test_another_choice_closes_what_was_open() -> None:
    explorer = explore(made())
    press(explorer, 0, 0)

    explorer.measure.value = "trials"

    assert explorer._below.children == ()
    assert explorer.pivot_table.opened == []
    assert len(explorer.trials) == 8


def test_trials_that_cannot_be_compared_show_why() -> None:
    twice = pd.concat([table({("c", "plain"): "yes"})] * 2)
    explorer = explore(twice)

    press(explorer, 0, 0)

    (said,) = explorer._below.children
    assert "are the same trial" in Seen(said.value).text
    assert len(explorer.trials) == 2


def test_unknown_columns_and_measures_are_errors() -> None:
    with pytest.raises(pl.SpecError, match="did you mean 'prompt'"):
        explore(made(), "promt")


def test_markup_is_shown_as_text_and_a_saved_notebook_shows_a_table() -> None:
    outputs = {(case, prompt): "x" for case in HOSTILE for prompt in HOSTILE[:2]}
    explorer = explore(table(outputs), "case", "prompt")

    bundle = explorer._repr_mimebundle_()
    seen = Seen(bundle["text/html"])

    assert all(text in seen.text for text in HOSTILE)
    assert not {"img", "script", "textarea"} & seen.tags
    assert "application/vnd.jupyter.widget-view+json" in bundle


def test_of_many_values_the_first_are_shown_and_it_says_so() -> None:
    outputs = {(f"c{n}", "plain"): "x" for n in range(3_000)}

    explorer = explore(table(outputs), "case")

    assert len(explorer.pivot_table.shown["lines"]) == 101
    assert explorer.pivot_table.shown["left_out"] == ["100 of 3,000 values of case"]
    assert len(json.dumps(explorer.pivot_table.shown)) < 60_000
    assert "and 81 rows more" in Seen(explorer._repr_html_()).text
