"""Explanations: why a request hits or misses the cache."""

from __future__ import annotations

import difflib
import heapq
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from promptlab.models.credentials import environment
from promptlab.models.routes import base_url_for
from promptlab.spec.request import Request
from promptlab.spec.trial import Trial
from promptlab.store.cache import Entry, ResponseCache, open_cache
from promptlab.store.wire_names import known_names

CONTEXT = 30
"""Characters shown on both sides of where two texts part."""


@dataclass(frozen=True)
class Difference:
    """One part of a request that differs from a stored one."""

    field: str
    """Such as `temperature`, `repeat`, `messages[1].content`."""
    asked: Any
    """What the request has; None if it lacks this part."""
    stored: Any
    """What the stored one has; None if it lacks this part."""

    def __str__(self) -> str:
        asked, stored = self.asked, self.stored
        if isinstance(asked, str) and isinstance(stored, str):
            asked, stored = _where_they_part(asked, stored)
        return f"{self.field}: asked {_shown(asked)}, stored {_shown(stored)}"


@dataclass(frozen=True)
class Explanation:
    """Why a request hits or misses the cache."""

    request: Request
    hit: Entry | None
    """What is stored for it."""
    nearest: Request | None = None
    """On a miss, the stored request that differs in least."""
    differences: tuple[Difference, ...] = ()
    """What differs from the nearest."""

    def __str__(self) -> str:
        canonical = self.request.canonical_json.decode()
        lines = [f"key      {self.request.key}", f"request  {canonical}"]
        if self.hit is not None:
            paid_by = self.hit.experiment or "an unnamed experiment"
            lines.append(f"cached   yes, paid for by {paid_by}")
        elif self.nearest is None:
            lines.append("cached   no; the cache is empty")
        else:
            lines.append(f"cached   no; the nearest is {self.nearest.key}, where")
            lines += [f"         {difference}" for difference in self.differences]
        return "\n".join(lines)

    def __repr__(self) -> str:
        return str(self)


def explain(
    asked: Request | Trial,
    cache: ResponseCache | str | os.PathLike[str] | None = None,
    *,
    base_url: str | None = None,
    env_file: str | Path | None = None,
) -> Explanation:
    """Explain why a request, or the first call of a trial, hits or misses the cache.

    `cache`, `base_url` and `env_file` are those of `Experiment.run`: a trial's requests
    go where it would send them. On a miss, all stored requests are read to find the
    nearest.

    Raises:
        CacheError: the cache cannot be opened.
        SpecError: the env file cannot be read.
    """
    cache = open_cache(cache)
    if isinstance(asked, Request):
        request = asked
    else:
        variables = environment(env_file)
        request = asked.first_request(
            lambda model: base_url_for(model, base_url, variables), known_names()
        )
    if (hit := cache.get(request.key)) is not None:
        return Explanation(request, hit)
    own = _flat(orjson.loads(request.canonical_json))
    flats = (
        (entry.request, _flat(orjson.loads(entry.request_json)))
        for entry in cache.entries()
    )
    close = heapq.nsmallest(
        20,
        (
            (_distance(own, flat), n, found, flat)
            for n, (found, flat) in enumerate(flats)
        ),
    )
    if not close:
        return Explanation(request, None)
    fewest = close[0][0]
    nearest, flat = max(
        ((found, flat) for distance, _, found, flat in close if distance == fewest),
        key=lambda candidate: _likeness(own, candidate[1]),
    )
    return Explanation(request, None, nearest, tuple(_differences(own, flat)))


def _flat(plain: Mapping[str, Any]) -> dict[str, Any]:
    """A canonical request, its parts by name; the schema number is no part."""
    body = dict(plain["body"])
    flat = {name: plain[name] for name in ("base_url", "repeat")}
    if "endpoint" in plain:
        flat["endpoint"] = plain["endpoint"]
    for number, message in enumerate(body.pop("messages", ())):
        for name, value in message.items():
            flat[f"messages[{number}].{name}"] = value
    return flat | body


def _distance(one: Mapping[str, Any], other: Mapping[str, Any]) -> int:
    return sum(one.get(name) != other.get(name) for name in one.keys() | other.keys())


def _likeness(one: Mapping[str, Any], other: Mapping[str, Any]) -> float:
    """How alike the texts are that differ, from 0 to 1."""
    pairs = [
        (one[name], other[name])
        for name in one.keys() & other.keys()
        if isinstance(one[name], str)
        and isinstance(other[name], str)
        and one[name] != other[name]
    ]
    ratios = [
        difflib.SequenceMatcher(None, a[:2000], b[:2000]).quick_ratio()
        for a, b in pairs
    ]
    return sum(ratios) / len(ratios) if ratios else 1.0


def _differences(
    one: Mapping[str, Any], other: Mapping[str, Any]
) -> Iterator[Difference]:
    for name in [*one, *(n for n in other if n not in one)]:
        if one.get(name) != other.get(name):
            yield Difference(name, one.get(name), other.get(name))


def _where_they_part(one: str, other: str) -> tuple[str, str]:
    """Two texts, cut to the surroundings of their first difference."""
    if len(one) <= 2 * CONTEXT and len(other) <= 2 * CONTEXT:
        return one, other
    same = 0
    while same < min(len(one), len(other)) and one[same] == other[same]:
        same += 1
    start = max(0, same - CONTEXT)
    return tuple(  # type: ignore[return-value]  # two texts in, two texts out
        ("…" if start else "")
        + text[start : same + CONTEXT]
        + ("…" if same + CONTEXT < len(text) else "")
        for text in (one, other)
    )


def _shown(value: Any) -> str:
    return "nothing" if value is None else repr(value)
