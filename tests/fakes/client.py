"""Fakes at our own seam: a model without a network, and what is told to it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterable

import orjson

from promptlab.errors import CallError, Failure
from promptlab.results.record import Usage
from promptlab.spec.request import Request
from promptlab.spec.response import Response

PATIENCE_S = 120.0
"""How long a test waits for something that must happen, before it fails."""

Outcome = str | Response | Failure | BaseException


def said(request: Request) -> str:
    """The last thing the user said."""
    return str(request.body["messages"][-1]["content"])


def echo(request: Request) -> str:
    """The same answer to the same request, another one to any other."""
    model, repeat = request.model, request.repeat
    temperature = request.body.get("temperature", "default")
    return f"{model} at {temperature} says {said(request)} ({repeat})"


def response(text: str, finish_reason: str = "stop") -> Response:
    """A chat completion, as a server sends it."""
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
    message = {"role": "assistant", "content": text}
    body = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": "fake-2026-11-01",
        "choices": [{"index": 0, "message": message, "finish_reason": finish_reason}],
        "usage": usage,
    }
    return Response(
        output=text,
        finish_reason=finish_reason,
        usage=Usage(input_tokens=10, output_tokens=5),
        latency_s=0.25,
        model="fake-2026-11-01",
        received_s=1_790_000_000.0,
        body=orjson.dumps(body),
    )


def refusal(status: int, code: str | None = None, **more: object) -> Failure:
    """What a server's refusal is read as."""
    parts = {"message": f"refused with {status}", **more}
    return Failure(kind="status", status=status, code=code, **parts)  # type: ignore[arg-type]


UNAUTHORIZED = refusal(401, "invalid_api_key", message="Incorrect API key provided")
OUT_OF_QUOTA = refusal(
    429,
    "insufficient_quota",
    type="insufficient_quota",
    message="You exceeded your current quota",
)
BUSY = refusal(429, "rate_limit_exceeded", type="requests", retry_after_s=0.001)
NO_SUCH_MODEL = refusal(404, "model_not_found", message="The model does not exist")
UNSUPPORTED = refusal(400, "unsupported_parameter", param="temperature")
BAD_REQUEST = refusal(400, "context_length_exceeded", message="Too many tokens")


def wait_until(true: Callable[[], bool]) -> None:
    """Polls until something is so."""
    pause = threading.Event()
    until = time.monotonic() + PATIENCE_S
    while not true():
        if time.monotonic() > until:
            raise TimeoutError("it did not come about")
        pause.wait(0.005)


class FakeClient:
    """A model that says what `answer` says, and can keep its callers waiting.

    `answer` gives a text or a response; a failure or an exception is raised. Calls
    that `held` accepts wait until they are released.
    """

    base_url = "http://localhost/v1"

    def __init__(
        self,
        answer: Callable[[Request], Outcome] = echo,
        *,
        held: Callable[[Request], bool] = lambda request: False,
    ) -> None:
        self.requests: list[Request] = []
        """What was asked, in order."""
        self.in_flight = 0
        self.in_flight_max = 0
        self.answer = answer
        self.held = held
        self.closed = False
        self._changed = threading.Condition()
        self._waiting: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def complete(self, request: Request) -> Response:
        event = asyncio.Event()
        with self._changed:
            self.requests.append(request)
            self.in_flight += 1
            self.in_flight_max = max(self.in_flight_max, self.in_flight)
            if self.held(request):
                self._waiting.append((asyncio.get_running_loop(), event))
            else:
                event.set()
            self._changed.notify_all()
        try:
            await event.wait()
            return self._outcome(request)
        finally:
            with self._changed:
                self.in_flight -= 1
                self._changed.notify_all()

    async def close(self) -> None:
        self.closed = True

    @property
    def calls(self) -> int:
        """How often it was asked."""
        return len(self.requests)

    def wait_for_calls(self, count: int) -> None:
        """Returns when it has been asked so often."""
        self._until(lambda: self.calls >= count, f"{count} calls")

    def wait_until_idle(self) -> None:
        """Returns when no call is in flight."""
        self._until(lambda: self.in_flight == 0, "no call in flight")

    def release(self, count: int | None = None) -> None:
        """Lets the first `count` of the calls that are held go on, or all of them."""
        with self._changed:
            going = self._waiting[:count]
            self._waiting = self._waiting[len(going) :]
        for loop, event in going:
            loop.call_soon_threadsafe(event.set)

    def release_all(self) -> None:
        """Lets every call go on, those to come as well."""
        self.held = lambda request: False
        self.release()

    def _until(self, true: Callable[[], bool], what: str) -> None:
        with self._changed:
            if not self._changed.wait_for(true, PATIENCE_S):
                raise TimeoutError(f"{what} did not come; there were {self.calls}")

    def _outcome(self, request: Request) -> Response:
        outcome = self.answer(request)
        if isinstance(outcome, str):
            return response(outcome)
        if isinstance(outcome, Response):
            return outcome
        raise CallError(outcome) if isinstance(outcome, Failure) else outcome


class Script:
    """Outcomes one after the other, to whatever is asked; then the echo."""

    def __init__(self, outcomes: Iterable[Outcome]) -> None:
        self._outcomes = iter(outcomes)

    def __call__(self, request: Request) -> Outcome:
        return next(self._outcomes, None) or echo(request)
