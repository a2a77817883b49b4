"""Views: filters, kinds of rows, and their order."""

from __future__ import annotations

from typing import Any

import pytest

import promptlab as pl
from promptlab.notebook.compare.comparison import Comparison
from promptlab.notebook.compare.marks import Mark
from promptlab.notebook.compare.row_filter import (
    EXPECTED,
    Field,
    RowFilter,
    fields,
    shown,
)

from ..tables import TWO, comparison, table, view


def rows(
    given: Comparison, marks: dict[int, Mark] | None = None, **more: Any
) -> list[int]:
    return shown(given, view(given, **more), marks).tolist()


MANY = table(
    {
        ("t1", "a"): "It is Billing.",
        ("t1", "b"): "billing",
        ("t2", "a"): None,
        ("t2", "b"): "shipping, 3 days",
        ("t10", "a"): "a.c",
        ("t10", "b"): "ABC ÜBER",
        ("t3", "a"): "the same",
        ("t3", "b"): "the same",
    },
    in_ticket=["money", "money", "parcel", "parcel", "x", "x", "y", "y"],
    expected={"t1": "billing", "t2": "shipping", "t10": "abc", "t3": "the same"},
    finish_reason=["stop", "stop", None, "length", *["stop"] * 4],
    latency_s=[1.0, 0.5, None, 2.0, 0.25, 4.0, 1.0, 1.0],
    error=[None, None, "429 slow down", *[None] * 5],
)
T1, T2, T10, T3 = range(4)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", [T1, T2, T10, T3]),
        ("   ", [T1, T2, T10, T3]),
        ("billing", [T1]),
        ("BILLING it", [T1]),
        ('"it is"', [T1]),
        ('"is it"', []),
        ("über", [T10]),
        ("a.c", [T10]),
        ("parcel", [T2]),
        ("money billing", [T1]),
        ("slow", [T2]),
        ("t10", [T10]),
        ("stop", []),
        ("(", []),
    ],
)
def test_every_word_must_be_in_the_row_as_it_is(text: str, found: list[int]) -> None:
    assert rows(comparison(MANY), text=text) == found


@pytest.mark.parametrize(
    ("field", "text", "found"),
    [
        ("trial:output", "same", [T3]),
        ("trial@0:output", "billing.", [T1]),
        ("trial@1:output", "billing.", []),
        ("row:ticket", "a", [T2]),
        ("row:case", "t1", [T1, T10]),
        ("row:expected", "ship", [T2]),
        ("trial:error", "429", [T2]),
        ("trial:finish_reason", "length", [T2]),
        ("trial:latency_s", "> 1.5", [T2, T10]),
        ("trial:latency_s", "<=0.25", [T10]),
        ("trial:latency_s", "0.5", [T1]),
        ("trial@0:latency_s", "0.5", []),
        ("row:repeat", "0", [T1, T2, T10, T3]),
        ("row:repeat", "!= 0", []),
        ("note:", "look", [T3]),
    ],
)
def test_a_field_can_be_looked_into(field: str, text: str, found: list[int]) -> None:
    marks = {T3: Mark(note="Look again")}

    assert rows(comparison(MANY), marks, field=field, text=text) == found


@pytest.mark.parametrize(
    "field", ["", "output", "row:nothing", "trial@9:output", "right:"]
)
def test_an_unknown_field_is_an_error(field: str) -> None:
    given = comparison(MANY)

    with pytest.raises(pl.SpecError, match="unknown field"):
        Field.of(given, field, ("row", "trial", "note"))


def test_a_number_is_not_looked_for_by_words() -> None:
    with pytest.raises(
        pl.SpecError, match="latency_s: expected a number or a comparison"
    ):
        rows(comparison(MANY), field="trial:latency_s", text="slow")


def test_every_field_that_is_offered_can_be_looked_into_and_sorted_by() -> None:
    given = comparison(MANY)

    for field, name in fields(given):
        assert name
        rows(given, field=field.id, text="1")
        if field.scope != "note":
            assert sorted(rows(given, sort=field.id)) == [T1, T2, T10, T3]


@pytest.mark.parametrize(
    ("kinds", "found"),
    [
        (["differs"], [T1, T2, T10]),
        (["failed"], [T2]),
        (["truncated"], [T2]),
        (["wrong"], [T1, T2, T10]),
        (["complete"], [T3, T1, T2, T10]),
        (["pinned"], [T3]),
        (["marked"], [T1]),
        (["differs", "failed"], [T2]),
        (["pinned", "failed"], []),
    ],
)
def test_rows_are_narrowed_down_to_kinds(kinds: list[str], found: list[int]) -> None:
    marks = {T3: Mark(pinned=True), T1: Mark(note="n")}

    assert rows(comparison(MANY), marks, only=frozenset(kinds)) == found


def test_rows_with_a_missing_trial_are_not_complete_and_do_not_differ_for_it() -> None:
    given = comparison({**TWO, ("c3", "plain"): "alone"})

    assert rows(given, only=frozenset(["complete"])) == [0, 1]
    assert rows(given, only=frozenset(["differs"])) == [0]


PARTIAL = table(
    {("c1", "a"): "x", ("c2", "a"): "x", ("c2", "b"): None},
    expected={"c1": "x", "c2": "x"},
    finish_reason=["stop", "stop", "length"],
    error=[None, None, "500: broken"],
    latency_s=[1.0, 1.0, 9.0],
)
"""Of case c1 no trial of `b`; the last trial of the table has every property."""


@pytest.mark.parametrize("kind", ["failed", "truncated"])
def test_a_missing_trial_does_not_take_the_properties_of_the_last(kind: str) -> None:
    given = comparison(PARTIAL)

    assert rows(given, only=frozenset([kind])) == [1]


@pytest.mark.parametrize(
    ("field", "text"),
    [("trial:latency_s", "> 5"), ("trial@1:latency_s", "> 5"), ("trial:error", "500")],
)
def test_a_missing_trial_is_not_found_by_the_values_of_the_last(
    field: str, text: str
) -> None:
    assert rows(comparison(PARTIAL), field=field, text=text) == [1]


def test_a_failed_trial_is_failed_and_not_wrong() -> None:
    given = comparison(PARTIAL)

    assert rows(given, only=frozenset(["wrong"])) == []
    assert rows(given, only=frozenset(["failed"])) == [1]


def test_a_row_with_an_error_and_an_output_is_failed() -> None:
    made = table(TWO, error=[None, "cut short", None, None])
    given = comparison(made)

    assert given.failed.tolist() == [False, True, False, False]
    assert rows(given, only=frozenset(["failed"])) == [0]


def test_only_the_columns_that_are_shown_count() -> None:
    outputs = {("c", "a"): "x", ("c", "b"): "x", ("c", "d"): "y"}
    given = comparison(outputs)

    assert rows(given, columns=(0, 1), only=frozenset(["differs"])) == []
    assert rows(given, columns=(1, 2), baseline=1, only=frozenset(["differs"])) == [0]
    assert rows(given, columns=(0,), text="y") == []


def test_with_the_expected_as_baseline_rows_differ_from_that() -> None:
    only = frozenset(["differs"])

    found = rows(comparison(MANY), baseline=EXPECTED, only=only)

    assert found == [T1, T2, T10]


@pytest.mark.parametrize(
    ("sort", "order"),
    [
        ("", [T1, T2, T10, T3]),
        ("row:case", [T1, T2, T3, T10]),
        ("row:ticket", [T1, T2, T10, T3]),
        ("trial@0:latency_s", [T10, T1, T3, T2]),
        ("trial@1:output", [T1, T10, T3, T2]),
        ("right@1:", [T2, T10, T1, T3]),
        ("different", [T1, T2, T10, T3]),
    ],
)
def test_rows_are_sorted_stably_with_missing_values_last(
    sort: str, order: list[int]
) -> None:
    assert rows(comparison(MANY), sort=sort) == order


def test_a_descending_order_keeps_missing_values_last() -> None:
    given = comparison(MANY)

    assert rows(given, sort="trial@0:latency_s", descending=True) == [T1, T3, T10, T2]
    assert rows(given, descending=True) == [T3, T10, T2, T1]


def test_rows_with_the_most_different_outputs_come_first() -> None:
    outputs = {
        (c, p): t
        for c, ts in {"x": "aab", "y": "aaa", "z": "abc"}.items()
        for p, t in zip("123", ts, strict=True)
    }

    assert rows(comparison(outputs), sort="different") == [2, 0, 1]


def test_pinned_rows_come_first_whatever_the_order() -> None:
    marks = {T3: Mark(pinned=True), T10: Mark(pinned=True)}

    assert rows(comparison(MANY), marks) == [T10, T3, T1, T2]
    assert rows(comparison(MANY), marks, sort="row:case") == [T3, T10, T1, T2]
    assert rows(comparison(MANY), marks, text="billing") == [T1]


def test_a_view_takes_what_a_front_end_may_ask_and_leaves_out_the_rest() -> None:
    asked = {
        "columns": [1, 7, 0, 1, -1],
        "only": ["differs", "evil"],
        "text": "x" * 9_999,
        "sort": None,
        "unknown": 1,
    }

    made = RowFilter.of(comparison(TWO), asked)

    assert made.columns == (1, 0)
    assert made.only == {"differs"}
    assert len(made.text) == 500


@pytest.mark.parametrize(
    "asked", [{}, {"columns": None}, {"columns": ["x"]}, {"columns": [0], "only": 1}]
)
def test_what_is_no_view_is_an_error(asked: dict[str, Any]) -> None:
    with pytest.raises(pl.SpecError, match="not a valid view"):
        RowFilter.of(comparison(TWO), asked)


def test_half_a_character_is_not_looked_for() -> None:
    made = RowFilter.of(comparison(TWO), {"columns": [0], "text": "y\ud83d"})

    assert shown(comparison(TWO), made).tolist() == [0]


def test_a_missing_trial_is_sorted_last_not_by_the_value_of_the_last() -> None:
    given = comparison(PARTIAL)

    assert rows(given, sort="trial@1:latency_s", descending=True) == [1, 0]


def test_what_has_no_number_is_not_one_that_differs() -> None:
    latency_s = [None if s is None else float(s) for s in (1, None, None, 2)]
    given = comparison(TWO, latency_s=latency_s)

    assert rows(given, field="trial@0:latency_s", text="!= 5") == [0]


FIELDED = table(
    {("t1", "a"): "billing", ("t2", "a"): "sales team", ("t3", "a"): "see 10:30"},
    expected={"t1": "billing", "t2": "billing", "t3": "http://x.test"},
    in_ticket=["two words", "words two", "-5 degrees"],
    output_tokens=[1, 5, 9],
    quality=[0.2, 0.5, None],
)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("expected:billing", [0, 1]),
        ("EXPECTED:Billing -output:sales", [0]),
        ('ticket:"two words"', [0]),
        ('-ticket:"two words"', [1, 2]),
        ("quality<0.5", [0]),
        ("score>=0.5", [0]),
        ("quality!=0.5", [0]),
        ("-quality>0.3", [0, 2]),
        ("output_tokens:5", [1]),
        ("expected!=billing", [2]),
        ("case=t3", [2]),
        ("-sales", [0, 2]),
        ("10:30", [2]),
        ("http://x.test", [2]),
        ("-5", [2]),
        ("nonsense:billing", []),
        ("a<b", []),
        ("words expected:billing sales", [1]),
    ],
)
def test_words_may_name_their_field(text: str, found: list[int]) -> None:
    assert rows(comparison(FIELDED), text=text) == found


def test_score_is_the_one_in_the_headings() -> None:
    assert rows(comparison(FIELDED), text="score>=0.5", score="quality") == [1]


def test_a_named_field_of_numbers_wants_a_number() -> None:
    with pytest.raises(pl.SpecError, match="expected a number or a comparison such as"):
        rows(comparison(FIELDED), text="quality:high")


@pytest.mark.parametrize("text", ["-", ":", '"', "a:", "<" * 500, "-" * 500, ":" * 500])
def test_any_text_can_be_searched_for(text: str) -> None:
    rows(comparison(FIELDED), text=text)
