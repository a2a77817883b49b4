"""The comparison as a plain pager, for front ends where anywidget does not run.

A handful of ipywidgets that are used again for every page: text fields and buttons,
and one piece of HTML in which every text is escaped.
"""

from __future__ import annotations

from typing import Any

import ipywidgets as widgets
import numpy as np
import pandas as pd

from promptlab.errors import SpecError
from promptlab.formats import counted
from promptlab.notebook.compare.comparison_session import ComparisonSession
from promptlab.notebook.compare.row_filter import RowFilter, fields
from promptlab.notebook.compare.rows_json import kinds, wrong
from promptlab.notebook.compare.static_html import rows_html, static_html
from promptlab.notebook.widgets.controls import ControlBox, fault_html, in_a_row

PAGE = 10
OUTPUT = 2_000
"""Rows of a page, and characters of an output in it."""

SAID = {
    "": "all rows",
    "differs": "rows that differ",
    "failed": "failed",
    "truncated": "cut off",
    "complete": "complete rows",
    "pinned": "pinned",
    "marked": "marked",
}


class ComparisonPager(ControlBox):
    """Outputs side by side, ten rows at a time."""

    def __init__(self, session: ComparisonSession) -> None:
        self._session = session
        self._start = 0
        self._text = widgets.Text(
            placeholder="Filter",
            tooltip="Only rows that hold these words",
            continuous_update=False,
        )
        self._text.layout = widgets.Layout(width="220px")
        narrow = widgets.Layout(width="150px")
        searched = [("everywhere", "")]
        searched += [(name, field.id) for field, name in fields(session.comparison)]
        self._field = widgets.Dropdown(
            options=searched, tooltip="Where to look", layout=narrow
        )
        said = {**SAID, "wrong": wrong(session.comparison)[0]}
        self._only = widgets.Dropdown(
            options=[(said[kind], kind) for kind in ("", *kinds(session.comparison))],
            tooltip="Which rows",
            layout=narrow,
        )
        button = widgets.Layout(width="auto")
        self._back = widgets.Button(description="‹ Previous", layout=button)
        self._on = widgets.Button(description="Next ›", layout=button)
        self._row = widgets.BoundedIntText(
            value=1, min=1, description="Row", continuous_update=False, layout=narrow
        )
        self._caption = widgets.HTML()
        self._page = widgets.HTML()
        super().__init__(
            [
                in_a_row(self._text, self._field, self._only),
                in_a_row(self._back, self._on, self._row, self._caption),
                self._page,
            ]
        )
        for control in (self._text, self._field, self._only):
            control.observe(self._look, "value")
        self._row.observe(self._go, "value")
        self._back.on_click(lambda _: self.turn(self._start - PAGE))
        self._on.on_click(lambda _: self.turn(self._start + PAGE))
        self.turn(0)

    @property
    def table(self) -> pd.DataFrame:
        """The rows that are shown, filtered: a column for each output."""
        return self._session.table

    @property
    def marks(self) -> pd.DataFrame:
        """The rows of this experiment that were pinned, marked or noted."""
        return self._session.marks

    def turn(self, row: int) -> None:
        """Shows the page that holds a row, by its number from 0."""
        rows = self._session.rows(self._session.view)
        last = max(0, len(rows) - 1)
        self._start = min(max(0, row), last) // PAGE * PAGE
        part = rows[self._start : self._start + PAGE]
        self._page.value = rows_html(self._session, part, OUTPUT)
        self._show_place(part, len(rows))

    def _show_place(self, part: np.ndarray, total: int) -> None:
        self._back.disabled = self._start == 0
        self._on.disabled = self._start + len(part) >= total
        self._row.max = max(1, total)
        with self._row.hold_trait_notifications():
            self._row.value = self._start + 1
        everything = counted(len(self._session.comparison), "row")
        shown = (
            everything
            if total == len(self._session.comparison)
            else (f"{total:,} of {everything}")
        )
        end = self._start + len(part)
        self._caption.value = f"to {end:,} · {shown}"

    def _look(self, _: Any) -> None:
        """Shows the rows that are looked for now."""
        before = self._session.view
        only = frozenset({self._only.value} - {""})
        self._session.view = RowFilter(
            columns=before.columns,
            baseline=before.baseline,
            text=self._text.value,
            field=self._field.value,
            only=only,
        )
        try:
            self.turn(0)
        except SpecError as error:
            self._session.view = before
            self._caption.value = fault_html(error)

    def _go(self, change: Any) -> None:
        if change["new"] != self._start + 1:
            self.turn(change["new"] - 1)

    def __repr__(self) -> str:
        return repr(self._session.comparison)

    def _repr_html_(self) -> str:
        return static_html(self._session)
