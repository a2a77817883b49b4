"""Columns: strings beside the axes, one for each row or for each entry of a legend."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes

from promptlab.notebook.plots.figure_layout import Canvas, font_size, width_of
from promptlab.notebook.plots.groups import Groups

GAP = 14.0
"""Between columns, in points."""


@dataclass(frozen=True)
class Column:
    """A header, and a value for each row, all written in the same way."""

    header: str
    values: Iterable[Any]
    written: Callable[[Any], str] = "{:,}".format
    strong: bool = False
    swatch: str | None = None
    """A colour before the header, if the column says what it stands for."""

    @property
    def texts(self) -> list[str]:
        """The values as they are written."""
        return [self.written(value) for value in self.values]


def canvas_of_rows(
    ax: Axes | None,
    title: str,
    notes: Sequence[str],
    groups: Groups,
    known: Iterable[bool],
    unknown: str,
) -> Canvas:
    """A canvas with a row for each group, the first on top, and room for headers.

    Rows of which nothing is known say why: all trials failed, or what is unknown.
    """
    canvas = Canvas.of(ax, title, notes, above=2.2 * font_size())
    canvas.name_rows(groups.labels)
    if len(groups) == 1:
        canvas.ax.set_ylim(1, -1)  # or the row would be as high as two
    for row, (group, drawn) in enumerate(zip(groups, known, strict=True)):
        if not drawn:
            why = unknown if group.n else "all failed"
            coordinates = "axes fraction", "data"
            canvas.write(why, (0.01, row), coordinates, color=canvas.theme.muted)
    return canvas


def add_columns(canvas: Canvas, columns: Sequence[Column]) -> None:
    """Writes columns to the right of the axes."""
    right = 0.0
    for column in columns:
        right = _write(canvas, column, right + GAP)


def _write(canvas: Canvas, column: Column, left: float) -> float:
    """Writes a column from so many points beside the axes on; where it ends."""
    small = canvas.theme.small | {"ha": "right", "va": "bottom"}
    header = canvas.write(column.header, (1, 1), "axes fraction", **small)
    coordinates, weight = ("axes fraction", "data"), "bold" if column.strong else None
    texts = [
        canvas.write(text, (1, row), coordinates, ha="right", weight=weight)
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
