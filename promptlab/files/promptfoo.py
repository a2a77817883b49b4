"""promptfoo's CSV files: the cells under `__expected` as the checks of a case."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from promptlab.errors import ConfigError

COLUMN = re.compile(r"__expected\d*")
CHECK = re.compile(
    r"(not-)?([a-z][a-z-]*)(?:\((\d+(?:\.\d+)?)\))?(?::(.*))?", re.DOTALL
)
HOLE = re.compile(r"\{\{\s*([^{}|]+?)\s*\}\}")

TEXT = ("equals", "contains", "icontains", "starts-with", "regex")
LISTS = ("contains-any", "contains-all", "icontains-any", "icontains-all")
JSON = ("is-json", "contains-json")
LIMITS = ("latency", "cost")
OTHERS = (
    *(
        "javascript",
        "fn",
        "eval",
        "python",
        "llm-rubric",
        "grade",
        "similar",
        "webhook",
    ),
    *("factuality", "g-eval", "answer-relevance", "rouge-n", "bleu", "perplexity"),
    *("model-graded-closedqa", "model-graded-factuality", "classifier", "moderation"),
)
"""What promptfoo has, and a check cannot be yet."""


def with_checks(rows: Sequence[Any], source: str) -> Sequence[Any]:
    """The rows, with what stands under `__expected`, `__expected1`, ... as `checks`.

    Raises:
        ConfigError: a check is of a kind that is not supported; it names the source.
    """
    first = rows[0] if len(rows) and isinstance(rows[0], Mapping) else {}
    columns = [c for c in first if isinstance(c, str) and COLUMN.fullmatch(c)]
    if not columns:
        return rows
    checked = []
    for number, row in enumerate(rows, start=1):
        cells = [_filled(str(row[c]), row) for c in columns if row.get(c)]
        try:
            checks = [_check(cell.strip()) for cell in cells]
        except ValueError as error:
            raise ConfigError(f"{source}, row {number}: __expected: {error}") from None
        kept = {name: value for name, value in row.items() if name not in columns}
        checked.append({**kept, "checks": checks or None})
    return checked


def _check(cell: str) -> Any:
    """A cell as the check of a config; what has no known prefix must be the output."""
    match = CHECK.fullmatch(cell)
    negated, kind, number, value = match.groups() if match else (None, "", None, None)
    known = kind in (*TEXT, *LISTS, *JSON, *LIMITS, "levenshtein", *OTHERS)
    if not known or (value is None and kind not in (*JSON, *LIMITS)):
        return {"exact": cell}
    name, text = f"{negated or ''}{kind}", (value or "").strip()
    if kind in OTHERS:
        raise ValueError(f"{kind!r} is not supported; score it by a function of yours")
    if kind in TEXT:
        return {name: {"pattern" if kind == "regex" else "value": text}}
    if kind in LISTS:
        return {name: next(csv.reader([text], skipinitialspace=True))}
    if kind in JSON:
        return {name: {"schema": orjson.loads(text)}} if text else name
    if number is None:
        raise ValueError(f"{kind} needs a limit, such as {kind}(5): …")
    if kind == "levenshtein":
        return {name: {"value": text, "distance": True, "threshold": float(number)}}
    limit = float(number) / (1000 if kind == "latency" else 1)  # milliseconds
    return {name: {"threshold": limit}}


def _filled(cell: str, row: Mapping[Any, Any]) -> str:
    """A cell with the holes of its row filled."""
    return HOLE.sub(lambda hole: str(row.get(hole[1], hole[0])), cell)
