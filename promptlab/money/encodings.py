"""Encodings: exact counts by tiktoken, where its files are on this machine.

tiktoken downloads the file of an encoding when it is first needed, and again if the
one it has is damaged. Here nothing is downloaded: a file is looked for where tiktoken
keeps it, and checked, before tiktoken is asked for the encoding.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from promptlab.money.tokens import ESTIMATE, Remembered, TokenCounter
from promptlab.spec.capabilities import own_name

FORMAT_ERROR = 0.05
"""How far off an exact count may be, as a share: models differ in what the format of a
chat adds."""

ADDRESS = "https://openaipublic.blob.core.windows.net/encodings/{}.tiktoken"
"""Where tiktoken has a file from; the SHA-1 of it is the file's name."""

FILES = {
    "cl100k_base": "cl100k_base",
    "o200k_base": "o200k_base",
    "o200k_harmony": "o200k_base",
}
"""The encodings of chat models, and the file of each."""

SHA_256 = {
    "cl100k_base": "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
    "o200k_base": "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
}
"""Of the files, as tiktoken has them."""

AT_ONCE = 100_000
"""Characters that are encoded together: tiktoken 0.14 ends in a stack overflow on a
million blanks. Each cut adds a token at most."""


def counter_for(model: str) -> TokenCounter:
    """How the tokens of a model's input are counted: by its encoding where that is
    known and there, else by the estimate."""
    name = encoding_of(model)
    return (name and _counter(name)) or ESTIMATE


def encoding_of(model: str) -> str | None:
    """The name of a model's encoding; None where it is not known, or tiktoken is not
    installed.

    gpt-6 models are taken to use o200k_base, as all since gpt-4o do; tiktoken 0.14 does
    not know them.
    """
    try:
        from tiktoken.model import encoding_name_for_model
    except ImportError:
        return None
    model = own_name(model)
    if model.startswith("gpt-6"):
        return "o200k_base"
    try:
        return encoding_name_for_model(model)
    except KeyError:
        return None


def _counter(name: str) -> TokenCounter | None:
    """A count by an encoding; None where its file is not there."""
    folder = _folder()
    if name not in FILES or not folder:
        return None
    address = ADDRESS.format(FILES[name]).encode()
    path = Path(folder, hashlib.sha1(address, usedforsecurity=False).hexdigest())
    try:
        return _loaded(name, path, path.stat().st_mtime_ns)
    except OSError:
        return None


def _folder() -> str:
    """Where tiktoken looks for its files; empty where it is told to keep none."""
    for variable in ("TIKTOKEN_CACHE_DIR", "DATA_GYM_CACHE_DIR"):
        if variable in os.environ:
            return os.environ[variable]
    return str(Path(tempfile.gettempdir(), "data-gym-cache"))


@lru_cache(maxsize=16)
def _loaded(name: str, path: Path, changed_ns: int) -> TokenCounter | None:
    """A count by an encoding whose file is there; None if the file is damaged.

    It is looked at again once it has changed.
    """
    if hashlib.sha256(path.read_bytes()).hexdigest() != SHA_256[FILES[name]]:
        return None
    import tiktoken

    encode = tiktoken.get_encoding(name).encode_ordinary
    return TokenCounter(name, FORMAT_ERROR, Remembered(_by_parts(encode)))


def _by_parts(encode: Callable[[str], list[int]]) -> Callable[[str], int]:
    def count(text: str) -> int:
        starts = range(0, len(text), AT_ONCE)
        return sum([len(encode(text[start : start + AT_ONCE])) for start in starts])

    return count
