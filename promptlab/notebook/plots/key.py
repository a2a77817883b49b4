"""Keys: what the lines or bars of a plot stand for, with columns of texts beside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from promptlab.notebook.plots.groups import Group
from promptlab.notebook.plots.lettering import widest_pt
from promptlab.notebook.plots.rows import Column
from promptlab.notebook.plots.sheet import TEXT, Sheet

ROW = 17.0
"""From one entry to the next, in points, as all lengths here."""

GAP, SAMPLE = 16.0, 20.0
"""Between the axes and the samples of lines or bars, and how long those are."""


@dataclass(frozen=True)
class Key:
    """An entry for each group, to the right of the axes."""

    groups: Sequence[Group]
    columns: Sequence[Column]
    bars: bool = False
    """Whether the samples are of bars, not of lines."""

    @property
    def width(self) -> float:
        return self._names + sum(column.width for column in self.columns)

    @property
    def height(self) -> float:
        return ROW * (len(self.groups) + 0.6)

    @cached_property
    def _names(self) -> float:
        """How far the labels reach."""
        labels = [group.label for group in self.groups]
        return GAP + SAMPLE + 6 + widest_pt(labels, TEXT)

    def draw(self, sheet: Sheet) -> None:
        """Draws it; its headers stand at the upper edge of the axes."""
        at = sheet.points_from(1, 1)
        for place, group in enumerate(self.groups, start=1):
            y, mark = -ROW * place, group.mark
            if self.bars:
                corner = (GAP, y - 5)
                sheet.box(corner, SAMPLE, 10, at, mark.colour, hatch=mark.hatch)
            else:
                sheet.line((GAP, y), SAMPLE, at, mark)
            sheet.text(GAP + SAMPLE + 6, y, group.label, at)
        x = self._names
        for column in self.columns:
            x += column.width
            sheet.small(x, 0, column.header, at, ha="right")
            for place, text in enumerate(column.texts, start=1):
                style = {"ha": "right", "weight": column.weight}
                sheet.text(x, -ROW * place, text, at, **style)
