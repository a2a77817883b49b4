"""Records: what came back for each trial, an answer or a failure."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import orjson

from promptlab.errors import Failure
from promptlab.formats import shortened
from promptlab.money.price import Price
from promptlab.spec.documents import Token, first_choice, tokens
from promptlab.spec.prompt import ChatMessage, Turn
from promptlab.spec.tools import ToolCall
from promptlab.spec.trial import Trial
from promptlab.spec.usage import Usage


@dataclass(frozen=True)
class Score:
    """How good one output is, and why."""

    value: float | str | None
    """A number, such as 0 to 1 or a count, or a label; None if it is missing."""
    explanation: str | None = None


@dataclass(frozen=True, kw_only=True)
class Record:
    """A trial and its outcome: one row of the table."""

    trial: Trial
    output: str | None
    """The last reply; None where the trial failed."""
    finish_reason: str | None
    usage: Usage
    """Of all calls of the trial together."""
    latency_s: float | None
    """Of all calls of the trial together, as measured when they were made."""
    cost_usd: float | None
    """What all its calls cost at list price; None where that is not known."""
    billed_usd: float | None
    """What this run paid for them; None where that is not known."""
    price: Price | None
    """What the last reply's tokens cost, and whose price that is; None where it is not
    known, and where the reply says what it cost."""
    cached: bool
    """Whether this run paid for none of it."""
    error: Failure | None
    key: str | None
    """What the last reply is kept under."""
    turns: tuple[Turn, ...]
    """The conversation as far as it came: for each call, the messages that it added
    and the reply."""
    cost_source: str | None = None
    """Whose word the last reply's cost is: the source of the price, or `the reply`
    where that says what it cost; None where it is not known."""
    tool_calls: tuple[ToolCall, ...] = ()
    """The tools that the last reply calls, in order."""
    refusal: str | None = None
    """Why the model does not answer, in its words."""
    reasoning: str | None = None
    """What the model thought first, where the server tells it."""
    scores: Mapping[str, Score] = field(default_factory=dict)
    """By name, how good the output is."""
    read: Callable[[], dict[str, Any] | None] | None = field(
        default=None, repr=False, compare=False
    )
    """Reads the last reply as it was received; None where nothing keeps it."""

    @cached_property
    def response(self) -> dict[str, Any] | None:
        """The last reply as the server sent it, whole: `id`, `choices`, `usage`,
        `system_fingerprint` and whatever else it has.

        It is read from the cache. None where the trial failed, where the run kept no
        answers (`use_cache=False`), and where the answer was removed since.
        """
        return None if self.read is None else self.read()

    @property
    def message(self) -> dict[str, Any] | None:
        """The assistant's message in `response`, whole: annotations, audio, images and
        reasoning with it. None where there is none."""
        message = first_choice(self.response or {}).get("message")
        return message if isinstance(message, dict) else None

    @property
    def logprobs(self) -> tuple[Token, ...]:
        """The tokens of the last reply, each with its `token`, `logprob` and `top`, the
        likeliest at its place; empty where `logprobs` was not asked for."""
        return tuple(tokens(self.response or {}))

    @property
    def messages(self) -> list[ChatMessage]:
        """The conversation as one list of messages."""
        return [message for turn in self.turns for message in turn]

    def __repr__(self) -> str:
        outcome = self.error.summary if self.error else shortened(self.output or "", 80)
        return f"Record({self.trial}: {outcome!r})"


def conversation(
    trial: Trial,
    replies: Iterable[tuple[str, str | None, str | None]],
    *,
    asked: bool = True,
) -> tuple[Turn, ...]:
    """The messages of a trial call by call, as far as it came; each reply is its text,
    its tool calls as JSON, and its refusal. Without `asked`, just the replies."""
    answers: list[Turn] = [(_message(*reply),) for reply in replies]
    before = trial.turns[: len(answers) + 1] if asked else ()
    return tuple(
        messages + answer
        for messages, answer in itertools.zip_longest(before, answers, fillvalue=())
    )


def _message(output: str, tool_calls: str | None, refusal: str | None) -> ChatMessage:
    """An assistant's message, as the conversation shows it."""
    message: ChatMessage = {"role": "assistant", "content": output}
    if tool_calls is not None:
        message["tool_calls"] = orjson.loads(tool_calls)
    if refusal is not None:
        message["refusal"] = refusal
    return message
