"""Files of SQLite: opened, gone, or such that can only be read."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

BUSY_S = 30.0
"""How long other processes are waited for."""


def connect(file: Path | str, *, uri: bool = False) -> sqlite3.Connection:
    """A connection for any thread, each statement a transaction of its own."""
    return sqlite3.connect(
        file, timeout=BUSY_S, isolation_level=None, check_same_thread=False, uri=uri
    )


def is_there(path: Path) -> bool:
    """Whether there is such a file, as far as one may look."""
    return identity(path) is not None


def identity(file: Path) -> tuple[int, int] | None:
    """The identity of a file, which another one of its name does not share; None if
    there is no file.

    A database that was removed or moved while it is open is written to in vain.
    """
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def can_only_be_read(file: Path) -> bool:
    """Whether a database is there and cannot be written: files are made beside it."""
    return is_there(file) and not (
        os.access(file, os.W_OK) and os.access(file.parent, os.W_OK)
    )


def opened_to_read(file: Path) -> sqlite3.Connection:
    """A connection, for any thread, to a database that cannot be written.

    Raises:
        sqlite3.Error: it cannot be read either.
    """
    try:
        return _checked(connect(f"{file.as_uri()}?mode=ro", uri=True))
    except sqlite3.OperationalError:  # what others have beside it cannot be read
        return _checked(connect(f"{file.as_uri()}?immutable=1", uri=True))


def _checked(connection: sqlite3.Connection) -> sqlite3.Connection:
    try:
        connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchall()
    except sqlite3.Error:
        connection.close()
        raise
    return connection
