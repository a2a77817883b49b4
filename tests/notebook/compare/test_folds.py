"""Repeats of a case, folded into one row."""

from __future__ import annotations

from typing import Any

import promptlab as pl

from ..tables import comparison, live, table

HOSTILE = "</script>|`=cmd()\x1b[31m"


def asked(outputs: list[Any], scores: list[Any] | None = None) -> Any:
    """A case c1 that was asked so often of each of two prompts, and a case c2."""
    half = len(outputs) // 2
    keys = {(c, p): "" for c in ("c1", "c2") for p in ("plain", "steps")}
    made = table(keys, repeats=half)
    made["output"] = [*outputs, *["same"] * len(outputs)]
    if scores:
        made["quality"] = [*scores, *[1.0] * len(outputs)]
    return made


FOUR = asked(
    ["billing", "billing", "sales", "billing", "a", "b", "c", None],
    [1, 1, 0, 1, 0, 0, 0, 0],
)


def opened(view: Any, **changes: Any) -> dict[str, Any]:
    first = view.answer({"kind": "open", "count": 25})
    asked = {**first["opening"]["view"], **changes}
    answer: dict[str, Any] = view.answer(
        {"kind": "page", "view": asked, "start": 0, "count": 25}
    )
    return answer


def test_repeats_are_one_row_that_says_what_each_answered() -> None:
    first, second = opened(pl.compare(FOUR, "prompt"))["rows"]

    assert [row["case"] for row in (first, second)] == ["c1", "c2"]
    assert first["fold"] == {"number": 0, "rows": 4, "open": False}
    plain, steps = first["outputs"]
    assert plain["repeats"] == "3 × billing, 1 × sales"
    assert steps["repeats"] == "1 × a, 1 × b, 1 × c, 1 × failed"
    assert second["outputs"][0]["repeats"] == "4 × the same"
    assert plain["scores"] == [["quality 75% of 4", "mean quality of 4 repeats"]]


def test_an_opened_fold_shows_each_repeat_and_all_can_be_unfolded() -> None:
    view = pl.compare(FOUR, "prompt")

    some = opened(view, opened=[0])
    everything = opened(view, folded=False)

    assert [row["tags"] for row in some["rows"][:4]] == [
        [["repeat", str(n)]] for n in range(4)
    ]
    assert (some["total"], everything["total"]) == (5, 8)
    assert "repeats" not in some["rows"][0]["outputs"][0]
    assert everything["rows"][0]["fold"] is None


def test_a_filter_finds_a_fold_by_any_of_its_repeats() -> None:
    view = pl.compare(FOUR, "prompt")

    (found,) = opened(view, text="sales")["rows"]

    assert found["outputs"][0]["text"] == "sales"
    assert found["outputs"][0]["repeats"] == "3 × billing, 1 × sales"
    assert len(view.table) == 1


def test_the_table_and_the_pager_have_every_repeat() -> None:
    assert len(pl.compare(FOUR, "prompt").table) == 8
    assert "1 to" not in repr(pl.compare(FOUR, "prompt", engine="ipywidgets"))
    assert len(pl.compare(FOUR, "prompt", engine="ipywidgets").table) == 8


def test_the_static_view_is_folded_and_safe() -> None:
    view = pl.compare(
        asked([HOSTILE, HOSTILE, "x" * 9_000, HOSTILE, *["y"] * 4]), "prompt"
    )

    html = view._repr_html_()

    assert "2 of 8 rows, 2 with repeats folded" in html
    assert "4 repeats" in html
    assert "3 × &lt;/script&gt;" in html
    assert "</script>" not in html
    assert len(html) < 20_000


def test_without_repeats_or_with_them_as_columns_nothing_is_folded() -> None:
    assert comparison().folds is None
    assert comparison(FOUR, by="repeat").folds is None
    assert live(comparison(FOUR)).view.folded is False


def test_kinds_are_counted_by_fold() -> None:
    view = pl.compare(FOUR, "prompt")
    asked = view.answer({"kind": "open", "count": 5})["opening"]["view"]

    folded = view.answer({"kind": "summary", "view": asked})["counts"]
    each = view.answer({"kind": "summary", "view": {**asked, "folded": False}})

    assert (folded["differs"], each["counts"]["differs"]) == (1, 4)
    assert folded["failed"] == 1
