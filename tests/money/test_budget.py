"""Budgets: what is spent and reserved together never exceeds them."""

from __future__ import annotations

import math
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptlab.errors import SpecError
from promptlab.money.budget import (
    Budget,
    BudgetLimits,
    Spend,
    check_bounded,
    most_usd,
)
from promptlab.money.price import Price
from promptlab.spec.request import most_output
from promptlab.spec.usage import PriceContext, Usage

parts = st.one_of(st.floats(0, 10), st.just(math.inf))
amounts = st.builds(Spend, parts, parts)


@given(
    limits=st.tuples(parts, parts),
    calls=st.lists(st.tuples(amounts, st.floats(0, 1), st.booleans()), max_size=40),
)
def test_spent_and_reserved_never_exceed_the_limits_and_nothing_leaks(
    limits: tuple[float, float], calls: list[tuple[Spend, float, bool]]
) -> None:
    budget = Budget(BudgetLimits(*limits))
    in_flight = []
    for most, share, settles in calls:
        fits = not budget.limits.exceeded(budget.taken, most)
        reserved = budget.reserve(most)
        assert reserved is fits
        assert reserved or any(most)  # a call that takes nothing always may be made
        if reserved:
            in_flight.append((most, share))
        if settles and in_flight:
            most, share = in_flight.pop(0)
            budget.settle(most, Spend(*(part * share for part in most.counted)))

        assert budget.taken.usd <= limits[0] * (1 + 1e-6)
        assert budget.taken.tokens <= limits[1] * (1 + 1e-6)
    for most, _ in in_flight:
        budget.settle(most, Spend())

    assert budget.taken == pytest.approx(budget.spent, abs=1e-6)  # nothing leaks


@given(
    asked=st.integers(0, 400_000),
    read=st.floats(0, 1),
    written=st.floats(0, 1),
    given_=st.integers(0, 10_000),
)
def test_the_worst_case_is_never_below_what_a_call_costs(
    asked: int, read: float, written: float, given_: int
) -> None:
    long = Price(input=4, output=15, cached_input=0.4, cache_write=5)
    price = Price(
        input=2,
        output=10,
        cached_input=0.2,
        cache_write=2.5,
        long_from=272_000,
        long=long,
        as_of=date(2026, 11, 1),
    )
    cached = int(asked * read)
    usage = Usage(
        input_tokens=asked,
        cached_input_tokens=cached,
        cache_write_tokens=int((asked - cached) * written),
        output_tokens=given_,
    )

    cost = price.call_usd(usage)

    assert cost is not None
    assert cost <= most_usd(price, asked, given_) * (1 + 1e-9)


@pytest.mark.parametrize(
    ("most", "exceeded"),
    [
        (Spend(usd=0, tokens=50), ""),
        (Spend(usd=0.1, tokens=50), "usd"),
        (Spend(usd=0, tokens=150), "tokens"),
        (Spend(), ""),
    ],
)
def test_a_unit_of_which_a_call_takes_nothing_does_not_stop_it(
    most: Spend, exceeded: str
) -> None:
    spent = Spend(usd=2, tokens=100)

    assert BudgetLimits(usd=1, tokens=200).exceeded(spent, most) == exceeded


def test_an_error_of_the_arithmetic_stops_no_call() -> None:
    budget = Budget(BudgetLimits(usd=0.3))

    assert [budget.reserve(Spend(usd=0.1)) for _ in range(4)] == [True] * 3 + [False]


def test_what_nothing_bounds_is_never_free() -> None:
    budget = Budget(BudgetLimits(usd=1))

    assert not budget.reserve(Spend(usd=math.inf))
    assert budget.reserve(Spend(usd=0.5, tokens=math.inf))
    budget.settle(Spend(usd=0.5, tokens=math.inf), Spend(usd=0.1, tokens=20))

    assert budget.taken == pytest.approx(Spend(usd=0.1, tokens=20))
    assert "the next call may cost any amount" in budget.says(Spend(usd=math.inf))


def test_all_choices_of_an_answer_may_be_as_long_as_max_tokens() -> None:
    assert most_output({"max_tokens": 100}) == 100
    assert most_output({"max_completion_tokens": 100, "n": 3}) == 300
    assert most_output({"max_tokens": 100, "max_completion_tokens": 200}) == 200
    assert math.isinf(most_output({"n": 3}))
    for odd in ("100", [None], True, -1, 0):
        assert math.isinf(most_output({"max_tokens": odd}))
        assert math.isinf(most_output({"max_tokens": 100, "n": odd}))


HERE = PriceContext("http://localhost/v1", "llama", None, None, 20_000)
THERE = PriceContext("https://api.example.com/v1", "llama", None, None, 20_000)
PRICE = Price(input=1, output=1, cached_input=1, cache_write=1)
NOTHING = Price(input=0, output=0, cached_input=0, cache_write=0)
BOUNDED = {"max_tokens": 10}


@pytest.mark.parametrize(
    ("limits", "price", "context", "parameters", "refusal"),
    [
        (BudgetLimits(usd=1), None, THERE, BOUNDED, "no price is known for 'llama'"),
        (BudgetLimits(usd=1), PRICE, THERE, {}, "max_tokens"),
        (BudgetLimits(tokens=1), None, HERE, {}, "max_tokens"),
        (BudgetLimits(usd=1), PRICE, HERE, {}, "max_tokens"),
    ],
)
def test_what_no_budget_can_be_kept_for_is_refused(
    limits: BudgetLimits,
    price: Price | None,
    context: PriceContext,
    parameters: dict[str, int],
    refusal: str,
) -> None:
    with pytest.raises(SpecError, match=refusal):
        check_bounded([limits], price, context, most_output(parameters))


@pytest.mark.parametrize(
    ("limits", "price", "context", "parameters"),
    [
        (BudgetLimits(usd=1), None, HERE, {}),  # on this machine nothing is paid
        (BudgetLimits(tokens=1), None, THERE, BOUNDED),
        (BudgetLimits(usd=1), PRICE, THERE, BOUNDED),
        (BudgetLimits(usd=1), NOTHING, THERE, {}),
    ],
)
def test_what_a_budget_can_be_kept_for_is_not_refused(
    limits: BudgetLimits,
    price: Price | None,
    context: PriceContext,
    parameters: dict[str, int],
) -> None:
    check_bounded([limits], price, context, most_output(parameters))


def test_a_price_that_falls_for_long_prompts_is_not_the_worst_case() -> None:
    cheap = Price(input=1, output=1, cached_input=1, cache_write=1)
    price = Price(
        input=10, output=10, cached_input=10, cache_write=10, long_from=800, long=cheap
    )

    most = most_usd(price, 1_000, 100)

    short = price.call_usd(Usage(input_tokens=800, output_tokens=100))
    assert short is not None
    assert most >= short


def test_a_budget_that_is_reached_names_what_was_set() -> None:
    budget = Budget(BudgetLimits(usd=1))
    budget.reserve(Spend(usd=0.8, tokens=100))

    said = budget.says(Spend(usd=0.4, tokens=50))

    assert said.startswith("budget_usd of $1.00 is reached")
