"""Compare: the function, its widget and its pager, without a browser."""

from __future__ import annotations

import html
from pathlib import Path
from typing import Any

import ipywidgets
import numpy as np
import orjson
import pandas as pd
import pytest
from IPython.core.interactiveshell import InteractiveShell
from ipywidgets.widgets.widget import _instances
from results.making import experiment, results

import promptlab as pl
from promptlab.notebook.compare.compare import compare
from promptlab.notebook.compare.marks import marks
from promptlab.notebook.compare.pager import ComparisonPager
from promptlab.notebook.compare.widget import ComparisonWidget

from ..tables import TWO, table

VIEW_TYPE = "application/vnd.jupyter.widget-view+json"


def opened(widget: Any) -> dict[str, Any]:
    answer: dict[str, Any] = widget.answer({"kind": "open", "count": 25})
    return answer


def large(rows: int) -> pd.DataFrame:
    """So many cases of four outputs of 1 KB."""
    numbers = np.arange(rows * 4).astype(str)
    return pd.DataFrame(
        {
            "trial": np.arange(rows * 4),
            "model": np.tile(["a", "b", "c", "d"], rows),
            "case": np.repeat(np.arange(rows).astype(str), 4),
            "repeat": 0,
            "output": pd.Series(np.char.add(numbers, " word" * 200), dtype="str"),
        }
    )


def test_results_and_tables_are_compared() -> None:
    run = results(experiment(prompt={"p": "{{t}}", "q": "? {{t}}"}))

    assert repr(compare(run)) == "Comparison(2 rows × 2)"
    assert repr(compare(run.table, by="prompt")) == "Comparison(2 rows × 2)"
    assert opened(compare(run))["opening"]["name"] == "letters"
    assert opened(compare(run, name="mine"))["opening"]["name"] == "mine"


def test_the_first_column_is_the_baseline_unless_another_is_named() -> None:
    made = table(TWO, expected={"c1": "yes"})

    def baseline(given: Any) -> Any:
        return opened(compare(made, "prompt", baseline=given))["opening"]["view"][
            "baseline"
        ]

    assert (baseline(None), baseline("steps"), baseline("expected")) == (0, 1, -1)
    with pytest.raises(pl.SpecError, match="no column 'stebs'"):
        baseline("stebs")


def test_without_expected_it_cannot_be_the_baseline() -> None:
    with pytest.raises(pl.SpecError, match="no expected outputs"):
        compare(table(TWO), "prompt", baseline="expected")


def test_one_column_is_shown_without_a_baseline() -> None:
    widget = compare(table({("c", "a"): "x"}), "prompt")

    answer = opened(widget)
    view = answer["opening"]["view"]
    assert (view["columns"], view["baseline"]) == ([0], None)
    assert answer["rows"][0]["outputs"][0]["same"] is None


def test_of_many_columns_six_are_shown_and_all_are_offered() -> None:
    made = table({("c", f"p{i}"): "x" for i in range(8)})

    opening = opened(compare(made, "prompt"))["opening"]
    chosen = opened(compare(made, "prompt", columns=["p7", "p1"]))["opening"]

    assert opening["view"]["columns"] == [0, 1, 2, 3, 4, 5]
    assert len(opening["columns"]) == 8
    assert (chosen["view"]["columns"], chosen["view"]["baseline"]) == ([7, 1], 7)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"columns": [f"p{i}" for i in range(7)]}, "expected at most 6, got 7"),
        ({"columns": []}, "expected at most 6, got 0"),
        ({"columns": "p1"}, "columns: expected a list of labels"),
        ({"columns": ["p9"]}, "no column 'p9'"),
        ({"engine": "ipywidget"}, "did you mean 'ipywidgets'"),
        ({"score": "nothing"}, "score: the table has no column"),
    ],
)
def test_what_cannot_be_shown_is_an_error(options: dict[str, Any], said: str) -> None:
    made = table({("c", f"p{i}"): "x" for i in range(8)})

    with pytest.raises(pl.SpecError, match=said):
        compare(made, "prompt", **options)


def test_what_is_no_table_is_an_error() -> None:
    with pytest.raises(pl.SpecError, match="expected Results, or a DataFrame"):
        compare([{"output": "x"}])  # type: ignore[arg-type]


def test_the_state_of_the_widget_does_not_grow_with_the_table() -> None:
    def size(rows: int) -> int:
        state = compare(large(rows), "model").get_state()
        return len(orjson.dumps(state, default=str))

    assert size(10) == size(2_000) < 120_000


def test_a_comparison_is_two_widget_models() -> None:
    before = set(_instances)

    compare(large(50), "model")

    assert len(set(_instances) - before) <= 2


def test_a_first_page_is_small_however_large_the_table_is() -> None:
    sizes = [
        len(orjson.dumps(opened(compare(large(n), "model")))) for n in (200, 2_000)
    ]

    assert abs(sizes[0] - sizes[1]) < 1_000
    assert max(sizes) < 250_000


def test_to_open_a_comparison_less_than_half_a_megabyte_is_sent() -> None:
    widget = compare(large(2_000), "model")
    summary = {"kind": "summary", "view": {"columns": [0, 1, 2, 3], "baseline": 0}}

    sent = [
        widget.get_state(),
        widget._repr_mimebundle_()[0],
        opened(widget),
        widget.answer(summary),
    ]

    assert sum(len(orjson.dumps(part, default=str)) for part in sent) < 400_000


@pytest.mark.parametrize("text", ["word ", "\\", "<", "漢"])
def test_a_saved_notebook_grows_by_a_bounded_amount(text: str) -> None:
    made = large(2_000).assign(output=text * 250)
    widget = compare(made, "model")

    bundle, _ = widget._repr_mimebundle_()

    assert VIEW_TYPE in bundle
    assert bundle["text/plain"] == "Comparison(2,000 rows × 4)"
    assert "of 2,000 rows" in bundle["text/html"]
    with_state = (bundle, widget.get_state())  # as nbconvert saves it
    assert len(orjson.dumps(with_state, default=str)) < 200_000


def test_shown_in_a_notebook_it_leaves_a_table_that_the_widget_can_hide(
    capsys: pytest.CaptureFixture[str],
) -> None:
    shell = InteractiveShell.instance()
    published: list[dict[str, Any]] = []
    shell.display_pub.publish = lambda data, **_: published.append(data)  # type: ignore[method-assign]
    try:
        widget = compare(table(TWO), "prompt")
        widget._ipython_display_()
    finally:
        InteractiveShell.clear_instance()

    view, static = published
    assert VIEW_TYPE in view
    assert "text/html" not in view
    assert list(static) == ["text/html"]
    assert static["text/html"].startswith(f"<div class='{widget.hides}'><div class=")


def test_the_front_end_is_shipped_whole_and_asks_nobody() -> None:
    folder = Path(pl.__file__).parent / "notebook"
    scripts = [*folder.glob("compare/*.js"), *folder.glob("widgets/*.js")]
    script = "".join(file.read_text("utf-8") for file in scripts)
    style = (folder / "compare" / "compare.css").read_text("utf-8")

    assert "innerHTML" not in script.replace("nothing here sets innerHTML", "")
    for word in ("import ", "fetch(", "XMLHttpRequest", "http://", "https://", "eval("):
        assert word not in script.replace("http://www.w3.org/2000/svg", ""), word
    assert "url(" not in style
    assert "@import" not in style
    assert len(script.encode()) + len(style.encode()) < 110_000


def test_the_widget_gives_its_table_and_marks() -> None:
    widget = compare(table(TWO), "prompt", name="letters")
    assert isinstance(widget, ComparisonWidget)
    widget.answer({"kind": "mark", "row": 0, "change": {"kind": "star"}})

    assert widget.table["steps"].tolist() == ["yes, it was", "no"]
    assert widget.marks["mark"].tolist() == ["star"]
    assert marks("letters")["case"].tolist() == ["c1"]


def pager(made: pd.DataFrame) -> ComparisonPager:
    widget = compare(made, "prompt", engine="ipywidgets", name="letters")
    assert isinstance(widget, ComparisonPager)
    return widget


def find(pager: ComparisonPager, kind: type, number: int = 0) -> Any:
    """A control of the pager, as a user sees them from left to right."""
    parts: list[Any] = []
    waiting = list(pager.children)
    while waiting:
        part = waiting.pop(0)
        waiting = [*getattr(part, "children", ()), *waiting]
        parts += [part] if type(part) is kind else []
    return parts[number]


def test_the_pager_turns_pages() -> None:
    made = table({(f"c{i:02}", p): f"{p}{i:02}" for i in range(25) for p in "ab"})
    given = pager(made)
    page = find(given, ipywidgets.HTML, 2)

    assert "a00" in page.value
    assert "a10" not in page.value
    find(given, ipywidgets.Button, 1).click()
    assert "a10" in page.value
    find(given, ipywidgets.BoundedIntText).value = 25
    assert "a24" in page.value
    assert find(given, ipywidgets.Button, 1).disabled
    find(given, ipywidgets.Button, 0).click()
    assert "a10" in page.value
    assert repr(given) == "Comparison(25 rows × 2)"


def test_the_pager_filters() -> None:
    given = pager(table(TWO, latency_s=[1.0, 2.0, 3.0, 4.0]))
    text, told = find(given, ipywidgets.Text), find(given, ipywidgets.HTML, 1)
    where, only = (find(given, ipywidgets.Dropdown, n) for n in (0, 1))

    only.value = "differs"
    assert given.table["case"].tolist() == ["c1"]
    only.value, text.value = "", "no"
    assert given.table["case"].tolist() == ["c2"]
    assert "1 of 2 rows" in told.value
    where.value = "trial:latency_s"
    assert "expected a number" in told.value
    text.value = "> 3.5"
    assert given.table["case"].tolist() == ["c2"]


def test_the_pager_uses_its_widgets_again() -> None:
    given = pager(table({(f"c{i}", p): "x" for i in range(99) for p in "ab"}))
    before = set(_instances)

    for row in range(0, 99, 10):
        given.turn(row)

    assert set(_instances) == before


def test_the_pager_shows_texts_as_text() -> None:
    hostile = "<img src=x onerror=alert(1)>"
    given = pager(table({(hostile, hostile): hostile}, error=[hostile]))

    page = find(given, ipywidgets.HTML, 2).value
    assert "<img" not in page
    assert html.escape(hostile) in page
    bundle = given._repr_mimebundle_()
    assert VIEW_TYPE in bundle
    assert "<img" not in bundle["text/html"]
