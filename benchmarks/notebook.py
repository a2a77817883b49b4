"""The notebook's part: what is measured in JupyterLab, and the process that does it.

`benchmarks.lab` is that process; here is who tells it what to do.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Timer
from typing import IO

from benchmarks.server import MockServer, Settings
from benchmarks.sitting import ROOT, WorkFailedError, last_words

PACED = Settings(latency_s=0.053)
CONCURRENCY = 32
"""With that latency about 500 calls a second."""

LIMIT_S = 600
"""How long a measurement may take."""


@dataclass(frozen=True, kw_only=True)
class Compared:
    """A comparison of so many outputs of 1 KB: opened, saved, read, filtered."""

    peer: str = "promptlab"
    rows: int
    columns: int

    def __str__(self) -> str:
        return f"{self.rows:,} × {self.columns}"


@dataclass(frozen=True, kw_only=True)
class Watched:
    """Runs whose progress is shown, and runs without, in turn in one kernel."""

    peer: str = "promptlab"
    trials: int
    turns: int

    def __str__(self) -> str:
        return f"{self.turns} x 2 runs of {self.trials:,} trials, paced"


class MissingError(Exception):
    """There is no browser, or no JupyterLab; the message says what would do."""


@dataclass(frozen=True)
class Notebooks:
    """A running JupyterLab with a browser, and the server that its runs ask."""

    process: subprocess.Popen
    chromium: str
    """Its version."""
    complaints: IO[str]
    server: MockServer

    def measure(self, work: Compared | Watched) -> dict:
        """What one measurement gave: numbers, by name. Raises `WorkFailedError`."""
        if isinstance(work, Compared):
            return self._ask(task="compare", rows=work.rows, columns=work.columns)
        self.server.reset(PACED)
        site = {"base_url": self.server.base_url, "concurrency": CONCURRENCY}
        numbers = self._ask(
            task="watch",
            site=site | {"cache": ""},
            trials=work.trials,
            turns=work.turns,
        )
        _check(work, numbers)
        return numbers

    def _ask(self, **order: object) -> dict:
        limit = Timer(LIMIT_S, self.process.terminate)
        limit.start()
        try:
            self.process.stdin.write(json.dumps(order) + "\n")
            self.process.stdin.flush()
            reply = self.process.stdout.readline()
        except BrokenPipeError:
            reply = ""
        finally:
            limit.cancel()
        if not reply:
            raise WorkFailedError(_complaint(self.complaints))
        numbers = json.loads(reply)
        if failure := numbers.get("failure"):
            raise WorkFailedError(failure)
        return numbers


@contextmanager
def running(server: MockServer) -> Iterator[Notebooks]:
    """A JupyterLab and a browser, which end with the block.

    Raises `MissingError`, or `WorkFailedError` where one of them does not start.
    """
    path = [str(ROOT / "tests"), os.environ.get("PYTHONPATH")]
    with tempfile.TemporaryFile("w+") as complaints:
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.lab"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=complaints,
            text=True,
            start_new_session=True,  # Ctrl-C is for this process, which ends it
            cwd=ROOT,
            env=os.environ
            | {"PYTHONPATH": os.pathsep.join(filter(None, path))}
            | {"NO_PROXY": "127.0.0.1"},
        )
        with process:
            greeting = json.loads(process.stdout.readline() or "{}")
            if missing := greeting.get("missing"):
                raise MissingError(missing)
            if not greeting:
                raise WorkFailedError(_complaint(complaints))
            try:
                yield Notebooks(process, greeting["chromium"], complaints, server)
            except BaseException:
                process.terminate()
                process.wait()  # it has a server and a browser to end
                raise


def _complaint(complaints: IO[str]) -> str:
    complaints.seek(0)
    return last_words(complaints.read())


def _check(work: Watched, numbers: dict) -> None:
    """Refuses a measurement of runs that left trials out."""
    runs = [*numbers["shown"], *numbers["silent"]]
    if any(run["answered"] != work.trials for run in runs):
        answered = [run["answered"] for run in runs]
        raise WorkFailedError(f"answered {answered}, expected {work.trials} each")
