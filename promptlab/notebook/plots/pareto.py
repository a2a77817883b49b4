"""Score against cost, drawn: which variants no other beats in both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from promptlab import formats
from promptlab.analysis.pareto import Pareto, pareto
from promptlab.notebook.colormap import style
from promptlab.notebook.plots.canvas import Canvas
from promptlab.notebook.plots.dots import percents, written
from promptlab.notebook.plots.figure import Plot
from promptlab.notebook.plots.labels import drawable
from promptlab.results.results import Results

HEIGHT = 21.0
"""Of the axes, in font sizes."""

NAMED = 12
"""Variants on the front that are named."""

FAR_APART = 20.0
"""How many times the lowest cost the highest may be before the axis is logarithmic."""


def plot_pareto(
    results: Pareto | Results | pd.DataFrame,
    score: str | None = None,
    by: str | Sequence[str] | None = None,
    *,
    ax: Axes | None = None,
    **options: Any,
) -> Plot | Axes:
    """Score against the mean cost of a trial, with 95 % intervals and the front.

    Filled dots, joined by a line, are on the front: no other is as cheap and better, or
    as good and cheaper. `results` is what `pl.pareto` gives, or what it takes, with its
    options.

    Returns a figure, its `.table` that of `pl.pareto`; or `ax`, if that is given.

    Raises:
        SpecError: as `pl.pareto` does.
    """
    if isinstance(results, Pareto):
        found = results
    else:
        found = pareto(results, score, by, **options)
    table, scores = found.table, found.scores
    explained = (
        f"Crosses are 95 % intervals, n {scores.means.shape[1]:,} cases; filled: on "
        "the front, and how surely"
    )
    notes = [drawable(note) for note in (explained, *scores.notes)]
    canvas = Canvas.of(ax, drawable(f"{scores.heading} against cost"), notes)
    colour, faint = style(0).colour, canvas.theme.muted
    on = table["on_front"].to_numpy(dtype=bool)
    cost, value = (table[name].to_numpy(dtype=float) for name in ("cost_usd", "score"))
    for number, row in enumerate(table.to_dict("records")):
        line: dict[str, Any] = {
            "color": colour if on[number] else faint,
            "linewidth": 1.0,
        }
        canvas.ax.plot([row["cost_low"], row["cost_high"]], [row["score"]] * 2, **line)
        canvas.ax.plot([row["cost_usd"]] * 2, [row["ci_low"], row["ci_high"]], **line)
    canvas.ax.step(cost[on], value[on], where="post", color=colour, linestyle=":")
    for chosen, full in ((on, True), (~on, False)):
        canvas.ax.scatter(
            cost[chosen],
            value[chosen],
            s=49,
            zorder=3,
            edgecolors=colour if full else faint,
            facecolors=colour if full else canvas.theme.ground,
        )
    labels = [scores.labels[place] for place in found.order]
    for number in np.flatnonzero(on)[:NAMED]:
        surely = formats.share(table["p_front"][number])
        canvas.write(
            f"{written(labels[number])} ({surely})",
            (cost[number], value[number]),
            offset=(6, -9),
            fontsize="small",
        )
    canvas.grid("both")
    known = cost[np.isfinite(cost) & (cost > 0)]
    if len(known) and known.max() > FAR_APART * known.min():
        canvas.ax.set_xscale("log")
    canvas.ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: formats.dollars(x)))
    if scores.shares:
        canvas.ax.yaxis.set_major_formatter(percents())
    canvas.label_x("Mean cost of a trial")
    return canvas.finish(table, height=HEIGHT)
