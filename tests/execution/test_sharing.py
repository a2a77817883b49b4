"""Sharing: processes that use one key at the same time keep to its limits together.

How long that takes is measured in simulated time, in `test_limiter.py`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path

from fakes.servers import Received, Reply, ToldServer, answer, error

from promptlab.offline.server.errors import ApiError
from promptlab.offline.server.limits import Bucket, Limits

CALLS = 250
PER_S = 40
BURST = 300
LATENCY_S = 0.3

CHILD = f"""
    import sys
    from fakes.experiments import capitals

    experiment = capitals({CALLS}, temperature=[0], seed=[int(sys.argv[2])])
    print("ready", flush=True)
    sys.stdin.readline()
    results = experiment.run(base_url=sys.argv[1], record=False)
    print(results.totals.answered, results.totals.failed)
"""


class Limited:
    """Replies as a server with a token bucket."""

    def __init__(self) -> None:
        self._limits = Limits((Bucket("requests", 60 * PER_S, BURST / PER_S),))
        self.refused = 0

    def __call__(self, received: Received) -> Reply:
        try:
            self._limits.draw("fake", 0, time.monotonic())
        except ApiError as refusal:
            self.refused += 1
            return error(429, refusal.headers, code="rate_limit_exceeded")
        return replace(answer(**self._limits.headers()), after_s=LATENCY_S)


def child(base_url: str, seed: int) -> subprocess.Popen[str]:
    """Another process, ready to run."""
    tests = Path(__file__).parents[1]
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(CHILD), base_url, str(seed)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": f"{tests}{os.pathsep}{tests.parent}"},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def test_two_processes_with_one_key_back_off_instead_of_fighting() -> None:
    limited = Limited()
    with ToldServer().in_thread() as server:
        server.reply = limited
        processes = [child(server.base_url, seed) for seed in (1, 2)]
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        said = [process.communicate(timeout=120)[0] for process in processes]

    assert said == [f"{CALLS} 0\n"] * 2
    assert limited.refused <= 0.03 * 2 * CALLS
