"""Columns: strings beside the axes, one for each row or for each entry of a legend."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.offsetbox import VPacker

from promptlab.notebook.plots.canvas import (
    Canvas,
    font_size,
    points,
    text_style,
    width_of,
)
from promptlab.notebook.plots.groups import Groups
from promptlab.notebook.plots.labels import font_families

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
    """The colour before the header, if the column says what it stands for."""

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
    """A canvas with a row for each group, the first on top.

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
        left = right + GAP
        small = canvas.theme.small | {"ha": "right", "va": "bottom"}
        header = canvas.write(column.header, (1, 1), "axes fraction", **small)
        style: dict[str, Any] = {
            "ha": "right",
            "weight": "bold" if column.strong else None,
        }
        texts = [
            canvas.write(text, (1, row), ("axes fraction", "data"), **style)
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


def add_legend(
    canvas: Canvas,
    samples: Sequence[Any],
    names: Sequence[str],
    columns: Sequence[Column],
) -> float:
    """A row for each sample of lines or bars, beside the axes; its height in font
    sizes."""
    every = [Column("", names, str), *columns]
    blank = Line2D([], [], linestyle="")
    strings = [string for column in every for string in (column.header, *column.texts)]
    legend = canvas.ax.legend(
        [blank, *samples, *[blank] * (len(strings) - len(samples) - 1)],
        [""] * len(strings),
        ncols=len(every),
        loc="upper left",
        bbox_to_anchor=(1.02, 1),
        frameon=False,
        borderpad=0,
        borderaxespad=0,
        columnspacing=0,
        handlelength=1.8,
        handletextpad=0.5,
        handleheight=1.4,  # higher than any font's characters: rows stay in line
        labelspacing=0.4,
        prop=FontProperties(family=font_families(), size="medium"),
    )
    weights = ["bold" if c.strong else "normal" for c in every for _ in (0, *names)]
    texts = legend.get_texts()
    for text, string, weight in zip(texts, strings, weights, strict=True):
        text.set(text=string, weight=weight, color=canvas.theme.text, **text_style())
    for header in texts[:: len(names) + 1]:
        header.set(weight="normal", **canvas.theme.small)
    for box in legend.findobj(VPacker)[1:-1]:  # between the names and the whole
        box.align = "right"
    return points(legend.get_window_extent().height, canvas.ax) / font_size()
