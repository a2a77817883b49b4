"""Legends: what the lines or bars of a plot stand for, with columns of numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.offsetbox import VPacker
from matplotlib.patches import Patch

from promptlab.notebook.colormap import Style
from promptlab.notebook.plots.columns import Column
from promptlab.notebook.plots.figure_layout import Canvas, points, text_style
from promptlab.notebook.plots.groups import Group
from promptlab.notebook.plots.labels import font_families


def add_legend(
    canvas: Canvas,
    groups: Sequence[Group],
    columns: Sequence[Column],
    *,
    bars: bool = False,
) -> float:
    """An entry for each group to the right of the axes; its height in points.

    The samples are of bars or of lines.
    """
    theme = canvas.theme
    every = [Column("", [group.label for group in groups]), *columns]
    strings = [text for column in every for text in (column.header, *column.texts)]
    blank = Line2D([], [], linestyle="")
    samples = [_bar(g, canvas) if bars else _line(g) for g in groups]
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
        handleheight=1.4,  # higher than the letters of any font: rows stay in line
        labelspacing=0.4,
        prop=FontProperties(family=font_families(), size="medium"),
    )
    for text, string in zip(legend.get_texts(), strings, strict=True):
        text.set(text=string, color=theme.text, **text_style())
    start = 0
    for column in every:
        header, *texts = legend.get_texts()[start : start + len(groups) + 1]
        header.set(**theme.small)
        for text in texts:
            text.set_fontweight(column.weight)
        start += len(groups) + 1
    for box in legend.findobj(VPacker)[1:-1]:  # between the names and the whole
        box.align = "right"
    return points(legend.get_window_extent().height, canvas.ax)


def _line(group: Group) -> Line2D:
    style = group.style
    return Line2D([], [], color=style.colour, linestyle=dashes(style), linewidth=2)


def _bar(group: Group, canvas: Canvas) -> Patch:
    style: dict[str, Any] = {"hatch": group.style.hatch, "linewidth": 0}
    return Patch(facecolor=group.style.colour, edgecolor=canvas.theme.ground, **style)


def dashes(style: Style) -> Any:
    """The dashes of a style's lines, as matplotlib takes them."""
    return (0, style.dashes) if style.dashes else "-"
