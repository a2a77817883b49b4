"""Rows: a label, a strip of points and columns of numbers for each group; and legends
with such columns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.offsetbox import VPacker

from promptlab.notebook.colormap import Style, mix
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

EXPLAINED = "A point is a trial, the box the middle half, the stroke the median"

MOST_POINTS = 400
"""How many points a row has at most; of more trials, evenly chosen ones are drawn."""

ROW, THICK = 3.6, 0.32
"""How high a row is, in font sizes; from its middle to the outermost points."""

GOLDEN = 0.618034
"""Multiples of it, less their whole parts, are spread evenly."""


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


def draw_strip(
    canvas: Canvas,
    row: int,
    values: pd.Series[float],
    style: Style,
    hollow: pd.Series[bool] | None = None,
) -> None:
    """Draws the values, none of them NaN, in a row; those that `hollow` marks as rings.

    Points are spread up and down by their rank, the same way each time.
    """
    ax, ground, colour = canvas.ax, canvas.theme.ground, style.colour
    low, median, high = values.quantile([0.25, 0.5, 0.75])
    ax.barh(  # Axes.boxplot would load pyplot, and choose a backend
        row,
        high - low,
        left=low,
        height=2 * THICK + 0.12,
        color=mix(colour, ground, 0.22),
        edgecolor=mix(colour, ground, 0.45),
        linewidth=0.8,
    )
    shown = values.sort_values(kind="stable")
    if len(shown) > MOST_POINTS:
        chosen = np.linspace(0, len(shown) - 1, MOST_POINTS).round().astype(int)
        shown = shown.iloc[chosen]
    ranks = np.arange(1, len(shown) + 1)
    rings = [False] * len(shown) if hollow is None else hollow[shown.index]
    ax.scatter(
        shown,
        row + THICK * (2 * (ranks * GOLDEN % 1) - 1),
        s=11,
        marker=style.marker,
        facecolors=[ground if ring else colour for ring in rings],
        edgecolors=colour,
        linewidth=0.7,
        alpha=0.55 if len(shown) > 40 else 0.85,
    )
    edge = THICK + 0.06
    ax.vlines(median, row - edge, row + edge, color=canvas.theme.text, linewidth=1.8)


def thinned(counts: Iterable[int]) -> str:
    """A line on rows that do not have a point for every trial, if any do not."""
    many = max(counts, default=0) > MOST_POINTS
    chosen = f"At most {MOST_POINTS} points in a row, evenly chosen"
    return f"{chosen}; the rest uses all trials" if many else ""


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
