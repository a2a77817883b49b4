"""Datasets: ordered cases with unique ids, the things a grid is asked about."""

from __future__ import annotations

import datetime
import hashlib
import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import orjson

from promptlab.errors import DatasetError, did_you_mean
from promptlab.spec.braces import normal
from promptlab.spec.stage import Source

if TYPE_CHECKING:
    import pandas as pd

DEEPEST = 100
"""How deep a value of a case may nest."""


@dataclass(frozen=True, slots=True)
class Case:
    """One row of a dataset."""

    id: str
    inputs: Mapping[str, Any]
    """What fills the holes of the prompts: JSON values by field name."""
    expected: Any = None
    """What a good answer is or holds; None if there is no such thing."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """What is carried along into the table and seen by no prompt, such as a source."""


class Dataset(Sequence[Case]):
    """Ordered cases with unique ids.

    Made from a list of dicts, a DataFrame (pandas, polars), a dataset of Hugging Face,
    or cases. The columns `id` and `expected` are special; every other one is an input.
    Without an `id` column the ids are "1", "2", and so on. The column `checks` lists
    scorers of one case, as a config writes them. A missing value (None, NaN) is None;
    an integer beyond 64 bits becomes a string of its digits. The columns named in
    `metadata` are carried along into the table, and are no inputs. Relative paths of
    images and files are looked for in `folder`, that of the file it is read from.

    Raises:
        DatasetError: no rows, a row that is not a mapping, an id twice or missing, a
            column of `metadata` that is not there, or a value JSON cannot hold.
    """

    def __init__(
        self,
        rows: Iterable[Mapping[str, Any] | Case] | pd.DataFrame,
        *,
        name: str = "dataset",
        metadata: Collection[str] = (),
        folder: Path | None = None,
        source: Source | None = None,
    ) -> None:
        self.name = name
        self.folder = folder
        """Where relative paths in its columns are looked for: that of its file."""
        self.source = source or Source()
        """The earlier stages whose answers it holds, as `Results.to_dataset` gives
        them."""
        self._cases = tuple(_cases(_rows(rows, name), name, metadata))
        if not self._cases:
            raise DatasetError(f"{name} has no cases")
        _check_unique(self._cases, name)
        self._check_there(metadata)

    @classmethod
    def from_file(
        cls,
        path: str | Path,
        *,
        encoding: str | None = None,
        metadata: Collection[str] = (),
    ) -> Dataset:
        """The cases in a CSV, Excel, JSONL, JSON, YAML or Parquet file."""
        from promptlab.files.datasets import read_dataset

        return read_dataset(path, cls, encoding=encoding, metadata=metadata)

    @overload
    def __getitem__(self, index: int) -> Case: ...
    @overload
    def __getitem__(self, index: slice) -> Dataset: ...
    def __getitem__(self, index: int | slice) -> Case | Dataset:
        if isinstance(index, slice):
            return self._like(self._cases[index], ())
        return self._cases[index]

    def __len__(self) -> int:
        return len(self._cases)

    def __iter__(self) -> Iterator[Case]:
        return iter(self._cases)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Dataset) and self._cases == other._cases

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        fields = ", ".join(self.fields)
        cases = "1 case" if len(self) == 1 else f"{len(self):,} cases"
        return f"Dataset({self.name!r}: {cases}; {fields})"

    @cached_property
    def fields(self) -> tuple[str, ...]:
        """The names of all inputs, in the order they first appear."""
        return tuple(dict.fromkeys(name for case in self for name in case.inputs))

    @cached_property
    def metadata(self) -> tuple[str, ...]:
        """The names of what is carried along, in the order they first appear."""
        return tuple(dict.fromkeys(name for case in self for name in case.metadata))

    @cached_property
    def has_expected(self) -> bool:
        """Whether any case says what is expected."""
        return any(case.expected is not None for case in self)

    @cached_property
    def digest(self) -> str:
        """The SHA-256 of the cases as JSON, in hexadecimal."""
        return hashlib.sha256(orjson.dumps(self.to_plain())).hexdigest()

    def with_inputs(self, /, **inputs: Any) -> Dataset:
        """The same cases, each with these inputs set."""
        carried = [name for name in self.metadata if name not in inputs]
        rows = [row | inputs for row in self.to_plain()]
        return self._like(rows, carried)

    def rename(self, names: Mapping[str, str]) -> Dataset:
        """The same cases with other names of columns: `{"prompt": "question"}`.

        What becomes `id` gives the ids, what becomes `expected` says what is expected.

        Raises:
            DatasetError: there is no such column, or two would have one name.
        """
        self._check_there(names)
        kept = [n for n in ("id", *self._columns) if n not in names]
        for new in names.values():
            if new != "id" and [*kept, *names.values()].count(new) > 1:
                raise DatasetError(f"{self.name}: two columns would be called {new!r}")
        left_out = {"id"} if "id" in names.values() else set()
        rows = [
            {names.get(n, n): v for n, v in row.items() if n not in left_out}
            for row in self.to_plain()
        ]
        made = self._like(rows, [names.get(n, n) for n in self.metadata])
        carried = tuple(names.get(n, n) for n in self.source.carried)
        case = names.get(self.source.case or "", self.source.case)
        made.source = replace(self.source, carried=carried, case=case)
        return made

    def to_plain(self) -> list[dict[str, Any]]:
        """One dict for each case: `id`, inputs, `expected` where given, metadata."""
        return [
            {"id": case.id, **case.inputs}
            | ({} if case.expected is None else {"expected": case.expected})
            | dict(case.metadata)
            for case in self
        ]

    def _like(self, rows: Iterable[Any], metadata: Collection[str]) -> Dataset:
        """Other rows under the name of this, from where it is."""
        return Dataset(
            rows,
            name=self.name,
            metadata=metadata,
            folder=self.folder,
            source=self.source,
        )

    @property
    def _columns(self) -> tuple[str, ...]:
        """The names of all columns but `id`."""
        expected = ("expected",) if self.has_expected else ()
        return (*self.fields, *expected, *self.metadata)

    def _check_there(self, columns: Iterable[str]) -> None:
        for column in columns:
            if column not in ("id", *self._columns):
                have = ", ".join(self._columns)
                raise DatasetError(
                    f"{self.name} has no column {column!r}"
                    + (did_you_mean(column, self._columns) or f"; it has {have}")
                )


CHECKS = "checks"
"""The column with the checks of each case; no prompt sees it."""

RESULT_COLUMNS = (
    "trial",
    "case",
    "repeat",
    "output",
    "finish_reason",
    "input_tokens",
    "cached_input_tokens",
    "output_tokens",
    "reasoning_tokens",
    "latency_s",
    "cost_usd",
    "billed_usd",
    "cached",
    "error",
    "key",
    "trial_status",
)
"""The columns that a run or a plan adds to the table; no input or parameter may take
their names, nor `model`, `prompt` and `system`, which every table has."""

REPLY_COLUMNS = ("tool_calls", "refusal", "reasoning")
"""The columns after `output`, each there where any reply says so. Where an input or a
parameter has one of these names, `reply_` is put before it."""


def _rows(rows: Any, name: str) -> Iterable[Mapping[str, Any] | Case]:
    """The rows in whatever holds some: a list, a DataFrame of pandas or polars, a table
    of Arrow, a dataset of Hugging Face, or what turns itself into one of pandas."""
    for method in ("to_dicts", "to_pylist"):  # polars, Arrow: as Python has the values
        if hasattr(rows, method):
            plain: list[Mapping[str, Any]] = getattr(rows, method)()
            return plain
    if isinstance(rows, (str, bytes, Mapping)):
        raise _no_rows(rows)
    if hasattr(rows, "itertuples"):
        return _of_frame(rows, name)
    if hasattr(rows, "to_pandas") and not _gives_rows(rows):
        return _of_frame(rows.to_pandas(), name)
    if not isinstance(rows, Iterable):
        raise _no_rows(rows)
    return rows


def _no_rows(given: Any) -> DatasetError:
    """What is said of what holds no rows; of several datasets, that it takes one."""
    parts = given.items() if isinstance(given, Mapping) else ()
    names = ", ".join(repr(n) for n, part in parts if hasattr(part, "to_pandas"))
    return DatasetError(
        "dataset: expected a list of dicts, a DataFrame or a file, "
        f"got {type(given).__name__}"
        + (f"; take one of its parts: {names}" * bool(names))
    )


def _gives_rows(rows: Any) -> bool:
    return isinstance(next(iter(rows), None), (Mapping, Case))


def _of_frame(frame: pd.DataFrame, name: str) -> Iterable[Mapping[str, Any]]:
    """The rows of a DataFrame. Of integers with a gap pandas makes floats; here
    they are integers again."""
    names = list(frame.columns)
    for twice in {column for column in names if names.count(column) > 1}:
        raise DatasetError(f"{name}: duplicate column {twice!r}")
    columns = [_with_gaps(frame[column].tolist()) for column in names]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def _with_gaps(values: list[Any]) -> list[Any]:
    if set(map(type, values)) != {float} or all(v == v for v in values):
        return values
    if not all(v != v or v.is_integer() for v in values):
        return values
    return [None if v != v else int(v) for v in values]


def _cases(
    rows: Iterable[Mapping[str, Any] | Case], name: str, metadata: Collection[str]
) -> Iterator[Case]:
    for special in {"id", "expected"} & set(metadata):
        raise DatasetError(f"{name}: {special!r} is no metadata")
    numbered: bool | None = None
    for number, row in enumerate(rows, start=1):
        if isinstance(row, Case):
            about = row.metadata
            row = {"id": row.id, **row.inputs, "expected": row.expected, **about}
        else:
            about = {}
        if not isinstance(row, Mapping):
            raise DatasetError(
                f"{name}, row {number}: expected a mapping, got {type(row).__name__}"
            )
        if numbered is None:
            numbered = "id" not in row
        carried = {CHECKS, *metadata, *about}
        yield _case(row, number, name, carried, numbered=numbered)


def _case(
    row: Mapping[str, Any],
    number: int,
    name: str,
    carried: Collection[str],
    *,
    numbered: bool,
) -> Case:
    where = f"{name}, row {number}"
    for column in row:
        if not isinstance(column, str) or not column:
            raise DatasetError(
                f"{where}: expected a string as a column's name, got {column!r}"
            )
    values = {
        normal(column): _plain(value, where, column) for column, value in row.items()
    }
    if len(values) < len(row):
        names = [normal(column) for column in row]
        twice = next(name for name in names if names.count(name) > 1)
        raise DatasetError(f"{where}: duplicate column {twice!r}")
    identity = values.pop("id", None)
    if numbered and identity is not None:
        raise DatasetError(f"{where} has an id, but the rows before it have none")
    if not numbered and (identity is None or identity == ""):
        raise DatasetError(f"{where} has no id; give every case one, or none")
    expected = values.pop("expected", None)
    metadata = {n: values.pop(n) for n in list(values) if n in carried}
    return Case(str(number if numbered else identity), values, expected, metadata)


def _plain(value: Any, where: str, column: str, depth: int = 0) -> Any:
    """`value` as JSON has it: numpy and pandas values become Python's own."""
    if depth > DEEPEST:
        raise DatasetError(
            f"{where}, column {column!r}: nested more than {DEEPEST} deep"
        )
    if value is None or isinstance(value, (str, bool, int)):
        if isinstance(value, str):
            _check_text(value, where, column)
        elif isinstance(value, int) and not -(2**63) <= value < 2**64:
            return _digits(value, where, column)
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, (datetime.date, datetime.time)):
        return None if value != value else value.isoformat()  # NaT is unequal to itself
    if isinstance(value, Mapping):
        return {str(k): _plain(v, where, column, depth + 1) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item, where, column, depth + 1) for item in value]
    if hasattr(value, "tolist"):  # numpy scalars and arrays
        return _plain(value.tolist(), where, column, depth)
    if type(value).__name__ == "NAType":
        return None
    raise DatasetError(
        f"{where}, column {column!r}: a {type(value).__name__} is not a JSON value; "
        "turn it into a string or a number first"
    )


def _digits(number: int, where: str, column: str) -> str:
    """A number that JSON of 64 bits does not hold, as a string of its digits."""
    try:
        return str(number)
    except ValueError as error:
        raise DatasetError(
            f"{where}, column {column!r}: the number is too large"
        ) from error


def _check_text(text: str, where: str, column: str) -> None:
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise DatasetError(
                f"{where}, column {column!r}: the text is not valid Unicode "
                f"(character {error.start + 1})"
            ) from error


def _check_unique(cases: Sequence[Case], name: str) -> None:
    seen: dict[str, int] = {}
    for number, case in enumerate(cases, start=1):
        if (first := seen.setdefault(case.id, number)) != number:
            raise DatasetError(
                f"{name}: id {case.id!r} is used twice, in rows {first} and {number}"
            )


def check_names(dataset: Dataset) -> None:
    """Raises `DatasetError` where the table could not have a column of the dataset
    beside its own, or where one seems to be misspelt."""
    name = dataset.name
    for column in (*dataset.fields, *dataset.metadata):
        if column in RESULT_COLUMNS or column in ("model", "prompt", "system"):
            new = f"{column}_text"
            raise DatasetError(
                f"{name}: a column cannot be called {column!r}, the name of a column "
                f"of the results; dataset.rename({{{column!r}: {new!r}}}) gives it "
                f"another, or in a config: {{file: ..., rename: {{{column}: {new}}}}}"
            )
        if column.strip().lower() in ("id", "expected") and column != "id":
            raise DatasetError(
                f"{name}: column {column!r}"
                + did_you_mean(column.lower(), ["id", "expected"])
            )
