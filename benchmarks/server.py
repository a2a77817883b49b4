"""The mock server: chat completions on loopback, after a settable latency, counted.

Hand-written HTTP/1.1 on uvloop, so that it takes little of the clients' CPU. It speaks
what the peers speak: requests with a `Content-Length`, one at a time a connection, kept
alive. Two more endpoints steer it: `POST /control/reset` takes `Settings` as JSON and
starts a new count; `GET /control/stats` gives the count since.

`python -m benchmarks.server` prints its port and serves until its stdin is closed.
"""

import asyncio
import hashlib
import http.client
import json
import math
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass

import orjson

from promptlab.offline.server.errors import ApiError
from promptlab.offline.server.limits import Bucket, Limits

HOST = "127.0.0.1"
PROSE = " ".join(
    f"Sentence {number} of the answer says why it is so and what would follow from it."
    for number in range(40)
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How the server behaves until the next reset."""

    latency_s: float = 0.05
    share_429: float = 0.0
    share_500: float = 0.0
    share_dropped: float = 0.0
    """Shares of the calls that fail; each call has its dice, so a retry may succeed."""
    retry_after_s: float | None = None
    """What a 429 asks to wait; None leaves the header out, as many proxies do."""
    seed: int = 0
    rpm: int | None = None
    tpm: int | None = None
    burst_s: float = 60.0
    """Limits of each model: so many requests and tokens a minute, from buckets that
    hold so many seconds' worth and are full at first."""

    @property
    def injects_faults(self) -> bool:
        return any((self.share_429, self.share_500, self.share_dropped))


CALM = Settings()
FAULTS = ("429", "500", "dropped")
REFUSED = "over the limit"


class Limited:
    """What was drawn from the buckets of one model."""

    def __init__(self, settings: Settings) -> None:
        limits = {"requests": settings.rpm, "tokens": settings.tpm}
        self._limits = Limits(
            tuple(
                Bucket(kind, per_minute, settings.burst_s)
                for kind, per_minute in limits.items()
                if per_minute is not None
            )
        )
        self._drawn: Counter[str] = Counter()

    def draw(self, body: dict) -> dict[str, str]:
        """The headers of a call that is let through; `ApiError` refuses it.

        It takes max_tokens, or a token for every 4 characters, if that is more.
        """
        characters = sum(len(message["content"]) for message in body["messages"])
        tokens = max(body.get("max_tokens", 0), math.ceil(characters / 4))
        self._limits.draw(body["model"], tokens, time.monotonic())
        self._drawn.update(requests=1, tokens=tokens)
        return self._limits.headers()

    @property
    def least_s(self) -> float:
        """How long it takes at least until so much has been drawn."""
        waits = [
            (self._drawn[bucket.kind] - bucket.capacity) * 60 / bucket.per_minute
            for bucket in self._limits.buckets
        ]
        return max(0.0, *waits) if waits else 0.0


def completion(body: bytes) -> dict:
    """The chat completion for a request body: 600 bytes of text, always the same."""
    digest = hashlib.sha256(body).hexdigest()
    start = int(digest[:3], 16) % 2000
    return {
        "id": f"chatcmpl-{digest[:29]}",
        "object": "chat.completion",
        "created": 1_760_000_000,
        "model": orjson.loads(body)["model"],
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": f"{digest} {PROSE[start : start + 535]}",
                    "refusal": None,
                    "annotations": [],
                },
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": len(body) // 4,
            "completion_tokens": 150,
            "total_tokens": len(body) // 4 + 150,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": 0,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        },
        "service_tier": "default",
        "system_fingerprint": "fp_benchmark",
    }


class Traffic:
    """The calls since the last reset, and how they fared."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.outcomes: Counter[str] = Counter()
        self._dice = random.Random(settings.seed)
        self._bodies: set[bytes] = set()
        self._limits: dict[str, Limited] = {}
        self._in_flight = self._most_in_flight = 0
        self._in_flight_s = 0.0
        self._first = self._changed = 0.0
        self._cpu_s = time.process_time()

    def arrive(self, body: bytes) -> tuple[str, Mapping[str, str]]:
        """Counts a call in; what will become of it, and the headers that limits add."""
        self._bodies.add(hashlib.md5(body, usedforsecurity=False).digest())
        self._count(+1)
        try:
            return self._fate(), self._draw(body)
        except ApiError as refusal:
            return REFUSED, refusal.headers

    def _draw(self, body: bytes) -> dict[str, str]:
        if self.settings.rpm is None and self.settings.tpm is None:
            return {}
        asked = orjson.loads(body)
        if asked["model"] not in self._limits:
            self._limits[asked["model"]] = Limited(self.settings)
        return self._limits[asked["model"]].draw(asked)

    def _fate(self) -> str:
        throw = self._dice.random()
        for fate in FAULTS:
            throw -= getattr(self.settings, f"share_{fate}")
            if throw < 0:
                return fate
        return "answered"

    def depart(self, outcome: str) -> None:
        self.outcomes[outcome] += 1
        self._count(-1)

    def _count(self, change: int) -> None:
        now = time.perf_counter()
        self._first = self._first or now
        self._in_flight_s += self._in_flight * (now - (self._changed or now))
        self._changed = now
        self._in_flight += change
        self._most_in_flight = max(self._most_in_flight, self._in_flight)

    def stats(self) -> dict:
        """The count so far; the mean in flight is over the calls' own interval, and
        within the limits that cannot be shorter than `ideal_s`."""
        span_s = self._changed - self._first
        return {
            "calls": self.outcomes.total() + self._in_flight,
            "distinct": len(self._bodies),
            "faults": sum(self.outcomes[fault] for fault in FAULTS),
            "outcomes": dict(self.outcomes),
            "in_flight_max": self._most_in_flight,
            "in_flight_mean": self._in_flight_s / span_s if span_s else 0.0,
            "span_s": span_s,
            "refused": self.outcomes[REFUSED],
            "ideal_s": max((of.least_s for of in self._limits.values()), default=0.0)
            + self.settings.latency_s,
            "server_cpu_s": time.process_time() - self._cpu_s,
        }


class Connection(asyncio.Protocol):
    """One client's connection: reads a request, replies to it, reads the next."""

    traffic = Traffic(CALM)
    """Shared by all connections; a reset replaces it."""

    def connection_made(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._received = b""
        self._reply_due: asyncio.TimerHandle | None = None

    def connection_lost(self, _: Exception | None) -> None:
        if self._reply_due is not None:
            self._reply_due.cancel()
            self._serving.depart("abandoned")

    def data_received(self, chunk: bytes) -> None:
        self._received += chunk
        if self._reply_due is not None:
            return
        head, separator, rest = self._received.partition(b"\r\n\r\n")
        if not separator:
            return
        length = _content_length(head)
        if len(rest) < length:
            return
        self._received = rest[length:]
        method, path, _ = head.split(b" ", 2)
        self._dispatch(method, path, rest[:length])

    def _dispatch(self, method: bytes, path: bytes, body: bytes) -> None:
        match method, path:
            case b"POST", b"/v1/chat/completions":
                self._serving = Connection.traffic
                fate, headers = self._serving.arrive(body)
                latency_s = self._serving.settings.latency_s
                if latency_s == 0 or fate == REFUSED:
                    self._reply(fate, body, headers)
                else:
                    self._reply_due = asyncio.get_running_loop().call_later(
                        latency_s, self._reply, fate, body, headers
                    )
            case b"POST", b"/control/reset":
                Connection.traffic = Traffic(Settings(**orjson.loads(body)))
                self._send("200 OK", {})
            case b"GET", b"/control/stats":
                self._send("200 OK", Connection.traffic.stats())
            case _:
                self._send("404 Not Found", _error("not_found", "no such endpoint"))

    def _reply(self, fate: str, body: bytes, limits: Mapping[str, str]) -> None:
        self._reply_due = None
        self._serving.depart(fate)
        told = "".join(f"{name}: {value}\r\n" for name, value in limits.items())
        match fate:
            case "answered":
                self._send("200 OK", completion(body), told)
            case "over the limit":
                self._send(
                    "429 Too Many Requests",
                    _error("rate_limit_exceeded", "Rate limit reached"),
                    told,
                )
            case "429":
                wait_s = self._serving.settings.retry_after_s
                self._send(
                    "429 Too Many Requests",
                    _error("rate_limit_exceeded", "Rate limit reached"),
                    "" if wait_s is None else f"retry-after: {wait_s}\r\n",
                )
            case "500":
                self._send(
                    "500 Internal Server Error",
                    _error("server_error", "The server had an error"),
                )
            case "dropped":
                self._transport.abort()

    def _send(self, status: str, document: dict, headers: str = "") -> None:
        body = orjson.dumps(document)
        head = (
            f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\n{headers}"
            f"content-length: {len(body)}\r\n\r\n"
        )
        self._transport.write(head.encode() + body)


def _content_length(head: bytes) -> int:
    _, _, after = head.lower().partition(b"\r\ncontent-length:")
    return int(after.partition(b"\r\n")[0] or 0)


def _error(code: str, message: str) -> dict:
    return {"error": {"message": message, "type": code, "param": None, "code": code}}


async def serve() -> None:
    """Serves on a free port, which it prints, until stdin is closed."""
    loop = asyncio.get_running_loop()
    parent_gone = asyncio.Event()
    loop.add_reader(sys.stdin.fileno(), parent_gone.set)
    listener = await loop.create_server(Connection, HOST, 0, backlog=1024)
    print(listener.sockets[0].getsockname()[1], flush=True)
    await parent_gone.wait()


@dataclass(frozen=True)
class MockServer:
    """A running server, seen from outside."""

    port: int

    @property
    def base_url(self) -> str:
        return f"http://{HOST}:{self.port}/v1"

    def reset(self, settings: Settings) -> None:
        self._control("POST", "/control/reset", json.dumps(asdict(settings)))

    def stats(self) -> dict:
        return self._control("GET", "/control/stats")

    def _control(self, method: str, path: str, body: str | None = None) -> dict:
        connection = http.client.HTTPConnection(HOST, self.port, timeout=10)
        try:
            connection.request(method, path, body)
            return json.load(connection.getresponse())
        finally:
            connection.close()


@contextmanager
def running() -> Iterator[MockServer]:
    """A mock server in a process of its own, which ends with the block."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.server"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # Ctrl-C is for the parent, which then closes stdin
    )
    with process:
        try:
            yield MockServer(int(process.stdout.readline()))
        finally:
            process.stdin.close()
            process.wait(timeout=10)


if __name__ == "__main__":
    import uvloop

    uvloop.run(serve())
