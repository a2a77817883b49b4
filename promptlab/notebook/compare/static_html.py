"""The comparison as plain HTML: what a saved notebook shows without a kernel.

It is a table that needs neither script nor style sheet: where styles are taken away, as
on GitHub, line ends and spaces are kept. Every string is escaped. The size has a bound,
whatever the table holds.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import orjson
import pandas as pd

from promptlab.formats import counted, shortened
from promptlab.notebook.compare.comparison_session import ComparisonSession
from promptlab.notebook.compare.row_filter import kind_words, narrowed
from promptlab.notebook.compare.rows_json import headings, page, verdicts, wrong
from promptlab.render.markup import isolated, kept_inside

ROWS = 20
LARGEST = 80_000
"""Bytes of all of it as a notebook's file holds it, which is JSON."""

OUTPUT = 600
INPUT = 160
INPUTS = 2
LABEL = 80
"""Characters of an output, an input and a label, and how many inputs."""

MARKS = {"star": "★", "problem": "!", "question": "?"}

TABLE = "border-collapse:collapse;font-size:12px;line-height:1.45"
CELL = (
    "text-align:left;vertical-align:top;padding:6px 10px;min-width:8em;max-width:26em;"
    "overflow-wrap:anywhere;border:1px solid rgba(128,128,128,.3)"
)
QUIET = "opacity:.7"


class ComparisonView:
    """What the widget and the pager have in common: a session, and how it is seen
    elsewhere."""

    _session: ComparisonSession

    @property
    def table(self) -> pd.DataFrame:
        """The rows that are shown, filtered and sorted: a column for each output."""
        return self._session.table

    @property
    def marks(self) -> pd.DataFrame:
        """The rows of this experiment that were pinned, marked or noted."""
        return self._session.marks

    def __repr__(self) -> str:
        return repr(self._session.comparison)

    def _repr_html_(self) -> str:
        return static_html(self._session)


def static_html(session: ComparisonSession) -> str:
    """The first rows of a comparison, as many as fit."""
    rows = session.rows(session.view)
    table, shown = _table(session, rows[:ROWS], OUTPUT, LARGEST)
    # JupyterLab would typeset what is between two dollar signs.
    caption = _caption(session, shown, len(rows))
    return f"<div class='mathjax_ignore'>{caption}{table}</div>"


def rows_html(session: ComparisonSession, rows: np.ndarray, output: int) -> str:
    """Some rows as a table, with so many characters of each output."""
    return _table(session, rows, output)[0]


def _table(
    session: ComparisonSession,
    rows: np.ndarray,
    output: int,
    largest: int | None = None,
) -> tuple[str, int]:
    """Rows as a table of at most so many bytes, and how many it holds."""
    comparison, view = session.comparison, session.view
    marks = session.marked()
    heads = headings(comparison, view, narrowed(comparison, view, marks))
    head = "".join(_heading(heading, view.baseline) for heading in heads)
    by = _escaped(", ".join(comparison.by), LABEL) + " →"
    if (score := view.score_of(comparison)) is not None:
        by += f"<br><span style='font-weight:normal'>{_escaped(score, LABEL)}</span>"
    start = (
        f"<table style='{TABLE}'><thead><tr><th style='{CELL}'>{by}</th>{head}"
        "</tr></thead><tbody>"
    )
    body: list[str] = []
    size = _size(start)
    before: dict[str, Any] = {}
    words = verdicts(comparison)
    for row in page(comparison, view, rows, marks, output):
        text = _row(row, output, words, again=row["case"] == before.get("case"))
        before = row
        size += _size(text)
        if largest is not None and size > largest:
            break
        body.append(text)
    return f"{start}{''.join(body)}</tbody></table>", len(body)


def _size(text: str) -> int:
    """The bytes of a string within JSON."""
    return len(orjson.dumps(text)) - 2


def _caption(session: ComparisonSession, shown: int, filtered: int) -> str:
    comparison = session.comparison
    all_rows = counted(len(comparison), "row")
    parts = [
        all_rows if shown == len(comparison) else f"{shown:,} of {all_rows}",
        *([f"{filtered:,}{_why_fewer(session)}"] * (filtered < len(comparison))),
    ]
    hidden = len(comparison.columns) - len(session.view.columns)
    if hidden:
        parts.append(
            f"{len(session.view.columns)} of {len(comparison.columns)} columns"
        )
    return (
        f"<p style='{QUIET}'><b>{html.escape(', '.join(parts))}</b>; "
        "the live view needs a kernel: run this cell again to filter and mark.</p>"
    )


def _why_fewer(session: ComparisonSession) -> str:
    """Why fewer rows than there are pass the view."""
    view = session.view
    folded = " with repeats folded" * view.folded
    filtered = f" as filtered{_filter(session)}" if view.only or view.text else ""
    return filtered + folded


def _filter(session: ComparisonSession) -> str:
    view, words = session.view, wrong(session.comparison)
    kinds = [
        words[0] if kind == "wrong" else kind_words(session.comparison, kind)
        for kind in sorted(view.only)
    ]
    parts = [*([repr(view.text)] if view.text.strip() else []), *kinds]
    return f" ({', '.join(parts)})" if parts else ""


def _heading(heading: dict[str, Any], baseline: int | None) -> str:
    labels = " · ".join(_escaped(value, LABEL) for _, value in heading["labels"])
    also = "".join(
        f"<br>{_escaped(name, LABEL)} {_escaped(value, LABEL)}"
        for name, value in heading["also"]
    )
    facts = " · ".join(_escaped(fact["text"], LABEL) for fact in heading["facts"])
    score = "".join(f"<br>{line}" for line in _score_lines(heading["score"]))
    base = " <i>(baseline)</i>" if heading["column"] == baseline else ""
    return (
        f"<th style='{CELL}'>{labels}{base}{score}"
        f"<span style='font-weight:normal;{QUIET}'>{also}<br>{facts}</span></th>"
    )


def _score_lines(score: Mapping[str, Any] | None) -> Iterator[str]:
    """How a column stands: its score, and against the baseline."""
    if score is None:
        return
    yield score["text"]
    told = " · ".join(f"{count:,} {kind}" for _, kind, count in score["outcomes"])
    for line in filter(None, (score["delta"], told)):
        yield f"<span style='font-weight:normal'>{line}</span>"


def _row(
    row: dict[str, Any], length: int, words: Mapping[str, str], *, again: bool
) -> str:
    """A row; without its inputs if it is of the same case as the one before."""
    outputs = "".join(
        f"<td style='{CELL}'>{_output(output, length, words)}</td>"
        for output in row["outputs"]
    )
    head = "<br>".join(_head(row, again))
    return f"<tr><th style='{CELL};font-weight:normal'>{head}</th>{outputs}</tr>"


def _head(row: dict[str, Any], again: bool) -> Iterator[str]:
    mark = row["mark"]
    signs = ["pinned"] * mark["pinned"] + [MARKS[k] for k in [mark["kind"]] if k]
    case = f"<b>{_escaped(row['case'] or '', LABEL)}</b>"
    yield " ".join([case, *signs])
    told = [f"{_escaped(n, LABEL)} {_escaped(v, LABEL)}" for n, v in row["tags"]]
    if (fold := row["fold"]) and not fold["open"]:
        told = [*told[:-1], counted(fold["rows"], "repeat")]  # not which of them
    if told:
        yield " · ".join(told)
    for name, text, _ in () if again else row["inputs"][:INPUTS]:
        yield (
            f"<span style='{QUIET}'>{_escaped(name, LABEL)}: "
            f"{_escaped(text, INPUT)}</span>"
        )
    if row["expected"] is not None:
        yield f"expected: <b>{_escaped(row['expected'][0], INPUT)}</b>"
    if mark["note"]:
        yield f"note: <i>{_escaped(mark['note'], INPUT)}</i>"


def _output(
    output: dict[str, Any] | None, length: int, words: Mapping[str, str]
) -> str:
    if output is None:
        return f"<span style='{QUIET}'>no trial</span>"
    if output["text"] is None:
        return f"<b>failed</b>: {_escaped(output['error'] or 'no output', OUTPUT)}"
    text = f"<i style='{QUIET}'>empty</i>"
    if output["text"].strip():
        text = _escaped(output["text"], length)
    rest = output["length"] - length
    if rest > 0:
        text += f" <i style='{QUIET}'>(and {counted(rest, 'character')} more)</i>"
    said = [*output["scores"], *output["facts"]]
    facts = [_escaped(fact, LABEL) for fact, _ in said]
    if "repeats" in output:
        text += f"<br>{_escaped(output['repeats'], INPUT)}"
    facts = [*(_escaped(note, LABEL) for _, note, _ in output["notes"]), *facts]
    if output["verdict"]:
        facts.insert(0, _escaped(words[output["verdict"]], LABEL))
    return f"{text}<br><span style='{QUIET}'>{' · '.join(facts)}</span>"


def _escaped(text: str, length: int) -> str:
    """A string as HTML that shows it as it is, with its line ends and spaces."""
    cut = shortened(text, length)
    lines = re.split(r"\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]", cut)
    kept = (CONTROL.sub("\ufffd", kept_inside(line)) for line in lines)
    safe = (html.escape(line, quote=True) for line in kept)
    return isolated(cut, "<br>".join(SPACES.sub(_kept, line) for line in safe))


CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")
SPACES = re.compile(r"^ +| {2,}|\t")


def _kept(found: re.Match[str]) -> str:
    width = 4 if found[0] == "\t" else len(found[0])
    return "&nbsp;" * (width - 1) + (" " if found.start() else "&nbsp;")
