"""A key that is planted: a server that repeats it, and the search for it in everything.

It looks like no key, so that no pattern finds it: it is known as the key that was sent,
or not at all.
"""

from __future__ import annotations

import base64
import gzip
import io
import sqlite3
import traceback
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import orjson
import pyarrow.parquet
from fakes.servers import Received, Reply, error

from promptlab.testing import response

KEY = "PLANTED.qz7Kx9w2-Zr4Tn8Lm5Vb1-planted"
OPENAI = "http://api.openai.com/v1"
PRICES = {"*": {"input": 1, "output": 1}}


def gossip(received: Received) -> Reply:
    """Repeats the key wherever a reply has room."""
    key = received.headers.get("authorization", "").removeprefix("Bearer ")
    key = received.headers.get("x-own-key", key)
    told = {"x-request-id": key, "set-cookie": f"k={key}", "x-ratelimit-limit": key}
    number = int(received.body["messages"][-1]["content"].split()[-1].rstrip("?"))
    document = orjson.loads(response(f"The key is {key}.").body)
    if number == 0:
        parts = {"code": key, "type": f"{'x' * 190}{key}", "param": key}
        return error(400, told, message=f"{'x' * 1_990}{key}", **parts)
    if number == 1:
        return Reply(status=422, body=f"<p>{'x ' * 990}{key}</p>".encode())
    if number == 2:
        return Reply(status=308, headers={"location": f"http://else.test/?k={key}"})
    if number == 3:
        return error(404, told, message={"the": {"key": key}})
    if number == 4:
        return Reply(body=orjson.dumps({"error": f"no: {key}"}), headers=told)
    if number == 5:
        return Reply(body=f"{key} is not JSON".encode(), headers=told)
    if number == 6:
        return Reply(body=orjson.dumps({"choices": [{"message": key}]}), headers=told)
    if number == 7:
        return Reply(body=key.encode(), instead="break off")
    if number == 8:
        document |= {"model": key, "service_tier": key, "id": key}
        document["system_fingerprint"] = {key: [key]}
    if number == 9:
        call = {"type": "function", "function": {"name": key, "arguments": key}}
        message = {"role": "assistant", "content": None, "tool_calls": [call]}
        document["choices"][0] |= {"message": message, "finish_reason": key}
    return Reply(body=orjson.dumps(document), headers=told)


def received_key(received: Received) -> str:
    own = received.headers.get("x-own-key", "")
    return own or received.headers["authorization"].removeprefix("Bearer ")


SIDES = 14
"""Characters of either end of a key that are as good as the key; four may be shown."""


def finds(key: str, content: bytes | str) -> bool:
    """Whether a key is in some bytes: as it is, in part, or encoded."""
    data = content.encode() if isinstance(content, str) else content
    forms = {
        key[:SIDES].encode(),
        key[-SIDES:].encode(),
        *(base64.b64encode(b"Bearer "[:skip] + key.encode())[4:-4] for skip in (0, 7)),
        key.encode("utf-16-le"),
    }
    return any(form in data for form in forms)


def contents(folder: Path) -> Iterator[tuple[str, bytes]]:
    """What every file in a folder holds, as it is and unpacked, and where that is."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            data = path.read_bytes()
            yield str(path), data
            for part, unpacked in _unpacked(path, data):
                yield f"{path}: {part}", unpacked


def places(key: str, folder: Path) -> list[str]:
    """Where in a folder a key is."""
    return [place for place, data in contents(folder) if finds(key, data)]


def _unpacked(path: Path, data: bytes) -> Iterator[tuple[str, bytes]]:
    if data[:16] == b"SQLite format 3\0":
        yield from _rows(path)
    elif data[:4] == b"PAR1":
        yield "table", repr(pyarrow.parquet.read_table(path).to_pylist()).encode()
        yield "schema", repr(pyarrow.parquet.read_schema(path).metadata).encode()
    elif data[:2] == b"PK":
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for name in archive.namelist():
                yield name, archive.read(name)
    elif data[:2] == b"\x1f\x8b":
        yield "unzipped", gzip.decompress(data)


def _rows(path: Path) -> Iterator[tuple[str, bytes]]:
    """The values of a database: a long one is spread over several pages of the file."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        tables = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        for (table,) in tables.fetchall():
            for row in database.execute(f'SELECT * FROM "{table}"'):
                for value in row:
                    data = value if isinstance(value, bytes) else str(value).encode()
                    yield table, data
                    if data[:1] == b"\x78":
                        yield table, zlib.decompress(data)


def seen_in(error: BaseException, *, but_for: str) -> Iterator[str]:
    """What a debugger or a verbose traceback shows of an error and of all that led to
    it, suppressed or not: texts, attributes, and the local variables of every frame but
    for those of one file."""
    linked: list[BaseException] = [error]
    for found in linked:
        more = (found.__cause__, found.__context__)
        linked += [e for e in more if e is not None and e not in linked]
        yield f"{found!r} {found} {found.__dict__!r} {getattr(found, '__notes__', '')}"
        for frame, line in traceback.walk_tb(found.__traceback__):
            place = f"{frame.f_code.co_filename}:{line} {frame.f_code.co_name}"
            if frame.f_code.co_filename != but_for:
                shown = {name: _shown(v) for name, v in frame.f_locals.items()}
                yield f"{place} {shown}"


def _shown(value: object) -> str:
    try:
        return repr(value)
    except Exception as error:  # an object that is half made, for one
        return f"{error!r} {getattr(value, '__dict__', '')!r}"


def planted_key() -> str:
    """The key, for where no variable is to hold it."""
    return KEY
