"""The comparison in a notebook: a widget of one script and one style sheet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anywidget
import pandas as pd
import traitlets

from promptlab.notebook.compare.comparison_session import ComparisonSession
from promptlab.notebook.compare.static_html import static_html
from promptlab.notebook.widgets.scripts import script
from promptlab.notebook.widgets.static_output import hidden_class, show_both

HERE = Path(__file__).parent


class ComparisonWidget(anywidget.AnyWidget):  # type: ignore[misc]
    """Outputs side by side. Its state holds no rows: it answers for them."""

    _esm = script(HERE / "compare.js")
    _css = HERE / "compare.css"

    hides = traitlets.Unicode(read_only=True).tag(sync=True)
    """The class of the table that a saved notebook shows in place of this."""

    def __init__(self, live: ComparisonSession) -> None:
        self._live = live
        self.set_trait("hides", hidden_class())
        super().__init__()
        self.on_msg(self._answer)

    @property
    def table(self) -> pd.DataFrame:
        """The rows that are shown, filtered and sorted: a column for each output."""
        return self._live.table

    @property
    def marks(self) -> pd.DataFrame:
        """The rows of this experiment that were pinned, marked or noted."""
        return self._live.marks

    def answer(self, question: dict[str, Any]) -> dict[str, Any]:
        """The answer to a question of the front end, see `ComparisonSession`."""
        return self._live.answer(question)

    def _answer(self, _: Any, question: dict[str, Any], __: Any) -> None:
        # Front ends may deliver this from a thread of their own.
        self.send(self.answer(question))

    def __repr__(self) -> str:
        return repr(self._live.comparison)

    def _repr_html_(self) -> str:
        return static_html(self._live)

    def _repr_mimebundle_(self, **more: Any) -> Any:
        data, metadata = super()._repr_mimebundle_(**more)
        return {**data, "text/html": static_html(self._live)}, metadata

    def _ipython_display_(self) -> None:
        data, metadata = super()._repr_mimebundle_()
        show_both(data, static_html(self._live, name=self.hides), metadata)
