"""Rows: a sheet with a name for each row, and columns of texts beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.transforms import blended_transform_factory

from promptlab.notebook.colours import Mark
from promptlab.notebook.plots.groups import Group
from promptlab.notebook.plots.lettering import fonts, widest_pt
from promptlab.notebook.plots.sheet import AS_IT_IS, SMALL, TEXT, Sheet

GAP = 14.0
"""Between columns, in points, as all lengths here."""

SWATCH = 7.0
"""The side of the square before a header."""

SHARE = 44.0
"""How long the bar of a share of 1 is."""


@dataclass(frozen=True)
class Column:
    """Texts beside the axes, one for each row."""

    header: str
    texts: Sequence[str]
    strong: bool = False
    swatch: str | None = None
    """A colour before the header, if the column says what it stands for."""
    shares: Sequence[tuple[float, Mark]] = ()
    """Bars before the texts, each from 0 to 1; none where the share is NaN."""

    @cached_property
    def width(self) -> float:
        """With the gap before it."""
        header = widest_pt([self.header], SMALL) + (SWATCH + 4 if self.swatch else 0)
        texts = widest_pt(self.texts, TEXT, self.weight)
        return GAP + max(header, texts + (SHARE + 5 if self.shares else 0))

    @property
    def weight(self) -> str:
        return "bold" if self.strong else "normal"


def counts(table: pd.DataFrame) -> Column:
    """The column that says of how many trials each row is made."""
    return Column("n", [f"{n:,}" for n in table["n"]])


def rows(
    ax: Axes | None,
    title: str,
    lines: Sequence[str],
    labels: Sequence[str],
    columns: Sequence[Column],
    *,
    height: float,
) -> Sheet:
    """A sheet with a row of that height for each label, the first on top."""
    sheet = Sheet.of(
        ax,
        title,
        lines,
        height=height * max(len(labels), 2) + 6,
        left=widest_pt(labels, TEXT) + 8,
        right=sum(column.width for column in columns),
        above=20.0,
    )
    name_rows(sheet, labels)
    if len(labels) == 1:
        sheet.ax.set_ylim(1, -1)  # or the row would be as high as two
    x = 0.0
    for column in columns:
        x += column.width
        _draw(sheet, column, x)
    return sheet


def name_rows(sheet: Sheet, labels: Sequence[str]) -> None:
    """Writes the labels to the left of the axes, from the top down."""
    ax = sheet.ax
    ax.set_yticks(range(len(labels)), labels=list(labels), **fonts(), **AS_IT_IS)
    ax.tick_params(axis="y", labelsize=TEXT, labelcolor=sheet.ink.text, pad=6)
    ax.set_ylim(len(labels) - 0.5, -0.5)


def leave_blank(sheet: Sheet, row: int, group: Group, unknown: str) -> None:
    """Says in a group's row why there is nothing: all failed, or what is unknown."""
    at = blended_transform_factory(sheet.ax.transAxes, sheet.ax.transData)
    why = unknown if group.n else "all failed"
    sheet.text(0.01, row, why, at, color=sheet.ink.muted)


def _draw(sheet: Sheet, column: Column, right: float) -> None:
    on_top = sheet.points_from(1, 1)
    beside = blended_transform_factory(sheet.points_from(1, 0), sheet.ax.transData)
    sheet.small(right, 4, column.header, on_top, ha="right", va="bottom")
    if column.swatch:
        left = right - widest_pt([column.header], SMALL) - SWATCH - 4
        sheet.box((left, 5.5), SWATCH, SWATCH, on_top, column.swatch)
    style: dict[str, Any] = {"ha": "right", "weight": column.weight}
    for row, text in enumerate(column.texts):
        sheet.text(right, row, text, beside, **style)
    corner = right - column.width + GAP
    for row, (share, mark) in enumerate(column.shares):
        if share == share:
            sheet.box((corner, row - 0.13), SHARE, 0.26, beside, sheet.ink.faint)
            sheet.box((corner, row - 0.13), SHARE * share, 0.26, beside, mark.colour)
