"""Archives: cached answers as a JSONL file, to keep or to give to others.

A line is an object with `experiment`, `request`, `latency_s`, `attempts`, `received_s`
and `body`, the answer as received; and `reported_cost_usd`, where the server said what
it cost. There is no key in it: reading an archive computes the key from the request,
and what the table shows from the body, so that an archive can be wrong about neither. A
file whose name ends in `.gz` is compressed.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import IO, Any, Literal, NamedTuple, cast

import orjson

from promptlab.errors import CacheError, CallError, SpecError
from promptlab.formats import counted
from promptlab.models.replies import read_reply
from promptlab.spec.request import SCHEMA, Request
from promptlab.store.cache import Entry, ResponseCache

AT_ONCE = 500
LONGEST_LINE = 64_000_000
"""Bytes; a longer one is not an answer but an attack or an accident."""


NO_ANSWER = (
    *(ValueError, KeyError, TypeError, AttributeError, OverflowError),
    *(CallError, SpecError),
)
"""Errors of reading a line that is not an answer."""


class RefusedLine(NamedTuple):
    """A line of an archive that is not a cached answer."""

    number: int
    """Its number; the first line is 1."""
    reason: str


class Imported(NamedTuple):
    """How many answers of an archive were added, and what was not."""

    added: int
    known: int
    """How many were in the cache already; they are left unchanged."""
    refused: tuple[RefusedLine, ...]

    @property
    def summary(self) -> str:
        """All of it, a line for each that was refused, at most ten."""
        lines = [f"added {counted(self.added, 'answer')}; {self.known:,} already there"]
        if self.refused:
            lines[0] += f"; {counted(len(self.refused), 'line')} refused:"
            lines += [f"line {n:,}: {reason}" for n, reason in self.refused[:10]]
        if len(self.refused) > 10:
            lines.append(f"and {len(self.refused) - 10:,} more")
        return "\n".join(lines)


def export_archive(
    cache: ResponseCache, path: Path, *, experiment: str | None = None
) -> int:
    """Writes answers to an archive; those an experiment paid for, or all.

    The file appears whole or not at all. Gives how many were written.

    Raises:
        CacheError: the file cannot be written.
    """
    count = 0
    draft = path.with_name(f".{path.name}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _opened(draft, "wb", path.suffix == ".gz") as file:
            for entry in cache.entries():
                if experiment is None or entry.experiment == experiment:
                    file.write(_line(entry))
                    count += 1
        draft.replace(path)
    except OSError as error:
        raise CacheError(
            f"{path} cannot be written: {error.strerror or error}"
        ) from error
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
    return count


def import_archive(cache: ResponseCache, path: Path) -> Imported:
    """Adds the answers of an archive to a cache; existing ones stay, and lines that are
    not answers, or could not be read back, are left out.

    Raises:
        CacheError: the file cannot be read to its end, or no line is an answer; the
            lines before have been added.
    """
    added = known = 0
    refused: list[RefusedLine] = []
    lines = _lines(path)
    while group := list(islice(lines, AT_ONCE)):
        entries = {e.key: e for e in group if isinstance(e, Entry)}
        refused += [line for line in group if isinstance(line, RefusedLine)]
        there = cache.known(list(entries))
        cache.add([entry for key, entry in entries.items() if key not in there])
        added += len(entries) - len(there)
        known += len(there)
    if refused and not added and not known:
        number, reason = refused[0]
        raise CacheError(f"{path}, line {number} is not a cached answer: {reason}")
    return Imported(added, known, tuple(refused))


def _line(entry: Entry) -> bytes:
    head = entry.head
    plain = {
        "experiment": entry.experiment,
        "request": orjson.loads(entry.request_json),
        "latency_s": head.latency_s,
        "attempts": head.attempts,
        "received_s": head.received_s,
        "body": entry.body.decode(),
    }
    if head.reported_cost_usd is not None:
        plain["reported_cost_usd"] = head.reported_cost_usd
    return orjson.dumps(plain, option=orjson.OPT_APPEND_NEWLINE)


def _lines(path: Path) -> Iterator[Entry | RefusedLine]:
    """What each line of an archive holds.

    Raises:
        CacheError: the file cannot be read to its end.
    """
    try:
        with _opened(path, "rb", path.suffix == ".gz") as file:
            number = 0
            while line := file.readline(LONGEST_LINE):
                number += 1
                try:
                    yield _entry(orjson.loads(line))
                except NO_ANSWER as error:
                    yield RefusedLine(number, _reason(error))
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise CacheError(f"{path} cannot be read: {reason}") from error


def _entry(plain: dict[str, Any]) -> Entry:
    asked = plain["request"]
    if asked["schema"] != SCHEMA:
        raise SpecError(
            f"its requests follow schema {asked['schema']}, ours is {SCHEMA}"
        )
    if type(asked["repeat"]) is not int:
        raise SpecError(f"its repeat is {asked['repeat']!r}, expected an integer")
    if not all(
        isinstance(message, dict) for message in asked["body"].get("messages", ())
    ):
        raise SpecError("its request's messages are not valid")
    request = Request.from_plain(asked)
    response = read_reply(
        200,
        {},
        plain["body"].encode(),
        float(plain["latency_s"]),
        request.endpoint,
    )
    response = replace(
        response,
        attempts=int(plain["attempts"]),
        received_s=float(plain["received_s"]),
    )
    if "reported_cost_usd" in plain:
        response = replace(response, reported_cost_usd=plain["reported_cost_usd"])
    entry = Entry.of(request, response, str(plain["experiment"]))
    Entry.from_value(entry.key, entry.value)  # it must be possible to read it back
    return entry


def _reason(error: Exception) -> str:
    """What is wrong with a line, in words."""
    if isinstance(error, KeyError):
        return f"it has no {error.args[0]!r}"
    if isinstance(error, orjson.JSONDecodeError):
        return f"not JSON: {error}"
    if isinstance(error, (TypeError, AttributeError)):
        return "its members have wrong types"
    return str(error)


def _opened(path: Path, mode: Literal["rb", "wb"], compressed: bool) -> IO[bytes]:
    return cast(IO[bytes], gzip.open(path, mode)) if compressed else path.open(mode)
