"""The comparison in a notebook: a widget of one script and one style sheet."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from promptlab.notebook.compare.comparison_session import ComparisonSession
from promptlab.notebook.compare.static_html import static_html
from promptlab.notebook.widgets.scripts import script
from promptlab.notebook.widgets.view_widget import ViewWidget

HERE = Path(__file__).parent


class ComparisonWidget(ViewWidget):
    """Outputs side by side in a notebook; shows itself as a cell's last value."""

    _esm = script(HERE / "diff.js", HERE / "markdown.js", HERE / "compare.js")
    _css = HERE / "compare.css"

    def __init__(self, session: ComparisonSession) -> None:
        self._session = session
        super().__init__()

    @property
    def table(self) -> pd.DataFrame:
        """The rows that are shown, filtered and sorted: a column for each output."""
        return self._session.table

    @property
    def marks(self) -> pd.DataFrame:
        """The rows of this experiment that were pinned, marked or noted."""
        return self._session.marks

    def answer(self, message: Mapping[str, Any]) -> dict[str, Any]:
        return self._session.answer(message)

    def __repr__(self) -> str:
        return repr(self._session.comparison)

    def _repr_html_(self) -> str:
        return static_html(self._session)
