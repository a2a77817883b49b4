"""Shortcuts: keys that are pressed in our widgets do nothing to the notebook around."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


def script(name: str) -> str:
    """A widget's script, with what all of them begin with."""
    return "\n".join(
        (HERE / part).read_text("utf-8") for part in ("shortcuts.js", name)
    )


def keep_keys(box: Any) -> None:
    """Keeps the keys of a box of plain ipywidgets, where anywidget is installed.

    They have no way to say that a key is theirs: in JupyterLab, `d d` with the focus on
    one of their buttons deletes the cell.
    """
    with suppress(ImportError):
        from promptlab.notebook.keeper import Keeper

        box.add_class(Keeper.box)
        box.children = (*box.children, Keeper())
