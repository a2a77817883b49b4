"""Whatever servers say of their tokens: costs are true, and budgets are kept."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from fakes.experiments import capitals

import promptlab as pl
from promptlab.models.replies import read_reply
from promptlab.testing import FakeClient

SEED = 20261128
RATES = {"input": 10, "cached_input": 1, "cache_write": 12.5, "output": 40}
MOST_OUT = 50


class Call:
    """What a call took in truth."""

    def __init__(self, dice: random.Random, longest: int) -> None:
        asked = dice.randint(1, longest)
        self.asked = asked
        self.read = dice.choice([0, dice.randint(0, asked)])
        self.written = dice.choice([0, dice.randint(0, asked - self.read)])
        self.given = dice.choice([1, MOST_OUT, dice.randint(1, MOST_OUT)])
        self.reasoned = dice.choice([0, dice.randint(0, self.given)])

    @property
    def usd(self) -> float:
        plain = self.asked - self.read - self.written
        return (
            plain * RATES["input"]
            + self.read * RATES["cached_input"]
            + self.written * RATES["cache_write"]
            + self.given * RATES["output"]
        ) / 1e6


def chat(call: Call) -> dict[str, Any]:
    return {
        "prompt_tokens": call.asked,
        "completion_tokens": call.given,
        "total_tokens": call.asked + call.given,
        "prompt_tokens_details": {
            "cached_tokens": call.read,
            "cache_write_tokens": call.written,
        },
        "completion_tokens_details": {"reasoning_tokens": call.reasoned},
    }


def responses(call: Call) -> dict[str, Any]:
    return {
        "input_tokens": call.asked,
        "input_tokens_details": {
            "cached_tokens": call.read,
            "cache_write_tokens": call.written,
        },
        "output_tokens": call.given,
        "output_tokens_details": {"reasoning_tokens": call.reasoned},
    }


def messages(call: Call) -> dict[str, Any]:
    return {
        "input_tokens": call.asked - call.read - call.written,
        "cache_read_input_tokens": call.read,
        "cache_creation_input_tokens": call.written,
        "output_tokens": call.given,
    }


def deepseek(call: Call) -> dict[str, Any]:
    call.written = 0
    return {
        "prompt_tokens": call.asked,
        "prompt_cache_hit_tokens": call.read,
        "prompt_cache_miss_tokens": call.asked - call.read,
        "completion_tokens": call.given,
    }


def xai(call: Call) -> dict[str, Any]:
    return {
        **chat(call),
        "completion_tokens": call.given - call.reasoned,
    }


def gemini(call: Call) -> dict[str, Any]:
    call.read = call.written = 0
    return {
        "prompt_tokens": call.asked,
        "completion_tokens": call.given - call.reasoned,
        "total_tokens": call.asked + call.given,
    }


def openrouter(call: Call) -> dict[str, Any]:
    return {**chat(call), "cost": call.usd}


DIALECTS: list[Callable[[Call], dict[str, Any]]] = [
    *(chat, responses, messages, deepseek, xai, gemini, openrouter),
]


def completion(usage: Any) -> bytes:
    choice = {"message": {"content": "fine"}, "finish_reason": "stop"}
    return orjson.dumps({"choices": [choice], "usage": usage})


class Honest:
    """A server that says in any dialect what it took."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.most_usd = self.most_tokens = 0.0
        """Of the largest request."""
        self._dice = random.Random(SEED)

    def __call__(self, request: pl.Request) -> pl.Response:
        sent = len(orjson.dumps(request.body))
        self.most_tokens = max(self.most_tokens, sent + MOST_OUT)
        most_usd = sent * RATES["cache_write"] + MOST_OUT * RATES["output"]
        self.most_usd = max(self.most_usd, most_usd / 1e6)
        call = Call(self._dice, sent // 2)
        usage = self._dice.choice(DIALECTS)(call)
        self.calls.append(call)
        if "cost" not in usage:
            write = self._dice.choice([int, float, str])
            usage = orjson.loads(orjson.dumps(usage))
            usage = {
                name: write(n) if isinstance(n, int) else n for name, n in usage.items()
            }
        return read_reply(200, {}, completion(usage), latency_s=0.1)


def asked(cities: int) -> pl.Experiment:
    return capitals(cities, temperature=[0], max_tokens=[MOST_OUT])


@pytest.mark.parametrize("concurrency", [1, 32])
@pytest.mark.parametrize("unit", ["budget_usd", "budget_tokens"])
def test_a_budget_is_kept_and_used_up_in_whichever_dialect_a_server_counts(
    unit: str, concurrency: int
) -> None:
    server = Honest()
    budget = {"budget_usd": 2.5, "budget_tokens": 150_000}[unit]

    results = asked(3_000).run(
        client=FakeClient(server),
        prices={"fake": RATES},
        record=False,
        max_concurrency=concurrency,
        **{unit: budget},
    )

    tokens = [call.asked + call.given for call in server.calls]
    spent = math.fsum(call.usd for call in server.calls)
    took, most = (
        (spent, server.most_usd)
        if unit == "budget_usd"
        else (sum(tokens), server.most_tokens)
    )
    assert results.status == "stopped"
    assert budget - most <= took <= budget * (1 + 1e-9)
    assert results.totals.billed_usd == pytest.approx(spent)
    shown = results.table[["input_tokens", "output_tokens"]].sum(axis=1)
    assert sorted(shown) == sorted(tokens)


@pytest.mark.parametrize(("unit", "amount"), [("usd", 0.4), ("tokens", 25_000)])
def test_the_budget_of_a_project_is_kept_and_used_up_as_well(
    unit: str, amount: float
) -> None:
    server = Honest()
    pl.set_budget("day", **{unit: amount})

    results = asked(600).run(
        client=FakeClient(server), prices={"fake": RATES}, record=False
    )

    (standing,) = pl.budgets().to_dict("records")
    took, most = (
        (math.fsum(call.usd for call in server.calls), server.most_usd)
        if unit == "usd"
        else (sum(c.asked + c.given for c in server.calls), server.most_tokens)
    )
    assert results.status == "stopped"
    assert amount - most <= took <= amount * (1 + 1e-9)
    assert standing[f"spent_{unit}"] == pytest.approx(took)
    assert standing[f"reserved_{unit}"] == 0


NAMES = [
    *("prompt_tokens", "input_tokens", "completion_tokens", "output_tokens"),
    *("total_tokens", "cached_tokens", "cache_read_input_tokens", "cost"),
    *("prompt_cache_hit_tokens", "cache_creation_input_tokens", "reasoning_tokens"),
    *("cost_in_usd_ticks", "is_byok", "cache_write_tokens"),
]
DETAILS = [
    *("prompt_tokens_details", "completion_tokens_details", "input_tokens_details"),
    *("output_tokens_details", "cost_details", "cost"),
]


class Hostile:
    """A server that says anything."""

    def __init__(self) -> None:
        self._dice = random.Random(SEED)

    def __call__(self, request: pl.Request) -> pl.Response:
        usage = self._object()
        for name in self._dice.sample(DETAILS, 2):
            usage[name] = self._dice.choice([self._object(), self._value()])
        cost = {"x-litellm-response-cost": str(self._value())}
        headers = cost if self._dice.random() < 0.1 else {}
        block = usage if self._dice.random() < 0.95 else self._value()
        return read_reply(200, headers, completion(block), latency_s=0.1)

    def _object(self) -> dict[str, Any]:
        names = self._dice.sample(NAMES, self._dice.randint(0, 6))
        return {name: self._value() for name in names}

    def _value(self) -> Any:
        dice = self._dice
        return dice.choice(
            [
                *(None, True, False, "", "many", "-1", "NaN", [], {}, -1, 0, 0.5),
                *(dice.randint(0, 100), dice.randint(0, 10_000), 2**53, 2**63, 1e308),
                *(str(dice.randint(0, 100)), float(dice.randint(0, 100))),
            ]
        )


def test_nothing_that_a_server_says_of_its_tokens_costs_less_than_nothing() -> None:
    results = asked(10_000).run(
        client=FakeClient(Hostile()), prices={"fake": RATES}, record=False
    )

    table = results.table
    known = table["cost_usd"].dropna()
    assert results.totals.failed == 0
    assert len(known) > 1_000
    assert (known >= 0).all()
    assert (known < 1e12).all()
    parts = table[["input_tokens", "cached_input_tokens"]].dropna()
    assert (parts["cached_input_tokens"] <= parts["input_tokens"]).all()
    parts = table[["output_tokens", "reasoning_tokens"]].dropna()
    assert (parts["reasoning_tokens"] <= parts["output_tokens"]).all()


@pytest.mark.parametrize("unit", ["budget_usd", "budget_tokens"])
def test_a_budget_is_exceeded_by_no_more_than_one_call_that_takes_what_it_may_not(
    unit: str,
) -> None:
    budget = {"budget_usd": 0.5, "budget_tokens": 20_000}[unit]

    results = asked(2_000).run(
        client=FakeClient(Hostile()),
        prices={"fake": RATES},
        record=False,
        max_concurrency=1,
        **{unit: budget},
    )

    calls = pl.usage(by="experiment")
    table = results.table.sort_values("trial")
    tokens = table["input_tokens"] + table["output_tokens"]
    took = table["cost_usd"] if unit == "budget_usd" else tokens
    assert results.status == "stopped"
    assert calls["requests"].sum() == len(table)
    assert took.fillna(0).iloc[:-1].sum() <= budget
