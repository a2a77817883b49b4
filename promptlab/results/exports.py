"""Exports: the table as a file, and a file as the table again.

JSONL and Parquet are for programs and keep everything. CSV and Excel are for people: a
list or an object is written as JSON, and what a spreadsheet would run as a formula gets
an apostrophe; CSV begins with the byte order mark by which Excel knows UTF-8. They keep
the difference between a string and a number too: in CSV strings are quoted and numbers
are not, in Excel cells have a type.
"""

from __future__ import annotations

import csv
import math
import os
import re
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import orjson
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from promptlab.errors import ExportError, PromptlabWarning
from promptlab.files.spreadsheets import excel_rows, neutralised, restored
from promptlab.paths import check_regular, user_path
from promptlab.results.schema import Schema
from promptlab.results.table import TOKENS, column, plain_values, texts

Kind = TypeVar("Kind")

ROWS_AT_ONCE = 10_000
"""How many rows are turned to text before they are written, so memory stays flat."""

EXCEL_ROWS = 1_048_575
EXCEL_CELL = 32_767
"""The longest string in Excel, in units of UTF-16."""

EXCEL_DIGITS = 15
"""How many digits of a number Excel keeps."""

INSIDE = r"(?='|[^\S\t\r\n]*(?:[=@＝＠]|[+\-＋－](?! [^|!(;\t\r\n]*+(?:[;\t\r\n]|\Z))))"
"""Where a formula would begin inside a string that a spreadsheet splits. A sign and a
blank before words are a list's: without `|`, `!` and `(` nothing is called."""

BEGINS = re.compile(rf"[;\t\r\n]{INSIDE}")
MARKED = re.compile(rf"([;\t\r\n])'{INSIDE}")
"""After what else than a comma a spreadsheet may take a CSV file apart, as where the
comma is the sign of decimals: `;`, tabs, line ends; without and with an apostrophe."""

PACKED = b"promptlab.packed"
"""In a Parquet file's metadata: the columns whose values are written as JSON."""

CELL = r'("[^"]*+(?:""[^"]*+)*+"|(?!")[^,\r\n]*+)'
ROW_END = r"(?:[\r\n]++|\Z)"
"""Of a CSV file: a cell, in quotes or bare; line ends, those of blank lines too."""

NOT_IN_XML = re.compile("[\x00-\x08\x0b-\x1f\ufffe\uffff]|_(?=x[0-9A-Fa-f]{4}_)")
"""What a workbook holds by its number, as Excel does, such as `_x000D_`."""


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
    except (UnicodeError, orjson.JSONEncodeError, pa.ArrowException) as error:
        raise ExportError(f"{path} cannot hold a value: {error}") from error
    finally:
        with suppress(OSError):
            draft.unlink()
    return path


def read_results(path: str | Path) -> pd.DataFrame:
    """The table in a file that was exported.

    JSONL and Parquet give it as it was. From CSV and Excel lists and objects come back
    as strings of JSON. CSV has no NUL in a string. Excel has no empty string (it is
    missing), no string beyond 32,767 characters, no more than 15 digits (a longer
    integer is a string), and one kind of number: 1.0 may come back as 1.

    When another program has saved a CSV file again without quotes, a column is numbers
    if each of its cells is written as Python writes a number, so "001" and "1e5" stay
    strings. `case`, `output`, `error` and `key` are always strings.

    Raises:
        ExportError: an unknown ending, or a file that is no exported table.
    """
    path = user_path(path)
    reader = _by_ending(path, READERS)
    try:
        check_regular(path)
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


def _by_ending(path: Path, kinds: dict[str, Kind]) -> Kind:
    if path.suffix.lower() not in kinds:
        raise ExportError(
            f"{path}: results are written as {', '.join(kinds)}, "
            f"not as {repr(path.suffix) if path.suffix else 'a file without an ending'}"
        )
    return kinds[path.suffix.lower()]


def _write_csv(table: pd.DataFrame, path: Path) -> None:
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        file.write(_csv_row(str(name) for name in table))
        for part in _parts(table):
            columns = [plain_values(part[name]) for name in part]
            file.writelines(map(_csv_row, zip(*columns, strict=True)))


def _csv_row(values: Iterable[Any]) -> str:
    return ",".join(map(_csv_cell, values)) + "\r\n"


def _csv_cell(value: Any) -> str:
    value = _flat(value)
    if isinstance(value, str):
        text = value.replace("\0", "\ufffd")
        text = neutralised(BEGINS.sub(r"\g<0>'", text))
        return '"' + text.replace('"', '""') + '"'
    return "" if value is None else str(value)


def _flat(value: Any) -> Any:
    """A list or an object as JSON, anything else as it is."""
    return orjson.dumps(value).decode() if isinstance(value, (list, dict)) else value


def _read_csv(path: Path) -> pd.DataFrame:
    with path.open(encoding="utf-8-sig", newline="") as file:
        head = next(csv.reader(file), None)
        file.seek(0)
        text = file.read()
    if not head:
        raise ExportError(f"{path} is empty")
    _, *rows = _csv_rows(text, len(head), path)
    columns = zip(*rows, strict=True) if rows else [()] * len(head)
    ours = text.startswith('"')  # others use quotes only where they must
    return _typed(
        {
            _csv_text(name): _csv_values(cells, ours=ours)
            for name, cells in zip(head, columns, strict=True)
        }
    )


def _csv_rows(text: str, width: int, path: Path) -> Iterator[Sequence[str]]:
    """The cells of each row as they stand there, quotes and all."""
    row = re.compile(",".join([CELL] * width) + ROW_END)
    reached = 0
    while reached < len(text):
        if not (found := row.match(text, reached)):
            line = text.count("\n", 0, reached) + 1
            raise ExportError(f"{path}, line {line} is not a row of {width} cells")
        reached = found.end()
        yield found.groups()


def _csv_values(cells: Sequence[str], *, ours: bool) -> list[Any]:
    """The values of a column: quoted cells are strings, the others numbers if all of
    them can be. In a file that is not ours, quotes do not count."""
    bare = {cell for cell in cells if cell and not (ours and cell[0] == '"')}
    values: dict[str, Any] = {cell: _number(_unquoted(cell)) for cell in bare}
    if None in values.values():
        values = {}
    for cell in set(cells) - values.keys():
        values[cell] = _csv_text(_unquoted(cell)) if cell else None
    return [values[cell] for cell in cells]


def _csv_text(text: str) -> str:
    """The string that `_csv_cell` was given."""
    return MARKED.sub(r"\1", restored(text))


def _unquoted(cell: str) -> str:
    return cell[1:-1].replace('""', '"') if cell[0] == '"' else cell


def _number(text: str) -> bool | int | float | None:
    """The number that is written just so; None if it is not one."""
    if text in ("True", "False"):
        return text == "True"
    with suppress(ValueError):
        if str(whole := int(text)) == text:
            return whole
    with suppress(ValueError):
        if str(number := float(text)) == text and math.isfinite(number):
            return number
    return None


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

    cut = 0

    def cell(value: Any) -> Any:
        nonlocal cut
        value = _for_excel(value)
        if not isinstance(value, str):
            return value
        kept = _cut(value)
        cut += kept != value
        made = WriteOnlyCell(sheet, NOT_IN_XML.sub(_in_number, kept))
        made.data_type = "s"  # a string, whatever it begins with
        return made

    try:
        sheet.append([cell(str(column)) for column in table])
        for part in _parts(table):
            columns = [
                [cell(value) for value in plain_values(part[name])] for name in part
            ]
            for row in zip(*columns, strict=True):
                sheet.append(row)
        book.save(path)
    except Exception as error:
        _give_up(sheet)
        if type(error).__name__ == "SerialisationError":  # openpyxl writes with lxml
            raise OSError(str(error)) from error
        raise
    if cut:
        warnings.warn(
            f"{'1 string was' if cut == 1 else f'{cut:,} strings were'} cut: a cell in "
            f"Excel holds {EXCEL_CELL:,} characters; .csv, .jsonl and .parquet keep "
            "all of them",
            PromptlabWarning,
            stacklevel=2,
        )


def _give_up(sheet: Any) -> None:
    """Ends what writes a sheet that cannot be written. Left to itself it tries again
    whenever memory is tidied up, and prints that it failed."""
    if sheet._writer is None:  # it was not begun
        return
    with suppress(Exception):
        if sheet._rows is not None:
            sheet._rows.close()
    with suppress(Exception):
        sheet._writer.xf.close()
    with suppress(Exception):
        sheet._writer.cleanup()


def _for_excel(value: Any) -> Any:
    """A value as Excel can hold it."""
    value = _flat(value)
    if isinstance(value, int) and abs(value) >= 10**EXCEL_DIGITS:
        return str(value)
    return neutralised(value) if isinstance(value, str) else value


def _cut(text: str) -> str:
    """As much of a string as a cell holds."""
    if 2 * len(text) <= EXCEL_CELL:
        return text
    return text.encode("utf-16-le")[: 2 * EXCEL_CELL].decode("utf-16-le", "ignore")


def _in_number(found: re.Match[str]) -> str:
    return f"_x{ord(found[0]):04X}_"


def _read_xlsx(path: Path) -> pd.DataFrame:
    rows = excel_rows(path)
    head, *filled = [row for row in rows if any(value is not None for value in row)]
    return _typed(
        {
            str(name): [row[at] if at < len(row) else None for row in filled]
            for at, name in enumerate(head)
            if name is not None
        }
    )


def _typed(columns: Mapping[str, Sequence[Any]]) -> pd.DataFrame:
    """A table of these columns; those that every table has are what they always are."""
    typed = {}
    for name, values in columns.items():
        if kind := KINDS.get(name):
            values = [None if value is None else kind(value) for value in values]
        typed[name] = values
    return _table(typed)


def _table(columns: Mapping[str, Sequence[Any]]) -> pd.DataFrame:
    """The table of columns in the order of a run."""
    schema = Schema.of(pd.DataFrame(columns=list(columns)))
    table = pd.DataFrame(
        {
            name: texts([None if value is None else str(value) for value in values])
            if schema.roles[name] == "explanation"
            else column(name, values)
            for name, values in columns.items()
        }
    )
    table.attrs = schema.attributes()
    return table


def _whole(value: Any) -> int:
    return int(float(value))


def _true(value: Any) -> bool:
    return str(value).lower() == "true"


KINDS: dict[str, Callable[[Any], Any]] = {
    **dict.fromkeys(("case", "output", "finish_reason", "error", "key"), str),
    **dict.fromkeys(("trial", "repeat", *TOKENS), _whole),
    **dict.fromkeys(("latency_s", "cost_usd", "billed_usd"), float),
    "cached": _true,
}
"""What is in the columns that every table has, however a file has it."""


def _write_jsonl(table: pd.DataFrame, path: Path) -> None:
    names = [str(column) for column in table]
    with path.open("wb") as file:
        for part in _parts(table):
            columns = [plain_values(part[name]) for name in part]
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
    return _table(columns or {})


def _write_parquet(table: pd.DataFrame, path: Path) -> None:
    plain = table.copy(deep=False)
    packed = [str(c) for c in table if table[c].dtype == object]
    for name in packed:
        plain[name] = [
            orjson.dumps(value).decode() for value in plain_values(table[name])
        ]
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
