"""Usage: the same counts, whichever dialect a server writes them in."""

from __future__ import annotations

import math
from dataclasses import astuple
from typing import Any

import pytest
from genai_prices import extract_usage
from hypothesis import given
from hypothesis import strategies as st

from promptlab.money.price import Price
from promptlab.spec.usage import Usage, read_usage

CHAT = {"prompt_tokens": 1000, "completion_tokens": 9, "total_tokens": 1009}

DIALECTS = {
    "plain": (CHAT, Usage(1000, None, 9)),
    "OpenAI's chat": (
        {
            **CHAT,
            "prompt_tokens_details": {"cached_tokens": 960, "cache_write_tokens": 20},
            "completion_tokens_details": {"reasoning_tokens": 5},
        },
        Usage(1000, 960, 9, 5, 20),
    ),
    "OpenAI's Responses": (
        {
            "input_tokens": 1000,
            "input_tokens_details": {"cached_tokens": 960},
            "output_tokens": 9,
            "output_tokens_details": {"reasoning_tokens": 5},
            "total_tokens": 1009,
        },
        Usage(1000, 960, 9, 5),
    ),
    "Anthropic's messages": (
        {
            "input_tokens": 20,
            "cache_read_input_tokens": 960,
            "cache_creation_input_tokens": 20,
            "output_tokens": 9,
        },
        Usage(1000, 960, 9, None, 20),
    ),
    "Anthropic's through a gateway": (
        {**CHAT, "cache_read_input_tokens": 960, "cache_creation_input_tokens": 0},
        Usage(1000, 960, 9, None, 0),
    ),
    "Anthropic's through a gateway that does not count what is cached": (
        {
            "prompt_tokens": 40,
            "completion_tokens": 9,
            "total_tokens": 1009,
            "cache_read_input_tokens": 960,
        },
        Usage(1000, 960, 9),
    ),
    "LiteLLM's": (
        {
            **CHAT,
            "prompt_tokens_details": {"cached_tokens": 960, "cache_creation_tokens": 4},
            "cache_read_input_tokens": 960,
            "cache_creation_input_tokens": 4,
        },
        Usage(1000, 960, 9, None, 4),
    ),
    "DeepSeek's": (
        {**CHAT, "prompt_cache_hit_tokens": 960, "prompt_cache_miss_tokens": 40},
        Usage(1000, 960, 9),
    ),
    "Moonshot's": ({**CHAT, "cached_tokens": 960}, Usage(1000, 960, 9)),
    "xAI's": (
        {
            "prompt_tokens": 32,
            "completion_tokens": 9,
            "total_tokens": 1041,
            "completion_tokens_details": {"reasoning_tokens": 1000},
        },
        Usage(32, None, 1009, 1000),
    ),
    "xAI's without a total": (
        {
            "prompt_tokens": 32,
            "completion_tokens": 9,
            "completion_tokens_details": {"reasoning_tokens": 1000},
        },
        Usage(32, None, 1009, 1000),
    ),
    "Gemini's": (
        {"prompt_tokens": 20, "completion_tokens": 198, "total_tokens": 623},
        Usage(20, None, 603),
    ),
    "with reasoning at the top": (
        {**CHAT, "reasoning_tokens": 4},
        Usage(1000, None, 9, 4),
    ),
    "with an answer that is all reasoning": (
        {**CHAT, "completion_tokens_details": {"reasoning_tokens": 9}},
        Usage(1000, None, 9, 9),
    ),
    "whole floats": (
        {"prompt_tokens": 1000.0, "completion_tokens": 9.0, "total_tokens": 1009.0},
        Usage(1000, None, 9),
    ),
    "strings": (
        {"prompt_tokens": "1000", "completion_tokens": "9"},
        Usage(1000, None, 9),
    ),
    "with input from the total": (
        {"completion_tokens": 9, "total_tokens": 1009},
        Usage(1000, None, 9),
    ),
    "with output from the total": (
        {"prompt_tokens": 1000, "total_tokens": 1009},
        Usage(1000, None, 9),
    ),
    "with a total that is too small": (
        {**CHAT, "total_tokens": 3},
        Usage(1000, None, 9),
    ),
}


@pytest.mark.parametrize(("block", "usage"), DIALECTS.values(), ids=DIALECTS)
def test_a_block_is_read_whichever_dialect_it_is_in(
    block: dict[str, Any], usage: Usage
) -> None:
    assert read_usage(block) == usage


@pytest.mark.parametrize(
    "number", [None, True, -1, 1.5, "ten", "1.5", "nan", math.inf, 2**60, 10**400, [1]]
)
def test_what_is_no_number_of_tokens_is_unknown(number: Any) -> None:
    assert read_usage({"prompt_tokens": number, "completion_tokens": 9}) == Usage(
        output_tokens=9
    )


def test_parts_that_exceed_their_whole_were_counted_beside_it() -> None:
    block = {
        "prompt_tokens": 10,
        "completion_tokens": 5,
        "total_tokens": 15,
        "prompt_tokens_details": {"cached_tokens": 1000, "cache_write_tokens": 7},
        "completion_tokens_details": {"reasoning_tokens": 20},
    }

    assert read_usage(block) == Usage(1017, 1000, 25, 20, 7)


@pytest.mark.parametrize(
    ("dialect", "provider", "flavor", "model"),
    [
        ("OpenAI's chat", "openai", "chat", "gpt-5-mini"),
        ("OpenAI's Responses", "openai", "responses", "gpt-5-mini"),
        ("Anthropic's messages", "anthropic", "default", "claude-sonnet-4-0"),
        ("xAI's", "x-ai", "chat", "grok-4-0709"),
    ],
)
def test_genai_prices_reads_the_same(
    dialect: str, provider: str, flavor: str, model: str
) -> None:
    block, ours = DIALECTS[dialect]

    theirs = extract_usage(
        {"model": model, "usage": block}, provider_id=provider, api_flavor=flavor
    ).usage

    said = (
        theirs.input_tokens,
        theirs.cache_read_tokens,
        theirs.output_tokens,
        getattr(theirs, "output_reasoning_tokens", 0),
        theirs.cache_write_tokens,
    )
    assert [count or 0 for count in astuple(ours)] == [count or 0 for count in said]


counts = st.one_of(
    st.none(),
    st.integers(-5, 5_000),
    st.integers(0, 2**64),
    st.floats(),
    st.booleans(),
    st.integers(0, 5_000).map(str),
    st.text(max_size=3),
)
NAMES = [
    *("prompt_tokens", "input_tokens", "completion_tokens", "output_tokens"),
    *("total_tokens", "cached_tokens", "cache_read_input_tokens"),
    *("prompt_cache_hit_tokens", "cache_creation_input_tokens", "cache_write_tokens"),
    *("cache_creation_tokens", "reasoning_tokens"),
]
DETAILS = ["prompt_tokens_details", "completion_tokens_details", "input_tokens_details"]
flat = st.dictionaries(st.sampled_from(NAMES), counts)
blocks = st.builds(
    lambda top, more: {**top, **more},
    flat,
    st.dictionaries(st.sampled_from(DETAILS), st.one_of(flat, counts)),
)


@given(block=blocks, rates=st.tuples(*[st.floats(0, 1_000)] * 4))
def test_whatever_a_server_says_parts_are_within_and_no_call_costs_less_than_nothing(
    block: dict[str, Any], rates: tuple[float, float, float, float]
) -> None:
    price = Price(
        input=rates[0], output=rates[1], cached_input=rates[2], cache_write=rates[3]
    )

    usage = read_usage(block)

    if usage.input_tokens is not None:
        parts = (usage.cached_input_tokens or 0) + (usage.cache_write_tokens or 0)
        assert 0 <= parts <= usage.input_tokens
    if usage.output_tokens is not None:
        assert 0 <= (usage.reasoning_tokens or 0) <= usage.output_tokens
    cost_usd = price.call_usd(usage)
    assert cost_usd is None or cost_usd >= 0
