"""How long answers take: the share of trials that were answered within a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from promptlab import formats
from promptlab.notebook.plots.canvas import Canvas, text_style
from promptlab.notebook.plots.figure import Plot
from promptlab.notebook.plots.groups import MOST, Group, Groups, grouped, numbers
from promptlab.notebook.plots.rows import Column, add_legend
from promptlab.results.flags import mixed, prompt_cache_hit
from promptlab.results.results import Results

HEIGHT = 21.0
"""Of the axes, in font sizes, where the legend needs no more."""

SPREAD = 30.0
"""How many times the fastest the slowest trial may take before the axis is
logarithmic."""

SHARES = {"median": 0.5, "p95": 0.95}
"""What is marked on each line."""

LEVELS = (0, 0.25, 0.5, 0.75, 0.95)
"""The lines across, and their names on the vertical axis."""


def plot_latency(
    results: Results | pd.DataFrame,
    by: str | Sequence[str] | None = None,
    *,
    ax: Axes | None = None,
) -> Plot | Axes:
    """The share of trials that were answered within a time (the ECDF of the latency).

    Answers from the cache count with the time that they took when they were made. `by`
    names one or more columns; without it, the first parameter that varies.

    Returns a figure, its `.table` the quantiles of each line; or `ax`, if that is
    given.
    """
    groups = grouped(results, by)
    title = f"Latency{groups.by}"
    table = groups.table(_quantiles)
    if why := groups.nothing("latency_s", "latency"):
        return Canvas.of(ax, title).empty(why, table)
    answered = groups.answered
    fast = prompt_cache_hit(
        *(numbers(answered, f"{n}input_tokens") for n in ("", "cached_"))
    )
    notes = [
        "Share of trials answered within a time; points mark the median and the 95th "
        "percentile",
        *groups.notes(groups.unknown("latency_s", "latency"), mixed(fast)),
    ]
    canvas = Canvas.of(ax, title, notes)
    groups, drawn = groups.drawn, table[:MOST]
    lines = _draw(canvas, groups, drawn)
    columns = [Column(name, drawn[f"{name}_s"], formats.seconds) for name in SHARES]
    columns.append(Column("n", drawn["n"]))
    legend = add_legend(canvas, lines, groups.labels, columns)
    _scale(canvas, drawn)
    return canvas.finish(table, height=max(HEIGHT, legend))


def _quantiles(group: Group) -> Mapping[str, Any]:
    times = group.numbers("latency_s").dropna()
    return {
        "n": len(times),
        "failed": group.failed,
        "shortest_s": times.min(),
        **{f"{name}_s": _within(times, share) for name, share in SHARES.items()},
        "longest_s": times.max(),
    }


def _within(times: pd.Series[float], share: float) -> float:
    """The time within which that share was answered: a point of the line."""
    if times.empty:
        return np.nan
    return float(np.quantile(times, share, method="averaged_inverted_cdf"))


def _draw(canvas: Canvas, groups: Groups, table: pd.DataFrame) -> list[Line2D]:
    """Draws a line for each group, empty where no latency is known."""
    ax, lines = canvas.ax, []
    for group, (_, row) in zip(groups, table.iterrows(), strict=True):
        times, style = group.numbers("latency_s").dropna(), group.style
        line: dict[str, Any] = {"label": group.label, "linewidth": 1.8}
        line["linestyle"] = (0, style.dashes) if style.dashes else "-"
        line["color"] = style.colour
        lines += [ax.ecdf(times, **line)] if len(times) else ax.plot([], [], **line)
        ax.plot(
            [row[f"{name}_s"] for name in SHARES],
            list(SHARES.values()),
            linestyle="",
            marker=style.marker,
            markersize=5.5,
            color=style.colour,
            markeredgecolor=canvas.theme.ground,
            markeredgewidth=0.8,
        )
    return lines


def _scale(canvas: Canvas, table: pd.DataFrame) -> None:
    """Sets the axes: shares, and times in the unit that suits them."""
    ax = canvas.ax
    unit, factor = ("s", 1) if table["p95_s"].max() >= 1 else ("ms", 1000)
    shortest, longest = table["shortest_s"].min(), table["longest_s"].max()
    log = 0 < shortest < longest / SPREAD
    canvas.scale_x(f"latency in {unit}", table["longest_s"], log=log)
    ax.xaxis.set_major_formatter(lambda x, _: formats.number(x * factor))
    ax.set_ylim(0, 1.02)
    ax.set_yticks(LEVELS, [formats.share(level) for level in LEVELS], **text_style())
    canvas.grid("both")
