"""The pivot in a notebook: a table whose numbers can be clicked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from promptlab.notebook.widgets.view_widget import script

HERE = Path(__file__).parent


class PivotTable(anywidget.AnyWidget):  # type: ignore[misc]
    """A pivot as a table of buttons, each of which opens the trials behind a mean."""

    _esm = script(HERE / "pivot.js")
    _css = HERE / "pivot.css"

    shown: Any = traitlets.Dict().tag(sync=True)
    """The pivot, as `promptlab.notebook.explore.pivot_view.pivot_json` gives it."""
    opened: Any = traitlets.List().tag(sync=True)
    """The row and the column of the number whose trials are shown; empty if none."""

    def __init__(self, opens: Callable[[int, int], None]) -> None:
        super().__init__()
        self._opens = opens
        self.on_msg(self._pressed)

    def _pressed(self, _: Any, message: Mapping[str, Any], __: Any) -> None:
        if message.get("kind") == "open":
            self._opens(int(message["row"]), int(message["column"]))

    def __repr__(self) -> str:
        return "PivotTable()"
