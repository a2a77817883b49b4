"""The response cache: answers already paid for, kept on disk as JSON text.

diskcache keeps them in one SQLite file that processes may share. It is used with
three precautions. Nothing is ever evicted, as its default silently is beyond 1 GB. Only
our own JSON is stored and read: diskcache unpickles what it reads, its JSONDisk too
(CVE-2025-69872), so a row that is pickled, or that points to a file, is refused, and is
a miss with a warning. And many rows are read or written in one statement.

An entry is three lines of JSON, under the key of its request:

1. the head, what the table shows and what decides on the price: a `ReplySummary`;
2. the request, exactly as it was hashed for the key, but for media (images, sound,
   files in base64), which are kept once, under the SHA-256 of their content;
3. the answer as received, byte for byte. No header and no API key is kept.

An entry whose answer says that the model broke off is a miss: earlier versions kept it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import re
import sqlite3
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, cast

import diskcache
import orjson
from diskcache.core import MODE_RAW, UNKNOWN

from promptlab.errors import CacheError, CallError, Failure, PromptlabWarning
from promptlab.models.failures import broke_off, failure_in
from promptlab.models.messages import read_message
from promptlab.money.reported import reported_usd
from promptlab.paths import user_path
from promptlab.spec.content import SMALL_BYTES
from promptlab.spec.request import Request
from promptlab.spec.response import ReplySummary, Response
from promptlab.store.home import home, ignore_in_git, private_folder
from promptlab.store.sqlite_files import (
    can_only_be_read,
    cannot_be_opened,
    identity,
    opened_to_read,
)

KEYS_AT_ONCE = 5_000
"""Keys asked for in one statement; SQLite's own bound is 32,766."""

FEWEST_MEMBERS = 12
"""Of a head: what was added to it later is missing in older entries."""

SAYS_MORE = re.compile(
    rb'"(?:tool_calls|function_call|refusal|reasoning|reasoning_content|thinking'
    rb'|reasoning_details|audio|images|type|cost|cost_in_usd_ticks)"\s*:\s*[^\sn]'
)
"""This is in the body of an answer that says more than its text: one of these members
that is not null. Most bodies have none, and need not be parsed."""

SETTINGS = {
    "eviction_policy": "none",
    "cull_limit": 0,
    "size_limit": 2**62,
    "sqlite_auto_vacuum": 0,  # it makes every write slower; `delete` tidies up
    "sqlite_cache_size": 4_000,
    "sqlite_mmap_size": 0,  # mapped pages count as memory of the process
}
MEDIUM_BYTES = SMALL_BYTES // 3 * 4
"""How long what a request holds in base64 must be to be kept apart."""

MEDIUM = re.compile(rb"(?<=[\",])[A-Za-z0-9+/]{%d,}+={0,2}+(?=\")" % MEDIUM_BYTES)
"""A string in base64, or what is behind the comma of a data URL. Each character of a
text is looked at once, however long it is."""
KEPT_APART = re.compile(rb"\x00([0-9a-f]{64})\x00")
"""What stands in its place: JSON has no such character."""

TABLES = ("Cache", "Replaced")
"""Of answers: those that are served, and those that a `refresh` replaced."""

PAGE_BYTES = 8_192
"""Of the database: at SQLite's 4 KB most answers would have a page to themselves."""


Statement = tuple[str, Sequence[Sequence[Any]]]
"""SQL, and the rows of values that it is run for."""


class RefusedEntry(Exception):
    """A row that we did not write: it is neither read nor run."""


class JsonTextDisk(diskcache.Disk):  # type: ignore[misc]  # diskcache has no types
    """Keeps texts only, inside the database; refuses everything else."""

    def put(self, key: Any) -> tuple[str, bool]:
        if not isinstance(key, str):
            raise TypeError(f"expected a string as a key, got {type(key).__name__}")
        return key, True

    def get(self, key: Any, raw: bool) -> str:
        if not raw or not isinstance(key, str):
            raise RefusedEntry("a key that is not a string")
        return key

    def store(
        self, value: Any, read: bool, key: Any = UNKNOWN
    ) -> tuple[int, int, None, bytes]:
        if read or not isinstance(value, bytes):
            raise TypeError(f"expected JSON text in bytes, got {type(value).__name__}")
        return 0, MODE_RAW, None, value

    def fetch(self, mode: int, filename: str | None, value: Any, read: bool) -> bytes:
        if read or mode != MODE_RAW or filename is not None or type(value) is not bytes:
            raise RefusedEntry(f"a value that is not JSON text (mode {mode})")
        return value


class _Store(diskcache.Cache):  # type: ignore[misc]  # diskcache has no types
    """diskcache, with many rows in one statement."""

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        return cast(list[tuple[Any, ...]], self._sql(sql, values).fetchall())

    def write(self, *statements: Statement) -> list[int]:
        """Runs statements, each for some rows of values, all or none of it; how many
        rows of the database each of them changed."""
        # Not diskcache's `transact`: it tries for ever where a database is read-only.
        connection = self._con
        connection.execute("BEGIN IMMEDIATE")  # other writers are waited for: 60 s
        try:
            changed = [
                max(0, connection.executemany(sql, rows).rowcount)
                for sql, rows in statements
            ]
            connection.execute("COMMIT")
            return changed
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


class _ReadOnlyStore:
    """A store on a disk that cannot be written."""

    def __init__(self, database: Path) -> None:
        self.disk = JsonTextDisk(str(database.parent))
        self._connection = opened_to_read(database)
        self._reading = threading.Lock()

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with self._reading:
            return self._connection.execute(sql, values).fetchall()

    def write(self, *statements: Statement) -> list[int]:
        """Fails as SQLite does where nothing can be written."""
        with self._reading:
            sql, rows = statements[0]
            return [self._connection.executemany(sql, rows).rowcount]

    def close(self) -> None:
        """Keeps the connection: it is shared by all threads."""


def _lost(digest: str) -> bytes:
    raise CacheError(f"the medium {digest} is not in the cache")


@dataclass(frozen=True)
class Entry:
    """One stored answer: what is kept under a key."""

    key: str
    head: ReplySummary
    """The first line."""
    kept_request: bytes
    """The second line: the request, without its media."""
    body: bytes
    experiment: str = ""
    """The name of the experiment that paid for it."""
    medium: Callable[[str], bytes] = field(default=_lost, repr=False, compare=False)
    """Gives each of the request's media, by its SHA-256."""
    media: Mapping[str, bytes] = field(default_factory=dict, repr=False, compare=False)
    """Those of an entry that is to be stored."""

    @classmethod
    def of(cls, request: Request, response: Response, experiment: str) -> Entry:
        """The entry that keeps this answer to this request."""
        kept, media = _without_media(request.canonical_json)
        summary, body, medium = response.summary, response.body, media.__getitem__
        return cls(request.key, summary, kept, body, experiment, medium, media)

    @classmethod
    def from_value(
        cls,
        key: str,
        value: bytes,
        experiment: str = "",
        medium: Callable[[str], bytes] = _lost,
    ) -> Entry:
        """The entry in a stored value; `ValueError` if it is damaged."""
        _, kept, body = value.split(b"\n", 2)
        return cls(
            key, _head_in(value, value.index(b"\n")), kept, body, experiment, medium
        )

    @cached_property
    def value(self) -> bytes:
        """What is stored."""
        return b"\n".join(
            (orjson.dumps(tuple(self.head)), self.kept_request, self.body)
        )

    @property
    def request_json(self) -> bytes:
        """The request, exactly as it was hashed for the key.

        Raises:
            CacheError: one of its media is no longer there.
        """
        if b"\0" not in self.kept_request:
            return self.kept_request
        return KEPT_APART.sub(
            lambda found: base64.b64encode(self.medium(found[1].decode())),
            self.kept_request,
        )

    @property
    def request(self) -> Request:
        """The request that was answered."""
        return Request.from_plain(orjson.loads(self.request_json))

    @property
    def response(self) -> Response:
        """The answer."""
        return Response.from_summary(self.head, self.body)


class ResponseCache:
    """Answers on disk, by the key of their request. Threads and processes may share it.

    Raises:
        CacheError: the folder or its database cannot be opened or made.
    """

    def __init__(self, directory: str | Path | None = None) -> None:
        self.directory = user_path(directory or home() / "cache").absolute()
        self._database = self.directory / diskcache.core.DBNAME
        self._store = self._opened()
        self._identity = identity(self._database)
        self._warned = threading.Event()

    def get(self, key: str) -> Entry | None:
        """The entry under a key; None if there is none, or it is damaged."""
        with self._reading():
            rows = self._store.rows(f"{SELECT} AND key = ?", (key,))
        return next(self._entries(rows), None)

    def entries_of(self, keys: Sequence[str]) -> Iterator[Entry]:
        """Every entry that is kept under these keys: those that are served, then those
        that a `refresh` replaced."""
        for rows in self._selected(keys):
            yield from self._entries(rows)
        yield from self._entries(self._replaced_rows(keys))

    def head(self, key: str) -> ReplySummary | None:
        """The head of one answer; None if there is none."""
        with self._reading():
            rows = self._store.rows(f"{SELECT} AND key = ?", (key,))
        return self._heads_in(rows).get(key) if rows else None

    def heads(self, keys: Sequence[str]) -> dict[str, ReplySummary]:
        """The heads, by key, of those of the answers that are there."""
        heads: dict[str, ReplySummary] = {}
        for rows in self._selected(keys):
            heads |= self._heads_in(rows)
        return heads

    def medium(self, digest: str) -> bytes:
        """An image or another medium of a request, by the SHA-256 of its content.

        Raises:
            CacheError: it is not there.
        """
        found: list[tuple[Any, ...]] = []
        if self._has("Media"):
            with self._reading():
                found = self._store.rows(SELECT_MEDIUM, (digest,))
        return bytes(found[0][0]) if found else _lost(digest)

    def known(self, keys: Sequence[str]) -> set[str]:
        """Those of the keys that have an answer."""
        return set(self.heads(keys))

    def add(self, entries: Sequence[Entry]) -> dict[str, ReplySummary]:
        """Stores those of the entries whose key has none; they are on disk when it
        returns. Gives, by key, the heads of those that were there first.

        An answer once kept stays: another process may have gone on from it.

        Raises:
            CacheError: they cannot be written; then none of them is.
        """
        if self._write(ADD, entries) == len(entries):
            return {}
        there = self.heads([entry.key for entry in entries])
        self._write(PUT, [e for e in entries if e.key not in there])  # damaged
        return {
            entry.key: there[entry.key]
            for entry in entries
            if entry.key in there and there[entry.key] != entry.head
        }

    def put(self, entries: Sequence[Entry]) -> None:
        """Stores entries; they are on disk when it returns. Answers that were there
        stay as replaced ones, for the recorded runs that had them.

        Raises:
            CacheError: they cannot be written; then none of them is.
        """
        self._write(PUT, entries, keep_replaced=True)

    def replaced(self, keys: Sequence[str]) -> Iterator[tuple[str, ReplySummary]]:
        """The heads of the answers that were replaced under these keys, the latest
        first."""
        for row in self._replaced_rows(keys):
            yield from self._heads_in([row]).items()

    def replaced_count(self) -> int:
        """How many replaced answers are kept."""
        if not self._has("Replaced"):
            return 0
        with self._reading():
            ((count,),) = self._store.rows("SELECT COUNT(*) FROM Replaced")
        return int(count)

    def delete(self, keys: Iterable[str]) -> int:
        """Removes the answers under these keys, replaced ones too; how many there
        were."""
        return self._remove("key = ?", [(key,) for key in keys])

    def clear(self) -> int:
        """Removes every answer, replaced ones too; how many there were."""
        return self._remove("1", [()])

    def prune(
        self,
        *,
        older_than_s: float | None = None,
        experiment: str | None = None,
        replaced: bool = False,
    ) -> int:
        """Removes the answers for which all that is given holds: received longer ago
        than `older_than_s` seconds, paid for by an experiment, replaced by a `refresh`.

        Returns how many there were. Recorded runs that had them say so.

        Raises:
            CacheError: nothing is given, or the cache cannot be changed.
        """
        conditions: list[str] = []
        values: list[Any] = []
        if older_than_s is not None:
            conditions.append("COALESCE(store_time, 0) < ?")
            values.append(time.time() - older_than_s)
        if experiment is not None:
            conditions.append("tag = ?")
            values.append(experiment)
        if not conditions and not replaced:
            raise CacheError(
                "prune: say older_than_s=, experiment= or replaced=True; or use clear()"
            )
        tables = ("Replaced",) if replaced else TABLES
        return self._remove(" AND ".join(conditions) or "1", [values], tables)

    def entries(self) -> Iterator[Entry]:
        """Every entry, oldest first; damaged ones are passed over with a warning."""
        last = 0
        while True:
            with self._reading():
                rows = self._store.rows(
                    "SELECT rowid, key, mode, filename, value, tag FROM Cache"
                    " WHERE raw = 1 AND rowid > ? ORDER BY rowid LIMIT 500",
                    (last,),
                )
            if not rows:
                return
            last = rows[-1][0]
            yield from self._entries([row[1:] for row in rows])

    def catalogue(self) -> list[tuple[str, str, float, int]]:
        """Of every entry: key, experiment, received (s since 1970), size in bytes."""
        with self._reading():
            return [
                (key, tag or "", stored or 0.0, size or 0)
                for key, tag, stored, size in self._store.rows(
                    "SELECT key, tag, store_time, size FROM Cache WHERE raw = 1"
                    " ORDER BY rowid"
                )
            ]

    def size_bytes(self) -> int:
        """The space that the cache takes on disk."""
        return sum(file.stat().st_size for file in self.directory.glob("cache.db*"))

    def check_writable(self) -> None:
        """Raises `CacheError` if answers can be read and none be stored."""
        if isinstance(self._store, _ReadOnlyStore):
            raise CacheError(
                f"the cache in {self.directory} can only be read, so that no answer "
                "would be kept: offline=True gives what it has, use_cache=False keeps "
                "nothing, cache= names another folder"
            )

    def close(self) -> None:
        """Closes this thread's connection to the database."""
        self._store.close()

    def __contains__(self, key: str) -> bool:
        return bool(self.known([key]))

    def __len__(self) -> int:
        with self._reading():
            ((count,),) = self._store.rows("SELECT COUNT(*) FROM Cache WHERE raw = 1")
        return int(count)

    def __repr__(self) -> str:
        return f"ResponseCache({len(self):,} answers)"

    def _opened(self) -> _Store | _ReadOnlyStore:
        private_folder(self.directory.parent)
        private_folder(self.directory)
        try:
            if can_only_be_read(self._database):
                return _ReadOnlyStore(self._database)
            if self.directory.parent == home():
                ignore_in_git(self.directory.parent)
            _lay_out(self._database)
            store = _Store(str(self.directory), disk=JsonTextDisk, **SETTINGS)
        except Exception as error:  # a damaged database fails in many ways
            raise cannot_be_opened(f"the cache in {self.directory}", error) from error
        return store

    def _replaced_rows(self, keys: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        if not self._has("Replaced"):
            return
        for part in _parts(keys):
            marks = ",".join("?" * len(part))
            with self._reading():
                rows = self._store.rows(SELECT_REPLACED.format(marks), part)
            yield from rows

    def _has(self, table: str) -> bool:
        with self._reading():
            sql = "SELECT 1 FROM sqlite_master WHERE name = ?"
            return bool(self._store.rows(sql, (table,)))

    def _remove(
        self,
        condition: str,
        values: Sequence[Sequence[Any]],
        tables: Sequence[str] = TABLES,
    ) -> int:
        """Removes the answers for which a condition holds, for each of some values."""
        there = [name for name in tables if self._has(name)]
        removals = [(f"DELETE FROM {name} WHERE {condition}", values) for name in there]
        try:
            removed = sum(self._store.write(*removals))
            if self._has("Media"):
                has_replaced = self._has("Replaced")
                used = [name for name in TABLES if name == "Cache" or has_replaced]
                keys = " UNION ".join(f"SELECT key FROM {name}" for name in used)
                self._store.write(
                    (f"DELETE FROM Uses WHERE key NOT IN ({keys})", [()]),
                    (UNUSED_MEDIA, [()]),
                )
            with suppress(sqlite3.OperationalError):  # others are using it
                self._store.rows("VACUUM")
        except (sqlite3.Error, diskcache.Timeout, OSError) as error:
            raise CacheError(f"{self.directory} cannot be changed: {error}") from error
        return removed

    def _write(
        self, sql: str, entries: Sequence[Entry], *, keep_replaced: bool = False
    ) -> int:
        """Stores entries; how many rows were written."""
        rows = [
            (
                e.key,
                e.head.received_s,
                e.head.received_s,
                e.experiment,
                len(e.value),
                MODE_RAW,
                e.value,
            )
            for e in entries
        ]
        statements: list[Statement] = [(sql, rows)]
        if media := [(e.key, *item) for e in entries for item in e.media.items()]:
            statements += [
                (MEDIA, [()]),
                (USES, [()]),
                (KEEP_MEDIUM, [(digest, content) for _, digest, content in media]),
                (USE_MEDIUM, [(key, digest) for key, digest, _ in media]),
            ]
        if keep_replaced:
            there = [(e.key, e.value) for e in entries]
            statements = [
                (REPLACED, [()]),
                (REPLACED_BY_KEY, [()]),
                (KEEP, there),
                *statements,
            ]
        try:
            written, *_ = self._store.write(*statements)
        except (sqlite3.Error, OSError) as error:
            self._check_there()
            raise CacheError(
                f"answers cannot be stored in {self.directory}: {error}"
            ) from error
        self._check_there()
        return written

    def _check_there(self) -> None:
        """Raises `CacheError` if what is written is no longer in the folder."""
        if identity(self._database) != self._identity:
            raise CacheError(
                f"answers cannot be stored in {self.directory}: the folder was removed "
                "or moved while it was in use"
            )

    def _selected(self, keys: Sequence[str]) -> Iterator[list[tuple[Any, ...]]]:
        for part in _parts(keys):
            marks = ",".join("?" * len(part))
            with self._reading():
                rows = self._store.rows(SELECT_MANY.format(marks), part)
            yield rows

    def _heads_in(self, rows: Iterable[tuple[Any, ...]]) -> dict[str, ReplySummary]:
        heads: dict[str, ReplySummary] = {}
        for key, mode, filename, value, _ in rows:
            if mode != MODE_RAW or filename is not None or type(value) is not bytes:
                self._refuse(key, f"mode {mode}")
                continue
            try:
                end = value.index(b"\n")
                head = _head_in(value, end)
                body = value.find(b"\n", end + 1)
                if _failure_in(head, value, body) is None:
                    heads[key] = head
            except (ValueError, TypeError) as error:
                self._refuse(key, error)
        return heads

    def _entries(self, rows: Iterable[tuple[Any, ...]]) -> Iterator[Entry]:
        for key, mode, filename, value, tag in rows:
            try:
                text = self._store.disk.fetch(mode, filename, value, False)
                tag = tag if isinstance(tag, str) else ""
                entry = Entry.from_value(key, text, tag, self.medium)
                if _failure_in(entry.head, entry.body) is None:
                    yield entry
            except (RefusedEntry, ValueError, TypeError) as error:
                self._refuse(key, error)

    def _refuse(self, key: object, why: object) -> None:
        if not self._warned.is_set():
            self._warned.set()
            warnings.warn(
                f"an entry of {self.directory} is damaged or not ours, and counts as "
                f"missing: key {str(key)[:12]}, {why}",
                PromptlabWarning,
                stacklevel=4,
            )

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise CacheError(
                f"the cache in {self.directory} cannot be read: {error}"
            ) from error


SELECT = "SELECT key, mode, filename, value, tag FROM Cache WHERE raw = 1"
# In the order of the rows, so that neighbours on disk are read together.
SELECT_MANY = (
    "SELECT key, mode, filename, value, tag FROM Cache WHERE rowid IN"
    " (SELECT rowid FROM Cache WHERE raw = 1 AND key IN ({}))"
)
INSERT = (
    "INSERT INTO Cache (key, raw, store_time, access_time, tag, size, mode, value)"
    " VALUES (?, 1, ?, ?, ?, ?, ?, ?) ON CONFLICT (key, raw) DO"
)
ADD = f"{INSERT} NOTHING"
SELECT_REPLACED = (
    f"SELECT key, {MODE_RAW}, NULL, value, tag FROM Replaced WHERE key IN ({{}})"
)
REPLACED = (
    "CREATE TABLE IF NOT EXISTS Replaced"
    " (key TEXT NOT NULL, store_time REAL, tag TEXT, value BLOB NOT NULL)"
)
REPLACED_BY_KEY = "CREATE INDEX IF NOT EXISTS Replaced_key ON Replaced (key)"
KEEP = (
    "INSERT INTO Replaced SELECT key, store_time, tag, value FROM Cache"
    " WHERE raw = 1 AND key = ? AND typeof(value) = 'blob' AND value <> ?"
)
MEDIA = (
    "CREATE TABLE IF NOT EXISTS Media (sha256 TEXT PRIMARY KEY, content BLOB NOT NULL)"
)
USES = (
    "CREATE TABLE IF NOT EXISTS Uses (key TEXT NOT NULL, sha256 TEXT NOT NULL,"
    " PRIMARY KEY (key, sha256)) WITHOUT ROWID"
)
KEEP_MEDIUM = "INSERT OR IGNORE INTO Media VALUES (?, ?)"
USE_MEDIUM = "INSERT OR IGNORE INTO Uses VALUES (?, ?)"
UNUSED_MEDIA = "DELETE FROM Media WHERE sha256 NOT IN (SELECT sha256 FROM Uses)"
SELECT_MEDIUM = "SELECT content FROM Media WHERE sha256 = ?"
PUT = (
    f"{INSERT} UPDATE SET store_time = excluded.store_time,"
    " expire_time = NULL, tag = excluded.tag, size = excluded.size,"
    " mode = excluded.mode, filename = NULL, value = excluded.value"
)


def _lay_out(database: Path) -> None:
    """Makes the file of a new database, for the user alone, with pages of our size."""
    with suppress(FileExistsError):
        os.close(os.open(database, os.O_CREAT | os.O_EXCL, 0o600))
    with suppress(PermissionError):  # another user's, which this one may write
        database.chmod(0o600)
    if database.stat().st_size == 0:
        connection = sqlite3.connect(database, isolation_level=None, timeout=60)
        try:
            connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
            connection.execute("PRAGMA user_version = 1")  # writes the first page
        finally:
            connection.close()


def open_cache(cache: ResponseCache | str | os.PathLike[str] | None) -> ResponseCache:
    """The cache itself, the one in that folder, or the project's own."""
    if isinstance(cache, ResponseCache):
        return cache
    return ResponseCache(None if cache is None else Path(cache))


def checked_response(response: Response) -> Response:
    """What a client gave, if it is what the cache can give back.

    Raises:
        CallError: it is not; the client is wrong.
    """
    if not isinstance(response, Response) or not isinstance(response.body, bytes):
        said = f"a {type(response).__name__}, not a Response with a body of bytes"
    elif not isinstance(response.headers, Mapping):
        said = f"headers that are a {type(response.headers).__name__}, not a mapping"
    elif type(response.calls) is not int or response.calls < 1:
        said = f"calls={response.calls!r}, not an integer >= 1"
    else:
        try:
            head = _head(orjson.loads(orjson.dumps(tuple(response.summary))))
        except (ValueError, TypeError, AttributeError):
            said = f"fields of wrong types: {response!r:.300}"
        else:
            if (failure := _failure_in(head, response.body)) is None:
                usage, cost_usd = head.usage, head.reported_cost_usd  # None for NaN
                if (usage, cost_usd) == (response.usage, response.reported_cost_usd):
                    return response
                return replace(response, usage=usage, reported_cost_usd=cost_usd)
            raise CallError(failure)
    raise CallError(Failure(kind="invalid_reply", message=f"the client gave {said}"))


def _without_media(request_json: bytes) -> tuple[bytes, dict[str, bytes]]:
    """A request with the SHA-256 of each medium in its place, and the media."""
    media: dict[str, bytes] = {}

    def apart(found: re.Match[bytes]) -> bytes:
        try:
            content = base64.b64decode(found[0], validate=True)
        except binascii.Error:
            return found[0]
        if base64.b64encode(content) != found[0]:
            return found[0]
        digest = hashlib.sha256(content).hexdigest()
        media[digest] = content
        return b"\0%b\0" % digest.encode()

    if len(request_json) < MEDIUM_BYTES:
        return request_json, media
    return MEDIUM.sub(apart, request_json), media


def _head_in(value: bytes, end: int) -> ReplySummary:
    """The head of a stored value, which ends there; `ValueError` if promptlab did not
    write it."""
    members = orjson.loads(value[:end])
    head = _head(members)
    return head if len(members) == len(head) else _completed(head, value)


def _completed(head: ReplySummary, value: bytes) -> ReplySummary:
    """An older entry's head, with what its answer says beside text and tokens."""
    _, _, body = value.split(b"\n", 2)
    if SAYS_MORE.search(body) is None:
        return head
    try:
        document = orjson.loads(body)
        said = read_message(document["choices"][0]["message"])
    except (ValueError, LookupError, TypeError, AttributeError):
        return head  # of a client with a form of its own
    output = head.output if head.output.strip() else said.output
    cost_usd = reported_usd(document.get("usage"), {})
    told = {**said._asdict(), "output": output, "reported_cost_usd": cost_usd}
    return head._replace(**told)


def _head(members: Any) -> ReplySummary:
    """The head with these members; `ValueError` if they are not those of one."""
    if type(members) is not list or not _is_head(tuple(map(type, members))):
        raise ValueError("its first line is not one of ours")
    head = ReplySummary(*members)
    read, written = head.cached_input_tokens or 0, head.cache_write_tokens or 0
    given, reasoned = head.output_tokens or 0, head.reasoning_tokens or 0
    asked = head.input_tokens or 0
    # One of them is out of range just if all their bits together are.
    bits = asked | read | written | given | reasoned
    cost_usd = head.reported_cost_usd or 0.0
    if not 0 <= bits < 2**53 or not 0 <= head.received_s < 2**40 or cost_usd < 0:
        raise ValueError("its numbers are out of range")
    if read + written > asked or reasoned > given:
        usage = head.usage.nested()
        return head._replace(
            input_tokens=usage.input_tokens, output_tokens=usage.output_tokens
        )
    return head


def _failure_in(head: ReplySummary, value: bytes, start: int = 0) -> Failure | None:
    """The failure that was taken for an answer, whose body begins there in a value.
    Bodies without a member named `error`, nearly all, are not parsed."""
    failure = None if head.finish_reason == "stop" else broke_off(head)
    if failure is not None or value.find(b'"error"', start) < 0:
        return failure
    try:
        document = orjson.loads(value[start:])
    except orjson.JSONDecodeError:
        return None
    return failure_in(document, {}) if isinstance(document, dict) else None


@lru_cache(maxsize=256)
def _is_head(kinds: tuple[type, ...]) -> bool:
    """Whether an entry's first line may hold values of these types."""
    none, number = type(None), (int, float)
    text, count = (str, none), (int, none)
    known = [
        *((str,), text, *[count] * 5, number, number, text, text, (int,)),
        *((*number, none), text, text, text, text),
    ]
    return FEWEST_MEMBERS <= len(kinds) <= len(known) and all(
        kind in allowed for kind, allowed in zip(kinds, known, strict=False)
    )


def _parts(keys: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(keys), KEYS_AT_ONCE):
        yield keys[start : start + KEYS_AT_ONCE]
