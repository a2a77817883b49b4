"""A server on this machine that answers as it is told to."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Self

import orjson
from aiohttp import web

from promptlab.testing import response


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What a server sends back, or does instead."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    instead: str = ""
    """`drop` the connection, `break off` in the body, or say `nothing`."""
    after_s: float = 0.0
    """How long it takes."""


@dataclass(frozen=True)
class Received:
    """What a client sent."""

    path: str
    headers: Mapping[str, str]
    body: Any
    query: Mapping[str, Sequence[str]]
    """What stands after the path: all values of each name."""


def answer(text: str = "In Europe.", **headers: str) -> Reply:
    """A chat completion."""
    return Reply(body=response(text).body, headers=headers)


def message(**parts: Any) -> Reply:
    """A chat completion whose message, and finish_reason, are these."""
    finish_reason = parts.pop("finish_reason", "stop")
    choice = {"index": 0, "message": parts, "finish_reason": finish_reason}
    return Reply(body=orjson.dumps({"choices": [choice], "model": "m"}))


def error(status: int, headers: Mapping[str, str] | None = None, **parts: Any) -> Reply:
    """A refusal in OpenAI's form."""
    body = {"error": {"message": "refused", "type": None, "param": None, **parts}}
    return Reply(status=status, body=orjson.dumps(body), headers=headers or {})


class ToldServer:
    """Answers each request with what `reply` makes of it."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.reply: Callable[[Received], Reply] = lambda received: answer()
        self._runner: web.AppRunner | None = None
        self._never = asyncio.Event()

    @property
    def base_url(self) -> str:
        assert self._runner is not None
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}/v1"

    @contextmanager
    def in_thread(self) -> Iterator[Self]:
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever, daemon=True)
        thread.start()
        try:
            asyncio.run_coroutine_threadsafe(self._start(), loop).result()
            yield self
        finally:
            asyncio.run_coroutine_threadsafe(self._stop(), loop).result()
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()

    async def _start(self) -> None:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()

    async def _stop(self) -> None:
        assert self._runner is not None
        self._never.set()
        await self._runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        content = await request.read()
        received = Received(
            request.path,
            {name.lower(): value for name, value in request.headers.items()},
            orjson.loads(content) if content else None,
            {name: request.query.getall(name) for name in request.query},
        )
        self.received.append(received)
        reply = self.reply(received)
        assert request.transport is not None
        if reply.after_s:
            await asyncio.sleep(reply.after_s)
        if reply.instead == "drop":
            request.transport.abort()
        if reply.instead == "nothing":
            await self._never.wait()
        if reply.instead == "break off":
            stream = web.StreamResponse(headers={"content-length": "1000"})
            await stream.prepare(request)
            await stream.write(reply.body)
            request.transport.abort()
            return stream
        return web.Response(
            status=reply.status,
            body=reply.body,
            headers={"content-type": "application/json", **reply.headers},
        )
