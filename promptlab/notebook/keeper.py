"""The keeper: a widget without a face, for boxes of plain ipywidgets."""

from __future__ import annotations

import anywidget
import ipywidgets as widgets

from promptlab.notebook.shortcuts import script


class Keeper(anywidget.AnyWidget):  # type: ignore[misc]
    """Keeps keys that are pressed in the box that it is in from the notebook, and tells
    screen readers what has a tooltip but no name."""

    _esm = script("keeper.js")

    box = "promptlab-box"
    """The class of such a box."""

    def __init__(self) -> None:
        super().__init__(layout=widgets.Layout(display="none"))

    def __repr__(self) -> str:
        return "Keeper()"
