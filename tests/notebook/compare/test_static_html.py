"""The static table: escaped, bounded, readable without styles."""

from __future__ import annotations

import orjson
import pytest
from results.making import FAILURE, experiment, results
from seen import Seen

import promptlab as pl
from promptlab.notebook.compare.comparison import Comparison
from promptlab.notebook.compare.static_html import LARGEST, static_html
from promptlab.notebook.trial_table import TrialTable

from ..tables import TWO, comparison, live, table

HOSTILE = [
    "<img src=x onerror=alert(1)>",
    "</pre></td></table><script>alert(1)</script>",
    "'\" onmouseover='alert(1)",
    "&lt;b&gt;",
    "<style>@import 'http://evil.example'</style>",
    "]]><!--",
    "[x](javascript:alert(1))",
]


PLAIN = {
    "div",
    "p",
    "b",
    "i",
    "br",
    "span",
    "table",
    "thead",
    "tbody",
    "tr",
    "th",
    "td",
}


@pytest.mark.parametrize("text", HOSTILE)
def test_every_text_is_shown_and_none_is_markup(text: str) -> None:
    made = table(
        {(text, text): text, (text, "b"): None},
        in_field=[text, text],
        expected={text: text},
        error=[None, text],
        temperature=[1, 2],
    ).rename(columns={"field": text})
    given = live(comparison(made, by="prompt"))
    given.answer({"kind": "mark", "row": 0, "change": {"note": text}})

    seen = Seen(static_html(given))

    assert seen.tags <= PLAIN
    assert seen.attributes <= {"style", "class"}
    assert seen.text.count(text) >= 7


def test_right_to_left_text_does_not_reorder_what_is_beside_it() -> None:
    made = table({("\u05d0", "a"): "\u202eevil\u2069", ("\u05d0", "b"): "good"})

    html = static_html(live(comparison(made, by="prompt")))

    assert "<span dir='auto'>\u05d0</span>" in html
    assert "<span dir='auto'>\u202eevil\ufffd</span>" in html
    assert html.count("<span dir=") == 2


def test_it_says_how_much_it_shows_and_what_the_rest_needs() -> None:
    given = live(comparison({(f"c{i}", p): "x" for i in range(300) for p in "ab"}))

    text = Seen(static_html(given)).text

    assert "20 of 300 rows; the live view needs a kernel" in text
    assert "c19" in text
    assert "c20" not in text


def test_it_shows_what_is_looked_at() -> None:
    given = live(comparison(), only=frozenset(["differs"]))

    text = Seen(static_html(given)).text

    assert "1 of 2 rows, 1 as filtered" in text
    assert "yes, it was" in text
    assert "c2" not in text


@pytest.mark.parametrize(
    "character", ["x", "\n", '"', "<", "é", "漢", "🎉", "\t", " ", "\x00", "\\"]
)
def test_its_size_has_a_bound_whatever_it_holds(character: str) -> None:
    long = character * 50_000
    outputs = {(f"{long}{i}", f"{p}{long}"): long for i in range(50) for p in "abcdef"}
    made = table(outputs, in_one=[long] * 300, in_two=[long] * 300, error=[long] * 300)
    given = live(comparison(made))

    html = static_html(given)

    assert len(orjson.dumps(html)) < LARGEST + 1_000
    assert len(Seen(html).tags) > 5, "at least a row"


def test_line_ends_and_spaces_are_kept_without_styles() -> None:
    given = live(comparison({("c", "a"): "def f():\n    return  1\r\n\tx"}))

    html = static_html(given)

    assert "def f():<br>&nbsp;&nbsp;&nbsp;&nbsp;return&nbsp; 1<br>&nbsp;" in html
    assert "\n" not in html


def test_failed_missing_empty_and_cut_outputs_are_shown_as_such() -> None:
    run = results(
        experiment(prompt={"p": "{{t}}", "q": "?"}), [FAILURE, "", "x" * 999, None]
    )

    text = Seen(static_html(live(Comparison.of(TrialTable.of(run))))).text

    for told in ("failed: 429", "empty", "and 399 characters more", "no trial"):
        assert told in text


def test_calls_refusals_and_withheld_answers_are_noted_beside_the_output() -> None:
    calls = '[{"type": "function", "function": {"name": "<weather>"}}]'
    given = table(
        {("c1", "plain"): "Look.", ("c1", "steps"): "No.", ("c2", "plain"): " \n"},
        tool_calls=[calls, None, None],
        refusal=[None, "No.", None],
        finish_reason=["tool_calls", "stop", "content_filter"],
    )

    seen = Seen(static_html(live(comparison(given))))

    assert "calls <weather>" in seen.text
    for told in ("refused", "withheld", "empty"):
        assert told in seen.text


def test_columns_of_other_tables_that_are_no_calls_are_borne() -> None:
    given = table(TWO, tool_calls=["none", 5, None, '"f"'], finish_reason=[1, 2, 3, 4])

    assert "calls a tool" in Seen(static_html(live(comparison(given)))).text


def test_pinned_rows_and_marks_are_shown() -> None:
    given = live(comparison())
    change = {"pinned": True, "kind": "star", "note": "here"}
    given.answer({"kind": "mark", "row": 1, "change": change})

    text = Seen(static_html(given)).text

    assert text.index("c2 pinned ★") < text.index("c1")
    assert "note: here" in text


def test_inputs_are_shown_once_for_each_case() -> None:
    made = table(TWO, repeats=2, in_text=["ask 1"] * 4 + ["ask 2"] * 4)

    text = Seen(static_html(live(comparison(made)))).text

    assert text.count("ask 1") == text.count("ask 2") == 1
    assert text.count("repeat 1") == 2


def test_answers_in_json_are_shown_indented() -> None:
    rows = [{"q": "?", "output": '{"label":"<b>"}', "expected": {"n": 1}}]

    shown = pl.compare(pl.Results.from_table(rows))._repr_html_()

    assert "{<br>&nbsp;&nbsp;&quot;label&quot;: &quot;&lt;b&gt;&quot;<br>}" in shown
    assert "{<br>&nbsp;&nbsp;&quot;n&quot;: 1<br>}" in shown
