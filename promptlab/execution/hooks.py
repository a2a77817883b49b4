"""Hooks: what an engine and a run hand to functions of the user's, and the log.

The log is the standard one, under the name `promptlab`: at INFO that runs begin and
end, at DEBUG each failed attempt. It holds no key, and no text of prompts or answers.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from promptlab.errors import Failure, PromptlabWarning
from promptlab.spec.request import Request
from promptlab.spec.response import Response

log = logging.getLogger("promptlab")

EventKind = Literal["started", "attempt_failed", "ended"]


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened while requests were asked."""

    kind: EventKind
    name: str
    """Of the experiment or the engine."""
    message: str
    """One line about it."""
    request: Request | None = None
    """The request whose attempt failed."""
    failure: Failure | None = None
    """How it failed."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What became of a request: an answer or a failure."""

    request: Request
    response: Response | None
    """The answer; None if the request failed."""
    error: Failure | None
    """Why it failed; None if it was answered."""
    cached: bool
    """Whether it needed no call."""

    @property
    def output(self) -> str | None:
        """The text of the answer; None if the request failed."""
        return None if self.response is None else self.response.output


class Hooks:
    """Calls functions of the user's; one that fails is not called again."""

    def __init__(self, **functions: Callable[[Any], object] | None) -> None:
        """By the name of the option that gave them."""
        self._functions = {n: f for n, f in functions.items() if f is not None}

    def __contains__(self, name: str) -> bool:
        return name in self._functions

    def call(self, name: str, value: object) -> None:
        """Hands a value to one of the functions, if it is there."""
        if (function := self._functions.get(name)) is None:
            return
        try:
            function(value)
        except Exception as error:
            del self._functions[name]
            warnings.warn(
                f"{name} raised {type(error).__name__}: {error}; it is not called "
                "again in this run",
                PromptlabWarning,
                stacklevel=2,
            )

    def event(self, event: Event, level: int = logging.INFO) -> None:
        """Logs an event, and hands it to `on_event`."""
        log.log(level, "%s: %s", event.name, event.message)
        self.call("on_event", event)
