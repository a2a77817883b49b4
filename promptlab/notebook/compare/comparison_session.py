"""Comparison sessions: the kernel's side of a front end that shows a comparison.

Questions and answers are plain JSON objects. A question has a `kind`, which comes back
with the answer, as do `from` and `id`: so a front end knows which question an answer is
to, and can drop it when it has asked again. Nothing is remembered of who asked what.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from promptlab.errors import PromptlabError, SpecError
from promptlab.notebook.compare.comparison import Comparison
from promptlab.notebook.compare.marks import Mark, Marks, table
from promptlab.notebook.compare.request_details import EXCERPT, request_details, text_of
from promptlab.notebook.compare.row_filter import RowFilter, narrowed, row_names, shown
from promptlab.notebook.compare.rows_json import counts, headings, opening, page

ECHOED = ("kind", "from", "id")

MOST_ROWS = 100
"""The most rows in one answer."""

CHUNK = 200_000
"""The most characters of a long text in one answer."""


class ComparisonSession:
    """A comparison that answers the questions of its front ends, from any thread."""

    def __init__(
        self, comparison: Comparison, view: RowFilter, name: str | None
    ) -> None:
        self.comparison = comparison
        self.view = view
        """The rows and columns that were shown last."""
        self.kept = Marks(name or _name(comparison))
        self._lock = threading.RLock()
        self._shown: tuple[Any, np.ndarray] | None = None
        self._marked: tuple[int, dict[int, Mark]] = (-1, {})
        self._answers: Mapping[Any, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
            "open": self._open,
            "page": self._turn,
            "summary": self._summary,
            "request": self._request,
            "text": self._text,
            "mark": self._mark,
        }

    @property
    def table(self) -> pd.DataFrame:
        """The rows that are shown, in their order: one column for each output."""
        with self._lock:
            view = replace(self.view, folded=False)
            return _wide(self.comparison, view, self.rows(view))

    @property
    def marks(self) -> pd.DataFrame:
        """The marks of the experiment, as `promptlab.marks` gives them."""
        with self._lock:
            self.kept.refresh()
            return table([self.kept])

    def rows(self, view: RowFilter) -> np.ndarray:
        """The rows that pass a filter, in its order."""
        with self._lock:
            marks = self.marked()
            key = view, self.kept.version
            if self._shown is None or self._shown[0] != key:
                self._shown = key, shown(self.comparison, view, marks)
            return self._shown[1]

    def marked(self) -> dict[int, Mark]:
        """The marks of the rows that have one, by row."""
        with self._lock:
            self.kept.refresh()
            if self._marked[0] != self.kept.version:
                comparison, kept = self.comparison, self.kept
                asked = {(e.key.case, e.key.repeat) for e in kept.entries}
                rows = sorted(r for at in asked for r in comparison.rows_of(*at))
                marks = {row: kept.of(comparison.key(row)) for row in rows}
                marked = {row: mark for row, mark in marks.items() if mark}
                self._marked = kept.version, marked
            return self._marked[1]

    def answer(self, question: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to a question of a front end, or the `problem` with it."""
        echo = {name: question[name] for name in ECHOED if name in question}
        answer = self._answers.get(question.get("kind"), self._unknown)
        try:
            with self._lock:
                return {**echo, **answer(question)}
        except PromptlabError as error:
            return {**echo, "problem": str(error)}
        except Exception as error:  # whatever it is: the front end waits for an answer
            return {**echo, "problem": f"{type(error).__name__}: {error}"}

    def _open(self, question: Mapping[str, Any]) -> dict[str, Any]:
        opened = opening(self.comparison, self.view)
        return {
            "opening": {**opened, "name": self.kept.name},
            "headings": headings(self.comparison, self.view),
            **self._page(self.view, 0, int(question["count"])),
        }

    def _turn(self, question: Mapping[str, Any]) -> dict[str, Any]:
        """A page of the rows that pass a filter."""
        view = RowFilter.of(self.comparison, question["view"])
        start = int(question["start"])
        given = self._page(view, start, int(question["count"]))
        self.view = view
        return given

    def _page(self, view: RowFilter, start: int, size: int) -> dict[str, Any]:
        rows = self.rows(view)
        size = min(max(1, size), MOST_ROWS)
        start = min(max(0, start), max(0, len(rows) - 1)) // size * size
        part = rows[start : start + size]
        return {
            "start": start,
            "total": len(rows),
            "rows": page(self.comparison, view, part, self.marked()),
        }

    def _summary(self, question: Mapping[str, Any]) -> dict[str, Any]:
        """What takes longer to count: rows of each kind, how columns stand on the rows
        that pass the filter."""
        view = RowFilter.of(self.comparison, question["view"])
        marks = self.marked()
        rows = narrowed(self.comparison, view, marks)
        cases = len(np.unique(self.comparison.case_codes[rows]))
        return {
            "headings": headings(self.comparison, view, rows),
            "counts": counts(self.comparison, view, marks),
            "cases": cases,
        }

    def _request(self, question: Mapping[str, Any]) -> dict[str, Any]:
        return {"request": request_details(self.comparison, int(question["trial"]))}

    def _text(self, question: Mapping[str, Any]) -> dict[str, Any]:
        text = text_of(self.comparison, int(question["trial"]), str(question["part"]))
        start = max(0, int(question["start"]))
        end = min(len(text), start + (CHUNK if start >= EXCERPT else EXCERPT))
        return {"text": text[start:end], "end": end}

    def _mark(self, question: Mapping[str, Any]) -> dict[str, Any]:
        """A mark as it is after a change, and as it was before."""
        row = int(question["row"])
        if not 0 <= row < len(self.comparison):
            raise SpecError(f"compare: no row {row}")
        key = self.comparison.key(row)
        before = self.kept.of(key)
        after = self.kept.put(key, dict(question["change"]))
        return {"before": before.to_plain(), "after": after.to_plain()}

    def _unknown(self, question: Mapping[str, Any]) -> dict[str, Any]:
        raise SpecError(f"compare: unknown question {question.get('kind')!r:.60}")


def _name(comparison: Comparison) -> str:
    """The name that marks are kept under: the experiment's, or a digest of the columns
    and the first case of a table without one."""
    trials = comparison.trials
    if trials.experiment is not None:
        return trials.experiment.name
    first = trials.table[["case", *trials.schema.inputs]].head(1).astype(str).to_csv()
    content = repr((trials.parameters, trials.schema.inputs, first))
    return f"table-{hashlib.sha256(content.encode('utf-8', 'replace')).hexdigest()[:8]}"


def _wide(comparison: Comparison, view: RowFilter, rows: np.ndarray) -> pd.DataFrame:
    """Rows as a table: case, inputs, and an output for each column that is shown."""
    names = row_names(comparison)
    heads: pd.DataFrame = (
        comparison.table[names].iloc[comparison.first[rows]].reset_index(drop=True)
    )
    outputs = comparison.table["output"]
    for index in view.columns:
        positions = comparison.positions[rows, index]
        name = comparison.columns[index].name
        while name in heads:
            name += " (output)"
        heads[name] = outputs.reindex(positions).reset_index(drop=True)
    return heads
