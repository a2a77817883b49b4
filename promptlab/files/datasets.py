"""Datasets in files: CSV, Excel, JSON, YAML or Parquet, read into rows.

Whatever is wrong with a file is one error that says the file, the line, what was found
and what would do. Blank rows and columns are left out.
"""

from __future__ import annotations

import csv
import datetime
import io
import json
import re
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from promptlab.errors import ConfigError, DatasetError, PromptlabWarning, brief
from promptlab.files.promptfoo import with_checks
from promptlab.files.spreadsheets import excel_rows
from promptlab.files.text import ending_of, read_text
from promptlab.files.yaml_lines import YamlFile
from promptlab.paths import check_regular, user_path

Made = TypeVar("Made")

Rows = Sequence[Mapping[str, Any]]

ENDINGS = (".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".xlsx", ".parquet")
"""What files of rows end in; those of text may have `.gz` after it."""

QUOTED = re.compile(r'"[^"]*+"')
SEPARATOR_LINE = re.compile(r"\s*+sep=([,;\t])[ ]*(?:\n|\Z)", re.IGNORECASE)
"""The first line of a CSV file that says to Excel what separates its cells."""

UNSEEN = "\ufeff\u200b\u2060"
"""Characters without a width, which editors and websites leave beside names."""

CSV_HINTS = {
    "unexpected end of data": "; the quote that begins here is not closed",
    "expected after '\"'": "; put text that begins with a quote in quotes, and double "
    'each quote in it: """so"" it goes"',
}
"""What to do about what the csv module says."""


def read_dataset(
    path: str | Path,
    make: Callable[..., Made],
    *,
    encoding: str | None = None,
    metadata: Collection[str] = (),
) -> Made:
    """The dataset that `make`, such as `Dataset`, makes of the rows in a file; its
    ending says how they are written.

    CSV and TSV hold strings only; the other formats keep types. A blank cell is a
    missing value; blank rows are left out, with a warning.

    Raises:
        DatasetError: an unknown ending, a file that cannot be read, a row that is not
            a case; the message names the line.
    """
    path = user_path(path)
    try:
        rows = _rows(path, encoding or "utf-8-sig")
        rows = with_checks(rows, str(path))
    except ConfigError as error:
        raise DatasetError(str(error)) from error
    folder = path.absolute().parent
    return make(rows, name=path.name, metadata=metadata, folder=folder)


def _rows(path: Path, encoding: str) -> Rows:
    ending = ending_of(path)
    if ending in ENDINGS:
        return read_rows(path, encoding)
    if ending not in (".yaml", ".yml"):
        raise ConfigError(
            f"{path}: expected a {', '.join(ENDINGS)} or .yaml file, those of text "
            f"may be packed as in .csv.gz, got {ending or 'one without an ending'!r}"
        )
    rows = YamlFile.read(path, encoding).plain
    if not isinstance(rows, list):
        raise ConfigError(f"{path}: expected a list of cases, got {brief(rows)}")
    return rows


def read_rows(path: Path, encoding: str = "utf-8-sig") -> Rows:
    """The rows in a file, which its ending says how to read.

    CSV and TSV hold strings only, the others keep types. A blank cell is None where its
    column has values.

    Raises:
        ConfigError: the file is not valid; the message says the line.
    """
    ending = ending_of(path)
    if ending == ".parquet":
        return _read_parquet(path)
    if ending == ".xlsx":
        return _read_xlsx(path)
    text = read_text(path, encoding)
    if ending in (".csv", ".tsv"):
        return _read_csv(text, path, "\t" if ending == ".tsv" else None)
    return _read_json(text, path) if ending == ".json" else _read_jsonl(text, path)


def _read_csv(text: str, path: Path, delimiter: str | None) -> Rows:
    line = 1
    if delimiter is None and (said := SEPARATOR_LINE.match(text)):
        delimiter, line = said[1], 2
        text = text[said.end() :]
    bare = QUOTED.sub('""', text)
    first = bare.lstrip("\n").partition("\n")[0]
    delimiter = delimiter or max(",;\t", key=first.count)
    spaced = re.search(f'{delimiter} +"', bare) is not None
    records = _csv_records(text, path, delimiter, line, spaced=spaced)
    hint = f"; put quotes around text that holds {delimiter!r}"
    return _tabulated(records, path, "line", hint)


def _csv_records(
    text: str, path: Path, delimiter: str, line: int, *, spaced: bool
) -> Iterator[tuple[int, list[str]]]:
    """Each row, with the line that it begins on."""
    reader = csv.reader(
        io.StringIO(text, newline=""),
        delimiter=delimiter,
        strict=True,
        skipinitialspace=spaced,
    )
    before = line - 1
    usual = csv.field_size_limit(max(len(text), csv.field_size_limit()))
    try:
        for row in reader:
            yield line, row
            line = before + reader.line_num + 1
    except csv.Error as error:
        hint = next((h for said, h in CSV_HINTS.items() if said in str(error)), "")
        raise ConfigError(f"{path}, line {line}: {error}{hint}") from error
    finally:
        csv.field_size_limit(usual)


def _read_xlsx(path: Path) -> Rows:
    """The rows of a workbook's first sheet."""
    try:
        check_regular(path)
        cells = excel_rows(path)
    except Exception as error:  # openpyxl raises many kinds on a damaged file
        reason = (
            getattr(error, "strerror", None) or str(error) or "not an Excel workbook"
        )
        raise ConfigError(f"{path} cannot be read: {reason}") from error
    width = max(map(len, cells), default=0)
    records = [
        (number, [*map(_of_cell, row), *[None] * (width - len(row))])
        for number, row in enumerate(cells, start=1)
    ]
    return _tabulated(records, path, "row")


def _of_cell(value: Any) -> Any:
    """A cell's value; a day without a time is a day."""
    midnight = datetime.time()
    if isinstance(value, datetime.datetime) and value.time() == midnight:
        return value.date()
    return value


def _tabulated(
    records: Iterable[tuple[int, Sequence[Any]]], path: Path, unit: str, hint: str = ""
) -> Rows:
    """Rows under the names in the first of them, without what is blank throughout."""
    given = [(line, row) for line, row in records if row]
    filled = [(line, row) for line, row in given if not all(map(_is_blank, row))]
    if not filled:
        raise ConfigError(f"{path} is empty; its first {unit} names the columns")
    (top, head), *rest = filled
    for line, row in rest:
        if len(row) != len(head):
            raise ConfigError(
                f"{path}, {unit} {line}: {len(row)} fields, but the header has "
                f"{len(head)}{hint}"
            )
    if blank := len(given) - len(filled):
        rows = "1 blank row is" if blank == 1 else f"{blank:,} blank rows are"
        _note(f"{path}: {rows} left out")
    columns: dict[str, list[Any]] = {}
    for place, given_name in enumerate(head):
        values = [row[place] for _, row in rest]
        said = f"{path}, {unit} {top}: column {place + 1} has no name"
        name = str("" if given_name is None else given_name).strip().strip(UNSEEN)
        if not name.strip():
            _leave_out(values, said, first=not place)
        elif name in columns:
            raise ConfigError(f"{path}, {unit} {top}: duplicate column {name!r}")
        else:
            columns[name] = _without_blanks(name, values)
    return [
        dict(zip(columns, row, strict=True))
        for row in zip(*columns.values(), strict=True)
    ]


def _is_blank(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _without_blanks(name: str, values: list[Any]) -> list[Any]:
    """A column, None where it is blank; one that is blank throughout stays as it is,
    unless it is `expected`."""
    blank = list(map(_is_blank, values))
    if all(blank) and name != "expected":
        return values
    return [None if b else value for b, value in zip(blank, values, strict=True)]


def _leave_out(values: Sequence[Any], said: str, *, first: bool) -> None:
    """Leaves out a column without a name if nothing is lost with it."""
    if all(map(_is_blank, values)):
        return
    texts = {str(value) for value in values}
    if not first or len(texts) < len(values) or not all(map(str.isdecimal, texts)):
        raise ConfigError(f"{said}; give it one")
    _note(
        f"{said} and is left out: it looks like the index of a DataFrame, which "
        "to_csv(index=False) does not write"
    )


def _note(said: str) -> None:
    warnings.warn(said, PromptlabWarning, stacklevel=2)


def _read_jsonl(text: str, path: Path) -> Rows:
    rows = []
    start = 0
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            where = f"{path}, line {number}"
            try:
                rows.append(_object(_json(line, where), where))
            except ConfigError as error:
                if said := _over_lines(text, start, where):
                    raise ConfigError(said) from error
                raise
        start += len(line) + 1
    return rows


def _over_lines(text: str, start: int, where: str) -> str:
    """The problem of a JSON value that begins on a line and ends on a later one; empty
    if none does."""
    try:
        value, end = json.JSONDecoder().raw_decode(text, start)
    except (ValueError, RecursionError):
        return ""
    if text.find("\n", start, end) < 0:
        return ""
    if text[:start].strip() or text[end:].strip():
        return f"{where}: an object goes over several lines; JSONL has one on each line"
    wrapped = "" if isinstance(value, list) else "put [ ] around it and "
    return f"{where}: this is one JSON document; {wrapped}name the file .json"


def _read_json(text: str, path: Path) -> Rows:
    try:
        rows = _json(text, str(path))
    except ConfigError as error:
        if text.lstrip().startswith("{") and "Extra data" in str(error):
            raise ConfigError(
                f"{path} holds several JSON values, one on each line: that is JSONL; "
                "name the file .jsonl"
            ) from error
        raise
    if not isinstance(rows, list):
        raise ConfigError(f"{path}: expected a list of cases, got {brief(rows)}")
    return rows


def _json(text: str, where: str) -> Any:
    """A JSON value, with every digit of its integers. NaN, which Python's `json`
    writes too, is a number that is missing.

    Raises:
        ConfigError: it is not valid JSON, or has a key twice.
    """
    try:
        return json.loads(text, object_pairs_hook=_pairs)
    except json.JSONDecodeError as error:
        line = f", line {error.lineno}" if "\n" in text else ""
        column = "" if line else f" (column {error.colno})"
        raise ConfigError(
            f"{where}{line}: not valid JSON: {error.msg}{column}"
        ) from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{where}: not valid JSON: {error}") from error


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"duplicate key {twice!r}")
    return found


def _object(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ConfigError(f"{where}: expected an object, got {brief(value)}")
    return value


def _read_parquet(path: Path) -> Rows:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        check_regular(path)
        with path.open("rb") as file:
            rows: list[dict[str, Any]] = pq.read_table(file).to_pylist()
    except (OSError, ValueError, pa.ArrowException) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError(f"{path} cannot be read: {reason}") from error
    return rows
