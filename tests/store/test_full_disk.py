"""A full disk: one clear line, and what was paid for before stays.

A limit on the size of files, in a process of its own, has SQLite fail as it does where
the disk has no room.
"""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from fakes.experiments import capitals

import promptlab as pl
from promptlab.testing import FakeClient

pytestmark = pytest.mark.skipif(os.name != "posix", reason="Windows has no such limit")

CHILD = """
    import resource, signal, sys, warnings
    import promptlab as pl
    from fakes.experiments import capitals
    from promptlab.testing import FakeClient

    warnings.simplefilter("ignore")
    client = FakeClient(lambda request: "x" * 2_000)
    experiment = capitals(400, temperature=[0])
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), -1))
    try:
        results = experiment.run(client=client, progress=False)
    except pl.PromptlabError as error:
        print(client.calls, 0, error, sep="|")
    else:
        print(client.calls, results.totals.answered, results.reason, sep="|")
"""


def run_with(largest_file: int) -> tuple[int, int, str]:
    """Calls, answers, and how a run ended whose files may be so large."""
    tests = Path(__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(CHILD), str(largest_file)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": f"{tests}{os.pathsep}{tests.parent}"},
    )
    calls, answered, reason = done.stdout.rstrip("\n").split("|")
    return int(calls), int(answered), reason


def test_a_disk_that_is_full_is_named_before_anything_is_paid() -> None:
    calls, _, error = run_with(20_000)

    assert calls == 0
    assert "cannot be opened: disk I/O error; is its disk full?" in error
    assert "\n" not in error


def test_a_disk_that_fills_up_stops_the_run_and_the_next_pays_for_the_rest(
    cache: pl.ResponseCache,
) -> None:
    calls, answered, reason = run_with(1_000_000)
    kept = len(cache)
    client = FakeClient()

    results = capitals(400, temperature=[0]).run(client=client)

    assert 0 < kept <= answered == calls < 400
    assert "cannot be stored" in reason
    assert "export these results to keep them" in reason
    assert (results.status, client.calls) == ("complete", 400 - kept)
