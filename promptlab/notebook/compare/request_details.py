"""Request details: the whole request behind an output, as far as the table has it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from promptlab.errors import SpecError
from promptlab.formats import label, plain_text
from promptlab.notebook.compare.comparison import Comparison
from promptlab.notebook.trial_table import measure_text
from promptlab.results.record import Record
from promptlab.results.schema import EXPLANATION
from promptlab.results.table import plain
from promptlab.spec.content import shown

EXCERPT = 20_000
"""The most characters of a text that are sent at first."""

TOKENS = (
    ("input_tokens", "input tokens"),
    ("cached_input_tokens", "of them cached by the provider"),
    ("output_tokens", "output tokens"),
    ("reasoning_tokens", "of them for reasoning"),
)

NO_MESSAGES = (
    "The table alone does not hold the messages that were sent: "
    "compare the results of a run to read them here."
)


def request_details(comparison: Comparison, position: int) -> dict[str, Any]:
    """What a trial sent and what came back, as plain JSON values.

    Messages are grouped by turn, each turn being one call. Long texts are cut;
    `text_of` has all of them.

    Raises:
        SpecError: the table has no such trial.
    """
    _check(comparison, position)
    row = comparison.table.iloc[position]
    record = _record(comparison, position)
    return {
        "trial": position,
        "title": [_cell(row, "case"), *_labels(comparison, position)],
        "messages": [] if record is None else list(_messages(record)),
        "parameters": _parameters(comparison, record, row),
        "dropped": [] if record is None else _named(record.trial.variant.dropped),
        "inputs": [
            _excerpt(name, _cell(row, name), f"input:{name}")
            for name in comparison.trials.schema.inputs
        ],
        "scores": list(_scores(comparison, row)),
        "outcome": list(_outcome(comparison, row)),
        "note": NO_MESSAGES if record is None else "",
    }


def text_of(comparison: Comparison, position: int, part: str) -> str:
    """All of a text that is shown cut: `output`, `message:N`, `input:NAME`, or
    `why:NAME`, the explanation of a score.

    Raises:
        SpecError: there is no such text.
    """
    _check(comparison, position)
    kind, _, name = part.partition(":")
    if kind == "output":
        return comparison.shown(np.array([position]))[0].as_py() or ""
    if kind == "input" and name in comparison.trials.schema.inputs:
        return _cell(comparison.table.iloc[position], name)
    if kind == "why" and name in comparison.trials.schema.scores:
        return _cell(comparison.table.iloc[position], f"{name}{EXPLANATION}")
    record = _record(comparison, position)
    if kind == "message" and record is not None and name.isdecimal():
        messages = record.messages
        if int(name) < len(messages):
            return shown(messages[int(name)]["content"])
    raise SpecError(f"compare: unknown text {part!r:.60}")


def _check(comparison: Comparison, position: int) -> None:
    if not 0 <= position < len(comparison.table):
        raise SpecError(f"compare: the table has no row {position}")


def _record(comparison: Comparison, position: int) -> Record | None:
    results = comparison.trials.results
    return None if results is None else results[position]


def _labels(comparison: Comparison, position: int) -> Iterator[str]:
    row = comparison.table.iloc[position]
    for name in (*comparison.by, *comparison.others):
        yield f"{name} {label(plain(row[name]))}"
    if comparison.trials.repeated and "repeat" not in comparison.by:
        yield f"repeat {label(plain(row['repeat']))}"


def _messages(record: Record) -> Iterator[dict[str, Any]]:
    """The messages of the conversation, each with the number of its call, from 0."""
    index = 0
    for turn, messages in enumerate(record.turns):
        for message in messages:
            part = f"message:{index}"
            yield {
                **_excerpt(message["role"], shown(message["content"]), part),
                "turn": turn,
            }
            index += 1


def _excerpt(role: str, text: str, part: str) -> dict[str, Any]:
    """The beginning of a text, how long that is, and the name of the whole."""
    return {
        "role": role,
        "text": text[:EXCERPT],
        "sent": min(len(text), EXCERPT),
        "length": len(text),
        "part": part,
    }


def _parameters(
    comparison: Comparison, record: Record | None, row: Any
) -> list[list[str]]:
    if record is None:
        return _named({n: plain(row[n]) for n in comparison.trials.parameters})
    variant = record.trial.variant
    at = {} if variant.base_url is None else {"base_url": variant.base_url}
    return _named({"model": variant.model, **at, **variant.parameters})


def _outcome(comparison: Comparison, row: Any) -> Iterator[list[str]]:
    table = comparison.table
    for name, title in (("finish_reason", "finish reason"), *TOKENS):
        if name in table and (value := plain(row[name])) is not None:
            yield [title, value if isinstance(value, str) else f"{value:,}"]
    for name in ("refusal", "tool_calls", "reasoning"):
        beside = comparison.trials.schema.reply_column(name)
        if beside is not None and (value := plain(row[beside])) is not None:
            yield [name.replace("_", " "), str(value)[:EXCERPT]]
    for name, title in (
        ("latency_s", "latency"),
        ("cost_usd", "cost"),
        ("billed_usd", "billed to this run"),
    ):
        if name in table and (value := plain(row[name])) is not None:
            yield [title, measure_text(name, value)]
    if "cached" in table and plain(row["cached"]) is not None:
        yield ["from the cache", "yes" if row["cached"] else "no"]
    for name in ("error", "key"):
        if name in table and (value := plain(row[name])) is not None:
            yield [name, plain_text(value)]


def _scores(comparison: Comparison, row: Any) -> Iterator[dict[str, Any]]:
    """Each score, and the explanation of it."""
    for name in comparison.trials.schema.scores:
        value = plain(row[name])
        known = value is not None and value == value
        why = f"{name}{EXPLANATION}"
        reason = _cell(row, why) if why in row else ""
        if known or reason:
            yield {
                "name": name,
                "value": label(value)[:EXCERPT] if known else "missing",
                "why": _excerpt(name, reason, f"why:{name}") if reason else None,
            }


def _named(values: Any) -> list[list[str]]:
    return [[name, label(value)[:EXCERPT]] for name, value in values.items()]


def _cell(row: Any, name: str) -> str:
    return plain_text(plain(row[name]))
