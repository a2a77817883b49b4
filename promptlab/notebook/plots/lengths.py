"""How long outputs are, and how many were cut short."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from promptlab.formats import number, share
from promptlab.notebook.plots.canvas import Canvas
from promptlab.notebook.plots.figure import Plot
from promptlab.notebook.plots.groups import MOST, Group, grouped
from promptlab.notebook.plots.rows import (
    EXPLAINED,
    ROW,
    Column,
    add_columns,
    canvas_of_rows,
    draw_strip,
    thinned,
)
from promptlab.results import flags
from promptlab.results.results import Results


def plot_lengths(
    results: Results | pd.DataFrame,
    by: str | Sequence[str] | None = None,
    *,
    ax: Axes | None = None,
) -> Plot | Axes:
    """How long outputs are, and the share that max_tokens cut short.

    Lengths are output tokens, or characters where the server counted none. `by` names
    one or more columns; without it, the first parameter that varies.

    Returns a figure, its `.table` the plotted values; or `ax`, if that is given.
    """
    groups = grouped(results, by)
    known = groups.known("output_tokens")
    unit = "tokens" if known else "characters"
    title = f"Length of the output{groups.by}"
    table = groups.table(lambda group: _lengths(group, unit))
    if why := groups.nothing():
        return Canvas.of(ax, title).empty(why, table)
    unknown = "In characters: the server counted no tokens"
    if known:
        unknown = groups.unknown("output_tokens", "length")
    rings = "; rings were cut short by max_tokens" * bool(table["truncated"].sum() > 0)
    notes = [EXPLAINED + rings, *groups.notes(unknown, thinned(table["n"]))]
    groups, drawn = groups.drawn, table[:MOST]
    canvas = canvas_of_rows(ax, title, notes, groups, drawn["n"] > 0, "length unknown")
    cut = drawn["truncated_share"]
    columns = [
        Column("median", drawn["p50"], number, strong=True),
        *([Column("cut short", cut, share)] if cut.notna().any() else []),
        Column("n", drawn["n"]),
    ]
    add_columns(canvas, columns)
    for row, group in enumerate(groups):
        truncated = flags.truncated(group.answered)
        lengths = _lengths_of(group, unit)
        draw_strip(canvas, row, lengths, group.style, hollow=truncated)
    canvas.scale_x(f"{unit} per output", drawn["longest"])
    canvas.grid("x")
    return canvas.finish(table, height=ROW * max(len(groups), 2))


def _lengths_of(group: Group, unit: str) -> pd.Series[float]:
    if unit == "tokens":
        return group.numbers("output_tokens").dropna()
    return group.answered["output"].astype(str).str.len().astype("float64")


def _lengths(group: Group, unit: str) -> Mapping[str, Any]:
    lengths = _lengths_of(group, unit)
    truncated = int(flags.truncated(group.answered).sum())
    ended = group.answered.get("finish_reason", pd.Series(dtype=object)).notna().sum()
    return {
        "n": len(lengths),
        "failed": group.failed,
        "unit": unit,
        **{f"p{percent}": lengths.quantile(percent / 100) for percent in (25, 50, 75)},
        "longest": lengths.max(),
        "truncated": truncated if ended else np.nan,
        "truncated_share": truncated / ended if ended else np.nan,
    }
