"""Tokens: about how many a string takes, where no server has counted them yet.

The estimate counts words, numbers, signs and other scripts apart, with weights fitted
to o200k_base, the encoding of current OpenAI models. It lies within some 15 % on
English, code and JSON, and within some 35 % on other languages; `ERROR` is stated
wherever it is used, and nothing is billed by it.

tiktoken counts exactly where its files are on this machine. It would download the file
of an encoding when it is first needed, and again if the one it has is damaged. Here
nothing is downloaded: a file is looked for where tiktoken keeps it, and checked, before
tiktoken is asked for the encoding.

What servers have counted corrects both, by one ratio for each model: the calibration.
"""

from __future__ import annotations

import hashlib
import math
import os
import re
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import orjson

from promptlab.spec.capabilities import own_name

ERROR = 0.35
"""How far off the estimate may be, as a share of itself."""

PER_MESSAGE = 4
PER_REPLY = 3
"""Tokens that the format of a chat adds, the role of a message included (OpenAI
Cookbook, "How to count tokens with tiktoken")."""

TOOL_PARAMETERS = ("tools", "functions", "response_format")
"""Parameters that the model reads."""

TEXTS = 8_192
"""Texts whose counts are remembered."""

REMEMBERED_AS_IT_IS = 1_000
"""Characters up to which a text itself is kept with its count; of a longer one, its
hash."""

WORDS = re.compile("[A-Za-z]+")
NUMBERS = re.compile("[0-9]+")
SIGNS = re.compile(r"[!-/:-@\[-`{-~]+")
EAST_ASIAN = re.compile("[\u2e80-\u9fff\uac00-\ud7ff\uf900-\ufaff\uff00-\uffef]+")
BLANKS = re.compile(r"\s{2,}")

PER_EAST_ASIAN = 0.7
PER_OTHER = 0.4
"""Tokens for a character beyond ASCII: of the East Asian scripts, and of others."""

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

KEPT = 512
"""Calls of a model that are looked at, at most."""

MOST = 0.9
"""The share of the calls looked at that lie within the spread."""


def estimated_tokens(text: str) -> int:
    """About how many tokens a string takes."""
    words = WORDS.findall(text)
    signs = SIGNS.findall(text)
    total = (
        len(words)
        + 0.13 * sum([len(word) - 6 for word in words if len(word) > 6])
        + sum([(len(number) + 2) // 3 for number in NUMBERS.findall(text)])
        + 0.55 * len(signs)
        + 0.22 * len("".join(signs))
        + 0.5 * len(BLANKS.findall(text))
    )
    if not text.isascii():
        beyond = len(text) - len(text.encode("ascii", "ignore"))
        east_asian = len("".join(EAST_ASIAN.findall(text)))
        total += PER_EAST_ASIAN * east_asian + PER_OTHER * (beyond - east_asian)
    return math.ceil(total)


def remembered(count: Callable[[str], int]) -> Callable[[str], int]:
    """The same count, which counts each string once, within a bound on its memory."""
    known: dict[str | bytes, int] = {}

    def counted(text: str) -> int:
        what: str | bytes = text
        if len(text) > REMEMBERED_AS_IT_IS:
            what = hashlib.sha256(text.encode("utf-8", "replace")).digest()
        if (tokens := known.get(what)) is None:
            if len(known) >= TEXTS:  # neighbours share texts, others seldom do
                known.clear()
            tokens = known[what] = count(text)
        return tokens

    return counted


@dataclass(frozen=True)
class TokenCounter:
    """How the tokens of a string are counted before a server does."""

    name: str
    """The encoding, or `estimate`."""
    error: float
    """How far off a count of messages may be, as a share of it."""
    count: Callable[[str], int]
    """The tokens of a string."""

    def messages(self, contents: Iterable[str]) -> int:
        """The tokens of messages with these contents, and of what the format adds."""
        return sum([PER_MESSAGE + self.count(content) for content in contents])

    def tool_tokens(self, parameters: Mapping[str, Any]) -> int:
        """The tokens of the tools and schemas among a request's parameters, as JSON."""
        sent = [parameters[name] for name in TOOL_PARAMETERS if parameters.get(name)]
        return sum([self.count(orjson.dumps(value).decode()) for value in sent])


ESTIMATE = TokenCounter("estimate", ERROR, remembered(estimated_tokens))
"""What any model's tokens can be counted with."""


# Counts by tiktoken.


def counter_for(model: str) -> TokenCounter:
    """How the tokens of a model's input are counted: by its encoding where that is
    known and there, else by the estimate."""
    name = encoding_of(model)
    return (name and _counter(name)) or ESTIMATE


def encoding_of(model: str) -> str | None:
    """The name of a model's encoding; None if it is not known, or tiktoken is not
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
    """A count by an encoding; None if its file is not there."""
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

    def count(text: str) -> int:
        starts = range(0, len(text), AT_ONCE)
        return sum([len(encode(text[start : start + AT_ONCE])) for start in starts])

    return TokenCounter(name, FORMAT_ERROR, remembered(count))


# Counts corrected by those of servers.


@dataclass(frozen=True)
class Calibration:
    """How the tokens that a server counts follow from those counted beforehand."""

    counter: TokenCounter
    factor: float = 1.0
    """The server's tokens for each of ours."""
    error: float = 0.0
    """How far off the product may be, as a share of it."""
    calls: int = 0
    """How many answered calls it is learnt from."""

    def least(self, counted: float) -> float:
        """The fewest tokens that the server may count."""
        return counted * self.factor / (1 + self.error)

    def most(self, counted: float) -> float:
        """The most tokens that the server may count."""
        return counted * self.factor * (1 + self.error)

    def __str__(self) -> str:
        known = self.counter.name != "estimate"
        how = f"counted by {self.counter.name}" if known else "estimated"
        learnt = f" and corrected by {self.calls:,} answers" if self.calls > 1 else ""
        learnt = " and corrected by 1 answer" if self.calls == 1 else learnt
        return f"{how}{learnt}, ± {math.ceil(100 * self.error - 1e-9)} %"


class Observations:
    """Calls that a server has answered: tokens as counted beforehand, and by it.

    Of many, every second one is dropped, again and again, so that those kept are spread
    evenly over all of them.
    """

    def __init__(self, counter: TokenCounter) -> None:
        self.counter = counter
        self._step = 1
        self._seen = 0
        self._pairs: list[tuple[float, int]] = []

    def wants_next(self) -> bool:
        """Whether the next call is one of those kept; `add` it then."""
        self._seen += 1
        return (self._seen - 1) % self._step == 0

    def add(self, counted: float, tokens: int) -> None:
        """Notes a call: the tokens counted beforehand, and those the server counted."""
        self._pairs.append((counted, tokens))
        if len(self._pairs) == KEPT:
            del self._pairs[1::2]
            self._step *= 2

    @property
    def calibration(self) -> Calibration:
        """What they teach; without any, the counter's own error."""
        return calibration(self.counter, self._pairs)


def calibration(
    counter: TokenCounter, pairs: Sequence[tuple[float, int]]
) -> Calibration:
    """The calibration by n calls: tokens counted beforehand, and by the server.

    The factor is the ratio of the sums. The error is the distance from it within which
    nine of ten calls lie, as a share, and the counter's own error divided by √(n+1),
    which stands for the texts that have not been seen.
    """
    n = len(pairs)
    if not n:
        return Calibration(counter, error=counter.error)
    factor = sum(tokens for _, tokens in pairs) / sum(counted for counted, _ in pairs)
    away = sorted(abs(tokens / counted / factor - 1) for counted, tokens in pairs)
    spread = away[math.ceil(MOST * n) - 1]
    return Calibration(counter, factor, spread + counter.error / math.sqrt(n + 1), n)
