"""Budgets of runs and of a project: never exceeded, and gone on from."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path
from socket import socket
from typing import Any

import orjson
import pytest
from fakes.experiments import capitals
from fakes.refusals import BUSY
from fakes.servers import Received, Reply, ToldServer, answer, error
from hypothesis import given, settings
from hypothesis import strategies as st

import promptlab as pl
from promptlab.errors import CacheError
from promptlab.execution.accounting import RunAccounting
from promptlab.execution.scheduling.limiter import FIRST_WINDOW
from promptlab.money.budget import BudgetLimits, Spend
from promptlab.money.prices import Prices
from promptlab.offline import OfflineServer
from promptlab.store.ledger import Ledger
from promptlab.testing import (
    PATIENCE_S,
    FakeClient,
    Outcome,
    failure,
    response,
    wait_until,
)

PRICES = {"fake": {"input": 1, "output": 100}}
"""US dollars for a million tokens; made up."""

MOST_OUT = 50
TIMEOUT = pl.Failure(kind="timeout", message="no answer within 600 s")


def priced(tokens_in: int, tokens_out: int) -> float:
    return (tokens_in * 1 + tokens_out * 100) / 1e6


def said_with(tokens_in: int, tokens_out: int) -> pl.Response:
    usage = pl.Usage(input_tokens=tokens_in, output_tokens=tokens_out)
    return replace(response("fine"), usage=usage)


def grid(cities: int = 40, **parameters: Any) -> pl.Experiment:
    return capitals(cities, temperature=[0], max_tokens=[MOST_OUT], **parameters)


class Charged:
    """A model that keeps account of what it charges: it fails at times, charges some of
    what failed all the same, and says little or as much as it may."""

    def __init__(self, seed: int) -> None:
        self.usd = 0.0
        self.tokens = 0
        self._dice = random.Random(seed)

    def __call__(self, request: pl.Request) -> Outcome:
        luck = self._dice.random()
        if luck < 0.15:
            return BUSY
        tokens_in = self._dice.randint(1, len(str(request.body["messages"])) // 2)
        tokens_out = self._dice.choice([1, MOST_OUT, self._dice.randint(1, MOST_OUT)])
        self.usd += priced(tokens_in, tokens_out)
        self.tokens += tokens_in + tokens_out
        if luck < 0.25:  # it had answered, but the answer did not arrive
            return TIMEOUT
        return said_with(tokens_in, tokens_out)


@settings(max_examples=25)
@given(
    seed=st.integers(0, 10_000),
    budget_usd=st.floats(0, 0.3),
    concurrency=st.integers(1, 64),
)
def test_a_run_never_spends_more_than_its_budget_retries_included(
    seed: int, budget_usd: float, concurrency: int
) -> None:
    model = Charged(seed)

    results = grid().run(
        client=FakeClient(model),
        use_cache=False,
        record=False,
        prices=PRICES,
        budget_usd=budget_usd,
        max_concurrency=concurrency,
        max_attempts=3,
        max_wait_s=0.5,
    )

    assert model.usd <= budget_usd * (1 + 1e-9)
    assert results.totals.billed_usd <= model.usd + 1e-12
    if results.status == "stopped":
        assert results.totals.missing


@settings(max_examples=15)
@given(seed=st.integers(0, 10_000), budget=st.integers(0, 8_000))
def test_a_budget_in_tokens_is_kept_as_well(seed: int, budget: int) -> None:
    model = Charged(seed)

    grid().run(
        client=FakeClient(model),
        use_cache=False,
        record=False,
        budget_tokens=budget,
        max_attempts=2,
        max_wait_s=0.5,
    )

    assert model.tokens <= budget


def test_a_client_that_makes_several_calls_for_one_says_what_all_of_them_took() -> None:
    told = replace(said_with(3 * 10, 3 * 20), calls=3)

    results = grid(20).run(
        client=FakeClient(lambda request: told),
        prices=PRICES,
        budget_usd=5.5 * priced(30, 60),
        max_concurrency=1,
    )

    totals = results.totals
    assert (results.status, totals.answered, totals.calls) == ("stopped", 5, 15)
    assert totals.billed_usd == pytest.approx(5 * priced(30, 60))
    assert pl.usage()["cost_usd"].sum() == pytest.approx(totals.billed_usd)
    assert pl.usage()["output_tokens"].sum() == 5 * 60


@pytest.mark.parametrize("calls", [0, -1, 1.5, True, None])
def test_a_client_cannot_have_made_such_a_number_of_calls(calls: Any) -> None:
    results = grid(1).run(
        client=FakeClient(lambda request: replace(response("x"), calls=calls))
    )

    assert results.table["error"].str.contains("not an integer >= 1").all()


class Counting:
    """What a server charged for the calls it answered, all at the longest."""

    def __init__(self) -> None:
        self.usd = 0.0
        self.calls = 0
        self._dice = random.Random(1)

    def __call__(self, received: Received) -> Reply:
        if self._dice.random() < 0.1:
            return error(500, message="busy")
        read = sum(len(message["content"]) for message in received.body["messages"])
        written = received.body["max_tokens"]
        self.calls += 1
        self.usd += priced(read, written)
        body = orjson.loads(response("x" * written).body)
        body["usage"] = {"prompt_tokens": read, "completion_tokens": written}
        return Reply(body=orjson.dumps(body), after_s=0.01)


def test_a_server_that_counts_never_sees_more_than_the_budget() -> None:
    server = ToldServer()
    server.reply = counting = Counting()
    with server.in_thread():
        results = grid(100).run(
            base_url=server.base_url,
            prices=PRICES,
            budget_usd=0.25,
            max_concurrency=64,
        )

    assert results.status == "stopped"
    assert counting.usd <= 0.25
    assert counting.usd > 0.24  # and it is used
    assert results.totals.billed_usd == pytest.approx(counting.usd)
    assert "budget_usd of $0.25 is reached" in results.reason


def used(**usage: Any) -> Reply:
    """A chat completion that says so of its tokens."""
    document = orjson.loads(response("fine").body) | {"usage": usage}
    return Reply(body=orjson.dumps(document))


XAI = {
    "prompt_tokens": 32,
    "completion_tokens": 9,
    "total_tokens": 81,
    "completion_tokens_details": {"reasoning_tokens": 40},
}


@pytest.mark.parametrize(
    ("budget", "calls"), [({"budget_usd": 0.0205}, 4), ({"budget_tokens": 470}, 4)]
)
def test_reasoning_that_a_server_counts_beside_the_answer_is_paid_from_the_budget(
    budget: dict[str, float], calls: int
) -> None:
    server = ToldServer()
    server.reply = lambda received: used(**XAI)
    with server.in_thread():
        results = grid(20).run(base_url=server.base_url, prices=PRICES, **budget)

    assert (results.status, results.totals.calls) == ("stopped", calls)
    assert results.totals.billed_usd == pytest.approx(calls * priced(32, 49))


@pytest.mark.parametrize(
    "part", ["cached_tokens", "cache_write_tokens"], ids=["read", "written"]
)
def test_input_that_exceeds_the_prompt_it_should_be_part_of_is_paid_from_the_budget(
    part: str,
) -> None:
    server = ToldServer()
    details = {part: 1000}
    server.reply = lambda received: used(
        prompt_tokens=10, completion_tokens=5, prompt_tokens_details=details
    )
    rates = {"input": 1000, "output": 2000, "cached_input": 100, "cache_write": 100}
    with server.in_thread():
        results = grid(20).run(
            base_url=server.base_url,
            prices={"fake": rates},
            budget_usd=0.3,
            max_concurrency=1,
        )

    assert results.status == "stopped"
    assert results.table["cost_usd"].tolist() == pytest.approx([0.12])


def test_what_replies_say_that_they_cost_is_what_a_budget_counts() -> None:
    server = ToldServer()
    server.reply = lambda received: used(
        prompt_tokens=10, completion_tokens=MOST_OUT, cost=0.0005
    )
    with server.in_thread():
        results = grid(40).run(
            base_url=server.base_url, prices=PRICES, budget_usd=0.0155
        )

    assert results.status == "stopped"
    assert results.totals.billed_usd == pytest.approx(results.totals.calls * 0.0005)
    assert 0.0155 - priced(200, MOST_OUT) <= results.totals.billed_usd <= 0.0155
    assert pl.usage()["cost_usd"].sum() == pytest.approx(results.totals.billed_usd)


def test_a_proxy_on_this_machine_that_says_what_it_charges_is_kept_within_dollars() -> (
    None
):
    server = ToldServer()
    server.reply = lambda received: answer(**{"x-litellm-response-cost": "0.01"})
    with server.in_thread(), pytest.warns(pl.PromptlabWarning, match="counts nothing"):
        results = grid(40).run(
            base_url=server.base_url, budget_usd=0.055, max_concurrency=1
        )

    assert (results.status, results.totals.calls) == ("stopped", 5)
    assert results.table["cost_usd"].tolist() == pytest.approx([0.01] * 5)


def test_a_client_that_says_nonsense_of_its_cost_says_nothing() -> None:
    answered = replace(said_with(10, 5), reported_cost_usd=float("nan"))

    results = grid(1).run(client=FakeClient(lambda r: answered), prices=PRICES)

    assert results.table["cost_usd"].tolist() == pytest.approx([priced(10, 5)])


class Obeying:
    """A server whose answers are as long as a parameter of some name says."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, received: Received) -> Reply:
        return used(prompt_tokens=10, completion_tokens=received.body[self.name])


@pytest.mark.parametrize(
    "budget", [{"budget_usd": 0.0205}, {"budget_tokens": 400}], ids=str
)
def test_a_budget_holds_whatever_max_tokens_is_called_on_the_wire(
    budget: dict[str, float],
) -> None:
    server = ToldServer()
    server.reply = Obeying("max_new_tokens")
    own = {"fake": {"max_tokens": "max_new_tokens"}}
    experiment = pl.Experiment(
        "renamed", grid=grid().grid, dataset=grid().dataset, capabilities=own
    )
    with server.in_thread():
        results = experiment.run(base_url=server.base_url, prices=PRICES, **budget)

    totals = results.totals
    assert results.status == "stopped"
    assert 3 <= totals.calls <= 5
    assert totals.billed_usd <= budget.get("budget_usd", 1)
    assert totals.calls * (10 + MOST_OUT) <= budget.get("budget_tokens", 1_000)


def test_what_a_model_is_not_sent_bounds_nothing() -> None:
    own = {"fake": {"max_tokens": False}}
    with pytest.warns(pl.PromptlabWarning, match="max_tokens is not sent"):
        experiment = pl.Experiment(
            "unbounded", grid=grid().grid, dataset=grid().dataset, capabilities=own
        )
    client = FakeClient()

    for budget in ({"budget_usd": 1}, {"budget_tokens": 10_000}):
        with pytest.raises(pl.SpecError, match="any length"):
            experiment.run(client=client, prices=PRICES, **budget)

    assert client.calls == 0


def test_a_server_that_takes_more_than_it_may_is_asked_for_as_much_from_then_on() -> (
    None
):
    client = FakeClient(lambda request: said_with(10, 4 * MOST_OUT))

    results = grid(20).run(
        client=client, prices=PRICES, budget_usd=0.045, max_concurrency=1
    )

    assert results.status == "stopped"
    assert client.calls == 2  # of $0.020 each, not a third
    assert results.totals.billed_usd <= 0.045


def test_what_calls_take_beyond_their_bound_adds_up() -> None:
    tokens = iter([2 * MOST_OUT, 3 * MOST_OUT, 3 * MOST_OUT])
    client = FakeClient(lambda request: said_with(10, next(tokens)))

    results = grid(20).run(
        client=client, prices=PRICES, budget_usd=0.0375, max_concurrency=1
    )

    assert results.status == "stopped"
    assert client.calls == 2  # of $0.010 and $0.015; not one more of $0.015


def test_a_client_of_ones_own_may_count_parts_beside_their_whole() -> None:
    usage = pl.Usage(10, 1000, 5, 20)
    client = FakeClient(lambda request: replace(response("fine"), usage=usage))

    results = grid(1).run(client=client, prices=PRICES)

    (record,) = results
    assert record.usage.input_tokens == 1010
    assert record.cost_usd == pytest.approx(priced(1010, 25))


def test_a_run_that_reached_its_budget_says_what_is_left_and_goes_on() -> None:
    client = FakeClient(lambda request: said_with(10, MOST_OUT))
    each = priced(10, MOST_OUT)

    first = grid(10).run(client=client, prices=PRICES, budget_usd=4.5 * each)
    asked = client.calls
    second = grid(10).run(client=client, prices=PRICES, budget_usd=1)

    assert first.status == "stopped"
    assert "budget_usd of $0.02" in first.reason
    assert "run it again with a larger one to go on" in first.reason
    assert f"{10 - asked} left" in first.headline
    assert (first.totals.answered, first.totals.missing) == (asked, 10 - asked)
    assert second.status == "complete"
    assert client.calls == 10
    assert second.totals.billed_usd == pytest.approx((10 - asked) * each)


def test_a_budget_for_one_call_at_a_time_still_asks_all() -> None:
    client = FakeClient(lambda request: said_with(1, 0))

    results = grid(20).run(client=client, prices=PRICES, budget_usd=0.006)

    assert results.status == "complete"
    assert client.in_flight_max == 1


def test_calls_that_wait_for_a_budget_go_in_the_order_of_trials() -> None:
    client = FakeClient(lambda request: said_with(1, 0))
    experiment = grid(20)

    experiment.run(client=client, prices=PRICES, budget_usd=0.006, max_concurrency=8)

    asked = [request.body["messages"][-1]["content"] for request in client.requests]
    assert asked == [f"Where is city {number}?" for number in range(20)]


@pytest.mark.parametrize(
    "open_",
    [
        TIMEOUT,
        pl.Failure(kind="connection", message="cut"),
        pl.Failure(kind="invalid_reply", status=200, message="no JSON"),
        ValueError("broken"),
    ],
)
def test_a_call_that_may_have_been_charged_counts_at_its_worst_case(
    open_: Outcome,
) -> None:
    client = FakeClient(lambda request: open_)

    results = grid(20).run(
        client=client,
        prices=PRICES,
        budget_usd=0.02,
        max_attempts=1,
        max_concurrency=1,
    )

    assert results.status == "stopped"
    assert client.calls == 3  # of at most $0.0053 each


def test_the_budget_of_a_project_keeps_what_may_have_been_charged() -> None:
    pl.set_budget("day", usd=1)

    grid(1).run(
        client=FakeClient(lambda request: TIMEOUT), prices=PRICES, max_attempts=1
    )

    (standing,) = pl.budgets().to_dict("records")
    (row,) = pl.usage().to_dict("records")
    assert (row["unsettled"], row["cost_usd"]) == (1, 0)
    assert standing["spent_usd"] > priced(0, MOST_OUT)
    assert standing["reserved_usd"] == 0


def test_a_server_that_was_never_reached_takes_nothing_from_a_day() -> None:
    pl.set_budget("day", usd=1, tokens=100_000)
    with socket() as taken:  # bound, but nobody listens
        taken.bind(("127.0.0.1", 0))
        results = grid(2).run(
            base_url=f"http://127.0.0.1:{taken.getsockname()[1]}/v1",
            prices=PRICES,
            max_attempts=1,
        )

    (standing,) = pl.budgets().to_dict("records")
    assert results.totals.failed == 2
    assert (standing["spent_usd"], standing["spent_tokens"]) == (0, 0)
    assert (standing["reserved_usd"], standing["reserved_tokens"]) == (0, 0)


def test_what_a_day_has_spent_is_what_its_calls_took_and_nothing_stays_reserved() -> (
    None
):
    dice, took = random.Random(3), []
    pl.set_budget("day", usd=1, tokens=1_000_000)

    def answer_(request: pl.Request) -> Outcome:
        if dice.random() < 0.2:
            return BUSY
        took.append((dice.randint(1, 50), dice.randint(1, MOST_OUT)))
        return said_with(*took[-1])

    grid(30).run(client=FakeClient(answer_), prices=PRICES)

    (standing,) = pl.budgets().to_dict("records")
    assert standing["spent_usd"] == pytest.approx(sum(priced(*n) for n in took))
    assert standing["spent_tokens"] == sum(map(sum, took))
    assert (standing["reserved_usd"], standing["reserved_tokens"]) == (0, 0)


def test_a_refused_call_takes_nothing() -> None:
    client = FakeClient(lambda request: failure(400, message="too long"))

    results = grid(20).run(client=client, prices=PRICES, budget_usd=0.006)

    assert (results.status, client.calls) == ("complete", 20)


def test_an_answer_without_usage_counts_at_its_worst_case() -> None:
    client = FakeClient(lambda request: replace(response("x"), usage=pl.Usage()))

    results = grid(20).run(
        client=client, prices=PRICES, budget_usd=0.02, max_concurrency=1
    )

    assert (results.status, client.calls) == ("stopped", 3)


def test_what_is_cached_needs_no_budget() -> None:
    client = FakeClient()
    grid(4).run(client=client, prices=PRICES)

    results = grid(4).run(client=client, prices=PRICES, budget_usd=0)

    assert (results.status, results.totals.cached) == ("complete", 4)


def test_an_answer_of_unknown_price_counts_at_its_worst_case() -> None:
    answered = replace(response("fine"), service_tier="scale")
    client = FakeClient(lambda request: answered)
    client.base_url = "https://api.openai.com/v1"

    with pytest.warns(pl.PromptlabWarning, match="'gpt-4.1' at tier 'scale'"):
        results = grid(40, model=["gpt-4.1"]).run(client=client, budget_usd=0.002)

    assert results.status == "stopped"
    assert 0 < client.calls * MOST_OUT * 8 / 1e6 <= 0.002


@pytest.mark.parametrize(
    ("options", "parameters", "refused"),
    [
        ({"budget_usd": 1}, {}, "no price is known for 'fake'"),
        ({"budget_usd": 1, "prices": PRICES}, {"max_tokens": [None]}, "max_tokens"),
        ({"budget_usd": -1}, {}, "budget_usd: expected a number >= 0, got -1"),
        ({"budget_usd": "1"}, {}, "budget_usd: expected a number >= 0, got '1'"),
        (
            {"budget_usd": float("inf")},
            {},
            "budget_usd: expected a number >= 0, got inf",
        ),
        (
            {"budget_usd": float("nan")},
            {},
            "budget_usd: expected a number >= 0, got nan",
        ),
        ({"budget_usd": True}, {}, "budget_usd: expected a number >= 0, got True"),
        (
            {"budget_tokens": 10.5},
            {},
            "budget_tokens: expected an integer >= 0, got 10",
        ),
        ({"budget_tokens": "9"}, {}, "budget_tokens: expected an integer >= 0"),
    ],
)
def test_a_budget_that_cannot_be_kept_is_refused_before_the_first_call(
    options: dict[str, Any], parameters: dict[str, Any], refused: str
) -> None:
    client = FakeClient()
    client.base_url = "https://api.example.com/v1"
    experiment = capitals(
        2, **{"temperature": [0], "max_tokens": [MOST_OUT], **parameters}
    )

    with pytest.raises(pl.SpecError, match=refused):
        experiment.run(client=client, **options)

    assert client.calls == 0


def test_a_project_budget_holds_over_runs(clean_home: Path) -> None:
    client = FakeClient(lambda request: said_with(10, MOST_OUT))
    each = priced(10, MOST_OUT)
    pl.set_budget("day", usd=6.5 * each)

    first = grid(4).run(client=client, prices=PRICES)
    second = grid(4, name="another").run(client=client, prices=PRICES)
    third = grid(9, prompt=["{{city}}?"]).run(client=client, prices=PRICES)

    assert (first.status, second.totals.calls, third.status) == (
        "complete",
        0,  # the same calls are not paid again
        "stopped",
    )
    assert "the project's budget of $0.033 a day is reached" in third.reason
    assert "pl.set_budget or `promptlab usage budget` sets it" in third.reason
    assert "reserved" not in third.reason  # nothing is
    assert client.calls == 6
    (row,) = pl.budgets().to_dict("records")
    assert row["spent_usd"] == pytest.approx(client.calls * each)
    assert row["reserved_usd"] == 0
    assert row["left_usd"] == pytest.approx(6.5 * each - client.calls * each)


def test_a_budget_that_is_set_while_a_run_goes_on_holds_for_it() -> None:
    client = FakeClient(
        lambda request: said_with(10, MOST_OUT), held=lambda request: True
    )
    each = priced(10, MOST_OUT)

    handle = grid(60).start(
        client=client, prices=PRICES, max_concurrency=8, progress=False
    )
    client.wait_for_calls(8)
    pl.set_budget("day", usd=20 * each)
    client.release_all()
    results = handle.result(PATIENCE_S)

    (row,) = pl.budgets().to_dict("records")
    assert results.status == "stopped"
    assert "the project's budget" in results.reason
    assert 15 <= client.calls <= 20
    assert row["spent_usd"] == pytest.approx(client.calls * each)
    assert row["reserved_usd"] == 0


def test_a_budget_that_is_taken_away_while_a_run_goes_on_stops_it_no_longer() -> None:
    client = FakeClient(
        lambda request: said_with(10, MOST_OUT), held=lambda request: True
    )
    pl.set_budget("day", usd=20 * priced(10, MOST_OUT))

    handle = grid(60).start(
        client=client, prices=PRICES, max_concurrency=8, progress=False
    )
    client.wait_for_calls(1)
    pl.set_budget("day")
    client.release_all()

    assert handle.result(PATIENCE_S).status == "complete"


def test_calls_that_were_not_sent_leave_nothing_reserved() -> None:
    client = FakeClient(held=lambda request: True)
    pl.set_budget("day", usd=1, tokens=10**6)

    handle = grid(60).start(client=client, prices=PRICES, progress=False)
    client.wait_for_calls(FIRST_WINDOW)  # others wait for their place
    handle.cancel()
    client.release_all()
    results = handle.result(PATIENCE_S)

    (row,) = pl.budgets().to_dict("records")
    assert results.totals.calls == FIRST_WINDOW
    assert (row["reserved_usd"], row["reserved_tokens"]) == (0, 0)


def test_a_run_keeps_to_its_own_budget_when_the_project_s_is_taken_away() -> None:
    client = FakeClient(
        lambda request: said_with(10, MOST_OUT), held=lambda request: True
    )
    each = priced(10, MOST_OUT)
    pl.set_budget("day", usd=50 * each)

    handle = grid(60).start(
        client=client,
        prices=PRICES,
        budget_usd=20 * each,
        max_concurrency=8,
        progress=False,
    )
    client.wait_for_calls(1)
    pl.set_budget("day")
    client.release_all()
    results = handle.result(PATIENCE_S)

    assert results.status == "stopped"
    assert "budget_usd" in results.reason
    assert 15 <= client.calls <= 20


def test_a_spent_project_budget_does_not_stop_what_costs_nothing() -> None:
    client = FakeClient(lambda request: said_with(10, MOST_OUT))
    free = {"fake": {"input": 0, "output": 0}}
    grid(4).run(client=client, prices=PRICES)
    pl.set_budget("day", usd=priced(10, MOST_OUT))  # a quarter of what is spent

    results = grid(4).run(client=client, prices=free, refresh=True)
    priced_ = grid(4).run(client=client, prices=PRICES, refresh=True)

    assert (results.status, priced_.status) == ("complete", "stopped")


def test_a_project_budget_is_taken_away_again() -> None:
    pl.set_budget("month", usd=0, tokens=0)
    stopped = grid(2).run(client=FakeClient(), prices=PRICES)
    pl.set_budget("month")

    results = grid(2).run(client=FakeClient(), prices=PRICES)

    assert (stopped.status, stopped.totals.calls) == ("stopped", 0)
    assert (results.status, len(pl.budgets())) == ("complete", 0)


@pytest.mark.parametrize(
    ("period", "amounts"),
    [
        ("week", {"usd": 1}),
        *(("day", {"usd": usd}) for usd in (-1, "1", float("inf"), True)),
        *(("day", {"tokens": tokens}) for tokens in (-1, "1", 10.5, True)),
    ],
)
def test_a_project_budget_that_is_none_is_refused(
    period: str, amounts: dict[str, Any]
) -> None:
    with pytest.raises(pl.SpecError):
        pl.set_budget(period, **amounts)


CHILD = """
    import sys
    from fakes.experiments import capitals

    experiment = capitals(60, temperature=[0], max_tokens=[50], prompt=[sys.argv[2]])
    print("ready", flush=True)
    sys.stdin.readline()
    results = experiment.run(
        base_url=sys.argv[1], max_concurrency=16, progress=False,
        prices={"fake": {"input": 1, "output": 100}},
    )
    print(results.status)
"""


def children(base_url: str, *prompts: str) -> list[subprocess.Popen[str]]:
    tests = Path(__file__).parents[1]
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(CHILD), base_url, prompt],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": f"{tests}{os.pathsep}{tests.parent}"},
        )
        for prompt in prompts
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    return processes


def test_four_processes_together_keep_to_the_budget_of_a_project() -> None:
    server = ToldServer()
    server.reply = counting = Counting()
    pl.set_budget("day", usd=0.25)
    with server.in_thread():
        processes = children(server.base_url, *(f"{n} {{{{city}}}}?" for n in "ABCD"))
        ended = [p.communicate(timeout=PATIENCE_S)[0].split() for p in processes]

    assert ended == [["stopped"]] * 4
    assert counting.usd <= 0.25
    assert counting.usd > 0.15


def test_what_a_killed_process_had_in_flight_counts_for_the_rest_of_the_day() -> None:
    server = ToldServer()
    server.reply = lambda received: Reply(instead="nothing")
    pl.set_budget("day", usd=1)
    with server.in_thread():
        (process,) = children(server.base_url, "A {{city}}?")
        wait_until(lambda: len(server.received) >= 8)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate(timeout=PATIENCE_S)

    (row,) = pl.budgets().to_dict("records")
    assert row["spent_usd"] > 8 * priced(0, 50)
    assert row["reserved_usd"] == 0


def test_a_real_run_on_the_offline_model_stops_at_its_budget() -> None:
    with OfflineServer().in_thread() as server:
        experiment = capitals(
            30, model=["offline/small"], temperature=[0], max_tokens=[8]
        )
        results = experiment.run(
            base_url=server.base_url,
            prices={"offline/small": {"input": 1, "output": 1}},
            budget_tokens=500,
        )

    taken = results.table[["input_tokens", "output_tokens"]].sum().sum()
    assert results.status == "stopped"
    assert 0 < taken <= 500


def test_a_model_on_this_machine_is_free_and_no_dollar_budget_stops_it() -> None:
    client = FakeClient()  # without a price, without max_tokens

    with pytest.warns(pl.PromptlabWarning, match="budget_usd counts nothing for 'fak"):
        results = capitals(6, temperature=[0]).run(
            client=client, budget_usd=0.01, max_concurrency=2
        )

    assert (results.status, client.calls) == ("complete", 6)


def test_the_budget_of_a_project_says_what_it_does_not_count() -> None:
    pl.set_budget("month", usd=1)
    both = capitals(2, model=["fake", "other", "third"], max_tokens=[9])

    with pytest.warns(pl.PromptlabWarning) as given:
        both.run(client=FakeClient(), prices={"third": {"input": 1, "output": 2}})

    (warning,) = given
    assert str(warning.message) == (
        "the project's budget counts nothing for 'fake', 'other': they are on "
        "this machine, and have no price; give one in prices= if they cost something"
    )


def test_what_is_not_counted_is_said_of_dollars_and_calls_alone() -> None:
    experiment, client = grid(2), FakeClient()  # a warning would be an error here

    experiment.run(client=client, budget_tokens=1_000_000)
    experiment.run(client=client, budget_usd=1)  # all of it is cached

    assert client.calls == 2


def test_a_reply_of_a_dearer_tier_stays_within_the_budget() -> None:
    twice = {"input": 2, "output": 200}
    served = replace(said_with(10, MOST_OUT), service_tier="priority")
    client = FakeClient(lambda request: served)
    prices = {"fake": {**PRICES["fake"], "priority": twice}}

    results = grid(20).run(client=client, prices=prices, budget_usd=0.025)

    assert results.status == "stopped"
    assert client.calls == 2  # of $0.010 each
    assert results.totals.billed_usd == pytest.approx(2 * 2 * priced(10, MOST_OUT))


def test_what_a_stopped_conversation_had_paid_is_in_what_the_run_paid() -> None:
    turns = [{"role": "user", "content": f"{{{{city}}}}? {n}"} for n in range(2)]
    client = FakeClient(lambda request: said_with(10, MOST_OUT))

    results = grid(3, prompt={"talk": pl.Prompt(turns)}).run(
        client=client, prices=PRICES, budget_usd=0.0185, max_concurrency=1
    )

    each = priced(10, MOST_OUT)
    assert (results.totals.answered, client.calls) == (1, 3)
    assert results.totals.billed_usd == pytest.approx(3 * each)
    assert results.table["billed_usd"].sum() == pytest.approx(2 * each)


def test_where_the_ledger_cannot_be_asked_nothing_stays_reserved(
    clean_home: Path,
) -> None:
    limits, price = BudgetLimits(usd=1), {"m": {"input": 1, "output": 1}}
    body = {"model": "m", "max_tokens": 10, "messages": []}
    request = pl.Request("https://x.test/v1", body)

    async def spent_in_vain() -> int:
        ledger = Ledger()
        ledger.set_budget("day", BudgetLimits(usd=1))
        project = ledger.budgets()
        account = RunAccounting(
            Prices.of(price),
            ledger,
            limits,
            project=project,
            experiment="e",
            run=None,
        )
        most = Spend(0.4, 0)
        failed = 0
        ledger.rows("ALTER TABLE in_flight RENAME TO away")
        for _ in range(4):
            with pytest.raises(CacheError):
                await account.reserve(most)
            failed += 1
        ledger.rows("ALTER TABLE away RENAME TO in_flight")
        async with account.call(request, 1):
            pass
        for _ in range(2):
            await account.reserve(most)
        ledger.close()
        return failed

    assert asyncio.run(spent_in_vain()) == 4


@pytest.mark.parametrize(
    "reply",
    [
        error(504, message="Gateway Timeout"),
        error(524, message="A timeout occurred"),
        Reply(body=b'{"choices":[{"finish_reason":"error","message":{}}]}'),
    ],
    ids=["504", "524", "broken off"],
)
def test_what_a_gateway_gave_up_counts_at_its_worst_case(reply: Reply) -> None:
    server = ToldServer()
    server.reply = lambda received: reply
    with server.in_thread():
        results = grid(20).run(
            base_url=server.base_url,
            prices=PRICES,
            budget_usd=0.02,
            max_attempts=1,
            max_concurrency=1,
        )

    (row,) = pl.usage(by=None).to_dict("records")
    most = len(orjson.dumps(server.received[0].body)), server.received[0].body
    assert results.status == "stopped"
    assert row["unsettled"] == len(server.received)
    spent = len(server.received) * priced(most[0], most[1]["max_tokens"])
    assert 0.005 < spent <= 0.02
