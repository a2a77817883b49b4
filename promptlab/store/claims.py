"""Claims: which requests this process asks, so that no other process asks them too.

A claim is a lock on one byte of an empty file in the cache's folder; the key decides
which byte. So a claim costs no write, and the system releases it at once however the
process ends. SQLite keeps writers apart in the same way: if the cache works, claims do.
Windows has no such locks in Python; there nothing is claimed.

The locks belong to the process, not to the open file, and are lost when the process
closes the file anywhere. So there is one `Claims` for all runs of a process on a cache.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

FILE = "claims"
DIGITS = 15
"""Of a key, in hexadecimal, that say which byte is locked: a file has 2**63 of them."""


class Claims:
    """The claims of this process on the requests of one cache.

    It is not for threads: within a process, runs share what is asked by other means.
    """

    def __init__(self, folder: Path) -> None:
        """Where the file cannot be made, and so no answer be stored, nothing is
        claimed."""
        self.folder = folder
        self.users = 0
        """How many runs use it."""
        self._file: int | None = None
        if fcntl is not None:
            with suppress(OSError):
                self._file = os.open(folder / FILE, os.O_RDWR | os.O_CREAT, 0o600)

    def take(self, key: str) -> bool:
        """Whether the request of that key may be asked: no other process does. It is
        this process's until it is given back."""
        if self._file is None:
            return True
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _byte(key))
        except (BlockingIOError, PermissionError):  # POSIX allows either
            return False
        except OSError:  # the file system has no locks
            return True
        return True

    def give_back(self, key: str) -> None:
        """Lets other processes ask it, where there is no answer."""
        if self._file is not None:
            with suppress(OSError):
                fcntl.lockf(self._file, fcntl.LOCK_UN, 1, _byte(key))

    def close(self) -> None:
        """Gives back every claim."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


class ClaimsOfCaches:
    """The claims of this process, by the folder of the cache."""

    def __init__(self) -> None:
        self._by_folder: dict[Path, Claims] = {}

    def join(self, folder: Path) -> Claims:
        """The claims on a cache, for one more run; `leave` must follow."""
        if folder not in self._by_folder:
            self._by_folder[folder] = Claims(folder)
        claims = self._by_folder[folder]
        claims.users += 1
        return claims

    def leave(self, claims: Claims) -> None:
        """Ends what `join` began; with the last run the file is closed."""
        claims.users -= 1
        if not claims.users:
            del self._by_folder[claims.folder]
            claims.close()


def _byte(key: str) -> int:
    return int(key[:DIGITS], 16)
