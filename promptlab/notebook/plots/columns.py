"""Columns: strings beside the axes, one for each row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
from matplotlib.axes import Axes

from promptlab.notebook.plots.figure_layout import Canvas, line_height, width_of
from promptlab.notebook.plots.groups import Group

GAP = 14.0
"""Between columns, in points."""


@dataclass(frozen=True)
class Column:
    """A header and a string for each row."""

    header: str
    texts: Sequence[str]
    strong: bool = False
    swatch: str | None = None
    """A colour before the header, if the column says what it stands for."""

    @property
    def weight(self) -> str:
        """How bold the strings are."""
        return "bold" if self.strong else "normal"


def counts(table: pd.DataFrame) -> Column:
    """The column that says of how many trials each row is made."""
    return Column("n", [f"{n:,}" for n in table["n"]])


def canvas_of_rows(
    ax: Axes | None, title: str, notes: Sequence[str], labels: Sequence[str]
) -> Canvas:
    """A canvas with a row for each label, the first on top, and room for headers."""
    canvas = Canvas.of(ax, title, notes, above=2.2 * line_height())
    canvas.name_rows(labels)
    if len(labels) == 1:
        canvas.ax.set_ylim(1, -1)  # or the row would be as high as two
    return canvas


def add_columns(canvas: Canvas, columns: Sequence[Column]) -> None:
    """Writes columns to the right of the axes."""
    right = 0.0
    for column in columns:
        right = _write(canvas, column, right + GAP)


def leave_blank(canvas: Canvas, row: int, group: Group, unknown: str) -> None:
    """Says in a group's row why there is nothing: all failed, or what is unknown."""
    why = unknown if group.n else "all failed"
    coordinates = "axes fraction", "data"
    canvas.write(why, (0.01, row), coordinates, color=canvas.theme.muted)


def _write(canvas: Canvas, column: Column, left: float) -> float:
    """Writes a column from so many points beside the axes on; where it ends."""
    small = canvas.theme.small | {"ha": "right", "va": "bottom"}
    header = canvas.write(column.header, (1, 1), "axes fraction", **small)
    coordinates = "axes fraction", "data"
    texts = [
        canvas.write(text, (1, row), coordinates, ha="right", weight=column.weight)
        for row, text in enumerate(column.texts)
    ]
    swatch = 0.0
    if column.swatch:
        coloured = small | {"color": column.swatch}
        square = canvas.write("■", (0, 0), header, offset=(-4, 0), **coloured)
        swatch = width_of([square]) + 4
    right = left + max(width_of(texts), width_of([header]) + swatch)
    header.xyann = right, 4
    for text in texts:
        text.xyann = right, 0
    return right
