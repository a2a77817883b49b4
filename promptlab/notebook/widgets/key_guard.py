"""The key guard: keys that are pressed in our widgets do nothing to the notebook."""

from __future__ import annotations

from pathlib import Path

import anywidget
import ipywidgets as widgets

from promptlab.notebook.widgets.view_widget import script


class KeyGuard(anywidget.AnyWidget):  # type: ignore[misc]
    """An invisible widget that keeps keys pressed in its box from the notebook, and
    names controls for screen readers that have only a tooltip."""

    _esm = script(Path(__file__).parent / "key_guard.js")

    box = "promptlab-box"
    """The class of such a box."""

    def __init__(self) -> None:
        super().__init__(layout=widgets.Layout(display="none"))

    def __repr__(self) -> str:
        return "KeyGuard()"
