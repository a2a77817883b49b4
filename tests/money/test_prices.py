"""Prices: list prices and own ones, and what is unknown is NaN, never 0."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pytest
from genai_prices import Usage as TheirUsage
from genai_prices import calc_price
from hypothesis import given
from hypothesis import strategies as st

import promptlab as pl
from promptlab.errors import SpecError
from promptlab.money.amounts import dollars
from promptlab.money.usage import Terms

TODAY = (date(2026, 11, 24) - date(1970, 1, 1)).days
OPENAI = "https://api.openai.com/v1"


def terms(
    model: str = "gpt-6-sol",
    *,
    base_url: str = OPENAI,
    snapshot: str | None = None,
    tier: str | None = None,
    day: int = TODAY,
) -> Terms:
    return Terms(base_url, model, snapshot, tier, day)


def test_cached_input_is_part_of_all_input_and_costs_less() -> None:
    usage = pl.Usage(input_tokens=2006, cached_input_tokens=1920, output_tokens=300)

    cost = pl.Prices().cost_usd(terms(), usage)

    assert cost == pytest.approx((86 * 2 + 1920 * 0.2 + 300 * 10) / 1e6)


@given(
    st.integers(0, 400_000),
    st.floats(0, 1),
    st.floats(0, 1),
    st.integers(0, 50_000),
    st.sampled_from(["gpt-6-sol", "gpt-6-luna", "gpt-5.4-mini", "gpt-4.1"]),
    st.sampled_from([None, "default", "flex", "priority"]),
)
def test_what_a_call_costs_is_what_genai_prices_says(
    tokens: int, read: float, written: float, output: int, model: str, tier: str | None
) -> None:
    cached = int(tokens * read)
    wrote = int((tokens - cached) * written) if "6" in model else 0
    theirs = calc_price(
        TheirUsage(
            input_tokens=tokens,
            cache_read_tokens=cached,
            cache_write_tokens=wrote,
            output_tokens=output,
        ),
        model,
        provider_id="openai",
        genai_request_timestamp=datetime(2026, 11, 24, tzinfo=UTC),
        price_context={"service_tier": tier} if tier else None,
    )

    ours = pl.Prices().cost_usd(
        terms(model, tier=tier), pl.Usage(tokens, cached, output, 0, wrote)
    )

    assert ours == pytest.approx(float(theirs.total_price), rel=1e-9)


def test_numbers_and_arrays_cost_the_same() -> None:
    price = pl.Prices().price(terms())
    assert price is not None
    calls = [(10, 0, 0, 5), (300_000, 1_000, 0, 10), (272_000, 0, 0, 1)]

    together = price.cost_usd(*map(np.asarray, zip(*calls, strict=True)))

    assert together.tolist() == [float(price.cost_usd(*call)) for call in calls]


def test_the_tier_that_served_decides() -> None:
    usage = pl.Usage(100_000, 0, 0)

    costs = {
        tier: pl.Prices().cost_usd(terms("gpt-6-luna", tier=tier), usage)
        for tier in (None, "default", "flex", "priority")
    }

    assert costs == pytest.approx(
        {None: 0.01, "default": 0.01, "flex": 0.005, "priority": 0.02}
    )


@pytest.mark.parametrize(
    "unknown",
    [
        terms("a-model-of-ours"),
        terms("gpt-6-sol", base_url="http://localhost:11434/v1"),
        terms("offline/small", base_url="offline://1"),
        terms("gpt-6-sol", base_url="https://api.groq.com/openai/v1"),
    ],
    ids=["model", "this machine", "offline", "not the provider's"],
)
def test_an_unknown_price_is_nan_and_never_0(unknown: Terms) -> None:
    assert math.isnan(pl.Prices().cost_usd(unknown, pl.Usage(10, 0, 10)))


@pytest.mark.parametrize("usage", [pl.Usage(), pl.Usage(10), pl.Usage(None, None, 10)])
def test_without_token_counts_the_cost_is_unknown(usage: pl.Usage) -> None:
    assert math.isnan(pl.Prices().cost_usd(terms(), usage))


def test_behind_a_gateway_the_model_has_its_own_makers_price() -> None:
    gateway = terms("gpt-6-sol", base_url="https://gateway.example/v1")

    assert pl.Prices().cost_usd(gateway, pl.Usage(1_000, 0, 0)) == 0.002


def test_a_deployment_is_priced_as_the_model_that_answers() -> None:
    deployment = terms("our-deployment", snapshot="gpt-6-sol")

    assert pl.Prices().cost_usd(deployment, pl.Usage(1_000, 0, 0)) == 0.002


# Own prices.


def test_own_prices_win_by_name_then_by_pattern() -> None:
    prices = pl.Prices.of(
        {
            "offline/*": {"input": 1, "output": 2},
            "offline/small": {"input": 3, "output": 4, "cached_input": 0.5},
        }
    )

    def cost(model: str) -> float:
        offline = terms(model, base_url="offline://1")
        return prices.cost_usd(offline, pl.Usage(1_000_000, 500_000, 0))

    assert cost("offline/small") == 0.5 * 3 + 0.5 * 0.5
    assert cost("offline/large") == 1
    assert prices.cost_usd(terms(), pl.Usage(1_000, 0, 0)) == 0.002


def test_a_price_holds_from_its_day() -> None:
    prices = pl.Prices.of(
        {"m": {"input": 2, "output": 2, "valid_from": "2026-11-24"}},
    )

    assert prices.cost_usd(terms("m"), pl.Usage(1_000_000, 0, 0)) == 2
    assert math.isnan(prices.cost_usd(terms("m", day=TODAY - 1), pl.Usage(1, 0, 0)))


@pytest.mark.parametrize(
    ("given_", "said"),
    [
        ([1], "prices is a mapping of models to prices"),
        ({"m": 3}, "the price of 'm' is a mapping with input and output"),
        ({"m": {"input": 1}}, "with input and output"),
        ({"m": {"input": 1, "output": -1}}, "output is a number from 0, not -1"),
        ({"m": {"input": "1", "output": 1}}, "input is a number from 0, not '1'"),
        ({"m": {"input": 1, "output": float("inf")}}, "a number from 0, not inf"),
        ({"m": {"input": 1, "output": 1, "out": 1}}, "has 'out'; there are input"),
        (
            {"m": {"input": 1, "output": 1, "valid_from": "soon"}},
            "valid_from is a day such as 2026-11-01, not 'soon'",
        ),
    ],
)
def test_a_wrong_table_is_told(given_: Any, said: str) -> None:
    with pytest.raises(SpecError, match=said):
        pl.Prices.of(given_)


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (0, "$0.00"),
        (0.0000012, "$0.0000012"),
        (0.00343, "$0.0034"),
        (0.5, "$0.50"),
        (0.9999, "$1.00"),
        (12.3, "$12.30"),
        (1234.5, "$1,234"),
        (float("nan"), "–"),
    ],
)
def test_amounts_are_shown_with_two_digits_that_say_something(
    amount: float, text: str
) -> None:
    assert dollars(amount) == text
