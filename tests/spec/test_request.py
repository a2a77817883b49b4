"""Requests and their keys: what makes another key, what does not, and the format.

`golden_keys.json` holds requests and the keys that their answers are kept under on
users' disks. It was written once, by this, and must never be written again: a key
that changes makes users pay again.

    import json
    requests = [{"base_url": ..., "body": {...}, "repeat": 0}, ...]
    for request in requests:
        request["key"] = promptlab.Request(**request).key
    path.write_text(json.dumps(requests, indent=1))
"""

from __future__ import annotations

import hashlib
import json
import re
from enum import IntEnum, StrEnum
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import promptlab as pl

URL = "https://api.example.com/v1"
GOLDEN = json.loads(Path(__file__).with_name("golden_keys.json").read_text("utf-8"))

TOOL: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "search",
        "parameters": {
            "type": "object",
            "properties": {"query": {"type": "string"}, "limit": {"type": "integer"}},
            "required": ["query"],
        },
    },
}

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
numbers = st.one_of(
    st.integers(-(2**63), 2**64 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
)
values = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, texts),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)
    ),
    max_leaves=8,
)
bodies = st.dictionaries(texts, values, max_size=4)


def key(
    *,
    model: str = "m",
    text: str = "Hello",
    system: str | None = "Be brief",
    base_url: str = URL,
    repeat: int = 0,
    **parameters: Any,
) -> str:
    """The key of a trial's first call, as an experiment makes it."""
    given = {name: [value] for name, value in parameters.items()}
    experiment = pl.Experiment(
        "key",
        grid={
            "model": [model],
            "prompt": ["Q: {{t}}"],
            "system": [None if system is None else "{{s}}"],
            **given,
        },
        dataset=[{"t": text} if system is None else {"t": text, "s": system}],
        repeats=repeat + 1,
    )
    return experiment.trials[repeat].first_request(lambda model: base_url).key


@given(text=texts.filter(bool), data=st.data())
def test_another_character_anywhere_is_another_key(
    text: str, data: st.DataObject
) -> None:
    place = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.characters(exclude_categories=["Cs"]))
    assume(other != text[place])
    changed = text[:place] + other + text[place + 1 :]

    assert key(text=changed) != key(text=text)
    assert key(system="S" + changed) != key(system="S" + text)


@given(one=texts, other=texts)
def test_keys_are_equal_just_where_texts_are(one: str, other: str) -> None:
    assert (key(text=one) == key(text=other)) == (one == other)


@given(one=bodies, other=bodies)
def test_keys_are_equal_just_where_bodies_are(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    same = pl.Request(URL, one).body == pl.Request(URL, other).body
    json_same = orjson.dumps(
        pl.Request(URL, one).body, option=orjson.OPT_SORT_KEYS
    ) == orjson.dumps(pl.Request(URL, other).body, option=orjson.OPT_SORT_KEYS)

    assert (pl.Request(URL, one).key == pl.Request(URL, other).key) == json_same
    assert same or not json_same


@pytest.mark.parametrize(
    "change",
    [
        {"model": "m2"},
        {"model": "M"},
        {"base_url": "https://api.example.com/v2"},
        {"base_url": "http://api.example.com/v1"},
        {"base_url": "https://api.example.com:8443/v1"},
        {"base_url": "https://other.example.com/v1"},
        {"base_url": "https://api.example.com/V1"},
        {"repeat": 1},
        {"system": None},
        {"temperature": 0.7},
        {"temperature": None},
        {"max_tokens": 17},
        {"seed": 1},
        {"logprobs": True},
        {"stop": ["a", "b"]},
        {"response_format": {"type": "json_object"}},
        {"tools": None},
        {"tools": [TOOL, TOOL]},
        {"unknown_to_us": "x"},
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore:.*one we know:promptlab.PromptlabWarning")
def test_a_change_of_what_is_asked_is_another_key(change: dict[str, Any]) -> None:
    asked: dict[str, Any] = {"temperature": 0, "max_tokens": 16, "tools": [TOOL]}

    assert key(**asked | change) != key(**asked)


@pytest.mark.parametrize(
    "path",
    [
        ("function", "name"),
        ("function", "parameters", "type"),
        ("function", "parameters", "properties", "query", "type"),
        ("function", "parameters", "required", 0),
    ],
    ids=str,
)
def test_a_change_anywhere_in_a_tool_is_another_key(path: tuple[Any, ...]) -> None:
    changed = json.loads(json.dumps(TOOL))
    owner = changed
    for part in path[:-1]:
        owner = owner[part]
    owner[path[-1]] += "x"

    assert key(tools=[changed]) != key(tools=[TOOL])


def test_order_in_a_list_is_meant() -> None:
    assert key(stop=["a", "b"]) != key(stop=["b", "a"])


def test_a_number_a_text_and_a_truth_are_three_things() -> None:
    assert len({key(top_k=value) for value in (1, "1", True)}) == 3


def test_what_is_not_given_and_none_are_the_same() -> None:
    assert key(temperature=None) == key()


@given(body=bodies)
def test_the_order_of_members_is_no_part_of_the_key(body: dict[str, Any]) -> None:
    assert pl.Request(URL, turned(body)).key == pl.Request(URL, body).key


def turned(value: Any) -> Any:
    """The same value, the members of every object in opposite order."""
    if isinstance(value, dict):
        return {name: turned(value[name]) for name in reversed(value)}
    return [turned(item) for item in value] if isinstance(value, list) else value


@given(number=st.integers(-(2**53) + 1, 2**53 - 1))
def test_a_whole_number_may_be_written_with_a_fraction(number: int) -> None:
    whole, fraction = {"a": [{"b": number}]}, {"a": [{"b": float(number)}]}

    assert pl.Request(URL, fraction).key == pl.Request(URL, whole).key


def test_0_and_minus_0_and_0_point_0_are_one() -> None:
    assert len({key(temperature=zero) for zero in (0, 0.0, -0.0)}) == 1


def test_a_float_is_the_whole_number_that_it_equals_below_2_to_the_53rd() -> None:
    def key_of(number: float) -> str:
        return pl.Request(URL, {"limit": number}).key

    assert key_of(2**53 - 1) == key_of(float(2**53 - 1))
    assert key_of(2**53) != key_of(float(2**53))  # as 2**53 + 1 would be


@pytest.mark.parametrize(
    "same",
    [
        "https://API.example.com/v1",
        "HTTPS://api.example.com/v1/",
        " https://api.example.com:443/v1// ",
    ],
)
def test_one_base_url_written_differently_is_one_key(same: str) -> None:
    assert key(base_url=same) == key(base_url=URL)


class Colour(StrEnum):
    RED = "red"


class Level(IntEnum):
    LOW = 1


@pytest.mark.parametrize(
    ("given", "plain"),
    [
        (np.float64(0.25), 0.25),
        (np.float32(0.25), 0.25),
        (np.float64(1), 1),
        (np.int64(3), 3),
        (np.bool_(True), True),
        (np.str_("a"), "a"),
        (np.array([[1, 2.5]]), [[1, 2.5]]),
        (("a", "b"), ["a", "b"]),
        (Colour.RED, "red"),
        (Level.LOW, 1),
    ],
    ids=repr,
)
def test_values_of_other_libraries_are_sent_as_json(given: Any, plain: Any) -> None:
    asked = pl.Request(URL, {"value": given})

    assert asked.key == pl.Request(URL, {"value": plain}).key
    assert orjson.loads(orjson.dumps(asked.body)) == {"value": plain}


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda golden: golden["key"][:8])
def test_keys_on_users_disks_stay_valid(golden: dict[str, Any]) -> None:
    request = pl.Request(golden["base_url"], golden["body"], golden["repeat"])

    assert request.key == golden["key"]


def test_golden_keys_are_all_different_but_for_the_ways_to_write_one() -> None:
    keys = [golden["key"] for golden in GOLDEN]

    assert len(keys) >= 25
    assert len(set(keys)) == len(keys) - 2  # 0.0 for 0, and a base URL in capitals


@pytest.mark.parametrize(
    "golden",
    [g for g in GOLDEN if not re.search(r"\d[eE][-+]?\d", json.dumps(g["body"]))],
    ids=lambda golden: golden["key"][:8],
)
def test_the_key_is_the_sha_256_of_the_json_that_is_published(
    golden: dict[str, Any],
) -> None:
    published = {
        "base_url": golden["base_url"].lower().rstrip("/"),
        "body": whole(golden["body"]),
        "repeat": golden["repeat"],
        "schema": 1,
    }
    text = json.dumps(
        published, sort_keys=True, ensure_ascii=False, separators=(",", ":")
    )

    assert hashlib.sha256(text.encode()).hexdigest() == golden["key"]


def whole(value: Any) -> Any:
    """The same value, every whole number written without a fraction."""
    if isinstance(value, dict):
        return {name: whole(item) for name, item in value.items()}
    if isinstance(value, list):
        return [whole(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def test_the_canonical_json_of_a_request_is_what_its_key_hashes() -> None:
    request = pl.Request(URL + "/", {"b": 1.0, "a": "ü"}, repeat=2)

    assert request.canonical_json.decode() == (
        '{"base_url":"https://api.example.com/v1","body":{"a":"ü","b":1},'
        '"repeat":2,"schema":1}'
    )
    assert hashlib.sha256(request.canonical_json).hexdigest() == request.key
    assert pl.Request.from_plain(orjson.loads(request.canonical_json)) == request


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"a": float("nan")}, "cannot hold nan"),
        ({"a": float("inf")}, "cannot hold inf"),
        ({"a": 2**64}, "a number of 65 bits, but of 64"),
        ({"a": -(2**63) - 1}, "a number of "),
        ({"a": 10**400}, "a number of "),
        ({"a": "\ud800"}, "not valid Unicode"),
        ({"\ud800": 1}, "not valid Unicode"),
        ({1: 1}, "expected a string as a name in a request, got 1"),
        ({"a": {1, 2}}, "expected a JSON value, got set"),
        ({"a": b"x"}, "expected a JSON value, got bytes"),
        ({"a": object}, "expected a JSON value, got type"),
    ],
    ids=[
        "nan",
        "infinity",
        "large",
        "small",
        "enormous",
        "surrogate",
        "surrogate name",
        "number as name",
        "set",
        "bytes",
        "class",
    ],
)
def test_what_is_no_json_is_refused(body: Any, said: str) -> None:
    with pytest.raises(pl.SpecError) as caught:
        pl.Request(URL, body)

    assert said in str(caught.value)


def test_a_value_that_nests_without_end_is_refused() -> None:
    value: list[Any] = []
    value.append(value)

    with pytest.raises(pl.SpecError, match="nests at most 100 deep"):
        pl.Request(URL, {"a": value})


@pytest.mark.parametrize(
    "base_url",
    [
        "",
        "api.example.com/v1",
        "ftp://example.com",
        "https://",
        "https://example.com:99999999",
        "https://[::1",
        "https://example.com/v1?key=a",
        "https://example.com/v1#a",
    ],
)
def test_what_is_no_base_url_is_refused(base_url: str) -> None:
    with pytest.raises(pl.SpecError, match=r"^base_url "):
        pl.Request(base_url, {})


@pytest.mark.parametrize(
    "base_url",
    [
        "https://user:hunter2@example.com",
        "https://hunter2@example.com/v1",
        "https://user:hunter2@",
        "ftp://user:hunter2@example.com",
        "offline://user:hunter2@2",
        "https://user:hunter2@example.com/v1?x=1",
        "https://user:hun\nter2@example.com",
    ],
)
def test_a_password_in_a_base_url_is_refused_and_not_repeated(base_url: str) -> None:
    with pytest.raises(pl.SpecError, match="user name or password") as caught:
        pl.Request(base_url, {})

    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "base_url",
    [
        "http:/user:hunter2@example.com/v1",
        "user:hunter2@example.com/v1",
        "https:user:hunter2@example.com",
        "https:\\\\user:hunter2@example.com",
        "http//user:hunter2@example.com/v1",
        "https://user:hunter2%40example.com/v1",
        "https://user:hunter2\uff20example.com/v1",
        "https://user:hunter2@example.com:99999999",
        "https://user:hunter2@[::1/v1",
    ],
)
def test_a_password_in_what_is_no_base_url_is_not_repeated(base_url: str) -> None:
    with pytest.raises(pl.SpecError, match=r"^base_url is not a URL") as caught:
        pl.Request(base_url, {})

    assert "hunter2" not in str(caught.value)


FREE = {"m": {"input": 0, "output": 0}}


class OneAnswer:
    """A model at OpenAI's address that says the same to everything."""

    base_url = "https://api.openai.com/v1"

    async def complete(self, request: pl.Request) -> pl.Response:
        message = {"role": "assistant", "content": "Hi"}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        body = orjson.dumps({"model": "m", "choices": [choice]})
        return pl.Response("Hi", "stop", pl.Usage(1, 0, 1, 0), 0.1, body=body)

    async def close(self) -> None: ...


@pytest.mark.parametrize(
    "option",
    [
        {},
        {"api_key": "sk-another"},
        {"timeout_s": 5},
        {"max_concurrency": 1},
        {"max_attempts": 1},
        {"rpm": 10},
        {"headers": {"X-Team": "a"}},
        {"base_url": "https://api.openai.com/v1/"},
    ],
    ids=str,
)
def test_how_it_is_run_is_no_part_of_the_key(option: dict[str, Any]) -> None:
    experiment = pl.Experiment(
        "e", grid={"model": ["m"], "prompt": ["{{t}}"]}, dataset=[{"t": "a"}]
    )

    experiment.run(client=OneAnswer(), prices=FREE, progress=False)

    assert experiment.plan(**option).counts["cached"] == 1


def test_where_it_is_sent_is_part_of_the_key() -> None:
    experiment = pl.Experiment(
        "e", grid={"model": ["m"], "prompt": ["{{t}}"]}, dataset=[{"t": "a"}]
    )

    experiment.run(client=OneAnswer(), prices=FREE, progress=False)

    assert experiment.plan(base_url="https://example.com/v1").counts["new"] == 1


def test_requests_to_other_endpoints_have_keys_of_their_own() -> None:
    body = {"model": "m", "input": "a"}
    requests = [
        pl.Request(URL, body, endpoint=e) for e in ("/embeddings", "/responses")
    ]

    assert len({r.key for r in [*requests, pl.Request(URL, body)]}) == 3
    assert b'"endpoint":"/embeddings"' in requests[0].canonical_json


def test_the_endpoint_of_chat_completions_is_not_in_the_key() -> None:
    body = {"model": "m", "messages": []}

    request = pl.Request(URL, body, endpoint="/chat/completions")

    assert request.key == pl.Request(URL, body).key
    assert b"endpoint" not in request.canonical_json


def test_a_request_is_read_back_with_its_endpoint() -> None:
    request = pl.Request(URL, {"model": "m"}, 2, endpoint="/responses")

    read = pl.Request.from_plain(json.loads(request.canonical_json))

    assert (read, read.endpoint) == (request, "/responses")


@pytest.mark.parametrize(
    "endpoint", ["", "embeddings", "/", "/a/../b", "/a?b", "https://x.org/v1", 3]
)
def test_an_endpoint_is_a_path_after_the_base_url(endpoint: Any) -> None:
    with pytest.raises(pl.SpecError, match="endpoint: expected a path"):
        pl.Request(URL, {"model": "m"}, endpoint=endpoint)
