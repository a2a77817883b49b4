"""Databases: files of SQLite that are gone, or that can only be read."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

Identity = tuple[int, int]


def identity(file: Path) -> Identity | None:
    """What tells a file from any other that has its name later; None if there is none.

    A database that was removed or moved while it is open is written to in vain.
    """
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def can_only_be_read(file: Path) -> bool:
    """Whether a database is there and cannot be written: files are made beside it."""
    return identity(file) is not None and not (
        os.access(file, os.W_OK) and os.access(file.parent, os.W_OK)
    )


def opened_to_read(file: Path) -> sqlite3.Connection:
    """A connection, for any thread, to a database that cannot be written.

    Raises:
        sqlite3.Error: it cannot be read either.
    """
    try:
        return _opened(file, "mode=ro")
    except sqlite3.OperationalError:  # what others have beside it cannot be read
        return _opened(file, "immutable=1")


def _opened(file: Path, how: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"{file.as_uri()}?{how}",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
    )
    try:
        connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchall()
    except sqlite3.Error:
        connection.close()
        raise
    return connection
