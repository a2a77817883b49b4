"""Failures: each way in which servers say that there is no answer, read alike."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from fakes.experiments import capitals
from fakes.servers import Reply, ToldServer, answer, error
from hypothesis import given, settings
from hypothesis import strategies as st

import promptlab as pl
from promptlab.errors import CallError
from promptlab.execution.scheduling.retries import Verdict, classify
from promptlab.models.replies import read_reply
from promptlab.store.cache import checked_response


def read(
    document: object, status: int = 200, headers: dict[str, str] | None = None
) -> pl.Failure:
    """The failure that a reply is."""
    body = document if isinstance(document, bytes) else orjson.dumps(document)
    with pytest.raises(CallError) as caught:
        read_reply(status, headers or {}, body, latency_s=0.1)
    return caught.value.failure


def chat(text: str | None = "The answer is pa", **parts: Any) -> dict[str, Any]:
    """A chat completion; `choice` has further members of its choice."""
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return {"choices": [{**choice, **parts.pop("choice", {})}], **parts}


# What is said.

NESTED = {"error": {"message": "Overloaded", "code": 529}}


@pytest.mark.parametrize(
    ("status", "document", "summary"),
    [
        (400, {"error": {"message": "No db.", "code": "400"}}, "400: No db."),
        (429, {"error": {"message": "slow", "code": 429}}, "429: slow"),
        (400, {"object": "error", "message": "bad", "code": 400}, "400: bad"),
        (401, {"detail": "Unauthorized"}, "401: Unauthorized"),
        (
            422,
            {"detail": [{"loc": ["body", "messages"], "msg": "field required"}]},
            "422: body.messages: field required",
        ),
        (
            422,
            {
                "object": "error",
                "message": {
                    "detail": [
                        {"loc": ["body", "top_p"], "msg": "too large"},
                        {"loc": ["body", "n", 0], "msg": "too small"},
                    ]
                },
            },
            "422: body.top_p: too large; body.n.0: too small",
        ),
        (
            403,
            {"success": False, "errors": [{"code": 10000, "message": "No entry"}]},
            "403 10000: No entry",
        ),
        (
            503,
            [{"error": {"code": 503, "message": "Busy.", "status": "UNAVAILABLE"}}],
            "503: Busy.",
        ),
        (
            502,
            {
                "error": {
                    "code": 502,
                    "message": "Provider returned error",
                    "metadata": {"raw": json.dumps(NESTED), "provider_name": "Acme"},
                }
            },
            "502: Provider returned error (Acme: Overloaded)",
        ),
        (
            403,
            {"error": {"message": "Flagged", "metadata": {"reasons": ["violence"]}}},
            "403: Flagged (violence)",
        ),
        (500, {"error": {"message": json.dumps(NESTED)}}, "500: Overloaded"),
        (500, {"error": ["one", "two"]}, "500: one; two"),
        (400, {"type": "about:blank", "title": "Bad", "status": 400}, "400: Bad"),
        (500, {"status": 500, "error": "Server Error", "path": "/"}, "500: Server Err"),
        (404, b'"Not Found"', "404: Not Found"),
        (502, b"<html><h1>Bad gateway</h1></html>", "502: Bad gateway"),
        (503, b"[]", "503: the server answered with HTTP status 503"),
        (503, b"", "503: the server answered with HTTP status 503"),
        (500, {"error": {"unheard": "of"}}, '500: {"error":{"unheard":"of"}}'),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_whatever_the_form_a_refusal_is_one_plain_sentence(
    status: int, document: object, summary: str
) -> None:
    assert read(document, status).summary.startswith(summary)


@pytest.mark.parametrize(
    "name", ["x-request-id", "request-id", "apim-request-id", "x-litellm-call-id"]
)
def test_what_support_asks_for_is_kept_of_answers_and_failures(name: str) -> None:
    headers = {name: "req-1"}

    response = read_reply(200, headers, orjson.dumps(chat()), latency_s=0.1)

    assert response.request_id == "req-1"
    assert read({"error": "no"}, 500, headers).request_id == "req-1"
    assert read({"error": "no"}, 200, headers).request_id == "req-1"
    assert read(b"", 200, headers).request_id == "req-1"
    broken_off = chat(choice={"finish_reason": "error"})
    assert read(broken_off, 200, headers).request_id == "req-1"
    nothing = chat("", choice={"finish_reason": None}, usage={"completion_tokens": 0})
    assert read(nothing, 200, headers).request_id == "req-1"


# When to come back.

MESSAGE = "You exceeded your current quota, please check your plan and billing details."


def google(quota: str, **delay: str) -> list[Any]:
    """A refusal as Gemini words it."""
    google_says = "type.googleapis.com/google.rpc."
    details: list[Any] = [
        {"@type": f"{google_says}QuotaFailure", "violations": [{"quotaId": quota}]}
    ]
    if delay:
        details.append({"@type": f"{google_says}RetryInfo", **delay})
    parts = {"code": 429, "message": MESSAGE, "status": "RESOURCE_EXHAUSTED"}
    return [{"error": {**parts, "details": details}}]


A_MINUTE = "GenerateRequestsPerMinutePerProjectPerModel-FreeTier"
A_DAY = "GenerateRequestsPerDayPerProjectPerModel-FreeTier"


@pytest.mark.parametrize(
    ("document", "headers", "verdict", "wait_s"),
    [
        (google(A_MINUTE, retryDelay="1.2s"), {}, Verdict.RETRY, 1.2),
        (google(A_MINUTE), {}, Verdict.RETRY, None),
        (google(A_DAY, retryDelay="34s"), {}, Verdict.STOP, 34),
        ({"error": {"message": MESSAGE}}, {}, Verdict.STOP, None),
        ({"error": {"message": MESSAGE}}, {"retry-after": "7"}, Verdict.RETRY, 7),
        (
            {"error": {"message": f"{MESSAGE} Please retry in 1.2s."}},
            {},
            Verdict.RETRY,
            1.2,
        ),
        (
            {"error": {"message": "slow", "code": "rate_limit_exceeded"}},
            {},
            Verdict.RETRY,
            None,
        ),
        (
            {"error": {"message": "Limit reached. Please try again in 1m2.5s. Visit"}},
            {},
            Verdict.RETRY,
            62.5,
        ),
        ({"error": {"message": "Try again in 250ms"}}, {}, Verdict.RETRY, 0.25),
        ({"error": {"message": "Retry after 20 seconds"}}, {}, Verdict.RETRY, 20),
        ({"error": {"message": "retry after 2 more calls"}}, {}, Verdict.RETRY, None),
        (
            {"error": {"message": "Try again in 9s"}},
            {"retry-after": "2"},
            Verdict.RETRY,
            2,
        ),
    ],
)
def test_what_says_when_to_come_back_is_a_rate_and_not_the_credit(
    document: object, headers: dict[str, str], verdict: Verdict, wait_s: float | None
) -> None:
    failure = read(document, 429, headers)

    assert failure.retry_after_s == wait_s
    assert classify(failure) is verdict


def test_a_quota_a_minute_is_waited_out_by_a_run() -> None:
    with ToldServer().in_thread() as server:
        refused = Reply(
            status=429, body=orjson.dumps(google(A_MINUTE, retryDelay="0.01s"))
        )
        server.reply = lambda _: refused if len(server.received) == 2 else answer()

        results = capitals(6, temperature=[0]).run(
            base_url=server.base_url, max_concurrency=1
        )

    assert (results.status, results.totals.answered) == ("complete", 6)
    assert len(server.received) == 7


# Errors where an answer should be.


@pytest.mark.parametrize(
    ("parts", "status", "verdict"),
    [
        ({"code": 429}, 429, Verdict.RETRY),
        ({"code": "429"}, 429, Verdict.RETRY),
        ({"code": 502}, 502, Verdict.RETRY),
        ({"type": "overloaded_error"}, 529, Verdict.RETRY),
        ({"status": "UNAVAILABLE"}, 503, Verdict.RETRY),
        ({"code": 401}, 401, Verdict.STOP),
        ({"code": "invalid_api_key"}, 401, Verdict.STOP),
        ({"code": 402}, 402, Verdict.STOP),
        ({"code": "insufficient_quota"}, 429, Verdict.STOP),
        ({"code": 404}, 404, Verdict.FAIL_MODEL),
        ({"code": 400}, 400, Verdict.FAIL),
        ({"code": 1301}, 200, Verdict.FAIL),
        ({"code": 200, "type": "no_such"}, 200, Verdict.FAIL),
        ({}, 200, Verdict.FAIL),
    ],
    ids=str,
)
def test_an_error_in_an_answers_place_is_judged_by_its_code(
    parts: dict[str, Any], status: int, verdict: Verdict
) -> None:
    failure = read({"error": {"message": "refused", **parts}})

    assert (failure.status, failure.message) == (status, "refused")
    assert classify(failure) is verdict


def test_an_array_of_errors_in_an_answers_place_is_read_too() -> None:
    failure = read(google(A_MINUTE, retryDelay="3s"))

    assert (failure.status, failure.retry_after_s) == (429, 3)


CHOICE = {"finish_reason": "error", "error": {"code": 502, "message": "gone"}}


@pytest.mark.parametrize(
    ("document", "status", "message"),
    [
        (chat(choice=CHOICE), 502, "gone"),
        (chat(error={"code": 502, "message": "gone"}), 502, "gone"),
        (chat(error="gone"), None, "gone"),
        (chat(choice={"error": {"message": "gone"}}), None, "gone"),
        (chat(choice={"finish_reason": "error"}), None, "finish_reason is 'error'"),
        (chat(choice={"finish_reason": "abort"}), None, "finish_reason is 'abort'"),
        (
            chat(choice={"finish_reason": {"type": "abort", "message": "gone"}}),
            None,
            "gone",
        ),
        (
            chat(choice={"finish_reason": "insufficient_system_resource"}),
            None,
            "insufficient_system_resource",
        ),
        (
            chat(None, choice={"finish_reason": None}, usage={"completion_tokens": 0}),
            None,
            "no text, no token and no finish_reason",
        ),
    ],
)
def test_what_broke_off_is_a_failure_that_is_repeated(
    document: dict[str, Any], status: int | None, message: str
) -> None:
    failure = read(document)

    assert (failure.kind, failure.status) == ("broken_off", status)
    assert message in failure.message
    assert classify(failure) is Verdict.RETRY


@pytest.mark.parametrize("nothing", [None, "", "  ", {}, [], False, {"message": None}])
def test_an_error_that_says_nothing_is_none(nothing: object) -> None:
    body = orjson.dumps(chat(error=nothing, choice={"error": nothing}))

    assert read_reply(200, {}, body, latency_s=0.1).output == "The answer is pa"


@pytest.mark.parametrize(
    "document",
    [
        chat(choice=CHOICE),
        chat(error={"code": 502, "message": "gone"}),
        chat(None, choice={"finish_reason": None}, usage={"completion_tokens": 0}),
        {"error": {"code": 429, "message": "slow"}},
        {"error": {"code": 503, "message": "busy"}},
    ],
    ids=["in the choice", "beside it", "nothing", "429 in a 200", "503 in a 200"],
)
def test_an_error_of_one_moment_is_asked_again_and_not_kept(document: Any) -> None:
    with ToldServer().in_thread() as server:
        broken = Reply(body=orjson.dumps(document))
        server.reply = lambda _: broken if len(server.received) == 1 else answer("yes")
        experiment = capitals(1, temperature=[0])

        once = experiment.run(base_url=server.base_url, max_attempts=1, max_wait_s=0)
        again = experiment.run(base_url=server.base_url)

    assert (once.totals.failed, again.totals.cached) == (1, 0)
    assert again.table["output"].tolist() == ["yes"]


@pytest.mark.parametrize("code", ["insufficient_quota", 401, 402])
def test_an_error_that_every_call_would_get_stops_the_run(code: object) -> None:
    with ToldServer().in_thread() as server:
        refused = {"error": {"message": "no more", "code": code}}
        server.reply = lambda _: Reply(body=orjson.dumps(refused))

        results = capitals(50).run(base_url=server.base_url, max_concurrency=4)

    assert results.status == "stopped"
    assert len(server.received) <= 8


# Whatever is sent.

NAMES = st.sampled_from(
    [
        *("choices", "message", "content", "finish_reason", "refusal", "tool_calls"),
        *("error", "errors", "detail", "details", "code", "type", "status", "msg"),
        *("loc", "metadata", "raw", "violations", "retryDelay", "object", "text"),
        *("usage", "completion_tokens", "prompt_tokens_details"),
    ]
)
WORDS = st.sampled_from(
    ["error", "abort", "stop", "length", "429", "{", "[1", '{"error": []}', "<p>", "1s"]
)
SCALARS = (
    st.none() | st.booleans() | st.integers(-1, 600) | st.floats() | st.text() | WORDS
)
DOCUMENTS = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(NAMES, inner, max_size=5)
        | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=25,
)
CHATS = st.builds(
    lambda document, choice, message: {
        **document,
        "choices": [{**choice, "message": message}],
    },
    st.dictionaries(NAMES, DOCUMENTS, max_size=4),
    st.dictionaries(NAMES, DOCUMENTS, max_size=4),
    st.dictionaries(NAMES, DOCUMENTS, max_size=3),
)
BODIES = (
    st.binary(max_size=60)
    | (DOCUMENTS | CHATS).map(lambda document: json.dumps(document).encode())
    | st.builds(
        lambda opening, depth: opening * depth,
        st.sampled_from([b"[", b'{"error":', b'{"choices":[{"message":']),
        st.integers(1, 2000),
    )
)
HEADERS = st.dictionaries(
    st.sampled_from(["retry-after", "retry-after-ms", "x-should-retry", "location"]),
    st.text(max_size=10) | st.sampled_from(["inf", "nan", "-1", "1e400", "2"]),
)


@settings(max_examples=400, deadline=None)
@given(
    status=st.sampled_from([200, 204, 301, 400, 401, 403, 404, 429, 500, 504, 999]),
    headers=HEADERS,
    body=BODIES,
)
def test_whatever_is_sent_is_an_answer_or_a_failure_and_nothing_else(
    status: int, headers: dict[str, str], body: bytes
) -> None:
    try:
        response = read_reply(status, headers, body, latency_s=0.1)
    except CallError as caught:
        failure = caught.failure
        assert failure.message
        assert "\n" not in failure.summary
        assert isinstance(classify(failure), Verdict)
        assert failure.retry_after_s is None or 0 <= failure.retry_after_s < 1e300
        assert orjson.dumps(failure.to_keep().to_plain())
    else:
        assert status < 300
        assert checked_response(response)  # a hit, once it is kept
        choice = response.document["choices"][0]
        assert choice.get("finish_reason") not in ("error", "abort")
        for said in (choice.get("error"), response.document.get("error")):
            blank = isinstance(said, str) and not said.strip()
            assert blank or not (any(said.values()) if isinstance(said, dict) else said)


def test_a_refusal_in_openais_form_is_read_as_before() -> None:
    reply = error(400, code="unsupported_value", type="invalid", param="top_p")

    failure = read(reply.body, 400)

    assert (failure.code, failure.type, failure.param, failure.message) == (
        *("unsupported_value", "invalid", "top_p"),
        "refused",
    )
