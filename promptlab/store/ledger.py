"""The ledger: every call that was made, in the project's database.

A row is a call as it went over the wire: one that was answered, with its tokens and
its cost, or an attempt that failed. It holds neither prompts nor answers nor keys.
A row is on disk before its answer counts as given, so that what a killed process paid
is entered too. A call is noted on disk before it is sent: whoever opens the ledger
next enters, at their worst case, those that a killed process waited for.

It also keeps what a project may spend in a day or a month, what is reserved for calls
in flight, what the cache saved, and the rate limits of the last replies.
"""

from __future__ import annotations

import itertools
import math
import os
import secrets
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from promptlab.errors import CacheError, PromptlabWarning
from promptlab.money.budget import BudgetLimits, Spend
from promptlab.spec.usage import DAY_S
from promptlab.store import alive
from promptlab.store.alive import SignOfLife, is_alive
from promptlab.store.database import FILE, IN_MEMORY, Database
from promptlab.store.home import home
from promptlab.store.sqlite_files import is_there

if TYPE_CHECKING:
    import sqlite3


class CallRow(NamedTuple):
    """One call, or an attempt at one; the columns of `calls`."""

    at: float
    """When it was answered or failed, in seconds since 1970."""
    run: str | None
    experiment: str
    base_url: str
    model: str
    attempt: int = 1
    snapshot: str | None = None
    service_tier: str | None = None
    input_tokens: int | None = None
    cached_input_tokens: int | None = None
    cache_write_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_tokens: int | None = None
    cost_usd: float | None = None
    """None if the price is unknown, and for a failed attempt."""
    prompt_cache_saved_usd: float | None = None
    price: str | None = None
    """Where the price is from."""
    latency_s: float | None = None
    error: str | None = None
    """The status and code, or the kind, of a failed attempt; never its message, which
    may repeat the prompt."""
    status: int | None = None
    request_id: str | None = None


class CacheHits(NamedTuple):
    """What a run took from the cache instead of calling; the columns of `hits`."""

    at: float
    run: str | None
    experiment: str
    base_url: str
    model: str
    trials: int
    saved_usd: float | None
    """What the answers would have cost; None if that is unknown."""


class LedgerEntry(NamedTuple):
    """A call that is over."""

    line: CallRow
    took: Spend
    """What it counts for in budgets: its worst case if its outcome is unknown."""
    in_flight: int | None = None
    """Its number among the calls in flight, from which it is then removed."""

    @property
    def row(self) -> tuple[Any, ...]:
        """The line, and the dollars and tokens that it counts for."""
        # SQLite binds plain tuples faster than named ones.
        return *self.line, *self.took


class SentCall(NamedTuple):
    """A call that goes out."""

    begin: tuple[float, str | None, str, str, str, int]
    """The beginning of its row, up to `attempt`."""
    most: Spend
    """What it takes at most."""
    in_flight: int | None = None
    """Its number, if it was reserved for."""

    @property
    def day(self) -> int:
        """When it is sent, in days since 1970-01-01."""
        return int(self.begin[0] // DAY_S)


NUMBER_BITS = 62
"""Of the first number that a ledger gives to a call in flight; SQLite holds 63."""

PERIODS = ("day", "month")


@dataclass(frozen=True)
class BudgetStatus:
    """What a project has spent and reserved in a period that has a budget."""

    period: str
    """`day` or `month`, in UTC as providers count."""
    limits: BudgetLimits
    spent: Spend
    reserved: Spend
    """For calls in flight in any process, including those sent the day before, and
    those of killed processes, as they may have been charged."""

    def exceeded(self, most: Spend) -> str:
        """The unit of which a call that takes so much at most would exceed the limit;
        empty if the call fits in."""
        return self.limits.exceeded(self.spent.plus(self.reserved), most)

    @property
    def left(self) -> Spend:
        """What may still be reserved; infinite without a limit."""
        limits, gone = self.limits, self.spent.plus(self.reserved)
        return Spend(max(limits.usd - gone.usd, 0), max(limits.tokens - gone.tokens, 0))


class Ledger:
    """The ledger of a project. Threads may share it.

    Raises:
        CacheError: the database cannot be opened or made.
    """

    def __init__(self, database: Database | None = None) -> None:
        self.database = database or Database()
        self._sign: SignOfLife | None = None
        self._unentered: list[LedgerEntry] = []
        self._numbers = itertools.count(secrets.randbits(NUMBER_BITS))
        """Of calls in flight; those of other processes begin elsewhere."""
        if self.database.on_disk and not self.database.read_only:
            try:
                self._enter_killed()
                self._enter_left()
            except CacheError as error:  # they stay, for the next who opens it
                warnings.warn(str(error), PromptlabWarning, stacklevel=3)

    def check_writable(self) -> None:
        """Raises `CacheError` if it is read-only."""
        if self.database.read_only:
            raise CacheError(
                f"the ledger {self.database.path} can only be read, so that no call "
                "could be entered: set PROMPTLAB_HOME to a folder that can be written"
            )

    # Calls.

    def begin(self) -> None:
        """Notes that this process makes calls until the ledger is closed. Warns if the
        file system has no locks, as then the calls of a killed process are not noted.

        Raises:
            CacheError: no file can be created beside it.
        """
        if not self.database.on_disk:
            return
        folder = self.database.path.parent
        try:
            self._sign = SignOfLife(folder)
        except OSError as error:
            raise CacheError(
                f"no file can be created in {folder}: {error.strerror}"
            ) from error
        if self._sign.name is None and os.name == "posix":
            warnings.warn(
                f"{folder} is on a file system without file locks: of a run that is "
                "killed, what was under way is not noted. Let one process at a time "
                "use it, or set PROMPTLAB_HOME to another folder",
                PromptlabWarning,
                stacklevel=3,
            )

    def send(self, calls: Sequence[SentCall]) -> Sequence[int | None]:
        """Notes calls that are sent, in one transaction; returns their numbers in
        flight.

        Raises:
            CacheError: they cannot be written; then none of them is.
        """
        if self._process is None:  # nobody would notice when it is killed
            return [call.in_flight for call in calls]
        numbers = [
            next(self._numbers) if call.in_flight is None else call.in_flight
            for call in calls
        ]
        with self.database.writing() as connection:
            connection.executemany(
                INSERT_SENT,
                [
                    (number, self._process, call.day, *call.most, *call.begin)
                    for number, call in zip(numbers, calls, strict=True)
                ],
            )
        return numbers

    def enter(self, entries: Sequence[LedgerEntry]) -> None:
        """Enters calls, and settles what was reserved for them; on disk when it
        returns.

        Raises:
            CacheError: they cannot be written; then none of them is.
        """
        with self.database.writing() as connection:
            _enter(connection, entries)

    def leave(self, entries: Sequence[LedgerEntry]) -> None:
        """Keeps calls that could not be entered until this process opens the ledger
        again. If it never does, they are entered as those of a killed one."""
        self._unentered = list(entries)

    def _enter_left(self) -> None:
        """Enters what `leave` has kept."""
        left = LEFT.pop(self.database.path, [])
        try:
            while left:
                sign, entries = left[-1]
                self.enter(entries)
                left.pop()
                if sign is not None:
                    sign.end()
        finally:
            if left:
                LEFT.setdefault(self.database.path, []).extend(left)

    def _enter_killed(self) -> None:
        """Enters the calls that killed processes had sent, and releases what they had
        reserved for others."""
        folder = self.database.path.parent
        sql = "SELECT DISTINCT process FROM in_flight WHERE process IS NOT NULL"
        gone = [name for (name,) in self.rows(sql) if is_alive(folder, name) is False]
        if not gone:
            return
        with self.database.writing() as connection:
            for name in gone:
                sent = connection.execute(SENT, (name,)).fetchall()
                killed = [
                    LedgerEntry(
                        CallRow(*begin)._replace(error="killed"), Spend(usd, tokens)
                    )
                    for *begin, usd, tokens in sent
                ]
                _enter(connection, killed)
                connection.execute("DELETE FROM in_flight WHERE process = ?", (name,))
        for name in gone:
            alive.remove(folder, name)

    @property
    def _process(self) -> str | None:
        return self._sign.name if self._sign else None

    def enter_hits(self, hits: Sequence[CacheHits]) -> None:
        """Enters what the cache gave."""
        if hits:
            with self.database.writing() as connection:
                connection.executemany(INSERT_HITS, hits)

    def enter_limits(
        self, seen: Mapping[tuple[str, str], tuple[float | None, ...]], at: float
    ) -> None:
        """Stores, by base URL and model, the limits in the last reply: requests per
        minute and how many were left, tokens per minute and how many were left."""
        rows = [(*served, at, *numbers) for served, numbers in seen.items()]
        with self.database.writing() as connection:
            connection.executemany(INSERT_LIMITS, rows)

    # Budgets.

    def set_budget(self, period: str, limits: BudgetLimits) -> None:
        """Sets what the project may spend in a `day` or a `month`; no limit removes the
        budget."""
        with self.database.writing() as connection:
            connection.execute("DELETE FROM budgets WHERE period = ?", (period,))
            if limits.any:
                amounts = [
                    x if math.isfinite(x) else None for x in (limits.usd, limits.tokens)
                ]
                connection.execute(
                    "INSERT INTO budgets VALUES (?, ?, ?)", (period, *amounts)
                )

    def budgets(self) -> dict[str, BudgetLimits]:
        """What the project may spend, by period; empty without a budget."""
        rows = self.rows("SELECT period, usd, tokens FROM budgets ORDER BY period")
        return {period: _limits(usd, tokens) for period, usd, tokens in rows}

    def budget_statuses(self, now: float) -> list[BudgetStatus]:
        """The state of each budget, by period."""
        with self.database.reading() as connection:
            return _budget_statuses(connection, now)

    def reserve(self, most: Spend, now: float) -> int | BudgetStatus:
        """Reserves what a call takes at most: its number in flight, or the state
        of the budget that does not allow it."""
        with self.database.writing() as connection:
            for status in _budget_statuses(connection, now):
                if status.exceeded(most):
                    return status
            return self._reserve(connection, most, now)

    def hold(self, most: Spend, now: float, number: int | None = None) -> int:
        """Reserves for a call that was sent already, whatever the budgets allow; its
        number in flight, the same if it has one."""
        with self.database.writing() as connection:
            if number is None:
                return self._reserve(connection, most, now)
            connection.execute(
                "UPDATE in_flight SET usd = ?, tokens = ? WHERE id = ?",
                (*most.counted, number),
            )
            return number

    def _reserve(self, connection: sqlite3.Connection, most: Spend, now: float) -> int:
        number = next(self._numbers)
        connection.execute(
            "INSERT INTO in_flight (id, process, day, usd, tokens)"
            " VALUES (?, ?, ?, ?, ?)",
            (number, self._process, int(now // DAY_S), *most.counted),
        )
        return number

    def release(self, number: int) -> None:
        """Releases what was reserved for a call that was not sent."""
        with self.database.writing() as connection:
            connection.execute("DELETE FROM in_flight WHERE id = ?", (number,))

    # The whole.

    def prune(self, before_s: float, now: float) -> int:
        """Removes what is older than a moment, in seconds since 1970; returns how many
        rows of calls. What was spent this month still counts for its budget."""
        this_month = _first_day("month", now)
        day = min(this_month, int(before_s // DAY_S))
        with self.database.writing() as connection:
            gone = connection.execute("DELETE FROM calls WHERE at < ?", (before_s,))
            connection.execute("DELETE FROM hits WHERE at < ?", (before_s,))
            connection.execute("DELETE FROM spent WHERE day < ?", (day,))
            old = "process IS NULL AND day < ?"
            connection.execute(f"DELETE FROM in_flight WHERE {old}", (day,))
        self.database.shrink()
        return gone.rowcount

    def rows(
        self, sql: str, values: Sequence[Any] | Mapping[str, Any] = ()
    ) -> list[tuple[Any, ...]]:
        """The rows of a query."""
        return self.database.rows(sql, values)

    def close(self) -> None:
        """Closes the database."""
        self.database.close()
        if self._unentered:
            left = LEFT.setdefault(self.database.path, [])
            left.append((self._sign, self._unentered))
        elif self._sign is not None:
            self._sign.end()

    def __repr__(self) -> str:
        return f"Ledger({str(self.database.path)!r})"


LEFT: dict[Path, list[tuple[SignOfLife | None, list[LedgerEntry]]]] = {}
"""By database, what closed ledgers of this process could not enter."""


@contextmanager
def opened_ledger() -> Iterator[Ledger]:
    """The project's ledger; if none can be created, one in memory, with a warning.

    Raises:
        CacheError: it exists and cannot be used.
    """
    try:
        ledger = Ledger()
    except CacheError as error:
        if is_there(home() / FILE):  # it may hold a budget
            raise
        warnings.warn(
            f"the calls of this run are not entered: {error}",
            PromptlabWarning,
            stacklevel=2,
        )
        ledger = Ledger(Database(IN_MEMORY))
    with closing(ledger):
        yield ledger


@contextmanager
def ledger_to_read() -> Iterator[Ledger]:
    """The project's ledger, or an empty one; no file is created.

    Raises:
        CacheError: it cannot be read.
    """
    with closing(Ledger(Database.to_read())) as ledger:
        yield ledger


def _insert(table: str, fields: Sequence[str]) -> str:
    marks = ", ".join("?" * len(fields))
    return f"INSERT INTO {table} ({', '.join(fields)}) VALUES ({marks})"


def _enter(connection: sqlite3.Connection, entries: Sequence[LedgerEntry]) -> None:
    """Enters lines, with what they count for, and settles what was reserved."""
    rows = [entry.row for entry in entries]
    settled = [(e.in_flight,) for e in entries if e.in_flight is not None]
    spent: dict[int, list[float]] = {}
    for row in rows:
        sums = spent.setdefault(int(row[0] // DAY_S), [0.0, 0.0])
        sums[0] += row[-2]
        sums[1] += row[-1]
    connection.executemany(INSERT_CALL, rows)
    connection.executemany(ADD_SPENT, [(day, *sums) for day, sums in spent.items()])
    if settled:
        connection.executemany("DELETE FROM in_flight WHERE id = ?", settled)


INSERT_CALL = _insert("calls", (*CallRow._fields, "took_usd", "took_tokens"))
INSERT_HITS = _insert("hits", CacheHits._fields)
INSERT_LIMITS = "INSERT OR REPLACE INTO limits VALUES (?, ?, ?, ?, ?, ?, ?)"
ADD_SPENT = (
    "INSERT INTO spent VALUES (?, ?, ?) ON CONFLICT (day) DO UPDATE SET"
    " usd = usd + excluded.usd, tokens = tokens + excluded.tokens"
)
SENT_COLUMNS = ("at", "run", "experiment", "base_url", "model", "attempt")
INSERT_SENT = _insert(
    "in_flight", ("id", "process", "day", *Spend._fields, *SENT_COLUMNS)
).replace("INSERT", "INSERT OR REPLACE")
SENT = (
    f"SELECT {', '.join(SENT_COLUMNS)}, usd, tokens FROM in_flight"
    " WHERE process = ? AND at IS NOT NULL ORDER BY id"
)
SUM = "SELECT COALESCE(SUM(usd), 0.0), COALESCE(SUM(tokens), 0.0)"


def _budget_statuses(connection: sqlite3.Connection, now: float) -> list[BudgetStatus]:
    found = []
    for period, usd, tokens in connection.execute(
        "SELECT period, usd, tokens FROM budgets ORDER BY period"
    ).fetchall():
        since = _first_day(period, now)
        # A call that was sent before midnight is entered on the day of its answer.
        spent, reserved = (
            Spend(
                *connection.execute(f"{SUM} FROM {of} WHERE day >= ?", (on,)).fetchone()
            )
            for of, on in (("spent", since), ("in_flight", since - 1))
        )
        found.append(BudgetStatus(period, _limits(usd, tokens), spent, reserved))
    return found


def _limits(usd: float | None, tokens: float | None) -> BudgetLimits:
    return BudgetLimits(
        *(math.inf if limit is None else limit for limit in (usd, tokens))
    )


def _first_day(period: str, now: float) -> int:
    """The first day of the period that a moment is in, as days since 1970-01-01."""
    moment = datetime.fromtimestamp(now, UTC)
    days = 0 if period == "day" else moment.day - 1
    return int(now // DAY_S) - days
