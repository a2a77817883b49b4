"""Archives: cached answers as a JSONL file, to keep or to give to others.

A line is an object with `experiment`, `request`, `latency_s`, `attempts`, `received_s`
and `body`, the answer as received. There is no key in it: reading an archive computes
the key from the request, and what the table shows from the body, so that an archive can
be wrong about neither. A file whose name ends in `.gz` is compressed.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import IO, Any, Literal, cast

import orjson

from promptlab.errors import CacheError, CallError, SpecError
from promptlab.execution.cache import Entry, ResponseCache
from promptlab.execution.replies import read_reply
from promptlab.spec.request import SCHEMA, Request

AT_ONCE = 500
LONGEST_LINE = 64_000_000
"""Bytes; a longer one is not an answer but an attack or an accident."""


NO_ANSWER = (
    *(ValueError, KeyError, TypeError, AttributeError, OverflowError),
    *(CallError, SpecError),
)
"""What a line that is no answer raises when it is read as one."""


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


def import_archive(cache: ResponseCache, path: Path) -> tuple[int, int]:
    """Adds the answers of an archive to a cache; what is there already stays.

    Gives how many were added, and how many were there.

    Raises:
        CacheError: the file cannot be read, or a line is not an answer; the lines
            before it have been added.
    """
    added = known = 0
    entries = _entries(path)
    while group := list(islice(entries, AT_ONCE)):
        there = cache.known([entry.key for entry in group])
        new = [entry for entry in group if entry.key not in there]
        cache.add(new)
        added += len(new)
        known += len(group) - len(new)
    return added, known


def _line(entry: Entry) -> bytes:
    response = entry.response
    return orjson.dumps(
        {
            "experiment": entry.experiment,
            "request": orjson.loads(entry.request_json),
            "latency_s": response.latency_s,
            "attempts": response.attempts,
            "received_s": response.received_s,
            "body": entry.body.decode(),
        },
        option=orjson.OPT_APPEND_NEWLINE,
    )


def _entries(path: Path) -> Iterator[Entry]:
    try:
        with _opened(path, "rb", path.suffix == ".gz") as file:
            number = 0
            while line := file.readline(LONGEST_LINE):
                number += 1
                try:
                    yield _entry(orjson.loads(line))
                except NO_ANSWER as error:
                    raise CacheError(
                        f"{path}, line {number} is not a cached answer: {error}"
                    ) from error
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
        raise SpecError(f"its repeat is {asked['repeat']!r}, not a whole number")
    if not all(isinstance(message, dict) for message in asked["body"]["messages"]):
        raise SpecError("its request has messages that are none")
    request = Request.from_plain(asked)
    response = read_reply(200, {}, plain["body"].encode(), float(plain["latency_s"]))
    response = replace(
        response,
        attempts=int(plain["attempts"]),
        received_s=float(plain["received_s"]),
    )
    return Entry.of(request, response, str(plain["experiment"]))


def _opened(path: Path, mode: Literal["rb", "wb"], compressed: bool) -> IO[bytes]:
    return cast(IO[bytes], gzip.open(path, mode)) if compressed else path.open(mode)
