"""An analysis as text and as a card: a title, a table, and what to know of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from promptlab.formats import shortened
from promptlab.render.markup import card, escaped, table

SHOWN = 30
"""Rows of a card, unless it says otherwise; the analysis's `.table` has all."""

WIDEST = 40
"""Characters of a cell of a text."""


@dataclass(frozen=True, kw_only=True)
class Analysis:
    """What is shown of an analysis, all of it text."""

    kind: str
    """What it is, such as `Leaderboard`."""
    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    texts: int
    """How many columns, the first ones, stand to the left; others are numbers."""
    notes: Sequence[str]
    total: int = 0
    """How many rows there are, with those that are not shown."""
    of: str = ""
    """What the rows are, if they need a word."""

    def text(self) -> str:
        """For terminals and `print`: columns aligned, a line for each row and note."""
        rows = _aligned([self.head, *self.rows])
        return "\n".join([_printable(self.title), *rows, *map(_printable, self._notes)])

    def html(self) -> str:
        """For notebooks."""
        made = table(
            [escaped(name, 60) for name in self.head],
            [[escaped(cell, 80) for cell in row] for row in self.rows],
            numbers=range(self.texts, len(self.head)),
        )
        lines = "".join(
            f"<p style='margin:6px 0 0'>{escaped(note, 600)}.</p>"
            for note in self._notes
        )
        return card(self.kind, escaped(self.title), made, lines)

    @property
    def _notes(self) -> list[str]:
        more = f"and {self.total - len(self.rows):,} more {self.of}".rstrip()
        return [*[f"{more} in .table"] * (self.total > len(self.rows)), *self.notes]


class Shown(ABC):
    """A result that is shown: as text where it is printed, as a card in notebooks."""

    def __repr__(self) -> str:
        return self._shown().text()

    def _repr_html_(self) -> str:
        return self._shown().html()

    @abstractmethod
    def _shown(self) -> Analysis:
        """What is shown of it."""


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [[_cell(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) for cell, width in zip(line, widths, strict=True)
        ).rstrip()
        for line in lines
    ]


def _cell(text: str) -> str:
    return shortened(_printable(text), WIDEST)


def _printable(text: str) -> str:
    """Text that a terminal shows and does not obey."""
    return "".join(sign if sign.isprintable() else "\ufffd" for sign in text)
