"""Marks: the rows that a user pinned, marked or noted, kept in `.promptlab/marks`.

Each experiment has a file of lines, one for each change, only ever added to; of several
changes the last one counts. A row is known again by what it is, not by where it stood.
"""

from __future__ import annotations

import errno
import hashlib
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import orjson
import pandas as pd

from promptlab.errors import CacheError, SpecError
from promptlab.home import home, ignore_in_git, private_folder

KINDS = ("star", "problem", "question")
"""What a row can be marked as."""

FIELDS = ("pinned", "kind", "note")
LONGEST_NOTE = 10_000


@dataclass(frozen=True)
class RowKey:
    """What a row of a comparison is: the same in a later, larger table."""

    by: tuple[str, ...]
    """The parameters that its columns tell apart."""
    case: str | None
    repeat: int | None
    parameters: Mapping[str, Any]
    """The label of every other parameter."""

    @property
    def place(self) -> tuple[Any, ...]:
        """Equal for keys of the same case and repeat, compared by the same."""
        return self.by, self.case, self.repeat

    def in_common(self, other: RowKey) -> int:
        """How many parameters both know and agree on; -1 where they do not agree."""
        common = self.parameters.keys() & other.parameters.keys()
        agree = all(self.parameters[n] == other.parameters[n] for n in common)
        return len(common) if agree else -1


@dataclass(frozen=True, kw_only=True)
class Mark:
    """What a user says of a row."""

    pinned: bool = False
    """Whether it is shown before all others."""
    kind: str | None = None
    """`star`, `problem` or `question`."""
    note: str = ""

    def __bool__(self) -> bool:
        return self.pinned or self.kind is not None or self.note != ""

    def changed(self, change: Mapping[str, Any]) -> Mark:
        """The mark after a change of some of its fields.

        Raises:
            SpecError: there is no such field, or it cannot be so.
        """
        mark = self
        for name, value in change.items():
            if name == "pinned" and isinstance(value, bool):
                mark = replace(mark, pinned=value)
            elif name == "kind" and (value is None or value in KINDS):
                mark = replace(mark, kind=value)
            elif name == "note" and isinstance(value, str):
                mark = replace(mark, note=value.strip()[:LONGEST_NOTE])
            else:
                raise SpecError(f"a mark cannot have {name} {value!r:.60}")
        return mark


class Rows(Protocol):
    """The rows among which marks are found."""

    def key(self, row: int) -> RowKey:
        """What a row is."""

    def rows_of(self, case: str | None, repeat: int | None) -> Sequence[int]:
        """The rows of a case and a repeat."""


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

    def __init__(self, name: str, folder: Path | None = None) -> None:
        self.name = name
        self.file = (folder or marks_folder()) / f"{_file_name(name)}.jsonl"
        self.version = 0
        """Grows with every change that is known."""
        self._entries: dict[tuple[Any, ...], list[Entry]] = {}
        self._read_to = 0
        self.refresh()

    @property
    def entries(self) -> Iterator[Entry]:
        """The rows with a mark, in the order they were first marked."""
        return (e for group in self._entries.values() for e in group if e.mark)

    def refresh(self) -> None:
        """Reads the changes that came since the last time."""
        for line in self._new_lines():
            try:
                self._note(orjson.loads(line))
            except (ValueError, KeyError, TypeError, AttributeError):
                continue  # torn by a crash, or not ours

    def put(self, key: RowKey, change: Mapping[str, Any]) -> Mark:
        """Changes the mark of a row, and gives it.

        Raises:
            SpecError: there is no such mark.
            CacheError: it cannot be written.
        """
        plain = {
            "changed_s": time.time(),
            "experiment": self.name,
            "by": key.by,
            "case": key.case,
            "repeat": key.repeat,
            "parameters": key.parameters,
        }
        # Of an older, smaller grid: what it says of this row stays.
        known = self._nearest(key)
        if known is not None and known.key.parameters != key.parameters:
            change = {**_plain(known.mark), **change}
        mark = self.of(key).changed(change)
        try:
            private_folder(self.file.parent)
            ignore_in_git(home())
            _append(self.file, orjson.dumps({**plain, **change}) + b"\n")
        except OSError as error:
            raise CacheError(
                f"{self.file} cannot be written: {error.strerror or error}"
            ) from error
        self.refresh()
        return mark

    def of(self, key: RowKey) -> Mark:
        """The mark of a row; of several that could be meant, the nearest."""
        nearest = self._nearest(key)
        return Mark() if nearest is None else nearest.mark

    def on(self, rows: Rows) -> dict[int, Mark]:
        """The rows that have a mark, and which."""
        places = dict.fromkeys((e.key.case, e.key.repeat) for e in self.entries)
        found = (
            (row, self.of(rows.key(row))) for p in places for row in rows.rows_of(*p)
        )
        return {row: mark for row, mark in found if mark}

    def _nearest(self, key: RowKey) -> Entry | None:
        known = [
            e for e in self._entries.get(key.place, ()) if key.in_common(e.key) >= 0
        ]
        return max(
            known, key=lambda e: (key.in_common(e.key), e.changed_s), default=None
        )

    def _note(self, plain: dict[str, Any]) -> None:
        """Takes a line of the file over."""
        if plain["experiment"] != self.name:
            return  # two names can come to one file
        key = RowKey(
            tuple(plain["by"]),
            plain["case"],
            plain["repeat"],
            dict(plain["parameters"]),
        )
        group = self._entries.setdefault(key.place, [])
        before = next((e for e in group if e.key == key), Entry(key))
        change = {name: plain[name] for name in FIELDS if name in plain}
        entry = Entry(key, before.mark.changed(change), float(plain["changed_s"]))
        group[:] = [*(e for e in group if e.key != key), entry]
        self.version += 1

    def _new_lines(self) -> Iterable[bytes]:
        """The whole lines behind those that were read."""
        try:
            with self.file.open("rb") as file:
                if file.seek(0, os.SEEK_END) < self._read_to:
                    self._entries, self._read_to = {}, 0  # another took its place
                file.seek(self._read_to)
                new = file.read()
        except OSError:
            return ()
        whole = new[: new.rfind(b"\n") + 1]
        self._read_to += len(whole)
        return whole.splitlines()


def marks(name: str | None = None) -> pd.DataFrame:
    """The rows that were pinned, marked or noted in comparisons: all, or those of one
    experiment.

    `by` is what was compared, `parameters` the other parameters of the row as JSON,
    `mark` is `star`, `problem` or `question`, `changed` the time of the last change.
    """
    kept = [Marks(name)] if name is not None else list(_all())
    return table(kept)


def table(kept: Iterable[Marks]) -> pd.DataFrame:
    """The entries of marks, one row for each."""
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


def marks_folder() -> Path:
    """Where marks are kept."""
    return home() / "marks"


def _all() -> Iterator[Marks]:
    folder = marks_folder()
    for file in sorted(folder.glob("*.jsonl")):
        names: dict[str, None] = {}
        for line in file.read_bytes().splitlines():
            try:
                names[str(orjson.loads(line)["experiment"])] = None
            except (ValueError, KeyError, TypeError):
                continue
        for name in names:
            if _file_name(name) == file.stem:
                yield Marks(name, folder)


def _plain(mark: Mark) -> dict[str, Any]:
    return {"pinned": mark.pinned, "kind": mark.kind, "note": mark.note}


def _append(file: Path, line: bytes) -> None:
    """Adds a line to a file, whole and on disk; behind a torn line it starts anew."""
    # In one write at the end: two processes do not mix their lines.
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        if end := os.lseek(descriptor, 0, os.SEEK_END):
            os.lseek(descriptor, end - 1, os.SEEK_SET)
            if os.read(descriptor, 1) != b"\n":
                line = b"\n" + line
        if os.write(descriptor, line) < len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _file_name(name: str) -> str:
    """A name that any file system takes; it ends in a hash if it had to be changed."""
    kept = "".join(
        c if c.isascii() and (c.isalnum() or c in "-_") else "-" for c in name
    )
    if kept == name and 0 < len(name) <= 60:
        return name
    digest = hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()
    return f"{kept.strip('-')[:40] or 'table'}-{digest[:8]}"
