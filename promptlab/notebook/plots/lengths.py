"""How long outputs are, and how many were cut short."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from promptlab.formats import share
from promptlab.notebook.figures import Plot
from promptlab.notebook.plots.columns import (
    Column,
    add_columns,
    canvas_of_rows,
    counts,
    leave_blank,
)
from promptlab.notebook.plots.figure_layout import Canvas, line_height
from promptlab.notebook.plots.groups import MOST, Group, grouped
from promptlab.notebook.plots.strip_plot import ROW, draw_strip, thinned
from promptlab.notebook.plots.ticks import exact
from promptlab.results.results import Results
from promptlab.spec import flags


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
    rings = "; rings were cut short by max_tokens" * bool(table["truncated"].sum() > 0)
    uncounted = "In characters: the server counted no tokens"
    notes = [
        f"A point is a trial, the box the middle half, the stroke the median{rings}",
        *groups.notes(
            groups.unknown("Length", known) if known else uncounted,
            thinned(table["n"]),
        ),
    ]
    drawn, plotted = groups.drawn, table[:MOST]
    canvas = canvas_of_rows(ax, title, notes, drawn.labels)
    add_columns(canvas, _columns(plotted))
    for row, group in enumerate(drawn):
        lengths = lengths_of(group, unit).dropna()
        cut = flags.truncated(group.answered)
        draw_strip(canvas, row, lengths, group.style, hollow=cut)
        if lengths.empty:
            leave_blank(canvas, row, group, "length unknown")
    canvas.from_zero(plotted["longest"])
    canvas.label_x(f"{unit} per output")
    canvas.grid("x")
    return canvas.finish(table, height=ROW * line_height() * max(len(drawn), 2))


def lengths_of(group: Group, unit: str) -> pd.Series[float]:
    """The length of each answered trial's output."""
    if unit == "tokens":
        return group.numbers("output_tokens")
    return group.answered["output"].astype(str).str.len().astype("float64")


def _lengths(group: Group, unit: str) -> Mapping[str, Any]:
    lengths = lengths_of(group, unit).dropna()
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


def _columns(table: pd.DataFrame) -> list[Column]:
    medians, cut = table["p50"], table["truncated_share"]
    columns = [Column("median", [exact(length) for length in medians], strong=True)]
    if cut.notna().any():
        columns.append(Column("cut short", [share(part) for part in cut]))
    return [*columns, counts(table)]
