"""Costs: what each row cost, what this run paid, and what nobody knows."""

from __future__ import annotations

import math
from dataclasses import astuple
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pytest
from seen import Seen

import promptlab as pl
from promptlab.money.own_prices import own_price
from promptlab.results.columns import OutcomeColumns
from promptlab.results.costs import Pricing
from promptlab.spec.response import ReplySummary

from .making import FAILURE, experiment, head

PRICES = pl.Prices.of({"m": {"input": 1, "output": 10, "cached_input": 0.5}})
CALL = (10 * 1 + 5 * 10) / 1e6
"""Of an answer with 10 + 5 tokens."""


def results(asked: pl.Experiment, answers: OutcomeColumns) -> pl.Results:
    return pl.Results(asked, answers, pricing=Pricing(asked, PRICES))


def test_a_row_costs_the_same_from_the_cache_and_is_billed_nothing() -> None:
    asked = experiment()
    answers = OutcomeColumns(2)
    answers.put(0, [head("a")], "k", paid=[True])
    answers.put(1, [head("b")], "l")

    made = results(asked, answers)

    assert made.table["cost_usd"].tolist() == pytest.approx([CALL, CALL])
    assert made.table["billed_usd"].tolist() == pytest.approx([CALL, 0])
    assert made.totals.cost_usd == pytest.approx(2 * CALL)
    assert made.totals.billed_usd == pytest.approx(CALL)
    assert "$0.000060 paid" in made.headline


def test_a_conversation_is_billed_for_the_calls_that_were_new() -> None:
    asked = experiment([{"t": "a"}])
    answers = OutcomeColumns(1)
    heads = [head("one"), head("two", tokens=(20, 8, 1, 0, 0))]
    answers.put(0, heads, "k", [False, True])

    (record,) = results(asked, answers)

    second = (12 * 1 + 8 * 0.5 + 1 * 10) / 1e6
    assert record.cost_usd == pytest.approx(CALL + second)
    assert record.billed_usd == pytest.approx(second)


def test_what_was_paid_before_a_failure_is_billed() -> None:
    asked = experiment([{"t": "a"}])
    answers = OutcomeColumns(1)
    answers.fail(0, FAILURE, [head("one")], [True])

    (record,) = results(asked, answers)

    assert record.cost_usd is None
    assert record.billed_usd == pytest.approx(CALL)


def test_an_unknown_price_makes_totals_unknown_and_is_named() -> None:
    asked = experiment(model=["m", "other"])
    answers = OutcomeColumns(4)
    for index in range(4):
        answers.put(index, [head("a")], "k", paid=[True])

    made = results(asked, answers)

    assert made.table["cost_usd"].isna().tolist() == [False, True, False, True]
    assert math.isnan(made.totals.cost_usd)
    assert made.unpriced == ("other",)
    assert "paid" not in made.headline


def test_prices_are_those_of_the_day_of_the_answer() -> None:
    prices = pl.Prices.of({"m": {"input": 1, "output": 1, "valid_from": "2026-09-22"}})
    asked = experiment()
    answers = OutcomeColumns(2)
    answers.put(0, [head("a", received_s=1_790_000_000.0)], "k")  # 2026-09-21
    answers.put(1, [head("a", received_s=1_790_100_000.0)], "k")

    made = pl.Results(asked, answers, pricing=Pricing(asked, prices))

    assert made.table["cost_usd"].isna().tolist() == [True, False]


def test_prices_are_those_of_the_half_hour_of_the_answer() -> None:
    asked = experiment(
        [{"t": "a"}],
        repeats=48,
        model=["deepseek-v4-pro"],
        base_url=["https://api.deepseek.com"],
    )
    midnight_s = datetime(2026, 11, 24, tzinfo=UTC).timestamp()
    heads = [
        head("a", model=None, received_s=midnight_s + 1800 * half_hour)
        for half_hour in range(48)
    ]
    answers = OutcomeColumns(48)
    for index, said in enumerate(heads):
        answers.put(index, [said], "k")
    pricing = Pricing(asked)

    costs = pl.Results(asked, answers, pricing=pricing).table["cost_usd"].tolist()

    assert costs == pytest.approx([pricing.call_usd(0, said) for said in heads])
    assert min(costs) < max(costs)  # it is dearer at some hours


def test_rows_are_priced_together_as_they_are_one_by_one() -> None:
    asked = experiment([{"t": "a"}], repeats=1000, temperature=[0, 1])
    answers = OutcomeColumns(len(asked))
    rng = np.random.default_rng(0)
    tokens = rng.integers(0, 1000, (len(asked), 2))
    for index, (given, got) in enumerate(tokens.tolist()):
        answers.put(index, [head("a", tokens=(given, 0, got, 0, 0))], "k")

    cost = results(asked, answers).table["cost_usd"]

    each = [(given * 1 + got * 10) / 1e6 for given, got in tokens.tolist()]
    assert cost.tolist() == pytest.approx(each)


LONG = pl.Prices.of(
    {
        "m": {
            "input": 2,
            "output": 10,
            "cached_input": 0.2,
            "cache_write": 2.5,
            "long_from": 500,
            "long": {"input": 4, "output": 15, "cached_input": 0.4, "cache_write": 5},
        }
    }
)


def test_what_is_priced_together_costs_what_each_call_costs_alone() -> None:
    asked = experiment([{"t": "a"}], repeats=500)
    rng = np.random.default_rng(1)
    answers = OutcomeColumns(len(asked))
    usages = []
    for index in range(len(asked)):
        counts = rng.integers(0, 300, 4).tolist()
        told = [n if rng.random() < 0.9 else None for n in counts]
        read, written, more, given = told
        whole = None if more is None else more + (read or 0) + (written or 0)
        usages.append(pl.Usage(whole, read, given, None, written))
        answers.put(index, [head("a", tokens=astuple(usages[-1]))], "k", [True])

    made = pl.Results(asked, answers, pricing=Pricing(asked, LONG))

    price = LONG.own[0].price
    alone = [price.call_usd(usage) for usage in usages]
    assert [record.usage for record in made] == usages
    assert [record.cost_usd for record in made] == pytest.approx(alone)
    assert alone.count(None) > 50
    known = [u for u in usages if None not in (u.input_tokens, u.cached_input_tokens)]
    saved = [price.prompt_cache_saved_usd(usage) for usage in known]
    complete = pl.Results(
        experiment([{"t": "a"}], repeats=len(known)),
        _answers([astuple(usage) for usage in known]),
        pricing=Pricing(experiment([{"t": "a"}], repeats=len(known)), LONG),
    )
    assert complete.totals.prompt_cache_saved_usd == pytest.approx(sum(saved))


def _answers(tokens: list[tuple[int | None, ...]]) -> OutcomeColumns:
    """Paid answers that took so much."""
    answers = OutcomeColumns(len(tokens))
    for index, counts in enumerate(tokens):
        answers.put(index, [head("a", tokens=counts)], "k", [True])
    return answers


def test_a_record_has_all_that_its_price_goes_by() -> None:
    asked = experiment([{"t": "a"}])
    tokens = (1_000, 200, 30, 10, 300)

    (record,) = pl.Results(asked, _answers([tokens]), pricing=Pricing(asked, LONG))

    assert record.usage == pl.Usage(*tokens)
    assert record.price is not None
    assert record.price.call_usd(record.usage) == record.cost_usd


def test_an_answer_whose_output_is_not_counted_has_no_cost() -> None:
    asked = experiment([{"t": "a"}])

    (record,) = results(asked, _answers([(10, 0, None, None, None)]))

    assert record.cost_usd is None


def reporting(text: str, usd: float | None, **more: Any) -> ReplySummary:
    """A reply that says what it cost."""
    return head(text, **more)._replace(reported_cost_usd=usd)


def test_what_replies_say_that_they_cost_is_the_cost() -> None:
    asked = experiment([{"t": str(n)} for n in range(3)], model=["m", "unlisted"])
    answers = OutcomeColumns(6)
    costs = [0.5, 0.25, None, 0.125, 0, None]
    for index, usd in enumerate(costs):
        answers.put(index, [reporting("a", usd)], "k", paid=[True])

    made = results(asked, answers)

    told = [0.5, 0.25, CALL, 0.125, 0, None]
    assert [r.cost_usd for r in made] == pytest.approx(told)
    assert [r.cost_source for r in made] == [
        *("the reply", "the reply", "own prices"),
        *("the reply", "the reply", None),
    ]
    assert [r.price is None for r in made] == [True, True, False, True, True, True]
    assert made.unpriced == ("unlisted",)
    by_source = made.prices.set_index(["model", "source"])["input"]
    assert by_source[("m", "own prices")] == 1
    assert math.isnan(by_source[("m", "the reply")])


def test_nothing_is_said_to_be_unpriced_whose_replies_say_what_they_cost() -> None:
    asked = experiment([{"t": "a"}], model=["unlisted"])
    answers = OutcomeColumns(1)
    answers.put(0, [reporting("a", 0.5)], "k", paid=[True])

    made = results(asked, answers)

    assert (made.unpriced, made.price_note) == ((), "")
    assert made.totals.billed_usd == 0.5


def test_a_conversation_costs_what_each_of_its_replies_says_or_its_price() -> None:
    asked = experiment([{"t": "a"}])
    answers = OutcomeColumns(1)
    replies = [reporting("one", 0.5), head("two"), reporting("three", 0.25)]
    answers.put(0, replies, "k", [False, True, True])

    (record,) = results(asked, answers)

    assert record.cost_usd == pytest.approx(0.75 + CALL)
    assert record.billed_usd == pytest.approx(0.25 + CALL)


OPENAI = "https://api.openai.com/v1"


def listed(asked: pl.Experiment, answers: OutcomeColumns) -> pl.Results:
    """The results of models that were asked at OpenAI, at list prices."""
    routes = dict.fromkeys(("gpt-6-luna", "gpt-6-sol", "unheard-of"), OPENAI)
    return pl.Results(asked, answers, pricing=Pricing(asked, routes=routes))


def test_a_record_says_at_which_price_and_whose_that_is() -> None:
    asked = experiment([{"t": "a"}], model=["gpt-6-luna", "unheard-of"])
    answers = OutcomeColumns(2)
    answers.put(0, [head("a", service_tier="flex")], "k")
    answers.put(1, [head("b")], "l")
    later = 1_792_500_000.0  # 2026-10-20, when rates of tiers are known
    answers.received_s[0] = answers.received_s[1] = later

    known, unknown = listed(asked, answers)

    assert known.price is not None
    assert known.price.source.startswith("genai-prices ")
    assert known.price.as_of == date(2026, 10, 12)
    assert known.cost_usd == known.price.cost_usd(10, 0, 0, 5)
    assert (unknown.price, unknown.cost_usd) == (None, None)


def test_a_trial_without_an_answer_has_no_price() -> None:
    asked = experiment([{"t": "a"}])
    answers = OutcomeColumns(1)
    answers.fail(0, FAILURE, [head("one")], [True])

    made = results(asked, answers)

    assert made[0].price is None
    assert made.prices["model"].tolist() == ["m"]  # what was paid before has one


def test_the_prices_that_were_used_are_a_table() -> None:
    asked = experiment([{"t": "a"}], repeats=3, model=["gpt-6-luna", "unheard-of"])
    answers = OutcomeColumns(6)
    for index, tier in enumerate((None, "default", "priority", None, None, None)):
        answered = head("a", model="s", service_tier=tier, received_s=1_795_500_000.0)
        answers.put(index, [answered], "k")

    table = listed(asked, answers).prices

    assert list(table) == [
        *("model", "snapshot", "tier", "input", "cached_input", "cache_write"),
        *("output", "long_from", "source", "as_of"),
    ]
    said = table[["model", "snapshot", "tier", "input"]].astype(object)
    assert said.where(said.notna(), None).values.tolist() == [
        ["gpt-6-luna", "s", None, 0.1],
        ["gpt-6-luna", "s", "default", 0.1],
        ["gpt-6-luna", "s", "priority", 0.2],
        ["unheard-of", "s", None, None],
    ]


def test_a_price_that_changed_between_answers_is_there_twice() -> None:
    prices = pl.Prices(
        (
            own_price("m", {"input": 2, "output": 2}),
            own_price("m", {"input": 1, "output": 1, "valid_from": "2026-09-22"}),
        )
    )
    asked = experiment()
    answers = OutcomeColumns(2)
    answers.put(0, [head("a", received_s=1_790_000_000.0)], "k")  # 2026-09-21
    answers.put(1, [head("a", received_s=1_790_100_000.0)], "k")

    made = pl.Results(asked, answers, pricing=Pricing(asked, prices))

    assert made.prices["input"].tolist() == [2, 1]
    assert [record.price for record in made] == [line.price for line in prices.own]


def test_the_tier_of_the_reply_decides_not_that_of_the_request() -> None:
    asked = experiment(model=["gpt-6-luna"], service_tier=["priority"])
    answers = OutcomeColumns(2)
    for index, tier in enumerate(("default", "priority")):
        answered = head("a", service_tier=tier, received_s=1_795_500_000.0)
        answers.put(index, [answered], "k")

    usual, priority = listed(asked, answers).table["cost_usd"]

    assert usual == pytest.approx((10 * 0.1 + 5 * 0.5) / 1e6)
    assert priority == pytest.approx(2 * usual)


def test_a_price_missing_for_one_call_of_a_conversation_is_named() -> None:
    asked = experiment([{"t": "a"}], model=["gpt-6-luna"])
    answers = OutcomeColumns(1)
    heads = [head("one", service_tier="scale"), head("two")]
    answers.put(0, heads, "k", [True, True])

    made = listed(asked, answers)

    assert math.isnan(made.totals.cost_usd)
    assert made.unpriced == ("gpt-6-luna",)
    assert "no price is known for 'gpt-6-luna' at tier 'scale'" in made.price_note


def test_the_card_shows_the_prices_that_were_used() -> None:
    asked = experiment(model=["gpt-6-luna"])
    answers = OutcomeColumns(2)
    answered = head("a", service_tier="flex", received_s=1_795_500_000.0)
    answers.put(0, [answered], "k")

    card = Seen(listed(asked, answers)._repr_html_()).text

    assert "prices, in US dollars for a million tokens" in card
    assert "genai-prices" in card
    assert "2026-10-12" in card


# The provider's own cache: of 1,000 tokens of input, 800 read and 100 written.

WRITES = pl.Prices.of(
    {"m": {"input": 10, "output": 10, "cached_input": 1, "cache_write": 12.5}}
)
READ = (1000, 800, 5, 0, 100)
NOT_READ = (1000, 0, 5, 0, 0)
SAVED = (800 * (10 - 1) - 100 * (12.5 - 10)) / 1e6


def paid(*calls: list[Any], prices: pl.Prices = WRITES, **grid: Any) -> pl.Results:
    """The results of a run that paid for an answer to each case, with these heads."""
    asked = experiment([{"t": str(place)} for place in range(len(calls))], **grid)
    answers = OutcomeColumns(len(asked))
    for place, call in enumerate(calls):
        answers.put(place, [call], "k", [True])
    return pl.Results(asked, answers, pricing=Pricing(asked, prices))


def test_what_the_providers_cache_saved_is_told() -> None:
    made = paid(head("a", tokens=READ), head("b", tokens=NOT_READ))

    assert made.totals.cached_input_tokens == 800
    assert made.totals.prompt_cache_saved_usd == pytest.approx(SAVED)
    assert "800 tokens of input from the provider's cache, $0.0069 saved" in (
        made.headline
    )


def test_what_others_paid_for_saved_this_run_nothing() -> None:
    asked = experiment()
    answers = OutcomeColumns(2)
    answers.put(0, [head("a", tokens=READ)], "k")
    answers.put(1, [head("b", tokens=READ), head("c", tokens=READ)], "l")

    totals = pl.Results(asked, answers, pricing=Pricing(asked, WRITES)).totals

    assert (totals.cached_input_tokens, totals.prompt_cache_saved_usd) == (0, 0)
    assert totals.saved_usd == pytest.approx(totals.cost_usd)
    assert totals.saved_usd > 0


def test_of_a_conversation_the_calls_that_were_paid_count() -> None:
    asked = experiment([{"t": "a"}])
    answers = OutcomeColumns(1)
    heads = [head(text, tokens=READ) for text in ("one", "two", "three")]
    answers.put(0, heads, "k", [False, True, True])

    totals = pl.Results(asked, answers, pricing=Pricing(asked, WRITES)).totals

    assert totals.cached_input_tokens == 1600
    assert totals.prompt_cache_saved_usd == pytest.approx(2 * SAVED)


@pytest.mark.parametrize(
    ("tokens", "prices", "read", "saved"),
    [
        pytest.param(READ, pl.Prices(), 800, math.nan, id="no price"),
        pytest.param(NOT_READ, pl.Prices(), 0, 0, id="no price, nothing read"),
        pytest.param((1000, None, 5, 0, None), WRITES, math.nan, math.nan, id="untold"),
    ],
)
def test_what_is_not_known_of_the_providers_cache_is_nan(
    tokens: tuple[int | None, ...], prices: pl.Prices, read: float, saved: float
) -> None:
    made = paid(head("a", tokens=tokens), prices=prices)

    assert made.totals.cached_input_tokens == pytest.approx(read, nan_ok=True)
    assert made.totals.prompt_cache_saved_usd == pytest.approx(saved, nan_ok=True)
    assert "saved" not in made.headline


def test_writing_what_nobody_reads_costs_more() -> None:
    made = paid(head("a", tokens=(1000, 0, 5, 0, 1000)))

    assert made.totals.prompt_cache_saved_usd == pytest.approx(-1000 * 2.5 / 1e6)
    assert "provider" not in made.headline


def test_latency_says_where_it_mixes_hits_of_the_providers_cache() -> None:
    mixed = paid(head("a", tokens=READ), head("b", tokens=NOT_READ))
    note = (
        "latency: 1 of 2 read at least half of the prompt from the provider's cache, "
        "which is faster"
    )

    assert mixed.latency_note == note
    assert mixed.summary()["prompt_cache_hit"].tolist() == [1]
    assert paid(head("a", tokens=READ)).latency_note == ""
    assert paid(head("a", tokens=NOT_READ)).latency_note == ""


def test_the_card_says_so_below_the_summary() -> None:
    asked = experiment([{"t": "a"}], temperature=[0, 1])
    answers = OutcomeColumns(2)
    answers.put(0, [head("a", tokens=READ)], "k", [True])
    answers.put(1, [head("b", tokens=NOT_READ)], "l", [True])

    made = pl.Results(asked, answers, pricing=Pricing(asked, WRITES))

    assert made.latency_note in Seen(made._repr_html_()).text
