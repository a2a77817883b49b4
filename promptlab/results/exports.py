"""Exports: the table as a file, and a file as the table again."""

from __future__ import annotations

import csv
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import orjson
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from promptlab.errors import ExportError
from promptlab.results.table import TOKENS, column

Kind = TypeVar("Kind")

ROWS_AT_ONCE = 10_000
"""How many rows are turned to text before they are written, so memory stays flat."""

EXCEL_ROWS = 1_048_575
EXCEL_CELL = 32_767

FORMULA = re.compile(r"^[\s\0]*[=+\-@\t\r＝＋－＠]")
"""What a spreadsheet runs as a formula: OWASP, "CSV Injection"."""

PACKED = b"promptlab.packed"
"""In a Parquet file's metadata: the columns whose values are written as JSON."""

NOT_IN_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


def write(table: pd.DataFrame, path: Path) -> Path:
    """Writes a table to a file of the kind its ending says.

    The file appears whole or not at all.

    Raises:
        ExportError: an unknown ending, too many rows for it, or it cannot be written.
    """
    writer = _by_ending(path, WRITERS)
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        writer(table, draft)
        draft.replace(path)
    except OSError as error:
        raise ExportError(
            f"{path} cannot be written: {error.strerror or error}"
        ) from error
    finally:
        with suppress(OSError):
            draft.unlink()
    return path


def read_results(path: str | Path) -> pd.DataFrame:
    """The table in a file that was exported.

    JSONL and Parquet give it as it was. CSV and Excel keep what a person sees: the
    apostrophe before a formula is taken away again, an empty cell is missing.

    Raises:
        ExportError: an unknown ending, or a file that is no exported table.
    """
    path = Path(path)
    reader = _by_ending(path, READERS)
    try:
        return reader(path)
    except ExportError:
        raise
    except OSError as error:
        raise ExportError(
            f"{path} cannot be read: {error.strerror or error}"
        ) from error
    except Exception as error:  # the readers raise many kinds on a damaged file
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ExportError(f"{path} is not an exported table: {reason}") from error


def check_target(path: Path) -> None:
    """Raises `ExportError` when a table could not be written to that file now.

    Nothing is left on disk: the file is to come after calls that cost money.
    """
    _by_ending(path, WRITERS)
    try:
        if path.is_dir():
            raise IsADirectoryError("it is a folder")
        folder = next(f for f in path.absolute().parents if f.exists())
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ExportError(
            f"{path} cannot be written: {error.strerror or error}"
        ) from error


def neutralised(text: str) -> str:
    """The text, with an apostrophe before it if a spreadsheet would run it."""
    return "'" + text if FORMULA.match(text) or text.startswith("'") else text


def restored(text: str) -> str:
    """The text that `neutralised` was given."""
    if not text.startswith("'"):
        return text
    rest = text[1:]
    return rest if FORMULA.match(rest) or rest.startswith("'") else text


def _by_ending(path: Path, known: dict[str, Kind]) -> Kind:
    if path.suffix.lower() not in known:
        raise ExportError(
            f"{path}: results are written as {', '.join(known)}, "
            f"not as {path.suffix or 'a file without an ending'!r}"
        )
    return known[path.suffix.lower()]


def _write_csv(table: pd.DataFrame, path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        # Line ends of two characters: with "\n" alone Python 3.11 leaves a text that
        # holds "\r" without quotes, and the row is cut there.
        writer = csv.writer(file, lineterminator="\r\n")
        writer.writerow(neutralised(str(column)) for column in table)
        for part in _parts(table):
            columns = [[_csv_cell(v) for v in _plain(part[c])] for c in part]
            writer.writerows(zip(*columns, strict=True))


def _csv_cell(value: Any) -> Any:
    if isinstance(value, str):
        return neutralised(value.replace("\0", "\ufffd"))
    return _flat(value)


def _flat(value: Any) -> Any:
    """A list or an object as JSON, anything else as it is."""
    if isinstance(value, (list, dict)):
        return neutralised(orjson.dumps(value).decode())
    return value


def _read_csv(path: Path) -> pd.DataFrame:
    with path.open(encoding="utf-8-sig", newline="") as file:
        first = next(csv.reader(file), None)
    if not first:
        raise ExportError(f"{path} is empty")
    dtype = {c: t for c, t in _dtypes().items() if c in first}
    table = pd.read_csv(
        path, encoding="utf-8-sig", dtype=dtype, keep_default_na=False, na_values=[""]
    )
    return _restored(table)


def _write_xlsx(table: pd.DataFrame, path: Path) -> None:
    if len(table) > EXCEL_ROWS:
        raise ExportError(
            f"Excel holds {EXCEL_ROWS:,} rows, and the table has {len(table):,}; "
            "write .parquet, .jsonl or .csv"
        )
    from openpyxl import Workbook
    from openpyxl.cell import WriteOnlyCell

    book = Workbook(write_only=True)
    sheet = book.create_sheet("results")
    sheet.freeze_panes = "A2"

    def cell(value: Any) -> Any:
        value = _flat(value)
        if not isinstance(value, str):
            return value
        text = neutralised(NOT_IN_XML.sub("\ufffd", value))[:EXCEL_CELL]
        made = WriteOnlyCell(sheet, text)
        made.data_type = "s"  # a text, whatever it begins with
        return made

    sheet.append([cell(str(column)) for column in table])
    for part in _parts(table):
        columns = [[cell(value) for value in _plain(part[c])] for c in part]
        for row in zip(*columns, strict=True):
            sheet.append(row)
    book.save(path)


def _read_xlsx(path: Path) -> pd.DataFrame:
    table = pd.read_excel(
        path, engine="openpyxl", keep_default_na=False, na_values=[""]
    )
    known = {c: t for c, t in _dtypes().items() if c in table}
    return _restored(table.astype(known))


def _restored(table: pd.DataFrame) -> pd.DataFrame:
    for name in table.select_dtypes(include=["str", "object"]):
        table[name] = table[name].map(
            lambda value: restored(value) if isinstance(value, str) else value
        )
    return table.rename(columns=lambda name: restored(str(name)))


def _write_jsonl(table: pd.DataFrame, path: Path) -> None:
    names = [str(column) for column in table]
    with path.open("wb") as file:
        for part in _parts(table):
            columns = [_plain(part[name]) for name in part]
            for row in zip(*columns, strict=True):
                file.write(orjson.dumps(dict(zip(names, row, strict=True))) + b"\n")


def _read_jsonl(path: Path) -> pd.DataFrame:
    columns: dict[str, list[Any]] | None = None
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                row = orjson.loads(line)
                columns = columns or {name: [] for name in row}
                for name, values in columns.items():
                    values.append(row[name])
            except (orjson.JSONDecodeError, KeyError, TypeError) as error:
                raise ExportError(
                    f"{path}, line {number} is not a row of an exported table: {error}"
                ) from error
    return pd.DataFrame({n: column(n, values) for n, values in (columns or {}).items()})


def _write_parquet(table: pd.DataFrame, path: Path) -> None:
    plain = table.copy(deep=False)
    packed = [str(c) for c in table if table[c].dtype == object]
    for name in packed:
        plain[name] = [orjson.dumps(value).decode() for value in _plain(table[name])]
    data = pa.Table.from_pandas(plain, preserve_index=False)
    marks = {PACKED: orjson.dumps(packed)}
    pq.write_table(
        data.replace_schema_metadata({**(data.schema.metadata or {}), **marks}),
        path,
        compression="zstd",
    )


def _read_parquet(path: Path) -> pd.DataFrame:
    with path.open("rb") as file:
        data = pq.read_table(file)
    table: pd.DataFrame = data.to_pandas()
    for name in table.select_dtypes("category"):
        if table[name].cat.categories.empty:  # of nothing Arrow keeps no type
            table[name] = column(str(name), [None] * len(table))
    for name in orjson.loads((data.schema.metadata or {}).get(PACKED, b"[]")):
        table[name] = column(name, [orjson.loads(value) for value in table[name]])
    return table


def _parts(table: pd.DataFrame) -> Iterator[pd.DataFrame]:
    for start in range(0, len(table), ROWS_AT_ONCE):
        yield table.iloc[start : start + ROWS_AT_ONCE]


def _plain(values: pd.Series[Any]) -> list[Any]:
    """A column as Python's own values, None where one is missing."""
    return [
        value if isinstance(value, (list, dict)) else (None if missing else value)
        for value, missing in zip(
            values.astype(object).tolist(), values.isna(), strict=True
        )
    ]


def _dtypes() -> dict[str, Any]:
    """The dtypes of the columns every table has, where the file does not tell."""
    text = dict.fromkeys(("output", "error", "key", "case", "finish_reason"), "str")
    return text | dict.fromkeys(TOKENS, "Int64")


WRITERS: dict[str, Callable[[pd.DataFrame, Path], None]] = {
    ".csv": _write_csv,
    ".jsonl": _write_jsonl,
    ".parquet": _write_parquet,
    ".xlsx": _write_xlsx,
}
READERS: dict[str, Callable[[Path], pd.DataFrame]] = {
    ".csv": _read_csv,
    ".jsonl": _read_jsonl,
    ".parquet": _read_parquet,
    ".xlsx": _read_xlsx,
}
