"""What earlier versions kept in `.promptlab` in files of their own, read once.

Calls were in `usage.sqlite`, and before that in the `usage-*.daybook` of each run: a
line of JSON for a call that was sent, and one for its outcome. A run had a folder in
`runs`, with `run.json` and `answers.parquet`; `runs/experiments` had the definitions.
Marks and votes were lines in `marks/*.jsonl` and `votes/*.jsonl`. These formats are
frozen. The files stay as they were.
"""

from __future__ import annotations

import calendar
import sqlite3
import time
import warnings
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import orjson

from promptlab.errors import PromptlabWarning
from promptlab.formats import counted
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
"""The members of a daybook's line about a call that is over, before the numbers of the
call and of its reservation."""

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
                for table in ("calls", "hits", "spent", "budgets", "limits"):
                    _copy(old, table, connection, table)
                _copy(old, "reserved", connection, "in_flight")
                posted = dict(old.execute("SELECT daybook, lines FROM posted"))
        except sqlite3.Error as error:
            raise sqlite3.DatabaseError(f"{folder / LEDGER}: {error}") from error
    for path in sorted(folder.glob(DAYBOOKS)):
        with suppress(OSError), path.open("rb") as file:
            if fcntl is not None:  # held by a run that goes on
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            lines = [one for one in file.readlines() if one.endswith(b"\n")]
            _warn(path, _enter(connection, lines, posted.get(path.name, 0)))


def _copy(
    old: sqlite3.Connection, table: str, new: sqlite3.Connection, to: str
) -> None:
    rows = old.execute(f"SELECT * FROM {table}")
    names = [column for column, *_ in rows.description]
    new.executemany(_insert(to, names), rows)


def _enter(connection: sqlite3.Connection, lines: Sequence[bytes], posted: int) -> int:
    """Enters the lines of a daybook after those that were posted; returns how many of
    them are damaged. Of a call that was sent and has no outcome, the cost is unknown:
    what was reserved for it stays reserved."""
    damaged = 0
    sent: dict[int, list[Any]] = {}
    columns = {
        name: (kind, bool(needed))
        for _, name, kind, needed, *_ in connection.execute("PRAGMA table_info(calls)")
    }
    for index, line in enumerate(lines):
        try:
            match orjson.loads(line):
                case {"sent": int(number), "call": [_, _, _, _, _, _] as beginning}:
                    killed = [*beginning, *[None] * 11, "killed", None, None, 0, 0]
                    sent[number] = _checked(killed, columns)
                case [*members] if len(members) in (len(CALL), len(CALL) + 2):
                    row = _checked(members[: len(CALL)], columns)
                    number, reservation = [*members[len(CALL) :], None, None][:2]
                    if {type(number), type(reservation)} - {int, type(None)}:
                        raise ValueError("expected integers")
                    sent.pop(-1 if number is None else number, None)
                    if index >= posted:
                        _add(connection, row, reservation)
                case _:
                    raise ValueError("expected a line of a daybook")
        except ValueError:
            damaged += index >= posted
    for row in sent.values():
        _add(connection, row)
    return damaged


def _add(
    connection: sqlite3.Connection, row: Sequence[Any], reservation: int | None = None
) -> None:
    connection.execute(_insert("calls", CALL), row)
    connection.execute(
        "INSERT INTO spent VALUES (?, ?, ?) ON CONFLICT (day) DO UPDATE SET"
        " usd = usd + excluded.usd, tokens = tokens + excluded.tokens",
        (int(row[0] // DAY_S), *row[-2:]),
    )
    connection.execute("DELETE FROM in_flight WHERE id = ?", (reservation,))


def _checked(row: list[Any], columns: Mapping[str, tuple[str, bool]]) -> list[Any]:
    """The row; `ValueError` if it is not one that a ledger can hold and sum."""
    for name, value in zip(CALL, row, strict=True):
        kind, needed = columns[name]
        if value is None and not needed:
            continue
        kinds = (str,) if kind == "TEXT" else (int, float)
        if type(value) not in kinds or (kind != "TEXT" and abs(value) >= 2**53):
            raise ValueError(f"{name}: wrong type")
    if not 0 <= row[0] < 2**40 or min(row[-2:]) < 0:
        raise ValueError("numbers out of range")
    return row


RUN: Mapping[str, Any] = {
    **dict.fromkeys(("experiment", "experiment_name", "dataset_digest", "cache"), ""),
    **dict.fromkeys(("reason", "problem", "asked"), ""),
    "format": 1,
    "started_s": 0.0,
    "status": "running",
    "variants": 0,
    "answered": None,
    **{name: {} for name in ("routes", "totals", "versions")},
    **{name: [] for name in ("prices", "wire_names", "failures")},
}
"""The members of a record, and their defaults."""


def runs(connection: sqlite3.Connection, folder: Path) -> None:
    """Takes over recorded runs; those that cannot be read are kept as such."""
    for file in (folder / "runs" / "experiments").glob("*.json"):
        insert = _insert("experiments", ("digest", "definition"))
        connection.execute(insert, (file.stem, file.read_bytes()))
    for file in folder.glob(RUNS):
        row = {**RUN, **_run(file), "name": file.parent.name}
        row["process"] = row["name"]  # it has ended
        with suppress(OSError):
            row["answers"] = (file.parent / "answers.parquet").read_bytes()
        values = [
            orjson.dumps(value).decode() if isinstance(value, (dict, list)) else value
            for value in row.values()
        ]
        connection.execute(_insert("runs", [*row]), values)


def _run(file: Path) -> dict[str, Any]:
    """The members of a record; if it cannot be read, what is wrong with it."""
    row: dict[str, Any] = {"started_s": _started_s(file.parent.name)}
    try:
        plain = orjson.loads(file.read_bytes())
        if not isinstance(plain, dict):
            raise ValueError("expected an object")
        row["experiment_name"] = str(plain.get("experiment_name", ""))
        if (version := int(plain.get("format", 1))) > 1:
            return {**row, "format": version}
        for name in ("name", "experiment", "experiment_name", "routes", "started_s"):
            if name not in plain:
                raise ValueError(f"it has no {name}")
        for name, value in plain.items():
            kinds = {"answered": (str, type(None)), "started_s": (int, float)}
            kind: Any = kinds.get(name) or type(RUN.get(name, ""))
            if name not in (*RUN, "name") or not isinstance(value, kind):
                raise ValueError(f"its {name} is not valid")
        for value in plain.get("totals", {}).values():
            if not isinstance(value, (int, float, type(None))):
                raise ValueError("expected numbers in its totals")
    except (OSError, ValueError, TypeError) as error:
        return {**row, "problem": f"its record is damaged: {error}"}
    return plain


def _started_s(name: str) -> float:
    """When a run began, by its name; 0 if that does not say."""
    try:
        return calendar.timegm(time.strptime(name[:15], "%Y%m%d-%H%M%S"))
    except ValueError:
        return 0.0


def histories(connection: sqlite3.Connection, folder: Path) -> None:
    """Takes over marks and votes; damaged lines are left out, with a warning."""
    for path in sorted((*folder.glob("marks/*.jsonl"), *folder.glob("votes/*.jsonl"))):
        damaged = 0
        for line in filter(None, path.read_bytes().split(b"\n")):
            try:
                plain = orjson.loads(line)
                experiment = str((plain.get("undo") or plain)["experiment"])
                insert = _insert(path.parent.name, ("experiment", "line"))
                connection.execute(insert, (experiment, line.decode()))
            except (ValueError, AttributeError, KeyError, TypeError):
                damaged += 1
        _warn(path, damaged)


def _insert(table: str, columns: Sequence[str]) -> str:
    values = ", ".join("?" * len(columns))
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({values})"


def _warn(path: Path, damaged: int) -> None:
    if damaged:
        warnings.warn(
            f"{path}: {counted(damaged, 'damaged line')} left out",
            PromptlabWarning,
            stacklevel=7,
        )
