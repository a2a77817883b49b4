"""Costs: what each row cost, what this run paid, and what nobody knows."""

from __future__ import annotations

import math

import numpy as np
import pytest

import promptlab as pl
from promptlab.results.answers import Answers
from promptlab.results.costs import Pricing

from .making import FAILURE, experiment, head

PRICES = pl.Prices.of({"m": {"input": 1, "output": 10, "cached_input": 0.5}})
CALL = (10 * 1 + 5 * 10) / 1e6
"""Of an answer with 10 + 5 tokens."""


def results(asked: pl.Experiment, answers: Answers) -> pl.Results:
    return pl.Results(asked, answers, pricing=Pricing(asked, PRICES))


def test_a_row_costs_the_same_from_the_cache_and_is_billed_nothing() -> None:
    asked = experiment()
    answers = Answers(2)
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
    answers = Answers(1)
    heads = [head("one"), head("two", tokens=(20, 8, 1, 0, 0))]
    answers.put(0, heads, "k", [False, True])

    (record,) = results(asked, answers)

    second = (12 * 1 + 8 * 0.5 + 1 * 10) / 1e6
    assert record.cost_usd == pytest.approx(CALL + second)
    assert record.billed_usd == pytest.approx(second)


def test_what_was_paid_before_a_failure_is_billed() -> None:
    asked = experiment([{"t": "a"}])
    answers = Answers(1)
    answers.fail(0, FAILURE, [head("one")], [True])

    (record,) = results(asked, answers)

    assert record.cost_usd is None
    assert record.billed_usd == pytest.approx(CALL)


def test_an_unknown_price_makes_totals_unknown_and_is_named() -> None:
    asked = experiment(model=["m", "other"])
    answers = Answers(4)
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
    answers = Answers(2)
    answers.put(0, [head("a", received_s=1_790_000_000.0)], "k")  # 2026-09-21
    answers.put(1, [head("a", received_s=1_790_100_000.0)], "k")

    made = pl.Results(asked, answers, pricing=Pricing(asked, prices))

    assert made.table["cost_usd"].isna().tolist() == [True, False]


def test_rows_are_priced_together_as_they_are_one_by_one() -> None:
    asked = experiment([{"t": "a"}], repeats=1000, temperature=[0, 1])
    answers = Answers(len(asked))
    rng = np.random.default_rng(0)
    tokens = rng.integers(0, 1000, (len(asked), 2))
    for index, (given, got) in enumerate(tokens.tolist()):
        answers.put(index, [head("a", tokens=(given, 0, got, 0, 0))], "k")

    cost = results(asked, answers).table["cost_usd"]

    each = [(given * 1 + got * 10) / 1e6 for given, got in tokens.tolist()]
    assert cost.tolist() == pytest.approx(each)
