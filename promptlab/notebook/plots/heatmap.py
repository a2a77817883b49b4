"""Two parameters against each other: a number for each combination of their values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_hex

from promptlab import formats
from promptlab.analysis.scores import interval_by_group
from promptlab.errors import SpecError, did_you_mean
from promptlab.notebook.colormap import text_on
from promptlab.notebook.plots.canvas import (
    CHARACTER,
    Canvas,
    font_size,
    points,
    text_style,
)
from promptlab.notebook.plots.figure import Plot
from promptlab.notebook.plots.groups import (
    MOST,
    Groups,
    failed,
    grouped,
    numbers,
    title,
)
from promptlab.notebook.trial_table import TrialTable, measure_text
from promptlab.results.results import Results

AGGREGATES = ("mean", "median", "min", "max", "sum")
"""What may be shown of a combination's trials."""

OTHERWISE = ("output_tokens", "latency_s")
"""What is shown if there is no score."""

SCALE = "cividis"
"""Perceptually uniform, and nearly the same to colour-blind readers."""

TILE = 4.4
"""How high a tile is, in font sizes."""

SMALLEST = 5.0
"""The font size, in points, below which a tile has no text."""


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
    a value are hatched. The mean of a score has its 95 % interval, clustered by case.

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
    scored = aggregate == "mean" and value in source.schema.scores
    tiles = _tiles(down, across, value, aggregate)
    table = tiles.rename(columns={"number": value})
    if scored:
        tiles = _with_intervals(tiles, down, across, value)
        ends = tiles[["low", "high"]].add_prefix("ci_")
        table = table.assign(**{value: tiles["number"]}).join(ends)
    places = np.array(tiles.index.to_list(), dtype=int).reshape(-1, 2).T
    named = down.index.take(places[0]), across.index.take(places[1])
    table.index = pd.MultiIndex.from_arrays(named)
    heading = f"{aggregate.capitalize()} {title([value])} by {title([rows, columns])}"
    if why := down.nothing():
        return Canvas.of(ax, heading).empty(why, table)
    notes = down.notes(across.undrawn, names=across.names)
    down, across = down.drawn, across.drawn
    tiles = tiles.loc[(slice(MOST - 1), slice(MOST - 1)), :]
    written = _writer(source, value, aggregate)
    spread = aggregate == "mean" and written is not formats.share
    texts = [_text(tile, written, spread=spread) for tile in tiles.itertuples()]
    if scored:
        known = numbers(source.table, value).dropna()
        share = bool(known.between(0, 1).all())
        texts = [_score_text(tile, share=share) for tile in tiles.itertuples()]
    wide, size = _sizes(ax, texts, len(down), len(across))
    explained = f"{aggregate.capitalize()} over the trials of each combination"
    if size < SMALLEST:
        low, high = written(tiles["number"].min()), written(tiles["number"].max())
        explained += f", from {low} (dark) to {high} (light)"
    elif scored:
        explained = "Mean and 95 % interval, clustered by case, of each combination"
    elif any("±" in detail for _, detail in texts):
        explained += ", ± their standard deviation"
    canvas = Canvas.of(ax, heading, [explained, *dict.fromkeys(notes)])
    canvas.name_rows(down.labels)
    at: dict[str, Any] = {"offset": (-8, 6), "ha": "right", "va": "bottom"}
    canvas.write(title(down.names), (0, 1), "axes fraction", **at, **canvas.theme.small)
    _name_columns(canvas, across, wide)
    _draw(canvas, tiles["number"].to_numpy().reshape(len(down), -1), texts, size)
    width = max(wide, 2 * SMALLEST) * len(across)
    return canvas.finish(table, height=TILE * len(down), width=min(width, 1200.0))


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
    if value is None:
        shown = [
            n for n in (*source.schema.scores, *OTHERWISE) if _has_numbers(source, n)
        ]
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
    known = source.table[name].dropna().infer_objects()
    return known.empty or pd.api.types.is_numeric_dtype(known)  # booleans are


def _tiles(down: Groups, across: Groups, value: str, aggregate: str) -> pd.DataFrame:
    """For each row and column, by position: `number`, `sd`, `n`, how many `asked`."""
    table = down.source.table
    values = numbers(table, value).mask(failed(table))
    both = values.groupby([down.positions, across.positions])
    everywhere = pd.MultiIndex.from_product([range(len(down)), range(len(across))])
    tiles = both.agg([aggregate, "std", "count", "size"]).reindex(everywhere)
    tiles.columns = pd.Index(["number", "sd", "n", "asked"])
    tiles[["n", "asked"]] = tiles[["n", "asked"]].fillna(0).astype(int)
    return tiles.assign(number=tiles["number"].where(tiles["n"] > 0))  # not a sum of 0


def _with_intervals(
    tiles: pd.DataFrame, down: Groups, across: Groups, value: str
) -> pd.DataFrame:
    """The tiles of a score: its mean over cases, and `low` and `high` of each."""
    source = down.source
    values = numbers(source.table, value).mask(failed(source.table))
    found = interval_by_group(
        down.positions * len(across) + across.positions,
        len(down) * len(across),
        source.coded("case").codes,
        np.asarray(values, dtype=np.float64),
    )
    return tiles.assign(number=found.value, low=found.low, high=found.high)


def _writer(source: TrialTable, value: str, aggregate: str) -> Callable[[float], str]:
    if pd.api.types.infer_dtype(source.table[value], skipna=True) == "boolean":
        return formats.number if aggregate == "sum" else formats.share
    return partial(measure_text, value)


def _text(
    tile: Any, written: Callable[[float], str], *, spread: bool
) -> tuple[str, str]:
    """The number of a tile, and below it the spread and the number of trials."""
    if not tile.n:
        return "", "failed" if tile.asked else "not asked"
    plus_minus = f"±{written(tile.sd)}  " * (spread and tile.n > 1)
    return written(tile.number), f"{plus_minus}n={tile.n:,}"


def _score_text(tile: Any, *, share: bool) -> tuple[str, str]:
    """The score of a tile, and below it the interval and the number of trials."""
    if not tile.n:
        return _text(tile, str, spread=False)
    whole = formats.interval_text(tile.number, tile.low, tile.high, share=share)
    score, ends = whole.split(" ", 1)
    of = f" of {tile.asked:,}" * (tile.n < tile.asked)
    return score, f"{ends}  n={tile.n:,}{of}"


def _sizes(
    ax: Axes | None, texts: Sequence[tuple[str, str]], rows: int, columns: int
) -> tuple[float, float]:
    """How wide a tile is at least, in points, and the font size in it: as its texts
    need, but smaller on small axes and among many columns."""
    size = font_size()
    needed = CHARACTER * size * (2 + max(len(text) for pair in texts for text in pair))
    wide, high = min(needed, 1200.0 / columns), TILE * size
    if ax is not None:
        wide = points(ax.bbox.width / columns, ax)
        high = points(ax.bbox.height / rows, ax)
    return wide, size * min(1.0, wide / needed, high / (TILE * size - 6))


def _name_columns(canvas: Canvas, across: Groups, wide: float) -> None:
    """Writes the values below the tiles, turned if they are wider."""
    ax, longest = canvas.ax, max(map(len, across.labels))
    turned = longest * CHARACTER * font_size() > wide
    style = text_style()
    if turned:
        style |= {"rotation": 35, "rotation_mode": "anchor", "ha": "right"}
    ax.set_xticks(range(len(across)), labels=across.labels, **style)
    ax.tick_params(axis="x", labelsize="medium", labelcolor=canvas.theme.text)
    canvas.label_x(title(across.names))


def _draw(
    canvas: Canvas, values: np.ndarray, texts: Sequence[tuple[str, str]], size: float
) -> None:
    ax, theme = canvas.ax, canvas.theme
    rows, columns = values.shape
    edges = np.arange(columns + 1) - 0.5, np.arange(rows + 1) - 0.5
    style: dict[str, Any] = {"edgecolors": theme.ground, "linewidth": 2}
    mesh = ax.pcolormesh(*edges, np.ma.masked_invalid(values), cmap=SCALE, **style)
    for n, (number, detail) in enumerate(texts):
        row, column = divmod(n, columns)
        middle: dict[str, Any] = {"ha": "center", "color": theme.muted}
        if not number:
            blank: dict[str, Any] = {"hatch": "////", "edgecolor": theme.faint}
            ax.bar(column, 0.96, 0.97, row - 0.48, fill=False, linewidth=0, **blank)
            small = max(size - 2, SMALLEST)
            canvas.write(detail, (column, row), fontsize=small, **middle)
            continue
        middle["color"] = text_on(to_hex(tuple(mesh.to_rgba(values[row, column]))))
        if size >= SMALLEST:
            bold: dict[str, Any] = {"fontsize": size + 1, "weight": "bold"}
            canvas.write(number, (column, row + 0.08), va="bottom", **bold, **middle)
        if size - 2 >= SMALLEST:
            at = column, row + 0.12
            canvas.write(detail, at, va="top", fontsize=size - 2, **middle)
