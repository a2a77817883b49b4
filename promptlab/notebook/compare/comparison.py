"""Comparisons: the trials of a table side by side, in rows and columns.

A column is a value of the parameters that are compared, in the order they first
appear. A row is what all its outputs share: the case, the repeat, and the value of
every other parameter that varies. A position is where a trial is in the table.

A parameter that goes with the column, as those of one `zip` group do, is shown in the
column's heading and does not split rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from promptlab.errors import SpecError
from promptlab.formats import label, plain_text, valid
from promptlab.notebook.compare.criterion import Criterion
from promptlab.notebook.compare.marks import RowKey
from promptlab.notebook.trial_table import (
    Coded,
    TrialTable,
    first_of_each,
    hint,
)
from promptlab.results import flags
from promptlab.results.json_answers import LONGEST_INDENTED, indented
from promptlab.results.table import plain

MOST_COLUMNS = 200
"""The most columns of a comparison: more of them are a slip."""

MISSING = -1
"""The position of a trial that is not in the table."""

MEASURES = ("input_tokens", "output_tokens", "latency_s", "cost_usd")
"""The numbers that a run records of each trial, in the order they are shown."""

AS_EXPECTED = "as expected"
"""The name of the score that is 1 where an output is as expected, else 0."""

AT_ONCE = 20_000
"""Outputs that are processed together, so that memory stays flat."""


@dataclass(frozen=True)
class Column:
    """One column of a comparison: a value of the parameters that are compared."""

    labels: Mapping[str, Any]
    """Its label of each parameter that is compared."""
    also: Mapping[str, Any]
    """The labels of other parameters that vary, but not within this column."""

    @property
    def name(self) -> str:
        """The labels in one line."""
        return " · ".join(label(value) for value in self.labels.values())


@dataclass(frozen=True, eq=False)
class Comparison:
    """The trials of a table in rows and columns."""

    trials: TrialTable
    by: tuple[str, ...]
    """The parameters whose values are the columns."""
    others: tuple[str, ...]
    """The parameters that distinguish rows."""
    columns: tuple[Column, ...]
    positions: np.ndarray
    """Rows × columns: the position of each trial in the table, or `MISSING`."""
    criterion: Criterion | None
    """The score that decides which outputs are right; None where `expected` does."""
    _likeness: dict[tuple[int, ...], np.ndarray] = field(default_factory=dict)
    """The last answer of `likeness`: a view asks for the same again and again."""
    _of_rows: dict[str, Coded] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        trials: TrialTable,
        by: str | Sequence[str] | None = None,
        score: str | None = None,
        threshold: float | None = None,
    ) -> Comparison:
        """The comparison of a table by one or several of its columns.

        Raises:
            SpecError: there is no such column, it has too many values, two trials
                have the same row and column, or the score has no threshold.
        """
        names = _checked_by(trials, by)
        table = trials.table
        column, firsts = _grouped([trials.coded(n).codes for n in names])
        if len(firsts) > MOST_COLUMNS:
            raise SpecError(
                f"compare: expected at most {MOST_COLUMNS} values of "
                f"{' and '.join(names)}, got {len(firsts):,}"
            )
        varying = [n for n in trials.varying if n not in names]
        fixed = [n for n in varying if _goes_with(trials, n, names, column)]
        others = tuple(n for n in varying if n not in fixed)
        keys = [n for n in (*others, "case", "repeat") if n in table and n not in names]
        row, rows = _grouped([trials.coded(n).codes for n in keys], len(table))
        positions = _positions(row, column, (len(rows), len(firsts)))
        if isinstance(positions, tuple):
            raise SpecError(_duplicates(table, positions, (*names, *keys)))
        columns = tuple(_columns(table.iloc[firsts], names, fixed))
        criterion = Criterion.of(
            table, trials.schema.scores, score, threshold, trials.scorers
        )
        return cls(trials, names, others, columns, positions, criterion)

    def __len__(self) -> int:
        return len(self.positions)

    def __repr__(self) -> str:
        return f"Comparison({len(self):,} rows × {len(self.columns)})"

    @property
    def table(self) -> pd.DataFrame:
        """The table that is compared."""
        return self.trials.table

    @cached_property
    def first(self) -> np.ndarray:
        """The position of the first trial of each row."""
        end = len(self.table)
        positions = np.where(self.positions < 0, end, self.positions)
        return np.asarray(positions.min(axis=1, initial=end))

    @cached_property
    def outputs(self) -> pa.Array:
        """The output of each trial; null if it is missing."""
        return _texts(self.table["output"])

    def shown(self, positions: np.ndarray) -> pa.Array:
        """The outputs of some trials as they are shown: JSON indented."""
        texts = self.outputs.take(pa.array(positions))
        begins = pc.match_substring_regex(texts, r"^\s*[{\[]")
        short = pc.less_equal(pc.utf8_length(texts), LONGEST_INDENTED)
        are_json = pc.and_(begins, short).fill_null(False)
        found = texts.filter(are_json).to_pylist()
        written = pa.array(map(indented, found), texts.type)
        return pc.replace_with_mask(texts, are_json, written)

    @cached_property
    def errors(self) -> pa.Array:
        """The error of each trial; null where it did not fail."""
        if "error" not in self.table:
            return pa.nulls(len(self.table), pa.large_string())
        return _texts(self.table["error"])

    @cached_property
    def failed(self) -> np.ndarray:
        """Which trials failed: they have an error, or no output."""
        return bools(pc.or_(self.outputs.is_null(), self.errors.is_valid()))

    @cached_property
    def truncated(self) -> np.ndarray:
        """Which outputs `max_tokens` cut short."""
        return flags.truncated(self.table).to_numpy(dtype=bool)

    @cached_property
    def expected(self) -> Coded | None:
        """The expected output of each trial; None if the table has none."""
        if "expected" not in self.table:
            return None
        coded = self.trials.coded("expected")
        return coded if any(v is not None for v in coded.values) else None

    @cached_property
    def right(self) -> np.ndarray | None:
        """Which outputs are right: 1 or 0, NaN where that is not known.

        The criterion decides; without one, an output is right if it equals what is
        expected, or one of a list of such, apart from case and surrounding white space.
        A failed trial is not right. None where nothing decides.
        """
        if self.criterion is not None:
            met = self.criterion.applied(self.trials.numbers(self.criterion.column))
            return np.where(self.failed, 0.0, met)
        if self.expected is None:
            return None
        return self._as_expected(self.expected)

    @cached_property
    def scores(self) -> tuple[str, ...]:
        """The scores that columns can be compared by, the one that decides first;
        `AS_EXPECTED` is the share of outputs that are as expected."""
        first = () if self.criterion is None else (self.criterion.column,)
        numeric = [n for n in self.measures if n not in MEASURES]
        scored = [name for name in numeric if name in self.trials.scorers]
        expected = [AS_EXPECTED] * (not first and self.expected is not None)
        return tuple(dict.fromkeys([*first, *scored, *expected, *numeric]))

    def scored(self, name: str) -> np.ndarray:
        """A score of each trial, NaN where it is missing; a failed trial has 0, or none
        where lower is better."""
        if name == AS_EXPECTED and self.right is not None:
            return self.right
        worst = np.nan if self.lower_is_better(name) else 0.0
        return np.where(self.failed, worst, self.trials.numbers(name))

    def lower_is_better(self, name: str) -> bool:
        """Whether a low score is a good one."""
        return self.trials.schema.lower_is_better(name)

    @cached_property
    def case_codes(self) -> np.ndarray:
        """The number of each row's case."""
        if "case" in self.by:
            return np.arange(len(self))
        return self.of_rows("case").codes

    @cached_property
    def folds(self) -> np.ndarray | None:
        """The number of each row's fold, which holds the repeats of a case; None where
        no case was asked again, or the repeats are the columns."""
        if not self.trials.repeated or "repeat" in self.by:
            return None
        names = (n for n in (*self.others, "case") if n not in self.by)
        return _grouped([self.of_rows(n).codes for n in names], len(self))[0]

    def fold_of(self, row: int) -> np.ndarray:
        """The rows that are repeats of one, itself among them."""
        if self.folds is None:
            return np.array([row])
        order, starts = self._by_fold
        fold = int(self.folds[row])
        return np.asarray(order[starts[fold] : starts[fold + 1]])

    @cached_property
    def _by_fold(self) -> tuple[np.ndarray, np.ndarray]:
        """The rows by fold, and where each fold starts among them."""
        assert self.folds is not None
        counts = np.bincount(self.folds)
        return np.argsort(self.folds, kind="stable"), np.cumsum([0, *counts])

    def likeness(self, columns: Sequence[int]) -> np.ndarray:
        """Which outputs of a row are the same: for each column the index among
        `columns` of the first with this text, or `MISSING`. Failed trials are alike."""
        if (wanted := tuple(columns)) not in self._likeness:
            alike = _likeness(self.outputs, self.positions[:, list(wanted)])
            self._likeness.clear()
            self._likeness[wanted] = alike
        return self._likeness[wanted]

    @cached_property
    def measures(self) -> tuple[str, ...]:
        """The table's columns of numbers: what a run records, and scores."""
        return (
            *(n for n in MEASURES if n in self.table and self.table[n].notna().any()),
            *(n for n in self.trials.schema.scores if _is_number(self.table[n])),
        )

    def of_rows(self, name: str) -> Coded:
        """A column that is the same for all trials of a row."""
        if name not in self._of_rows:
            self._of_rows[name] = Coded.of(self.table[name].take(self.first))
        return self._of_rows[name]

    def key(self, row: int) -> RowKey:
        """What identifies a row in a later table, too."""
        position = self.first[row]
        fixed = {n for column in self.columns for n in column.also}.union(self.by)
        names = [n for n in self.trials.parameters if n not in fixed]

        def value(name: str) -> Any:
            known = name in self.table and name not in self.by
            return plain(self.table[name].iloc[position]) if known else None

        case = value("case")
        return RowKey(
            self.by,
            None if case is None else plain_text(case),
            value("repeat"),
            {name: value(name) for name in names},
        )

    def rows_of(self, case: str | None, repeat: int | None) -> Sequence[int]:
        """The rows of a case and a repeat, where these distinguish rows."""
        keep = np.ones(len(self), dtype=bool)
        for name, value in (("case", case), ("repeat", repeat)):
            if name in self.table and name not in self.by:
                coded = self.of_rows(name)
                keep &= coded.codes == coded.code_of(plain_text(value))
        rows: list[int] = np.flatnonzero(keep).tolist()
        return rows

    def column(self, given: Any) -> int:
        """The index of a column, by its label, or its labels where they are several.

        Raises:
            SpecError: there is no such column.
        """
        wanted = tuple(given) if isinstance(given, (tuple, list)) else (given,)
        shown = tuple(map(label, map(plain, wanted)))
        for index, column in enumerate(self.columns):
            if tuple(map(label, column.labels.values())) == shown:
                return index
        names = [column.name for column in self.columns]
        name = " · ".join(shown)
        raise SpecError(f"compare: no column {name!r}{hint(name, names)}")

    def _as_expected(self, expected: Coded) -> np.ndarray:
        choices = list(_choices(expected.values))
        longest = max(pc.max(pc.binary_length(texts)).as_py() or 0 for texts in choices)
        right = np.zeros(len(self.table), dtype=bool)
        for start in range(0, len(self.table), AT_ONCE):
            part = pc.utf8_trim_whitespace(self.outputs.slice(start, AT_ONCE))
            # Few outputs are as short as what is expected: only those are looked into.
            short = pc.less_equal(pc.binary_length(part), 3 * longest)
            near = np.flatnonzero(bools(short))
            given = _normalised(part.take(pa.array(near)))
            codes = pa.array(expected.codes[start : start + AT_ONCE][near])
            for texts in choices:
                right[start + near] |= bools(pc.equal(given, texts.take(codes)))
        unknown = np.array([value is None for value in expected.values])
        return np.where(unknown[expected.codes], np.nan, right)


def _checked_by(trials: TrialTable, by: str | Sequence[str] | None) -> tuple[str, ...]:
    names = trials.checked(by)
    if not names:
        raise SpecError("by: the table has no parameters to compare; name a column")
    if len(set(names)) < len(names):
        raise SpecError(f"by: a column is named twice in {', '.join(names)}")
    for name in names:
        if name in trials.schema.inputs or name in ("trial", "output", "expected"):
            raise SpecError(
                f"by: {name!r} is not a parameter; "
                f"valid names: {', '.join(trials.parameters)}"
            )
    return names


def _is_number(values: pd.Series[Any]) -> bool:
    return pd.api.types.is_numeric_dtype(values) and bool(values.notna().any())


def _goes_with(
    trials: TrialTable, name: str, by: Sequence[str], column: np.ndarray
) -> bool:
    """Whether a parameter has one value in each column.

    The experiment decides where it is known: the table of a run that was stopped early
    may not show it.
    """
    if trials.experiment is not None and set(by) <= set(trials.parameters):
        labels = [variant.labels for variant in trials.experiment.effective_variants]
        pairs = {tuple(repr(row.get(n)) for n in (*by, name)) for row in labels}
        return len(pairs) == len({pair[:-1] for pair in pairs})
    found = _grouped([column, trials.coded(name).codes])[1]
    return len(found) == len(np.unique(column))


def _grouped(
    keys: Iterable[np.ndarray], length: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """The group of each row, rows with equal keys being one group, in order of
    appearance; and the first row of each group."""
    group = np.zeros(length, dtype=np.int64)
    for number, codes in enumerate(keys):
        size = int(codes.max(initial=0)) + 1
        joined = codes if number == 0 else group * size + codes
        group = pd.factorize(joined)[0].astype(np.int64)
    return group, first_of_each(group)


def _positions(
    row: np.ndarray, column: np.ndarray, shape: tuple[int, int]
) -> np.ndarray | tuple[int, int]:
    """The position of each trial by row and column, or those of two with the same."""
    flat = row * shape[1] + column
    positions = np.full(shape[0] * shape[1], MISSING)
    positions[flat] = np.arange(len(flat))
    if len(clashes := np.flatnonzero(positions[flat] != np.arange(len(flat)))):
        return int(clashes[0]), int(positions[flat[clashes[0]]])
    return positions.reshape(shape)


def _duplicates(
    table: pd.DataFrame, positions: tuple[int, int], names: Iterable[str]
) -> str:
    one, other = positions
    shared = ", ".join(f"{n} {label(plain(table[n].iloc[one]))!r}" for n in names)
    return (
        f"compare: rows {one} and {other} of the table are the same trial "
        f"({shared}); if it holds several runs, add a column that names each, and "
        "compare by that"
    )


def _columns(
    firsts: pd.DataFrame, by: Sequence[str], fixed: Sequence[str]
) -> Iterator[Column]:
    labels = {n: [plain(v) for v in list(firsts[n])] for n in (*by, *fixed)}
    for i in range(len(firsts)):
        yield Column({n: labels[n][i] for n in by}, {n: labels[n][i] for n in fixed})


def _texts(values: pd.Series[Any]) -> pa.Array:
    """A column of strings as one Arrow array."""
    if isinstance(values.dtype, pd.StringDtype) or values.dtype == "category":
        given = pa.array(values.astype("str"), from_pandas=True)
        if isinstance(given, pa.ChunkedArray):
            given = given.combine_chunks()
        return given.cast(pa.large_string())
    missing = values.isna()
    return pa.array(
        [
            None if absent else valid(v) if isinstance(v, str) else label(plain(v))
            for v, absent in zip(values, missing, strict=True)
        ],
        pa.large_string(),
    )


def _likeness(outputs: pa.Array, positions: np.ndarray) -> np.ndarray:
    found = np.full(positions.shape, MISSING, dtype=np.int16)
    for start in range(0, len(positions), AT_ONCE):
        part = positions[start : start + AT_ONCE]
        alike = found[start : start + AT_ONCE]
        texts = []
        for column, at in enumerate(part.T):
            texts.append(outputs.take(pa.array(at, mask=at < 0)))
            alike[at >= 0, column] = column
            for before in range(column):
                both = (alike[:, column] == column) & (alike[:, before] == before)
                if both.any():
                    same = both & _same(texts[column], texts[before])
                    alike[same, column] = before
    return found


def _same(left: pa.Array, right: pa.Array) -> np.ndarray:
    both = pc.and_(left.is_null(), right.is_null())
    return bools(pc.or_(pc.equal(left, right).fill_null(False), both))


def bools(values: pa.Array) -> np.ndarray:
    """Booleans of Arrow as those of numpy, null as false."""
    given: np.ndarray = values.fill_null(False).to_numpy(zero_copy_only=False)
    return given


def _normalised(texts: pa.Array) -> pa.Array:
    return pc.utf8_lower(pc.utf8_trim_whitespace(texts.cast(pa.large_string())))


def _choices(expected: Sequence[Any]) -> Iterator[pa.Array]:
    """The first accepted output of each expected value, then the second of those that
    are lists, and so on; null where a value has no more."""
    accepted = [
        [] if v is None else list(map(label, v)) if isinstance(v, list) else [label(v)]
        for v in expected
    ]
    for choice in range(max(1, *map(len, accepted))):
        texts = [t[choice] if choice < len(t) else None for t in accepted]
        yield _normalised(pa.array(texts, pa.large_string()))
