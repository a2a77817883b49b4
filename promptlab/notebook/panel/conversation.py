"""Conversations with a few models or settings at once, asked through an engine.

Every message is one more user message of a prompt: the conversation as an experiment is
what is planned and shown as code. What was answered before is in the cache.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from promptlab.errors import Failure, SpecError
from promptlab.execution.engine import Engine
from promptlab.execution.hooks import Reply
from promptlab.experiment import Experiment
from promptlab.formats import dollars, seconds
from promptlab.render.markup import CELL, QUIET, ROW, escaped
from promptlab.results.json_answers import indented
from promptlab.spec.address import is_local
from promptlab.spec.capabilities import other_name
from promptlab.spec.prompt import Prompt
from promptlab.spec.requests import Requests
from promptlab.spec.response import ReplySummary, combined, is_truncated
from promptlab.store.wire_names import keep_name

NAME = "playground"

ASKED = "background:rgba(128,128,128,.09)"
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


async def ask_columns(
    conversation: Conversation,
    engine: Engine,
    show: Callable[[list[ColumnReplies]], None],
) -> None:
    """Asks all columns side by side; `show` gets the replies of all of them at first,
    and again whenever one has come.

    Raises:
        SpecError: the conversation cannot be asked as it is, or no budget can be kept.
        CredentialsError: a key is needed and none was found.
    """
    experiment = conversation.experiment
    indices = _indices(experiment)
    trials = [indices[tuple(column.values.values())] for column in conversation.columns]
    found = {trial: ColumnReplies("", waiting=True) for trial in trials}

    def show_all() -> None:
        columns = zip(conversation.columns, trials, strict=True)
        show([replace(found[trial], name=column.name) for column, trial in columns])

    async def follow(trial: int) -> None:
        async for answered in _answers(experiment, trial, engine):
            found[trial] = answered
            show_all()

    show_all()
    outcomes = await asyncio.gather(*map(follow, found), return_exceptions=True)
    for error in filter(None, outcomes):
        raise error


async def _answers(
    experiment: Experiment, trial: int, engine: Engine
) -> AsyncIterator[ColumnReplies]:
    """Asks one message after the other, each with the replies before it."""
    requests = engine.options.requests(experiment)
    pricing = engine.options.pricing(experiment)
    replies: list[ReplySummary] = []
    column, cached, cost_usd = ColumnReplies("", waiting=True), True, 0.0
    while request := requests.request(trial, [reply.message for reply in replies]):
        then = requests.turns(trial)[len(replies)]
        if replies and (why := replies[-1].dead_end(then)):
            failure = Failure(kind="dead_end", message=why, attempts=0)
            reply = Reply(request, None, failure, cached=False)
        else:
            reply = await engine.ask(request)
        if reply.response is None:
            if _renamed(requests, reply):
                continue
            yield replace(column, error=_why(reply.error, engine), waiting=False)
            return
        replies.append(reply.response.summary)
        cached = cached and reply.cached
        cost_usd += pricing.call_usd(trial, replies[-1])
        column = replace(
            column,
            replies=tuple(reply.output for reply in replies),
            facts=_facts(replies, cost_usd, cached, request.base_url),
        )
        yield column
    yield replace(column, waiting=False)


def _renamed(requests: Requests, reply: Reply) -> bool:
    """Whether the server wants `max_tokens` under another name, as it has now."""
    failure, served = reply.error, (reply.request.base_url, reply.request.model)
    if failure is None or failure.status not in (400, 422) or served in requests.names:
        return False
    if not (name := other_name(reply.request.body, failure.message)):
        return False
    requests.rename(*served, name)
    keep_name(*served, name)
    return True


def _why(failure: Failure | None, engine: Engine) -> str:
    if failure is None:
        return "failed: the answer is no longer in the cache"
    if failure.kind == "not_asked":
        return f"not asked: {engine.reason or 'the run was stopped'}"
    return f"failed: {failure.summary}"


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
            f"<tr style='{ROW};{ASKED}'><td colspan='{wide}' style='{WHOLE}'>"
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


def _facts(
    replies: Sequence[ReplySummary], cost_usd: float, cached: bool, base_url: str
) -> str:
    """Tokens, time and dollars of all calls together, in a line."""
    all_of_it = combined(replies)
    tokens = (all_of_it.input_tokens, all_of_it.output_tokens)
    known = [f"{n:,} {way}" for n, way in zip(tokens, ("in", "out"), strict=True) if n]
    parts = [f"tokens {', '.join(known)}"] if known else []
    parts.append(seconds(all_of_it.latency_s))
    if cost_usd == cost_usd:
        parts.append(dollars(cost_usd))
    elif not is_local(base_url):
        parts.append("cost not known")
    parts += ["cut off by max_tokens"] if is_truncated(all_of_it.finish_reason) else []
    parts += ["from the cache"] if cached else []
    return ("so far: " if len(replies) > 1 else "") + " · ".join(parts)


def _reply(answer: ColumnReplies, turn: int) -> str:
    if turn < len(answer.replies):
        reply = answer.replies[turn]
        return (
            escaped(indented(reply), LONGEST)
            if reply.strip()
            else f"<i style='{QUIET}'>empty</i>"
        )
    if turn > len(answer.replies):
        return ""
    if answer.waiting:
        return f"<i style='{QUIET}'>waiting for the reply …</i>"
    what, _, why = answer.error.partition(": ")
    return f"<b>{escaped(what)}</b>: {escaped(why, 600)}" if answer.error else ""
