"""View widgets: a script that asks the kernel, and HTML for a notebook without one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from promptlab.notebook.widgets.static_output import hidden_class, show_both

HERE = Path(__file__).parent
SHARED = (HERE / "elements.js", HERE / "keys.js")


def script(*files: Path) -> str:
    """The script of a widget: what all views share, then these files."""
    return "\n".join(file.read_text("utf-8") for file in (*SHARED, *files))


class ViewWidget(anywidget.AnyWidget):  # type: ignore[misc]
    """A view that answers the messages of its script; a saved notebook shows
    `_repr_html_()` in its place."""

    hides = traitlets.Unicode(read_only=True).tag(sync=True)
    """The class of that HTML, which the script hides while it runs."""

    def __init__(self) -> None:
        self.set_trait("hides", hidden_class())
        super().__init__()
        # Front ends may deliver a message from a thread of their own.
        self.on_msg(lambda _, message, __: self.send(self.answer(message)))

    def answer(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to a message of the script, as plain JSON values."""
        raise NotImplementedError

    def _repr_html_(self) -> str:
        raise NotImplementedError

    def _repr_mimebundle_(self, **more: Any) -> Any:
        data, metadata = super()._repr_mimebundle_(**more)
        return {**data, "text/html": self._repr_html_()}, metadata

    def _ipython_display_(self) -> None:
        data, metadata = super()._repr_mimebundle_()
        show_both(data, self._repr_html_(), self.hides, metadata)
