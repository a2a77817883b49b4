"""Two parameters against each other: a number for each combination of their values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Normalize, to_hex
from matplotlib.patches import Rectangle

from promptlab import formats
from promptlab.errors import SpecError, did_you_mean
from promptlab.notebook.colormap import text_on
from promptlab.notebook.figures import Plot
from promptlab.notebook.plots.figure_layout import (
    MARGIN,
    NARROWEST,
    WIDTH,
    Canvas,
    line_height,
    points,
    text_style,
    width_of,
)
from promptlab.notebook.plots.groups import (
    MOST,
    Groups,
    failed,
    grouped,
    numbers,
    title,
)
from promptlab.notebook.trial_table import TrialTable
from promptlab.results.results import Results

AGGREGATES = ("mean", "median", "min", "max", "sum")
"""What may be shown of a combination's trials."""

OTHERWISE = ("output_tokens", "latency_s")
"""What is shown if there is no score."""

SCALE = "cividis"
"""Perceptually uniform, and nearly the same to colour-blind readers."""

TILE = 4.4
"""How high a tile is, in sizes of letters."""

WIDEST, PADDING = 150.0, 12.0
"""How wide a tile is at most, and how much of it stays free at least, in points."""

SMALLEST = 5.0
"""The size of letters below which a tile stays without."""

TURN = 35
"""How far labels on top are turned, in degrees, if they are wider than their tiles."""


def plot_heatmap(
    results: Results | pd.DataFrame,
    rows: str | None = None,
    columns: str | None = None,
    value: str | None = None,
    aggregate: str = "mean",
    *,
    ax: Axes | None = None,
) -> Plot | Axes:
    """A tile for each combination of two parameters, with a number and its spread.

    `rows` and `columns` are the first two parameters that vary, unless given. `value`
    is any column of numbers or booleans; without it, the first score, else
    `output_tokens`. `aggregate` is mean, median, min, max or sum. Combinations without
    a value are hatched.

    Returns a figure, its `.table` the plotted values; or `ax`, if that is given.

    Raises:
        SpecError: there are no two parameters, or `value` is no column of numbers.
    """
    source = TrialTable.of(results)
    rows, columns = _two(source, rows, columns)
    value = _value(source, value)
    if aggregate not in AGGREGATES:
        raise SpecError(
            f"plot_heatmap: unknown aggregate {aggregate!r}"
            + did_you_mean(aggregate, AGGREGATES)
            + f"; valid names: {', '.join(AGGREGATES)}"
        )
    down, across = grouped(results, rows), grouped(results, columns)
    tiles = _tiles(down, across, value, aggregate)
    table = _table(down, across, tiles, value)
    heading = f"{aggregate.capitalize()} {title([value])} by {title([rows, columns])}"
    if why := down.nothing():
        return Canvas.of(ax, heading).empty(why, table)
    lines = down.pooled((rows, columns)), down.failures, down.undrawn, across.undrawn
    notes = [line for line in dict.fromkeys(lines) if line]
    canvas = Canvas.of(ax, heading, notes, above=10)
    down, across = down.drawn, across.drawn
    tiles = tiles.loc[(slice(MOST - 1), slice(MOST - 1)), :]
    written = _writer(source, value, aggregate)
    texts = _texts(tiles, written, aggregate)
    canvas.name_rows(down.labels)
    wide, size = _sizes(canvas, texts, len(down), len(across))
    _name_columns(canvas, across, wide)
    small = canvas.theme.small
    beside: dict[str, Any] = {"offset": (-8, 6), "ha": "right", "va": "bottom"}
    canvas.write(title(down.names), (0, 1), "axes fraction", **beside, **small)
    below: dict[str, Any] = {"offset": (0, -6), "va": "top"}
    explained = _explained(tiles, texts, written, aggregate, size)
    canvas.write(explained, (0, 0), "axes fraction", **below, **small)
    _draw(canvas, tiles["number"].to_numpy().reshape(len(down), -1), texts, size)
    height = TILE * line_height() * len(down)
    return canvas.finish(table, height=height, width=wide * len(across))


def _two(source: TrialTable, rows: str | None, columns: str | None) -> tuple[str, str]:
    """The two parameters: those given, else the first others, varying ones first."""
    for argument, given in (("rows", rows), ("columns", columns)):
        source.checked(given, argument=argument)
    others = dict.fromkeys((*source.varying, *source.parameters))
    free = (name for name in others if name not in (rows, columns))
    rows = rows if rows is not None else next(free, None)
    columns = columns if columns is not None else next(free, None)
    if rows is None or columns is None or rows == columns:
        raise SpecError(
            "plot_heatmap sets two columns against each other; name them with rows= "
            "and columns="
        )
    return rows, columns


def _value(source: TrialTable, value: str | None) -> str:
    """The column of numbers to show."""
    if value is None:
        shown = [n for n in (*source.scores, *OTHERWISE) if _has_numbers(source, n)]
        value = next((n for n in shown if source.table[n].notna().any()), OTHERWISE[0])
    source.checked(value, argument="value")
    if not _has_numbers(source, value):
        raise SpecError(
            f"plot_heatmap: the column {value!r} holds no numbers; value= takes one "
            "such as output_tokens, latency_s or a score"
        )
    return value


def _has_numbers(source: TrialTable, name: str) -> bool:
    if name not in source.table:
        return False
    column = source.table[name]
    if column.dtype == object:
        return all(
            pd.api.types.is_number(v) or v in (True, False) for v in column.dropna()
        )
    return pd.api.types.is_numeric_dtype(column)  # booleans are


def _tiles(down: Groups, across: Groups, value: str, aggregate: str) -> pd.DataFrame:
    """For each row and column: `number`, `sd`, `n` and how many `asked`."""
    table = down.source.table
    trials = pd.DataFrame(
        {
            "row": _positions(down),
            "column": _positions(across),
            "value": numbers(table, value).mask(failed(table)),
        }
    )
    both = trials.groupby(["row", "column"])["value"]
    everywhere = pd.MultiIndex.from_product([range(len(down)), range(len(across))])
    n = both.count().reindex(everywhere, fill_value=0)
    return pd.DataFrame(
        {
            "number": both.agg(aggregate).reindex(everywhere).where(n > 0),  # not 0
            "sd": both.std().reindex(everywhere),
            "n": n,
            "asked": both.size().reindex(everywhere, fill_value=0),
        }
    )


def _positions(groups: Groups) -> pd.Series[int]:
    """For each trial the position of its group."""
    sizes = [len(group.rows) for group in groups]
    trials = [trial for group in groups for trial in group.rows.index]
    return pd.Series(np.repeat(np.arange(len(groups)), sizes), index=trials, dtype=int)


def _table(
    down: Groups, across: Groups, tiles: pd.DataFrame, value: str
) -> pd.DataFrame:
    """The tiles under the values of the two parameters."""
    table = tiles.set_axis([value, "sd", "n", "asked"], axis="columns")
    at = np.array(tiles.index.to_list(), dtype=int).reshape(-1, 2)
    rows, columns = down.index.take(at[:, 0]), across.index.take(at[:, 1])
    table.index = pd.MultiIndex.from_arrays([rows, columns])
    return table


def _writer(source: TrialTable, value: str, aggregate: str) -> Callable[[float], str]:
    """How numbers of that column are written."""
    if pd.api.types.infer_dtype(source.table[value], skipna=True) == "boolean":
        return formats.number if aggregate == "sum" else formats.share
    if value.endswith("_usd"):
        return formats.dollars
    return formats.seconds if value.endswith("_s") else formats.number


def _texts(
    tiles: pd.DataFrame, written: Callable[[float], str], aggregate: str
) -> list[tuple[str, str]]:
    """For each tile its number, and below it the spread and the number of trials."""
    spread = aggregate == "mean" and written is not formats.share

    def text(tile: Any) -> tuple[str, str]:
        if not tile.n:
            return "", "failed" if tile.asked else "not asked"
        plus_minus = f"±{written(tile.sd)}  " * (spread and tile.n > 1)
        return written(tile.number), f"{plus_minus}n={tile.n:,}"

    return [text(tile) for tile in tiles.itertuples()]


def _name_columns(canvas: Canvas, across: Groups, wide: float) -> None:
    """Writes the values on top of the tiles, and above them what they are."""
    ax = canvas.ax
    ax.xaxis.tick_top()
    ax.set_xticks(range(len(across)), labels=across.labels, **text_style())
    ax.tick_params(axis="x", labelsize="medium", labelcolor=canvas.theme.text)
    labels = ax.get_xticklabels()
    if width_of(labels) > wide - PADDING / 2:
        for label in labels:
            label.set(rotation=TURN, rotation_mode="anchor", ha="left")
    canvas.label_x(title(across.names))
    ax.xaxis.set_label_position("top")


def _sizes(
    canvas: Canvas, texts: Sequence[tuple[str, str]], rows: int, columns: int
) -> tuple[float, float]:
    """How wide a tile is, and the size of letters in it.

    In a plot of its own a tile is as wide as its texts need, within limits; on given
    axes the letters are as small as they must be.
    """
    ax, size = canvas.ax, line_height()
    needed = _needed(canvas, texts)
    if canvas.plot is None:
        wide, high = ax.bbox.width / columns, ax.bbox.height / rows
        wide, high = points(wide, ax), points(high, ax)
        slots = float(columns)
    else:
        room = WIDTH - 2 * MARGIN - width_of(ax.get_yticklabels()) - 8
        wide, high = max(needed, min(WIDEST, room / columns)), TILE * size
        wide = max(min(wide, 2 * WIDTH / columns), NARROWEST / columns)
        slots = max(columns, room / wide)
    ax.set_xlim(-0.5, slots - 0.5)
    fits = min(1.0, wide / needed, high / (TILE * size - PADDING / 2))
    return wide, size * fits


def _needed(canvas: Canvas, texts: Sequence[tuple[str, str]]) -> float:
    """How wide a tile must be for its texts, in points."""
    number, below = (max(column, key=len) for column in zip(*texts, strict=True))
    bold: dict[str, Any] = {"weight": "bold", "fontsize": line_height() + 1}
    drawn = [
        canvas.write(number, (0, 0), **bold),
        canvas.write(below, (0, 0), fontsize=line_height() - 2),
    ]
    width = width_of(drawn) + PADDING
    for text in drawn:
        text.remove()
    return width


def _explained(
    tiles: pd.DataFrame,
    texts: Sequence[tuple[str, str]],
    written: Callable[[float], str],
    aggregate: str,
    size: float,
) -> str:
    """What the numbers are, or the colours if there is no room for numbers."""
    what = f"{aggregate} over the trials of each combination"
    if size >= SMALLEST:
        spread = any("±" in below for _, below in texts)
        return what + ", ± their standard deviation" * spread
    ends = tiles["number"].min(), tiles["number"].max()
    return f"{what}, from {written(ends[0])} (dark) to {written(ends[1])} (light)"


def _draw(
    canvas: Canvas,
    values: np.ndarray,
    texts: Sequence[tuple[str, str]],
    size: float,
) -> None:
    ax, theme = canvas.ax, canvas.theme
    rows, columns = values.shape
    known = np.ma.masked_invalid(values)
    scale = Normalize(known.min(), known.max()) if known.count() else Normalize(0, 1)
    ax.pcolormesh(
        np.arange(columns + 1) - 0.5,
        np.arange(rows + 1) - 0.5,
        known,
        cmap=SCALE,
        norm=scale,
        edgecolors=theme.ground,
        linewidth=2,
    )
    for (row, column), (number, below) in zip(
        np.ndindex(rows, columns), texts, strict=True
    ):
        if not number:
            _hatch(canvas, row, column)
            small: dict[str, Any] = {
                "color": theme.muted,
                "fontsize": max(size - 2, SMALLEST),
            }
            canvas.write(below, (column, row), ha="center", **small)
            continue
        ground = to_hex(colormaps[SCALE](scale(known[row, column])))
        style: dict[str, Any] = {"ha": "center", "color": text_on(ground)}
        if size >= SMALLEST:
            bold: dict[str, Any] = {"fontsize": size + 1, "weight": "bold"}
            canvas.write(number, (column, row + 0.08), va="bottom", **bold, **style)
        if size - 2 >= SMALLEST:
            at = column, row + 0.12
            canvas.write(below, at, va="top", fontsize=size - 2, **style)


def _hatch(canvas: Canvas, row: int, column: int) -> None:
    style: dict[str, Any] = {"fill": False, "linewidth": 0, "hatch": "////"}
    corner = (column - 0.485, row - 0.48)
    blank = Rectangle(corner, 0.97, 0.96, edgecolor=canvas.theme.faint, **style)
    canvas.ax.add_patch(blank)
