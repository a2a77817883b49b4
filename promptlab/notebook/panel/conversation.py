"""Conversations with a few models or settings at once, as an experiment.

Every message that is sent is one more user message of the prompt, so each send runs a
longer experiment whose first calls are in the cache.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from promptlab.errors import SpecError
from promptlab.experiment import Experiment
from promptlab.formats import dollars, seconds
from promptlab.render.markup import CELL, QUIET, ROW, escaped
from promptlab.results.record import Record
from promptlab.results.results import Results
from promptlab.spec.prompt import Prompt
from promptlab.spec.response import is_truncated

NAME = "playground"

SAID = "background:rgba(128,128,128,.09)"
WHOLE = f"{CELL};max-width:none;padding-left:8px"
LONGEST = 20_000
"""The most characters of a message that are shown."""

SETTINGS = ("model", "temperature", "max_tokens")


@dataclass(frozen=True)
class ModelSettings:
    """One side of a conversation: a model and its settings, as they were typed."""

    model: str
    temperature: str = ""
    max_tokens: str = ""

    @property
    def values(self) -> dict[str, Any]:
        """The settings as a grid takes them; None for what is not given.

        Raises:
            SpecError: one of them is not a number, or there is no model.
        """
        if not self.model.strip():
            raise SpecError("choose a model for each column", at=("model",))
        return {
            "model": self.model.strip(),
            "temperature": _number("temperature", self.temperature),
            "max_tokens": _number("max_tokens", self.max_tokens),
        }

    @property
    def name(self) -> str:
        """Model and settings in one line."""
        settings = {"temperature": self.temperature, "max_tokens": self.max_tokens}
        given = [f"{name} {text.strip()}" for name, text in settings.items() if text]
        return " · ".join([self.model.strip(), *given])


@dataclass(frozen=True)
class Conversation:
    """The messages of a user to a few models, and the values of their fields."""

    columns: tuple[ModelSettings, ...]
    messages: tuple[str, ...] = ()
    """The user's messages, in order; they may have fields."""
    system: str = ""
    inputs: Mapping[str, str] = field(default_factory=dict, hash=False)
    """The values of fields; blank where one is not given."""

    def continues(self, other: Conversation) -> bool:
        """Whether this conversation begins as another one, whatever the models."""
        return (self.messages[: len(other.messages)], self.system, self.inputs) == (
            other.messages,
            other.system,
            other.inputs,
        )

    def with_message(self, message: str) -> Conversation:
        """The same with one more message, unless it is blank."""
        return (
            replace(self, messages=(*self.messages, message))
            if message.strip()
            else self
        )

    @cached_property
    def fields(self) -> tuple[str, ...]:
        """The names of the fields.

        Raises:
            SpecError: a message is not a template.
        """
        system = self.system if self.system.strip() else None
        return self._prompt.with_system(system).fields

    @cached_property
    def experiment(self) -> Experiment:
        """The conversation as an experiment of one case.

        Raises:
            SpecError: it cannot be run as it is.
        """
        case = {name: self.inputs.get(name, "") for name in self.fields}
        grid: dict[str, Any] = {"prompt": {NAME: self._prompt.to_plain()}}
        if self.system.strip():
            grid["system"] = [self.system]
        crossed, zipped = _settings([column.values for column in self.columns])
        return Experiment.from_plain(
            {
                "name": NAME,
                "grid": {**crossed, **grid},
                "zip": zipped,
                "repeats": 1,
                "dataset": {"name": "dataset", "cases": [case]},
            }
        )

    @property
    def _prompt(self) -> Prompt:
        if not self.messages:
            raise SpecError("write a message to begin")
        return Prompt([{"role": "user", "content": text} for text in self.messages])


@dataclass(frozen=True)
class ColumnReplies:
    """The replies of one column, and what they took."""

    name: str
    replies: tuple[str, ...] = ()
    error: str = ""
    """Why the next reply is missing."""
    facts: str = ""
    """Tokens, time and cost of all calls so far."""
    waiting: bool = False
    """Whether the next reply is still to come."""


def column_replies(
    conversation: Conversation, results: Results, before: Sequence[ColumnReplies] = ()
) -> list[ColumnReplies]:
    """What each column answered so far; `before` is what they answered to a
    conversation that this one continues."""
    records = {record.trial.index: record for record in results}
    known = {answer.name: answer for answer in before}
    indices = _indices(conversation.experiment)
    answers = []
    for column in conversation.columns:
        record = records.get(indices[tuple(column.values.values())])
        if record is None:
            answer = known.get(column.name, ColumnReplies(column.name))
            answer = replace(answer, **_missing(results))
        else:
            answer = ColumnReplies(
                column.name,
                _replies(record),
                _error(record),
                _facts(record, results.unpriced),
            )
        answers.append(answer)
    return answers


def _missing(results: Results) -> dict[str, Any]:
    """The reason why a column has no outcome."""
    if results.status == "running":
        return {"error": "", "waiting": True}
    why = results.reason or "the run was stopped"
    return {"error": f"not asked: {why}", "waiting": False}


def conversation_html(
    conversation: Conversation, answers: Sequence[ColumnReplies]
) -> str:
    """A conversation as a table: a column for each model, each message across all."""
    wide = len(answers)
    share = f"{CELL};width:{100 / max(1, wide):.0f}%;min-width:9em"
    heads = "".join(f"<th style='{share}'>{escaped(a.name, 120)}</th>" for a in answers)
    lines = []
    for turn, messages in enumerate(conversation.experiment.trials[0].turns):
        asked = escaped(messages[-1]["content"], LONGEST)
        lines.append(
            f"<tr style='{ROW};{SAID}'><td colspan='{wide}' style='{WHOLE}'>"
            f"<span style='{QUIET}'>you</span> {asked}</td></tr>"
        )
        replies = "".join(
            f"<td style='{share}'>{_reply(answer, turn)}</td>" for answer in answers
        )
        lines.append(f"<tr style='{ROW}'>{replies}</tr>")
    facts = "".join(
        f"<td style='{share};{QUIET}'>{escaped(answer.facts)}</td>"
        for answer in answers
    )
    return (
        "<div class='mathjax_ignore tex2jax_ignore' style='overflow-x:auto'>"
        "<table style='border-collapse:collapse;width:100%;table-layout:fixed'>"
        f"<thead><tr style='{ROW}'>{heads}</tr></thead>"
        f"<tbody>{''.join(lines)}<tr style='background:none'>{facts}</tr></tbody>"
        "</table></div>"
    )


def _settings(
    rows: Sequence[Mapping[str, Any]],
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The settings for a grid: parameters that are crossed, and those that vary
    together."""
    distinct = [dict(row) for row in dict.fromkeys(tuple(r.items()) for r in rows)]
    given = [n for n in SETTINGS if any(row[n] is not None for row in distinct)]
    values = {name: [row[name] for row in distinct] for name in given}
    fixed = {n: v[:1] for n, v in values.items() if all(x == v[0] for x in v)}
    varying = {n: v for n, v in values.items() if n not in fixed}
    if len(varying) > 1:
        return fixed, [varying]
    return {**fixed, **varying}, []


def _indices(experiment: Experiment) -> dict[tuple[Any, ...], int]:
    """The trial of each combination of settings; several may share one."""
    merged = {id(group[0]): group for group in experiment.collapsed}
    indices = {}
    for index, effective in enumerate(experiment.effective_variants):
        alone = (effective.declared,)
        for variant in merged.get(id(effective.declared), alone):
            indices[tuple(variant.get(name) for name in SETTINGS)] = index
    return indices


def _number(name: str, text: str) -> float | int | None:
    if not (text := text.strip()):
        return None
    try:
        value = float(text)
    except ValueError:
        raise SpecError(
            f"{name}: expected a number, got {text!r:.40}", at=(name,)
        ) from None
    return int(value) if value.is_integer() else value


def _replies(record: Record) -> tuple[str, ...]:
    return tuple(
        turn[-1]["content"] for turn in record.turns if turn[-1]["role"] == "assistant"
    )


def _error(record: Record) -> str:
    return f"failed: {record.error.summary}" if record.error else ""


def _facts(record: Record, unpriced: Sequence[str]) -> str:
    """Tokens, time and dollars of all calls together, in a line."""
    usage = record.usage
    tokens = (usage.input_tokens, usage.output_tokens)
    known = [f"{n:,} {way}" for n, way in zip(tokens, ("in", "out"), strict=True) if n]
    parts = [f"tokens {', '.join(known)}"] if known else []
    parts += [seconds(record.latency_s)] if record.latency_s is not None else []
    if record.cost_usd is not None:
        parts.append(dollars(record.cost_usd))
    elif record.trial.variant.model in unpriced:
        parts.append("cost not known")
    parts += ["cut off by max_tokens"] if is_truncated(record.finish_reason) else []
    parts += ["from the cache"] if record.cached else []
    so_far = "so far: " if len(record.turns) > 1 and parts else ""
    return so_far + " · ".join(parts)


def _reply(answer: ColumnReplies, turn: int) -> str:
    if turn < len(answer.replies):
        reply = answer.replies[turn]
        return (
            escaped(reply, LONGEST)
            if reply.strip()
            else f"<i style='{QUIET}'>empty</i>"
        )
    if turn > len(answer.replies):
        return ""
    if answer.waiting:
        return f"<i style='{QUIET}'>waiting for the reply …</i>"
    what, _, why = answer.error.partition(": ")
    return f"<b>{escaped(what)}</b>: {escaped(why, 600)}" if answer.error else ""
