"""Faults: whatever a server does wrong, every trial ends as it should."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from fakes.experiments import capitals

import promptlab as pl
from promptlab.offline import Faults, OfflineServer

TRIALS = 40

Serve = Callable[[Faults], OfflineServer]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts a server that is broken in some way."""
    with ExitStack() as stack:
        yield lambda faults: stack.enter_context(OfflineServer(faults).in_thread())


def run(server: OfflineServer, trials: int = TRIALS, **options: Any) -> pl.Results:
    experiment = capitals(trials, model=["offline/small"], temperature=[0])
    options = {"max_concurrency": 8, "max_attempts": 12, **options}
    return experiment.run(base_url=server.base_url, **options)


@pytest.mark.parametrize(
    "faults",
    [
        Faults(rate_limited=0.2, seed=1),
        Faults(server_errors=0.2, seed=2),
        Faults(overloaded=0.2, seed=3),
        Faults(dropped=0.2, seed=4),
        Faults(rate_limited=0.05, server_errors=0.05, dropped=0.05, seed=5),
    ],
    ids=["rate_limited", "server_errors", "overloaded", "dropped", "all of them"],
)
def test_what_passes_is_waited_out_and_every_trial_is_answered(
    serve: Serve, faults: Faults
) -> None:
    server = serve(faults)

    results = run(server)

    assert results.status == "complete"
    assert results.totals.answered == results.totals.calls == TRIALS
    assert server.injected.total() > 0
    assert server.calls == TRIALS + server.injected.total()
    assert server.in_flight_max <= 8


@pytest.mark.parametrize(
    "faults",
    [
        Faults(html=0.3, seed=1),
        Faults(no_choices=0.3, seed=2),
        Faults(truncated_json=0.3, seed=3),
        Faults(wrong_types=0.3, seed=4),
    ],
    ids=["html", "no_choices", "truncated_json", "wrong_types"],
)
def test_a_reply_that_is_no_answer_fails_its_trial_and_no_other(
    serve: Serve, faults: Faults
) -> None:
    server = serve(faults)

    results = run(server)

    broken = server.injected.total()
    assert 0 < broken < TRIALS
    assert results.totals.failed == broken
    assert results.totals.answered == server.answered == TRIALS - broken
    assert server.calls == TRIALS
    assert set(results.errors["kind"]) == {"invalid_reply"}


def test_an_answer_without_text_is_shown_as_truncated(serve: Serve) -> None:
    server = serve(Faults(empty_content=0.3, seed=1))

    results = run(server)

    empty = server.injected["empty_content"]
    assert empty > 0
    assert results.totals.truncated == (results.table["output"] == "").sum() == empty
    assert results.totals.failed == 0
    assert "truncated by max_tokens" in results.headline


def test_a_quota_that_runs_out_stops_the_run(serve: Serve) -> None:
    server = serve(Faults(quota_after=10))

    results = run(server)

    assert results.status == "stopped"
    assert results.totals.answered == server.answered == 10
    assert server.calls <= 10 + 8
    assert "no further call can succeed until the account has credit" in results.reason


def test_a_limit_per_minute_that_is_met_is_waited_out(serve: Serve) -> None:
    server = serve(Faults(requests_per_minute=1200, burst_s=0.5))

    results = run(server, trials=30)

    assert results.totals.answered == 30
    assert server.calls == 30 + server.injected.total()


def test_a_limit_that_was_told_is_hardly_ever_met(serve: Serve) -> None:
    server = serve(Faults(requests_per_minute=3000, burst_s=1))

    results = run(server, trials=100, max_concurrency=4, rpm=2900)

    assert results.totals.answered == 100
    assert server.injected.total() <= 100 / 10


def test_reasoning_models_refuse_parameters_and_only_that_variant_fails(
    serve: Serve,
) -> None:
    server = serve(Faults(reasoning=True))
    experiment = pl.Experiment(
        "reasoning",
        grid=pl.Grid(
            model=["offline/small"],
            prompt=["Where is {{city}}?"],
            temperature=[None, 0.5],
        ),
        dataset=[{"city": str(number)} for number in range(TRIALS)],
    )

    results = experiment.run(base_url=server.base_url, max_concurrency=4)

    failed = results.table[results.table["error"].notna()]
    assert set(failed["temperature"]) == {0.5}
    assert results.totals.answered == results.totals.failed == TRIALS
    assert server.calls - server.answered <= 4


def test_latency_is_measured_and_kept(serve: Serve) -> None:
    server = serve(Faults(latency_s=0.05, jitter_s=0.02))

    paid, again = run(server), run(server)

    assert paid.table["latency_s"].min() >= 0.05
    assert paid.table["latency_s"].tolist() == again.table["latency_s"].tolist()
    assert server.calls == TRIALS


def test_a_server_slower_than_timeout_s_fails_the_trial(serve: Serve) -> None:
    server = serve(Faults(latency_s=30))

    results = run(server, trials=2, timeout_s=0.1, max_attempts=1)

    assert results.errors["kind"].tolist() == ["timeout"] * 2
    assert "within 0.1 s (timeout_s)" in results.table["error"][0]


def test_a_wrong_key_stops_the_run_and_is_not_shown() -> None:
    with OfflineServer(api_key="sk-right-0123456789").in_thread() as server:
        results = run(server, api_key="sk-wrong-9876543210")

    assert results.status == "stopped"
    assert "check the API key" in results.reason
    assert "wrong" not in repr(results)
    assert "3210" not in repr(results)


def test_the_offline_model_needs_neither_key_nor_server() -> None:
    experiment = capitals(3, model=["offline/small", "offline/large"])

    paid = experiment.run()
    again = experiment.run()

    assert (paid.totals.answered, paid.totals.calls) == (12, 12)
    assert (again.totals.cached, again.totals.calls) == (12, 0)
