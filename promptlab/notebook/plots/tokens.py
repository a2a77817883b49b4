"""What trials take in tokens: input, cached input, output and reasoning, stacked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from promptlab.notebook.colours import mixed
from promptlab.notebook.figures import Plot
from promptlab.notebook.plots.groups import MOST, Group, Groups, grouped
from promptlab.notebook.plots.lettering import number, trials
from promptlab.notebook.plots.rows import Column, counts, leave_blank, rows
from promptlab.notebook.plots.sheet import Ink, Sheet
from promptlab.results.results import Results

PARTS = {
    "uncached_input_tokens": "input",
    "cached_input_tokens": "cached input",
    "visible_output_tokens": "output",
    "reasoning_tokens": "reasoning",
}
"""The parts of a bar, from left to right: columns of the plot's table, and what the
plot calls them."""

COUNTED = {
    "input_tokens": "input",
    "cached_input_tokens": "cached input",
    "output_tokens": "output",
    "reasoning_tokens": "reasoning",
}
"""The columns that they are made from."""


def plot_tokens(
    results: Results | pd.DataFrame,
    by: str | Sequence[str] | None = None,
    *,
    ax: Axes | None = None,
) -> Plot | Axes:
    """Mean tokens per trial, stacked, and how far the totals of the trials spread.

    `by` names one or more columns; without it, the first parameter that varies. Counts
    that the server did not give are left out, and the plot says so.

    Returns a figure, its `.table` the plotted values; or `ax`, if that is given.
    """
    groups = grouped(results, by)
    title = f"Tokens per trial{groups.by}"
    table = groups.table(_means)
    unknown = "" if table["total_tokens"].notna().any() else "The server counted none"
    if why := groups.nothing or unknown:
        return Sheet.empty(ax, title, why).done(table)
    parts = [part for part in PARTS if table[part].gt(0).any()]
    lines = [
        "Mean of each part; the line runs from the 10th to the 90th percentile of "
        "the totals",
        *groups.remarks(*_unknown(groups)),
    ]
    drawn, plotted = groups.drawn, table[:MOST]
    ground = Ink.on(ax).ground
    columns = [*(_part_column(p, plotted, ground) for p in parts), *_sums(plotted)]
    sheet = rows(ax, title, lines, drawn.labels, columns, height=25.0)
    _draw(sheet, drawn, plotted, parts)
    sheet.label_x("tokens per trial")
    return sheet.done(table)


def _means(group: Group) -> Mapping[str, Any]:
    """The mean of each part over the trials where it is known, and the totals."""
    counts = {name: group.numbers(name) for name in COUNTED}
    parts = {
        "uncached_input_tokens": _less(
            counts["input_tokens"], counts["cached_input_tokens"]
        ),
        "cached_input_tokens": counts["cached_input_tokens"],
        "visible_output_tokens": _less(
            counts["output_tokens"], counts["reasoning_tokens"]
        ),
        "reasoning_tokens": counts["reasoning_tokens"],
    }
    means = {name: part.mean() for name, part in parts.items()}
    totals = (counts["input_tokens"] + counts["output_tokens"]).dropna()
    known = (
        counts["input_tokens"].notna().any() or counts["output_tokens"].notna().any()
    )
    return {
        "n": group.n,
        "failed": group.failed,
        **means,
        "total_tokens": np.nansum(list(means.values())) if known else np.nan,
        "p10_total_tokens": totals.quantile(0.1),
        "p90_total_tokens": totals.quantile(0.9),
    }


def _less(whole: pd.Series[float], part: pd.Series[float]) -> pd.Series[float]:
    """What is left of the whole; all of it where no trial says what the part is."""
    return (whole if part.isna().all() else whole - part).clip(lower=0)


def _unknown(groups: Groups) -> list[str]:
    """Lines on what the server did not say."""
    n = len(groups.answered)
    known = {name: groups.known(column) for column, name in COUNTED.items()}
    lines = [
        f"{name.capitalize()}: known for {count:,} of {trials(n)}, the mean is theirs"
        for name, count in known.items()
        if 0 < count < n
    ]
    if never := [name for name, count in known.items() if not count]:
        lines.append(f"The server did not count: {', '.join(never)}")
    return lines


def _sums(table: pd.DataFrame) -> list[Column]:
    return [
        Column("total", [number(v) for v in table["total_tokens"]], strong=True),
        counts(table),
    ]


def _part_column(part: str, table: pd.DataFrame, ground: str) -> Column:
    texts = [number(value) for value in table[part]]
    return Column(PARTS[part], texts, swatch=shade(part, "#7a7a7a", ground))


def shade(part: str, colour: str, ground: str) -> str:
    """A variant's colour for one part: light for what goes in, dark for reasoning."""
    if part == "reasoning_tokens":
        return mixed(colour, "#000000", 0.55)
    share = {"uncached_input_tokens": 0.5, "cached_input_tokens": 0.22}.get(part, 1.0)
    return mixed(colour, ground, share)


def _draw(
    sheet: Sheet, groups: Groups, table: pd.DataFrame, parts: Sequence[str]
) -> None:
    ax, ink = sheet.ax, sheet.ink
    places = np.arange(len(groups))
    left = np.zeros(len(groups))
    for part in parts:
        widths = table[part].fillna(0.0).to_numpy()
        ax.barh(
            places,
            widths,
            left=left,
            height=0.62,
            color=[shade(part, group.mark.colour, ink.ground) for group in groups],
            hatch=[group.mark.hatch for group in groups],
            edgecolor=ink.ground,
            linewidth=0.6,
            label=PARTS[part],
        )
        left += widths
    low, high = table["p10_total_tokens"], table["p90_total_tokens"]
    for colour, width in ((ink.ground, 3.4), (ink.text, 1.2)):  # legible on dark bars
        ax.hlines(places, low, high, color=colour, linewidth=width)
        for ends in (low, high):
            ax.vlines(ends, places - 0.12, places + 0.12, color=colour, linewidth=width)
    for row, group in enumerate(groups):
        if np.isnan(table["total_tokens"].iloc[row]):
            leave_blank(sheet, row, group, "tokens unknown")
    sheet.from_zero(table[["total_tokens", "p90_total_tokens"]])
    sheet.grid("x")
