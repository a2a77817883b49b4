"""Spreadsheets: the rows of a workbook, and texts that no spreadsheet runs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

FORMULA = re.compile(r"^[\s\0]*[=+\-@\t\r＝＋－＠]")
"""What a spreadsheet runs as a formula: OWASP, "CSV Injection"."""

IN_NUMBERS = re.compile("_x(00[01][0-9A-F]|005F|FFF[EF])_")
"""What a workbook holds by its number, as Excel does, such as `_x000D_`."""


def neutralised(text: str) -> str:
    """The text, with an apostrophe before it if a spreadsheet would run it."""
    return "'" + text if FORMULA.match(text) or text.startswith("'") else text


def restored(text: str) -> str:
    """The text that `neutralised` was given."""
    if not text.startswith("'"):
        return text
    rest = text[1:]
    return rest if FORMULA.match(rest) or rest.startswith("'") else text


def excel_rows(path: Path) -> list[list[Any]]:
    """The values of the cells on the first sheet of a workbook, row by row."""
    from openpyxl import load_workbook

    with path.open("rb") as file:
        book = load_workbook(file, read_only=True, data_only=True)
        return [
            [_of_excel(value) for value in row]
            for row in book.worksheets[0].iter_rows(values_only=True)
        ]


def _of_excel(value: Any) -> Any:
    """What a cell was made of."""
    if not isinstance(value, str):
        return value
    return restored(IN_NUMBERS.sub(lambda found: chr(int(found[1], 16)), value))
