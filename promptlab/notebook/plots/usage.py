"""What was used over time: money, tokens or requests, stacked for each day."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.container import BarContainer
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num
from matplotlib.ticker import (
    FixedFormatter,
    FixedLocator,
    FuncFormatter,
    Locator,
    MaxNLocator,
)

from promptlab.errors import SpecError, did_you_mean
from promptlab.notebook.plots.canvas import (
    CHARACTER,
    NARROWEST,
    STEPS,
    Canvas,
    font_size,
    points,
    text_style,
)
from promptlab.notebook.plots.figure import Plot
from promptlab.notebook.plots.groups import Group, numbers, split, title
from promptlab.notebook.plots.labels import Dollars, money, short
from promptlab.notebook.plots.rows import Column, add_legend
from promptlab.notebook.trial_table import TrialTable

PERIODS = {"hour": 1 / 24, "day": 1.0, "week": 7.0, "month": 30.0}
"""The columns that say when it was, and how many days one of them is."""

TOKENS = ("input_tokens", "output_tokens")

COUNTS = ("requests", "errors")
"""The counts beside the sums, if they are known."""

DATED = 14
"""The most periods that have a date each."""

FEWEST = 6
"""For how many periods there is room at least, so that a single bar is no wall."""

HEIGHT = 19.0
"""Of the axes, in font sizes, where the legend needs no more."""


def plot_usage(
    usage: pd.DataFrame,
    by: str | Sequence[str] | None = None,
    measure: str | None = None,
    *,
    ax: Axes | None = None,
) -> Plot | Axes:
    """What was used over time, stacked by model, with the sum of each period.

    `usage` has a row for each period and model: a column `hour`, `day`, `week` or
    `month`, or another one of dates or times; `model`, or what `by` names; and numbers
    such as `requests`, `errors`, `input_tokens`, `output_tokens`, `cost_usd`.

    `measure` is one of those numbers, or "tokens" for input and output together;
    without it `cost_usd` if that is known throughout, else tokens, else requests.

    Returns a figure, its `.table` the plotted values; or `ax`, if that is given.

    Raises:
        SpecError: there is no column of times, or none that `by` or `measure` names.
    """
    if not isinstance(usage, pd.DataFrame):
        raise SpecError(
            "expected a DataFrame with a row for each day and model, got "
            f"{type(usage).__name__}"
        )
    period, times = _times(usage)
    names = _names(usage, by)
    why = _not_cost(usage) if measure is None else ""
    measure = _measure(usage, measure)
    amounts = _amounts(usage, measure)
    per = f"per {period}" if period in PERIODS else "over time"
    noun = "Cost" if measure == "cost_usd" else title([measure.capitalize()])
    heading = f"{noun} {per}" + (f" by {title(names)}" if names else "")
    known = times.notna() & amounts.notna()
    usage = usage.reset_index(drop=True)
    groups, index, positions = split(usage, names)
    sums = amounts.groupby([times.where(known).rename(period), positions]).sum()
    table = sums.unstack().reindex(columns=range(len(groups)))
    table = table.fillna(0.0).set_axis(index, axis="columns")
    if not known.any():
        return Canvas.of(ax, heading).empty("Nothing was used", table)
    notes = [
        f"{int(missing.sum()):,} of {len(usage):,} rows have no {name}: left out"
        for name, missing in ((period, times.isna()), (measure, amounts.isna()))
        if missing.any()
    ]
    canvas = Canvas.of(ax, heading, [*notes, why] if why else notes)
    written = money if measure.endswith("_usd") else short
    days = _days(period, table)
    bars = _draw(canvas, groups, table, days, written)
    _date(canvas, table)
    legend = 0.0
    if names:
        columns = _columns(groups, table, measure, written)
        legend = add_legend(canvas, bars, [g.label for g in groups], columns)
    return canvas.finish(table, height=max(HEIGHT, legend))


def _times(usage: pd.DataFrame) -> tuple[str, pd.Series[Any]]:
    """The column that says when it was, as times without a zone."""
    dates = usage.select_dtypes(["datetime", "datetimetz"])
    for name in (*PERIODS, "time", *map(str, dates)):
        if name in usage:
            times = _as_times(usage[name].reset_index(drop=True))
            if times.notna().any() or usage[name].isna().all():
                return name, times
    raise SpecError(
        "plot_usage: the table has no column of dates or times; name it "
        f"{', '.join(PERIODS)} or time"
    )


def _as_times(column: pd.Series[Any]) -> pd.Series[Any]:
    """A column as times without a zone, NaT where it holds none."""
    if isinstance(column.dtype, pd.PeriodDtype):
        times: pd.Series[Any] = column.dt.to_timestamp()
    elif isinstance(column.dtype, pd.DatetimeTZDtype):
        times = column.dt.tz_localize(None)  # each as it was where it was written
    else:
        strings = column.astype(object).map(str, na_action="ignore")
        times = pd.to_datetime(strings, format="ISO8601", errors="coerce", utc=True)
        times = times.dt.tz_localize(None)
    return times


def _names(usage: pd.DataFrame, by: str | Sequence[str] | None) -> list[str]:
    if by is None:
        return ["model"] if "model" in usage else []
    return list(dict.fromkeys(TrialTable(usage).checked(by)))


def _measure(usage: pd.DataFrame, measure: str | None) -> str:
    known = [str(n) for n in usage if pd.api.types.is_numeric_dtype(usage[n])]
    if set(TOKENS) <= set(known):
        known.append("tokens")
    if measure is None:
        likely = ["tokens", "requests", *known]
        if "cost_usd" in known and usage["cost_usd"].notna().all():
            likely.insert(0, "cost_usd")
        measure = next((name for name in likely if name in known), "requests")
    if measure not in known:
        raise SpecError(
            f"measure: the table has no numbers {measure!r}"
            + (did_you_mean(measure, known) or f"; valid names: {', '.join(known)}")
        )
    return measure


def _not_cost(usage: pd.DataFrame) -> str:
    """Why the cost is not what is drawn, in a line, where that is known in part."""
    costs = usage["cost_usd"] if "cost_usd" in usage else pd.Series(dtype="float64")
    if not costs.isna().any() or costs.isna().all():
        return ""
    return (
        f"The cost of {int(costs.isna().sum()):,} of {len(usage):,} rows is not known; "
        'measure="cost_usd" draws the others'
    )


def _amounts(usage: pd.DataFrame, measure: str) -> pd.Series[float]:
    columns = TOKENS if measure == "tokens" and measure not in usage else (measure,)
    parts = [numbers(usage, name).reset_index(drop=True) for name in columns]
    return sum(parts[1:], parts[0])


def _columns(
    groups: Sequence[Group],
    table: pd.DataFrame,
    measure: str,
    written: Callable[[float], str],
) -> list[Column]:
    columns = [Column("total", table.sum(), written, strong=True)]
    for name in COUNTS:
        counts = [numbers(group.rows, name).sum() for group in groups]
        if name != measure and any(counts):
            columns.append(Column(name, counts, short))
    return columns


def _days(period: str, table: pd.DataFrame) -> float:
    """How many days lie between two bars."""
    if period in PERIODS:
        return PERIODS[period]
    return float(np.diff(_at(table)).min()) if len(table) > 1 else 1.0


def _at(table: pd.DataFrame) -> np.ndarray:
    """Where on the axis the periods are, in days."""
    return np.asarray(date2num(table.index))  # type: ignore[no-untyped-call]


def _draw(
    canvas: Canvas,
    groups: Sequence[Group],
    table: pd.DataFrame,
    days: float,
    written: Callable[[float], str],
) -> list[BarContainer]:
    """Draws the bars of each group, and the sums on top where there is room."""
    ax, theme = canvas.ax, canvas.theme
    at, below = _at(table), np.zeros(len(table))
    stacks = []
    for group, heights in zip(groups, table.to_numpy().T, strict=True):
        bars = ax.bar(
            at,
            heights,
            bottom=below,
            width=0.8 * days,
            color=group.style.colour,
            hatch=group.style.hatch,
            edgecolor=theme.ground,
            linewidth=0.6,
            label=group.label,
        )
        stacks.append(bars)
        below += heights
    slots = (at.max() - at.min()) / days + 2
    spare = max(1.0, (FEWEST - slots) / 2 + 1) * days
    ax.set_xlim(at.min() - spare, at.max() + spare)
    ax.set_ylim(0, below.max() * 1.1 or 1)
    ax.yaxis.set_major_locator(MaxNLocator(5, steps=STEPS))
    ticks = Dollars() if written is money else FuncFormatter(lambda y, _: short(y))
    ax.yaxis.set_major_formatter(ticks)
    canvas.grid("y")
    sums = [written(total) for total in below]
    room = NARROWEST if canvas.plot else 0.7 * points(ax.bbox.width, ax)
    if CHARACTER * font_size() * max(map(len, sums)) < room / max(slots, FEWEST):
        small: dict[str, Any] = {"fontsize": "small", "color": theme.text}
        ax.bar_label(bars, sums, padding=3, **small, **text_style())
    return stacks


def _date(canvas: Canvas, table: pd.DataFrame) -> None:
    """Writes the dates below the bars: below each one, unless they are many."""
    axis = canvas.ax.xaxis
    locator: Locator = FixedLocator(_at(table).tolist())
    if len(table) > DATED:
        locator = AutoDateLocator(tz="UTC", maxticks=8)  # type: ignore[no-untyped-call]
    axis.set_major_locator(locator)
    axis.set_major_formatter(
        FixedFormatter([_alone(table)])  # nothing else says of what year or day it is
        if len(table) == 1
        else ConciseDateFormatter(locator, tz="UTC")  # type: ignore[no-untyped-call]
    )
    axis.get_offset_text().set(**canvas.theme.small)


def _alone(table: pd.DataFrame) -> str:
    """The date of a single bar, and the time if its period is no whole day."""
    if table.index.name == "month":
        return f"{table.index[0]:%b %Y}"
    return f"{table.index[0]:%d %b %Y, %H:%M}".removesuffix(", 00:00").lstrip("0")
