"""Limits against servers of many kinds, in simulated time: what a run makes of them."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from promptlab.execution.scheduling.limiter import FIRST_WINDOW

from .simulated import (
    KINDS,
    Buckets,
    Moody,
    Places,
    SimulatedRun,
    SimulatedServer,
    measured,
    simulated,
    unlimited_s,
)

# All of it against a server, in simulated time: what a run makes of its limits.


def calls(count: int, least: int = 100, most: int = 300) -> list[int]:
    """The tokens of so many calls."""
    dice = random.Random(count)
    return [dice.randint(least, most) for _ in range(count)]


def limited() -> SimulatedServer:
    """A server with buckets of requests and tokens."""
    return SimulatedServer(Buckets(500, 400_000))


SMALL, LARGE = calls(3000), calls(1500, 500, 4000)


@pytest.mark.parametrize(
    ("server", "run"),
    [
        pytest.param(limited(), SimulatedRun(SMALL), id="requests"),
        pytest.param(limited(), SimulatedRun(LARGE), id="tokens"),
        pytest.param(limited(), SimulatedRun(SMALL, 256), id="many at once"),
        pytest.param(
            replace(limited(), latency_s=10),
            SimulatedRun(LARGE, 128),
            id="slow answers",
        ),
        pytest.param(
            replace(limited(), charges=0.6), SimulatedRun(LARGE), id="charges less"
        ),
        pytest.param(
            replace(limited(), charges=1.8), SimulatedRun(LARGE), id="charges more"
        ),
        pytest.param(
            SimulatedServer(Buckets(60, 40_000), latency_s=2),
            SimulatedRun(calls(400)),
            id="a small limit",
        ),
        pytest.param(
            SimulatedServer(Buckets(10_000, 8_000_000, 3), latency_s=0.05),
            SimulatedRun(SMALL, 256),
            id="a short burst",
        ),
        pytest.param(
            SimulatedServer(Buckets(5000, burst_s=6), latency_s=0.05, stall_s=0.4),
            SimulatedRun(SMALL, 64),
            id="calls held up on the way",
        ),
    ],
)
def test_a_run_takes_what_the_limits_allow_and_is_not_refused(
    server: SimulatedServer, run: SimulatedRun
) -> None:
    took_s = simulated(server, [run])

    assert took_s <= 1.03 * server.ideal_s(run.tokens)
    assert server.refused <= len(run.tokens) / 1000


def test_runs_that_share_a_limit_take_what_it_allows_and_are_not_refused() -> None:
    server = limited()
    large, small = SimulatedRun(calls(2500), 256), SimulatedRun(calls(500), 4)

    took_s = simulated(server, [large, small])

    assert took_s <= 1.02 * server.ideal_s([*large.tokens, *small.tokens])
    assert server.refused <= 3
    assert large.in_flight_max <= 256
    assert small.in_flight_max <= 4
    assert small.ended_s < took_s * 2 / 3


@pytest.mark.parametrize("count", [2, 4])
@pytest.mark.parametrize("tokens", [calls(800), calls(800, 500, 4000)])
def test_processes_that_share_a_key_back_off(count: int, tokens: list[int]) -> None:
    server = limited()
    runs = [SimulatedRun(tokens) for _ in range(count)]

    took_s = simulated(server, *([run] for run in runs))

    assert took_s <= 1.05 * server.ideal_s(count * tokens)
    assert server.refused <= count * len(tokens) / 100


def test_after_calls_at_a_limit_that_nobody_knew_the_rest_is_not_refused() -> None:
    server = SimulatedServer(Buckets(3), latency_s=2)
    run = SimulatedRun(calls(30))

    took_s = simulated(server, [run])

    assert server.refused <= FIRST_WINDOW
    assert took_s <= 1.1 * server.ideal_s(run.tokens)


def test_a_users_own_limits_keep_a_server_without_headers_from_refusing() -> None:
    server = SimulatedServer(Buckets(520, 400_000), tells=False, explains=False)
    own = SimulatedServer(Buckets(500, 380_000))
    run = SimulatedRun(LARGE, 64, rpm=500, tpm=380_000)

    took_s = simulated(server, [run])

    assert server.refused == 0
    assert took_s == pytest.approx(own.ideal_s(run.tokens), rel=0.02)


def test_without_headers_a_run_finds_its_speed_by_what_is_refused() -> None:
    server = SimulatedServer(Buckets(600), tells=False, explains=False)
    run = SimulatedRun(SMALL, 64)

    took_s = simulated(server, [run])

    assert server.refused <= len(SMALL) / 20
    assert took_s <= 1.05 * server.ideal_s(SMALL)


# Servers of all kinds: those that tell their limits, and those that only refuse.


@pytest.mark.parametrize("name", KINDS)
def test_few_calls_are_refused_and_little_time_is_lost(name: str) -> None:
    found = measured(name)

    most = 0.05 if KINDS[name].tells else 0.15
    assert found["refused"] <= most
    assert found["time"] <= 1.2
    assert found["waited_s"] <= 300


@pytest.mark.parametrize("asks", [True, False], ids=["with Retry-After", "without"])
@pytest.mark.parametrize("latency_s", [0.2, 5.0])
def test_a_cap_of_two_calls_at_once_is_found_within_ten_calls(
    latency_s: float, asks: bool
) -> None:
    server = SimulatedServer(
        Places(2), latency_s=latency_s, tells=False, explains=False, asks=asks
    )
    run = SimulatedRun([100] * 60, 64)

    took_s = simulated(server, [run])

    began = FIRST_WINDOW + 10
    late = [admitted for _, admitted in server.came[began:]]
    assert late.count(False) <= 0.1 * len(late)
    assert took_s <= 1.2 * server.ideal_s(run.tokens) + 1


@pytest.mark.parametrize("asks", [True, False], ids=["with Retry-After", "without"])
def test_runs_that_share_a_server_which_only_refuses_get_their_shares(
    asks: bool,
) -> None:
    server = SimulatedServer(Buckets(120), tells=False, explains=False, asks=asks)
    large, small = SimulatedRun([100] * 800, 64), SimulatedRun([100] * 100, 8)

    took_s = simulated(server, [large, small])

    assert small.ended_s < took_s / 2
    assert took_s <= 1.1 * server.ideal_s([*large.tokens, *small.tokens])


def test_refusals_by_accident_stop_no_run() -> None:
    server = SimulatedServer(
        Moody(0.1), latency_s=1, tells=False, explains=False, asks=False
    )
    run = SimulatedRun([100] * 300, 16)

    took_s = simulated(server, [run])

    assert took_s <= 120
    assert server.share_refused() <= 0.15


def test_a_limit_that_only_answers_tell_is_kept_to_when_refusals_say_nothing() -> None:
    server = SimulatedServer(KINDS["fixed window, told by answers"].rule(5))
    server.explains = server.asks = False
    run = SimulatedRun([100] * 20)

    took_s = simulated(server, [run])

    minutes = [int(at // 60) for at, _ in server.came]
    assert max(minutes.count(minute) for minute in set(minutes) - {0}) <= 2 * 5
    assert took_s <= 300


@pytest.mark.parametrize("asked_s", [0.0, 0.02, 1.0])
@pytest.mark.parametrize("latency_s", [0.05, 1.0, 10.0])
@pytest.mark.parametrize(("share", "most"), [(0.05, 1.5), (0.1, 1.5), (0.2, 2.0)])
def test_refusals_that_come_at_any_pace_make_a_run_little_slower(
    share: float, most: float, latency_s: float, asked_s: float
) -> None:
    def server() -> SimulatedServer:
        rule = Moody(share, asked_s)
        return SimulatedServer(
            rule, latency_s=latency_s, tells=False, explains=False, asks=asked_s > 0
        )

    took_s = simulated(server(), [SimulatedRun([100] * 1000, 64)])

    assert took_s <= most * unlimited_s(server(), 1000, 64)


def test_many_refusals_by_accident_are_hardly_ever_taken_for_a_limit() -> None:
    def server(seed: int) -> SimulatedServer:
        rule = Moody(0.2, seed=seed)
        return SimulatedServer(
            rule, latency_s=0.05, tells=False, explains=False, asks=False
        )

    times = [
        simulated(server(seed), [SimulatedRun([100] * 1000, 64)])
        / unlimited_s(server(seed), 1000, 64)
        for seed in range(1000, 1040)
    ]

    assert sum(time > 1.5 for time in times) <= 1
