"""Clients: both ways to a server read it alike, and neither lets the key out."""

from __future__ import annotations

import asyncio
import email.utils
import gzip
import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import openai
import orjson
import pytest
from fakes.experiments import capitals
from fakes.servers import Received, Reply, ToldServer, answer, error, message

import promptlab as pl
from promptlab.errors import CallError, CredentialsError
from promptlab.execution.options import RunOptions
from promptlab.secret import Secret
from promptlab.testing import response

KEY = "sk-test-0123456789abcdefghijklmnop"
TIMEOUT_S = 0.3

Ask = Callable[[Reply], pl.Response | pl.Failure]

REQUEST = {"model": "m", "messages": [{"role": "user", "content": "Where is Bern?"}]}


@pytest.fixture(scope="module")
def shared_server() -> Iterator[ToldServer]:
    with ToldServer().in_thread() as server:
        yield server


@pytest.fixture
def server(shared_server: ToldServer) -> ToldServer:
    shared_server.received.clear()
    shared_server.reply = lambda received: answer()
    return shared_server


@pytest.fixture(params=["OpenAIClient", "SDKClient", "SDKClient without a network"])
def ask(request: pytest.FixtureRequest, server: ToldServer) -> Ask:
    """Makes one call, which is answered with the reply given."""

    def transport(reply: Reply) -> httpx2.MockTransport:
        def handle(asked: httpx2.Request) -> httpx2.Response:
            if reply.instead in ("drop", "break off"):
                raise httpx2.ReadError("reset by peer", request=asked)
            if reply.instead == "nothing":
                raise httpx2.ReadTimeout("", request=asked)
            headers = {"content-type": "application/json", **reply.headers}
            return httpx2.Response(reply.status, headers=headers, content=reply.body)

        return httpx2.MockTransport(handle)

    async def complete(client: pl.Client) -> pl.Response | pl.Failure:
        try:
            return await client.complete(pl.Request(client.base_url, REQUEST))
        except CallError as error:
            return error.failure

    async def through_ours(reply: Reply) -> pl.Response | pl.Failure:
        server.reply = lambda received: reply
        secrets = {server.base_url: Secret(KEY)}
        client = pl.OpenAIClient(secrets, timeout_s=TIMEOUT_S)
        try:
            return await complete(client)
        finally:
            await client.close()

    async def through_sdk(reply: Reply) -> pl.Response | pl.Failure:
        server.reply = lambda received: reply
        async with openai.AsyncOpenAI(
            api_key=KEY, base_url=server.base_url, timeout=TIMEOUT_S
        ) as sdk:
            return await complete(pl.SDKClient(sdk))

    async def through_mock(reply: Reply) -> pl.Response | pl.Failure:
        http = openai.DefaultAsyncHttpx2Client(transport=transport(reply))
        async with openai.AsyncOpenAI(api_key=KEY, http_client=http) as sdk:
            return await complete(pl.SDKClient(sdk))

    ways = {
        "OpenAIClient": through_ours,
        "SDKClient": through_sdk,
        "SDKClient without a network": through_mock,
    }
    way = ways[request.param]
    return lambda reply: asyncio.run(way(reply))


# Answers.


def test_an_answer_is_read_whole_and_kept_byte_for_byte(ask: Ask) -> None:
    reply = answer("In Europe.", **{"x-ratelimit-limit-requests": "500"})

    found = ask(reply)

    assert isinstance(found, pl.Response)
    assert (found.output, found.finish_reason) == ("In Europe.", "stop")
    assert found.usage == pl.Usage(input_tokens=10, output_tokens=5)
    assert found.body == reply.body
    assert found.model == "fake-2026-11-01"
    assert found.headers["x-ratelimit-limit-requests"] == "500"
    assert 0 < found.latency_s < 30
    assert abs(found.received_s - time.time()) < 30


def test_all_four_token_counts_are_read(ask: Ask) -> None:
    document = orjson.loads(response("yes").body)
    document["usage"] = {
        "prompt_tokens": 100,
        "completion_tokens": 50,
        "total_tokens": 150,
        "prompt_tokens_details": {"cached_tokens": 64, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 40},
    }

    found = ask(Reply(body=orjson.dumps(document)))

    assert isinstance(found, pl.Response)
    assert found.usage == pl.Usage(100, 64, 50, 40)


@pytest.mark.parametrize(
    "usage", [None, "a lot", {}, {"prompt_tokens": -1}, {"prompt_tokens": "ten"}]
)
def test_token_counts_that_are_none_are_unknown(ask: Ask, usage: Any) -> None:
    document = orjson.loads(response("yes").body) | {"usage": usage}

    found = ask(Reply(body=orjson.dumps(document)))

    assert isinstance(found, pl.Response)
    assert found.usage == pl.Usage()


CALLS = [{"id": "call_1", "type": "function", "function": {"name": "f"}}]


@pytest.mark.parametrize(
    ("reply", "output", "finish_reason"),
    [
        (message(content="", finish_reason="length"), "", "length"),
        (message(content=None, finish_reason="length"), "", "length"),
        (message(content=None, refusal="I cannot."), "I cannot.", "stop"),
        (
            message(content=None, tool_calls=CALLS, finish_reason="tool_calls"),
            orjson.dumps(CALLS).decode(),
            "tool_calls",
        ),
        (
            message(
                content=[
                    {"type": "text", "text": "In "},
                    {"type": "thinking", "thinking": "hm"},
                    {"type": "text", "text": "Europe."},
                ]
            ),
            "In Europe.",
            "stop",
        ),
        (message(content="…", finish_reason=None), "…", None),
        (
            message(content="cut", finish_reason="content_filter"),
            "cut",
            "content_filter",
        ),
        (
            Reply(
                body=gzip.compress(response("packed").body),
                headers={"content-encoding": "gzip"},
            ),
            "packed",
            "stop",
        ),
    ],
    ids=[
        "empty, cut by length",
        "no content, cut by length",
        "refusal",
        "tool calls",
        "content in parts",
        "no finish_reason",
        "content_filter",
        "compressed",
    ],
)
def test_an_answer_of_another_kind_is_an_answer(
    ask: Ask, reply: Reply, output: str, finish_reason: str | None
) -> None:
    found = ask(reply)

    assert isinstance(found, pl.Response)
    assert (found.output, found.finish_reason) == (output, finish_reason)


# Failures.


@pytest.mark.parametrize(
    ("reply", "expected", "words"),
    [
        (
            error(
                400,
                message="Unsupported parameter: 'temperature'",
                type="invalid_request_error",
                param="temperature",
                code="unsupported_parameter",
            ),
            ("status", 400, "unsupported_parameter", "temperature"),
            "Unsupported parameter: 'temperature'",
        ),
        (
            error(401, message="Incorrect API key", code="invalid_api_key"),
            ("status", 401, "invalid_api_key", None),
            "Incorrect API key",
        ),
        (error(403, message="No."), ("status", 403, None, None), "No."),
        (
            error(404, message="no such model", code="model_not_found"),
            ("status", 404, "model_not_found", None),
            "no such model",
        ),
        (
            error(429, message="slow", code="rate_limit_exceeded", type="requests"),
            ("status", 429, "rate_limit_exceeded", None),
            "slow",
        ),
        (error(500, message="oops"), ("status", 500, None, None), "oops"),
        (error(429, code=429), ("status", 429, "429", None), "refused"),
        (
            Reply(status=422, body=b'{"detail": [{"loc": ["body"]}]}'),
            ("status", 422, None, None),
            "loc",
        ),
        (
            Reply(status=400, body=b'{"detail": "wrong model"}'),
            ("status", 400, None, None),
            "wrong model",
        ),
        (
            Reply(status=400, body=b'{"message": "at the top"}'),
            ("status", 400, None, None),
            "at the top",
        ),
        (
            Reply(status=502, body=b"<html><h1>Bad gateway</h1></html>"),
            ("status", 502, None, None),
            "Bad gateway",
        ),
        (
            Reply(status=503),
            ("status", 503, None, None),
            "the server answered with HTTP status 503",
        ),
        (
            Reply(status=307, headers={"location": "/elsewhere"}),
            ("status", 307, None, None),
            "redirects are not followed",
        ),
        (
            Reply(status=302, headers={"location": "https://evil.test/"}),
            ("status", 302, None, None),
            "points to 'https://evil.test/'",
        ),
        (
            Reply(body=b"<!DOCTYPE html><html>Sign in</html>"),
            ("invalid_reply", None, None, None),
            "a web page, not JSON; does base_url end in the path of the API",
        ),
        (
            Reply(body=b"<html>Sign in</html>", headers={"content-type": "text/html"}),
            ("invalid_reply", None, None, None),
            "a web page",
        ),
        (Reply(body=b""), ("invalid_reply", None, None, None), "an empty reply"),
        (
            Reply(body=response("In Europe.").body[:60]),
            ("invalid_reply", None, None, None),
            "not JSON",
        ),
        (Reply(body=b"[]"), ("invalid_reply", None, None, None), "not a chat"),
        (Reply(body=b"{}"), ("invalid_reply", None, None, None), "no choices"),
        (
            Reply(body=b'{"choices": "nope"}'),
            ("invalid_reply", None, None, None),
            "no choices",
        ),
        (
            Reply(body=b'{"choices": [5]}'),
            ("invalid_reply", None, None, None),
            "no message",
        ),
        (message(content=5), ("invalid_reply", None, None, None), "is a int"),
        (
            Reply(
                body=b'{"error": {"message": "upstream is down", "code": 502}}',
            ),
            ("status", 502, "502", None),
            "upstream is down",
        ),
        (
            Reply(body=b'{"detail": "the model is being loaded"}'),
            ("status", 200, None, None),
            "the model is being loaded",
        ),
        (Reply(instead="drop"), ("connection", None, None, None), "connection failed"),
        (
            Reply(instead="break off", body=b'{"choices": ['),
            ("connection", None, None, None),
            "connection failed",
        ),
        (Reply(instead="nothing"), ("timeout", None, None, None), "no answer"),
    ],
    ids=lambda value: (
        f"{value.status} {value.instead} {value.body[:30].decode()}"
        if isinstance(value, Reply)
        else ""
    ),
)
def test_a_failure_is_read_alike_either_way(
    ask: Ask, reply: Reply, expected: tuple[Any, ...], words: str
) -> None:
    found = ask(reply)

    assert isinstance(found, pl.Failure)
    assert (found.kind, found.status, found.code, found.param) == expected
    assert words in found.message
    assert "\n" not in found.summary


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({"retry-after": "7"}, 7),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after": "56", "retry-after-ms": "250"}, 0.25),
        ({"retry-after": "-5"}, 0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": ""}, None),
        ({}, None),
    ],
)
def test_how_long_to_wait_is_read(
    ask: Ask, headers: dict[str, str], wait_s: float | None
) -> None:
    found = ask(error(429, headers))

    assert isinstance(found, pl.Failure)
    assert found.retry_after_s == wait_s


def test_how_long_to_wait_is_read_from_a_date(ask: Ask) -> None:
    date = email.utils.formatdate(time.time() + 40, usegmt=True)

    found = ask(error(429, {"retry-after": date}))

    assert isinstance(found, pl.Failure)
    assert found.retry_after_s is not None
    assert 30 < found.retry_after_s <= 40


def test_what_support_asks_for_and_what_the_server_advises_is_kept(ask: Ask) -> None:
    headers = {"x-request-id": "req_123", "x-should-retry": "false"}

    found = ask(error(500, headers))

    assert isinstance(found, pl.Failure)
    assert (found.request_id, found.should_retry) == ("req_123", False)


def nobody() -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(api_key=KEY, base_url="http://127.0.0.1:9/v1")


@pytest.mark.parametrize(
    "options",
    [
        lambda: {"base_url": "http://127.0.0.1:9/v1"},
        lambda: {"client": pl.SDKClient(nobody())},
    ],
    ids=["OpenAIClient", "SDKClient"],
)
def test_where_nobody_listens_the_run_says_so_soon(
    options: Callable[[], dict[str, Any]],
) -> None:
    results = capitals(40).run(**options())

    assert results.failures[0].kind == "unreachable"
    assert results.failures[0].attempts == 3
    assert "is the server running, and base_url right?" in results.failures[0].message
    assert results.totals.failed == 80


def test_a_reply_that_unpacks_to_more_than_any_answer_is_a_failure(
    server: ToldServer,
) -> None:
    bomb = gzip.compress(answer("x" * 70_000_000).body)
    server.reply = lambda received: Reply(
        body=bomb, headers={"content-encoding": "gzip"}
    )

    results = run(server)

    assert len(bomb) < 100_000
    assert results.failures[0].summary == (
        "invalid_reply: the reply is larger than 64 MB"
    )


@pytest.mark.parametrize(
    ("reply", "hint"),
    [
        (
            Reply(status=404, body=b"404 page not found"),
            "404 page not found; does base_url end in the path of the API, such as /v1",
        ),
        (
            Reply(status=404, body=b'{"detail":"Not Found"}'),
            "Not Found; does base_url end in the path of the API",
        ),
        (
            error(404, message="The model 'm' does not exist."),
            "The model 'm' does not exist; is the model's name right?",
        ),
        (error(404, code="DeploymentNotFound"), "is the model's name right?"),
        (
            Reply(
                body=b"data: {}\n\ndata: [DONE]\n\n",
                headers={"content-type": "text/event-stream"},
            ),
            "the server streams its answer",
        ),
        (Reply(body=b"data: {}\n\ndata: [DONE]\n\n"), "the server streams"),
    ],
    ids=["page", "FastAPI", "model", "deployment", "stream", "stream by its body"],
)
def test_a_failure_that_a_setting_mends_says_which(
    ask: Ask, reply: Reply, hint: str
) -> None:
    found = ask(reply)

    assert isinstance(found, pl.Failure)
    assert hint in found.message


def test_a_base_url_without_a_path_is_told_what_to_write(server: ToldServer) -> None:
    server.reply = lambda received: Reply(status=404, body=b"404 page not found")
    bare = server.base_url.removesuffix("/v1")

    results = capitals(1).run(base_url=bare)

    assert f"base_url lacks the path of the API, try {bare}/v1" in (
        results.failures[0].message
    )


def test_a_base_url_may_end_in_the_endpoint(server: ToldServer) -> None:
    results = capitals(1).run(base_url=f"{server.base_url}/chat/completions/")

    assert results.totals.answered == 2
    assert server.received[0].path == "/v1/chat/completions"
    assert capitals(1).run(base_url=server.base_url).totals.cached == 2


# Proxies and certificates.

AFAR = "http://api.example.test/v1"


@pytest.fixture
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return monkeypatch


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
@pytest.mark.parametrize("scheme", ["http://", ""], ids=["a URL", "host and port"])
def test_calls_go_through_the_proxy_of_the_environment(
    server: ToldServer, no_proxies: pytest.MonkeyPatch, name: str, scheme: str
) -> None:
    at = server.base_url.removeprefix("http://").removesuffix("/v1")
    no_proxies.setenv(name, f"{scheme}{at}")

    results = capitals(1).run(
        base_url=AFAR,
        api_key=KEY,
        allow_insecure=True,
        prices={"fake": {"input": 1, "output": 1}},
    )

    assert results.totals.answered == 2
    assert server.received[0].headers["host"] == "api.example.test"


@pytest.mark.parametrize("way", ["OpenAIClient", "SDKClient"])
@pytest.mark.parametrize("name", ["HTTPS_PROXY", "ALL_PROXY"])
def test_a_proxy_that_is_dead_is_named_without_its_password(
    no_proxies: pytest.MonkeyPatch, name: str, way: str
) -> None:
    no_proxies.setenv(name, "http://user:passw0rd@127.0.0.1:9")
    url = AFAR.replace("http:", "https:")
    given: dict[str, Any] = {"base_url": url, "api_key": KEY}
    if way == "SDKClient":
        sdk = openai.AsyncOpenAI(api_key=KEY, base_url=url)
        given = {"client": pl.SDKClient(sdk)}

    results = capitals(1).run(**given, max_attempts=1)

    message = results.failures[0].message
    assert f"the proxy http://[key]@127.0.0.1:9 ({name})" in message
    assert "is the server running" not in message


def test_a_proxy_that_cannot_be_used_is_named(no_proxies: pytest.MonkeyPatch) -> None:
    no_proxies.setenv("ALL_PROXY", "socks5://127.0.0.1:9")

    results = capitals(1).run(base_url=AFAR, api_key=KEY, allow_insecure=True)

    assert "the proxy socks5://127.0.0.1:9 (ALL_PROXY)" in results.failures[0].message


@pytest.mark.parametrize("spared", ["example.test", "api.example.test:8080", "*"])
def test_what_needs_no_proxy_is_asked_directly(
    server: ToldServer, no_proxies: pytest.MonkeyPatch, spared: str
) -> None:
    no_proxies.setenv("HTTP_PROXY", server.base_url.removesuffix("/v1"))
    no_proxies.setenv("NO_PROXY", spared)
    url = AFAR.replace(".test/", ".test:8080/")

    results = capitals(1).run(
        base_url=url, api_key=KEY, allow_insecure=True, max_attempts=1
    )

    assert server.received == []
    assert "is the server running" in results.failures[0].message


def test_a_file_of_authorities_that_is_not_there_is_told() -> None:
    with pytest.raises(pl.SpecError, match=r"ca_file='nowhere\.pem' is no file"):
        pl.OpenAIClient({"https://a.test/v1": KEY}, ca_file="nowhere.pem")


# What is sent.


def run(server: ToldServer, **options: Any) -> pl.Results:
    experiment = capitals(2, temperature=[0])
    return experiment.run(base_url=server.base_url, max_concurrency=1, **options)


def sdk_client(server: ToldServer, key: Any = KEY) -> openai.AsyncOpenAI:
    """A client of the SDK that retries, and keeps no connection open."""
    no_reuse = httpx2.Limits(max_keepalive_connections=0)
    return openai.AsyncOpenAI(
        api_key=key,
        base_url=server.base_url,
        max_retries=5,
        http_client=openai.DefaultAsyncHttpx2Client(limits=no_reuse),
    )


def test_the_key_and_the_sdks_own_headers_are_sent(server: ToldServer) -> None:
    run(server, api_key=KEY)

    headers = server.received[0].headers
    assert server.received[0].path == "/v1/chat/completions"
    assert headers["authorization"] == f"Bearer {KEY}"
    assert headers["content-type"] == "application/json"
    assert headers["user-agent"].split("/")[0] in ("OpenAI", "AsyncOpenAI")
    assert openai.__version__ in headers["user-agent"]
    assert "openai-organization" not in headers


def test_the_body_is_the_request_and_nothing_else(server: ToldServer) -> None:
    run(server, api_key=KEY)

    assert server.received[0].body == {
        "model": "fake",
        "temperature": 0,
        "messages": [{"role": "user", "content": "Where is city 0?"}],
    }


def test_organization_and_project_come_from_the_environment(
    server: ToldServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_ORG_ID", "org-1")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-1")

    run(server)

    headers = server.received[0].headers
    assert headers["authorization"] == f"Bearer {KEY}"
    assert headers["openai-organization"] == "org-1"
    assert headers["openai-project"] == "proj-1"


def test_key_organization_and_project_come_from_an_env_file(
    server: ToldServer, tmp_path: Path
) -> None:
    lines = f"OPENAI_API_KEY={KEY}\nOPENAI_ORG_ID=org-1\nOPENAI_PROJECT_ID=proj-1\n"
    (tmp_path / ".env").write_text(lines)

    run(server)

    headers = server.received[0].headers
    assert headers["authorization"] == f"Bearer {KEY}"
    assert headers.get("openai-organization") == "org-1"
    assert headers.get("openai-project") == "proj-1"


def test_further_headers_are_sent(server: ToldServer) -> None:
    run(server, api_key=KEY, headers={"X-Title": "my experiment"})

    assert {r.headers["x-title"] for r in server.received} == {"my experiment"}


def test_a_function_without_a_hash_gives_the_key(server: ToldServer) -> None:
    class Vault:
        def __eq__(self, other: object) -> bool:
            return True

        def __call__(self) -> str:
            return KEY

    run(server, api_key=Vault())

    assert server.received[0].headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize("form", ["plain", "async"])
def test_a_function_that_gives_the_key_is_asked_for_each_request(
    server: ToldServer, form: str
) -> None:
    keys = (f"sk-fresh-{number:016d}" for number in range(100))

    async def later() -> str:
        return next(keys)

    run(server, api_key=later if form == "async" else lambda: next(keys))

    sent = [received.headers["authorization"] for received in server.received]
    assert len(set(sent)) == 2
    assert all(header.startswith("Bearer sk-fresh-") for header in sent)


def test_a_function_that_gives_no_key_is_told(server: ToldServer) -> None:
    results = run(server, api_key=lambda: "")

    assert server.received == []
    assert results.table["error"].str.contains("api_key= gave no key").all()


def test_a_server_on_this_machine_needs_no_key(server: ToldServer) -> None:
    results = run(server)

    assert results.totals.answered == 2


def test_a_client_of_the_sdk_may_be_passed_in_and_stays_open(
    server: ToldServer,
) -> None:
    sdk = sdk_client(server)
    server.reply = lambda received: error(500)
    experiment = capitals(1, temperature=[0])

    results = experiment.run(client=pl.SDKClient(sdk), max_attempts=1)

    assert results.totals.failed == len(server.received) == 1
    assert not sdk.is_closed()


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (lambda: openai.OpenAI(api_key=KEY), "AsyncOpenAI, not the OpenAI given"),
        (
            lambda: openai.AzureOpenAI(
                api_key=KEY, azure_endpoint="https://a.test", api_version="1"
            ),
            "AsyncAzureOpenAI, not the AzureOpenAI given",
        ),
        (lambda: KEY, "AsyncOpenAI, not the str given"),
    ],
    ids=["OpenAI", "AzureOpenAI", "a key"],
)
def test_a_client_of_the_sdk_that_blocks_is_refused_before_the_first_call(
    given: Callable[[], Any], named: str
) -> None:
    with pytest.raises(pl.SpecError, match=named) as caught:
        pl.SDKClient(given())

    assert KEY not in str(caught.value)


@pytest.mark.parametrize("key", [KEY, lambda: KEY], ids=["a text", "a function"])
def test_a_client_takes_keys_as_they_are_and_closes_its_connections(
    server: ToldServer, key: Any
) -> None:
    with pl.OpenAIClient({f"{server.base_url}/": key}) as client:
        results = capitals(2, temperature=[0]).run(client=client)

    assert results.totals.answered == 2
    assert server.received[0].headers["authorization"] == f"Bearer {KEY}"
    assert KEY not in repr(client)


def test_a_client_closes_in_the_loop_of_its_user_too(server: ToldServer) -> None:
    async def ask_twice() -> list[str]:
        outputs = []
        async with pl.OpenAIClient({server.base_url: KEY}) as client:
            for _ in range(2):
                request = pl.Request(client.base_url, REQUEST)
                outputs.append((await client.complete(request)).output)
                await client.close()  # it opens them again
        return outputs

    assert asyncio.run(ask_twice()) == ["In Europe."] * 2


def test_a_client_of_the_sdk_may_be_handed_over_to_be_closed(
    server: ToldServer,
) -> None:
    sdk = sdk_client(server)

    with pl.SDKClient(sdk) as client:
        results = capitals(1).run(client=client)

    assert results.totals.answered == 2
    assert sdk.is_closed()


def test_both_ways_share_their_answers(server: ToldServer) -> None:
    run(server, api_key=KEY)

    client = pl.SDKClient(sdk_client(server))
    results = capitals(2, temperature=[0]).run(client=client)

    assert results.totals.cached == 2


# Where the key is not.


def gossip(received: Received) -> Reply:
    """Repeats the key wherever a reply has room, or answers."""
    key = received.headers["authorization"].removeprefix("Bearer ")
    headers = {"x-request-id": key}
    match received.body["messages"][-1]["content"]:
        case "Where is city 0?":
            return error(
                400, headers, message=f"Wrong: {key}", code=key, type=key, param=key
            )
        case "Where is city 1?":
            return Reply(status=500, body=f"<p>{key}</p>".encode(), headers=headers)
        case "Where is city 2?":
            headers["location"] = f"https://elsewhere.test/?key={key}"
            return Reply(status=308, headers=headers)
        case "Where is city 3?":
            return error(422, headers, message={"the": {"key": key}})
        case _:
            return Reply(body=response("fine").body, headers=headers)


KEYS = [KEY, "a key of no known form".replace(" ", "-"), "0123456789abcdef"]


@pytest.mark.parametrize("way", ["OpenAIClient", "SDKClient", "SDKClient, a function"])
@pytest.mark.parametrize("key", KEYS)
@pytest.mark.filterwarnings("default")
def test_the_key_is_nowhere_but_in_the_request(
    server: ToldServer,
    clean_home: Path,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    recwarn: pytest.WarningsRecorder,
    way: str,
    key: str,
) -> None:
    async def give() -> str:
        return key

    caplog.set_level(logging.INFO)  # below, the SDK writes what the server sends
    server.reply = gossip
    given: dict[str, Any] = {"base_url": server.base_url, "api_key": key}
    if way != "OpenAIClient":
        secret = give if way.endswith("function") else key
        given = {"client": pl.SDKClient(sdk_client(server, secret))}

    results = capitals(6, temperature=[0]).run(
        **given, max_attempts=2, progress=lambda seen: print(seen, seen.line)
    )

    assert (results.totals.answered, results.totals.failed) == (2, 4)
    assert server.received[0].headers["authorization"] == f"Bearer {key}"
    shown = [
        repr(results),
        results._repr_html_(),
        results.table.to_csv(),
        results.errors.to_csv(),
        repr(list(results)),
        repr(results.failures),
        results.to("table.jsonl").read_text(),
        repr(given.get("client")),
        repr(RunOptions(api_key=key, headers={"X-Key": key})),
        repr(pl.OpenAIClient({server.base_url: Secret(key)})),
        "".join(capfd.readouterr()),
        caplog.text,
        *map(str, recwarn),
    ]
    for text in shown:
        assert key not in text
    files = [path for path in clean_home.rglob("*") if path.is_file()]
    assert any(path.name == "cache.db" for path in files)
    assert any(path.name == "promptlab.sqlite" for path in files)
    for path in files:
        assert key.encode() not in path.read_bytes(), path


@pytest.mark.parametrize("way", ["OpenAIClient", "SDKClient"])
def test_no_log_however_chatty_holds_the_key(
    server: ToldServer, caplog: pytest.LogCaptureFixture, way: str
) -> None:
    caplog.set_level(logging.DEBUG)
    given: dict[str, Any] = {"base_url": server.base_url, "api_key": KEY}
    if way == "SDKClient":
        given = {"client": pl.SDKClient(sdk_client(server))}

    capitals(1).run(**given)

    assert server.received[0].headers["authorization"] == f"Bearer {KEY}"
    assert KEY not in caplog.text


def test_a_key_that_cannot_be_sent_is_told_without_it(server: ToldServer) -> None:
    results = run(server, api_key="sk-wrong\nkey-0123456789")

    assert "holds characters that no key has" in results.table["error"][0]
    assert "0123456789" not in repr(list(results))


def test_a_variable_that_is_named_must_be_set_for_this_machine_too(
    server: ToldServer,
) -> None:
    with pytest.raises(CredentialsError, match="set MY_KEY in the environment"):
        run(server, api_key_env="MY_KEY")

    assert server.received == []


def test_a_missing_key_names_the_variable_that_was_looked_at() -> None:
    with pytest.raises(CredentialsError, match="set MY_KEY in the environment"):
        capitals(1).run(api_key_env="MY_KEY")
