"""Signs of life: whether the process of a run still exists.

A process holds a lock on a file of its own in `.promptlab/alive`, which the system lets
go however the process ends. What a run has in the database bears the file's name.
"""

from __future__ import annotations

import errno
import os
import secrets
from contextlib import suppress
from pathlib import Path

from promptlab.store.home import private_folder

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

FOLDER = "alive"

NO_LOCKS = {errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL}
"""Error codes of a file system without locks."""


class SignOfLife:
    """A lock that is held until `end`, or until the process ends.

    Raises:
        OSError: its file cannot be made.
        CacheError: nor can the folder.
    """

    def __init__(self, home: Path) -> None:
        self.name: str | None = secrets.token_hex(8)
        """None if the file system has no locks."""
        self._file: int | None = None
        if fcntl is None:
            self.name = None
            return
        self._path = private_folder(home / FOLDER) / str(self.name)
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self.end()
            if error.errno not in NO_LOCKS:
                raise
            self.name = None

    def end(self) -> None:
        """Releases it; may be called twice."""
        if self._file is not None:
            with suppress(OSError):
                self._path.unlink()
            os.close(self._file)
            self._file = None

    __del__ = end


def is_alive(home: Path, name: str | None) -> bool | None:
    """Whether a sign of life is still held; None if that is unknown."""
    if fcntl is None or name is None:
        return None
    try:
        with (home / FOLDER / name).open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except (FileNotFoundError, BlockingIOError) as error:
        return isinstance(error, BlockingIOError)
    except OSError:
        return None
    return False


def remove(home: Path, name: str) -> None:
    """Removes the file that a killed process left."""
    with suppress(OSError):
        (home / FOLDER / name).unlink()
