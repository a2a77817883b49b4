"""Dots with whiskers: an estimate and its interval in each row."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.ticker import FuncFormatter
from numpy.typing import NDArray

from promptlab.notebook.plots.canvas import Canvas
from promptlab.notebook.plots.labels import drawable, shorten_middle

ROW = 2.0
"""How high a row is, in font sizes."""

MOST = 60
"""How many rows are drawn; a plot of more could be neither read nor shown."""

DOT = 7.0
"""The diameter of a dot, in points."""


def percents() -> FuncFormatter:
    """The numbers of an axis of scores that are shares; one for each axis."""
    return FuncFormatter(lambda share, _: f"{100 * share:g}%")


def undrawn(count: int) -> list[str]:
    """A note on rows that are not drawn, if there are any."""
    line = f"The first {MOST} of {count:,} are drawn; .table has all"
    return [line] * (count > MOST)


def written(text: str) -> str:
    """A label as the fonts at hand can draw it, shortened in the middle."""
    return shorten_middle(drawable(text)) or "(empty)"


def draw_dots(
    canvas: Canvas,
    ends: NDArray[np.float64],
    *,
    filled: Sequence[bool],
    colours: Sequence[str],
    share: bool,
) -> None:
    """Draws value, low and high (rows × 3) of each row, the first on top; in per cent
    if they are shares. A row without a value stays empty."""
    rows = zip(ends.tolist(), filled, colours, strict=True)
    for place, ((value, low, high), full, colour) in enumerate(rows):
        if np.isfinite([low, high]).all():
            canvas.ax.plot([low, high], [place, place], color=colour, linewidth=1.6)
        face = colour if full else canvas.theme.ground
        canvas.ax.plot(
            *([value], [place]),
            marker="o",
            markersize=DOT,
            color=colour,
            markerfacecolor=face,
            linestyle="none",
        )
    canvas.grid("x")
    if share:
        canvas.ax.xaxis.set_major_formatter(percents())
