"""The ledger: every call that was made, in `.promptlab/usage.sqlite`.

A line is a call as it went over the wire: one that was answered, with its tokens and
its cost, or an attempt that failed. It holds neither prompts nor answers nor keys.
Lines are on disk, in the run's daybook at first, before an answer counts as given, so
that what a killed process paid is entered too. That a call goes out is noted before it
does: what a killed process waited for is entered as such. Processes may share the
ledger.

It also keeps what a project may spend in a day or a month, what is reserved for calls
in flight, what the cache saved, and the limits that servers last told.
"""

from __future__ import annotations

import math
import os
import sqlite3
import threading
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, get_args, get_type_hints

import orjson

from promptlab.errors import CacheError, PromptlabWarning
from promptlab.money.budget import BudgetLimits, Spend
from promptlab.spec.usage import DAY_S
from promptlab.store.databases import can_only_be_read, identity, opened_to_read
from promptlab.store.daybook import HAVE_LOCKS, abandoned
from promptlab.store.home import home, ignore_in_git, private_folder

FILE = "usage.sqlite"
IN_MEMORY = Path(":memory:")

VERSION = 1
"""Of the tables below, as `PRAGMA user_version`."""

TABLES = """
CREATE TABLE calls (
    at REAL NOT NULL,
    run TEXT, experiment TEXT NOT NULL,
    base_url TEXT NOT NULL, model TEXT NOT NULL, snapshot TEXT, service_tier TEXT,
    input_tokens INTEGER, cached_input_tokens INTEGER, cache_write_tokens INTEGER,
    output_tokens INTEGER, reasoning_tokens INTEGER,
    cost_usd REAL, prompt_cache_saved_usd REAL, price TEXT,
    latency_s REAL, attempt INTEGER NOT NULL,
    error TEXT, status INTEGER, request_id TEXT,
    took_usd REAL NOT NULL, took_tokens REAL NOT NULL
);
CREATE TABLE hits (
    at REAL NOT NULL,
    run TEXT, experiment TEXT NOT NULL, base_url TEXT NOT NULL, model TEXT NOT NULL,
    trials INTEGER NOT NULL, saved_usd REAL
);
CREATE TABLE spent (day INTEGER PRIMARY KEY, usd REAL NOT NULL, tokens REAL NOT NULL);
CREATE TABLE reserved (
    id INTEGER PRIMARY KEY,
    day INTEGER NOT NULL, usd REAL NOT NULL, tokens REAL NOT NULL
);
CREATE TABLE posted (daybook TEXT PRIMARY KEY, lines INTEGER NOT NULL);
CREATE TABLE budgets (period TEXT PRIMARY KEY, usd REAL, tokens REAL);
CREATE TABLE limits (
    base_url TEXT NOT NULL, model TEXT NOT NULL, at REAL NOT NULL,
    limit_requests REAL, remaining_requests REAL,
    limit_tokens REAL, remaining_tokens REAL,
    PRIMARY KEY (base_url, model)
);
"""

BUSY_S = 30.0
"""How long other processes are waited for."""


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
    """None where the price is not known, and of a failed attempt."""
    prompt_cache_saved_usd: float | None = None
    price: str | None = None
    """Where the price is from."""
    latency_s: float | None = None
    error: str | None = None
    """Of a failed attempt, its status and code or its kind; never its message, which
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
    """What the answers would have cost; None where that is not known."""


KILLED = "killed"
"""As the error of a line: the process was killed while it waited for the answer."""


class LedgerEntry(NamedTuple):
    """A line, and what it settles."""

    line: CallRow
    took: Spend
    """What it counts for in budgets: of a call whose outcome is open, its worst
    case."""
    reservation: int | None = None
    number: int | None = None
    """The call's, in its run."""

    @property
    def noted(self) -> tuple[Any, ...]:
        """What is noted of it in a daybook."""
        return *self.line, *self.took, self.number, self.reservation

    @property
    def row(self) -> tuple[Any, ...]:
        """The line, and the dollars and tokens that it counts for."""
        # SQLite binds plain tuples faster than named ones.
        return *self.line, *self.took


PERIODS = ("day", "month")


@dataclass(frozen=True)
class BudgetStatus:
    """How a project stands in a period."""

    period: str
    """`day` or `month`, in UTC as the providers reckon."""
    limits: BudgetLimits
    spent: Spend
    reserved: Spend
    """For calls in flight, in any process, those sent on the day before among them; of
    killed ones until then, as they may have been charged."""

    def exceeded(self, most: Spend) -> str:
        """The unit that does not allow a call which takes so much at most, as in
        `BudgetLimits`; empty if the call fits in."""
        return self.limits.exceeded(self.spent.plus(self.reserved), most)

    @property
    def left(self) -> Spend:
        """What may still be reserved; infinite where nothing is limited."""
        limits, gone = self.limits, self.spent.plus(self.reserved)
        return Spend(max(limits.usd - gone.usd, 0), max(limits.tokens - gone.tokens, 0))


class Ledger:
    """The ledger of a project. Threads may share it.

    Raises:
        CacheError: the file cannot be opened or made.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or home() / FILE
        self._lock = threading.Lock()
        self._read_only = self.on_disk and can_only_be_read(self.path)
        self._connection = self._opened()
        self._identity = identity(self.path)
        if self.on_disk and HAVE_LOCKS and not self._read_only:
            try:
                self._post_abandoned()
            except CacheError as error:  # they stay, for the next who opens it
                warnings.warn(str(error), PromptlabWarning, stacklevel=3)

    @property
    def on_disk(self) -> bool:
        """Whether it outlives the process."""
        return self.path != IN_MEMORY

    def check_writable(self) -> None:
        """Raises `CacheError` if it can be read and no call be entered."""
        if self._read_only:
            raise CacheError(
                f"the ledger {self.path} can only be read, so that no call could be "
                "entered: set PROMPTLAB_HOME to a folder that can be written"
            )

    # Lines.

    def enter(self, entries: Sequence[LedgerEntry]) -> None:
        """Enters calls, and settles what was reserved for them; on disk when it
        returns.

        Raises:
            CacheError: they cannot be written; then none of them is.
        """
        with self._writing() as connection:
            _enter(connection, entries)

    def post(self, daybook: str, entries: Sequence[LedgerEntry], lines: int) -> None:
        """As `enter`, what a daybook has, of which `lines` lines are done with then.

        Raises:
            CacheError: they cannot be written; then none of them is.
        """
        with self._writing() as connection:
            _enter(connection, entries)
            connection.execute(
                "INSERT OR REPLACE INTO posted VALUES (?, ?)", (daybook, lines)
            )

    def forget(self, daybook: str) -> None:
        """Forgets a daybook that is no longer there."""
        with self._writing() as connection:
            connection.execute("DELETE FROM posted WHERE daybook = ?", (daybook,))

    def _post_abandoned(self) -> None:
        """Enters what killed processes left in their daybooks."""
        for path, lines in abandoned(self.path.parent):
            sql = "SELECT lines FROM posted WHERE daybook = ?"
            known = self.rows(sql, (path.name,))
            entries, damaged = _left(lines, known[0][0] if known else 0)
            self.post(path.name, entries, len(lines))
            path.unlink(missing_ok=True)
            self.forget(path.name)
            if damaged:
                were = "line of {} was" if damaged == 1 else "lines of {} were"
                warnings.warn(
                    f"{damaged} {were.format(path)} damaged, and not entered in "
                    "the ledger",
                    PromptlabWarning,
                    stacklevel=4,
                )

    def enter_hits(self, hits: Sequence[CacheHits]) -> None:
        """Enters what the cache gave."""
        if hits:
            with self._writing() as connection:
                connection.executemany(INSERT_HITS, hits)

    def enter_limits(
        self, seen: Mapping[tuple[str, str], tuple[float | None, ...]], at: float
    ) -> None:
        """Keeps, by base URL and model, the limits that a server told last: requests
        per minute and how many were left, tokens per minute and how many were left."""
        rows = [(*served, at, *numbers) for served, numbers in seen.items()]
        with self._writing() as connection:
            connection.executemany(INSERT_LIMITS, rows)

    # Budgets.

    def set_budget(self, period: str, limits: BudgetLimits) -> None:
        """Sets what the project may spend in a `day` or a `month`; no limit takes the
        budget away."""
        with self._writing() as connection:
            connection.execute("DELETE FROM budgets WHERE period = ?", (period,))
            if limits.any:
                told = [
                    x if math.isfinite(x) else None for x in (limits.usd, limits.tokens)
                ]
                connection.execute(
                    "INSERT INTO budgets VALUES (?, ?, ?)", (period, *told)
                )

    def budgets(self) -> dict[str, BudgetLimits]:
        """What the project may spend, by period; empty where nothing is said."""
        rows = self.rows("SELECT period, usd, tokens FROM budgets ORDER BY period")
        return {period: _limits(usd, tokens) for period, usd, tokens in rows}

    def budget_statuses(self, now: float) -> list[BudgetStatus]:
        """How the project stands, in each period that has a budget."""
        with self._reading() as connection:
            return _budget_statuses(connection, now)

    def reserve(self, most: Spend, now: float) -> int | BudgetStatus:
        """Reserves what a call takes at most: its number, or the status in the period
        whose budget does not allow it."""
        with self._writing() as connection:
            for status in _budget_statuses(connection, now):
                if status.exceeded(most):
                    return status
            return _reserve(connection, most, now)

    def hold(self, most: Spend, now: float) -> int:
        """Reserves for a call that is under way already, whatever the budgets allow;
        its number."""
        with self._writing() as connection:
            return _reserve(connection, most, now)

    @property
    def version(self) -> int:
        """Another number whenever another process, or another `Ledger`, has changed
        something."""
        ((number,),) = self.rows("PRAGMA data_version")
        return int(number)

    def release(self, reservation: int) -> None:
        """Gives back what was reserved for a call that was not sent."""
        with self._writing() as connection:
            connection.execute("DELETE FROM reserved WHERE id = ?", (reservation,))

    # The whole.

    def prune(self, before_s: float, now: float) -> int:
        """Removes what is older than a moment, in seconds since 1970; how many lines
        there were. What was spent this month still counts for its budget."""
        this_month = _first_day("month", now)
        day = min(this_month, int(before_s // DAY_S))
        with self._writing() as connection:
            gone = connection.execute("DELETE FROM calls WHERE at < ?", (before_s,))
            connection.execute("DELETE FROM hits WHERE at < ?", (before_s,))
            for table in ("spent", "reserved"):
                connection.execute(f"DELETE FROM {table} WHERE day < ?", (day,))
        with self._reading() as connection:
            connection.execute("VACUUM")
        return gone.rowcount

    def rows(
        self, sql: str, values: Sequence[Any] | Mapping[str, Any] = ()
    ) -> list[tuple[Any, ...]]:
        """What a query gives."""
        with self._reading() as connection:
            return connection.execute(sql, values).fetchall()

    def close(self) -> None:
        """Lets go of the file."""
        with self._lock:
            self._connection.close()

    def _opened(self) -> sqlite3.Connection:
        try:
            if self._read_only:
                connection = opened_to_read(self.path)
                _lay_out(connection)
                return connection
            if self.on_disk:
                _make(self.path)
            connection = sqlite3.connect(
                self.path, timeout=BUSY_S, isolation_level=None, check_same_thread=False
            )
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            _lay_out(connection)
        except (sqlite3.Error, OSError) as error:
            raise CacheError(
                f"the ledger {self.path} cannot be opened: {error}; if it is damaged, "
                "move it away, and a new one is begun"
            ) from error
        return connection

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        try:
            with self._lock:
                yield self._connection
        except sqlite3.Error as error:
            raise CacheError(
                f"the ledger {self.path} cannot be used: {error}"
            ) from error

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction: all of it is written, or nothing."""
        with self._reading() as connection:
            connection.execute("BEGIN IMMEDIATE")  # other processes are waited for
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
        if identity(self.path) != self._identity:
            raise CacheError(
                f"the ledger {self.path} was removed or moved while it was in use"
            )

    def __repr__(self) -> str:
        return f"Ledger({str(self.path)!r})"


@contextmanager
def opened_ledger() -> Iterator[Ledger]:
    """The project's ledger; where none can be made, one in memory, with a warning.

    Raises:
        CacheError: there is one that cannot be used.
    """
    try:
        ledger = Ledger()
    except CacheError as error:
        if _is_there(home() / FILE):  # it may hold a budget
            raise
        warnings.warn(
            f"the calls of this run are not entered: {error}",
            PromptlabWarning,
            stacklevel=2,
        )
        ledger = Ledger(IN_MEMORY)
    try:
        yield ledger
    finally:
        ledger.close()


def project_budget_statuses() -> list[BudgetStatus]:
    """How the project stands now, in each period that has a budget; no file is made.

    Raises:
        CacheError: the ledger cannot be read.
    """
    if not _is_there(home() / FILE):
        return []
    with closing(Ledger()) as ledger:
        return ledger.budget_statuses(time.time())


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # its folder may not be looked into
        return False


def _make(path: Path) -> None:
    """Makes a file for the user alone, if it is not there; SQLite's other files follow
    its mode."""
    private_folder(path.parent)
    if path.parent == home():
        ignore_in_git(path.parent)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))


def _lay_out(connection: sqlite3.Connection) -> None:
    """Makes the tables of a new ledger."""
    ((version,),) = connection.execute("PRAGMA user_version").fetchall()
    if version > VERSION:
        raise sqlite3.DatabaseError("a newer promptlab made it")
    if version == VERSION:
        return
    connection.execute("BEGIN IMMEDIATE")
    ((version,),) = connection.execute("PRAGMA user_version").fetchall()
    if version == 0:  # no other process was first
        for statement in TABLES.split(";"):
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {VERSION}")
    connection.execute("COMMIT")


def _insert(table: str, fields: Sequence[str]) -> str:
    marks = ", ".join("?" * len(fields))
    return f"INSERT INTO {table} ({', '.join(fields)}) VALUES ({marks})"


def _left(lines: Sequence[bytes], posted: int) -> tuple[list[LedgerEntry], int]:
    """What a killed process's daybook has beyond the lines that were posted, and how
    many of these are damaged. Of a call that was sent, and of which nothing more is
    said, it is not known what it took: what was reserved for it stays so."""
    entries, damaged = [], 0
    waiting: dict[int, LedgerEntry] = {}
    for place, line in enumerate(lines):
        try:
            match orjson.loads(line):
                case {"sent": int(number), "call": [*beginning]}:
                    waiting[number] = _sent(beginning)
                case [*members]:
                    entered = _outcome(members)
                    waiting.pop(-1 if entered.number is None else entered.number, None)
                    if place >= posted:
                        entries.append(entered)
                case _:
                    raise ValueError("neither an object of ours nor an array")
        except (ValueError, TypeError):
            damaged += place >= posted
    return entries + list(waiting.values()), damaged


def _sent(beginning: Sequence[Any]) -> LedgerEntry:
    """A call of which nothing is known but that it was sent."""
    entered = LedgerEntry(CallRow(*beginning)._replace(error=KILLED), Spend())
    _check(entered.row)
    return entered


def _outcome(members: Sequence[Any]) -> LedgerEntry:
    """A call that is over, as it was noted; `ValueError` if it is damaged."""
    row, rest = members[: len(KINDS)], members[len(KINDS) :]
    _check(row)
    if len(rest) > 2 or any(type(one) not in (int, type(None)) for one in rest):
        raise ValueError("numbers of wrong types")
    number, reservation = [*rest, None, None][:2]
    line, took = row[: len(CallRow._fields)], row[len(CallRow._fields) :]
    return LedgerEntry(CallRow(*line), Spend(*took), reservation, number)


def _check(row: Sequence[Any]) -> None:
    """Raises `ValueError` if SQLite cannot take a row, or no sums be made of it."""
    for value, kinds in zip(row, KINDS, strict=True):
        is_number = type(value) in (int, float)
        if type(value) not in kinds or (is_number and not abs(value) < 2**53):
            raise ValueError("values of wrong types")
    if not 0 <= row[0] < 2**40 or min(row[-2:]) < 0:
        raise ValueError("numbers out of range")


def _kinds(hint: Any) -> tuple[type, ...]:
    kinds = get_args(hint) or (hint,)
    return (*kinds, int) if float in kinds else kinds


KINDS = [
    _kinds(hint)
    for parts in (CallRow, Spend)
    for hint in get_type_hints(parts).values()
]
"""What each member of a row may be."""


def _enter(connection: sqlite3.Connection, entries: Sequence[LedgerEntry]) -> None:
    """Enters lines, with what they count for, and settles what was reserved."""
    rows = [entry.row for entry in entries]
    settled = [(e.reservation,) for e in entries if e.reservation is not None]
    spent: dict[int, list[float]] = {}
    for row in rows:
        sums = spent.setdefault(int(row[0] // DAY_S), [0.0, 0.0])
        sums[0] += row[-2]
        sums[1] += row[-1]
    connection.executemany(INSERT_CALL, rows)
    connection.executemany(ADD_SPENT, [(day, *sums) for day, sums in spent.items()])
    if settled:
        connection.executemany("DELETE FROM reserved WHERE id = ?", settled)


def _reserve(connection: sqlite3.Connection, most: Spend, now: float) -> int:
    row = connection.execute(
        "INSERT INTO reserved (day, usd, tokens) VALUES (?, ?, ?)",
        (int(now // DAY_S), *most.counted),
    )
    return int(row.lastrowid or 0)


INSERT_CALL = _insert("calls", (*CallRow._fields, "took_usd", "took_tokens"))
INSERT_HITS = _insert("hits", CacheHits._fields)
INSERT_LIMITS = "INSERT OR REPLACE INTO limits VALUES (?, ?, ?, ?, ?, ?, ?)"
ADD_SPENT = (
    "INSERT INTO spent VALUES (?, ?, ?) ON CONFLICT (day) DO UPDATE SET"
    " usd = usd + excluded.usd, tokens = tokens + excluded.tokens"
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
            for of, on in (("spent", since), ("reserved", since - 1))
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
