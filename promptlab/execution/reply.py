"""Replies: what became of a request."""

from __future__ import annotations

from dataclasses import dataclass

from promptlab.errors import Failure
from promptlab.spec.request import Request
from promptlab.spec.response import Response


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
