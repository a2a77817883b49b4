"""JSON Lines stores: append-only files, each line on disk when `append` returns."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from promptlab.errors import CacheError, PromptlabWarning
from promptlab.store.home import ignore_in_git, private_folder


@dataclass(frozen=True)
class JsonlStore:
    """A file of JSON objects, one a line, readable by the user alone (0600).

    Any number of processes may append. A line that a crash cut off damages no other.
    """

    path: Path
    """The file, in a folder of a project's home; the first line creates it."""

    def append(self, entry: Mapping[str, Any]) -> None:
        """Adds a line; it is on disk when this returns.

        Raises:
            CacheError: it cannot be written.
        """
        line = orjson.dumps(entry) + b"\n"
        try:
            folder = private_folder(self.path.parent)
            ignore_in_git(folder.parent)
            new = not self.path.exists()
            with open(self.path, "a+b", buffering=0, opener=_private) as file:
                if _is_torn(file):
                    line = b"\n" + line
                written = file.write(line)  # at once, so that no other line gets in
                os.fsync(file.fileno())
            if new:
                _keep_name(folder)
        except OSError as error:
            raise CacheError(
                f"{self.path} cannot be written: {error.strerror or error}"
            ) from error
        if written != len(line):
            raise CacheError(f"{self.path} cannot be written: the disk is full")

    def entries(self) -> list[dict[str, Any]]:
        """The lines in order, without damaged ones; warns if there are any.

        Raises:
            CacheError: the file cannot be read.
        """
        try:
            *lines, last = self.path.read_bytes().split(b"\n")
        except FileNotFoundError:
            return []
        except OSError as error:
            raise CacheError(
                f"{self.path} cannot be read: {error.strerror or error}"
            ) from error
        found = [_entry(line) for line in lines if line]
        if damaged := found.count(None):
            warnings.warn(
                f"{self.path}: {damaged} damaged line{'s' * (damaged > 1)} left out",
                PromptlabWarning,
                stacklevel=2,
            )
        # What follows the last line end is being written, or never was to its end.
        return [entry for entry in (*found, _entry(last)) if entry is not None]


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _is_torn(file: Any) -> bool:
    if not file.seek(0, os.SEEK_END):
        return False
    file.seek(-1, os.SEEK_END)
    return bool(file.read(1) != b"\n")


def _keep_name(folder: Path) -> None:
    """Flushes the name of a new file to disk; Windows does so by itself."""
    with suppress(PermissionError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _entry(line: bytes) -> dict[str, Any] | None:
    try:
        entry = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    return entry if isinstance(entry, dict) else None
