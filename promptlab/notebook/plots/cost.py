"""What trials cost: each of them, the mean, and the total."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from promptlab.errors import SpecError
from promptlab.notebook.plots.canvas import Canvas
from promptlab.notebook.plots.figure import Plot
from promptlab.notebook.plots.groups import MOST, Group, grouped, numbers
from promptlab.notebook.plots.labels import Dollars, money
from promptlab.notebook.plots.rows import (
    EXPLAINED,
    ROW,
    Column,
    add_columns,
    canvas_of_rows,
    draw_strip,
    thinned,
)
from promptlab.notebook.trial_table import Coded
from promptlab.results.results import Results
from promptlab.stats.means import mean

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
    if why := groups.nothing("cost_usd", "price"):
        return Canvas.of(ax, title).empty(why, table)
    notes = [
        f"{EXPLAINED}, the diamond the mean and its 95% interval",
        *groups.notes(groups.unknown("cost_usd", "price"), thinned(table["n"])),
    ]
    groups, drawn = groups.drawn, table[:MOST]
    canvas = canvas_of_rows(ax, title, notes, groups, drawn["n"] > 0, "price unknown")
    billed = drawn["billed_usd"]
    columns = [
        Column("mean", drawn["mean_usd_per_1000"], money, strong=True),
        Column("total", drawn["total_usd"], money),
        *([Column("billed", billed, money)] if billed.notna().any() else []),
        Column("n", drawn["n"]),
    ]
    add_columns(canvas, columns)
    for row, group in enumerate(groups):
        draw_strip(canvas, row, _costs_of(group), group.style)
    _draw_means(canvas, drawn)
    _scale(canvas, drawn, all((_costs_of(group) > 0).all() for group in groups))
    return canvas.finish(table, height=ROW * max(len(groups), 2))


def _costs_of(group: Group) -> pd.Series[float]:
    return group.numbers("cost_usd").dropna() * PER


def _costs(group: Group) -> Mapping[str, Any]:
    costs = _costs_of(group)
    cases = Coded.of(group.answered["case"][costs.index]).codes
    _, low, high = mean(costs.to_numpy(), cases).interval()
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


def _draw_means(canvas: Canvas, table: pd.DataFrame) -> None:
    means = table["mean_usd_per_1000"]
    low, high = table["low_usd_per_1000"], table["high_usd_per_1000"]
    canvas.ax.errorbar(
        means,
        range(len(table)),
        xerr=[means - low, high - means],
        fmt="D",
        markersize=6.5,
        markerfacecolor=canvas.theme.ground,
        markeredgewidth=1.4,
        color=canvas.theme.text,
        elinewidth=1.6,
    )


def _scale(canvas: Canvas, table: pd.DataFrame, positive: bool) -> None:
    """Sets the axis: logarithmic if no cost is zero and medians are far apart."""
    medians = table["median_usd_per_1000"].dropna()
    log = positive and medians.max() > FAR_APART * medians.min()
    ends = table[["most_usd_per_1000", "high_usd_per_1000"]]
    canvas.scale_x(f"US dollars per {PER:,} trials", ends, log=log)
    dollars = Dollars()
    canvas.ax.xaxis.set_major_formatter(FuncFormatter(dollars) if log else dollars)
    canvas.grid("x")
