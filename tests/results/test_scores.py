"""Scores: columns of the table, parts of a record, kept with the run."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

import promptlab as pl
from promptlab.results.record import Score
from promptlab.results.scores import ScoreColumn
from promptlab.testing import FakeClient

from .making import FAILURE, experiment, results


def scored() -> pl.Results:
    return results(experiment(), ["a", FAILURE]).with_scores(
        {
            "exact": ScoreColumn([1, None], ["equal", None]),
            "tone": ScoreColumn(["warm", None]),
        }
    )


def test_scores_are_the_last_columns_each_with_its_explanation() -> None:
    table = scored().table

    assert list(table)[-4:] == ["key", "exact", "exact_explanation", "tone"]
    assert [str(dtype) for dtype in table.dtypes[-3:]] == ["float64", "str", "category"]
    assert scored().scores == ("exact", "tone")


def test_a_record_has_its_scores_and_none_for_those_missing() -> None:
    answered, failed = scored()

    assert answered.scores == {
        "exact": Score(1.0, "equal"),
        "tone": Score("warm", None),
    }
    assert failed.scores == {"exact": Score(None), "tone": Score(None)}


def test_scores_leave_the_results_they_are_added_to_as_they_were() -> None:
    unscored = results(experiment())

    unscored.with_scores({"exact": ScoreColumn([1, 0])})

    assert unscored.scores == ()
    assert "exact" not in unscored.table


def test_a_score_of_the_same_name_replaces_the_earlier_one() -> None:
    again = scored().with_scores({"exact": ScoreColumn([0, 1])})

    assert again.table["exact"].tolist() == [0, 1]
    assert "exact_explanation" not in again.table
    assert again.scores == ("exact", "tone")


@pytest.mark.parametrize("name", ["t", "model", "output"])
def test_a_score_cannot_have_the_name_of_another_column(name: str) -> None:
    with pytest.raises(pl.SpecError, match=f"score '{name}': the table has another"):
        results(experiment()).with_scores({name: ScoreColumn([1, 0])})


def test_scores_make_a_column_with_true_as_1_and_numbers_among_labels_as_labels() -> (
    None
):
    numbers = ScoreColumn.of([Score(True), Score(0.5, "half"), Score(None)])
    labels = ScoreColumn.of([Score("a"), Score(3), Score(None)])

    frame = pd.DataFrame(numbers.columns("n") | labels.columns("l"))
    assert frame["n"].tolist()[:2] == [1.0, 0.5]
    assert frame["n"].isna().tolist() == [False, False, True]
    assert frame["n_explanation"][1] == "half"
    assert frame["l"].tolist()[:2] == ["a", "3"]
    assert "l_explanation" not in frame


def test_a_run_keeps_its_scores_with_its_record(experiment: pl.Experiment) -> None:
    client = FakeClient()
    done = experiment.run(client=client).with_scores(
        {
            "exact": ScoreColumn([i % 2 for i in range(8)], ["why"] + [None] * 7),
            "tone": ScoreColumn(["warm", "cold"] * 4),
        }
    )

    pl.find_run().keep_scores(done)
    found = pl.find_run().load_results()

    assert found.scores == ("exact", "tone")
    assert_frame_equal(found.table, done.table)
    assert found[0].scores["exact"] == Score(0.0, "why")


def test_a_damaged_score_is_left_out_with_a_warning(
    experiment: pl.Experiment, clean_home: Path
) -> None:
    done = experiment.run(client=FakeClient())
    pl.find_run().keep_scores(done.with_scores({"exact": ScoreColumn([1] * 8)}))
    with closing(sqlite3.connect(clean_home / "promptlab.sqlite")) as file, file:
        file.execute("UPDATE scores SET content = x'00'")

    with pytest.warns(pl.PromptlabWarning, match="score 'exact' of run .* is damaged"):
        assert pl.find_run().load_results().scores == ()
