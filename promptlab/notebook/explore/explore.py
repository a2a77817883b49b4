"""Explore: a measure by rows and columns, and the trials behind each number."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, cast

import ipywidgets as widgets
import numpy as np
import pandas as pd

from promptlab.errors import PromptlabError, SpecError
from promptlab.notebook.compare.compare import compare
from promptlab.notebook.explore.pivot import Groups, Pivot, Pivots, first_choice
from promptlab.notebook.explore.pivot_view import pivot_html, told
from promptlab.notebook.facts import count, excerpt
from promptlab.notebook.trial_table import TrialTable
from promptlab.notebook.widgets.controls import (
    ControlBox,
    button,
    close_all,
    fault_html,
    in_a_row,
)
from promptlab.render.markup import escaped
from promptlab.results.results import Results

if TYPE_CHECKING:
    from promptlab.notebook.explore.widget import PivotTable

NO_COLUMNS = "–"
"""Stands for no column where columns are chosen."""

LONGEST_LABEL = 60


def explore(
    results: Results | pd.DataFrame,
    rows: str | None = None,
    columns: str | None = None,
    measure: str | None = None,
) -> Explorer:
    """A table of means by the values of two columns; a click opens the trials behind a
    number in the comparison.

    `.table` is what is shown, as a DataFrame; `.trials` what is open.

    Args:
        results: Results, or a DataFrame with the columns of `Results.table`.
        rows: A parameter, or a column of few values; by default what varies first.
        columns: Another one; by default what varies second.
        measure: A column of numbers or scores, or the share that is `share failed`,
            `share truncated`, `share cached`, `share as expected`; `trials` counts.

    Raises:
        SpecError: there is no such column or measure.
    """
    pivots = Pivots(TrialTable.of(results))
    first = first_choice(pivots)
    rows = rows or first[0]
    if columns is None and first[1] != rows:
        columns = first[1]
    pivot = pivots.pivot(rows, columns, measure or first[2])
    try:
        from promptlab.notebook.explore.widget import PivotTable
    except ImportError as error:
        raise SpecError(
            "explore needs anywidget: pip install 'promptlab-notebook[notebook]'"
        ) from error
    return Explorer(pivots, pivot, PivotTable)


class Explorer(ControlBox):
    """A pivot with its choices above, and the trials of a number below."""

    def __init__(self, pivots: Pivots, pivot: Pivot, made: type[PivotTable]) -> None:
        self._pivots = pivots
        self._pivot = pivot
        self._lock = threading.RLock()
        self._loading = False
        self._places: np.ndarray | None = None
        across = pivot.columns.name if pivot.columns else NO_COLUMNS
        dimensions = _with(pivots.dimensions, pivot.rows.name, across)
        self.rows = _dropdown("Rows", dimensions, pivot.rows.name)
        self.columns = _dropdown("Columns", [NO_COLUMNS, *dimensions], across)
        self.measure = _dropdown("Measure", pivots.measures, pivot.measure.name)
        self.close_button = button("Close")
        self.close_button.layout.display = "none"
        self.pivot_table = made(self.open_trials)
        self._said = widgets.HTML()
        self._below = widgets.VBox()
        super().__init__(
            [
                in_a_row(self.rows, self.columns, self.measure),
                self.pivot_table,
                in_a_row(self._said, self.close_button),
                self._below,
            ]
        )
        for control in (self.rows, self.columns, self.measure):
            control.observe(self._changed, "value")
        self.close_button.on_click(lambda _: self.close_trials())
        self._show()

    @property
    def table(self) -> pd.DataFrame:
        """The means that are shown."""
        return self._pivot.table

    @property
    def trials(self) -> pd.DataFrame:
        """The trials that are open; all, when none of the numbers is."""
        table = self._pivots.source.table
        return table if self._places is None else table.iloc[self._places]

    def open_trials(self, row: int, column: int) -> None:
        """Opens the trials behind a number, by its row and column from 0; -1 stands for
        all."""
        with self._lock:
            pivot = self._pivot
            places = pivot.places(row, column)
            if not len(places):
                return
            self._places = places
            self.pivot_table.opened = [row, column]
            said = [*_said(pivot.rows, row), *_said(pivot.columns, column)]
            what = ", ".join(escaped(part) for part in said) or "everything"
            self._say(f"<b>{count(len(places), 'trial')}</b>: {what}")
            try:
                part = self._pivots.source.part(places)
                shown = compare(cast(Any, part))
            except PromptlabError as error:
                shown = widgets.HTML(fault_html(error))
            self._show_below(shown)

    def close_trials(self) -> None:
        """Closes the trials that are open."""
        with self._lock:
            self._places = None
            self.pivot_table.opened = []
            self._say("")
            self._show_below()

    def _changed(self, change: Any) -> None:
        with self._lock:
            if self._loading:
                return
            self._swap(change)
            across = self.columns.value
            try:
                self._pivot = self._pivots.pivot(
                    self.rows.value,
                    None if across == NO_COLUMNS else across,
                    self.measure.value,
                )
            except SpecError as error:
                self._say(fault_html(error))
                return
            self.close_trials()
            self._show()

    def _swap(self, change: Any) -> None:
        """Where rows and columns became one, the other takes what this one was."""
        if self.rows.value != self.columns.value:
            return
        other = self.columns if change["owner"] is self.rows else self.rows
        before = change["old"]
        if other is self.rows and before == NO_COLUMNS:
            other, before = self.columns, NO_COLUMNS
        self._loading = True
        try:
            other.value = before
        finally:
            self._loading = False

    def _show(self) -> None:
        self.pivot_table.shown = told(self._pivot)

    def _say(self, said: str) -> None:
        self._said.value = said
        self.close_button.layout.display = "" if self._places is not None else "none"

    def _show_below(self, *shown: Any) -> None:
        before = self._below.children
        self._below.children = shown
        close_all(*before)

    def __repr__(self) -> str:
        return f"Explorer({repr(self._pivot)[len('Pivot(') : -1]})"

    def _repr_html_(self) -> str:
        return pivot_html(self._pivot)


def _said(groups: Groups | None, place: int) -> list[str]:
    if groups is None or place < 0:
        return []
    return [f"{groups.name} {excerpt(groups.labels[place], LONGEST_LABEL)}"]


def _with(names: Any, *more: str) -> list[str]:
    """The names, and others that are to be among them."""
    return list(dict.fromkeys([*names, *(name for name in more if name != NO_COLUMNS)]))


def _dropdown(description: str, names: Any, value: str) -> Any:
    return widgets.Dropdown(
        options=list(names),
        value=value,
        description=description,
        style={"description_width": "auto"},
        layout=widgets.Layout(width="250px"),
    )
