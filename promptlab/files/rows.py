"""Rows: what a file of rows holds, be it CSV, Excel, JSON or Parquet.

Whatever is wrong with a file is one `ConfigError` that says the file, the line, what
was found and what would do. Rows and columns in which nothing stands are left out.
"""

from __future__ import annotations

import codecs
import csv
import datetime
import gzip
import io
import json
import re
import sys
import warnings
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from promptlab.errors import ConfigError, PromptlabWarning, brief
from promptlab.paths import check_regular

Rows = Sequence[Mapping[str, Any]]

ENDINGS = (".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".xlsx", ".parquet")
"""What files of rows end in; those of text may have `.gz` after it."""

STDIN = Path("-")
"""The name of standard input."""

QUOTED = re.compile(r'"[^"]*+"')
SEPARATOR_LINE = re.compile(r"\s*+sep=([,;\t])[ ]*(?:\n|\Z)", re.IGNORECASE)
"""The first line of a CSV file that says to Excel what separates its cells."""

UNSEEN = "\ufeff\u200b\u2060"
"""Characters without a width, which editors and websites leave beside names."""

CSV_HINTS = {
    "unexpected end of data": "; text that begins here with a quote never ends",
    "expected after '\"'": "; text that begins with a quote stands in quotes, and "
    'each quote in it is written twice: """so"" it goes"',
}
"""What to do about what the csv module says."""


def read_rows(path: Path, encoding: str = "utf-8-sig") -> Rows:
    """The rows in a file, which its ending says how to read.

    CSV and TSV hold texts only, the others keep types. A blank cell is None where its
    column has values.

    Raises:
        ConfigError: it is no such file; the message says the line.
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


def ending_of(path: Path) -> str:
    """The ending that says how a file is written: `.csv` of `cases.csv.gz`. Standard
    input is JSONL, JSON or CSV, by how it begins."""
    if path == STDIN:
        begun = _standard_input().peek().lstrip()[:1]
        return {b"{": ".jsonl", b"[": ".json"}.get(begun, ".csv")
    if path.suffix.lower() == ".gz":
        inner = path.with_suffix("").suffix.lower()
        return ".gz" if inner in (".xlsx", ".parquet") else inner
    return path.suffix.lower()


def read_text(path: Path, encoding: str, largest: int | None = None) -> str:
    """The text of a file, unpacked if its name ends in `.gz`; `-` is standard input.

    Raises:
        ConfigError: it cannot be read, is larger than so many bytes, or is no text of
            this encoding.
    """
    try:
        content = _content(path, largest)
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError(f"{path} cannot be read: {reason}") from error
    except ValueError as error:
        raise ConfigError(
            f"{str(path)!r} is not the name of a file: {error}"
        ) from error
    if largest is not None and len(content) > largest:
        raise ConfigError(f"{path} is larger than {largest // 1_000_000} MB")
    try:
        text = content.decode(_encoding(content, encoding))
    except UnicodeDecodeError as error:
        rest = error.object  # what follows a byte order mark
        line = rest[: error.start].count(b"\n") + 1
        raise ConfigError(
            f"{path}, line {line}: byte {rest[error.start]:#04x} is not "
            f"{encoding.removesuffix('-sig')} text; save the file as UTF-8, or say its "
            "encoding, such as cp1252"
        ) from error
    except (LookupError, ValueError) as error:
        raise ConfigError(f"{path}: no encoding is called {encoding!r}") from error
    return text.removeprefix("\ufeff").replace("\r\n", "\n")


def _encoding(content: bytes, given: str) -> str:
    """UTF-16 where no other encoding than UTF-8 is given and the content begins as
    UTF-16 does, with a byte order mark or a character of which one byte is zero."""
    if given == "utf-8-sig" and len(content) > 1:
        if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return "utf-16"
        if 0 in content[:2] and any(content[:2]):
            return "utf-16-le" if content[0] else "utf-16-be"
    return given


def _content(path: Path, largest: int | None) -> bytes:
    """The bytes of a file; hardly more than `largest`."""
    most = -1 if largest is None else largest + 1
    if path == STDIN:
        return _standard_input().read(most)
    check_regular(path)
    if path.suffix.lower() == ".gz":
        with gzip.open(path) as unpacked:
            return unpacked.read(most)
    with path.open("rb") as file:
        return file.read(most)


def _standard_input() -> io.BufferedReader:
    stream = getattr(sys.stdin, "buffer", None)
    if not isinstance(stream, io.BufferedReader):
        raise ConfigError("- is standard input, and there is none here; name a file")
    return stream


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
    from promptlab.results.exports import excel_rows

    try:
        check_regular(path)
        cells = excel_rows(path)
    except Exception as error:  # openpyxl raises many kinds on a damaged file
        reason = getattr(error, "strerror", None) or str(error) or "it is no workbook"
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
            raise ConfigError(f"{path}, {unit} {top}: two columns are called {name!r}")
        else:
            columns[name] = _without_blanks(name, values)
    return [
        dict(zip(columns, row, strict=True))
        for row in zip(*columns.values(), strict=True)
    ]


def _is_blank(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _without_blanks(name: str, values: list[Any]) -> list[Any]:
    """A column, None where nothing stands; one in which nothing stands at all is as it
    is, unless it would say what is expected."""
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
    """What is said of a JSON value that begins on a line and ends on a later one; empty
    where there is none."""
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
        raise ValueError(f"the key {twice!r} stands twice in one object")
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
