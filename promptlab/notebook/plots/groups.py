"""Groups: the trials that a plot compares, in the order and style of their value."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from promptlab.formats import NOT_SENT, counted, plain_text
from promptlab.notebook.colormap import Style, style
from promptlab.notebook.plots.labels import drawable, label, shorten_middle, unique
from promptlab.notebook.trial_table import Coded, TrialTable
from promptlab.results.results import Results

BETWEEN, WHOLE = " · ", "all"
"""What stands between two values in a label; the label of a table without groups."""

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
        """A column of the answered trials as numbers; NaN if one is missing."""
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
    positions: np.ndarray
    """For each trial of the table the position of its group."""

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

    def nothing(self, column: str = "", what: str = "") -> str:
        """Why there is nothing to draw: no trials, all failed, or a column is empty."""
        if not (asked := len(self.source.table)):
            return "No trials"
        if not len(self.answered):
            return f"All {counted(asked, 'trial')} failed"
        unknown = column and not self.known(column)
        return f"The {what} of no trial is known" if unknown else ""

    def notes(self, *more: str, names: Collection[str] = ()) -> list[str]:
        """Lines on what is pooled, failed and not drawn, and those given.

        `names` are columns that the plot compares beside the groups.
        """
        asked = len(self.source.table)
        failures = asked - len(self.answered)
        pooled = [n for n in self.source.varying if n not in (*self.names, *names)]
        failed = f"{failures:,} of {counted(asked, 'trial')} failed: left out"
        lines = [
            f"Pooled over {title(pooled, ', ')}" * bool(pooled),
            failed * bool(failures),
            *more,
            self.undrawn,
        ]
        return [line for line in lines if line]

    @property
    def undrawn(self) -> str:
        """A line on groups that are not drawn, if there are any."""
        line = f"The first {MOST} of {len(self):,} are drawn; .table has all"
        return line * (len(self) > MOST)

    def unknown(self, column: str, what: str) -> str:
        """A line on answered trials that have no number in a column, if any."""
        n, known = len(self.answered), self.known(column)
        line = f"{what.capitalize()} unknown: {n - known:,} of {counted(n, 'trial')}"
        return f"{line}, left out" * (known < n)

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
    table: pd.DataFrame, names: Sequence[str], parameters: Collection[str] = ()
) -> tuple[tuple[Group, ...], pd.Index[Any], np.ndarray]:
    """The groups of a table by some of its columns, their values as an index, and for
    each row the position of its group.

    A value that is missing is one that was not sent, in a column of `parameters`.
    """
    codes = _codes(table, names)
    order, first, positions = np.unique(codes, return_index=True, return_inverse=True)
    values = table.iloc[first][list(names)]
    missing = [NOT_SENT if name in parameters else "none" for name in names]
    rows = zip(*(values[name] for name in names), strict=True)
    labels = [BETWEEN.join(map(label, row, missing)) for row in rows]
    parts = [part for _, part in table.groupby(positions)]
    labels = unique(labels or [WHOLE] * len(parts))
    members = map(Group, labels, map(style, order.tolist()), parts)
    if not names:
        everything = pd.Index([WHOLE] * len(parts), name="all")
        return tuple(members), everything, positions
    index = values.assign(**{name: _hashable(values[name]) for name in names})
    return tuple(members), index.set_index(list(names)).index, positions


def numbers(table: pd.DataFrame, column: str) -> pd.Series[float]:
    """A column as numbers; NaN if one is missing, or the column."""
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


def _codes(table: pd.DataFrame, names: Sequence[str]) -> np.ndarray:
    """For each row the number of its group."""
    codes = {n: _codes_of(table[name]) for n, name in enumerate(names)}
    if len(codes) > 1:
        return pd.DataFrame(codes).groupby([*codes], sort=False).ngroup().to_numpy()
    return codes[0] if codes else np.zeros(len(table), dtype=np.int64)


def _codes_of(column: pd.Series[Any]) -> np.ndarray:
    """For each row the number of its value; a missing one of categories comes last."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        codes = column.cat.codes.to_numpy().astype(np.int64)
        return np.where(codes < 0, len(column.cat.categories), codes)
    return Coded.of(column).codes.astype(np.int64)


def _hashable(column: pd.Series[Any]) -> pd.Series[Any]:
    """A column; lists and objects in it, which have no hash, as JSON."""
    if column.dtype != object:
        return column
    return column.map(lambda v: v if pd.api.types.is_hashable(v) else plain_text(v))
