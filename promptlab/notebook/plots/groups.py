"""Groups: the trials that a plot compares, in the order and style of their value."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from promptlab.formats import NOT_SENT, counted
from promptlab.notebook.colormap import Style, style
from promptlab.notebook.plots.labels import drawable, label, shorten_middle, unique
from promptlab.notebook.trial_table import TrialTable, hashable
from promptlab.results.results import Results

BETWEEN = " · "

MOST = 60
"""How many groups are drawn; a plot of more could be neither read nor shown."""


@dataclass(frozen=True, eq=False)
class Group:
    """The trials of one value, or of one combination of values."""

    label: str
    style: Style
    rows: pd.DataFrame

    @cached_property
    def answered(self) -> pd.DataFrame:
        """The rows of the trials that did not fail."""
        return self.rows[~failed(self.rows)]

    @property
    def n(self) -> int:
        """How many trials were answered."""
        return len(self.answered)

    @property
    def failed(self) -> int:
        """How many trials failed."""
        return len(self.rows) - self.n

    def numbers(self, column: str) -> pd.Series[float]:
        """A column of the answered trials as numbers, NaN where there is none."""
        return numbers(self.answered, column)


@dataclass(frozen=True, eq=False)
class Groups:
    """All groups of a table, and what they have in common."""

    source: TrialTable
    names: tuple[str, ...]
    """The columns that the trials are grouped by."""
    members: tuple[Group, ...]
    index: pd.Index[Any]
    """The value of each group, for the plot's table."""

    def __iter__(self) -> Iterator[Group]:
        return iter(self.members)

    def __len__(self) -> int:
        return len(self.members)

    @property
    def labels(self) -> list[str]:
        """The label of each group."""
        return [group.label for group in self.members]

    @property
    def by(self) -> str:
        """`" by prompt · model"`, for a title."""
        return f" by {title(self.names)}" if self.names else ""

    @cached_property
    def answered(self) -> pd.DataFrame:
        """The rows of all trials that did not fail, drawn or not."""
        return self.source.table[~failed(self.source.table)]

    @property
    def drawn(self) -> Groups:
        """The first of them, as many as can be drawn."""
        return replace(self, members=self.members[:MOST], index=self.index[:MOST])

    def known(self, column: str) -> int:
        """For how many answered trials a column holds a number."""
        return int(numbers(self.answered, column).notna().sum())

    def nothing(self, unknown: str = "") -> str:
        """Why there is nothing to draw: no trials, all failed, or what is unknown."""
        asked = len(self.source.table)
        if len(self.answered):
            return unknown
        return f"All {counted(asked, 'trial')} failed" if asked else "No trials"

    def notes(self, *more: str) -> list[str]:
        """Lines on what is pooled, failed and not drawn, and those given."""
        lines = [self.pooled(self.names), self.failures, *more, self.undrawn]
        return [line for line in lines if line]

    def pooled(self, names: Collection[str]) -> str:
        """A line on the parameters that vary but are not among those names."""
        within = [name for name in self.source.varying if name not in names]
        return f"Pooled over {title(within, ', ')}" if within else ""

    @property
    def failures(self) -> str:
        """A line on failed trials, if there are any."""
        asked = len(self.source.table)
        count = asked - len(self.answered)
        return f"{count:,} of {counted(asked, 'trial')} failed: left out" * (count > 0)

    @property
    def undrawn(self) -> str:
        """A line on groups that are not drawn, if there are any."""
        line = f"The first {MOST} of {len(self):,} are drawn; .table has all"
        return line * (len(self) > MOST)

    def unknown(self, what: str, known: int) -> str:
        """A line on answered trials of which something is unknown, if there are any."""
        n = len(self.answered)
        line = f"{what} unknown: {n - known:,} of {counted(n, 'trial')}, left out"
        return line * (known < n)

    def table(self, row: Callable[[Group], Mapping[str, Any]]) -> pd.DataFrame:
        """A row for each group, under its value."""
        nobody = Group("", style(0), self.source.table.iloc[:0])
        rows = [row(group) for group in self.members]
        return pd.DataFrame(rows, index=self.index, columns=list(row(nobody)))


def grouped(
    results: Results | pd.DataFrame, by: str | Sequence[str] | None = None
) -> Groups:
    """The trials in groups: by the columns given, or by the first parameter that
    varies.

    One column's groups stand in the order of its categories, else as they first
    appear, and so do their styles: a part of a table shows each value as the whole.

    Raises:
        SpecError: what is given is no table of trials, or lacks the columns.
    """
    source = TrialTable.of(results)
    names = tuple(dict.fromkeys(source.checked(by)))
    return Groups(source, names, *split(source.table, names, source.parameters))


def split(
    table: pd.DataFrame,
    names: Sequence[str],
    parameters: Collection[str] = (),
    *,
    whole: str = "all trials",
) -> tuple[tuple[Group, ...], pd.Index[Any]]:
    """The groups of a table by some of its columns, and their values as an index.

    A value that is missing is one that was not sent, in a column of `parameters`.
    """
    codes = _group_codes(table, names)
    order, first, counts = np.unique(codes, return_index=True, return_counts=True)
    rows = np.split(  # of no rows at all it makes one part
        np.argsort(codes, kind="stable"), np.cumsum(counts)[:-1]
    )
    missing = [NOT_SENT if name in parameters else "none" for name in names]
    values = zip(*(table[name].iloc[first] for name in names), strict=True)
    labels = [BETWEEN.join(map(label, row, missing)) for row in values]
    labels = unique(labels if names else [whole] * len(order))
    members = tuple(
        Group(text, style(code), table.iloc[part])
        for text, code, part in zip(labels, order.tolist(), rows, strict=False)
    )
    return members, _index(table.iloc[first], names, whole)


def numbers(table: pd.DataFrame, column: str) -> pd.Series[float]:
    """A column as numbers, NaN where there is none, or no such column."""
    if column not in table:
        return pd.Series(np.nan, index=table.index, dtype="float64")
    found = pd.to_numeric(table[column], errors="coerce").astype("float64")
    return found.where(np.isfinite(found))


def title(names: Sequence[str], between: str = BETWEEN) -> str:
    """Names of columns, for a title."""
    return between.join(shorten_middle(drawable(str(name))) for name in names)


def failed(rows: pd.DataFrame) -> pd.Series[bool]:
    """Which of the trials have no answer."""
    return rows["error"].notna() if "error" in rows else rows["output"].isna()


def _group_codes(table: pd.DataFrame, names: Sequence[str]) -> np.ndarray:
    """For each row the number of its group."""
    if not names:
        return np.zeros(len(table), dtype=np.int64)
    columns = pd.DataFrame({n: _codes(table[name]) for n, name in enumerate(names)})
    if len(names) == 1:
        return columns[0].to_numpy()
    return columns.groupby(list(columns), sort=False).ngroup().to_numpy()


def _codes(column: pd.Series[Any]) -> np.ndarray:
    """For each row the number of its value; a missing one of categories comes last."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        codes = column.cat.codes.to_numpy().astype(np.int64)
        return np.where(codes < 0, len(column.cat.categories), codes)
    return pd.factorize(hashable(column), use_na_sentinel=False)[0].astype(np.int64)


def _index(first: pd.DataFrame, names: Sequence[str], whole: str) -> pd.Index[Any]:
    """The values of each group's first row."""
    if not names:
        return pd.Index([whole] * len(first), name="all")
    columns = [_plain(hashable(first[name])) for name in names]
    if len(names) > 1:
        return pd.MultiIndex.from_arrays(columns, names=list(names))
    index: pd.Index[Any] = pd.Index(columns[0], name=names[0])
    return index


def _plain(column: pd.Series[Any]) -> pd.Series[Any]:
    """A column of categories as the values that they are."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return column.astype(column.cat.categories.dtype)
    return column
