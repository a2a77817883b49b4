"""Strip plots: a row of points for each group, over a box of the middle half."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from promptlab.notebook.colormap import Style, mix
from promptlab.notebook.plots.canvas import Canvas

EXPLAINED = "A point is a trial, the box the middle half, the stroke the median"

MOST = 400
"""How many points a row has at most; of more trials, evenly chosen ones are drawn."""

ROW, THICK = 3.6, 0.32
"""How high a row is, in font sizes; from its middle to the outermost points."""

GOLDEN = 0.618034
"""Multiples of it, less their whole parts, are spread evenly."""


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
    points = values.sort_values(kind="stable")
    if len(points) > MOST:
        chosen = np.linspace(0, len(points) - 1, MOST).round().astype(int)
        points = points.iloc[chosen]
    ranks = np.arange(1, len(points) + 1)
    rings = [False] * len(points) if hollow is None else hollow[points.index]
    ax.scatter(
        points,
        row + THICK * (2 * (ranks * GOLDEN % 1) - 1),
        s=11,
        marker=style.marker,
        facecolors=[ground if ring else colour for ring in rings],
        edgecolors=colour,
        linewidth=0.7,
        alpha=0.55 if len(points) > 40 else 0.85,
    )
    edge = THICK + 0.06
    ax.vlines(median, row - edge, row + edge, color=canvas.theme.text, linewidth=1.8)


def thinned(counts: Iterable[int]) -> str:
    """A line on rows that do not have a point for every trial, if any do not."""
    line = f"At most {MOST} points in a row, evenly chosen; the rest uses all trials"
    return line * (max(counts, default=0) > MOST)
