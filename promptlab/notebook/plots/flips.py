"""Flips drawn: on which cases of two variants which one is better, and by how much."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from promptlab.analysis.pair import Pair, compare_pair
from promptlab.formats import counted
from promptlab.notebook.colormap import PALETTE
from promptlab.notebook.plots.canvas import Canvas, font_size
from promptlab.notebook.plots.dots import written
from promptlab.notebook.plots.figure import Plot
from promptlab.notebook.plots.labels import drawable
from promptlab.results.results import Results

HEIGHT = 15.0
"""Of the axes, in font sizes."""

SQUARE = 11.0
"""Between a coloured square and the text that it belongs to, in points."""

WON, LOST = PALETTE[0], PALETTE[4]


def plot_flips(
    results: Pair | Results | pd.DataFrame,
    a: Any = None,
    b: Any = None,
    score: str | None = None,
    *,
    ax: Axes | None = None,
    **options: Any,
) -> Plot | Axes:
    """A bar for each case: the score of b minus that of a, from won to lost.

    How wide the bars up and down are says how often each is better; how high, by how
    much. `results` is what `pl.compare_pair` gives, or what it takes, with a, b and its
    options.

    Returns a figure, its `.table` with `case`, `a`, `b` and `difference` of all cases
    that both have, in the order of the bars; or `ax`, if that is given.

    Raises:
        SpecError: as `pl.compare_pair` does.
    """
    if isinstance(results, Pair):
        pair = results
    else:
        pair = compare_pair(results, a, b, score, **options)
    table, scores = pair.differences, pair.scores
    first, second = (written(scores.labels[place]) for place in (pair.a, pair.b))
    explained = f"A bar is a case, n {len(table):,}; {pair.sentence}"
    notes = [drawable(note) for note in (explained, *scores.notes)]
    title = f"{scores.heading}: {second} minus {first}{', in points' * scores.shares}"
    canvas = Canvas.of(ax, drawable(title), notes, above=2.2 * font_size())
    if not len(table):
        return canvas.empty("No case has a score of both", table)
    change = table["difference"].to_numpy(dtype=float)
    if not change.any():
        same = f"The same score on {counted(len(table), 'case')}"
        return canvas.empty(same, table)
    edges = np.arange(len(change) + 1)
    for better, colour, of in ((True, WON, second), (False, LOST, first)):
        mine = (change * scores.sign > 0) == better
        mine &= change != 0
        heights = np.where(mine, change, 0.0)
        canvas.ax.stairs(heights, edges, fill=True, color=colour, linewidth=0)
        _count(canvas, int(mine.sum()), of, colour, left=better)
    canvas.ax.axhline(0, color=canvas.theme.muted, linewidth=0.8)
    canvas.ax.set_xlim(0, len(change))
    canvas.grid("y")
    if scores.shares:
        canvas.ax.yaxis.set_major_formatter(FuncFormatter(_signed))
    canvas.label_x(f"cases, those first on which {second} is better by most")
    return canvas.finish(table, height=HEIGHT)


def _count(canvas: Canvas, number: int, of: str, colour: str, *, left: bool) -> None:
    """Writes above the axes on how many cases one of the two is better."""
    small: dict[str, Any] = {"va": "bottom", "fontsize": "small"}
    text = canvas.write(
        f"{of} better: {number:,}",
        (0 if left else 1, 1),
        "axes fraction",
        offset=(SQUARE if left else 0, 4),
        ha="left" if left else "right",
        **small,
    )
    canvas.write("■", (0, 0), text, offset=(-SQUARE, 0), color=colour, **small)


def _signed(share: float, _: object) -> str:
    """A difference of shares in points."""
    sign = "−" if share < 0 else "+" if share > 0 else ""
    return f"{sign}{abs(100 * share):g}"
