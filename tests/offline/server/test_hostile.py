"""Hostile requests: whatever is sent, the answer is valid JSON, soon, and no 5xx."""

import http.client
import time
from collections.abc import Iterator
from typing import Any

import openai
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from promptlab.offline import OfflineServer, answer

from ..conftest import Ask, Hello

integers = st.integers(-(2**63), 2**63 - 1)
scalars = st.none() | st.booleans() | integers | st.floats() | st.text(max_size=40)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)
FRAGMENTS = """
Teams: a, b or c|Which?|- x: y|1. z|<t>|</t>|<question>|</question>|<teams>|</teams>
JSON|in 3 steps|yes or no|from 1 to 5|##|# Rules|: |->|- |Ticket:|Question:|write a|(
0 words|List|{label}|{|}|'|one of|"a" or "b"|Facts:|Explain|rate|Rank|in 2 sentences
"""
fragments = st.sampled_from(
    [*FRAGMENTS.replace("\n", "|").split("|"), '"""', "\n", "\n\n", "\0"]
)
texts = st.lists(fragments | st.text(max_size=30), max_size=12).map(" ".join)
contents = texts | st.lists(
    st.fixed_dictionaries({"type": st.just("text"), "text": texts}), max_size=3
)
messages = st.lists(
    st.fixed_dictionaries(
        {
            "role": st.sampled_from(["system", "user", "assistant", "developer"]),
            "content": contents,
        }
    ),
    min_size=1,
    max_size=5,
)
schemas = st.recursive(
    st.fixed_dictionaries(
        {},
        optional={
            "type": st.sampled_from(["string", "integer", "number", "boolean"])
            | scalars,
            "enum": st.lists(scalars, max_size=3),
            "minimum": scalars,
            "maximum": scalars,
            "minLength": scalars,
            "maxLength": scalars,
            "format": st.sampled_from(["email", "date", "uuid"]) | scalars,
            "$ref": st.sampled_from(["#", "#/x", "#/properties/a"]),
        },
    ),
    lambda inner: st.fixed_dictionaries(
        {"type": st.sampled_from(["object", "array", ["array", "null"]])},
        optional={
            "properties": st.dictionaries(st.text(max_size=6), inner, max_size=3),
            "items": inner,
            "minItems": scalars,
            "maxItems": scalars,
            "anyOf": st.lists(inner, max_size=2),
        },
    ),
    max_leaves=6,
)
bodies = st.fixed_dictionaries(
    {
        "model": st.sampled_from(["offline/small", "offline/large"]),
        "messages": messages,
    },
    optional={
        "temperature": st.floats(0, 2),
        "top_p": st.floats(0, 1),
        "n": st.integers(1, 3),
        "seed": st.integers(-9, 9),
        "max_tokens": st.integers(1, 50),
        "stop": texts | st.lists(texts, max_size=4),
        "stream": st.booleans(),
        "response_format": st.sampled_from([{"type": "json_object"}])
        | st.builds(
            lambda schema: {"type": "json_schema", "json_schema": {"schema": schema}},
            schemas,
        ),
    },
)
wild = st.dictionaries(
    st.sampled_from(
        ["model", "messages", "temperature", "n", "stop", "stream", "response_format"]
    )
    | st.text(max_size=8),
    values,
) | st.tuples(bodies, st.dictionaries(st.text(max_size=8), values)).map(
    lambda pair: pair[0] | pair[1]
)
quick = settings(
    max_examples=80,
    deadline=2000,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture(scope="module")
def post(server: OfflineServer) -> Iterator[Any]:
    """Posts a body as it is; the status and the text of the reply."""
    host, _, path = server.base_url.removeprefix("http://").partition("/")
    connection = http.client.HTTPConnection(host, timeout=5)

    def post(body: bytes) -> tuple[int, bytes]:
        connection.request("POST", f"/{path}/chat/completions", body)
        reply = connection.getresponse()
        return reply.status, reply.read()

    yield post
    connection.close()


@quick
@given(bodies)
def test_any_well_formed_request_is_answered(post: Any, body: dict[str, Any]) -> None:
    status, text = post(orjson.dumps(body))

    assert status == 200
    if body.get("stream"):
        assert text.endswith(b"data: [DONE]\n\n")
    else:
        assert len(orjson.loads(text)["choices"]) == body.get("n", 1)


@quick
@given(wild)
def test_any_json_is_answered_or_refused(post: Any, body: dict[str, Any]) -> None:
    status, text = post(orjson.dumps(body))

    assert status in (200, 400, 404)
    if status != 200:
        assert set(orjson.loads(text)["error"]) == {"message", "type", "param", "code"}


@quick
@given(st.binary(max_size=200))
def test_any_bytes_are_answered_or_refused(post: Any, body: bytes) -> None:
    status, text = post(body)

    assert status == 400
    assert "error" in orjson.loads(text)


@pytest.mark.parametrize(
    "piece",
    [
        "word ", "a", " ", "\n", "a, ", "(", "[{", "or ", "one of ", "Name: ", "a: b\n",
        "- a\n", "1. a: b\n", "<a>", "</a><a>", '"a" ', '"""\n', "step ", "Which? ",
        "in 3 ", "about ", "->", "x -> y\n", "a or ", "from 1 to ", "# a\n", "é", "日",
        "keys a, ", "You are a ", "end with ", ". ", "a.b@", "1,", "Teams: a, b\n\n",
    ],
    ids=repr,
)  # fmt: skip
def test_200_kb_are_read_in_time(piece: str) -> None:
    text = (piece * 200_000)[:200_000]
    started = time.thread_time()

    answer(
        {
            "model": "offline/large",
            "messages": [{"role": "user", "content": f"Which? {text}"}],
            "temperature": 0,
        }
    )

    assert time.thread_time() - started < 5  # not even near what grows with the square


def test_many_messages_are_read_in_time() -> None:
    turns = [{"role": r, "content": "a b c?"} for r in ("user", "assistant")] * 5000
    started = time.thread_time()

    answer({"model": "offline/large", "messages": turns, "temperature": 0})

    assert time.thread_time() - started < 5  # not even near what grows with the square


def test_braces_in_the_text_are_only_text(ask: Ask) -> None:
    asked = "Which? Options: {label}, {0.__class__}\n\nTicket: {0.__class__}"

    assert "__class__" in ask(asked)


def test_code_in_a_prompt_is_only_text(client: openai.OpenAI, hello: Hello) -> None:
    text = "__import__('os').system('exit 1')"
    reply = hello(client, messages=[{"role": "user", "content": text}], temperature=0)

    assert reply.choices[0].finish_reason == "stop"
