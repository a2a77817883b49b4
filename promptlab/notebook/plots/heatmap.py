"""Two parameters against each other: a number for each combination of their values."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Normalize, to_hex
from matplotlib.patches import Rectangle

from promptlab.errors import SpecError, did_you_mean
from promptlab.notebook.colours import text_on
from promptlab.notebook.figures import Plot
from promptlab.notebook.plots.groups import (
    MOST,
    Groups,
    failed,
    grouped,
    numbers,
    title,
)
from promptlab.notebook.plots.lettering import (
    fonts,
    money,
    number,
    percent,
    seconds,
    widest_pt,
)
from promptlab.notebook.plots.rows import name_rows
from promptlab.notebook.plots.sheet import (
    AS_IT_IS,
    MARGIN,
    NARROWEST,
    SMALL,
    TEXT,
    WIDTH,
    Sheet,
    size_of,
)
from promptlab.notebook.trial_table import TrialTable
from promptlab.results.results import Results

AGGREGATES = ("mean", "median", "min", "max", "sum")
"""What may be shown of a combination's trials."""

SCALE = "cividis"
"""Perceptually uniform, and nearly the same to colour-blind readers."""

TILE = 44.0
"""How high a tile is, in points."""

TURN = 35
TURN_SIN, TURN_COS = math.sin(math.radians(TURN)), math.cos(math.radians(TURN))
"""How far labels on top are turned, if they are wider than their tiles."""

OTHERWISE = ("output_tokens", "latency_s")
"""What is shown if there is no score."""

WIDEST, PADDING = 150.0, 12.0
"""How wide a tile is at most, and how much of it stays free at least."""

SMALLEST = 5.0
"""The size of letters below which a tile stays without."""


Texts = list[list[tuple[str, str]]]
"""For each tile, from left to right and from the top down, what is written in it."""


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
            f"plot_heatmap: there is no aggregate {aggregate!r}"
            + (did_you_mean(aggregate, AGGREGATES) or f"; use {', '.join(AGGREGATES)}")
        )
    down, across = grouped(results, rows), grouped(results, columns)
    tiles = _tiles(down, across, value, aggregate)
    table = _table(down, across, tiles, value)
    heading = f"{aggregate.capitalize()} {title([value])} by {title([rows, columns])}"
    if down.nothing:
        return Sheet.empty(ax, heading, down.nothing).done(table)
    lines = [
        *down.within((rows, columns)),
        *down.failures,
        *dict.fromkeys(down.undrawn + across.undrawn),
    ]
    down, across = down.drawn, across.drawn
    tiles = tiles.loc[(slice(MOST - 1), slice(MOST - 1)), :]
    written = _writer(source, value, aggregate)
    texts = _texts(tiles, written, aggregate, len(across))
    wide, size = _sizes(ax, down, across, texts)
    lines = [_explained(tiles, texts, written, aggregate, size), *lines]
    sheet = _sheet(ax, heading, down, across, lines, wide)
    _draw(sheet, tiles["number"].to_numpy().reshape(len(down), -1), texts, size)
    return sheet.done(table)


def _two(source: TrialTable, rows: str | None, columns: str | None) -> tuple[str, str]:
    """The two parameters: those given; for the rest the first others, varying ones
    before those that do not."""
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
    """For each place in rows and columns: `number`, `sd`, `n` and how many `asked`."""
    table = down.source.table
    trials = pd.DataFrame(
        {
            "row": _places(down),
            "column": _places(across),
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


def _places(groups: Groups) -> pd.Series[int]:
    """For each trial the place of its group."""
    sizes = [len(group.rows) for group in groups]
    trials = [trial for group in groups for trial in group.rows.index]
    return pd.Series(np.repeat(np.arange(len(groups)), sizes), index=trials, dtype=int)


def _table(
    down: Groups, across: Groups, tiles: pd.DataFrame, value: str
) -> pd.DataFrame:
    """The tiles under the values of the two parameters."""
    table = tiles.set_axis([value, "sd", "n", "asked"], axis="columns")
    places = np.array(tiles.index.to_list(), dtype=int).reshape(-1, 2)
    rows, columns = down.index.take(places[:, 0]), across.index.take(places[:, 1])
    table.index = pd.MultiIndex.from_arrays([rows, columns])
    return table


def _writer(source: TrialTable, value: str, aggregate: str) -> Callable[[float], str]:
    """How numbers of that column are written."""
    if pd.api.types.infer_dtype(source.table[value], skipna=True) == "boolean":
        return number if aggregate == "sum" else percent
    if value.endswith("_usd"):
        return money
    return seconds if value.endswith("_s") else number


def _texts(
    tiles: pd.DataFrame,
    written: Callable[[float], str],
    aggregate: str,
    columns: int,
) -> Texts:
    """The numbers, and below each the spread and the number of trials."""

    def text(tile: Any) -> tuple[str, str]:
        if not tile.n:
            return "", "failed" if tile.asked else "not asked"
        spread = aggregate == "mean" and written is not percent and tile.n > 1
        below = f"±{written(tile.sd)}  " * spread + f"n={tile.n:,}"
        return written(tile.number), below

    flat = [text(tile) for tile in tiles.itertuples()]
    return [flat[start : start + columns] for start in range(0, len(flat), columns)]


def _explained(
    tiles: pd.DataFrame,
    texts: Texts,
    written: Callable[[float], str],
    aggregate: str,
    size: float,
) -> str:
    """What the numbers are, or the colours if there is no room for numbers."""
    what = f"{aggregate.capitalize()} over the trials of each combination"
    if size >= SMALLEST:
        spread = any("±" in below for row in texts for _, below in row)
        return what + (", ± their standard deviation" if spread else "")
    ends = tiles["number"].min(), tiles["number"].max()
    return f"{what}, from {written(ends[0])} (dark) to {written(ends[1])} (light)"


def _sheet(
    ax: Axes | None,
    heading: str,
    down: Groups,
    across: Groups,
    lines: list[str],
    tile: float,
) -> Sheet:
    """The axes, with the values of the two parameters to the left and on top."""
    rows, columns = title(down.names), title(across.names)
    left, labels = _left(down), widest_pt(across.labels, TEXT)
    wide = tile * len(across)
    turned = labels > tile - 6
    sheet = Sheet.of(
        ax,
        heading,
        lines,
        height=TILE * len(down),
        left=left,
        right=max(_room(left) - wide, labels * TURN_COS if turned else 0.0),
        above=40.0 + (labels * TURN_SIN - 4 if turned else 0.0),
        below=4.0,
        narrowest=wide,
    )
    name_rows(sheet, down.labels)
    _name_columns(sheet, across.labels, turn=TURN if turned else 0)
    at = sheet.points_from(0, 1)
    sheet.small(-8, 12, rows, at, ha="right")
    sheet.small(0, sheet.above - 12, columns, at)
    return sheet


def _name_columns(sheet: Sheet, labels: Sequence[str], turn: int) -> None:
    ax = sheet.ax
    ax.xaxis.tick_top()
    style: dict[str, Any] = {"rotation": turn, "rotation_mode": "anchor"}
    style |= {"ha": "left" if turn else "center"} | fonts() | AS_IT_IS
    ax.set_xticks(range(len(labels)), labels=list(labels), **style)
    ax.tick_params(axis="x", length=0, labelsize=TEXT, labelcolor=sheet.ink.text)
    ax.set_xlim(-0.5, len(labels) - 0.5)


def _left(down: Groups) -> float:
    """How far the names of the rows reach."""
    names = widest_pt([title(down.names)], SMALL)
    return max(widest_pt(down.labels, TEXT), names) + 8


def _room(left: float) -> float:
    """What is left for the tiles in a figure that is as wide as all others."""
    return WIDTH - 2 * MARGIN - left


def _sizes(
    ax: Axes | None, down: Groups, across: Groups, texts: Texts
) -> tuple[float, float]:
    """How wide a tile is, and the size of letters in it.

    In a plot of its own a tile is as wide as its texts need, within limits; on given
    axes the letters are as small as they must be.
    """
    needed = _needed(texts)
    if ax is None:
        high, columns = TILE, len(across)
        wide = max(needed, min(WIDEST, _room(_left(down)) / columns))
        wide = max(min(wide, 2 * WIDTH / columns), NARROWEST / columns)
    else:
        all_wide, all_high = size_of(ax)
        wide, high = all_wide / len(across), all_high / len(down)
    return wide, TEXT * min(1.0, wide / needed, high / (TILE - PADDING / 2))


def _needed(texts: Texts) -> float:
    """How wide a tile must be for its texts, in points."""
    flat = [pair for row in texts for pair in row]
    numbers = widest_pt({number for number, _ in flat}, TEXT + 1, "bold")
    return max(numbers, widest_pt({below for _, below in flat}, SMALL - 1)) + PADDING


def _draw(sheet: Sheet, values: np.ndarray, texts: Texts, size: float) -> None:
    ax, ink = sheet.ax, sheet.ink
    rows, columns = values.shape
    known = np.ma.masked_invalid(values)
    scale = Normalize(known.min(), known.max()) if known.count() else Normalize(0, 1)
    ax.pcolormesh(
        np.arange(columns + 1) - 0.5,
        np.arange(rows + 1) - 0.5,
        known,
        cmap=SCALE,
        norm=scale,
        edgecolors=ink.ground,
        linewidth=2,
    )
    for row, column in np.ndindex(rows, columns):
        above, below = texts[row][column]
        if above:
            ground = to_hex(colormaps[SCALE](scale(known[row, column])))
            _write(sheet, (column, row), above, below, text_on(ground), size)
        else:
            _hatch(sheet, row, column)
            style = {"ha": "center", "fontsize": max(size - 2, SMALLEST)}
            sheet.small(column, row, below, ax.transData, **style)


def _write(
    sheet: Sheet,
    place: tuple[float, float],
    number: str,
    below: str,
    colour: str,
    size: float,
) -> None:
    """Writes in a tile what fits into it."""
    style: dict[str, Any] = {"ha": "center", "color": colour}
    x, y = place
    at = sheet.ax.transData
    if size >= SMALLEST:
        big: dict[str, Any] = {"fontsize": size + 1, "weight": "bold", "va": "bottom"}
        sheet.text(x, y + 0.08, number, at, **big, **style)
    if size - 2 >= SMALLEST:
        sheet.text(x, y + 0.12, below, at, fontsize=size - 2, va="top", **style)


def _hatch(sheet: Sheet, row: int, column: int) -> None:
    style: dict[str, Any] = {"fill": False, "linewidth": 0, "hatch": "////"}
    corner = (column - 0.485, row - 0.48)
    blank = Rectangle(corner, 0.97, 0.96, edgecolor=sheet.ink.faint, **style)
    sheet.ax.add_patch(blank)
