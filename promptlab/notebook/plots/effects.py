"""Effects drawn: the score of each value of each parameter, over all others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from promptlab.analysis.effects import Effects, effects
from promptlab.notebook.colormap import style
from promptlab.notebook.plots.canvas import Canvas
from promptlab.notebook.plots.dots import MOST, ROW, draw_dots, undrawn, written
from promptlab.notebook.plots.figure import Plot
from promptlab.notebook.plots.labels import drawable
from promptlab.results.results import Results


def plot_effects(
    results: Effects | Results | pd.DataFrame,
    score: str | None = None,
    by: str | Sequence[str] | None = None,
    *,
    ax: Axes | None = None,
    **options: Any,
) -> Plot | Axes:
    """A dot for the score of each value of each parameter, with its 95 % interval.

    Each is averaged over the other parameters; how far the dots of one parameter are
    apart is what it changes. `results` is what `pl.effects` gives, or what it takes,
    with its options.

    Returns a figure, its `.table` the scores of the values (`.levels` of the effects);
    or `ax`, if that is given.

    Raises:
        SpecError: as `pl.effects` does.
    """
    if isinstance(results, Effects):
        found = results
    else:
        found = effects(results, score, by, **options)
    table, scores = found.levels, found.scores
    drawn = table.head(MOST)
    explained = (
        "Averaged over the other parameters, with 95 % intervals of the scores; those "
        "of differences, which are narrower, are in pl.effects"
    )
    notes = [explained, *undrawn(len(table)), *scores.notes]
    title = f"{scores.name}: what each parameter changes"
    canvas = Canvas.of(ax, drawable(title), [drawable(note) for note in notes])
    canvas.name_rows(
        [
            f"{written(row['parameter'])}: {written(row['level'])}  n {row['n']}"
            for row in drawn.to_dict("records")
        ]
    )
    place = {name: number for number, name in enumerate(scores.by)}
    draw_dots(
        canvas,
        drawn[["score", "ci_low", "ci_high"]].to_numpy(dtype=float),
        filled=[True] * len(drawn),
        colours=[style(place[name]).colour for name in drawn["parameter"]],
        share=scores.shares,
    )
    canvas.label_x(drawable(scores.heading))
    return canvas.finish(table, height=ROW * len(drawn))
