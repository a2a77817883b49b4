"""The server: the OpenAI protocol as the official client and plain HTTP see it."""

import asyncio
import io
from typing import Any

import aiohttp
import openai
import pytest

from promptlab.offline import (
    EMBEDDING_MODEL,
    MODELS,
    RESPONDER_VERSION,
    Faults,
    OfflineServer,
)

from ..conftest import ClientOf, Hello

FACTS = "The shop opens at nine and closes at six. Tea is free.\n\n"


def test_it_listens_on_this_machine_only(server: OfflineServer) -> None:
    assert server.base_url.startswith("http://127.0.0.1:")


def test_async_context_manager_serves_within_the_block() -> None:
    async def visit() -> str | None:
        async with (
            OfflineServer() as server,
            openai.AsyncOpenAI(
                base_url=server.base_url, api_key="x", max_retries=0
            ) as client,
        ):
            reply = await client.chat.completions.create(
                model="offline/small", messages=[{"role": "user", "content": "Hello"}]
            )
            return reply.choices[0].message.content

    assert asyncio.run(visit())


def test_stopping_twice_does_no_harm() -> None:
    async def visit() -> None:
        server = await OfflineServer().start()
        await server.stop()
        await server.stop()
        with pytest.raises(RuntimeError, match="not started"):
            _ = server.base_url

    asyncio.run(visit())


def test_completion_is_whole(client: openai.OpenAI, hello: Hello) -> None:
    reply = hello(client, messages=[{"role": "user", "content": "Hello there"}], n=2)

    assert reply.object == "chat.completion"
    assert reply.model == "offline/small"
    assert reply.system_fingerprint == f"fp_offline_{RESPONDER_VERSION}"
    assert [choice.index for choice in reply.choices] == [0, 1]
    assert {choice.finish_reason for choice in reply.choices} == {"stop"}
    usage = reply.usage
    assert usage.prompt_tokens == 3 + 2 + 3
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
    assert usage.prompt_tokens_details.cached_tokens == 0
    assert usage.completion_tokens_details.reasoning_tokens == 0


def test_answers_carry_a_request_id(client: openai.OpenAI, hello: Hello) -> None:
    assert hello(client)._request_id != hello(client)._request_id


@pytest.mark.parametrize("limit", [None, 4], ids=["whole", "cut"])
def test_stream_tells_the_same_as_one_reply(
    client: openai.OpenAI, limit: int | None, hello: Hello
) -> None:
    request: dict[str, Any] = {
        "temperature": 0,
        "messages": [{"role": "user", "content": FACTS + "When does the shop open?"}],
        **({"max_tokens": limit} if limit else {}),
    }

    whole = hello(client, **request)
    chunks = list(
        hello(client, **request, stream=True, stream_options={"include_usage": True})
    )

    deltas = [chunk.choices[0].delta for chunk in chunks[:-1]]
    assert deltas[0].role == "assistant"
    assert "".join(delta.content or "" for delta in deltas) == (
        whole.choices[0].message.content
    )
    assert len(deltas) == whole.usage.completion_tokens + 2
    assert chunks[-2].choices[0].finish_reason == whole.choices[0].finish_reason
    assert chunks[-1].choices == []
    assert chunks[-1].usage == whole.usage
    assert {chunk.usage for chunk in chunks[:-1]} == {None}


def test_stream_sends_usage_only_when_asked(
    client: openai.OpenAI, hello: Hello
) -> None:
    chunks = list(hello(client, stream=True))

    assert all(chunk.choices for chunk in chunks)


def test_models_are_listed(client: openai.OpenAI) -> None:
    names = [model.id for model in client.models.list()]

    assert names == [*MODELS, EMBEDDING_MODEL]
    assert client.models.retrieve("offline/small").id == "offline/small"


def test_other_names_can_be_served_too(client_of: ClientOf, hello: Hello) -> None:
    with (
        OfflineServer(models={"gpt-6-luna": "offline/large"}).in_thread() as server,
        client_of(server) as client,
    ):
        assert hello(client, model="gpt-6-luna").model == "gpt-6-luna"
        with pytest.raises(ValueError, match="gpt-6-sol"):
            OfflineServer(models={"x": "gpt-6-sol"})


def test_unknown_model_is_not_found(client: openai.OpenAI, hello: Hello) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        hello(client, model="gpt-7")

    assert caught.value.code == "model_not_found"
    assert caught.value.body == {
        "message": "The model `gpt-7` does not exist or you do not have access to it.",
        "type": "invalid_request_error",
        "param": None,
        "code": "model_not_found",
    }


@pytest.mark.parametrize("key", ["wrong", "sk-" + "x" * 40])
def test_other_keys_are_refused_and_not_repeated(
    key: str, client_of: ClientOf, hello: Hello
) -> None:
    with (
        OfflineServer(api_key="right").in_thread() as server,
        client_of(server, api_key=key) as client,
        pytest.raises(openai.AuthenticationError) as caught,
    ):
        hello(client)

    assert caught.value.code == "invalid_api_key"
    assert key not in str(caught.value)


def test_the_right_key_is_let_in(client_of: ClientOf, hello: Hello) -> None:
    with (
        OfflineServer(api_key="right").in_thread() as server,
        client_of(server, api_key="right") as client,
    ):
        hello(client)
        assert server.answered == 1


def test_counters_count(client_of: ClientOf, hello: Hello) -> None:
    with (
        OfflineServer(log_requests=True).in_thread() as server,
        client_of(server) as client,
    ):
        hello(client)
        with pytest.raises(openai.BadRequestError):
            hello(client, temperature=3)

    assert (server.calls, server.answered, server.in_flight) == (2, 1, 0)
    assert [body.get("temperature") for body in server.requests] == [None, 3]


def test_requests_are_not_kept_unless_asked(
    server: OfflineServer, client: openai.OpenAI, hello: Hello
) -> None:
    hello(client)

    assert server.requests == []


def test_in_flight_max_is_the_most_at_once() -> None:
    async def visit() -> int:
        async with (
            OfflineServer(Faults(latency_s=0.1)) as server,
            openai.AsyncOpenAI(
                base_url=server.base_url, api_key="x", max_retries=0
            ) as client,
        ):
            question = {"role": "user", "content": "Hello"}
            await asyncio.gather(
                *(
                    client.chat.completions.create(
                        model="offline/small", messages=[question]
                    )
                    for _ in range(5)
                )
            )
            return server.in_flight_max

    assert asyncio.run(visit()) == 5


GOOD = {"model": "offline/small", "messages": [{"role": "user", "content": "Hello"}]}


@pytest.mark.parametrize(
    ("wrong", "param", "code", "says"),
    [
        (
            {"temperature": 3},
            "temperature",
            "decimal_above_max_value",
            "<= 2, but got 3",
        ),
        ({"temperature": "hot"}, "temperature", "invalid_type", "but got a string"),
        (
            {"max_tokens": -1},
            "max_tokens",
            "integer_below_min_value",
            ">= 1, but got -1",
        ),
        ({"n": 0}, "n", "integer_below_min_value", ">= 1"),
        ({"messages": []}, "messages", "empty_array", "empty array"),
        ({"messages": "hi"}, "messages", "invalid_type", "array of objects"),
        ({"messages": None}, "messages", "missing_required_parameter", "Missing"),
        (
            {"messages": [{"role": "robot", "content": "hi"}]},
            "messages[0].role",
            "invalid_value",
            "Invalid value: 'robot'. Supported values are: 'system'",
        ),
        (
            {"messages": [{"role": "user", "content": 7}]},
            "messages[0].content",
            "invalid_type",
            "but got an integer",
        ),
        (
            {"stream_options": {"include_usage": True}},
            "stream_options",
            None,
            "only allowed when 'stream' is enabled",
        ),
        (
            {"response_format": {"type": "xml"}},
            "response_format.type",
            "invalid_value",
            "xml",
        ),
        ({"stop": list("abcde")}, "stop", "array_above_max_length", "length 5"),
        ({"top_logprobs": 2}, "top_logprobs", None, "only allowed when 'logprobs'"),
        ({"tool_choice": "auto"}, "tool_choice", None, "'tools' are specified"),
        ({"tools": []}, "tools", "empty_array", "empty array"),
        (
            {"tools": [{"type": "web_search"}]},
            "tools[0].type",
            "invalid_value",
            "web_search",
        ),
        (
            {"tools": [{"type": "function", "function": {"name": "a b"}}]},
            "tools[0].function.name",
            "invalid_value",
            "does not match pattern",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
            "messages[0].content[0].type",
            None,
            "image_url is only supported by certain models",
        ),
        (
            {"messages": [{"role": "tool", "content": "3", "tool_call_id": "a"}]},
            "messages[0].role",
            None,
            "must be a response to a preceeding message",
        ),
        (
            {"frequency_penalty": 0.5},
            "frequency_penalty",
            "unsupported_parameter",
            "not supported",
        ),
        (
            {"functions": [{"name": "f"}]},
            "functions",
            "unsupported_parameter",
            "not supported",
        ),
        (
            {"reasoning_effort": "low"},
            "reasoning_effort",
            "unsupported_parameter",
            "not supported",
        ),
        (
            {"modalities": ["text", "audio"]},
            "modalities",
            "unsupported_parameter",
            "not supported",
        ),
        ({"store": True}, "store", "unsupported_parameter", "not supported"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_wrong_parameter_is_named_in_the_error(
    client: openai.OpenAI,
    wrong: dict[str, Any],
    param: str,
    code: str | None,
    says: str,
) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.post("/chat/completions", cast_to=object, body=GOOD | wrong)

    assert (caught.value.param, caught.value.code) == (param, code)
    assert caught.value.type == "invalid_request_error"
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("method", "path", "data", "status"),
    [
        ("POST", "/chat/completions", b"{not json", 400),
        ("POST", "/chat/completions", b"[1]", 400),
        ("POST", "/chat/completions", b"{}", 400),
        ("POST", "/chat/completions", b"[" * 100_000, 400),
        ("POST", "/chat/completions", b" " * (5 * 2**20), 413),
        ("GET", "/chat/completions", None, 405),
        ("POST", "/responses", b"{}", 400),
        ("POST", "/completions", b"{}", 400),
        ("POST", "/audio/speech", b"{}", 404),
        ("GET", "/models/gpt-7", None, 404),
    ],
    ids=lambda value: str(value)[:24],
)
def test_every_error_has_the_shape_of_the_api(
    server: OfflineServer, method: str, path: str, data: bytes | None, status: int
) -> None:
    async def visit() -> tuple[int, Any, bool]:
        async with (
            aiohttp.ClientSession() as session,
            session.request(
                method, server.base_url + path, data=data and io.BytesIO(data)
            ) as response,
        ):
            known = "x-request-id" in response.headers
            return response.status, await response.json(), known

    got, body, has_id = asyncio.run(visit())

    assert (got, has_id) == (status, True)
    assert set(body) == {"error"}
    assert set(body["error"]) == {"message", "type", "param", "code"}


def test_a_parameter_that_the_api_does_not_have_is_refused(
    client: openai.OpenAI, hello: Hello
) -> None:
    with pytest.raises(openai.BadRequestError, match="supplied: temprature"):
        hello(client, extra_body={"temprature": 1})


def test_the_older_endpoint_answers_the_same(
    client: openai.OpenAI, hello: Hello
) -> None:
    question = FACTS + "When does the shop open?"
    same = hello(
        client, temperature=0, messages=[{"role": "user", "content": question}]
    )

    request: dict[str, Any] = {"model": "offline/small", "temperature": 0}
    reply = client.completions.create(**request, prompt=question)
    streamed = list(client.completions.create(**request, prompt=question, stream=True))

    assert reply.choices[0].text == same.choices[0].message.content
    assert reply.choices[0].finish_reason == "stop"
    assert reply.usage == same.usage
    texts = [chunk.choices[0].text for chunk in streamed]
    assert "".join(texts) == reply.choices[0].text
    assert streamed[-1].choices[0].finish_reason == "stop"


@pytest.mark.parametrize("param", ["echo", "suffix", "logprobs", "best_of"])
def test_what_the_older_endpoint_does_not_serve_is_refused(
    client: openai.OpenAI, param: str
) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.completions.create(
            model="offline/small",
            prompt="Hello",
            **{param: 2},  # type: ignore[call-overload]
        )

    assert caught.value.param == param
