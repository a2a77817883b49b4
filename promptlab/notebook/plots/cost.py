"""What trials cost: each of them, the mean, and what it came to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from promptlab.errors import SpecError
from promptlab.notebook.figures import Plot
from promptlab.notebook.plots.groups import MOST, Group, Groups, grouped, numbers
from promptlab.notebook.plots.lettering import Dollars, money
from promptlab.notebook.plots.rows import Column, counts, leave_blank, rows
from promptlab.notebook.plots.sheet import Sheet
from promptlab.notebook.plots.strips import ROW, draw_strip, thinned
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
    unknown = "" if known else "The price of no trial is known"
    if why := groups.nothing or unknown:
        return Sheet.empty(ax, title, why).done(table)
    lines = [
        "A point is a trial, the box the middle half, the stroke the median, the "
        "diamond the mean and its 95% interval",
        *groups.remarks(*groups.unknown("Price", known), *thinned(list(table["n"]))),
    ]
    drawn, plotted = groups.drawn, table[:MOST]
    sheet = rows(ax, title, lines, drawn.labels, _columns(plotted), height=ROW)
    _draw(sheet, drawn, plotted)
    return sheet.done(table)


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
    return [money(amount) for amount in amounts]


def _draw(sheet: Sheet, groups: Groups, table: pd.DataFrame) -> None:
    ax, ink = sheet.ax, sheet.ink
    for row, group in enumerate(groups):
        costs = group.numbers("cost_usd").dropna() * PER
        draw_strip(sheet, row, costs, group.mark)
        if costs.empty:
            leave_blank(sheet, row, group, "price unknown")
    rows = np.arange(len(groups))
    means = table["mean_usd_per_1000"]
    ax.hlines(
        rows,
        table["low_usd_per_1000"],
        table["high_usd_per_1000"],
        color=ink.text,
        linewidth=1.6,
    )
    ax.plot(
        means,
        rows,
        linestyle="",
        marker="D",
        markersize=6.5,
        markerfacecolor=ink.ground,
        markeredgecolor=ink.text,
        markeredgewidth=1.4,
    )
    medians = table["median_usd_per_1000"].dropna()
    far = medians.min() > 0 and medians.max() / medians.min() > FAR_APART
    if far and all((g.numbers("cost_usd").dropna() > 0).all() for g in groups):
        ax.set_xscale("log")
        ax.xaxis.set_major_formatter(FuncFormatter(Dollars()))
        sheet.label_x(f"US dollars per {PER:,} trials, log scale")
    else:
        sheet.from_zero(table[["most_usd_per_1000", "high_usd_per_1000"]])
        ax.xaxis.set_major_formatter(Dollars())
        sheet.label_x(f"US dollars per {PER:,} trials")
    sheet.grid("x")
