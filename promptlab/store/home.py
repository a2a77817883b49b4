"""The folder that holds a project's state: `.promptlab/`."""

from __future__ import annotations

import os
from pathlib import Path

from promptlab.errors import CacheError
from promptlab.paths import user_path


def home() -> Path:
    """`$PROMPTLAB_HOME`, or `.promptlab` in the working directory; it may not exist."""
    return user_path(os.environ.get("PROMPTLAB_HOME") or ".promptlab").absolute()


def private_folder(path: Path) -> Path:
    """The folder, created if needed together with missing parents, for the user alone
    (0700).

    Raises:
        CacheError: it cannot be made or entered.
    """
    try:
        for missing in reversed([f for f in (path, *path.parents) if not f.exists()]):
            missing.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise CacheError(
            f"{path} cannot be used: {error.strerror or error}; "
            "set PROMPTLAB_HOME to a folder that can be written"
        ) from error
    return path


def ignore_in_git(folder: Path) -> None:
    """Keeps a project's state out of its repository."""
    ignore = folder / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n")
