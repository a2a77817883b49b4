"""Trial tables: what a view shows, results or any table with the same columns."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pandas as pd
import pyarrow as pa

from promptlab.errors import PromptlabWarning, SpecError, did_you_mean
from promptlab.formats import dollars, number, plain_text, seconds
from promptlab.results.results import Results
from promptlab.results.schema import Schema
from promptlab.results.table import plain

if TYPE_CHECKING:
    from promptlab.results.record import Record
    from promptlab.spec.definition import Definition

NEEDED = ("trial", "case", "output")
"""The columns that every view needs."""


class Records(Protocol):
    """The records behind the rows of a table."""

    def __getitem__(self, position: int) -> Record: ...


@dataclass(frozen=True, eq=False)
class Part:
    """The records behind some of the rows."""

    records: Records
    positions: np.ndarray

    def __getitem__(self, position: int) -> Record:
        return self.records[int(self.positions[position])]


@dataclass(frozen=True)
class Passing:
    """What is right of a score, as its scorer says."""

    threshold: float | None = None
    """The least number that is right; None if nobody said."""
    lower_is_better: bool = False
    """Whether the threshold is the greatest number that is right."""


MOST_NAMES = 20
"""The most valid names in a message."""


@dataclass(frozen=True)
class Coded:
    """A column as distinct values and codes: `values[codes[i]]` is the i-th value."""

    codes: np.ndarray
    values: Sequence[Any]

    @classmethod
    def of(cls, values: pd.Series[Any]) -> Coded:
        """A column by its distinct values, in the order they first appear; None where
        one is missing."""
        try:
            codes, distinct = pd.factorize(values, use_na_sentinel=False)
        except TypeError:  # lists and objects have no hash
            texts = [plain_text(plain(value)) for value in values]
            codes = pd.factorize(np.array(texts, dtype=object))[0]
            return cls(codes, [plain(values.iloc[i]) for i in first_of_each(codes)])
        return cls(codes, [plain(value) for value in list(distinct)])

    def spread(self, numbers: np.ndarray) -> np.ndarray:
        """Numbers of the values as numbers of the rows."""
        return np.asarray(numbers[self.codes])

    def code_of(self, text: str) -> int:
        """The code of the value that reads so; -1 if none does."""
        return self._by_text.get(text, -1)

    @cached_property
    def _by_text(self) -> dict[str, int]:
        return {plain_text(value): code for code, value in enumerate(self.values)}

    @cached_property
    def texts(self) -> pa.Array:
        """The values as strings, those missing as null."""
        return pa.array(
            [None if v is None else plain_text(v) for v in self.values],
            pa.large_string(),
        )


@dataclass(frozen=True, eq=False)
class TrialTable:
    """A table of trials, and the roles of its columns."""

    table: pd.DataFrame
    """One row for each trial, with an index from 0."""
    experiment: Definition | None = None
    """The experiment, where it is known."""
    results: Records | None = None
    """The records of the trials, where the table is of results."""
    scorers: Mapping[str, Passing] = field(default_factory=dict)
    """By name, the scores that scorers gave, where the table is of results."""

    @classmethod
    def of(cls, given: Results | pd.DataFrame | TrialTable) -> TrialTable:
        """The table of results, or a table such as `read_results` gives, of polars too.

        Raises:
            SpecError: it is neither, or a column is missing.
        """
        if isinstance(given, TrialTable):
            return given
        if isinstance(given, Results):
            scorers = {
                name: Passing(column.threshold, column.lower_is_better)
                for name, column in given.score_columns.items()
                if column.numbers is not None
            }
            return cls(given.table, given.experiment, given, scorers)
        if to_pandas := getattr(given, "to_pandas", None):  # as of polars and Arrow
            given = to_pandas()
        if not isinstance(given, pd.DataFrame):
            raise SpecError(
                "expected Results, or a DataFrame with the columns of "
                f"Results.table, got {type(given).__name__}"
            )
        missing = [name for name in NEEDED if name not in given]
        if missing:
            raise SpecError(
                f"the table has no column {missing[0]!r}; a view needs "
                f"{', '.join(NEEDED)}, as Results.table has them"
            )
        table = given.reset_index(drop=True)
        table.columns = pd.Index([str(name) for name in given])
        if twice := table.columns[table.columns.duplicated()].tolist():
            raise SpecError(f"the table has two columns {twice[0]!r}; rename one")
        made = cls(table)
        if made.schema.note:
            warnings.warn(made.schema.note, PromptlabWarning, stacklevel=4)
        return made

    def part(self, positions: np.ndarray) -> TrialTable:
        """The table of the rows at some positions."""
        table = self.table.iloc[positions].reset_index(drop=True)
        records = None if self.results is None else Part(self.results, positions)
        return TrialTable(table, self.experiment, records, self.scorers)

    @cached_property
    def schema(self) -> Schema:
        """The role of each column."""
        return Schema.of(self.table)

    @property
    def parameters(self) -> tuple[str, ...]:
        """The columns of the grid's parameters."""
        return self.schema.parameters

    @cached_property
    def varying(self) -> tuple[str, ...]:
        """The parameters that have more than one value."""
        return tuple(n for n in self.parameters if len(self.values(n)) > 1)

    @cached_property
    def repeated(self) -> bool:
        """Whether any case was asked more than once."""
        return "repeat" in self.table and self.table["repeat"].nunique() > 1

    def coded(self, name: str) -> Coded:
        """A column by its distinct values."""
        if name not in self._coded:
            self._coded[name] = Coded.of(self.table[name])
        return self._coded[name]

    def values(self, name: str) -> Sequence[Any]:
        """The distinct values of a column, in the order they first appear; None where
        one is missing."""
        return self.coded(name).values

    def numbers(self, name: str) -> np.ndarray:
        """A column as numbers, NaN where one is missing."""
        return self.table[name].to_numpy(dtype="float64", na_value=np.nan)

    def checked(
        self, by: str | Sequence[str] | None, *, argument: str = "by"
    ) -> tuple[str, ...]:
        """The given columns, or the first parameter that varies.

        `argument` is the name of the argument in a message.

        Raises:
            SpecError: the table has no such column.
        """
        if by is None:
            return self.varying[:1] or self.parameters[:1]
        names = (by,) if isinstance(by, str) else _names(by, argument)
        for name in names:
            if name not in self.table:
                raise SpecError(
                    f"{argument}: the table has no column {name!r}"
                    + hint(name, self._names)
                )
        return names

    @cached_property
    def _coded(self) -> dict[str, Coded]:
        return {}

    @property
    def _names(self) -> list[str]:
        return [str(name) for name in self.table]


def _names(given: Any, argument: str) -> tuple[str, ...]:
    """A list of columns, as it is given."""
    if isinstance(given, (list, tuple)) and all(isinstance(n, str) for n in given):
        return tuple(given)
    message = f"{argument}: expected names of columns, got {type(given).__name__}"
    if isinstance(given, (Results, pd.DataFrame)):
        message += (
            "; to see two runs side by side: pl.compare({'today': a, 'before': b})"
        )
    raise SpecError(message)


def hint(name: str, names: Sequence[str]) -> str:
    """The end of a message on an unknown name: a likely one, or all that are valid."""
    more = ", ..." if len(names) > MOST_NAMES else ""
    known = ", ".join(names[:MOST_NAMES]) + more or "none"
    return did_you_mean(name, names) or f"; valid names: {known}"


def measure_text(name: str, value: float) -> str:
    """A number of a column as text, in the column's unit."""
    if name == "latency_s":
        return seconds(value)
    if name in ("cost_usd", "billed_usd"):
        return dollars(value)
    return number(value)


def first_of_each(codes: np.ndarray) -> np.ndarray:
    """Where each code first appears."""
    found: np.ndarray = np.flatnonzero(~pd.Series(codes).duplicated().to_numpy())
    return found
