"""Daybooks: lines that are on disk already, and in the ledger with those after them.

A transaction of SQLite for each few answers would take more than all else that is done
with them. So a run appends its lines to a file of its own, which outlives it if it is
killed, and posts them to the ledger in one go now and then. Who opens the ledger posts
the daybooks of processes that are gone: each process holds a lock on its own, which the
system lets go however it ends. The ledger counts what it has of each daybook, so that
no line is posted twice.

A line is JSON. An object says that a call is sent: its number, and what a row of the
ledger begins with. An array says what became of a call: its row, its number, and what
it settles. So the calls that a killed process waited for are those that were sent and
of which nothing more is said.
"""

from __future__ import annotations

import errno
import os
import secrets
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

PATTERN = "usage-*.daybook"

AS_LINE = orjson.OPT_APPEND_NEWLINE

HAVE_LOCKS = fcntl is not None
"""Whether it can be told that the process of a daybook is gone."""


class Daybook:
    """The daybook of one run; threads may share it.

    Raises:
        OSError: it cannot be made, or not be locked.
    """

    def __init__(self, folder: Path) -> None:
        self.lines = 0
        """How many it has."""
        self._size = 0
        self._appending = threading.Lock()
        while True:
            self.path = folder / PATTERN.replace("*", secrets.token_hex(8))
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND
            self._file = os.open(self.path, flags, 0o600)
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX)
            except OSError:  # some file systems have no locks
                self.path.unlink()
                os.close(self._file)
                raise
            if _is_there(self._file):
                return
            os.close(self._file)  # it was taken for an abandoned one

    def append(self, lines: Sequence[Any]) -> int:
        """Writes lines; they outlive the process when it returns. How many there are
        then.

        Raises:
            OSError: they cannot be written; then none of them is.
        """
        content = b"".join([orjson.dumps(line, option=AS_LINE) for line in lines])
        with self._appending:
            try:
                if os.write(self._file, content) != len(content):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            except OSError:
                os.ftruncate(self._file, self._size)
                raise
            self._size += len(content)
            self.lines += len(lines)
            return self.lines

    def close(self) -> None:
        """Lets go of it; where it is still there, the next who opens the ledger posts
        what it holds."""
        os.close(self._file)


def _is_there(file: int) -> bool:
    """Whether an open file still has its name: another process may have removed it
    before it was locked."""
    return os.fstat(file).st_nlink > 0


def abandoned(folder: Path) -> Iterator[tuple[Path, list[bytes]]]:
    """The daybooks whose process is gone, and their lines; each is locked until the
    next is asked for. A last line that was cut off is left out, as are files that
    cannot be read or locked."""
    for path in sorted(folder.glob(PATTERN)):
        with suppress(OSError), path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not _is_there(file.fileno()):
                continue
            whole = file.read().splitlines(keepends=True)
            yield path, [line for line in whole if line.endswith(b"\n")]
