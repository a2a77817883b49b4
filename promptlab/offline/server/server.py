"""The offline server: the OpenAI protocol on 127.0.0.1, answered by the responder."""

import asyncio
import hmac
import math
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any, Self

import orjson
from aiohttp import web

from promptlab.offline.responder.embeddings import DIMENSIONS, embed
from promptlab.offline.responder.ranking import EMBEDDING_MODEL, MODELS
from promptlab.offline.server import responses, tokens, wire
from promptlab.offline.server.answers import Answer, answers, token_limit
from promptlab.offline.server.errors import (
    ApiError,
    out_of_quota,
    overloaded,
    rate_limited,
    server_error,
    too_large,
    unauthorized,
    unknown_model,
    unknown_url,
    unparsed,
    wrong_method,
)
from promptlab.offline.server.faults import Dice, Faults
from promptlab.offline.server.validation import (
    check_chat,
    check_completion,
    check_embeddings,
)

HOST = "127.0.0.1"
"""The one address it binds: nothing outside this machine can reach it."""

MAX_BODY_BYTES = 4 * 2**20
"""The largest body it reads; 413 beyond."""

HTML_PAGE = "<!DOCTYPE html><html><body><h1>Sign in</h1></body></html>"

_STARTED: ContextVar[float] = ContextVar("started")
"""When the request that is being answered came in."""

Body = dict[str, Any]
Whole = Callable[[Sequence[Answer], Body], Body]
Stream = Callable[[Sequence[Answer], Body], Iterator[Body]]


class OfflineServer:
    """A stand-in for the OpenAI API, without a key and without a network.

    Use it as an async context manager, with `start` and `stop`, or from code without
    a loop with `in_thread`. Its counters may be read at any time, from any thread.

    Args:
        faults: What goes wrong on purpose.
        port: 0 takes a free one.
        api_key: When given, any other key is answered 401.
        models: More chat models: their name, and the offline model that answers.
        log_requests: Keep the JSON bodies received in `requests`.
    """

    def __init__(
        self,
        faults: Faults | None = None,
        *,
        port: int = 0,
        api_key: str | None = None,
        models: Mapping[str, str] = MappingProxyType({}),
        log_requests: bool = False,
    ) -> None:
        for name, behind in models.items():
            if behind not in MODELS:
                raise ValueError(
                    f"models: {name!r} must be answered by one of "
                    f"{', '.join(map(repr, MODELS))}, got {behind!r}"
                )
        self.faults = faults or Faults()
        self.calls = 0
        """Requests received, whatever came of them."""
        self.answered = 0
        """Requests answered 200 and well-formed."""
        self.in_flight = 0
        """Requests being answered now."""
        self.in_flight_max = 0
        """The most requests that were in flight at once."""
        self.injected: Counter[str] = Counter()
        """Faults injected, by the name of their switch; quota as quota_after, real
        limits as requests_per_minute and tokens_per_minute."""
        self.requests: list[Body] = []
        """JSON bodies received, in order, when `log_requests` asks for them."""
        self._port = port
        self._api_key = api_key
        self._log_requests = log_requests
        self._chat_models = {name: name for name in MODELS} | dict(models)
        self._dice = Dice(self.faults)
        self._limits = self.faults.limits()
        self._runner: web.AppRunner | None = None
        self._routes = {
            "/v1/chat/completions": ("POST", self._chat),
            "/v1/completions": ("POST", self._completions),
            "/v1/responses": ("POST", self._responses),
            "/v1/embeddings": ("POST", self._embeddings),
            "/v1/models": ("GET", self._models),
        }

    @property
    def base_url(self) -> str:
        """Where it listens, as OpenAI clients want it: http://127.0.0.1:PORT/v1."""
        if self._runner is None:
            raise RuntimeError("the offline server is not started: await start() first")
        return f"http://{HOST}:{self._runner.addresses[0][1]}/v1"

    async def start(self) -> Self:
        """Listen, on the running loop."""
        app = web.Application(client_max_size=MAX_BODY_BYTES)
        app.router.add_route("*", "/{path:.*}", self._handle)
        app.on_response_prepare.append(self._add_headers)
        # Nobody waits for a stand-in to finish: half a second, then it is closed.
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await runner.setup()
        try:
            await web.TCPSite(runner, HOST, self._port, backlog=1024).start()
        except OSError:
            await runner.cleanup()
            raise
        self._runner = runner
        return self

    async def stop(self) -> None:
        """Close every connection; does nothing when it is not started."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(self, *error: object) -> None:
        await self.stop()

    @contextmanager
    def in_thread(self) -> Iterator[Self]:
        """The server, running on a loop and a thread of its own within the block."""
        loop = asyncio.new_event_loop()
        thread = threading.Thread(
            target=loop.run_forever, name="promptlab-offline", daemon=True
        )
        thread.start()
        try:
            yield asyncio.run_coroutine_threadsafe(self.start(), loop).result()
        finally:
            asyncio.run_coroutine_threadsafe(self.stop(), loop).result()
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self.calls += 1
        self.in_flight += 1
        self.in_flight_max = max(self.in_flight_max, self.in_flight)
        _STARTED.set(time.perf_counter())
        try:
            return await self._answer(request)
        except ApiError as error:
            return _reply(error.body, status=error.status, headers=error.headers)
        except ConnectionResetError:
            # The connection is gone, by a fault or by the client: nobody reads this.
            return web.Response()
        finally:
            self.in_flight -= 1

    async def _add_headers(
        self, request: web.Request, response: web.StreamResponse
    ) -> None:
        """Add what every reply tells of itself and of the limits."""
        spent_ms = (time.perf_counter() - _STARTED.get()) * 1000
        response.headers["x-request-id"] = f"req_{uuid.uuid4().hex}"
        response.headers["openai-processing-ms"] = str(round(spent_ms))
        response.headers["openai-version"] = "2020-10-01"
        response.headers.update(self._limits.headers())

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        if self._api_key is not None:
            sent = request.headers.get("Authorization", "")
            key = sent.removeprefix("Bearer").strip()
            # Constant time, as for any secret, even on loopback.
            if not hmac.compare_digest(key.encode(), self._api_key.encode()):
                raise unauthorized(key)
        one_model = request.method == "GET" and request.path.startswith("/v1/models/")
        path = "/v1/models" if one_model else request.path
        if path not in self._routes:
            raise unknown_url(request.method, path)
        method, answer = self._routes[path]
        if request.method != method:
            raise wrong_method(request.method, path)
        return await answer(request)

    async def _models(self, request: web.Request) -> web.StreamResponse:
        names = [*self._chat_models, EMBEDDING_MODEL]
        name = request.path.removeprefix("/v1/models").removeprefix("/")
        if name and name not in names:
            raise unknown_model(name)
        self.answered += 1
        every = {"object": "list", "data": [wire.model(each) for each in names]}
        return _reply(wire.model(name) if name else every)

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        body = await self._body(request)
        check_chat(body, self._chat_models, reasoning=self.faults.reasoning)
        return await self._answered(request, body, wire.completion, wire.chunks)

    async def _completions(self, request: web.Request) -> web.StreamResponse:
        body = await self._body(request)
        check_completion(body, self._chat_models)
        chat = body | {"messages": [{"role": "user", "content": body["prompt"]}]}
        return await self._answered(
            request, chat, wire.text_completion, wire.text_chunks
        )

    async def _responses(self, request: web.Request) -> web.StreamResponse:
        body = await self._body(request)
        chat = responses.chat_request(body)
        check_chat(chat, self._chat_models, reasoning=self.faults.reasoning)
        return await self._answered(
            request,
            chat,
            lambda made, _: responses.response(made[0], body),
            lambda made, _: responses.events(made[0], body),
        )

    async def _answered(
        self, request: web.Request, chat: Body, whole: Whole, stream: Stream
    ) -> web.StreamResponse:
        """The answers to a chat request, in the form of the endpoint that was asked."""
        fault = await self._admit(request, chat, _size(chat["messages"]))
        made = answers(chat | {"model": self._chat_models[chat["model"]]})
        if fault == "empty_content":
            made = tuple(answer.emptied(token_limit(chat)) for answer in made)
        elif fault is not None:
            return _malformed(fault, whole(made, chat))
        else:
            self.answered += 1
        if not chat.get("stream"):
            return _reply(whole(made, chat))
        response = web.StreamResponse()
        response.content_type = "text/event-stream"
        response.charset = "utf-8"
        await response.prepare(request)
        for line in _lines(stream(made, chat)):
            await response.write(line)
        return response

    async def _embeddings(self, request: web.Request) -> web.StreamResponse:
        body = await self._body(request)
        check_embeddings(body, [EMBEDDING_MODEL])
        fault = await self._admit(request, body, _size(body["input"]))
        texts = _texts(body["input"])
        vectors = [embed(text, body.get("dimensions") or DIMENSIONS) for text in texts]
        whole = wire.embeddings(
            vectors,
            body,
            sum(map(tokens.count, texts)),
        )
        if fault is not None:
            return _malformed(fault, whole)
        self.answered += 1
        return _reply(whole)

    async def _body(self, request: web.Request) -> Body:
        """The JSON object in the request, or a refusal."""
        try:
            body = orjson.loads(await request.read())
        except web.HTTPRequestEntityTooLarge:
            raise too_large(MAX_BODY_BYTES) from None
        except orjson.JSONDecodeError:
            raise unparsed() from None
        if not isinstance(body, dict):
            raise unparsed()
        if self._log_requests:
            self.requests.append(body)
        return body

    async def _admit(
        self, request: web.Request, body: Body, characters: int
    ) -> str | None:
        """The malformed reply that chance wants of a call within quota and limits.

        Delays and drops the call, or refuses it, before.
        """
        quota = self.faults.quota_after
        if quota is not None and self.answered >= quota:
            self.injected["quota_after"] += 1
            raise out_of_quota()
        reserved = max(token_limit(body) or 0, math.ceil(characters / 4))
        try:
            self._limits.draw(body["model"], reserved, time.monotonic())
        except ApiError as error:
            self.injected[f"{error.body['error']['type']}_per_minute"] += 1
            raise
        draw = self._dice.roll()
        if draw.kind is not None:
            self.injected[draw.kind] += 1
        if draw.delay_s > 0:
            await asyncio.sleep(draw.delay_s)
        match draw.kind:
            case "rate_limited":
                detail = f"Rate limit reached for {body['model']} on requests per min."
                raise rate_limited("requests", detail, 0.02, {})
            case "server_errors":
                raise server_error()
            case "overloaded":
                raise overloaded()
            case "dropped":
                if request.transport is not None:
                    request.transport.abort()
                raise ConnectionResetError
        return draw.kind


def _reply(
    body: Body, *, status: int = 200, headers: Mapping[str, str] = MappingProxyType({})
) -> web.Response:
    return web.Response(
        body=orjson.dumps(body),
        status=status,
        headers=headers,
        content_type="application/json",
    )


def _lines(events: Iterator[Body]) -> Iterator[bytes]:
    """Events as a stream: by name in the Responses API, else with a mark at the end."""
    named = False
    for event in events:
        if named := "type" in event:
            yield b"event: " + str(event["type"]).encode() + b"\n"
        yield b"data: " + orjson.dumps(event) + b"\n\n"
    if not named:
        yield b"data: [DONE]\n\n"


def _malformed(fault: str, whole: Body) -> web.Response:
    match fault:
        case "no_choices":
            left_out = ("choices", "output")
            return _reply({k: value for k, value in whole.items() if k not in left_out})
        case "wrong_types":
            return _reply(whole | {"id": 7, "choices": "nope", "usage": [1, 2]})
        case "truncated_json":
            text = orjson.dumps(whole).decode()
            half = text[: len(text) // 2]
            return web.Response(text=half, content_type="application/json")
        case _:
            return web.Response(text=HTML_PAGE, content_type="text/html")


def _size(content: object) -> int:
    """The characters of all text in `content`, a request's messages or input."""
    match content:
        case str(text):
            return len(text)
        case [*items]:
            return sum(map(_size, items))
        case {"content": inner} | {"text": inner}:
            return _size(inner)
        case _:
            return 1


def _texts(inputs: Any) -> list[str]:
    """The texts to embed; token ids are taken as words."""
    match inputs:
        case str(text):
            return [text]
        case [int(), *_]:
            return [" ".join(map(str, inputs))]
        case _:
            return [i if isinstance(i, str) else " ".join(map(str, i)) for i in inputs]
