"""The comparison in a notebook: a widget of one script and one style sheet."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from promptlab.notebook.compare.comparison_session import ComparisonSession
from promptlab.notebook.compare.static_html import ComparisonView
from promptlab.notebook.widgets.view_widget import ViewWidget, script

HERE = Path(__file__).parent


class ComparisonWidget(ComparisonView, ViewWidget):
    """Outputs side by side in a notebook; shows itself as a cell's last value."""

    _esm = script(HERE / "diff.js", HERE / "markdown.js", HERE / "compare.js")
    _css = HERE / "compare.css"

    def __init__(self, session: ComparisonSession) -> None:
        self._session = session
        super().__init__()

    def answer(self, message: Mapping[str, Any]) -> dict[str, Any]:
        return self._session.answer(message)
