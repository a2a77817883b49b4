"""Two runs side by side."""

from __future__ import annotations

import pytest
from results.making import experiment, results

import promptlab as pl
from promptlab.errors import SpecError
from promptlab.notebook.compare.row_filter import RowFilter
from promptlab.scorers import scorer

from ..tables import TWO, table


def test_two_runs_stand_side_by_side_and_the_second_is_the_baseline() -> None:
    today = table(TWO, quality=[1, 1, 1, 0])
    before = table(TWO, quality=[0, 1, 1, 1])

    view = pl.compare(today, before)
    answer = view.answer({"kind": "open", "count": 5})
    asked = {"kind": "summary", "view": answer["opening"]["view"]}
    heads = [h["score"] for h in view.answer(asked)["headings"]]

    assert answer["opening"]["columns"] == ["first", "second"]
    assert answer["opening"]["view"]["baseline"] == 1
    assert [row["tags"] for row in answer["rows"][:2]] == [
        [["prompt", "plain"]],
        [["prompt", "steps"]],
    ]
    assert heads[0]["outcomes"][0] == ["won@0", "won", 1]
    assert heads[1]["delta"] is None


def test_runs_may_be_named_and_their_requests_can_be_read() -> None:
    grid = {"prompt": {"p": "{{t}}", "q": "? {{t}}"}}
    length = scorer(name="length")(lambda output: len(output))
    one = results(experiment(**grid), ["yes", "no", "yes", "no"]).score(length)
    other = results(experiment(**grid), ["maybe"] * 4)

    view = pl.compare({"today": one, "before": other})
    rows = view.answer({"kind": "open", "count": 5})["rows"]
    last = rows[-1]["outputs"][1]
    request = view.answer({"kind": "request", "trial": last["trial"]})["request"]

    assert list(view.table)[-2:] == ["today", "before"]
    assert last["text"] == "maybe"
    assert request["messages"][-1]["text"] == "maybe"
    assert rows[0]["outputs"][0]["scores"] == [["length: 3", "length"]]
    assert rows[0]["outputs"][1]["scores"] == []


def test_runs_of_different_cases_leave_gaps() -> None:
    later = table({("c3", "plain"): "new"})

    view = pl.compare({"a": table(TWO), "b": later})

    assert view.table["b"].isna().sum() == 4
    assert view.table["a"].isna().sum() == 1


@pytest.mark.parametrize(
    ("runs", "message"),
    [
        ({"a": table(TWO)}, "expected two runs or more, got 1"),
        ({}, "expected two runs or more, got 0"),
        (
            {"a": table(TWO, run=["x"] * 4), "b": table(TWO)},
            "has a column 'run' already",
        ),
        ({"a": table(TWO), "b": 7}, "expected Results, or a DataFrame"),
    ],
    ids=["one", "none", "taken", "wrong"],
)
def test_what_cannot_be_compared_is_refused(runs: object, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        pl.compare(runs)  # type: ignore[arg-type]


def test_a_view_of_runs_takes_any_baseline() -> None:
    view = pl.compare({"a": table(TWO), "b": table(TWO)}, baseline="a")

    opened = view.answer({"kind": "open", "count": 5})["opening"]["view"]
    assert opened == RowFilter(columns=(0, 1), baseline=0).to_plain()
