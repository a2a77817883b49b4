"""Legends: what the lines or bars of a plot stand for, with columns of numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.offsetbox import VPacker

from promptlab.notebook.plots.columns import Column
from promptlab.notebook.plots.figure_layout import (
    Canvas,
    font_size,
    points,
    text_style,
)
from promptlab.notebook.plots.labels import font_families


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
