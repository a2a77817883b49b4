"""How long answers take: the share of trials that were answered within a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from promptlab.notebook.figures import Plot
from promptlab.notebook.plots.groups import MOST, Group, Groups, grouped, numbers
from promptlab.notebook.plots.key import Key
from promptlab.notebook.plots.lettering import exact, fonts, number, percent
from promptlab.notebook.plots.rows import Column, counts
from promptlab.notebook.plots.sheet import AS_IT_IS, Sheet, dashed
from promptlab.results.latency import mixed, sped_up
from promptlab.results.results import Results

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
    known = groups.known("latency_s")
    unknown = "" if known else "The latency of no trial is known"
    if why := groups.nothing or unknown:
        return Sheet.empty(ax, title, why).done(table)
    lines = [
        "Share of trials answered within a time; points mark the median and the 95th "
        "percentile",
        *groups.remarks(*groups.unknown("Latency", known), *_sped_up(groups)),
    ]
    drawn, plotted = groups.drawn, table[:MOST]
    unit, factor = ("s", 1) if plotted["p95_s"].max() >= 1 else ("ms", 1000)
    columns = [
        *(_column(name, plotted[f"{name}_s"] * factor, unit) for name in SHARES),
        counts(plotted),
    ]
    key = Key(drawn.members, columns)
    height = max(210.0, key.height)
    sheet = Sheet.of(ax, title, lines, height=height, left=32.0, right=key.width)
    key.draw(sheet)
    _draw(sheet, drawn, plotted)
    _measure(sheet, plotted, unit, factor)
    return sheet.done(table)


def _sped_up(groups: Groups) -> list[str]:
    """A line on what the provider's cache sped up, if that is some of the trials."""
    asked, read = (
        numbers(groups.answered, name)
        for name in ("input_tokens", "cached_input_tokens")
    )
    note = mixed(sped_up(asked, read))
    return [note] if note else []


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
    """The time within which that share was answered: a place on the line."""
    if times.empty:
        return np.nan
    return float(np.quantile(times, share, method="averaged_inverted_cdf"))


def _column(name: str, times: pd.Series[float], unit: str) -> Column:
    known = [f"{number(time)} {unit}" if time == time else "–" for time in times]
    return Column(name, known)


def _draw(sheet: Sheet, groups: Groups, table: pd.DataFrame) -> None:
    ax = sheet.ax
    for group, (_, row) in zip(groups, table.iterrows(), strict=True):
        times = group.numbers("latency_s").dropna()
        if times.empty:
            continue
        mark = group.mark
        style: dict[str, Any] = {"color": mark.colour, "linestyle": dashed(mark)}
        ax.ecdf(times, label=group.label, linewidth=1.8, **style)
        ax.plot(
            [row[f"{name}_s"] for name in SHARES],
            list(SHARES.values()),
            linestyle="",
            marker=mark.marker,
            markersize=5.5,
            markerfacecolor=mark.colour,
            markeredgecolor=sheet.ink.ground,
            markeredgewidth=0.8,
        )


def _measure(sheet: Sheet, table: pd.DataFrame, unit: str, factor: int) -> None:
    """Sets the axes: shares, and times in that unit."""
    ax = sheet.ax
    shortest, longest = table["shortest_s"].min(), table["longest_s"].max()
    if 0 < shortest < longest / SPREAD:
        ax.set_xscale("log")
        sheet.label_x(f"latency in {unit}, log scale")
    else:
        ax.set_xlim(0, longest * 1.03 or 1)
        sheet.label_x(f"latency in {unit}")
    ax.xaxis.set_major_formatter(lambda x, _: exact(x * factor))
    ax.set_ylim(0, 1.02)
    ax.set_yticks(LEVELS, [percent(level) for level in LEVELS], **fonts(), **AS_IT_IS)
    sheet.grid("both")
