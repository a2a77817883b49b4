"""The groups that a plot compares: order, labels, colours."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import promptlab as pl
from promptlab.notebook.plots import plot_latency, plot_lengths, plot_tokens
from promptlab.notebook.plots.groups import grouped
from tests.notebook.plots.tables import HOSTILE, trials
from tests.results.making import FAILURE, experiment, results


def test_results_and_their_table_give_the_same_groups() -> None:
    given = results(experiment(prompt={"plain": "{{t}}", "kind": "Please: {{t}}"}))

    assert grouped(given).labels == grouped(given.table).labels == ["plain", "kind"]


def test_the_first_parameter_that_varies_makes_the_groups() -> None:
    table = trials(["a"] * 4, temperature=[0, 0, 1, 1])

    assert grouped(table).names == ("temperature",)
    assert grouped(table).labels == ["0", "1"]


def test_groups_stand_in_the_order_of_the_table() -> None:
    assert grouped(trials(["z", "a", "z", "m"])).labels == ["z", "a", "m"]


def test_several_columns_make_groups_together() -> None:
    groups = grouped(trials(temperature=[0, 0.7, 0, 0.7]), ["prompt", "temperature"])

    assert groups.labels == ["plain · 0", "plain · 0.7", "steps · 0", "steps · 0.7"]
    assert groups.by == " by prompt · temperature"
    assert list(groups.index.names) == ["prompt", "temperature"]


def test_no_column_at_all_is_one_group() -> None:
    groups = grouped(trials(), [])

    assert groups.labels == ["all"]
    assert groups.by == ""


def test_a_value_has_the_same_colour_in_every_plot() -> None:
    table = trials()

    marks = [
        {group.label: group.style for group in grouped(t, "prompt")}
        for t in (table, table[table["prompt"] == "plain"], table.assign(error="no"))
    ]

    assert marks[0]["plain"] == marks[1]["plain"] == marks[2]["plain"]
    assert len(set(marks[0].values())) == 2


def test_a_part_of_results_keeps_the_colours_of_the_whole() -> None:
    prompts = {"plain": "{{t}}", "kind": "Please: {{t}}", "rude": "Now: {{t}}"}
    table = results(experiment(prompt=prompts)).table
    whole = {group.label: group.style for group in grouped(table, "prompt")}

    (part,) = grouped(table[table["prompt"] == "rude"], "prompt")

    assert part.style == whole["rude"]


def test_a_parameter_that_was_not_sent_says_so() -> None:
    table = trials(temperature=[np.nan, np.nan, 0.5, 0.5])

    groups = grouped(table, "temperature")

    assert groups.labels == ["not sent", "0.5"]
    assert groups.index.isna().tolist() == [True, False]


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        ([{"type": "text"}, {"type": "json"}], ['{"type":"text"}', '{"type":"json"}']),
        ([["a", 1], None], ['["a",1]', "not sent"]),
        ([True, False], ["true", "false"]),
        ([1, "1"], ["1", "1 (2)"]),
        ([0.1 + 0.2, 1e-12], ["0.30000000000000004", "1e-12"]),
        ([8, 64], ["8", "64"]),
    ],
    ids=["objects", "lists", "booleans", "alike", "floats", "whole"],
)
def test_any_value_has_a_label(values: list[object], labels: list[str]) -> None:
    column = pd.Series([values[0]] * 2 + [values[1]] * 2, dtype=object)

    groups = grouped(trials(response_format=column), "response_format")

    assert groups.labels == labels
    assert [group.n for group in groups] == [2, 2]


def test_a_long_label_is_cut_in_the_middle() -> None:
    (label,) = grouped(trials(["start " + "x" * 500 + " end"] * 2), "prompt").labels

    assert len(label) <= 40
    assert label.startswith("start x")
    assert label.endswith("x end")
    assert "…" in label


def test_labels_that_are_cut_to_the_same_are_numbered() -> None:
    same = "You are a helpful assistant. " * 3
    texts = [f"{same}{middle}{same}" for middle in "ab"]

    first, second = grouped(trials([texts[0], texts[1]]), "prompt").labels

    assert second == f"{first} (2)"


def test_labels_are_one_line_without_control_characters() -> None:
    labels = grouped(trials(HOSTILE), "prompt").labels

    assert len(labels) == len(HOSTILE)
    assert all(label.isprintable() or "\u200d" in label for label in labels)
    assert labels[3] == "a b c"
    assert labels[10] == "evil[31m"
    assert labels[11] == "(empty)"
    assert labels[13] == "not sent"


def test_failed_trials_are_counted_apart() -> None:
    outcomes = ["yes", FAILURE, FAILURE, FAILURE]
    given = results(experiment(prompt={"a": "{{t}}", "b": "b {{t}}"}), outcomes)

    groups = grouped(given)

    assert [(group.n, group.failed) for group in groups] == [(1, 1), (0, 2)]
    assert "3 of 4 trials failed: left out" in groups.notes()


def test_an_empty_answer_of_a_csv_is_an_answer() -> None:
    table = trials(output=[None, "yes", "yes", "yes"], error=[None, None, None, "no"])

    assert [group.n for group in grouped(table)] == [2, 1]


@pytest.mark.parametrize("plot", [plot_tokens, plot_latency, plot_lengths])
def test_a_column_that_is_not_there_is_named(plot: object) -> None:
    with pytest.raises(
        pl.SpecError, match=r"no column 'modle'; did you mean 'model'\?"
    ):
        plot(trials(), by="modle")  # type: ignore[operator]


def test_what_varies_within_the_groups_is_noted() -> None:
    table = trials(temperature=[0, 1, 0, 1])

    assert grouped(table, "prompt").notes() == ["Pooled over temperature"]
    assert grouped(table, ["prompt", "temperature"]).notes() == []


def test_whole_numbers_that_were_not_sent_keep_their_kind() -> None:
    limits = pd.array([None, None, 8, 8], dtype="Int64")

    groups = grouped(trials(max_tokens=limits), "max_tokens")

    assert groups.labels == ["not sent", "8"]
    assert groups.index.dtype == "Int64"


def test_what_is_missing_elsewhere_is_none() -> None:
    groups = grouped(
        trials(finish_reason=["stop", None, None, "stop"]), "finish_reason"
    )

    assert groups.labels == ["stop", "none"]


def test_dates_and_arrays_have_a_label() -> None:
    days = pd.to_datetime(["2026-11-23"] * 2 + ["2026-11-24"] * 2)
    vectors = [np.array([1, 2])] * 2 + [np.array([3])] * 2

    assert grouped(trials(seed=days), "seed").labels[0] == "2026-11-23 00:00:00"
    assert grouped(trials(stop=vectors), "stop").labels == ["[1,2]", "[3]"]


def test_parameters_that_are_objects_can_vary() -> None:
    formats = [{"type": "text"}, {"type": "text"}, {"type": "json"}, None]

    groups = grouped(trials(["a"] * 4, response_format=formats))

    assert groups.names == ("response_format",)
    assert [group.n for group in groups] == [2, 1, 1]
