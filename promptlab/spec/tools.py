"""Tools: the calls of them that a reply asks for."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import orjson


@dataclass(frozen=True)
class ToolCall:
    """One call of a tool, as a model asks for it."""

    id: str
    """What the tool's answer names as `tool_call_id`; "" if the server gives none."""
    name: str
    arguments: Any
    """JSON values by name; the string as the model wrote it if that is not JSON."""

    @classmethod
    def of(cls, call: Mapping[str, Any]) -> ToolCall:
        """The call in a message: a function's, a custom tool's, or a `tool_use` part.

        >>> ToolCall.of({"id": "c1", "function": {"name": "add", "arguments": "[1]"}})
        ToolCall(id='c1', name='add', arguments=[1])
        """
        said = next((call[k] for k in ("function", "custom") if k in call), call)
        said = said if isinstance(said, Mapping) else {}
        given = next((said[k] for k in ("arguments", "input") if k in said), "")
        if isinstance(given, str) and "custom" not in call:
            with suppress(orjson.JSONDecodeError):
                given = orjson.loads(given)
        return cls(str(call.get("id") or ""), str(said.get("name") or ""), given)


def tool_calls(text: str | None) -> tuple[ToolCall, ...]:
    """The calls in the JSON of a reply's `tool_calls`; none if it is not that."""
    try:
        calls = orjson.loads(text or "[]")
    except orjson.JSONDecodeError:
        return ()
    calls = calls if isinstance(calls, list) else [calls]
    return tuple(ToolCall.of(call) for call in calls if isinstance(call, dict))


def called(text: str) -> str:
    """The names of the tools that are called, for a message."""
    return ", ".join(call.name for call in tool_calls(text) if call.name) or "a tool"
