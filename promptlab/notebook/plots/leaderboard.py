"""A leaderboard drawn: each variant's score with its interval, the best first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from promptlab.analysis.leaderboard import Leaderboard, leaderboard
from promptlab.notebook.colormap import style
from promptlab.notebook.plots.canvas import Canvas
from promptlab.notebook.plots.dots import MOST, ROW, draw_dots, undrawn, written
from promptlab.notebook.plots.figure import Plot
from promptlab.notebook.plots.labels import drawable
from promptlab.results.results import Results


def plot_leaderboard(
    results: Leaderboard | Results | pd.DataFrame,
    score: str | None = None,
    by: str | Sequence[str] | None = None,
    *,
    ax: Axes | None = None,
    **options: Any,
) -> Plot | Axes:
    """A dot for each variant's score and a line for its 95 % interval, the best first.

    Dots are filled of variants that could be best. `results` is a leaderboard, or what
    `pl.leaderboard` makes one of, with its options.

    Returns a figure, its `.table` that of the leaderboard; or `ax`, if that is given.

    Raises:
        SpecError: as `pl.leaderboard` does.
    """
    if isinstance(results, Leaderboard):
        board = results
    else:
        board = leaderboard(results, score, by, **options)
    table, scores = board.table, board.scores
    drawn = table.head(MOST)
    explained = "Lines are 95 % intervals; filled: could be best"
    notes = [explained, *undrawn(len(table)), *board.notes]
    title = f"{scores.name} by {' · '.join(scores.by)}"
    canvas = Canvas.of(ax, drawable(title), [drawable(note) for note in notes])
    labels = [written(scores.labels[place]) for place in board.order[:MOST]]
    said = [f"{one}  " for one in drawn["verdict"]] if board.compares else [""] * MOST
    numbers = drawn["n"].tolist()
    canvas.name_rows(
        [
            f"{name}  {of}n {n}"
            for name, of, n in zip(labels, said, numbers, strict=False)
        ]
    )
    ends = drawn[["score", "ci_low", "ci_high"]].to_numpy(dtype=float)
    draw_dots(
        canvas,
        ends,
        filled=drawn["could_be_best"].tolist(),
        colours=[style(0).colour] * len(drawn),
        share=scores.shares,
    )
    canvas.label_x(drawable(scores.heading))
    return canvas.finish(table, height=ROW * len(drawn))
