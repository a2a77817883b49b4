"""Explore: a measure by rows and columns, and the trials behind each number."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, cast

import ipywidgets as widgets
import numpy as np
import pandas as pd

from promptlab.errors import PromptlabError, SpecError
from promptlab.formats import counted, shortened
from promptlab.notebook.compare.compare import compare
from promptlab.notebook.explore.pivot import Grouping, Pivot, Pivots
from promptlab.notebook.explore.pivot_view import LABEL, pivot_html, pivot_json
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
"""No column, where columns are chosen."""


def explore(
    results: Results | pd.DataFrame,
    rows: str | None = None,
    columns: str | None = None,
    measure: str | None = None,
) -> Explorer:
    """Shows the means of a measure by one or two columns; a click on a mean opens its
    trials side by side.

    `.table` holds the means as a DataFrame, `.trials` the trials that are open.

    Args:
        results: Results, or a DataFrame with the columns of `Results.table`.
        rows: A parameter, or a column of few values; default: the first that varies.
        columns: Another one; default: the second that varies.
        measure: A column of numbers or scores; `share failed`, `share truncated`,
            `share cached` or `share as expected`, from 0 to 1; or `trials`, a count.
            Default: the first score, else the share as expected.

    Raises:
        SpecError: there is no such column or measure.

    Example:
        >>> import pandas as pd
        >>> table = pd.DataFrame({
        ...     "trial": [0, 1], "prompt": ["plain", "steps"], "case": [1, 1],
        ...     "output": ["Paris", "It is Paris."], "output_tokens": [1, 4],
        ... })
        >>> explore(table, rows="prompt", measure="output_tokens").table.to_dict()
        {'output_tokens': {'plain': 1.0, 'steps': 4.0}}
    """
    pivots = Pivots(TrialTable.of(results))
    first_rows, second, first_measure = pivots.first_choice
    rows = rows or first_rows
    if columns is None and second != rows:
        columns = second
    pivot = pivots.pivot(rows, columns, measure or first_measure)
    try:
        from promptlab.notebook.explore.widget import PivotTable
    except ImportError as error:
        raise SpecError(
            "explore needs anywidget: pip install 'promptlab-notebook[notebook]'"
        ) from error
    return Explorer(pivots, pivot, PivotTable)


class Explorer(ControlBox):
    """A pivot with its choices above, and the trials behind a number below."""

    def __init__(self, pivots: Pivots, pivot: Pivot, made: type[PivotTable]) -> None:
        self._pivots = pivots
        self._pivot = pivot
        self._lock = threading.RLock()
        self._loading = False
        self._opened: np.ndarray | None = None
        """The positions in the table of the trials that are open."""
        across = pivot.columns.name or NO_COLUMNS
        names = dict.fromkeys([*pivots.dimensions, pivot.rows.name, across])
        dimensions = [name for name in names if name != NO_COLUMNS]
        self.rows = _dropdown("Rows", dimensions, pivot.rows.name)
        self.columns = _dropdown("Columns", [NO_COLUMNS, *dimensions], across)
        self.measure = _dropdown("Measure", pivots.measures, pivot.measure)
        self.close_button = button("Close")
        self.pivot_table = made(self.open_trials)
        self._caption = widgets.HTML()
        self._below = widgets.VBox()
        super().__init__(
            [
                in_a_row(self.rows, self.columns, self.measure),
                self.pivot_table,
                in_a_row(self._caption, self.close_button),
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
        """The trials behind the number that is open, or all where none is."""
        table = self._pivots.trials.table
        return table if self._opened is None else table.iloc[self._opened]

    def open_trials(self, row: int, column: int) -> None:
        """Opens the trials behind a number, by its row and column from 0; -1 means all
        of them."""
        with self._lock:
            pivot = self._pivot
            opened = pivot.positions(row, column)
            if not len(opened):
                return
            self._opened = opened
            self.pivot_table.opened = [row, column]
            names = _group_name(pivot.rows, row), _group_name(pivot.columns, column)
            what = ", ".join(map(escaped, filter(None, names))) or "everything"
            try:
                shown = compare(cast(Any, self._pivots.trials.part(opened)))
            except PromptlabError as error:
                shown = widgets.HTML(fault_html(error))
            self._show_below(f"<b>{counted(len(opened), 'trial')}</b>: {what}", shown)

    def close_trials(self) -> None:
        """Closes the trials that are open."""
        with self._lock:
            self._opened = None
            self.pivot_table.opened = []
            self._show_below("")

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
                self._caption.value = fault_html(error)
            else:
                self._show()

    def _swap(self, change: Any) -> None:
        """Where rows and columns became one, the other takes what this one was."""
        if self.rows.value != self.columns.value:
            return
        other = self.columns if change["owner"] is self.rows else self.rows
        before = change["old"]
        if before == NO_COLUMNS:
            other = self.columns
        self._loading = True
        try:
            other.value = before
        finally:
            self._loading = False

    def _show(self) -> None:
        self.close_trials()
        self.pivot_table.shown = pivot_json(self._pivot)

    def _show_below(self, caption: str, *shown: Any) -> None:
        self._caption.value = caption
        self.close_button.layout.display = "" if shown else "none"
        before = self._below.children
        self._below.children = shown
        close_all(*before)

    def __repr__(self) -> str:
        return f"Explorer({repr(self._pivot)[len('Pivot(') : -1]})"

    def _repr_html_(self) -> str:
        return pivot_html(self._pivot)


def _group_name(grouping: Grouping, index: int) -> str:
    if index < 0 or not grouping.name:
        return ""
    return f"{grouping.name} {shortened(grouping.labels[index], LABEL)}"


def _dropdown(description: str, names: Iterable[str], value: str) -> Any:
    return widgets.Dropdown(
        options=list(names),
        value=value,
        description=description,
        style={"description_width": "auto"},
        layout=widgets.Layout(width="250px"),
    )
