"""How long outputs are, and how many were cut short."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from promptlab.notebook.figures import Plot
from promptlab.notebook.plots.groups import MOST, Group, Groups, grouped
from promptlab.notebook.plots.lettering import exact, percent
from promptlab.notebook.plots.rows import Column, counts, leave_blank, rows
from promptlab.notebook.plots.sheet import Sheet
from promptlab.notebook.plots.strips import ROW, draw_strip, thinned
from promptlab.results.results import Results
from promptlab.spec import flags

UNCOUNTED = "In characters: the server counted no tokens"


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
    if groups.nothing:
        return Sheet.empty(ax, title, groups.nothing).done(table)
    cut = table["truncated"].sum() > 0
    unknown = groups.unknown("Length", known) if known else [UNCOUNTED]
    lines = [
        "A point is a trial, the box the middle half, the stroke the median"
        + ("; rings were cut short by max_tokens" if cut else ""),
        *groups.remarks(*unknown, *thinned(list(table["n"]))),
    ]
    drawn, plotted = groups.drawn, table[:MOST]
    columns = _columns(plotted, drawn)
    sheet = rows(ax, title, lines, drawn.labels, columns, height=ROW)
    for row, group in enumerate(drawn):
        lengths = lengths_of(group, unit).dropna()
        draw_strip(sheet, row, lengths, group.mark, hollow=_truncated(group))
        if lengths.empty:
            leave_blank(sheet, row, group, "length unknown")
    sheet.from_zero(plotted["longest"])
    sheet.label_x(f"{unit} per output")
    sheet.grid("x")
    return sheet.done(table)


def lengths_of(group: Group, unit: str) -> pd.Series[float]:
    """The length of each answered trial's output."""
    if unit == "tokens":
        return group.numbers("output_tokens")
    return group.answered["output"].astype(str).str.len().astype("float64")


def _lengths(group: Group, unit: str) -> Mapping[str, Any]:
    lengths = lengths_of(group, unit).dropna()
    truncated, said = _truncated(group), _told(group)
    return {
        "n": len(lengths),
        "failed": group.failed,
        "unit": unit,
        **{f"p{share}": lengths.quantile(share / 100) for share in (25, 50, 75)},
        "longest": lengths.max(),
        "truncated": int(truncated.sum()) if said else np.nan,
        "truncated_share": truncated.sum() / said if said else np.nan,
    }


def _truncated(group: Group) -> pd.Series[bool]:
    """Which of the answered trials max_tokens cut short."""
    return flags.truncated(group.answered)


def _told(group: Group) -> int:
    """Of how many of the answered trials it is known why they ended."""
    if "finish_reason" not in group.answered:
        return 0
    return int(group.answered["finish_reason"].notna().sum())


def _columns(table: pd.DataFrame, groups: Groups) -> list[Column]:
    columns = [
        Column("median", [exact(length) for length in table["p50"]], strong=True)
    ]
    if table["truncated_share"].notna().any():
        shares = table["truncated_share"]
        columns.append(
            Column(
                "cut short",
                [percent(share) for share in shares],
                shares=[(s, g.mark) for s, g in zip(shares, groups, strict=True)],
            )
        )
    return [*columns, counts(table)]
