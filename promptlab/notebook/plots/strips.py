"""Strips: a row of points, one for each trial, over a box of the middle half."""

from __future__ import annotations

import numpy as np
import pandas as pd

from promptlab.notebook.colours import Mark, mixed
from promptlab.notebook.plots.sheet import Sheet

ROW = 36.0
"""How high a row of them is, in points."""

MOST = 400
"""How many points a strip has at most; of more trials, evenly chosen ones are drawn."""

THICK = 0.32
"""From the middle of a row to the edge of its strip."""

GOLDEN = 0.618034


def draw_strip(
    sheet: Sheet,
    row: int,
    values: pd.Series[float],
    mark: Mark,
    *,
    hollow: pd.Series[bool] | None = None,
) -> None:
    """Draws the values, none of them NaN, in a row; those that `hollow` marks as rings.

    Points are moved up and down by their rank, the same way each time.
    """
    if values.empty:
        return
    ax, ink = sheet.ax, sheet.ink
    low, middle, high = values.quantile([0.25, 0.5, 0.75])
    ax.barh(
        row,
        high - low,
        left=low,
        height=2 * THICK + 0.12,
        color=mixed(mark.colour, ink.ground, 0.22),
        edgecolor=mixed(mark.colour, ink.ground, 0.45),
        linewidth=0.8,
        hatch="",
    )
    chosen = _evenly(values.sort_values(kind="stable"))
    heights = row + THICK * (2 * (np.arange(1, len(chosen) + 1) * GOLDEN % 1) - 1)
    rings = (
        np.zeros(len(chosen), dtype=bool)
        if hollow is None
        else hollow.loc[chosen.index].to_numpy(dtype=bool)
    )
    for part, face in ((~rings, mark.colour), (rings, ink.ground)):
        if not part.any():
            continue
        ax.scatter(
            chosen.to_numpy()[part],
            heights[part],
            s=11,
            marker=mark.marker,
            facecolor=face,
            edgecolor=mark.colour,
            linewidth=0.7,
            alpha=0.55 if len(chosen) > 40 else 0.85,
        )
    edge = THICK + 0.06
    ax.vlines(middle, row - edge, row + edge, color=ink.text, linewidth=1.8)


def thinned(counts: list[int]) -> list[str]:
    """A line on strips that do not have a point for every trial, if any do not."""
    if max(counts, default=0) <= MOST:
        return []
    return [f"At most {MOST} points in a row, evenly chosen; the rest uses all trials"]


def _evenly(ordered: pd.Series[float]) -> pd.Series[float]:
    if len(ordered) <= MOST:
        return ordered
    return ordered.iloc[np.linspace(0, len(ordered) - 1, MOST).round().astype(int)]
