"""Markup: HTML that shows itself in any notebook, without script or style sheet.

Text becomes HTML here and nowhere else: `escaped` cuts and escapes it, and the other
functions put together what is HTML already. Where a viewer takes the styles away, as
GitHub does, what is left reads well; colour alone carries no meaning.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence

LONGEST = 200
"""Characters of a string that are shown by default."""

CELL = (
    "text-align:left;vertical-align:top;max-width:34em;padding:4px 12px 4px 0;"
    "white-space:pre-wrap;overflow-wrap:break-word;background:none"
)
NUMBER = f"{CELL};text-align:right;font-variant-numeric:tabular-nums"
ROW = "background:none;border-bottom:1px solid rgba(128,128,128,.2)"
QUIET = "opacity:.7"

CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|[\ud800-\udfff]")

TURNING = re.compile(
    "[\u0590-\u08ff\u200e\u200f\u202a-\u202e\u2066-\u2069\ufb1d-\ufdff\ufe70-\ufeff"
    "\U00010800-\U00010fff\U0001e800-\U0001efff]"
)
"""What may run from right to left, or says that something does: the blocks whose
Bidi_Class is R or AL by default (Unicode, DerivedBidiClass.txt), and the
controls of the bidirectional algorithm (UAX #9)."""

OPENING = "\u2066\u2067\u2068"
CLOSING = "\u2069"
NESTING = re.compile(f"[{OPENING}{CLOSING}\n\r\x85\u2029]")
"""What opens and closes an isolated part of a line, and what ends the line."""


def escaped(text: str, length: int = LONGEST) -> str:
    """A string as HTML, cut to so many characters.

    >>> escaped("<b>"), escaped("abcdef", 3)
    ('&lt;b&gt;', 'ab…')
    """
    cut = text if len(text) <= length else text[: length - 1] + "…"
    safe = CONTROL.sub("\ufffd", kept_inside(cut))
    return isolated(safe, html.escape(safe, quote=True))


def isolated(text: str, inner: str) -> str:
    """The HTML `inner` of a string, kept from turning around its neighbours.

    >>> isolated("abc", "abc"), isolated("\u05d0", "\u05d0")
    ('abc', "<span dir='auto'>\u05d0</span>")
    """
    return f"<span dir='auto'>{inner}</span>" if TURNING.search(text) else inner


def kept_inside(text: str) -> str:
    """A string without signs that would end an isolated part that it did not begin: a
    browser would take them for the end of that which the text is put into.

    >>> kept_inside("a\\u2069 \\u2067b\\u2069") == "a\\ufffd \\u2067b\\u2069"
    True
    """
    open_parts = 0

    def put(found: re.Match[str]) -> str:
        nonlocal open_parts
        sign = found[0]
        if sign == CLOSING and not open_parts:
            return "\ufffd"
        steps = {CLOSING: -1, **dict.fromkeys(OPENING, 1)}
        open_parts = open_parts + steps[sign] if sign in steps else 0
        return sign

    return NESTING.sub(put, text)


def quiet(inner: str) -> str:
    """HTML that stands back."""
    return f"<span style='{QUIET}'>{inner}</span>"


def card(title: str, summary: str, *parts: str) -> str:
    """A title and a summary in one line, above everything else.

    Notebooks set what stands between two dollar signs as a formula: not in here.
    """
    return (
        "<div class='mathjax_ignore tex2jax_ignore' style='line-height:1.5'>"
        f"<p style='margin:0 0 6px'><b>{title}</b> · {summary}</p>"
        f"{''.join(parts)}</div>"
    )


def facts(rows: Iterable[tuple[str, str]]) -> str:
    """Names and values, one below the other."""
    lines = "".join(
        f"<tr style='{ROW}'><th style='{CELL};font-weight:600'>{name}</th>"
        f"<td style='{CELL}'>{value}</td></tr>"
        for name, value in rows
    )
    return f"<table style='border-collapse:collapse'><tbody>{lines}</tbody></table>"


def table(
    head: Sequence[str], rows: Iterable[Sequence[str]], numbers: Sequence[int] = ()
) -> str:
    """A table; the columns at the positions `numbers` are aligned right."""
    styles = [NUMBER if column in numbers else CELL for column in range(len(head))]
    names = "".join(
        f"<th style='{style}'>{name}</th>"
        for style, name in zip(styles, head, strict=True)
    )
    lines = "".join(
        f"<tr style='{ROW}'>"
        + "".join(
            f"<td style='{style}'>{cell}</td>"
            for style, cell in zip(styles, row, strict=True)
        )
        + "</tr>"
        for row in rows
    )
    return (
        "<table style='border-collapse:collapse'>"
        f"<thead><tr style='{ROW}'>{names}</tr></thead><tbody>{lines}</tbody></table>"
    )


def folded(summary: str, inner: str) -> str:
    """HTML that is hidden until it is asked for."""
    return f"<details><summary>{summary}</summary>{inner}</details>"


def notes(warnings: Iterable[str], most: int = 10) -> str:
    """Warnings, one line each; "" if there are no warnings."""
    lines = list(warnings)
    rest = len(lines) - most
    shown = lines[:most] + ([f"and {rest:,} more"] if rest > 0 else [])
    return "".join(
        f"<p style='margin:6px 0 0'><b>Note</b>: {line}</p>" for line in shown
    )
