"""Tools: which of a request's functions an answer calls, and with what.

A stand-in cannot know when a call would help. With `tool_choice` "required", or a
function by its name, it calls one. With "auto" it calls the function whose name and
description share most words with the last user message, if they share any, and
answers in words once that has a result. The arguments fit the function's schema and
are filled from the request, as JSON answers are.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from promptlab.offline.responder.ranking import Evidence
from promptlab.offline.responder.sampling import Sampler
from promptlab.offline.responder.schemas import Filler
from promptlab.offline.responder.stemming import stems
from promptlab.offline.responder.task import Task, text_of

Body = Mapping[str, Any]
Function = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class ToolCall:
    """A call of a function."""

    id: str
    name: str
    arguments: str
    """As JSON."""


def functions(body: Body) -> list[Function]:
    """The functions of a chat request, in order."""
    return [tool["function"] for tool in body.get("tools") or ()]


def chosen_function(body: Body) -> Function | None:
    """The function that the answer calls; None where it is in words."""
    offered = functions(body)
    match body.get("tool_choice", "auto") or "auto":
        case {"function": {"name": name}}:
            return next(each for each in offered if each["name"] == name)
        case "none":
            return None
        case choice:
            return _by_words(offered, body["messages"], forced=choice == "required")


def called(
    function: Function, task: Task, evidence: Evidence, sampler: Sampler
) -> ToolCall:
    """A call of the function, its arguments filled from the request."""
    schema = function.get("parameters") or {}
    arguments = (
        Filler(task, evidence, sampler, schema).fill()
        if schema.get("properties")
        else {}
    )
    return ToolCall(
        id=f"call_{uuid.uuid4().hex[:24]}",
        name=function["name"],
        arguments=orjson.dumps(arguments).decode(),
    )


def _by_words(
    offered: Sequence[Function], messages: Sequence[Mapping[str, Any]], *, forced: bool
) -> Function | None:
    """The function that shares most words with what the user said last; one that has
    been called since comes last."""
    since = _since_user(messages)
    asked = set(stems(text_of(since[0]))) if since else set()
    done = {
        call["function"]["name"]
        for message in since
        for call in message.get("tool_calls") or ()
    }

    def fit(function: Function) -> tuple[bool, int]:
        return function["name"] not in done, len(asked & set(stems(_said(function))))

    best = max(offered, key=fit, default=None)
    if best is None or forced:
        return best
    fresh, shared = fit(best)
    return best if fresh and shared else None


def _since_user(messages: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """The last user message, and what follows it."""
    asked = [at for at, message in enumerate(messages) if message["role"] == "user"]
    return messages[asked[-1] :] if asked else ()


def _said(function: Function) -> str:
    """The words by which a function is chosen."""
    name = str(function["name"]).replace("_", " ").replace("-", " ")
    return f"{name} {function.get('description') or ''}"
