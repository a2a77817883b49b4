"""What earlier versions kept in `.promptlab` in files of their own, read once.

Calls were in `usage.sqlite`, and in the `usage-*.daybook` of each run until they got
there: a line of JSON for a call that was sent, and one for what became of it. A run had
a folder in `runs`, with `run.json` and `answers.parquet`; `runs/experiments` had the
definitions. Marks and votes were lines in `marks/*.jsonl` and `votes/*.jsonl`. These
formats are frozen. The files stay as they were.
"""

from __future__ import annotations

import calendar
import sqlite3
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import orjson

from promptlab.errors import PromptlabWarning
from promptlab.store.sqlite_files import is_there, opened_to_read

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

DAYBOOKS = "usage-*.daybook"
LEDGER = "usage.sqlite"
RUNS = "runs/*/run.json"

CALL = (
    *("at", "run", "experiment", "base_url", "model", "attempt", "snapshot"),
    *("service_tier", "input_tokens", "cached_input_tokens", "cache_write_tokens"),
    *("output_tokens", "reasoning_tokens", "cost_usd", "prompt_cache_saved_usd"),
    *("price", "latency_s", "error", "status", "request_id"),
    *("took_usd", "took_tokens"),
)
"""What a line of a daybook says of a call that is over, before its number and that of
what was reserved for it."""

TEXTS = {
    *("run", "experiment", "base_url", "model", "snapshot", "service_tier"),
    *("price", "error", "request_id"),
}
NEEDED = {"at", "experiment", "base_url", "model", "attempt", "took_usd", "took_tokens"}
INSERT_CALL = f"INSERT INTO calls ({', '.join(CALL)}) VALUES ({', '.join('?' * 22)})"
DAY_S = 86_400


def is_due(folder: Path) -> bool:
    """Whether a folder has files of earlier versions."""
    names = (LEDGER, DAYBOOKS, RUNS, "marks/*.jsonl", "votes/*.jsonl")
    return any(True for name in names for _ in folder.glob(name))


def ledger(connection: sqlite3.Connection, folder: Path) -> None:
    """Takes over calls, budgets, reservations and rate limits."""
    posted: dict[str, int] = {}
    if is_there(folder / LEDGER):
        try:
            with closing(opened_to_read(folder / LEDGER)) as old:
                _copy(old, connection)
                posted = dict(old.execute("SELECT daybook, lines FROM posted"))
        except sqlite3.Error as error:
            raise sqlite3.DatabaseError(f"{folder / LEDGER}: {error}") from error
    for path, lines in _abandoned(folder):
        if damaged := _enter(connection, lines, posted.get(path.name, 0)):
            were = "line of {} was" if damaged == 1 else "lines of {} were"
            warnings.warn(
                f"{damaged} {were.format(path)} damaged, and not entered in the ledger",
                PromptlabWarning,
                stacklevel=6,
            )


def _copy(old: sqlite3.Connection, new: sqlite3.Connection) -> None:
    for table, to in (
        *((name, name) for name in ("calls", "hits", "spent", "budgets", "limits")),
        ("reserved", "in_flight"),
    ):
        rows = old.execute(f"SELECT * FROM {table}")
        names = [column for column, *_ in rows.description]
        values = ", ".join("?" * len(names))
        into = f"INSERT INTO {to} ({', '.join(names)}) VALUES ({values})"
        new.executemany(into, rows)


def _abandoned(folder: Path) -> Iterator[tuple[Path, list[bytes]]]:
    """The daybooks whose process is gone, and their whole lines."""
    for path in sorted(folder.glob(DAYBOOKS)):
        with suppress(OSError), path.open("rb") as file:
            if fcntl is not None:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            lines = file.read().splitlines(keepends=True)
            yield path, [line for line in lines if line.endswith(b"\n")]


def _enter(connection: sqlite3.Connection, lines: Sequence[bytes], posted: int) -> int:
    """Enters what a daybook has beyond the lines that were posted; how many of them
    are damaged. Of a call that was sent and has no further line, it is not known what
    it took: what was reserved for it stays so."""
    damaged = 0
    sent: dict[int, list[Any]] = {}
    for place, line in enumerate(lines):
        try:
            match orjson.loads(line):
                case {"sent": int(number), "call": [_, _, _, _, _, _] as beginning}:
                    killed = [*beginning, *[None] * 11, "killed", None, None, 0, 0]
                    sent[number] = _checked(killed)
                case [*members] if len(members) in (len(CALL), len(CALL) + 2):
                    row = _checked(members[: len(CALL)])
                    number, reservation = [*members[len(CALL) :], None, None][:2]
                    _check_numbers(number, reservation)
                    sent.pop(-1 if number is None else number, None)
                    if place >= posted:
                        _add(connection, row, reservation)
                case _:
                    raise ValueError("neither an object of ours nor an array")
        except ValueError:
            damaged += place >= posted
    for row in sent.values():
        _add(connection, row)
    return damaged


def _add(
    connection: sqlite3.Connection, row: Sequence[Any], reservation: int | None = None
) -> None:
    connection.execute(INSERT_CALL, row)
    connection.execute(
        "INSERT INTO spent VALUES (?, ?, ?) ON CONFLICT (day) DO UPDATE SET"
        " usd = usd + excluded.usd, tokens = tokens + excluded.tokens",
        (int(row[0] // DAY_S), *row[-2:]),
    )
    connection.execute("DELETE FROM in_flight WHERE id = ?", (reservation,))


def _checked(row: list[Any]) -> list[Any]:
    """The row; `ValueError` if it is not one that a ledger can hold and sum."""
    for name, value in zip(CALL, row, strict=True):
        if value is None and name not in NEEDED:
            continue
        fits = isinstance(value, str) if name in TEXTS else _is_number(value)
        if not fits:
            raise ValueError(f"{name}: of a wrong type")
    if not 0 <= row[0] < 2**40 or min(row[-2:]) < 0:
        raise ValueError("numbers out of range")
    return row


def _is_number(value: object) -> bool:
    return type(value) in (int, float) and abs(value) < 2**53  # type: ignore[arg-type]


def _check_numbers(*numbers: object) -> None:
    if any(type(number) not in (int, type(None)) for number in numbers):
        raise ValueError("numbers of wrong types")


RUN: Mapping[str, Any] = {
    **dict.fromkeys(("experiment", "experiment_name", "dataset_digest", "cache"), ""),
    "format": 1,
    "started_s": 0.0,
    "status": "running",
    "reason": "",
    "problem": "",
    "variants": 0,
    "answered": None,
    "asked": "",
    "routes": {},
    "totals": {},
    "prices": [],
    "versions": {},
    "wire_names": [],
    "failures": [],
}
"""What a record held, and what it held where it did not say."""


def runs(connection: sqlite3.Connection, folder: Path) -> None:
    """Takes over recorded runs; those that cannot be read are kept as such."""
    for file in (folder / "runs" / "experiments").glob("*.json"):
        insert = "INSERT INTO experiments VALUES (?, ?)"
        connection.execute(insert, (file.stem, file.read_bytes()))
    for file in folder.glob(RUNS):
        row = {**RUN, **_run(file), "name": file.parent.name}
        row["process"] = row["name"]  # its sign of life is not there
        with suppress(OSError):
            row["answers"] = (file.parent / "answers.parquet").read_bytes()
        names, places = ", ".join(row), ", ".join("?" * len(row))
        values = [
            orjson.dumps(value).decode() if isinstance(value, (dict, list)) else value
            for value in row.values()
        ]
        connection.execute(f"INSERT INTO runs ({names}) VALUES ({places})", values)


def _run(file: Path) -> dict[str, Any]:
    """What a record says; what is wrong, where it cannot be read."""
    row: dict[str, Any] = {"started_s": _started_s(file.parent.name)}
    try:
        plain = orjson.loads(file.read_bytes())
        if not isinstance(plain, dict):
            raise ValueError("expected an object")
        row["experiment_name"] = str(plain.get("experiment_name", ""))
        if (version := int(plain.get("format", 1))) > 1:
            return {**row, "format": version}
        _check_run(plain)
    except (OSError, ValueError, TypeError) as error:
        return {**row, "problem": f"its record is damaged: {error}"}
    return plain


def _check_run(plain: Mapping[str, Any]) -> None:
    for name in ("name", "experiment", "experiment_name", "routes", "started_s"):
        if name not in plain:
            raise ValueError(f"it has no {name}")
    for name, value in plain.items():
        kinds = {"answered": (str, type(None)), "started_s": (int, float), "name": str}
        kind: Any = kinds.get(name) or type(RUN.get(name))
        if not isinstance(value, kind):
            raise ValueError(f"it has a {name} that is none")
    for value in plain.get("totals", {}).values():
        if value is not None and not isinstance(value, (int, float)):
            raise ValueError("numbers were expected")


def _started_s(name: str) -> float:
    """When a run began, by its name; 0 where that is not one of ours."""
    try:
        return calendar.timegm(time.strptime(name[:15], "%Y%m%d-%H%M%S"))
    except ValueError:
        return 0.0


def histories(connection: sqlite3.Connection, folder: Path) -> None:
    """Takes over marks and votes; damaged lines are left out, with a warning."""
    for table in ("marks", "votes"):
        insert = f"INSERT INTO {table} (experiment, line) VALUES (?, ?)"
        for path in sorted((folder / table).glob("*.jsonl")):
            damaged = 0
            for line in filter(None, path.read_bytes().split(b"\n")):
                try:
                    plain = orjson.loads(line)
                    experiment = (plain.get("undo") or plain)["experiment"]
                    connection.execute(insert, (str(experiment), line.decode()))
                except (ValueError, AttributeError, KeyError, TypeError):
                    damaged += 1
            if damaged:
                warnings.warn(
                    f"{path}: {damaged} damaged line{'s' * (damaged > 1)} left out",
                    PromptlabWarning,
                    stacklevel=6,
                )
