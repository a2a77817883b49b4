"""Comparisons: which trial stands where, what is alike, what is right."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from results.making import FAILURE, experiment, results

import promptlab as pl
from promptlab.notebook.compare.comparison import MISSING, Comparison
from promptlab.notebook.compare.criterion import Criterion
from promptlab.notebook.trial_table import TrialTable

from ..tables import TWO, comparison, table


def names(given: Comparison) -> list[str]:
    return [column.name for column in given.columns]


def test_a_value_is_a_column_and_a_case_is_a_row() -> None:
    given = comparison(TWO)

    assert names(given) == ["plain", "steps"]
    assert given.positions.tolist() == [[0, 1], [2, 3]]
    assert repr(given) == "Comparison(2 rows × 2)"


def test_without_by_the_first_parameter_that_varies_is_compared() -> None:
    assert comparison(TWO, by=None).by == ("prompt",)


def test_columns_and_rows_come_in_the_order_they_first_appear() -> None:
    given = comparison({("c2", "z"): "1", ("c2", "a"): "2", ("c1", "a"): "3"})

    assert names(given) == ["z", "a"]
    assert given.positions.tolist() == [[0, 1], [MISSING, 2]]


def test_several_parameters_are_compared_by_their_combinations() -> None:
    run = results(experiment(prompt={"p": "{{t}}", "q": "? {{t}}"}, temperature=[0, 1]))

    given = Comparison.of(TrialTable.of(run), ["prompt", "temperature"])

    assert names(given) == ["p · 0", "p · 1", "q · 0", "q · 1"]
    assert given.others == ()
    assert given.positions.tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]]


def test_other_parameters_that_vary_and_repeats_part_the_rows() -> None:
    grid = {"prompt": {"p": "{{t}}", "q": "? {{t}}"}, "temperature": [0, 1]}
    run = results(experiment(**grid, repeats=2))

    given = Comparison.of(TrialTable.of(run), "prompt")

    assert given.others == ("temperature",)
    assert given.positions.shape == (2 * 2 * 2, 2)
    assert given.trials.repeated


def test_a_parameter_that_goes_with_the_column_is_shown_in_its_heading() -> None:
    zipped = [{"temperature": [0, 1], "max_tokens": [16, 256]}]
    run = results(experiment(zip=zipped))

    given = Comparison.of(TrialTable.of(run), "temperature")

    assert given.others == ()
    assert [column.also for column in given.columns] == [
        {"max_tokens": 16},
        {"max_tokens": 256},
    ]


def test_a_run_that_was_stopped_early_does_not_line_up_what_was_crossed() -> None:
    crossed = experiment(prompt={"p": "{{t}}", "q": "? {{t}}"}, temperature=[0, 1])
    outcomes = ["p at 0", None, None, "q at 1", *[None] * 4]

    given = Comparison.of(TrialTable.of(results(crossed, outcomes)), "prompt")

    assert given.others == ("temperature",)
    assert given.positions.tolist() == [[0, MISSING], [MISSING, 1]]


def test_repeats_can_be_compared() -> None:
    given = comparison(TWO, by="repeat", repeats=3)

    assert names(given) == ["0", "1", "2"]
    assert given.positions.tolist() == [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9, 10, 11]]


def test_a_parameter_that_is_not_sent_is_a_column() -> None:
    made = table(TWO).assign(prompt=["a", None, "a", None])

    assert names(comparison(made)) == ["a", "not sent"]


def test_runs_can_be_compared_by_a_column_that_names_each() -> None:
    two = pd.concat([table(TWO).assign(run="old"), table(TWO).assign(run="new")])

    given = comparison(two, by="run")

    assert names(given) == ["old", "new"]
    assert given.positions.tolist() == [[0, 4], [1, 5], [2, 6], [3, 7]]


def test_two_trials_with_the_same_row_and_column_are_an_error_that_names_them() -> None:
    twice = pd.concat([table(TWO), table(TWO)])

    with pytest.raises(
        pl.SpecError, match=r"rows 0 and 4 .* \(prompt 'plain', case 'c1', repeat '0'\)"
    ):
        comparison(twice)


@pytest.mark.parametrize(
    ("by", "said"),
    [
        ("promptt", "did you mean 'prompt'"),
        (["prompt", "prompt"], "named twice"),
        ("text", "'text' is not a parameter"),
        ("output", "'output' is not a parameter"),
        ([], "name a column"),
    ],
)
def test_what_cannot_be_compared_is_an_error(by: object, said: str) -> None:
    with pytest.raises(pl.SpecError, match=said):
        comparison(table(TWO, in_text=["a", "a", "b", "b"]), by)  # type: ignore[arg-type]


def test_more_values_than_can_be_columns_are_an_error() -> None:
    many = table({("c", f"p{i}"): "x" for i in range(201)})

    with pytest.raises(
        pl.SpecError, match="expected at most 200 values of prompt, got 201"
    ):
        comparison(many)


def test_a_table_without_rows_can_be_looked_at() -> None:
    given = comparison(table(TWO).iloc[:0])

    assert (len(given), len(given.columns)) == (0, 0)
    assert repr(given) == "Comparison(0 rows × 0)"


def test_a_column_is_found_by_its_label() -> None:
    made = table(TWO).assign(temperature=[0.0, 0.5, 0.0, 0.5])
    made = made[["trial", "prompt", "temperature", "case", "repeat", "output"]]

    assert comparison(made, "temperature").column(0) == 0
    assert comparison(made, "temperature").column(0.5) == 1
    assert comparison(made, ["prompt", "temperature"]).column(("steps", 0.5)) == 1
    with pytest.raises(pl.SpecError, match="no column 'stepz'; did you mean 'step"):
        comparison(made).column("stepz")


def test_failed_and_truncated_trials_are_known() -> None:
    run = results(experiment(), ["yes", FAILURE], finish_reason="length")
    given = Comparison.of(TrialTable.of(run))

    assert given.failed.tolist() == [False, True]
    assert given.truncated.tolist() == [True, False]


def test_likeness_gives_the_first_column_with_the_same_text() -> None:
    outputs = {
        ("c", p): text for p, text in zip("abcd", ["x", "y", "x", "y"], strict=True)
    }
    given = comparison({**outputs, ("d", "a"): "z", ("d", "c"): None, ("d", "d"): None})

    assert given.likeness([0, 1, 2, 3]).tolist() == [[0, 1, 0, 1], [0, MISSING, 2, 2]]
    assert given.likeness([1, 3]).tolist() == [[0, 0], [MISSING, 1]]


EXPECTED = {"c1": "Yes", "c2": "no"}


@pytest.mark.parametrize(
    ("output", "right"),
    [
        ("Yes", 1),
        ("  yES\n", 1),
        ("yes.", 0),
        ("the answer is yes", 0),
        ("", 0),
        (None, 0),
    ],
)
def test_right_is_what_is_expected_but_for_case_and_space(
    output: str | None, right: int
) -> None:
    given = comparison({("c1", "p"): output}, expected=EXPECTED)

    assert given.right is not None
    assert given.right.tolist() == [right]


def test_any_of_several_expected_values_is_right() -> None:
    outputs = {("c1", "p"): "2", ("c1", "q"): "two", ("c2", "p"): "2", ("c3", "p"): "x"}
    given = comparison(outputs, expected={"c1": [2, "Two"], "c2": 2})

    assert given.right is not None
    assert given.right[:3].tolist() == [1, 1, 1]
    assert np.isnan(given.right[3])


def test_a_score_decides_what_is_right_where_it_is_asked_to() -> None:
    made = table(TWO, judge=[0.2, 0.5, None, 1.0], expected=EXPECTED)

    right = comparison(made, score="judge").right

    assert right is not None
    assert right[[0, 1, 3]].tolist() == [0, 1, 1]
    assert np.isnan(right[2])


def test_no_score_decides_unless_it_is_called_right_or_named() -> None:
    made = table(TWO, ok=[True] * 4, fine=[0.1] * 4)

    assert comparison(made).criterion is None
    assert comparison(made).right is None
    assert comparison(made.assign(right=[0.5, 0.4, 1, 0])).criterion == Criterion(
        "right", 0.5
    )
    assert comparison(made.assign(right=[True, None, False, True])).criterion == (
        Criterion("right", None)
    )
    assert comparison(made, score="fine").criterion == Criterion("fine", 0.5)


def test_a_threshold_of_ones_own_decides() -> None:
    made = table(TWO, stars=[1, 3, 4, 5])

    right = comparison(made, score="stars", threshold=4).right

    assert right is not None
    assert right.tolist() == [0, 0, 1, 1]


def test_a_failed_trial_without_a_score_is_not_right_and_is_counted() -> None:
    made = table(TWO, right=[True, None, True, None])
    made.loc[3, "output"] = None

    right = comparison(made).right

    assert right is not None
    assert right[[0, 2, 3]].tolist() == [1, 1, 0]
    assert np.isnan(right[1])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"score": "stars"}, "values from 1 to 5; say which count as right, .*=3"),
        ({"score": "fin"}, "no column 'fin'; did you mean 'fine'"),
        ({"score": "word"}, "expected numbers, or true and false, got str in"),
        ({"score": "ok", "threshold": 1}, "'ok' is true or false; leave it out"),
        ({"threshold": 0.5}, "threshold needs score="),
        ({"score": "fine", "threshold": "a"}, "threshold: expected a number, got 'a'"),
        ({"score": "fine", "threshold": float("nan")}, "a number, got nan"),
    ],
)
def test_a_score_that_cannot_decide_is_an_error(
    options: dict[str, Any], message: str
) -> None:
    made = table(TWO, stars=[1, 3, 4, 5], ok=[True] * 4, fine=[0.1] * 4, word=["a"] * 4)

    with pytest.raises(pl.SpecError, match=message):
        comparison(made, **options)


def test_without_expected_and_scores_nothing_decides_what_is_right() -> None:
    assert comparison(TWO).right is None


def test_a_row_is_known_by_what_it_is() -> None:
    grid = {"prompt": {"p": "{{t}}", "q": "? {{t}}"}, "temperature": [0, 1]}
    run = results(experiment(**grid, repeats=2))

    key = Comparison.of(TrialTable.of(run), "prompt").key(3)

    assert (key.by, key.case, key.repeat) == (("prompt",), "1", 1)
    assert key.parameters == {"model": "m", "temperature": 1}


def test_rows_of_a_case_are_found() -> None:
    given = comparison(table(TWO, repeats=2))

    assert given.rows_of("c2", 1) == [3]
    assert given.rows_of("c9", 1) == []


def test_outputs_that_are_no_texts_are_shown_as_text() -> None:
    made = table(TWO).astype({"output": object})
    made["output"] = pd.Series([7, 0.5, ["a"], "\ud800"], dtype=object)

    assert comparison(made).outputs.to_pylist() == ["7", "0.5", '["a"]', "?"]


def test_columns_of_any_name_and_values_of_any_kind_are_compared() -> None:
    made = table(TWO).assign(ok=[np.array([1, 2]), None, {"a": 1}, [3]])
    made.insert(4, 7, [np.array([1, 2]), np.array([1, 2]), pd.Timestamp("2026"), None])

    given = comparison(made)

    assert given.trials.schema.inputs == ("7",)
    assert given.of_rows("7").texts.to_pylist()[0] == "[1,2]"
    assert given.criterion is None


def test_two_columns_of_one_name_are_an_error() -> None:
    twice = pd.concat([table(TWO), table(TWO)[["prompt"]]], axis=1)

    with pytest.raises(pl.SpecError, match="two columns 'prompt'"):
        comparison(twice)


def test_metadata_is_neither_an_input_nor_a_score() -> None:
    rows = [{"t": "a", "source": "web", "n": 3, "expected": "b"}]
    run = results(experiment(pl.Dataset(rows, metadata=["source", "n"])))

    for given in (TrialTable.of(run), TrialTable.of(run.table.assign(right=1.0))):
        assert given.schema.inputs == ("t",)
        assert given.schema.metadata == ("source", "n")
        assert given.schema.scores == (("right",) if "right" in given.table else ())


class Frame:
    """A table of another library, as polars has them."""

    def to_pandas(self) -> pd.DataFrame:
        return table(TWO)


def test_a_table_of_another_library_is_compared() -> None:
    frame: Any = Frame()

    assert len(Comparison.of(TrialTable.of(frame), "prompt")) == 2


def test_two_runs_side_by_side_are_one_table() -> None:
    run: Any = results(experiment())

    assert list(pl.compare(run, run).table)[-2:] == ["first", "second"]
    with pytest.raises(pl.SpecError, match=r"got Results; .* pl\.compare\(\{"):
        pl.plot_heatmap(run, rows="prompt", columns=run)
    with pytest.raises(pl.SpecError, match="by: expected names of columns, got int"):
        pl.compare(run, 7)  # type: ignore[arg-type]
