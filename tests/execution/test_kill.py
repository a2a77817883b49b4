"""Kills: a process that dies in mid-run loses nothing; two work side by side, and
neither asks what the other asks."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import orjson
import pytest
from fakes.experiments import capitals
from fakes.servers import Received, Reply, ToldServer, answer
from pandas.testing import assert_frame_equal

import promptlab as pl
from promptlab.offline import Faults, OfflineServer
from promptlab.testing import PATIENCE_S, wait_until

CITIES = 100
TRIALS = 2 * CITIES
IN_FLIGHT = 16

JUDGE = {"judge": {"name": "clear", "model": "offline/large", "rubric": "It is clear."}}

CHILD = f"""
    JUDGE = {JUDGE}
    import sys
    from fakes.experiments import capitals

    experiment = capitals({CITIES}, model=["offline/small"], seed=[7])
    if "judged" in sys.argv:
        experiment = experiment.with_scorers([JUDGE])
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


def children(base_url: str, count: int, *more: str) -> list[subprocess.Popen[str]]:
    """Other processes, ready to run the experiment."""
    tests = Path(__file__).parents[1]
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(CHILD), base_url, *more],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": f"{tests}{os.pathsep}{tests.parent}"},
        )
        for _ in range(count)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    return processes


def go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()


def outcome(results: pl.Results) -> object:
    """What must be the same however often a run was cut; latency is measured anew."""
    return results.table.drop(columns=["billed_usd", "cached", "latency_s"])


@pytest.mark.parametrize("answered", [1, 60])
def test_after_a_kill_only_the_rest_is_paid_for(
    server: OfflineServer, cache: pl.ResponseCache, answered: int
) -> None:
    experiment = capitals(CITIES, model=["offline/small"], seed=[7])
    (process,) = children(server.base_url, 1)

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


def test_after_a_kill_only_the_rest_is_judged(
    server: OfflineServer, cache: pl.ResponseCache
) -> None:
    experiment = capitals(CITIES, model=["offline/small"], seed=[7])
    experiment = experiment.with_scorers([JUDGE])
    (process,) = children(server.base_url, 1, "judged")

    go(process)
    wait_until(lambda: server.answered >= TRIALS + 40)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=PATIENCE_S)
    wait_until(lambda: server.in_flight == 0)
    stored, before = len(cache), server.calls
    resumed = experiment.run(base_url=server.base_url)
    paid = server.calls - before

    totals = resumed.totals
    assert stored > TRIALS
    assert totals.cached == TRIALS
    assert paid == totals.judgements == resumed.totals.calls
    assert totals.cached_judgements == stored - TRIALS
    assert resumed.table["clear"].notna().all()


class Held:
    """Replies to the first calls not before they are let go, to the others at once."""

    def __init__(self, count: int) -> None:
        self._held = count
        self._free = threading.Event()
        self.asked: list[str] = []

    def __call__(self, received: Received) -> Reply:
        self.asked.append(str(received.body))
        if len(self.asked) <= self._held and not self._free.is_set():
            return Reply(instead="nothing")
        return answer("the same")


def said(process: subprocess.Popen[str]) -> list[int]:
    """What a process said in the end: trials answered, failed, and calls."""
    stdout, stderr = process.communicate(timeout=PATIENCE_S)
    assert stderr == ""
    return [int(number) for number in stdout.split()]


def test_two_processes_at_once_ask_nothing_twice(cache: pl.ResponseCache) -> None:
    with ToldServer().in_thread() as server:
        server.reply = lambda received: replace(answer("the same"), after_s=0.05)
        processes = children(server.base_url, 2)
        for process in processes:
            go(process)
        totals = [said(process) for process in processes]

    asked = {orjson.dumps(received.body) for received in server.received}
    assert [(answered, failed) for answered, failed, _ in totals] == [(TRIALS, 0)] * 2
    assert len(cache) == len(asked) == len(server.received) == TRIALS
    assert sum(calls for *_, calls in totals) == TRIALS
    assert all(calls > 0 for *_, calls in totals)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT], ids=lambda s: s.name)
def test_what_a_process_was_asking_when_it_ended_is_asked_by_the_other(
    how: signal.Signals,
) -> None:
    with ToldServer().in_thread() as server:
        server.reply = held = Held(IN_FLIGHT)
        first, second = children(server.base_url, 2)
        go(first)
        wait_until(lambda: len(held.asked) == IN_FLIGHT)
        go(second)
        wait_until(lambda: len(held.asked) == TRIALS)
        first.send_signal(how)
        first.send_signal(how)
        first.communicate(timeout=PATIENCE_S)
        totals = said(second)

    times = Counter(held.asked)
    assert totals == [TRIALS, 0, TRIALS]
    assert len(times) == TRIALS
    assert [asked for asked, n in times.items() if n == 2] == held.asked[:IN_FLIGHT]
    assert len(held.asked) == TRIALS + IN_FLIGHT


def test_a_process_asks_nothing_that_another_has_been_told(
    server: OfflineServer,
) -> None:
    first, second = children(server.base_url, 2)

    go(first)
    first.communicate(timeout=PATIENCE_S)
    go(second)
    stdout, stderr = second.communicate(timeout=PATIENCE_S)

    assert (stdout, stderr) == (f"{TRIALS} 0 0\n", "")
    assert server.calls == TRIALS
