"""Groups: the trials that a plot tells apart, in the order and look of their value."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from promptlab.notebook.colours import Mark, mark
from promptlab.notebook.plots.lettering import cut, drawable, shown, told_apart, trials
from promptlab.notebook.trial_table import TrialTable, hashable
from promptlab.results.results import Results

BETWEEN = " · "

MOST = 60
"""How many groups are drawn; a plot of more could be neither read nor shown."""


@dataclass(frozen=True, eq=False)
class Group:
    """The trials of one value, or of one combination of values."""

    label: str
    mark: Mark
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
        return len(self.rows) - self.n

    def numbers(self, column: str) -> pd.Series[float]:
        """A column of the answered trials as numbers, NaN where there is none."""
        return numbers(self.answered, column)


@dataclass(frozen=True, eq=False)
class Groups:
    """All groups of a table, and what they have in common."""

    source: TrialTable
    names: tuple[str, ...]
    """The columns that tell them apart."""
    members: tuple[Group, ...]
    index: pd.Index[Any]
    """The values that tell them apart, for the plot's table."""

    def __iter__(self) -> Iterator[Group]:
        return iter(self.members)

    def __len__(self) -> int:
        return len(self.members)

    @property
    def labels(self) -> list[str]:
        return [group.label for group in self.members]

    @cached_property
    def answered(self) -> pd.DataFrame:
        """The rows of all trials that did not fail, drawn or not."""
        table = self.source.table
        return table[~failed(table)]

    def known(self, column: str) -> int:
        """For how many of those a column holds a number."""
        return int(numbers(self.answered, column).notna().sum())

    def unknown(self, what: str, known: int) -> list[str]:
        """A line on trials of which something is not known, if there are any."""
        n = len(self.answered)
        return [f"{what} unknown: {n - known:,} of {trials(n)}, left out"] * (known < n)

    @property
    def by(self) -> str:
        """`" by prompt · model"`, for a title."""
        return f" by {title(self.names)}" if self.names else ""

    @property
    def failures(self) -> list[str]:
        """A line on failed trials, if there are any."""
        asked = len(self.source.table)
        failed = asked - len(self.answered)
        return [f"{failed:,} of {trials(asked)} failed: left out"] * (failed > 0)

    @property
    def drawn(self) -> Groups:
        """The first of them, as many as can be drawn."""
        return replace(self, members=self.members[:MOST], index=self.index[:MOST])

    @property
    def undrawn(self) -> list[str]:
        """A line on those that are not drawn, if there are any."""
        if len(self) <= MOST:
            return []
        return [f"The first {MOST} of {len(self):,} are drawn; .table has all"]

    @property
    def pooled(self) -> list[str]:
        """A line on what varies within the groups, if anything does."""
        return self.within(self.names)

    def remarks(self, *more: str) -> list[str]:
        """Lines on what is pooled, failed and not drawn, and what more there is."""
        return [*self.pooled, *self.failures, *more, *self.undrawn]

    def within(self, told: Collection[str]) -> list[str]:
        """A line on what varies but for what the plot tells apart, if anything does."""
        within = [name for name in self.source.varying if name not in told]
        return [f"Pooled over {title(within, ', ')}"] if within else []

    @property
    def nothing(self) -> str:
        """Why there is nothing to draw; empty if there is something."""
        asked = len(self.source.table)
        if len(self.answered):
            return ""
        return f"All {trials(asked)} failed" if asked else "No trials"

    def table(self, row: Callable[[Group], Mapping[str, Any]]) -> pd.DataFrame:
        """A row for each group, under the values that tell them apart."""
        nobody = Group("", mark(0), self.source.table.iloc[:0])
        rows = [row(group) for group in self.members]
        return pd.DataFrame(rows, index=self.index, columns=list(row(nobody)))


def grouped(
    results: Results | pd.DataFrame, by: str | Sequence[str] | None = None
) -> Groups:
    """The trials in groups: by the columns given, or by the first parameter that
    varies.

    One column's groups stand in the order of its categories, else as they first
    appear, and so do their colours: a part of a table shows each value as the whole.

    Raises:
        SpecError: what is given is no table of trials, or lacks the columns.
    """
    source = TrialTable.of(results)
    names = tuple(dict.fromkeys(source.checked(by)))
    return Groups(source, names, *parted(source.table, names, source.parameters))


def parted(
    table: pd.DataFrame,
    names: Sequence[str],
    parameters: Collection[str] = (),
    *,
    whole: str = "all trials",
) -> tuple[tuple[Group, ...], pd.Index[Any]]:
    """The groups of a table by some of its columns, and their values as an index.

    A value that is missing is one that was not sent, in a column of `parameters`.
    """
    places = _places(table, names)
    order, first, counts = np.unique(places, return_index=True, return_counts=True)
    rows = np.split(  # of no rows at all it makes one part
        np.argsort(places, kind="stable"), np.cumsum(counts)[:-1]
    )
    missing = ["not sent" if name in parameters else "none" for name in names]
    values = zip(*(table[name].iloc[first] for name in names), strict=True)
    labels = [BETWEEN.join(map(shown, row, missing)) for row in values]
    labels = told_apart(labels if names else [whole] * len(order))
    members = tuple(
        Group(label, mark(place), table.iloc[part])
        for label, place, part in zip(labels, order.tolist(), rows, strict=False)
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
    return between.join(cut(drawable(str(name))) for name in names)


def failed(rows: pd.DataFrame) -> pd.Series[bool]:
    """Which of the trials have no answer."""
    if "error" in rows:
        return rows["error"].notna()
    return rows["output"].isna()


def _places(table: pd.DataFrame, names: Sequence[str]) -> np.ndarray:
    """For each row the place of its group."""
    if not names:
        return np.zeros(len(table), dtype=np.int64)
    if len(names) == 1:
        return _codes(table[names[0]])
    codes = pd.DataFrame(dict(enumerate(_codes(table[name]) for name in names)))
    return codes.groupby(list(codes), sort=False).ngroup().to_numpy()


def _codes(column: pd.Series[Any]) -> np.ndarray:
    """For each row the place of its value; a missing one of categories comes last."""
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
