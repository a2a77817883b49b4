"""Paths as people write them."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from promptlab.errors import SpecError


def user_path(given: str | os.PathLike[str]) -> Path:
    """A path as a person writes it: `~` is their home folder.

    Raises:
        SpecError: the home folder of that user is not found.
    """
    try:
        return Path(given).expanduser()
    except RuntimeError as error:
        raise SpecError(f"{os.fspath(given)}: home folder not found") from error


def check_regular(path: Path) -> None:
    """Raises `OSError` where a path leads to a pipe or a device, which may never end;
    what is not there is for `open` to say."""
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise OSError(errno.EINVAL, "it is a pipe or a device, not a file", str(path))
