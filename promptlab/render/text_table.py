"""Tables as text, for terminals and `print`."""

from __future__ import annotations

from collections.abc import Sequence

from promptlab.formats import shortened

WIDEST = 40
"""Characters of a cell."""


def text_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Aligned columns, two spaces between them; each row is one line.

    >>> print(text_table(["a", "bb"], [["long", "1"]]))
    a     bb
    long  1
    """
    lines = [[_cell(cell) for cell in line] for line in (head, *rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    padded = (
        "  ".join(
            cell.ljust(width) for cell, width in zip(line, widths, strict=True)
        ).rstrip()
        for line in lines
    )
    return "\n".join(padded)


def _cell(text: str) -> str:
    kept = "".join(sign if sign.isprintable() else "\ufffd" for sign in text)
    return shortened(kept, WIDEST)
