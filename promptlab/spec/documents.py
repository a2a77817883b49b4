"""Documents: the whole answers behind a table, read where they are kept."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import orjson

from promptlab.spec.response import ReplySummary

AT_ONCE = 500
"""Documents that are in memory together."""


class Kept(Protocol):
    """An answer as it is kept."""

    @property
    def key(self) -> str: ...
    @property
    def head(self) -> ReplySummary: ...
    @property
    def body(self) -> bytes: ...


Lookup = Callable[[Sequence[str]], Iterable[Kept]]
"""Gives every answer that is kept under some keys, replaced ones last."""


class Wanted(NamedTuple):
    """The answer to a trial."""

    trial: int
    key: str
    """Of its last call."""
    received_s: float
    """When that was answered."""
    output: str
    """Its text: another answer under the key is not the one."""


def documents(
    wanted: Iterable[Wanted], lookup: Lookup
) -> Iterator[tuple[int, dict[str, Any]]]:
    """The answers that are still kept, parsed, each with its trial; others are left
    out."""
    waiting = iter(wanted)
    while group := list(itertools.islice(waiting, AT_ONCE)):
        bodies = {
            (kept.key, kept.head.received_s, kept.head.output): kept.body
            for kept in lookup([one.key for one in group])
        }
        for one in group:
            body = bodies.get((one.key, one.received_s, one.output))
            if body is not None:
                document = orjson.loads(body or b"null")
                yield one.trial, document if isinstance(document, dict) else {}


def first_choice(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """The choice that the table shows; empty where an answer has a form of its own."""
    choices = document.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    return choice if isinstance(choice, dict) else {}


class Token(NamedTuple):
    """A token of an answer, and how likely it was."""

    token: str
    logprob: float | None
    """The natural logarithm of its probability."""
    top: dict[str, float] | None
    """The likeliest tokens at its place, by their logprobs, where asked for."""


def tokens(document: Mapping[str, Any]) -> Iterator[Token]:
    """The tokens of an answer whose logprobs were asked for."""
    logprobs = first_choice(document).get("logprobs")
    if not isinstance(logprobs, dict):
        return
    for item in logprobs.get("content") or logprobs.get("refusal") or ():
        if isinstance(item, dict):
            top = {
                str(other.get("token")): _number(other.get("logprob"))
                for other in item.get("top_logprobs") or ()
                if isinstance(other, dict)
            }
            yield _token(item.get("token"), item.get("logprob"), top)
    # As of old completions, and of servers that go on so: three lists.
    lists = [logprobs.get(n) for n in ("tokens", "token_logprobs", "top_logprobs")]
    names, numbers, tops = (of if isinstance(of, list) else [] for of in lists)
    for name, number, top in itertools.zip_longest(names, numbers, tops):
        if name is not None:
            yield _token(name, number, top if isinstance(top, dict) else {})


def _token(token: Any, logprob: Any, top: Mapping[str, Any]) -> Token:
    likeliest = {name: _number(number) for name, number in top.items()}
    known = {name: number for name, number in likeliest.items() if number is not None}
    return Token(str(token), _number(logprob), known or None)


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) else None
