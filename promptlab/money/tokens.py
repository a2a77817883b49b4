"""Tokens: about how many a text takes, where no server has counted them yet.

The estimate counts words, numbers, signs and other scripts apart, with weights fitted
to o200k_base, the encoding of current OpenAI models. It lies within some 15 % on
English, code and JSON, and within some 35 % on other languages; `ERROR` is stated
wherever it is used, and nothing is billed by it. `encodings` counts exactly, where it
can, and `calibration` learns from what servers have counted.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

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


def estimated_tokens(text: str) -> int:
    """About how many tokens a text takes."""
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


class Remembered:
    """A count of tokens that counts each text once, within a bound on its memory."""

    def __init__(self, count: Callable[[str], int]) -> None:
        self._count = count
        self._known: dict[str | bytes, int] = {}

    def __call__(self, text: str) -> int:
        short = len(text) <= REMEMBERED_AS_IT_IS
        what = (
            text if short else hashlib.sha256(text.encode("utf-8", "replace")).digest()
        )
        if (tokens := self._known.get(what)) is None:
            if len(self._known) >= TEXTS:  # neighbours share texts, others seldom do
                self._known.clear()
            tokens = self._known[what] = self._count(text)
        return tokens


@dataclass(frozen=True)
class TokenCounter:
    """How the tokens of a text are counted before a server does."""

    name: str
    """The encoding, or `estimate`."""
    error: float
    """How far off a count of messages may be, as a share of it."""
    count: Callable[[str], int]
    """The tokens of a text."""

    def messages(self, contents: Iterable[str]) -> int:
        """The tokens of messages with these contents, and of what the format adds."""
        return sum([PER_MESSAGE + self.count(content) for content in contents])

    def tool_tokens(self, parameters: Mapping[str, Any]) -> int:
        """The tokens of the tools and schemas among a request's parameters, as JSON."""
        sent = [parameters[name] for name in TOOL_PARAMETERS if parameters.get(name)]
        return sum([self.count(orjson.dumps(value).decode()) for value in sent])


ESTIMATE = TokenCounter("estimate", ERROR, Remembered(estimated_tokens))
"""What any model's tokens can be counted with."""
