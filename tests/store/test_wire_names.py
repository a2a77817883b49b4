"""Wire names: a server that wants `max_tokens` called otherwise is asked again so."""

from __future__ import annotations

from typing import Any

import pytest
from fakes.experiments import capitals

import promptlab as pl
from promptlab.results.runs import find_run
from promptlab.testing import FakeClient, Outcome, echo, failure

NAMES = ("max_tokens", "max_completion_tokens")


def refused(name: str) -> pl.Failure:
    """What a server says that wants the other name."""
    other = NAMES[1 - NAMES.index(name)]
    said = f"Unsupported parameter: {name!r} is not supported. Use {other!r} instead."
    return failure(400, "unsupported_parameter", param=name, message=said)


class Wanting:
    """A model that refuses these names."""

    def __init__(self, *refuses: str) -> None:
        self.refuses = refuses

    def __call__(self, request: pl.Request) -> Outcome:
        for name in self.refuses:
            if name in request.body:
                return refused(name)
        return echo(request)


def client_of(*refuses: str) -> FakeClient:
    client = FakeClient(Wanting(*refuses))
    client.base_url = "http://localhost:8001/v1"
    return client


def experiment(cities: int = 4, **more: Any) -> pl.Experiment:
    made = capitals(cities, model=["deployed"], temperature=[0], max_tokens=[9])
    return pl.Experiment("named", grid=made.grid, dataset=made.dataset, **more)


def test_a_refused_name_is_replaced_by_the_one_that_the_server_names() -> None:
    client = client_of("max_tokens")

    results = experiment().run(client=client, max_concurrency=1)

    asked = [name for r in client.requests for name in NAMES if name in r.body]
    assert results.totals.answered == 4
    assert asked == ["max_tokens", *["max_completion_tokens"] * 4]


def test_what_was_asked_under_the_other_name_is_kept_under_what_was_sent() -> None:
    client = client_of("max_tokens")

    results = experiment().run(client=client)

    sent = {r.key for r in client.requests if "max_completion_tokens" in r.body}
    assert set(results.table["key"]) == sent
    assert pl.ResponseCache().known(list(sent)) == sent


def test_later_runs_and_plans_know_what_a_server_said() -> None:
    first = experiment().run(client=client_of("max_tokens"))
    again, more = client_of("max_tokens"), client_of("max_tokens")

    plan = experiment().plan(client=again)
    second = experiment().run(client=again)
    experiment(6).run(client=more)

    assert (plan.counts["cached"], again.calls, second.totals.cached) == (4, 0, 4)
    assert more.calls == 2  # and none of them was refused
    assert first.run is not None
    assert find_run(first.run).load_results().totals.answered == 4


def test_explain_asks_under_the_name_that_the_server_wants() -> None:
    client = client_of("max_tokens")
    experiment().run(client=client)

    said = pl.explain(experiment().trials[0], base_url=client.base_url)

    assert said.hit


def test_what_another_server_or_model_said_concerns_no_other() -> None:
    experiment().run(client=client_of("max_tokens"))
    elsewhere = FakeClient()
    elsewhere.base_url = "http://localhost:8002/v1"

    experiment().run(client=elsewhere)

    assert all("max_tokens" in request.body for request in elsewhere.requests)


@pytest.mark.parametrize("concurrency", [1, 8])
def test_a_server_that_refuses_both_names_is_not_asked_for_ever(
    concurrency: int,
) -> None:
    client = client_of(*NAMES)

    results = experiment().run(client=client, max_concurrency=concurrency)

    assert results.totals.failed == 4
    assert client.calls <= 8


def test_a_name_that_the_user_gave_is_not_replaced() -> None:
    client = client_of("max_tokens")
    own = {"deployed": {"max_tokens": "max_tokens"}}

    results = experiment(1, capabilities=own).run(client=client)

    assert (results.totals.failed, client.calls) == (1, 1)


def test_a_damaged_file_of_names_is_learned_again(clean_home: Any) -> None:
    experiment().run(client=client_of("max_tokens"))
    (clean_home / "wire_names.json").write_bytes(b'[["http://localhost:8001/v1", 1')
    client = client_of("max_tokens")

    results = experiment().run(client=client, max_concurrency=1)

    assert results.totals.answered == 4
    assert client.calls == 1  # refused; the rest is cached
