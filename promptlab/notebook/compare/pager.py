"""The comparison as a plain pager, for front ends where anywidget does not run.

A handful of ipywidgets that are used again for every page: text fields and buttons,
and one piece of HTML in which every string is escaped.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import ipywidgets as widgets

from promptlab.errors import SpecError
from promptlab.formats import counted
from promptlab.notebook.compare.comparison_session import ComparisonSession
from promptlab.notebook.compare.row_filter import fields
from promptlab.notebook.compare.rows_json import kinds, wrong
from promptlab.notebook.compare.static_html import ComparisonView, rows_html
from promptlab.notebook.widgets.controls import ControlBox, button, fault_html, in_a_row

PAGE = 10
OUTPUT = 2_000
"""Rows of a page, and characters of an output in it."""

KINDS = {
    "": "all rows",
    "differs": "rows that differ",
    "failed": "failed",
    "truncated": "cut off",
    "complete": "complete rows",
    "pinned": "pinned",
    "marked": "marked",
}
"""The names of the kinds of rows; that of `wrong` depends on the comparison."""


class ComparisonPager(ComparisonView, ControlBox):
    """Outputs side by side, ten rows at a time; shows itself as a cell's last value."""

    def __init__(self, session: ComparisonSession) -> None:
        self._session = session
        self._start = 0
        comparison = session.comparison
        names = {**KINDS, "wrong": wrong(comparison)[0]}
        searched = [(name, field.id) for field, name in fields(comparison)]
        self._text = widgets.Text(
            placeholder="Filter",
            tooltip="Only rows with these words",
            continuous_update=False,
            layout=widgets.Layout(width="220px"),
        )
        narrow = widgets.Layout(width="150px")
        self._field = widgets.Dropdown(
            options=[("everywhere", ""), *searched],
            tooltip="Where to search",
            layout=narrow,
        )
        self._only = widgets.Dropdown(
            options=[(names[kind], kind) for kind in ("", *kinds(comparison))],
            tooltip="Which rows",
            layout=narrow,
        )
        self._back, self._on = button("‹ Previous"), button("Next ›")
        self._row = widgets.BoundedIntText(
            value=1, min=1, description="Row", continuous_update=False, layout=narrow
        )
        self._caption, self._page = widgets.HTML(), widgets.HTML()
        super().__init__(
            [
                in_a_row(self._text, self._field, self._only),
                in_a_row(self._back, self._on, self._row, self._caption),
                self._page,
            ]
        )
        for control in (self._text, self._field, self._only):
            control.observe(self._filter, "value")
        self._row.observe(self._go, "value")
        self._back.on_click(lambda _: self.turn(self._start - PAGE))
        self._on.on_click(lambda _: self.turn(self._start + PAGE))
        self.turn(0)

    def turn(self, row: int) -> None:
        """Shows the page with a row, by its number from 0."""
        rows = self._session.rows(self._session.view)
        total, all_rows = len(rows), len(self._session.comparison)
        self._start = min(max(0, row), max(0, total - 1)) // PAGE * PAGE
        part = rows[self._start : self._start + PAGE]
        end = self._start + len(part)
        self._page.value = rows_html(self._session, part, OUTPUT)
        self._back.disabled, self._on.disabled = self._start == 0, end >= total
        with self._row.hold_trait_notifications():
            self._row.max, self._row.value = max(1, total), self._start + 1
        of = "" if total == all_rows else f"{total:,} of "
        self._caption.value = f"to {end:,} · {of}{counted(all_rows, 'row')}"

    def _filter(self, _: Any) -> None:
        before = self._session.view
        self._session.view = replace(
            before,
            text=self._text.value,
            field=self._field.value,
            only=frozenset({self._only.value} - {""}),
        )
        try:
            self.turn(0)
        except SpecError as error:
            self._session.view = before
            self._caption.value = fault_html(error)

    def _go(self, change: Any) -> None:
        if change["new"] != self._start + 1:
            self.turn(change["new"] - 1)
