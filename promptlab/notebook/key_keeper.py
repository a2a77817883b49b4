"""The key keeper: a widget without a face, for boxes of plain ipywidgets."""

from __future__ import annotations

import anywidget
import ipywidgets as widgets

from promptlab.notebook.shortcuts import script


class KeyKeeper(anywidget.AnyWidget):  # type: ignore[misc]
    """Keeps keys that are pressed in the box that it is in from the notebook."""

    _esm = script("key_keeper.js")

    box = "promptlab-keys"
    """The class of such a box."""

    def __init__(self) -> None:
        super().__init__(layout=widgets.Layout(display="none"))

    def __repr__(self) -> str:
        return "KeyKeeper()"
