"""Comparisons: the trials of a table side by side, as rows × columns of places.

A column is a value of the parameters that are compared, in the order they first
appear. A row is what all its outputs share: the case, the repeat, and the value of
every other parameter that varies. A place is the position of a trial in the table.

A parameter that goes with the column, as those of one `zip` group do, is told in the
column's heading and does not part the rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from promptlab.errors import SpecError, did_you_mean
from promptlab.formats import label, plain_text, valid
from promptlab.notebook.compare.criterion import Criterion
from promptlab.notebook.compare.marks import RowKey
from promptlab.notebook.trial_table import (
    Coded,
    TrialTable,
    first_of_each,
    plain,
)
from promptlab.spec import flags

MOST_COLUMNS = 200
"""More values than this are no columns to compare, but a slip."""

MISSING = -1
"""Stands in `places` for a trial that is not in the table."""

MEASURES = ("input_tokens", "output_tokens", "latency_s", "cost_usd")
"""The numbers that a run notes of each trial, in the order they are shown."""

AT_ONCE = 20_000
"""Outputs that are prepared together, so that memory stays flat."""


@dataclass(frozen=True)
class Column:
    """One value of what is compared."""

    labels: Mapping[str, Any]
    """By parameter."""
    also: Mapping[str, Any]
    """The other parameters that have one value in this column, where they vary."""

    @property
    def name(self) -> str:
        """Its labels in one line."""
        return " · ".join(label(value) for value in self.labels.values())


@dataclass(frozen=True, eq=False)
class Comparison:
    """The trials of a table, side by side."""

    trials: TrialTable
    by: tuple[str, ...]
    """The parameters whose values are the columns."""
    others: tuple[str, ...]
    """The parameters that tell rows apart."""
    columns: tuple[Column, ...]
    places: np.ndarray
    """Rows × columns: where in the table each trial is, or `MISSING`."""
    criterion: Criterion | None
    """The score that decides what is right; None where `expected` does."""

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
                would stand in the same place, or the score has no threshold.
        """
        names = _checked_by(trials, by)
        table = trials.table
        column, firsts = _grouped([trials.coded(n).codes for n in names])
        if len(firsts) > MOST_COLUMNS:
            raise SpecError(
                f"compare: {' and '.join(names)} have {len(firsts):,} values; "
                f"at most {MOST_COLUMNS} can be compared"
            )
        varying = [n for n in trials.varying if n not in names]
        fixed = [n for n in varying if _goes_with(trials, n, names, column)]
        others = tuple(n for n in varying if n not in fixed)
        keys = [n for n in (*others, "case", "repeat") if n in table and n not in names]
        row, rows = _grouped([trials.coded(n).codes for n in keys], len(table))
        places = _places(row, column, (len(rows), len(firsts)))
        if isinstance(places, tuple):
            raise SpecError(_told_twice(table, places, (*names, *keys)))
        columns = tuple(_columns(table.iloc[firsts], names, fixed))
        criterion = Criterion.of(table, trials.scores, score, threshold)
        return cls(trials, names, others, columns, places, criterion)

    def __len__(self) -> int:
        return len(self.places)

    def __repr__(self) -> str:
        return f"Comparison({len(self):,} rows × {len(self.columns)})"

    @property
    def table(self) -> pd.DataFrame:
        """The table that is compared."""
        return self.trials.table

    @cached_property
    def first(self) -> np.ndarray:
        """For each row, the place of one of its trials."""
        none = len(self.table)
        firsts: np.ndarray = np.where(self.places < 0, none, self.places).min(
            axis=1, initial=none
        )
        return firsts

    @cached_property
    def outputs(self) -> pa.Array:
        """The output of each trial; null where there is none."""
        return _texts(self.table["output"])

    @cached_property
    def errors(self) -> pa.Array:
        """Why each trial failed; null where it did not."""
        if "error" not in self.table:
            return pa.nulls(len(self.table), pa.large_string())
        return _texts(self.table["error"])

    @cached_property
    def failed(self) -> np.ndarray:
        """Which trials have no output."""
        return _bools(pc.or_(self.outputs.is_null(), self.errors.is_valid()))

    @cached_property
    def truncated(self) -> np.ndarray:
        """Which outputs were cut short by max_tokens."""
        return flags.truncated(self.table).to_numpy(dtype=bool)

    @cached_property
    def expected(self) -> Coded | None:
        """What is expected of each trial; None if the table does not say."""
        if "expected" not in self.table:
            return None
        coded = self.trials.coded("expected")
        return coded if any(v is not None for v in coded.values) else None

    @cached_property
    def right(self) -> np.ndarray | None:
        """Which outputs are right, as 1 and 0, NaN where that is not known.

        By the criterion; without one, an output is right if it is what is expected,
        or one of a list of such, apart from upper and lower case and white space around
        it. A failed trial is not right. None where nothing decides.
        """
        if self.criterion is not None:
            met = self.criterion.applied(self.trials.numbers(self.criterion.column))
            return np.where(self.failed, 0.0, met)
        if self.expected is None:
            return None
        return self._as_expected(self.expected)

    def likeness(self, columns: Sequence[int]) -> np.ndarray:
        """Which outputs of a row are the same: for each column the place among
        `columns` of the first that has this text, or `MISSING`. Failed trials are
        alike."""
        wanted = tuple(columns)
        if self._last_likeness.get("columns") != wanted:
            alike = _likeness(self.outputs, self.places[:, list(wanted)])
            self._last_likeness.update(columns=wanted, alike=alike)
        found: np.ndarray = self._last_likeness["alike"]
        return found

    @cached_property
    def measures(self) -> tuple[str, ...]:
        """The columns of numbers that a run notes of each trial, and of scores."""
        return (
            *(n for n in MEASURES if n in self.table and self.table[n].notna().any()),
            *(n for n in self.trials.scores if _is_number(self.table[n])),
        )

    def of_rows(self, name: str) -> Coded:
        """A column that is the same for all trials of a row."""
        if name not in self._of_rows:
            self._of_rows[name] = Coded.of(self.table[name].take(self.first))
        return self._of_rows[name]

    def key(self, row: int) -> RowKey:
        """What a row is."""
        place = self.first[row]
        fixed = {n for column in self.columns for n in column.also}
        names = [
            n for n in self.trials.parameters if n not in self.by and n not in fixed
        ]

        def value(name: str) -> Any:
            known = name in self.table and name not in self.by
            return plain(self.table[name].iloc[place]) if known else None

        case = value("case")
        return RowKey(
            self.by,
            None if case is None else plain_text(case),
            value("repeat"),
            {name: value(name) for name in names},
        )

    def rows_of(self, case: str | None, repeat: int | None) -> Sequence[int]:
        """The rows of a case and a repeat, where they tell rows apart."""
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
        known = ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")
        raise SpecError(
            f"compare: no column is {' · '.join(shown)!r}"
            + (did_you_mean(" · ".join(shown), names) or f"; there are {known}")
        )

    @cached_property
    def _last_likeness(self) -> dict[str, Any]:
        """The last answer of `likeness`: a view asks for the same again and again."""
        return {}

    @cached_property
    def _of_rows(self) -> dict[str, Coded]:
        return {}

    def _as_expected(self, expected: Coded) -> np.ndarray:
        choices = list(_choices(expected.values))
        longest = max(pc.max(pc.binary_length(texts)).as_py() or 0 for texts in choices)
        right = np.zeros(len(self.table), dtype=bool)
        for start in range(0, len(self.table), AT_ONCE):
            part = pc.utf8_trim_whitespace(self.outputs.slice(start, AT_ONCE))
            # Few outputs are as short as what is expected: only those are looked into.
            short = pc.less_equal(pc.binary_length(part), 3 * longest)
            near = np.flatnonzero(_bools(short))
            given = _normalised(part.take(pa.array(near)))
            codes = pa.array(expected.codes[start : start + AT_ONCE][near])
            for texts in choices:
                right[start + near] |= _bools(pc.equal(given, texts.take(codes)))
        unknown = np.array([value is None for value in expected.values])
        return np.where(unknown[expected.codes], np.nan, right)


def _checked_by(trials: TrialTable, by: str | Sequence[str] | None) -> tuple[str, ...]:
    names = trials.checked(by)
    if not names:
        raise SpecError("by: the table has no parameter to compare; name a column")
    if len(set(names)) < len(names):
        raise SpecError(f"by: a column is named twice in {', '.join(names)}")
    for name in names:
        if name in trials.inputs or name in ("trial", "output", "expected"):
            raise SpecError(
                f"by: {name!r} is no parameter, so it has nothing to compare; "
                f"the parameters are {', '.join(trials.parameters)}"
            )
    return names


def _is_number(values: pd.Series[Any]) -> bool:
    return pd.api.types.is_numeric_dtype(values) and bool(values.notna().any())


def _goes_with(
    trials: TrialTable, name: str, by: Sequence[str], column: np.ndarray
) -> bool:
    """Whether a parameter has one value in each column.

    What is designed tells it, where that is known: of a run that was stopped early,
    the table may not.
    """
    if trials.experiment is not None and set(by) <= set(trials.parameters):
        labels = [variant.labels for variant in trials.experiment.effective_variants]
        pairs = {tuple(repr(row.get(n)) for n in (*by, name)) for row in labels}
        return len(pairs) == len({pair[:-1] for pair in pairs})
    pairs_there = _grouped([column, trials.coded(name).codes])[1]
    return len(pairs_there) == len(np.unique(column))


def _grouped(
    keys: Iterable[np.ndarray], length: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """What rows with equal keys have in common: the number of their group, in the
    order groups first appear, and for each group its first row."""
    group = np.zeros(length, dtype=np.int64)
    for number, codes in enumerate(keys):
        size = int(codes.max(initial=0)) + 1
        joined = codes if number == 0 else group * size + codes
        group = pd.factorize(joined)[0].astype(np.int64)
    return group, first_of_each(group)


def _places(
    row: np.ndarray, column: np.ndarray, shape: tuple[int, int]
) -> np.ndarray | tuple[int, int]:
    """The place of each trial by row and column, or two that would share one."""
    flat = row * shape[1] + column
    places = np.full(shape[0] * shape[1], MISSING)
    places[flat] = np.arange(len(flat))
    if len(clashes := np.flatnonzero(places[flat] != np.arange(len(flat)))):
        return int(clashes[0]), int(places[flat[clashes[0]]])
    return places.reshape(shape)


def _told_twice(
    table: pd.DataFrame, places: tuple[int, int], names: Iterable[str]
) -> str:
    shared = ", ".join(f"{n} {label(plain(table[n].iloc[places[0]]))!r}" for n in names)
    return (
        f"compare: rows {places[0]} and {places[1]} of the table are the same trial "
        f"({shared}); if it holds several runs, add a column that names each, and "
        "compare by that"
    )


def _columns(
    firsts: pd.DataFrame, by: Sequence[str], fixed: Sequence[str]
) -> Iterator[Column]:
    """The columns, from one trial of each."""
    labels = {n: [plain(v) for v in list(firsts[n])] for n in (*by, *fixed)}
    for i in range(len(firsts)):
        yield Column({n: labels[n][i] for n in by}, {n: labels[n][i] for n in fixed})


def _texts(values: pd.Series[Any]) -> pa.Array:
    """A column of texts as one Arrow array."""
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


def _likeness(outputs: pa.Array, places: np.ndarray) -> np.ndarray:
    found = np.full(places.shape, MISSING, dtype=np.int16)
    for start in range(0, len(places), AT_ONCE):
        part = places[start : start + AT_ONCE]
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
    """Where two texts are the same, or both are missing."""
    both = pc.and_(left.is_null(), right.is_null())
    return _bools(pc.or_(pc.equal(left, right).fill_null(False), both))


def _bools(values: pa.Array) -> np.ndarray:
    given: np.ndarray = values.fill_null(False).to_numpy(zero_copy_only=False)
    return given


def _normalised(texts: pa.Array) -> pa.Array:
    """Texts as they are compared with what is expected."""
    return pc.utf8_lower(pc.utf8_trim_whitespace(texts.cast(pa.large_string())))


def _choices(expected: Sequence[Any]) -> Iterator[pa.Array]:
    """For each value that is expected its first text, then the second of those that
    are lists, and so on, as they are compared; null where there is no further."""
    accepted = [
        [] if v is None else list(map(label, v)) if isinstance(v, list) else [label(v)]
        for v in expected
    ]
    for choice in range(max(1, *map(len, accepted))):
        texts = [t[choice] if choice < len(t) else None for t in accepted]
        yield _normalised(pa.array(texts, pa.large_string()))
