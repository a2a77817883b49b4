"""Marks: the rows that a user pinned, marked or noted, kept in the project's database.

Each change is a line that stays; the last change of a row counts. A row is identified
by its case and parameters, not by its position.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import orjson
import pandas as pd

from promptlab.errors import CacheError, PromptlabWarning, SpecError
from promptlab.formats import valid
from promptlab.store.history import History, State

KINDS = ("star", "problem", "question")
"""The kinds of marks."""

FIELDS = ("pinned", "kind", "note")
LONGEST_NOTE = 10_000


@dataclass(frozen=True)
class RowKey:
    """The identity of a row of a comparison, the same in a later, larger table."""

    by: tuple[str, ...]
    """The parameters whose values are the columns."""
    case: str | None
    repeat: int | None
    parameters: Mapping[str, Any]
    """The label of every other parameter."""

    @property
    def group(self) -> tuple[Any, ...]:
        """Equal for keys of the same case and repeat, compared by the same."""
        return self.by, self.case, self.repeat

    def in_common(self, other: RowKey) -> int:
        """The number of parameters with the same label in both; -1 if any differ."""
        common = self.parameters.keys() & other.parameters.keys()
        agree = all(self.parameters[n] == other.parameters[n] for n in common)
        return len(common) if agree else -1


@dataclass(frozen=True, kw_only=True)
class Mark:
    """A user's mark of a row: pinned, of a kind, with a note."""

    pinned: bool = False
    """Whether the row is shown before all others."""
    kind: str | None = None
    """`star`, `problem` or `question`."""
    note: str = ""

    def __bool__(self) -> bool:
        return self.pinned or self.kind is not None or self.note != ""

    def to_plain(self) -> dict[str, Any]:
        """Its fields as JSON values."""
        return {"pinned": self.pinned, "kind": self.kind, "note": self.note}

    def changed(self, change: Mapping[str, Any]) -> Mark:
        """The mark after a change of some of its fields.

        Raises:
            SpecError: there is no such field, or its value is not valid.
        """
        mark = self
        for name, value in change.items():
            if name == "pinned" and isinstance(value, bool):
                mark = replace(mark, pinned=value)
            elif name == "kind" and (value is None or value in KINDS):
                mark = replace(mark, kind=value)
            elif name == "note" and isinstance(value, str):
                mark = replace(mark, note=valid(value.strip()[:LONGEST_NOTE]))
            else:
                raise SpecError(f"a mark cannot have {name} {value!r:.60}")
        return mark


@dataclass(frozen=True)
class Entry:
    """The mark of one row, and when it was last changed."""

    key: RowKey
    mark: Mark = field(default_factory=Mark)
    changed_s: float = 0.0


class Marks:
    """The marks of one experiment. Each change is on disk before `put` returns.

    Several notebooks can mark at the same time; `refresh` reads what others wrote.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.history = History("marks", name)
        self.version = 0
        """A number that grows with every change."""
        self._entries: dict[tuple[Any, ...], list[Entry]] = {}
        self._read: State | None = None
        self.refresh()

    @property
    def entries(self) -> Iterator[Entry]:
        """The rows with a mark, in the order they were first marked."""
        return (e for group in self._entries.values() for e in group if e.mark)

    def refresh(self) -> None:
        """Reads them again, if the database has changed."""
        if (state := self.history.state) == self._read:
            return
        self._read = state
        self._entries = {}
        self.version += 1
        try:
            lines = self.history.lines()
        except CacheError as error:
            warnings.warn(f"no marks: {error}", PromptlabWarning, stacklevel=2)
            return
        for line in lines:
            with suppress(KeyError, TypeError, ValueError, AttributeError):
                self._note(line)

    def put(self, key: RowKey, change: Mapping[str, Any]) -> Mark:
        """Changes the mark of a row and returns it.

        Raises:
            SpecError: the change is not valid.
            CacheError: it cannot be written.
        """
        self.refresh()
        nearest = self._nearest(key)
        mark = self.of(key).changed(change)
        # The mark of an older, smaller grid: what it says of this row stays.
        inherits = nearest is not None and nearest.key.parameters != key.parameters
        fields = mark.to_plain()
        self.history.append(
            {
                "changed_s": time.time(),
                "by": key.by,
                "case": key.case,
                "repeat": key.repeat,
                "parameters": key.parameters,
                **(fields if inherits else {name: fields[name] for name in change}),
            }
        )
        self.refresh()
        return mark

    def of(self, key: RowKey) -> Mark:
        """The mark of a row; of several possible ones, the one with most in common."""
        nearest = self._nearest(key)
        return Mark() if nearest is None else nearest.mark

    def _nearest(self, key: RowKey) -> Entry | None:
        """The entry of the row that has most in common with this one."""
        group = self._entries.get(key.group, ())
        return max(
            (entry for entry in group if key.in_common(entry.key) >= 0),
            key=lambda entry: (key.in_common(entry.key), entry.changed_s),
            default=None,
        )

    def _note(self, line: Mapping[str, Any]) -> None:
        case, repeat = line["case"], line["repeat"]
        key = RowKey(tuple(line["by"]), case, repeat, dict(line["parameters"]))
        group = self._entries.setdefault(key.group, [])
        before = next((e for e in group if e.key == key), Entry(key))
        change = {name: line[name] for name in FIELDS if name in line}
        entry = Entry(key, before.mark.changed(change), float(line["changed_s"]))
        group[:] = [*(e for e in group if e.key != key), entry]


def marks(name: str | None = None) -> pd.DataFrame:
    """A table of the rows that were pinned, marked or noted in comparisons.

    In the table, `by` is what was compared, `parameters` the other parameters of the
    row as JSON, `mark` is `star`, `problem` or `question`, and `changed` is the time of
    the last change.

    Args:
        name: The experiment, or the `name` given to `compare`; default: all of them.

    Example:
        >>> list(marks("no such experiment").columns)[:5]
        ['experiment', 'by', 'case', 'repeat', 'parameters']
    """
    names = History("marks", None).names() if name is None else [name]
    return table(map(Marks, names))


def table(kept: Iterable[Marks]) -> pd.DataFrame:
    """A table of the entries of some marks, one row for each."""
    entries = [(marks.name, entry) for marks in kept for entry in marks.entries]
    columns = {
        "experiment": [name for name, _ in entries],
        "by": [", ".join(e.key.by) for _, e in entries],
        "case": [e.key.case for _, e in entries],
        "repeat": pd.array([e.key.repeat for _, e in entries], dtype="Int64"),
        "parameters": [orjson.dumps(e.key.parameters).decode() for _, e in entries],
        "pinned": pd.array([e.mark.pinned for _, e in entries], dtype="bool"),
        "mark": [e.mark.kind for _, e in entries],
        "note": [e.mark.note for _, e in entries],
        "changed": pd.to_datetime(
            [e.changed_s for _, e in entries], unit="s", utc=True
        ),
    }
    given = pd.DataFrame(columns)
    texts = ("experiment", "by", "case", "parameters", "mark", "note")
    return given.astype(dict.fromkeys(texts, "str"))
