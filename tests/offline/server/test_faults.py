"""Faults: each switch breaks what it says, and nothing else."""

from collections.abc import Callable

import openai
import orjson
import pytest

from promptlab.offline import Faults, OfflineServer

from ..conftest import ClientOf, Faulty, Hello

Outcomes = Callable[[Faults], list[str]]


@pytest.fixture
def outcomes(faulty: Faulty, hello: Hello) -> Outcomes:
    """What each of some calls in a row comes to."""

    def outcome(client: openai.OpenAI) -> str:
        try:
            hello(client)
        except openai.OpenAIError as error:
            return type(error).__name__
        return "answered"

    def outcomes(faults: Faults) -> list[str]:
        with faulty(faults) as (_, client):
            return [outcome(client) for _ in range(20)]

    return outcomes


def test_nothing_goes_wrong_by_default(faulty: Faulty, hello: Hello) -> None:
    with faulty(Faults()) as (server, client):
        hello(client)

        assert server.answered == server.calls == 1
        assert not server.injected


@pytest.mark.parametrize(
    ("kind", "error", "code"),
    [
        ("rate_limited", openai.RateLimitError, "rate_limit_exceeded"),
        ("server_errors", openai.InternalServerError, None),
        ("overloaded", openai.InternalServerError, None),
    ],
)
def test_shares_of_errors_are_errors_of_the_sdk(
    kind: str,
    error: type[openai.APIStatusError],
    code: str | None,
    faulty: Faulty,
    hello: Hello,
) -> None:
    with faulty(Faults(**{kind: 1.0})) as (server, client):
        with pytest.raises(error) as caught:
            hello(client)

        assert caught.value.code == code
        assert server.injected == {kind: 1}
        assert server.answered == 0


def test_dropped_connection_has_no_answer(faulty: Faulty, hello: Hello) -> None:
    with faulty(Faults(dropped=1)) as (server, client):
        with pytest.raises(openai.APIConnectionError):
            hello(client)

        assert server.injected == {"dropped": 1}


def no_json(text: str) -> bool:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return True
    return False


@pytest.mark.parametrize(
    ("kind", "broken"),
    [
        ("html", lambda text: text.startswith("<!DOCTYPE html>")),
        ("no_choices", lambda text: "choices" not in orjson.loads(text)),
        ("truncated_json", no_json),
        ("wrong_types", lambda text: orjson.loads(text)["choices"] == "nope"),
    ],
)
def test_malformed_replies_arrive_as_200(
    kind: str, broken: Callable[[str], bool], faulty: Faulty
) -> None:
    with faulty(Faults(**{kind: 1.0})) as (server, client):
        raw = client.chat.completions.with_raw_response.create(
            model="offline/small", messages=[{"role": "user", "content": "Hello"}]
        )

        assert raw.status_code == 200
        assert broken(raw.text)
        assert server.injected == {kind: 1}
        assert server.answered == 0


def test_empty_content_spends_the_budget_on_reasoning(
    faulty: Faulty, hello: Hello
) -> None:
    with faulty(Faults(empty_content=1)) as (_, client):
        reply = hello(client, max_completion_tokens=40)

    assert reply.choices[0].message.content == ""
    assert reply.choices[0].finish_reason == "length"
    assert reply.usage.completion_tokens == 40
    assert reply.usage.completion_tokens_details.reasoning_tokens == 40


def test_real_limit_of_requests_says_when_to_come_back(
    faulty: Faulty, hello: Hello
) -> None:
    with faulty(Faults(requests_per_minute=2)) as (server, client):
        hello(client)
        hello(client)
        with pytest.raises(openai.RateLimitError) as caught:
            hello(client)

    headers = caught.value.response.headers
    assert caught.value.code == "rate_limit_exceeded"
    assert caught.value.type == "requests"
    assert 29_000 < int(headers["retry-after-ms"]) <= 30_000
    assert headers["retry-after"] == "30"
    assert headers["x-ratelimit-limit-requests"] == "2"
    assert headers["x-ratelimit-remaining-requests"] == "0"
    assert headers["x-ratelimit-reset-requests"].startswith("59.")
    assert server.injected == {"requests_per_minute": 1}


def test_real_limit_of_tokens_counts_max_tokens_up_front(
    faulty: Faulty, hello: Hello
) -> None:
    with faulty(Faults(tokens_per_minute=100)) as (server, client):
        hello(client, max_tokens=80)
        with pytest.raises(openai.RateLimitError) as caught:
            hello(client, max_tokens=80)

    assert caught.value.type == "tokens"
    assert caught.value.response.headers["x-ratelimit-remaining-tokens"] == "20"
    assert server.injected == {"tokens_per_minute": 1}


def test_request_above_the_whole_limit_never_fits(faulty: Faulty, hello: Hello) -> None:
    with (
        faulty(Faults(tokens_per_minute=100)) as (_, client),
        pytest.raises(openai.RateLimitError, match="Request too large") as caught,
    ):
        hello(client, max_tokens=101)

    assert "retry-after" not in caught.value.response.headers


def test_limits_show_in_the_headers_of_answers(faulty: Faulty) -> None:
    with faulty(Faults(requests_per_minute=60, tokens_per_minute=6000)) as (_, client):
        raw = client.chat.completions.with_raw_response.create(
            model="offline/small",
            messages=[{"role": "user", "content": "Hello"}],
            max_tokens=100,
        )

    assert raw.headers["x-ratelimit-remaining-requests"] == "59"
    assert raw.headers["x-ratelimit-remaining-tokens"] == "5900"
    assert raw.headers["x-ratelimit-reset-requests"] == "1s"


def test_quota_ends_after_so_many_answers(faulty: Faulty, hello: Hello) -> None:
    with faulty(Faults(quota_after=2)) as (server, client):
        hello(client)
        hello(client)
        with pytest.raises(openai.RateLimitError) as caught:
            hello(client)

    assert caught.value.code == caught.value.type == "insufficient_quota"
    assert "retry-after" not in caught.value.response.headers
    assert server.injected == {"quota_after": 1}


@pytest.mark.parametrize("param", ["max_tokens", "temperature", "top_p", "stop"])
def test_reasoning_model_refuses_what_it_does_not_take(
    param: str, faulty: Faulty, hello: Hello
) -> None:
    with (
        faulty(Faults(reasoning=True)) as (_, client),
        pytest.raises(openai.BadRequestError, match="Unsupported parameter") as caught,
    ):
        hello(client, **{param: "x" if param == "stop" else 1})

    assert caught.value.code == "unsupported_parameter"
    assert caught.value.param == param


def test_reasoning_model_takes_temperature_without_effort(
    faulty: Faulty, hello: Hello
) -> None:
    with faulty(Faults(reasoning=True)) as (server, client):
        hello(client, temperature=0, reasoning_effort="none")
        hello(client, max_completion_tokens=5)

        assert server.answered == 2


def test_same_seed_meets_the_same_faults(outcomes: Outcomes) -> None:
    faults = Faults(server_errors=0.3, rate_limited=0.2, seed=4)

    first, again = outcomes(faults), outcomes(faults)
    other = outcomes(Faults(server_errors=0.3, rate_limited=0.2, seed=5))

    assert first == again != other
    assert set(first) == {"answered", "InternalServerError", "RateLimitError"}


def test_latency_is_waited_for(faulty: Faulty) -> None:
    with faulty(Faults(latency_s=0.05, jitter_s=0.01)) as (_, client):
        raw = client.chat.completions.with_raw_response.create(
            model="offline/small", messages=[{"role": "user", "content": "Hello"}]
        )

    assert int(raw.headers["openai-processing-ms"]) >= 50


def test_faults_do_not_change_answers(
    client_of: ClientOf, faulty: Faulty, hello: Hello
) -> None:
    question = {"seed": 3, "temperature": 1.5, "model": "offline/large"}
    with OfflineServer().in_thread() as server, client_of(server) as client:
        plain = hello(client, **question).choices[0].message.content
    with faulty(Faults(server_errors=0.5, seed=1)) as (_, client):
        texts = set()
        for _ in range(8):
            try:
                texts.add(hello(client, **question).choices[0].message.content)
            except openai.InternalServerError:
                continue

    assert texts == {plain}


@pytest.mark.parametrize(
    "wrong",
    [
        {"dropped": 1.2},
        {"html": -0.1},
        {"dropped": 0.6, "html": 0.6},
        {"latency_s": -1},
        {"requests_per_minute": 0},
        {"server_errors": float("nan")},
    ],
    ids=str,
)
def test_impossible_faults_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong)).split("_")[0] + "|shares"):
        Faults(**wrong)
