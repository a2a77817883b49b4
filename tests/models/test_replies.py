"""Replies: what is almost JSON was paid for too."""

from __future__ import annotations

import orjson
import pytest

from promptlab.errors import CallError
from promptlab.models.redaction import redacted
from promptlab.models.replies import Reply, read_reply


def reply(content: bytes, more: bytes = b"") -> bytes:
    """A chat completion whose content and further members are written as given."""
    choice = b'{"message":{"content":"' + content + b'"},"finish_reason":"stop"}'
    return b'{"choices":[' + choice + b"]" + more + b"}"


@pytest.mark.parametrize(
    ("body", "output"),
    [
        (reply(b"half \\ud83d of a pair"), "half \ufffd of a pair"),
        (reply(b"\xe9t\xe9"), "\ufffdt\ufffd"),
        (reply(b"sure", b',"logprobs":NaN,"score":-Infinity'), "sure"),
        (reply(b"large", b',"id":' + b"9" * 40 + b',"p":NaN'), "large"),
        (b"\xef\xbb\xbf" + reply(b"marked"), "marked"),
    ],
    ids=["half a surrogate pair", "not UTF-8", "NaN", "a huge number", "a BOM"],
)
def test_an_answer_that_is_almost_json_is_kept_and_can_be_read_again(
    body: bytes, output: str
) -> None:
    response = read_reply(200, {}, body, latency_s=0.1)

    assert response.output == output
    assert response.document["choices"][0]["message"]["content"] == output
    assert orjson.dumps(response.output)


DEEP_TOOL_CALLS = (
    b'{"choices":[{"message":{"tool_calls":' + b"[" * 300 + b"]" * 300 + b"}}]}"
)


@pytest.mark.parametrize(
    "body",
    [b"", b"NaN", b'"text"', reply(b"cut")[:-3], b'{"a":' * 100_000, DEEP_TOOL_CALLS],
    ids=["nothing", "NaN alone", "a text", "cut off", "without end", "deep tool calls"],
)
def test_what_is_no_answer_is_one_clear_failure(body: bytes) -> None:
    with pytest.raises(CallError) as caught:
        read_reply(200, {}, body, latency_s=0.1)

    assert caught.value.failure.kind == "invalid_reply"
    assert "\n" not in caught.value.failure.summary


def test_a_page_of_refusal_never_ends_in_half_a_key() -> None:
    key = "k" * 60
    page = b"<html>" + b"denied " * 280 + key.encode() + b"</html>"

    with pytest.raises(CallError) as caught:
        read_reply(403, {}, page, latency_s=0.1)

    assert "kkkk" not in redacted(caught.value.failure.message, key)


@pytest.mark.parametrize(
    "reason", ["length", "max_tokens", "MAX_TOKENS", "model_length", "content_filter"]
)
@pytest.mark.parametrize("message", [b"", b'"message":null,', b'"message":{},'])
def test_an_answer_that_thinking_used_up_is_empty(message: bytes, reason: str) -> None:
    body = (
        b'{"choices":[{' + message + b'"index":0,"finish_reason":"%s"}],'
        b'"usage":{"completion_tokens":0,"prompt_tokens":9}}'
    ) % reason.encode()

    response = read_reply(200, {}, body, latency_s=0.1)

    assert (response.output, response.finish_reason) == ("", reason)
    assert response.body == body


@pytest.mark.parametrize(
    "choice",
    [
        b'{"text":"yes","finish_reason":"length"}',
        b'{"delta":{"content":"yes"},"finish_reason":"length"}',
        b'{"message":"yes","finish_reason":"length"}',
        b'{"index":0,"finish_reason":"stop"}',
        b'{"index":0}',
    ],
)
def test_a_choice_of_another_form_is_no_empty_answer(choice: bytes) -> None:
    with pytest.raises(CallError, match="first choice has no message"):
        read_reply(200, {}, b'{"choices":[' + choice + b"]}", latency_s=0.1)


def test_a_short_key_is_cut_out_of_a_refusal_and_blanks_no_word_of_an_answer() -> None:
    key, headers = "not-needed", {"x-echo": "the key not-needed", "server": "fake"}

    refused = Reply(401, headers, b"not-needed is no key").without([key])
    answered = Reply(200, {}, b"salt is not-needed").without([key])

    assert refused.body == b"[key] is no key"
    assert refused.headers == {"x-echo": "the key [key]", "server": "fake"}
    assert answered.body == b"salt is not-needed"


def test_a_cost_in_the_headers_of_a_reply_is_what_it_cost() -> None:
    headers = {"x-litellm-response-cost": "0.002"}

    assert read_reply(200, headers, reply(b"x"), 0.1).reported_cost_usd == 0.002


@pytest.mark.parametrize(
    ("status", "reason"), [("completed", "stop"), ("incomplete", "length")]
)
def test_an_answer_of_responses_has_its_text_and_says_whether_it_was_cut(
    status: str, reason: str
) -> None:
    message = {"type": "message", "content": [{"type": "output_text", "text": "Hi"}]}
    document = {
        "status": status,
        "output": [{"type": "reasoning", "summary": []}, message],
        "usage": {"input_tokens": 3, "output_tokens": 2},
    }

    response = read_reply(200, {}, orjson.dumps(document), 0.1, "/responses")

    assert (response.output, response.finish_reason) == ("Hi", reason)
    assert (response.usage.input_tokens, response.usage.output_tokens) == (3, 2)
