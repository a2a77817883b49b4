"""For tests of your own: a client that answers without a network.

>>> from promptlab.testing import FakeClient
>>> client = FakeClient("billing")
>>> client.base_url
'http://localhost/v1'

Hand it to a run, `experiment.run(client=client)`, and look at what it was asked.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterable, Iterator

import orjson

from promptlab.errors import CallError, Failure
from promptlab.spec.request import Request
from promptlab.spec.response import Response
from promptlab.spec.usage import Usage

PATIENCE_S = 120.0
"""Seconds after which a wait for something that must happen fails."""

Outcome = str | Response | Failure | BaseException
"""What a fake client gives: a string is made a response; a failure or an
exception is raised."""


def last_text(request: Request) -> str:
    """The content of the last message of a chat request."""
    return str(request.body["messages"][-1]["content"])


def echo(request: Request) -> str:
    """The same answer to the same request, another one to any other."""
    temperature = request.body.get("temperature", "default")
    said = last_text(request)
    return f"{request.model} at {temperature} says {said} ({request.repeat})"


def response(
    text: str,
    finish_reason: str = "stop",
    *,
    input_tokens: int = 10,
    output_tokens: int = 5,
    model: str = "fake-2026-11-01",
) -> Response:
    """A chat completion, as a server would send it, after 0.25 seconds."""
    message = {"role": "assistant", "content": text}
    body = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": finish_reason}],
        "usage": {
            "prompt_tokens": input_tokens,
            "completion_tokens": output_tokens,
            "total_tokens": input_tokens + output_tokens,
        },
    }
    return Response(
        output=text,
        finish_reason=finish_reason,
        usage=Usage(input_tokens=input_tokens, output_tokens=output_tokens),
        latency_s=0.25,
        model=model,
        received_s=1_790_000_000.0,
        body=orjson.dumps(body),
    )


def failure(status: int, code: str | None = None, **more: object) -> Failure:
    """The failure that a server's refusal with that HTTP status is read as; further
    fields of `Failure` by name, such as `message` and `retry_after_s`."""
    parts = {"message": f"refused with {status}", **more}
    return Failure(kind="status", status=status, code=code, **parts)  # type: ignore[arg-type]


class FakeClient:
    """A client that answers at once, and remembers what it was asked.

    `answer` is a string, outcomes to be given one after the other (then an echo), or a
    function of the request. Calls that `held` accepts wait until they are released.
    """

    base_url = "http://localhost/v1"

    def __init__(
        self,
        answer: str | Iterable[Outcome] | Callable[[Request], Outcome] = echo,
        *,
        held: Callable[[Request], bool] = lambda request: False,
    ) -> None:
        self.requests: list[Request] = []
        """What was asked, in order."""
        self.in_flight = 0
        """Calls that are under way."""
        self.in_flight_max = 0
        """The most that were under way at once."""
        self.answer = _answering(answer)
        """Gives the outcome of a call; may be replaced."""
        self.held = held
        self.closed = False
        self._changed = threading.Condition()
        self._waiting: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def complete(self, request: Request) -> Response:
        """The outcome of a call."""
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
        """Notes that it was closed."""
        self.closed = True

    @property
    def calls(self) -> int:
        """How often it was asked."""
        return len(self.requests)

    def wait_for_calls(self, count: int) -> None:
        """Returns when it has been asked so often; raises `TimeoutError` after two
        minutes."""
        self._until(lambda: self.calls >= count, f"{count} calls")

    def wait_until_idle(self) -> None:
        """Returns when no call is in flight; raises `TimeoutError` after two
        minutes."""
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
                raise TimeoutError(f"expected {what}, got {self.calls} calls")

    def _outcome(self, request: Request) -> Response:
        outcome = self.answer(request)
        if isinstance(outcome, str):
            return response(outcome)
        if isinstance(outcome, Response):
            return outcome
        raise CallError(outcome) if isinstance(outcome, Failure) else outcome


def wait_until(true: Callable[[], bool]) -> None:
    """Returns when it is true; raises `TimeoutError` after two minutes."""
    until, pause = time.monotonic() + PATIENCE_S, threading.Event()
    while not true():
        if time.monotonic() > until:
            raise TimeoutError("the condition did not become true")
        pause.wait(0.005)


def _answering(
    answer: str | Iterable[Outcome] | Callable[[Request], Outcome],
) -> Callable[[Request], Outcome]:
    if isinstance(answer, str):
        return lambda request: answer
    if callable(answer):
        return answer
    outcomes: Iterator[Outcome] = iter(answer)
    return lambda request: next(outcomes, None) or echo(request)
