"""Stability drawn: how many cases are right always, sometimes and never."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from promptlab.analysis.stability import Stability, stability
from promptlab.formats import score_text
from promptlab.notebook.colormap import mix, style
from promptlab.notebook.plots.canvas import Canvas, font_size
from promptlab.notebook.plots.dots import MOST, ROW, percents, undrawn, written
from promptlab.notebook.plots.figure import Plot
from promptlab.notebook.plots.labels import drawable
from promptlab.notebook.plots.rows import Column, add_columns
from promptlab.results.results import Results

PARTS = ("always", "sometimes", "never")


def plot_stability(
    results: Stability | Results | pd.DataFrame,
    score: str | None = None,
    by: str | Sequence[str] | None = None,
    *,
    ax: Axes | None = None,
    **options: Any,
) -> Plot | Axes:
    """A bar for each variant: the shares of cases that are right in all, some and none
    of their repeats.

    `results` is what `pl.stability` gives, or what it takes, with its options.

    Returns a figure, its `.table` that of `pl.stability`; or `ax`, if that is given.

    Raises:
        SpecError: as `pl.stability` does.
    """
    if isinstance(results, Stability):
        found = results
    else:
        found = stability(results, score, by, **options)
    table, scores = found.table, found.scores
    drawn = table.head(MOST)
    fewest, most = table["repeats"].min(), table["repeats"].max()
    often = f"{fewest}" if fewest == most else f"{fewest} to {most}"
    notes = [
        f"Of {often} repeats of a case; sometimes: one run of it may be right or wrong",
        *undrawn(len(table)),
        *scores.notes,
    ]
    title = f"{scores.heading}: right always, sometimes, never"
    canvas = Canvas.of(
        ax,
        drawable(title),
        [drawable(note) for note in notes],
        above=2.2 * font_size(),
    )
    if drawn["always"].isna().all():
        return canvas.empty("No scores", table)
    canvas.name_rows([written(name) for name in scores.labels[:MOST]])
    blue, theme = style(0).colour, canvas.theme
    shades = blue, mix(blue, theme.ground, 0.5), mix(theme.text, theme.ground, 0.2)
    colours = dict(zip(PARTS, shades, strict=True))
    columns = [
        Column(part, drawn[part], score_text, swatch=colours[part]) for part in PARTS
    ]
    add_columns(canvas, [*columns, Column("n", drawn["n"])])
    left = np.zeros(len(drawn))
    for part, colour in colours.items():
        widths = drawn[part].fillna(0.0).to_numpy()
        canvas.ax.barh(
            *(range(len(drawn)), widths),
            left=left,
            height=0.62,
            color=colour,
            edgecolor=theme.ground,
            linewidth=0.6,
            label=part,
        )
        left += widths
    canvas.ax.set_xlim(0, 1)
    canvas.ax.xaxis.set_major_formatter(percents())
    canvas.grid("x")
    canvas.label_x("cases")
    return canvas.finish(table, height=ROW * max(len(drawn), 2))
