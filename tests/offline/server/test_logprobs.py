"""Log probabilities: those of what the offline model drew, on the tokens it gave."""

from __future__ import annotations

import math
from typing import Any

import openai
import pytest

from ..conftest import Hello

CHOICE = {
    "messages": [
        {
            "role": "user",
            "content": "Which team should answer: billing, shipping or sales? "
            "Ticket: my parcel and its invoice are late. Answer with one word.",
        }
    ],
    "seed": 1,
}


def test_tokens_and_their_logprobs_make_up_the_answer(
    client: openai.OpenAI, hello: Hello
) -> None:
    choice = hello(client, **CHOICE, logprobs=True).choices[0]

    scored = choice.logprobs.content
    assert "".join(each.token for each in scored) == choice.message.content
    assert all(each.logprob <= 0 for each in scored)
    assert all(bytes(each.bytes).decode() == each.token for each in scored)
    assert all(each.top_logprobs == [] for each in scored)


def test_alternatives_are_the_options_with_their_likelihoods(
    client: openai.OpenAI, hello: Hello
) -> None:
    choice = hello(client, **CHOICE, logprobs=True, top_logprobs=5).choices[0]

    first = choice.logprobs.content[0]
    likelihoods = {each.token: math.exp(each.logprob) for each in first.top_logprobs}
    assert first.token in likelihoods
    assert likelihoods[first.token] == pytest.approx(math.exp(first.logprob))
    assert sum(likelihoods.values()) == pytest.approx(1)
    assert len(likelihoods) == 3
    assert list(likelihoods.values()) == sorted(likelihoods.values(), reverse=True)


def test_likelihoods_are_those_of_temperature_one_at_any_temperature(
    client: openai.OpenAI, hello: Hello
) -> None:
    def likelihoods(temperature: float) -> dict[str, float]:
        request = {**CHOICE, "temperature": temperature}
        reply = hello(client, **request, logprobs=True, top_logprobs=3)
        top = reply.choices[0].logprobs.content[0].top_logprobs
        return {each.token: round(each.logprob, 9) for each in top}

    assert likelihoods(0) == likelihoods(1) == likelihoods(2)


def test_without_asking_there_are_none(client: openai.OpenAI, hello: Hello) -> None:
    assert hello(client, **CHOICE).choices[0].logprobs is None


def test_a_stream_has_them_too(client: openai.OpenAI, hello: Hello) -> None:
    request: dict[str, Any] = {**CHOICE, "logprobs": True, "top_logprobs": 2}
    whole = hello(client, **request).choices[0].logprobs.content

    streamed = [
        item
        for chunk in hello(client, **request, stream=True)
        if chunk.choices[0].logprobs
        for item in chunk.choices[0].logprobs.content
    ]

    assert streamed == whole
