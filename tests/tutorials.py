"""Tutorials: runs the notebooks and stores what their cells give.

    PYTHONPATH=tests python -m tutorials notebooks/*.ipynb

Each runs with a cache of its own that is empty, without a key, and without files of
encodings, so that tokens are estimated.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient


def main(paths: list[Path]) -> None:
    """Runs notebooks one after the other; the first error ends it."""
    for path in paths:
        print(path.name)
        with tempfile.TemporaryDirectory() as home:
            run(path, Path(home))


def run(path: Path, home: Path) -> None:
    """Runs a notebook in its folder, with the project of `home`, and writes its outputs
    to its file, without widget state, which would hold what is shown a second time.

    Raises:
        CellExecutionError: a cell raises.
    """
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        resources={"metadata": {"path": str(path.parent)}},
        record_timing=False,
        store_widget_state=False,
    )
    own = {"PROMPTLAB_HOME": str(home), "TIKTOKEN_CACHE_DIR": str(home / "none")}
    client.execute(env=_environment() | own)
    nbformat.write(notebook, path)


def _environment() -> dict[str, str]:
    return {n: v for n, v in os.environ.items() if not n.startswith("OPENAI_")}


if __name__ == "__main__":
    main([Path(name) for name in sys.argv[1:]])
