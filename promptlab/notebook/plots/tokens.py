"""What trials take in tokens: input, cached input, output and reasoning, stacked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke

from promptlab.formats import counted, number
from promptlab.notebook.colormap import mix
from promptlab.notebook.plots.canvas import Canvas
from promptlab.notebook.plots.figure import Plot
from promptlab.notebook.plots.groups import MOST, Group, Groups, grouped
from promptlab.notebook.plots.rows import Column, add_columns, canvas_of_rows
from promptlab.results.results import Results

PARTS = {
    "uncached_input_tokens": "input",
    "cached_input_tokens": "cached input",
    "visible_output_tokens": "output",
    "reasoning_tokens": "reasoning",
}
"""The parts of a bar, from left to right: columns of the plot's table, and what the
plot calls them."""

SHADES = {"uncached_input_tokens": 0.5, "cached_input_tokens": 0.22}
"""How much of a group's colour a part has, if it is lighter than the others."""

GREY = "#7a7a7a"
"""What the parts are explained with."""

ROW = 2.5
"""How high a row is, in font sizes."""


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
    counted_none = table["total_tokens"].isna().all()
    if why := groups.nothing() or "The server counted none" * bool(counted_none):
        return Canvas.of(ax, title).empty(why, table)
    parts = {part: PARTS[part] for part in PARTS if table[part].gt(0).any()}
    notes = [
        "Mean of each part; the line runs from the 10th to the 90th percentile of "
        "the totals",
        *groups.notes(*_uncounted(groups)),
    ]
    groups, drawn = groups.drawn, table[:MOST]
    known = drawn["total_tokens"].notna()
    canvas = canvas_of_rows(ax, title, notes, groups, known, "tokens unknown")
    columns = [
        Column(
            name, drawn[part], number, swatch=_shade(part, GREY, canvas.theme.ground)
        )
        for part, name in parts.items()
    ]
    total = Column("total", drawn["total_tokens"], number, strong=True)
    add_columns(canvas, [*columns, total, Column("n", drawn["n"])])
    _draw(canvas, groups, drawn, parts)
    return canvas.finish(table, height=ROW * max(len(groups), 2))


def _means(group: Group) -> Mapping[str, Any]:
    """The mean of each part over the trials where it is known, and the totals."""
    input_tokens, cached, output, reasoning = (
        group.numbers(f"{name}_tokens")
        for name in ("input", "cached_input", "output", "reasoning")
    )
    means = {
        "uncached_input_tokens": _less(input_tokens, cached).mean(),
        "cached_input_tokens": cached.mean(),
        "visible_output_tokens": _less(output, reasoning).mean(),
        "reasoning_tokens": reasoning.mean(),
    }
    totals = (input_tokens + output).dropna()
    known = input_tokens.notna().any() or output.notna().any()
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


def _uncounted(groups: Groups) -> list[str]:
    n = len(groups.answered)
    names = ("input", "cached input", "output", "reasoning")
    known = {name: groups.known(f"{name.replace(' ', '_')}_tokens") for name in names}
    lines = [
        f"{name.capitalize()}: known for {count:,} of {counted(n, 'trial')}, the mean "
        "is over those"
        for name, count in known.items()
        if 0 < count < n
    ]
    if never := [name for name, count in known.items() if not count]:
        lines.append(f"The server did not count: {', '.join(never)}")
    return lines


def _shade(part: str, colour: str, ground: str) -> str:
    """A group's colour for one part: light for what goes in, dark for reasoning."""
    if part == "reasoning_tokens":
        return mix(colour, "#000000", 0.55)
    return mix(colour, ground, SHADES.get(part, 1.0))


def _draw(
    canvas: Canvas, groups: Groups, table: pd.DataFrame, parts: Mapping[str, str]
) -> None:
    ax, theme = canvas.ax, canvas.theme
    rows, left = range(len(groups)), np.zeros(len(groups))
    for part in parts:
        widths = table[part].fillna(0.0).to_numpy()
        ax.barh(
            rows,
            widths,
            left=left,
            height=0.62,
            color=[_shade(part, group.style.colour, theme.ground) for group in groups],
            hatch=[group.style.hatch for group in groups],
            edgecolor=theme.ground,
            linewidth=0.6,
            label=parts[part],
        )
        left += widths
    low, high = table["p10_total_tokens"], table["p90_total_tokens"]
    ax.errorbar(
        low,
        rows,
        xerr=[low * 0, high - low],
        fmt="none",
        ecolor=theme.text,
        elinewidth=1.2,
        capsize=3,
        path_effects=[withStroke(linewidth=3.4, foreground=theme.ground)],
    )
    canvas.scale_x("tokens per trial", table[["total_tokens", "p90_total_tokens"]])
    canvas.grid("x")
