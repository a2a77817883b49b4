"""Pivots: a measure of the trials, by the values of one or two columns."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from promptlab.analysis.scores import interval_by_group
from promptlab.errors import SpecError
from promptlab.formats import interval_text, label, share
from promptlab.notebook.compare.comparison import Comparison
from promptlab.notebook.trial_table import TrialTable, hint, measure_text
from promptlab.results import flags

MOST_ROWS = 100
MOST_COLUMNS = 20
"""The most values that a pivot shows; it says how many more there are."""

MOST_GROUPS = 2_000_000
"""Rows × columns that are computed, though only the first are shown."""

FEW = 50
"""The most values of an input or a score that trials are grouped by."""

MEANS = (
    *("output_tokens", "input_tokens", "cached_input_tokens", "reasoning_tokens"),
    *("latency_s", "cost_usd", "billed_usd"),
)
"""The numbers that a run records of each trial."""


@dataclass(frozen=True, eq=False)
class Grouping:
    """The trials grouped by the values of a column."""

    name: str
    """The name of the column; empty where all trials are one group."""
    codes: np.ndarray
    """The index among `labels` of each trial's value."""
    labels: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Pivot:
    """The means of a measure, by rows and columns; a last row and a last column hold
    those of all trials."""

    rows: Grouping
    columns: Grouping
    measure: str
    values: np.ndarray
    """NaN where no trial has the measure."""
    counts: np.ndarray
    """How many trials each group has."""
    known: np.ndarray
    """How many of them have a value of the measure."""
    low: np.ndarray
    high: np.ndarray
    """The ends of the 95 % interval of a score; NaN of any other measure."""

    @property
    def size(self) -> tuple[int, int]:
        """How many rows and columns there are, without those of all trials."""
        return len(self.rows.labels), len(self.columns.labels)

    @property
    def shown(self) -> tuple[int, int]:
        """How many of them are shown."""
        rows, columns = self.size
        return min(rows, MOST_ROWS), min(columns, MOST_COLUMNS)

    @cached_property
    def heat(self) -> np.ndarray:
        """The means scaled from 0 for the least to 1 for the most; all 0 where they are
        equal, NaN if one is missing."""
        inner = self.values[:-1, :-1]
        known = inner[~np.isnan(inner)]
        low, high = (known.min(), known.max()) if len(known) else (0.0, 0.0)
        scaled: np.ndarray = (inner - low) / ((high - low) or 1.0)
        return scaled

    @property
    def table(self) -> pd.DataFrame:
        """The means as a table, without those of all trials."""
        rows, columns = self.rows, self.columns
        return pd.DataFrame(
            self.values[:-1, :-1],
            index=pd.Index(rows.labels, name=rows.name),
            columns=pd.Index(columns.labels, name=columns.name or None),
        )

    def text(self, row: int, column: int) -> str:
        """The mean of a group as a person reads it; empty if it is missing."""
        value = float(self.values[row, column])
        if np.isnan(value):
            return ""
        of_share = self.measure.startswith("share ")
        if of_share or (self.scored and self.shares):
            return share(value)
        return measure_text(self.measure, value)

    @property
    def scored(self) -> bool:
        """Whether the measure is a score, which has an interval."""
        return not bool(np.isnan(self.low).all())

    def interval(self, row: int, column: int) -> str:
        """The ends of a group's interval, as `[61, 76]`; empty without one."""
        ends = self.low[row, column], self.high[row, column]
        if np.isnan(ends).any():
            return ""
        whole = interval_text(self.values[row, column], *ends, share=self.shares)
        return whole[whole.index("[") :]

    @property
    def shares(self) -> bool:
        """Whether all means lie between 0 and 1, as those of shares do."""
        known = self.values[~np.isnan(self.values)]
        return bool(len(known)) and known.min() >= 0 and known.max() <= 1

    def positions(self, row: int, column: int) -> np.ndarray:
        """The table's positions of a group's trials; -1 means all rows or columns."""
        keep = np.ones(len(self.rows.codes), dtype=bool)
        if row >= 0:
            keep &= self.rows.codes == row
        if column >= 0:
            keep &= self.columns.codes == column
        return np.flatnonzero(keep)

    def __repr__(self) -> str:
        by = " × ".join(filter(None, (self.rows.name, self.columns.name)))
        return f"Pivot({self.measure} by {by})"


@dataclass(frozen=True, eq=False)
class Pivots:
    """The columns that a table of trials can be grouped by, its measures and pivots."""

    trials: TrialTable

    @cached_property
    def dimensions(self) -> tuple[str, ...]:
        """The columns by which trials can be grouped, those that vary first."""
        trials, table = self.trials, self.trials.table
        about = *trials.schema.inputs, "expected", *trials.schema.metadata
        few = [
            name
            for name in (*about, "finish_reason", *trials.schema.scores)
            if name in table and 1 < len(trials.coded(name).values) <= FEW
        ]
        repeat = ["repeat"] if trials.repeated else []
        fixed = [n for n in trials.parameters if n not in trials.varying]
        return (*trials.varying, "case", *repeat, *few, *fixed)

    @cached_property
    def measures(self) -> tuple[str, ...]:
        """The names of what can be measured, scores first."""
        table = self.trials.table
        names = (
            *self._scores,
            *(["share as expected"] if self._right is not None else []),
            *(n for n in MEANS if n in table and table[n].notna().any()),
            *("share failed", "share truncated"),
            *(["share cached"] if "cached" in table else []),
            "trials",
        )
        return tuple(dict.fromkeys(names))

    @property
    def first_choice(self) -> tuple[str, str | None, str]:
        """The rows, columns and measure that are shown first."""
        rows, columns, *_ = (*self.trials.varying, None, None)
        return rows or "case", columns, self.measures[0]

    def pivot(self, rows: str, columns: str | None, measure: str) -> Pivot:
        """The means of a measure by one or two columns.

        Raises:
            SpecError: there is no such column or measure, or both columns are one.
        """
        if rows == columns:
            raise SpecError(f"explore: rows and columns are both {rows!r}")
        down = self._grouping(rows, "rows")
        across = Grouping("", np.zeros_like(down.codes), (measure,))
        if columns is not None:
            across = self._grouping(columns, "columns")
        values = self._values(measure)
        height, width = len(down.labels), len(across.labels)
        if height * width > MOST_GROUPS:
            raise SpecError(
                f"explore: {rows} × {columns} has {height:,} × {width:,} groups; "
                f"expected at most {MOST_GROUPS:,}"
            )
        flat = down.codes * width + across.codes

        def grid(weights: np.ndarray | None = None) -> np.ndarray:
            """A sum for each group, then for each row, column and all trials."""
            sums = np.bincount(flat, weights, height * width).reshape(height, width)
            sums = np.vstack([sums, sums.sum(axis=0)])
            return np.column_stack([sums, sums.sum(axis=1)])

        counts, known = grid(), grid(~np.isnan(values))
        with np.errstate(invalid="ignore"):
            means = grid(np.where(np.isnan(values), 0.0, values)) / known
        low, high = np.full((2, *means.shape), np.nan)
        if measure == "trials":
            means = np.where(counts > 0, counts, np.nan)
        elif self._is_score(measure):
            means, low, high = self._scored(down, across, values)
        return Pivot(down, across, measure, means, counts, known, low, high)

    def _is_score(self, measure: str) -> bool:
        return measure in (*self._scores, "share as expected")

    def _scored(
        self, down: Grouping, across: Grouping, values: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The means of a score, and the ends of their intervals, clustered by case."""
        case = self.trials.coded("case").codes
        height, width = len(down.labels), len(across.labels)
        found = np.full((3, height + 1, width + 1), np.nan)
        none = np.zeros_like(case)
        for place, codes, size in (
            (
                np.s_[:, :height, :width],
                down.codes * width + across.codes,
                (height, width),
            ),
            (np.s_[:, :height, width], down.codes, (height,)),
            (np.s_[:, height, :width], across.codes, (width,)),
            (np.s_[:, height, width], none, ()),
        ):
            groups = int(np.prod(size))
            found[place] = np.stack(
                interval_by_group(codes, groups, case, values)
            ).reshape(3, *size)
        return found[0], found[1], found[2]

    def _grouping(self, name: str, argument: str) -> Grouping:
        """A column by its values: numbers by size, all else in order of appearance."""
        if name not in self.trials.table:
            raise SpecError(
                f"explore: {argument}: the table has no column {name!r}"
                + hint(name, self.dimensions)
            )
        coded = self.trials.coded(name)
        known, order = coded.values, np.arange(len(coded.values))
        if all(isinstance(v, (int, float)) or v is None for v in known):
            numbers = np.array([np.nan if v is None else v for v in known], dtype=float)
            order = np.argsort(numbers, kind="stable")  # what is missing comes last
        labels = tuple(label(known[index]) for index in order.tolist())
        return Grouping(name, np.argsort(order)[coded.codes], labels)

    def _values(self, measure: str) -> np.ndarray:
        """The measure of each trial, NaN where it is not known."""
        table = self.trials.table
        if measure not in self.measures:
            raise SpecError(
                f"explore: unknown measure {measure!r}{hint(measure, self.measures)}"
            )
        if measure == "trials":
            return np.ones(len(table))
        if measure == "share as expected" and self._right is not None:
            return self._right
        if measure == "share failed":
            errors = table.reindex(columns=["error"])["error"]
            return (table["output"].isna() | errors.notna()).to_numpy(dtype=float)
        if measure == "share truncated":
            return flags.truncated(table).to_numpy(dtype=float)
        column = measure.removeprefix("share ") if measure not in table else measure
        numbers = self.trials.numbers(column)
        lower = self.trials.schema.lower_is_better(column)
        if self._is_score(measure) and not lower and "error" in table:
            numbers = np.where(table["error"].notna(), 0.0, numbers)  # as everywhere
        return numbers

    @cached_property
    def _right(self) -> np.ndarray | None:
        """Which trials gave what is expected, as the comparison has it; None where
        a column `right` decides."""
        try:
            comparison = Comparison.of(self.trials)
        except SpecError:  # a trial is in the table twice: nothing can be compared
            return None
        return None if comparison.criterion else comparison.right

    @property
    def _scores(self) -> list[str]:
        """The columns of scores that are numbers; of true and false, the share."""
        table = self.trials.table
        return [
            f"share {name}" if pd.api.types.is_bool_dtype(table[name]) else name
            for name in self.trials.schema.scores
            if pd.api.types.is_numeric_dtype(table[name]) and table[name].notna().any()
        ]
