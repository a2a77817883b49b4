"""Asked: the whole request behind an output, as far as the table tells."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from promptlab.errors import SpecError
from promptlab.notebook.comparison import Comparison, plain
from promptlab.notebook.facts import label, money, plain_text, seconds
from promptlab.spec.experiment import Trial

EXCERPT = 20_000
"""Characters of a text that are given at once."""

TOKENS = (
    ("input_tokens", "tokens read"),
    ("cached_input_tokens", "of them from the provider's cache"),
    ("output_tokens", "tokens written"),
    ("reasoning_tokens", "of them for reasoning"),
)

NO_MESSAGES = (
    "The table alone does not hold the messages that were sent: "
    "compare the results of a run to read them here."
)


def asked(comparison: Comparison, place: int) -> dict[str, Any]:
    """What a trial was sent and what came back, as plain JSON values.

    Messages are grouped by turn, each turn being one call. Texts are cut to an excerpt
    that `text_of` gives the rest of.
    """
    row = comparison.table.iloc[place]
    trial = _trial(comparison, place)
    return {
        "trial": place,
        "title": [_cell(row, "case"), *_labels(comparison, place)],
        "messages": list(_messages(comparison, trial, place)),
        "parameters": list(_parameters(comparison, trial, row)),
        "dropped": [] if trial is None else _named(trial.question.dropped),
        "inputs": [
            _excerpt(name, _cell(row, name), f"input:{name}")
            for name in comparison.source.inputs
        ],
        "outcome": list(_outcome(comparison, row)),
        "note": NO_MESSAGES if trial is None else "",
    }


def text_of(comparison: Comparison, place: int, part: str) -> str:
    """A whole text that is shown as an excerpt: `output`, `error`, `message:N` or
    `input:NAME`.

    Raises:
        SpecError: there is no such text.
    """
    if not 0 <= place < len(comparison.table):
        raise SpecError(f"compare: the table has no row {place}")
    kind, _, name = part.partition(":")
    if kind == "output":
        return comparison.outputs[place].as_py() or ""
    if kind == "error":
        return comparison.errors[place].as_py() or ""
    if kind == "expected" and "expected" in comparison.table:
        return _cell(comparison.table.iloc[place], "expected")
    if kind == "input" and name in comparison.source.inputs:
        return _cell(comparison.table.iloc[place], name)
    trial = _trial(comparison, place)
    if kind == "message" and trial is not None and name.isdecimal():
        contents = [message["content"] for turn in trial.turns for message in turn]
        if int(name) < len(contents):
            return contents[int(name)]
    raise SpecError(f"compare: there is no text {part!r:.60}")


def _trial(comparison: Comparison, place: int) -> Trial | None:
    experiment = comparison.source.experiment
    if experiment is None:
        return None
    return experiment.trials[int(comparison.table["trial"].iloc[place])]


def _labels(comparison: Comparison, place: int) -> Iterator[str]:
    row = comparison.table.iloc[place]
    for name in (*comparison.by, *comparison.others):
        yield f"{name} {label(plain(row[name]))}"
    if comparison.repeated and "repeat" not in comparison.by:
        yield f"repeat {label(plain(row['repeat']))}"


def _messages(
    comparison: Comparison, trial: Trial | None, place: int
) -> Iterator[dict[str, Any]]:
    if trial is None:
        return
    index = 0
    for number, turn in enumerate(trial.turns):
        for message in turn:
            part = f"message:{index}"
            yield {
                **_excerpt(message["role"], message["content"], part),
                "turn": number,
            }
            index += 1
        if number < len(trial.turns) - 1:
            yield {"role": "assistant", "turn": number, "text": None}
    output = comparison.outputs[place].as_py()
    if output is not None:
        last = len(trial.turns) - 1
        yield {**_excerpt("assistant", output, "output"), "turn": last}


def _excerpt(role: str, text: str, part: str) -> dict[str, Any]:
    """The beginning of a text, how much of it that is, and what the whole is called."""
    return {
        "role": role,
        "text": text[:EXCERPT],
        "there": min(len(text), EXCERPT),
        "length": len(text),
        "part": part,
    }


def _parameters(comparison: Comparison, trial: Trial | None, row: Any) -> list[Any]:
    if trial is None:
        return _named({n: plain(row[n]) for n in comparison.source.parameters})
    question = trial.question
    at = {} if question.base_url is None else {"base_url": question.base_url}
    return _named({"model": question.model, **at, **question.parameters})


def _outcome(comparison: Comparison, row: Any) -> Iterator[list[str]]:
    table = comparison.table
    for name, said in (("finish_reason", "finish reason"), *TOKENS):
        if name in table and (value := plain(row[name])) is not None:
            yield [said, value if isinstance(value, str) else f"{value:,}"]
    for name, said, write in (
        ("latency_s", "latency", seconds),
        ("cost_usd", "cost", money),
        ("billed_usd", "billed by this run", money),
    ):
        if name in table and (value := plain(row[name])) is not None:
            yield [said, write(value)]
    if "cached" in table and plain(row["cached"]) is not None:
        yield ["from the cache", "yes" if row["cached"] else "no"]
    for name in comparison.source.scores:
        if (value := plain(row[name])) is not None:
            yield [name, label(value)[:EXCERPT]]
    for name in ("error", "key"):
        if name in table and (value := plain(row[name])) is not None:
            yield [name, plain_text(value)]


def _named(values: Any) -> list[list[str]]:
    return [[name, label(value)[:EXCERPT]] for name, value in values.items()]


def _cell(row: Any, name: str) -> str:
    return plain_text(plain(row[name]))
