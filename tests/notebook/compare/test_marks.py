"""Marks: kept on disk as they are made, and found again on the same rows."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import pandas as pd
import pytest
from results.making import experiment, results

import promptlab as pl
from promptlab.notebook.compare.comparison import Comparison
from promptlab.notebook.compare.comparison_session import ComparisonSession
from promptlab.notebook.compare.marks import Mark, Marks, RowKey, marks
from promptlab.notebook.compare.row_filter import RowFilter
from promptlab.notebook.trial_table import TrialTable
from promptlab.store.home import home

from ..tables import comparison

KEY = RowKey(("prompt",), "c1", 0, {"model": "m", "temperature": 0.7})
OTHER = RowKey(("prompt",), "c2", 0, {"model": "m", "temperature": 0.7})


def marked(rows: Comparison) -> dict[int, Mark]:
    """The marks of a comparison's rows."""
    view = RowFilter(columns=(0,))
    return ComparisonSession(rows, view, "letters").marked()


def test_a_mark_is_there_when_they_are_read_again() -> None:
    Marks("letters").put(KEY, {"pinned": True})
    Marks("letters").put(KEY, {"kind": "star", "note": " look\nhere "})

    assert Marks("letters").of(KEY) == Mark(pinned=True, kind="star", note="look\nhere")
    assert not Marks("letters").of(OTHER)
    assert not Marks("numbers").of(KEY)


def test_the_last_change_counts_and_nothing_is_overwritten() -> None:
    kept = Marks("letters")
    kept.put(KEY, {"note": "first"})
    kept.put(KEY, {"note": ""})
    kept.put(KEY, {"note": "second"})

    assert Marks("letters").of(KEY).note == "second"
    lines = kept.history.lines()
    assert [line["note"] for line in lines] == ["first", "", "second"]


def test_a_row_of_a_larger_grid_keeps_what_was_marked_in_the_smaller_one() -> None:
    larger = RowKey(KEY.by, KEY.case, KEY.repeat, {**KEY.parameters, "top_p": 1})
    Marks("letters").put(KEY, {"pinned": True, "note": "look"})

    Marks("letters").put(larger, {"kind": "star"})

    marked = Mark(pinned=True, kind="star", note="look")
    assert Marks("letters").of(larger) == marked


def test_what_two_notebooks_mark_is_kept_of_both() -> None:
    one, two = Marks("letters"), Marks("letters")

    one.put(KEY, {"note": "mine"})
    two.put(KEY, {"pinned": True})
    one.refresh()

    assert one.of(KEY) == Mark(pinned=True, note="mine")


def mark_many(name: str, repeat: int) -> None:
    kept = Marks(name)
    for case in range(40):
        key = RowKey(("prompt",), str(case), repeat, {})
        kept.put(key, {"note": f"{case} {'x' * 5_000}"})


def test_processes_that_mark_at_once_lose_nothing() -> None:
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=mark_many, args=("letters", n)) for n in range(3)]

    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()

    assert len(marks("letters")) == 3 * 40


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "a/b", "ümlaut", "CON " * 20, "…", ".", "a" * 61]
)
def test_any_name_has_marks_and_no_file_of_its_own(name: str) -> None:
    Marks(name).put(KEY, {"pinned": True})

    assert marks(name)["experiment"].tolist() == [name]
    assert {path.name.split("-")[0] for path in home().iterdir()} == {
        *(".gitignore", "promptlab.sqlite"),
    }


def test_names_that_look_alike_have_marks_of_their_own() -> None:
    Marks("a b").put(KEY, {"pinned": True})

    assert not Marks("a-b").of(KEY)
    assert not Marks("a/b").of(KEY)


@pytest.mark.parametrize(
    "change", [{"kind": "evil"}, {"pinned": 1}, {"note": None}, {"colour": "red"}]
)
def test_what_is_no_mark_is_refused_and_leaves_no_line(
    change: dict[str, object],
) -> None:
    kept = Marks("letters")

    with pytest.raises(pl.SpecError, match="a mark cannot have"):
        kept.put(KEY, change)

    assert kept.history.lines() == []


def test_where_they_cannot_be_written_an_error_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("PROMPTLAB_HOME", str(tmp_path / "file" / "home"))

    with pytest.raises(pl.PromptlabError, match="cannot be used"):
        Marks("letters").put(KEY, {"pinned": True})


def test_where_they_cannot_be_read_a_warning_says_so() -> None:
    home().mkdir()
    (home() / "promptlab.sqlite").write_bytes(b"not a database" * 100)

    with pytest.warns(pl.PromptlabWarning, match="no marks: .* not a database"):
        kept = Marks("letters")

    assert not kept.of(KEY)


def test_a_larger_grid_finds_the_marks_of_a_smaller_one() -> None:
    small = Comparison.of(
        TrialTable.of(results(experiment(prompt={"p": "{{t}}", "q": "? {{t}}"})))
    )
    Marks("letters").put(small.key(1), {"note": "case 2"})
    grid = {"prompt": {"p": "{{t}}", "q": "? {{t}}"}, "temperature": [0, 1]}
    larger = Comparison.of(
        TrialTable.of(
            results(experiment([{"t": t} for t in "xyz"], **grid, repeats=2))
        ),
        "prompt",
    )

    found = marked(larger)

    assert [larger.key(row).case for row in found] == ["2", "2"]
    assert [larger.key(row).parameters["temperature"] for row in found] == [0, 1]
    assert all(larger.key(row).repeat == 0 for row in found)


def test_a_mark_of_the_larger_grid_counts_for_its_row_alone() -> None:
    kept = Marks("letters")
    old = RowKey(("prompt",), "c1", 0, {"model": "m"})
    kept.put(old, {"note": "old"})

    kept.put(KEY, {"pinned": True})

    assert kept.of(KEY) == Mark(pinned=True, note="old")
    warm = RowKey(("prompt",), "c1", 0, {"model": "m", "temperature": 1.0})
    assert kept.of(warm) == Mark(note="old")


def test_another_comparison_has_marks_of_its_own() -> None:
    Marks("letters").put(comparison(by="prompt").key(0), {"pinned": True})

    assert marked(comparison(by="prompt")) == {0: Mark(pinned=True)}
    assert marked(comparison(by="repeat")) == {}


def test_marks_are_a_table() -> None:
    Marks("letters").put(KEY, {"pinned": True, "note": "n"})
    Marks("letters").put(OTHER, {"kind": "star"})
    Marks("letters").put(OTHER, {"kind": None})
    Marks("other one").put(KEY, {"kind": "problem"})

    made = marks()

    assert list(made) == [
        *("experiment", "by", "case", "repeat", "parameters"),
        *("pinned", "mark", "note", "changed"),
    ]
    made = made.sort_values("experiment")
    assert made["experiment"].tolist() == ["letters", "other one"]
    assert made["parameters"].tolist() == ['{"model":"m","temperature":0.7}'] * 2
    assert made["mark"].isna().tolist() == [True, False]
    assert made["pinned"].tolist() == [True, False]
    now = pd.Timestamp.now("UTC")
    assert (now - made["changed"] < pd.Timedelta(minutes=5)).all()
    assert len(marks("letters")) == 1


def test_without_marks_the_table_is_empty_with_the_same_columns() -> None:
    made = marks()

    assert made.empty
    assert list(made)[:3] == ["experiment", "by", "case"]
    assert not home().exists()
