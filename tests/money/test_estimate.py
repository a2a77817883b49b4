"""Estimates: the least and the most that calls to come may take."""

from __future__ import annotations

import pytest

from promptlab.money.estimate import Estimate
from promptlab.money.price import Price
from promptlab.money.tokens import PER_REPLY, Calibration, TokenCounter

EXACT = Calibration(TokenCounter("exact", 0.0, len))
PRICE = Price(input=2, output=10, cached_input=0.2, cache_write=2.5, source="mine")


def of_calls(
    *said: int, most_output: float = 100, tool_tokens: int = 0, replies: int = 0
) -> Estimate:
    """Calls whose messages take so many tokens, after so many replies to come."""
    estimate = Estimate(most_output, tool_tokens)
    for tokens in said:
        estimate.add([tokens - PER_REPLY], [None] * replies)
    return estimate


def test_a_price_for_each_call_is_counted_once_for_each() -> None:
    price = Price(input=0, output=0, cached_input=0, cache_write=0, call=0.01)

    for calls in (1, 3):
        cost = of_calls(*[50] * calls).cost_usd(price, EXACT)

        assert cost == pytest.approx((0.01 * calls, 0.01 * calls))


def test_the_most_has_all_input_written_to_the_provider_s_cache() -> None:
    low, high = of_calls(200).cost_usd(PRICE, EXACT)

    assert high == pytest.approx((200 * 2.5 + 100 * 10) * 1e-6)
    assert low == pytest.approx((200 * 2 + 1 * 10) * 1e-6)


def test_replies_that_are_sent_on_may_make_a_call_long_and_dear() -> None:
    long = Price(input=20, output=100, cached_input=2, cache_write=20)
    price = Price(
        input=2, output=10, cached_input=2, cache_write=2, long_from=1_000, long=long
    )
    conversation = of_calls(500, most_output=600, replies=1)

    _, high = conversation.cost_usd(price, EXACT)

    assert high == pytest.approx((1_100 * 20 + 600 * 100) * 1e-6)


def test_what_is_attached_is_in_the_least_once_a_server_has_counted_it() -> None:
    counted = Calibration(EXACT.counter, calls=1)
    estimate = of_calls(50, 50, tool_tokens=30)

    assert estimate.input_tokens(EXACT) == (100, 160)
    assert estimate.input_tokens(counted) == (160, 160)
