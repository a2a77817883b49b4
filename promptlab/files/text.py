"""The text of a file: its encoding, `.gz`, and `-` for standard input."""

from __future__ import annotations

import codecs
import gzip
import io
import sys
import zlib
from pathlib import Path

from promptlab.errors import ConfigError
from promptlab.paths import check_regular

STDIN = Path("-")
"""The name of standard input."""


def ending_of(path: Path) -> str:
    """The ending that says how a file is written: `.csv` of `cases.csv.gz`. Standard
    input is JSONL, JSON or CSV, by how it begins."""
    if path == STDIN:
        begun = _standard_input().peek().lstrip()[:1]
        return {b"{": ".jsonl", b"[": ".json"}.get(begun, ".csv")
    if path.suffix.lower() == ".gz":
        inner = path.with_suffix("").suffix.lower()
        return ".gz" if inner in (".xlsx", ".parquet") else inner
    return path.suffix.lower()


def read_text(path: Path, encoding: str, largest: int | None = None) -> str:
    """The text of a file, unpacked if its name ends in `.gz`; `-` is standard input.

    Raises:
        ConfigError: it cannot be read, is larger than so many bytes, or is no text of
            this encoding.
    """
    try:
        content = _content(path, largest)
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError(f"{path} cannot be read: {reason}") from error
    except ValueError as error:
        raise ConfigError(f"{str(path)!r} is not a file name: {error}") from error
    if largest is not None and len(content) > largest:
        raise ConfigError(f"{path} is larger than {largest // 1_000_000} MB")
    try:
        text = content.decode(_encoding(content, encoding))
    except UnicodeDecodeError as error:
        rest = error.object  # what follows a byte order mark
        line = rest[: error.start].count(b"\n") + 1
        raise ConfigError(
            f"{path}, line {line}: byte {rest[error.start]:#04x} is not "
            f"{encoding.removesuffix('-sig')} text; save the file as UTF-8, or give "
            "its encoding, such as cp1252"
        ) from error
    except (LookupError, ValueError) as error:
        raise ConfigError(f"{path}: unknown encoding {encoding!r}") from error
    return text.removeprefix("\ufeff").replace("\r\n", "\n")


def _encoding(content: bytes, given: str) -> str:
    """UTF-16 where no other encoding than UTF-8 is given and the content begins as
    UTF-16 does, with a byte order mark or a character of which one byte is zero."""
    if given == "utf-8-sig" and len(content) > 1:
        if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return "utf-16"
        if 0 in content[:2] and any(content[:2]):
            return "utf-16-le" if content[0] else "utf-16-be"
    return given


def _content(path: Path, largest: int | None) -> bytes:
    """The bytes of a file; hardly more than `largest`."""
    most = -1 if largest is None else largest + 1
    if path == STDIN:
        return _standard_input().read(most)
    check_regular(path)
    if path.suffix.lower() == ".gz":
        with gzip.open(path) as unpacked:
            return unpacked.read(most)
    with path.open("rb") as file:
        return file.read(most)


def _standard_input() -> io.BufferedReader:
    stream = getattr(sys.stdin, "buffer", None)
    if not isinstance(stream, io.BufferedReader):
        raise ConfigError(
            "- is standard input, which is not available here; name a file"
        )
    return stream
