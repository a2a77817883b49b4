"""The card of results: totals, means, failures by kind, first rows, and prices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from promptlab.formats import UNKNOWN, dollars, number, plain_text, seconds
from promptlab.render.markup import card, escaped, folded, quiet, table

GROUPS = 12
FAILURES = 5
ROWS = 10
"""Rows of the summary, kinds of failure, and rows of the table that are shown."""

WIDE = 40
"""From so many characters on, a text gets room to be read in few lines."""

Row = Mapping[str, Any]
"""A row of a table: plain values by column, None where one is missing."""

MEANS = {
    "trials": "trials",
    "failed": "failed",
    "truncated": "cut off",
    "withheld": "withheld",
    "refused": "refused",
    "empty": "empty",
    "mean_output_tokens": "tokens out",
    "mean_latency_s": "latency",
    "prompt_cache_hit": "prompt cached",
    "mean_cost_usd": "cost",
}
"""The columns of the summary, and their heads."""

ALWAYS = ("trials", "mean_output_tokens", "mean_latency_s")
"""Those that are shown also where they are 0 or missing throughout."""

NUMBERS = ("output_tokens", "latency_s")
"""The columns of the table that are numbers."""


def results_card(
    name: str,
    headline: str,
    *,
    varying: Sequence[str],
    summary: Sequence[Row],
    scores: Sequence[str],
    notes: Sequence[str],
    failures: Sequence[tuple[str, int]],
    columns: Sequence[str],
    rows: Sequence[Row],
    more: int,
    prices: Sequence[Row],
) -> str:
    """The card.

    Args:
        varying: the parameters that vary, the first columns of the summary.
        summary: the rows of `Results.summary`; empty where nothing varies or is scored.
        scores: the columns of the summary that are about scores.
        notes: what to know of the summary, a line each.
        failures: the reasons for failures, and how often each came.
        columns: the columns of the table to show.
        rows: its first rows.
        more: how many rows of the table these leave out.
        prices: the rows of `Results.prices` that are known.
    """
    return card(
        escaped(name),
        escaped(headline, 600),
        _summary(summary, varying, scores, notes) if summary else "",
        _failures(failures),
        _rows(columns, rows, more),
        _prices(prices),
    )


def _summary(
    rows: Sequence[Row],
    names: Sequence[str],
    scores: Sequence[str],
    notes: Sequence[str],
) -> str:
    columns = [n for n in MEANS if n in ALWAYS or any(row[n] for row in rows)]
    lines = [
        [
            *(_text(row[name]) for name in names),
            *(_text(row[name]) for name in scores),
            *(_number(name, row[name]) for name in columns),
        ]
        for row in rows[:GROUPS]
    ]
    head = [
        *(escaped(name, 60) for name in (*names, *scores)),
        *(MEANS[n] for n in columns),
    ]
    made = table(head, lines, numbers=range(len(names) + len(scores), len(head)))
    return (
        made
        + _more(len(rows) - GROUPS, "more", "summary()")
        + "".join(f"<p>{quiet(escaped(note, 600))}</p>" for note in notes)
    )


def _failures(kinds: Sequence[tuple[str, int]]) -> str:
    """How often each kind of failure came, the most frequent first."""
    if not kinds:
        return ""
    lines = [[f"{count:,}", escaped(why, 300)] for why, count in kinds[:FAILURES]]
    made = table(["failed", "why"], lines, numbers=[0])
    return made + _more(len(kinds) - FAILURES, "other kinds", "errors")


def _rows(names: Sequence[str], rows: Sequence[Row], more: int) -> str:
    numbers = [position for position, name in enumerate(names) if name in NUMBERS]
    lines = [[_text(row[name]) for name in names] for row in rows]
    made = table([escaped(name, 60) for name in names], lines, numbers=numbers)
    return made + _more(more, "more rows", "table")


def _prices(prices: Sequence[Row]) -> str:
    """The prices, folded; nothing where none is known."""
    if not prices:
        return ""
    names = [n for n in prices[0] if any(row[n] is not None for row in prices)]
    lines = [[_price(row[name]) for name in names] for row in prices[:GROUPS]]
    numbers = [
        position
        for position, name in enumerate(names)
        if any(isinstance(row[name], float) for row in prices)
    ]
    head = [escaped(name).replace("_", " ") for name in names]
    title = "prices, in US dollars for a million tokens"
    return folded(title, table(head, lines, numbers=numbers))


def _more(count: int, what: str, where: str) -> str:
    if count <= 0:
        return ""
    return f"<p>and {count:,} {what} in <code>.{where}</code></p>"


def _number(name: str, value: Any) -> str:
    if name == "mean_cost_usd":
        return dollars(value)
    if name == "mean_latency_s":
        return seconds(value)
    return number(value)


def _price(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return _text(value.date() if isinstance(value, datetime) else value)


def _text(value: Any) -> str:
    """A value of the table; lists and objects as JSON."""
    if value is None:
        return quiet(UNKNOWN)
    if isinstance(value, float):
        return f"{value:.3g}"
    text = str(value) if isinstance(value, bool) else plain_text(value)
    if len(text) <= WIDE:
        return escaped(text)
    return f"<div style='min-width:10em'>{escaped(text)}</div>"
