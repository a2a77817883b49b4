"""Answers in JSON: read as models write it, and as a table of their fields."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import orjson
import pandas as pd

from promptlab.errors import PromptlabWarning
from promptlab.formats import valid
from promptlab.results.table import texts, typed

FENCE = re.compile(r"(```+|~~~+)[^\n`]*\n")
"""The first line of a block of Markdown code."""

MOST_STARTS = 200
"""How many braces of an output may begin its JSON."""

MOST_FIELDS = 1_000
"""Columns of a table of fields; those that fewer answers have are left out."""

DEEPEST = 20
"""How deep a field may be inside others; what is deeper stays in one value."""

LONGEST_INDENTED = 50_000
"""Characters of a text that is indented; a longer one is read by programs."""

INDENT = "  "
OPENING, CLOSING = ("{", "["), ("}", "]")

TOKEN = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[{}\[\],:]|[^\s{}\[\],:"]++')
"""The strings, signs and words of a JSON text."""

VALID, VALUE = "valid", "value"
"""The columns that say whether an answer is JSON, and what it is if no object."""

Place = tuple[str, ...]
"""The keys that lead to a field."""


def without_fences(text: str) -> str:
    """What a block of Markdown code holds; any other string unchanged."""
    block = text.strip()
    opening = FENCE.match(block)
    if opening is None or not block.endswith(opening[1], opening.end()):
        return text
    inside = block[opening.end() : -len(opening[1])]
    return inside.rstrip(" \t").removesuffix("\n")


def json_values(text: str) -> Iterator[Any]:
    """The JSON objects and lists in a text, outermost first."""
    decoder = json.JSONDecoder(parse_constant=_refused)
    at = 0
    for _ in range(MOST_STARTS):
        starts = [p for p in (text.find("{", at), text.find("[", at)) if p >= 0]
        if not starts:
            return
        at = min(starts)
        try:
            value, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            at += 1
        else:
            yield value


def answer_json(text: str) -> Any:
    """The JSON of an answer: all of it, without fences; else the first object in it,
    else the first list. Of a key that is there twice, the last value counts.

    >>> answer_json('Sure!\\n```json\\n{"label": "spam"}\\n```')
    {'label': 'spam'}

    Raises:
        ValueError: there is no JSON in it.
    """
    try:
        return orjson.loads(without_fences(text))
    except orjson.JSONDecodeError:
        first = None
        for value in json_values(text):
            if isinstance(value, dict):
                return value
            first = value if first is None else first
        if first is None:
            raise ValueError("the output has no JSON in it") from None
        return first


def indented(text: str) -> str:
    """The text with line ends and indents if it is a JSON object or list on one line,
    else as it is. Nothing but white space changes: keys, numbers and escapes stay as
    they are written.

    >>> print(indented('{"a": [1, {}]}'))
    {
      "a": [
        1,
        {}
      ]
    }
    """
    bare = text.strip()
    if not bare.startswith(("{", "[")) or "\n" in bare or len(bare) > LONGEST_INDENTED:
        return text
    try:
        orjson.loads(bare)
    except orjson.JSONDecodeError:
        return text
    parts: list[str] = []
    depth, before = 0, ""
    for token in TOKEN.findall(bare):
        opened, closes = before in OPENING, token in CLOSING
        depth += opened - closes
        if before == "," or opened != closes:
            parts.append("\n" + INDENT * min(depth, DEEPEST))
        parts.append(": " if token == ":" else token)
        before = token
    return "".join(parts)


def parsed_table(outputs: Sequence[str | None], index: pd.Index) -> pd.DataFrame:
    """The fields of answers in JSON, a column for each, as `Results.parsed` says."""
    is_json = np.zeros(len(outputs), dtype=bool)
    fields: dict[Place, dict[int, Any]] = {}
    for row, output in enumerate(outputs):
        if output is None:
            continue
        try:
            answer = answer_json(output)
        except ValueError:
            continue
        is_json[row] = True
        for place, value in _fields(answer):
            fields.setdefault(place, {})[row] = value
    columns = {VALID: is_json} | {
        name: _column(fields[place], len(outputs))
        for name, place in _named(_most_common(fields)).items()
    }
    table = pd.DataFrame(columns, index=index)
    table.attrs[VALID] = float(is_json.mean()) if len(is_json) else np.nan
    return table


def _fields(answer: Any) -> Iterator[tuple[Place, Any]]:
    """The fields of an answer with the keys that lead to each, in order."""
    if not isinstance(answer, dict):
        yield (), answer
        return
    waiting: list[tuple[Place, Any]] = [((), answer)]
    while waiting:
        place, value = waiting.pop()
        if isinstance(value, dict) and (value or not place) and len(place) < DEEPEST:
            inside = [((*place, key), member) for key, member in value.items()]
            waiting.extend(reversed(inside))
        else:
            yield place, value


def _most_common(fields: Mapping[Place, Mapping[int, Any]]) -> list[Place]:
    """Those that most answers have, in the order they first appear."""
    if len(fields) <= MOST_FIELDS:
        return list(fields)
    ranked = sorted(fields, key=lambda place: -len(fields[place]))
    warnings.warn(
        f"the answers have {len(fields):,} different fields; the "
        f"{MOST_FIELDS:,} most common are columns of the table",
        PromptlabWarning,
        stacklevel=4,
    )
    kept = set(ranked[:MOST_FIELDS])
    return [place for place in fields if place in kept]


def _named(places: Sequence[Place]) -> dict[str, Place]:
    """Each field under its dotted name, with a number where that is taken."""
    named: dict[str, Place] = {}
    for place in places:
        dotted = valid(".".join(place)) if place else VALUE
        name, number = dotted, 1
        while name in named or name == VALID:
            number += 1
            name = f"{dotted}_{number}"
        named[name] = place
    return named


def _column(values: Mapping[int, Any], rows: int) -> Any:
    """A value for each row, None where a field is missing."""
    column = [values.get(row) for row in range(rows)]
    if all(isinstance(value, (str, type(None))) for value in column):
        return texts([None if value is None else valid(value) for value in column])
    return typed(column)


def _refused(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")
