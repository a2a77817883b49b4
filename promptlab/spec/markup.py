"""Markup: HTML that shows itself in any notebook, without script or style sheet.

Text becomes HTML here and nowhere else: `escaped` cuts and escapes it, and the other
functions put together what is HTML already. Where a viewer takes the styles away, as
GitHub does, what is left reads well; no meaning is told by colour.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence

LONGEST = 200
"""Characters of a text that are shown, unless said otherwise."""

CELL = (
    "text-align:left;vertical-align:top;max-width:34em;padding:4px 12px 4px 0;"
    "white-space:pre-wrap;overflow-wrap:break-word;background:none"
)
NUMBER = f"{CELL};text-align:right;font-variant-numeric:tabular-nums"
ROW = "background:none;border-bottom:1px solid rgba(128,128,128,.2)"
QUIET = "opacity:.7"

CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|[\ud800-\udfff]")


def escaped(text: str, length: int = LONGEST) -> str:
    """A text as HTML, cut to so many characters.

    >>> escaped("<b>"), escaped("abcdef", 3)
    ('&lt;b&gt;', 'ab…')
    """
    cut = text if len(text) <= length else text[: length - 1] + "…"
    return html.escape(CONTROL.sub("\ufffd", cut), quote=True)


def quiet(inner: str) -> str:
    """HTML that stands back."""
    return f"<span style='{QUIET}'>{inner}</span>"


def card(title: str, said: str, *parts: str) -> str:
    """A name and what there is to say of it in a line, above everything else.

    Notebooks set what stands between two dollar signs as a formula: not in here.
    """
    return (
        "<div class='mathjax_ignore tex2jax_ignore' style='line-height:1.5'>"
        f"<p style='margin:0 0 6px'><b>{title}</b> · {said}</p>{''.join(parts)}</div>"
    )


def facts(rows: Iterable[tuple[str, str]]) -> str:
    """Names and what they are, one below the other."""
    lines = "".join(
        f"<tr style='{ROW}'><th style='{CELL};font-weight:600'>{name}</th>"
        f"<td style='{CELL}'>{said}</td></tr>"
        for name, said in rows
    )
    return f"<table style='border-collapse:collapse'><tbody>{lines}</tbody></table>"


def table(
    head: Sequence[str], rows: Iterable[Sequence[str]], numbers: Sequence[int] = ()
) -> str:
    """A table; the columns at the places `numbers` stand to the right."""
    styles = [NUMBER if place in numbers else CELL for place in range(len(head))]
    names = "".join(
        f"<th style='{style}'>{name}</th>"
        for style, name in zip(styles, head, strict=True)
    )
    lines = "".join(
        f"<tr style='{ROW}'>"
        + "".join(
            f"<td style='{style}'>{said}</td>"
            for style, said in zip(styles, row, strict=True)
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


def notes(said: Iterable[str], most: int = 10) -> str:
    """What is worth knowing, one line each; nothing where there is nothing."""
    lines = list(said)
    rest = len(lines) - most
    shown = lines[:most] + ([f"and {rest:,} more"] if rest > 0 else [])
    return "".join(
        f"<p style='margin:6px 0 0'><b>Note</b>: {line}</p>" for line in shown
    )
