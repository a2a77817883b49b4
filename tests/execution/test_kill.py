"""Kills: a process that dies in mid-run loses nothing, and two may work side by side."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pandas.testing import assert_frame_equal

import promptlab as pl
from promptlab.offline import Faults, OfflineServer

from .conftest import capitals
from .fakes import PATIENCE_S

CITIES = 100
TRIALS = 2 * CITIES
IN_FLIGHT = 16

CHILD = f"""
    import sys
    from execution.conftest import capitals

    experiment = capitals({CITIES}, model=["offline/small"])
    print("ready", flush=True)
    sys.stdin.readline()
    results = experiment.run(base_url=sys.argv[1], max_concurrency={IN_FLIGHT})
    print(results.totals.answered, results.totals.failed, results.totals.calls)
"""


@pytest.fixture
def server() -> Iterator[OfflineServer]:
    """A server that takes its time."""
    with OfflineServer(Faults(latency_s=0.05)).in_thread() as server:
        yield server


def child(server: OfflineServer) -> subprocess.Popen[str]:
    """Another process, ready to run the experiment."""
    tests = Path(__file__).parents[1]
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(CHILD), server.base_url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": f"{tests}{os.pathsep}{tests.parent}"},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()


def wait_until(true: Callable[[], bool]) -> None:
    """Polls until something is so."""
    pause = threading.Event()
    for _ in range(int(PATIENCE_S * 200)):
        if true():
            return
        pause.wait(0.005)
    raise TimeoutError("it did not come about")


def outcome(results: pl.Results) -> object:
    """What must be the same however often a run was cut; latency is measured anew."""
    return results.table.drop(columns=["cached", "latency_s"])


@pytest.mark.parametrize("answered", [1, 60])
def test_after_a_kill_only_the_rest_is_paid_for(
    server: OfflineServer, cache: pl.ResponseCache, answered: int
) -> None:
    experiment = capitals(CITIES, model=["offline/small"])
    process = child(server)

    go(process)
    wait_until(lambda: server.answered >= answered)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=PATIENCE_S)
    wait_until(lambda: server.in_flight == 0)
    stored, before = len(cache), server.calls
    resumed = experiment.run(base_url=server.base_url)
    paid = server.calls - before
    uninterrupted = experiment.run(base_url=server.base_url, use_cache=False)

    assert process.returncode == -signal.SIGKILL
    assert stored >= answered - IN_FLIGHT
    assert paid == TRIALS - stored
    assert resumed.status == "complete"
    assert resumed.table["cached"].sum() == stored
    assert_frame_equal(outcome(resumed), outcome(uninterrupted))


def test_two_processes_with_the_same_grid_share_the_work(
    server: OfflineServer, cache: pl.ResponseCache
) -> None:
    processes = [child(server), child(server)]

    for process in processes:
        go(process)
    ends = [process.communicate(timeout=PATIENCE_S) for process in processes]

    assert [stderr for _, stderr in ends] == ["", ""]
    totals = [[int(number) for number in stdout.split()] for stdout, _ in ends]
    assert [(answered, failed) for answered, failed, _ in totals] == [(TRIALS, 0)] * 2
    assert len(cache) == TRIALS
    assert sum(calls for *_, calls in totals) == server.calls


def test_two_processes_pay_twice_only_for_calls_in_flight_in_both(
    server: OfflineServer,
) -> None:
    first, second = child(server), child(server)

    go(first)
    wait_until(lambda: server.answered >= TRIALS // 4)
    go(second)
    for process in (first, second):
        process.communicate(timeout=PATIENCE_S)

    # The second comes to the trials that are in flight in the first, then both take
    # turns: of every windowful that one sends, the other may have sent the same.
    assert server.calls <= TRIALS + TRIALS * 3 // 4
