"""Interactions drawn: whether what one parameter changes depends on another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from promptlab.analysis.effects import DEPENDS, Effects, effects
from promptlab.analysis.scores import score_interval
from promptlab.errors import SpecError
from promptlab.formats import label
from promptlab.notebook.colormap import style
from promptlab.notebook.plots.canvas import CHARACTER, Canvas, font_size, text_style
from promptlab.notebook.plots.dots import DOT, percents
from promptlab.notebook.plots.figure import Plot
from promptlab.notebook.plots.labels import drawable, shorten_middle
from promptlab.notebook.plots.rows import add_legend
from promptlab.results.results import Results

HEIGHT = 19.0
"""Of the axes, in font sizes."""

MOST = 12
"""How many values of each parameter are drawn."""

APART = 0.5
"""How far the dots of one place are spread, where places are 1 apart."""

PLACE = 90.0
"""How wide a place is at the least, in points."""


def plot_interaction(
    results: Effects | Results | pd.DataFrame,
    score: str | None = None,
    by: Sequence[str] | None = None,
    *,
    ax: Axes | None = None,
    **options: Any,
) -> Plot | Axes:
    """The score of each pair of values of two parameters, with its 95 % interval.

    The values of the first stand side by side, those of the second have a line each,
    averaged over what else varies. Where lines run alike, a parameter changes the same
    whatever the other is. `results` is what `pl.effects` gives for two parameters, or
    what it takes, with its options.

    Returns a figure, its `.table` with the two columns, `score`, `ci_low`, `ci_high`
    and `n` (cases); or `ax`, if that is given.

    Raises:
        SpecError: as `pl.effects` does, or it is not of two parameters.
    """
    if isinstance(results, Effects):
        found = results
    else:
        found = effects(results, score, by, **options)
    scores = found.scores
    if len(scores.by) != 2:
        raise SpecError(
            f"an interaction is of two parameters, and this is of {len(scores.by)} "
            f"({', '.join(scores.by)}): give by=('prompt', 'model') or the like"
        )
    interval = score_interval(scores.means, scores.clusters, shares=scores.shares)
    table = scores.index.assign(
        score=interval.value,
        ci_low=interval.low,
        ci_high=interval.high,
        n=(~np.isnan(scores.means)).sum(axis=1),
    )
    across, along = scores.by
    title = drawable(f"{scores.heading}: {across} and {along}")
    notes = [*_notes(found), *scores.notes]
    canvas = Canvas.of(ax, title, [drawable(note) for note in notes])
    if table["score"].isna().all():
        return canvas.empty("No scores", table)
    legend = _draw(canvas, found, table)
    canvas.grid("y")
    if scores.shares:
        canvas.ax.yaxis.set_major_formatter(percents())
    canvas.label_x(drawable(across))
    places = min(MOST, len(scores.levels[1][0]))
    return canvas.finish(table, height=max(HEIGHT, legend), width=PLACE * places)


def _notes(found: Effects) -> list[str]:
    across, along = found.scores.by
    table = found.table
    verdicts = table.loc[table["term"] == f"{across} × {along}", "verdict"]
    if not len(verdicts):
        said = f"One value of {across} or {along}: nothing to compare"
    elif (verdicts == DEPENDS).any():
        said = f"It depends: what {across} changes is different with another {along}"
    else:
        said = (
            f"Cannot tell whether what {across} changes depends on {along}: lines that "
            "are not parallel may be chance"
        )
    _, levels = found.scores.levels
    rest = [f"The first {MOST} values of each are drawn; .table has all"]
    lines = "Lines up and down are 95 % intervals; n: cases"
    return [said, lines, *rest * any(len(of) > MOST for of in levels)]


def _draw(canvas: Canvas, found: Effects, table: pd.DataFrame) -> float:
    """Draws a line for each value of the second parameter; the legend's height."""
    codes, (across, along) = found.scores.levels
    drawn = len(along[:MOST])
    lines = []
    for number in range(drawn):
        mine = (codes[:, 1] == number) & (codes[:, 0] < MOST)
        of, shift = table[mine], APART * ((number + 0.5) / drawn - 0.5)
        places, look = codes[mine, 0] + shift, style(number)
        (line,) = canvas.ax.plot(
            places,
            of["score"],
            color=look.colour,
            marker=look.marker,
            markersize=DOT,
            dashes=look.dashes or (None, None),
        )
        canvas.ax.vlines(places, of["ci_low"], of["ci_high"], color=look.colour)
        lines.append(line)
    count = len(across[:MOST])
    length = max(6, int(PLACE / (CHARACTER * font_size())) - 1)
    names = [shorten_middle(drawable(label(v)), length) for v in across[:MOST]]
    canvas.ax.set_xticks(range(count), labels=names, **text_style())
    canvas.ax.set_xlim(-0.5, count - 0.5)
    named = [shorten_middle(drawable(label(v))) or "(empty)" for v in along[:MOST]]
    return add_legend(canvas, lines, _with_n(named, codes, table), [])


def _with_n(names: Sequence[str], codes: Any, table: pd.DataFrame) -> list[str]:
    """The names, each with how many cases its dots stand on."""
    counts = [table["n"][codes[:, 1] == number] for number in range(len(names))]
    ends = [(int(of.min()), int(of.max())) for of in counts]
    return [
        f"{name}  n {low}" if low == high else f"{name}  n {low} to {high}"
        for name, (low, high) in zip(names, ends, strict=True)
    ]
