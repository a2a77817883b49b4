"""What trials cost: each of them, the mean, and the total."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from promptlab.errors import SpecError
from promptlab.formats import dollars
from promptlab.notebook.figures import Plot
from promptlab.notebook.plots.columns import (
    Column,
    add_columns,
    canvas_of_rows,
    counts,
    leave_blank,
)
from promptlab.notebook.plots.figure_layout import Canvas, line_height
from promptlab.notebook.plots.groups import MOST, Group, Groups, grouped, numbers
from promptlab.notebook.plots.strip_plot import ROW, draw_strip, thinned
from promptlab.notebook.plots.ticks import Dollars
from promptlab.notebook.trial_table import hashable
from promptlab.results.results import Results
from promptlab.stats.intervals import mean_interval

PER = 1000
"""Costs are drawn for so many trials: those of one have too many zeros to compare."""

FAR_APART = 20.0
"""How far the medians of two groups may be apart before the axis is logarithmic."""


def plot_cost(
    results: Results | pd.DataFrame,
    by: str | Sequence[str] | None = None,
    *,
    ax: Axes | None = None,
) -> Plot | Axes:
    """What 1,000 trials cost: a point for each trial, the mean with its 95 % interval.

    `by` names one or more columns; without it, the first parameter that varies. Costs
    are list prices, answers from the cache included; what was billed stands beside. A
    trial whose price is not known is left out, and the plot says so.

    Returns a figure, its `.table` the plotted values; or `ax`, if that is given.

    Raises:
        SpecError: the table has no `cost_usd`.
    """
    groups = grouped(results, by)
    if "cost_usd" not in groups.source.table:
        raise SpecError(
            "plot_cost: the table has no column 'cost_usd'; run the experiment again, "
            "which costs nothing for what is in the cache, or add the column"
        )
    title = f"Cost per {PER:,} trials{groups.by}"
    table = groups.table(_costs)
    known = groups.known("cost_usd")
    if why := groups.nothing("" if known else "The price of no trial is known"):
        return Canvas.of(ax, title).empty(why, table)
    notes = [
        "A point is a trial, the box the middle half, the stroke the median, the "
        "diamond the mean and its 95% interval",
        *groups.notes(groups.unknown("Price", known), thinned(table["n"])),
    ]
    drawn, plotted = groups.drawn, table[:MOST]
    canvas = canvas_of_rows(ax, title, notes, drawn.labels)
    add_columns(canvas, _columns(plotted))
    _draw(canvas, drawn, plotted)
    return canvas.finish(table, height=ROW * line_height() * max(len(drawn), 2))


def _costs(group: Group) -> Mapping[str, Any]:
    costs = group.numbers("cost_usd").dropna() * PER
    cases = pd.factorize(hashable(group.answered["case"][costs.index]))[0]
    low, high = mean_interval(costs.to_numpy(), cases)
    return {
        "n": len(costs),
        "failed": group.failed,
        "unknown": group.n - len(costs),
        "mean_usd_per_1000": costs.mean(),
        "low_usd_per_1000": np.maximum(low, 0.0),
        "high_usd_per_1000": high,
        "median_usd_per_1000": costs.median(),
        "most_usd_per_1000": costs.max(),
        "total_usd": costs.sum(min_count=1) / PER,
        "billed_usd": numbers(group.rows, "billed_usd").sum(min_count=1),
    }


def _columns(table: pd.DataFrame) -> list[Column]:
    columns = [
        Column("mean", _money(table["mean_usd_per_1000"]), strong=True),
        Column("total", _money(table["total_usd"])),
    ]
    if table["billed_usd"].notna().any():
        columns.append(Column("billed", _money(table["billed_usd"])))
    return [*columns, counts(table)]


def _money(amounts: pd.Series[float]) -> list[str]:
    return [dollars(amount, digits=3) for amount in amounts]


def _draw(canvas: Canvas, groups: Groups, table: pd.DataFrame) -> None:
    ax, theme = canvas.ax, canvas.theme
    for row, group in enumerate(groups):
        costs = group.numbers("cost_usd").dropna() * PER
        draw_strip(canvas, row, costs, group.style)
        if costs.empty:
            leave_blank(canvas, row, group, "price unknown")
    means = table["mean_usd_per_1000"]
    low, high = table["low_usd_per_1000"], table["high_usd_per_1000"]
    ax.errorbar(
        means,
        range(len(groups)),
        xerr=[means - low, high - means],
        fmt="D",
        markersize=6.5,
        markerfacecolor=theme.ground,
        markeredgewidth=1.4,
        color=theme.text,
        elinewidth=1.6,
    )
    medians = table["median_usd_per_1000"].dropna()
    far = medians.min() > 0 and medians.max() / medians.min() > FAR_APART
    if far and all((g.numbers("cost_usd").dropna() > 0).all() for g in groups):
        ax.set_xscale("log")
        ax.xaxis.set_major_formatter(FuncFormatter(Dollars()))
        canvas.label_x(f"US dollars per {PER:,} trials, log scale")
    else:
        canvas.from_zero(table[["most_usd_per_1000", "high_usd_per_1000"]])
        ax.xaxis.set_major_formatter(Dollars())
        canvas.label_x(f"US dollars per {PER:,} trials")
    canvas.grid("x")
