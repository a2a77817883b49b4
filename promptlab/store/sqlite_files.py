"""Files of SQLite: opened, gone, read-only, or unusable."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from promptlab.errors import CacheError

BUSY_S = 30.0
"""How long other processes are waited for."""


def connect(file: Path | str, *, uri: bool = False) -> sqlite3.Connection:
    """A connection for any thread, each statement a transaction of its own."""
    return sqlite3.connect(
        file, timeout=BUSY_S, isolation_level=None, check_same_thread=False, uri=uri
    )


def cannot_be_opened(what: str, error: Exception) -> CacheError:
    """The error that a database cannot be opened, with what to do about it."""
    reason = getattr(error, "strerror", None) or error
    code = getattr(error, "sqlite_errorcode", None)
    if isinstance(error, OSError):
        hint = ELSEWHERE
    else:
        hint = HINTS.get(0 if code is None else code & 0xFF, HINTS[0])
    return CacheError(f"{what} cannot be opened: {reason}; {hint}")


def why_not_written(error: OSError | CacheError) -> str:
    """Why a file was not written, with what to do about it."""
    if isinstance(error, OSError):
        return f"{error.filename}: {error.strerror or error}; {ELSEWHERE}"
    return str(error)


ELSEWHERE = "set PROMPTLAB_HOME to a folder that can be written"
HINTS = {
    0: "if it is damaged, move it away, and a new one is made",
    sqlite3.SQLITE_BUSY: "another process is using it, try again later",
    sqlite3.SQLITE_CANTOPEN: ELSEWHERE,
    sqlite3.SQLITE_FULL: "free some space, or set PROMPTLAB_HOME to another disk",
    sqlite3.SQLITE_IOERR: "is its disk full? PROMPTLAB_HOME may name another",
    sqlite3.SQLITE_READONLY: ELSEWHERE,
}
"""What to do about an error of SQLite, by its code; 0 for all others."""


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
