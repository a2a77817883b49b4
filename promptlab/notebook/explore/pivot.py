"""Pivots: a measure of the trials, by the values of one or two columns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from promptlab.errors import SpecError, did_you_mean
from promptlab.formats import dollars
from promptlab.notebook.compare.comparison import Comparison, plain
from promptlab.notebook.facts import label, number, plain_text, seconds, share
from promptlab.notebook.trial_table import TrialTable
from promptlab.spec import flags

MOST_ROWS = 100
MOST_COLUMNS = 20
"""Values that a pivot shows; it says how many there are beside them."""

MOST_PLACES = 2_000_000
"""Rows × columns that are reckoned, though only the first are shown."""

FEW = 50
"""The most values of an input or a score by which trials are told apart."""

MEANS = (
    "output_tokens",
    "input_tokens",
    "cached_input_tokens",
    "reasoning_tokens",
    "latency_s",
    "cost_usd",
    "billed_usd",
)
"""The numbers that a run notes of each trial."""


@dataclass(frozen=True, eq=False)
class Measure:
    """A number of each trial, and how it is read."""

    name: str
    """`share of` something, a column, of which the mean is meant, or `trials`."""
    values: np.ndarray
    """NaN where it is not known."""
    said: Callable[[float], str]
    """A mean of them as a person reads it."""


@dataclass(frozen=True, eq=False)
class Groups:
    """Trials by the values of a column."""

    name: str
    codes: np.ndarray
    """The place among `labels` of each trial's value."""
    labels: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Pivot:
    """The means of a measure, by rows and columns; a last row and a last column hold
    those of all trials."""

    rows: Groups
    columns: Groups | None
    measure: Measure
    values: np.ndarray
    """NaN where no trial has the measure."""
    counts: np.ndarray
    """How many trials there are in each place."""
    known: np.ndarray
    """How many of them have the measure."""

    @property
    def shown(self) -> tuple[int, int]:
        """How many rows and columns are shown, without those of all trials."""
        rows, columns = (size - 1 for size in self.values.shape)
        return min(rows, MOST_ROWS), min(columns, MOST_COLUMNS)

    @cached_property
    def heat(self) -> np.ndarray:
        """How warm each place is, from 0 for the least to 1 for the most; NaN where
        there is nothing. Where all are alike, they are cool."""
        inner = self.values[:-1, :-1]
        known = inner[~np.isnan(inner)]
        low, high = (known.min(), known.max()) if len(known) else (0.0, 0.0)
        if high == low:
            return np.where(np.isnan(inner), np.nan, 0.0)
        scaled: np.ndarray = (inner - low) / (high - low)
        return scaled

    @property
    def table(self) -> pd.DataFrame:
        """The means as a table, without those of all trials."""
        columns = self.columns.labels if self.columns else (self.measure.name,)
        made = pd.DataFrame(
            self.values[:-1, :-1],
            index=pd.Index(self.rows.labels, name=self.rows.name),
            columns=pd.Index(columns, name=self.columns.name if self.columns else None),
        )
        return made

    def said(self, row: int, column: int) -> str:
        """The mean at a place as a person reads it; empty where there is none."""
        value = self.values[row, column]
        return "" if np.isnan(value) else self.measure.said(float(value))

    def places(self, row: int, column: int) -> np.ndarray:
        """The trials of a place, by their places in the table; -1 stands for all."""
        keep = np.ones(len(self.rows.codes), dtype=bool)
        if row >= 0:
            keep &= self.rows.codes == row
        if column >= 0 and self.columns is not None:
            keep &= self.columns.codes == column
        return np.flatnonzero(keep)

    def __repr__(self) -> str:
        by = (
            f"{self.rows.name} × {self.columns.name}"
            if self.columns
            else self.rows.name
        )
        return f"Pivot({self.measure.name} by {by})"


@dataclass(frozen=True, eq=False)
class Pivots:
    """What a table of trials can be pivoted by, and what of."""

    source: TrialTable

    @cached_property
    def dimensions(self) -> tuple[str, ...]:
        """The columns by which trials can be told apart, what varies first."""
        source, table = self.source, self.source.table
        fixed = [n for n in source.parameters if n not in source.varying]
        about = *source.inputs, "expected", *source.metadata
        few = [
            name
            for name in (*about, "finish_reason", *source.scores)
            if name in table and 1 < _distinct(table[name]) <= FEW
        ]
        repeat = ["repeat"] if _distinct_in(table, "repeat") > 1 else []
        return (*source.varying, "case", *repeat, *few, *fixed)

    @cached_property
    def measures(self) -> tuple[str, ...]:
        """The names of what can be measured, the most telling first."""
        table = self.source.table
        means = [n for n in MEANS if n in table and table[n].notna().any()]
        names = (
            *self._scores,
            *(["share as expected"] if self._right is not None else []),
            *means,
            *(["share failed", "share truncated"]),
            *(["share cached"] if "cached" in table else []),
            "trials",
        )
        return tuple(dict.fromkeys(names))

    def pivot(self, rows: str, columns: str | None, measure: str) -> Pivot:
        """The means of a measure by one or two columns.

        Raises:
            SpecError: there is no such column or measure, or both columns are one.
        """
        if rows == columns:
            raise SpecError(f"explore: rows and columns are both {rows!r}")
        down = self._groups(rows, "rows")
        across = self._groups(columns, "columns") if columns is not None else None
        measured = self._measure(measure)
        shape = (len(down.labels), len(across.labels) if across else 1)
        if shape[0] * shape[1] > MOST_PLACES:
            raise SpecError(
                f"explore: {rows} and {columns} have {shape[0]:,} × {shape[1]:,} "
                f"values; at most {MOST_PLACES:,} places are reckoned"
            )
        at = down.codes * shape[1] + (across.codes if across else 0)
        known = ~np.isnan(measured.values)

        def summed(at: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
            return _with_all(np.bincount(at, weights, shape[0] * shape[1]), shape)

        counts, there = summed(at), summed(at[known])
        sums = summed(at[known], measured.values[known])
        with np.errstate(invalid="ignore"):
            means = counts.astype(float) if measure == "trials" else sums / there
        values = np.where(there > 0, means, np.nan)
        return Pivot(down, across, measured, values, counts, there)

    def _groups(self, name: str, what: str) -> Groups:
        if name not in self.source.table:
            raise SpecError(
                f"explore: {what}: the table has no column {name!r}"
                + (
                    did_you_mean(name, self.dimensions)
                    or f"; it can be told apart by {', '.join(self.dimensions)}"
                )
            )
        return _groups(name, self.source.table[name])

    def _measure(self, name: str) -> Measure:
        if name not in self.measures:
            raise SpecError(
                f"explore: there is no measure {name!r}"
                + (
                    did_you_mean(name, self.measures)
                    or f"; there are {', '.join(self.measures)}"
                )
            )
        return Measure(name, self._values(name), _writer(name))

    def _values(self, name: str) -> np.ndarray:
        table = self.source.table
        if name == "trials":
            return np.ones(len(table))
        if name == "share as expected" and self._right is not None:
            return self._right
        if name == "share failed":
            failed = table["output"].isna()
            if "error" in table:
                failed |= table["error"].notna()
            return failed.to_numpy(dtype=float)
        if name == "share truncated":
            return flags.truncated(table).to_numpy(dtype=float)
        column = name.removeprefix("share ") if name not in table else name
        values: np.ndarray = table[column].to_numpy(dtype=float, na_value=np.nan)
        return values

    @cached_property
    def _right(self) -> np.ndarray | None:
        """Which trials gave what is expected, as the comparison has it; None where
        a column `right` decides."""
        try:
            comparison = Comparison.of(self.source)
        except SpecError:  # its places clash: nothing can be compared
            return None
        return None if comparison.criterion else comparison.right

    @property
    def _scores(self) -> list[str]:
        """The columns of scores that are numbers; of true and false, the share."""
        table = self.source.table
        return [
            f"share {name}" if pd.api.types.is_bool_dtype(table[name]) else name
            for name in self.source.scores
            if pd.api.types.is_numeric_dtype(table[name]) and table[name].notna().any()
        ]


def _groups(name: str, values: pd.Series[Any]) -> Groups:
    """A column by its values: numbers in their order, all else as they appear."""
    try:
        codes, distinct = pd.factorize(values, use_na_sentinel=False)
        known = [plain(value) for value in list(distinct)]
    except TypeError:  # lists and objects have no hash
        texts = np.array([plain_text(plain(value)) for value in values], dtype=object)
        codes, known = pd.factorize(texts)[0], list(dict.fromkeys(texts))
    if all(isinstance(v, (int, float)) or v is None for v in known):
        order = sorted(
            range(len(known)), key=lambda i: (known[i] is None, known[i] or 0)
        )
        codes, known = np.argsort(order)[codes], [known[i] for i in order]
    return Groups(name, codes.astype(np.int64), tuple(map(label, known)))


def _rank(value: float | None) -> tuple[bool, float]:
    return value is None, value or 0


def _with_all(flat: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Sums by place, with a last row and a last column that add them up."""
    inner = flat.reshape(shape)
    down = np.vstack([inner, inner.sum(axis=0)])
    return np.hstack([down, down.sum(axis=1, keepdims=True)])


def _writer(name: str) -> Callable[[float], str]:
    if name.startswith("share "):
        return lambda value: share(value, 1)
    if name == "latency_s":
        return seconds
    if name in ("cost_usd", "billed_usd"):
        return dollars
    return number


def _distinct(values: pd.Series[Any]) -> int:
    try:
        return int(values.nunique(dropna=False))
    except TypeError:
        return len(set(map(repr, values)))


def _distinct_in(table: pd.DataFrame, name: str) -> int:
    return _distinct(table[name]) if name in table else 0


def first_choice(pivots: Pivots) -> tuple[str, str | None, str]:
    """Rows, columns and a measure that most people want first."""
    varying = pivots.source.varying
    rows = varying[0] if varying else "case"
    columns = varying[1] if len(varying) > 1 else None
    return rows, columns, pivots.measures[0]
