"""Paths: the home of a project's state, `.promptlab/`, and those that people write."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from promptlab.errors import CacheError, SpecError


def home() -> Path:
    """`$PROMPTLAB_HOME`, or `.promptlab` in the working directory; not made yet."""
    return user_path(os.environ.get("PROMPTLAB_HOME") or ".promptlab").absolute()


def user_path(given: str | os.PathLike[str]) -> Path:
    """A path as a person writes it: `~` is their home folder.

    Raises:
        SpecError: it is the home folder of someone who is not known here.
    """
    try:
        return Path(given).expanduser()
    except RuntimeError as error:
        raise SpecError(f"{os.fspath(given)}: no such home folder is known") from error


def check_regular(path: Path) -> None:
    """Raises `OSError` where a path leads to a pipe or a device, which may never end;
    what is not there is for `open` to say."""
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise OSError(errno.EINVAL, "it is a pipe or a device, not a file", str(path))


def private_folder(path: Path) -> Path:
    """The folder, made if needed, for the user alone (0700), as are those above it
    that are missing.

    Raises:
        CacheError: it cannot be made.
    """
    try:
        for missing in reversed([f for f in (path, *path.parents) if not f.exists()]):
            missing.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise CacheError(
            f"{path} cannot be made: {error.strerror or error}; "
            "set PROMPTLAB_HOME to a folder that can be written"
        ) from error
    return path


def ignore_in_git(folder: Path) -> None:
    """Keeps a project's state out of its repository."""
    ignore = folder / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n")
