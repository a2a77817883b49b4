"""The project's database: what it keeps besides the answers, in one file of SQLite.

`.promptlab/promptlab.sqlite` has the calls and the budgets (`store.ledger`), the
recorded runs and their scores (`results.runs`), marks, votes and what is known of
judges (`store.history`).
Processes may share it. What a process has written outlives the process.

`PRAGMA user_version` says how many of `MIGRATIONS` it has been through. The first of
them also take over what earlier versions kept in files of their own, which stay.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from promptlab.errors import CacheError
from promptlab.store import takeover
from promptlab.store.home import home, ignore_in_git, private_folder
from promptlab.store.sqlite_files import (
    can_only_be_read,
    cannot_be_opened,
    connect,
    identity,
    is_there,
    opened_to_read,
)

FILE = "promptlab.sqlite"
IN_MEMORY = Path(":memory:")

CALLS = """
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
CREATE TABLE in_flight (
    id INTEGER PRIMARY KEY, process TEXT,
    day INTEGER NOT NULL, usd REAL NOT NULL, tokens REAL NOT NULL,
    at REAL, run TEXT, experiment TEXT, base_url TEXT, model TEXT, attempt INTEGER
);
CREATE TABLE hits (
    at REAL NOT NULL,
    run TEXT, experiment TEXT NOT NULL, base_url TEXT NOT NULL, model TEXT NOT NULL,
    trials INTEGER NOT NULL, saved_usd REAL
);
CREATE TABLE spent (day INTEGER PRIMARY KEY, usd REAL NOT NULL, tokens REAL NOT NULL);
CREATE TABLE budgets (period TEXT PRIMARY KEY, usd REAL, tokens REAL);
CREATE TABLE limits (
    base_url TEXT NOT NULL, model TEXT NOT NULL, at REAL NOT NULL,
    limit_requests REAL, remaining_requests REAL,
    limit_tokens REAL, remaining_tokens REAL,
    PRIMARY KEY (base_url, model)
);
"""
"""A call is `in_flight` from when it is reserved for; it is sent once it has a time."""

RUNS = """
CREATE TABLE experiments (digest TEXT PRIMARY KEY, definition BLOB NOT NULL);
CREATE TABLE runs (
    name TEXT PRIMARY KEY, format INTEGER NOT NULL, process TEXT,
    started_s REAL NOT NULL, experiment TEXT NOT NULL, experiment_name TEXT NOT NULL,
    dataset_digest TEXT NOT NULL, variants INTEGER NOT NULL, cache TEXT NOT NULL,
    status TEXT NOT NULL, reason TEXT NOT NULL, problem TEXT NOT NULL,
    totals TEXT NOT NULL, routes TEXT NOT NULL, wire_names TEXT NOT NULL,
    prices TEXT NOT NULL, versions TEXT NOT NULL,
    answered TEXT, asked TEXT NOT NULL, failures TEXT NOT NULL, answers BLOB
);
"""

HISTORIES = """
CREATE TABLE marks (
    id INTEGER PRIMARY KEY, experiment TEXT NOT NULL, line TEXT NOT NULL
);
CREATE TABLE votes (
    id INTEGER PRIMARY KEY, experiment TEXT NOT NULL, line TEXT NOT NULL
);
CREATE INDEX marks_by_experiment ON marks (experiment);
CREATE INDEX votes_by_experiment ON votes (experiment);
"""

SCORES = """
CREATE TABLE scores (
    run TEXT NOT NULL, name TEXT NOT NULL, content BLOB NOT NULL,
    PRIMARY KEY (run, name)
);
"""

CHECKS = """
CREATE TABLE checks (
    id INTEGER PRIMARY KEY, experiment TEXT NOT NULL, line TEXT NOT NULL
);
"""

MIGRATIONS: Sequence[tuple[str, Callable[[sqlite3.Connection, Path], None]]] = (
    (CALLS, takeover.ledger),
    (RUNS, takeover.runs),
    (HISTORIES, takeover.histories),
    (SCORES, lambda connection, folder: None),
    (CHECKS, lambda connection, folder: None),
)
"""Statements, and what then takes over the files of a folder of earlier versions."""


class Database:
    """An open database; threads may share it.

    Raises:
        CacheError: the file cannot be opened or made.
    """

    def __init__(self, path: Path | None = None, folder: Path | None = None) -> None:
        """`folder` is where files of earlier versions are; the file's own if None."""
        self.path = path or home() / FILE
        self.folder = folder or self.path.parent
        self.read_only = self.on_disk and can_only_be_read(self.path)
        self._lock = threading.Lock()
        self._connection = self._opened()
        self._identity = identity(self.path)

    @classmethod
    def to_read(cls) -> Database:
        """The project's; if there is none yet, an empty one in memory, or one with what
        earlier versions kept, as reading creates no file."""
        if is_there(home() / FILE):
            return cls()
        if takeover.is_due(home()) and os.access(home(), os.W_OK):
            return cls()
        return cls(IN_MEMORY, home())

    @property
    def on_disk(self) -> bool:
        """Whether it outlives the process."""
        return self.path != IN_MEMORY

    @property
    def version(self) -> int:
        """A number that changes whenever another process or `Database` writes."""
        ((number,),) = self.rows("PRAGMA data_version")
        return int(number)

    def rows(
        self, sql: str, values: Sequence[Any] | Mapping[str, Any] = ()
    ) -> list[tuple[Any, ...]]:
        """The rows of a query.

        Raises:
            CacheError: the file cannot be read.
        """
        with self.reading() as connection:
            return connection.execute(sql, values).fetchall()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """The connection, for some statements after one another.

        Raises:
            CacheError: it cannot be used.
        """
        try:
            with self._lock:
                yield self._connection
        except (sqlite3.Error, OverflowError) as error:
            raise CacheError(
                f"the database {self.path} cannot be used: {error}"
            ) from error

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction: all of it is written, or nothing.

        Raises:
            CacheError: it cannot be written, or the file was removed.
        """
        with self.reading() as connection:
            connection.execute("BEGIN IMMEDIATE")  # other processes are waited for
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
        if identity(self.path) != self._identity:
            raise CacheError(f"{self.path} was removed or moved while it was in use")

    def shrink(self) -> None:
        """Frees the space of removed rows."""
        with self.reading() as connection:
            connection.execute("VACUUM")

    def close(self) -> None:
        """Closes the file."""
        with self._lock:
            self._connection.close()

    def _opened(self) -> sqlite3.Connection:
        connection = None
        try:
            if self.read_only:
                connection = opened_to_read(self.path)
            else:
                if self.on_disk:
                    _make(self.path)
                connection = connect(self.path)
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = NORMAL")
            if self.read_only and self._version(connection) < len(MIGRATIONS):
                with closing(connection) as old:
                    connection = connect(IN_MEMORY)
                    old.backup(connection)
            self._migrate(connection)
        except (sqlite3.Error, OSError) as error:
            if connection is not None:
                connection.close()
            raise cannot_be_opened(f"the database {self.path}", error) from error
        except CacheError:
            if connection is not None:
                connection.close()
            raise
        return connection

    def _version(self, connection: sqlite3.Connection) -> int:
        ((version,),) = connection.execute("PRAGMA user_version").fetchall()
        if version > len(MIGRATIONS):
            raise CacheError(
                f"the database {self.path} was written by a newer promptlab (version "
                f"{version}, this one reads up to {len(MIGRATIONS)}): upgrade "
                "promptlab, or set PROMPTLAB_HOME to another folder"
            )
        return int(version)

    def _migrate(self, connection: sqlite3.Connection) -> None:
        """Brings a database to this version, all the way or not at all."""
        if self._version(connection) == len(MIGRATIONS):
            return
        connection.execute("BEGIN IMMEDIATE")
        try:
            for statements, take_over in MIGRATIONS[self._version(connection) :]:
                for statement in statements.split(";"):
                    connection.execute(statement)
                take_over(connection, self.folder)
            connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise

    def __repr__(self) -> str:
        return f"Database({str(self.path)!r})"


def _make(path: Path) -> None:
    """Makes a file for the user alone, if it is not there; SQLite's other files follow
    its mode."""
    private_folder(path.parent)
    if path.parent == home():
        ignore_in_git(path.parent)
    # To close any descriptor of a file gives up the locks that this process has on it:
    # one that is there is left to SQLite.
    if not is_there(path):
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
