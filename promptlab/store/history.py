"""Histories: what users noted, kept in the project's database, line after line."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import orjson

from promptlab.store.database import FILE, Database
from promptlab.store.home import home

State = tuple[tuple[int, int] | None, ...]


@dataclass(frozen=True)
class History:
    """The lines of one name in a table that is only ever added to.

    Any number of processes may append. Reading creates no file.
    """

    table: Literal["checks", "marks", "votes"]
    name: str | None
    """None for those of all names."""

    def append(self, line: Mapping[str, Any]) -> None:
        """Adds a line under the name; it is on disk when this returns.

        Raises:
            CacheError: it cannot be written.
        """
        with closing(Database()) as database:
            database.rows("PRAGMA synchronous = FULL")  # no power cut loses it
            with database.writing() as connection:
                insert = f"INSERT INTO {self.table} (experiment, line) VALUES (?, ?)"
                connection.execute(insert, (self.name, orjson.dumps(line).decode()))

    def lines(self) -> list[dict[str, Any]]:
        """All lines, in the order they were added.

        Raises:
            CacheError: they cannot be read.
        """
        sql = f"SELECT line FROM {self.table} WHERE experiment = ?1 OR ?1 IS NULL"
        with closing(Database.to_read()) as database:
            found = database.rows(f"{sql} ORDER BY id", (self.name,))
        return [orjson.loads(line) for (line,) in found]

    def names(self) -> list[str]:
        """The names that have lines, sorted.

        Raises:
            CacheError: they cannot be read.
        """
        sql = f"SELECT DISTINCT experiment FROM {self.table} ORDER BY experiment"
        with closing(Database.to_read()) as database:
            return [name for (name,) in database.rows(sql)]

    @property
    def state(self) -> State:
        """Another value whenever the database may have changed."""
        return tuple(_stat(home() / name) for name in (FILE, f"{FILE}-wal"))


def _stat(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns
