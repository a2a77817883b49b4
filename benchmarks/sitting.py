"""A sitting: takes measurements alternately, each in a process of its own.

All peers are measured in one sitting, against one server, so that their ratios hold
even where their seconds do not.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Timer
from typing import Any

from jupyter_client.manager import start_new_kernel

from benchmarks.measure import children_cost
from benchmarks.server import CALM, MockServer, Settings
from benchmarks.workload import WITHOUT_TABLE

ROOT = Path(__file__).parent.parent
TASKS = {
    "grid": "",
    "guarded": "with a budget,",
    "enter": "calls entered,",
    "plan": "plan",
    "long": "long answers,",
    "two_runs": "two runs of together",
    "two_processes": "two processes with together",
}
"""What peers do, and how it is told."""

DEFINE = """
import promptlab as pl
from benchmarks import workload as w
experiment = pl.Experiment(
    "bench",
    grid=pl.Grid(
        model=w.MODELS,
        prompt=w.PROMPTS,
        system=w.SYSTEMS,
        temperature=w.TEMPERATURES,
        max_tokens=w.MAX_TOKENS,
    ),
    dataset=w.cases({trials}),
)
"""
RUN = """
results = experiment.run(base_url="{base_url}", api_key="bench", cache="{cache}")
assert results.totals.cached == len(experiment), results
"""
"""Two cells of a notebook."""

FILL_TASKS = {"hand": "fill"}
"""How a peer fills its cache, where not by asking the whole grid at 0 ms."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """A piece of work for one peer, after a warm-up."""

    peer: str
    task: str = "grid"
    trials: int
    concurrency: int = 64
    settings: Settings = CALM
    filled: bool = False
    """Whether the peer's cache has all the answers beforehand."""
    first: bool = False
    """Whether it is the first that its process does, without a warm-up."""

    @property
    def _asks(self) -> bool:
        return self.task not in WITHOUT_TABLE and not self.filled

    def __str__(self) -> str:
        notes = [
            TASKS[self.task],
            f"{self.trials:,} trials",
            f"at {self.concurrency}" if self._asks else "",
            "with faults" if self.settings.injects_faults else "",
            "within limits" if self.settings.rpm or self.settings.tpm else "",
            "cached" if self.filled else "",
            "first of a process" if self.first else "",
        ]
        return " ".join(filter(None, notes))


@dataclass(frozen=True, kw_only=True)
class Command:
    """A whole Python process, from its start to its end."""

    peer: str
    arguments: tuple[str, ...]

    def __str__(self) -> str:
        return f"python {' '.join(self.arguments)}"


@dataclass(frozen=True, kw_only=True)
class FirstCell:
    """The first run of a kernel, with everything in the cache."""

    peer: str = "promptlab"
    trials: int

    def __str__(self) -> str:
        return f"{self.trials:,} trials cached first of a kernel"


@dataclass(frozen=True, kw_only=True)
class Simulated:
    """Servers of many kinds in simulated time, and a run's calls to each."""

    peer: str = "promptlab"

    def __str__(self) -> str:
        return "simulated servers"


class WorkFailedError(Exception):
    """A peer did not do its work: it crashed, took too long, or left trials out."""


@dataclass(frozen=True)
class Sitting:
    """One server, one directory, and the caches in it that peers have filled."""

    server: MockServer
    directory: Path
    filled: dict[tuple[str, int], Path] = field(default_factory=dict)

    def measure(self, work: Work | Command | FirstCell | Simulated) -> dict:
        """What one measurement gave: numbers, by name. Raises `WorkFailedError`."""
        if isinstance(work, Simulated):
            return self._simulate()
        if isinstance(work, Command):
            return self._run(work)
        if isinstance(work, FirstCell):
            return self._run_cell(work)
        if work.filled:
            return self._take(work, self._filled_cache(work))
        with tempfile.TemporaryDirectory(dir=self.directory) as cache:
            return self._take(work, Path(cache))

    def _filled_cache(self, work: Work) -> Path:
        owner = (work.peer, work.trials)
        if owner not in self.filled:
            cache = Path(tempfile.mkdtemp(dir=self.directory))
            filling = replace(
                work,
                task=FILL_TASKS.get(work.peer, "grid"),
                concurrency=256,
                settings=Settings(latency_s=0),
                filled=False,
            )
            self._take(filling, cache)
            self.filled[owner] = cache
        return self.filled[owner]

    def _take(self, work: Work, cache: Path) -> dict:
        self.server.reset(Settings(latency_s=0))
        with children_cost() as totals, self._child(work, cache) as child:
            child.stdout.readline()
            self.server.reset(work.settings)
            child.stdin.write("go\n")
            child.stdin.flush()
            report = child.stdout.readline()
        numbers = json.loads(report) | totals | {"server": self.server.stats()}
        _check(work, numbers)
        return numbers

    @contextmanager
    def _child(self, work: Work, cache: Path) -> Iterator[subprocess.Popen]:
        """The work's child process; it has ended well when the block ends."""
        with (
            tempfile.TemporaryDirectory(dir=self.directory) as home,
            tempfile.TemporaryDirectory(dir=self.directory) as warm_up_cache,
            tempfile.TemporaryFile("w+", dir=self.directory) as complaints,
        ):
            order = {
                "peer": work.peer,
                "task": work.task,
                "trials": work.trials,
                "site": {
                    "base_url": self.server.base_url,
                    "concurrency": work.concurrency,
                    "cache": str(cache),
                },
                "warm_up_cache": None if work.first else warm_up_cache,
            }
            child = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.child", json.dumps(order)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=complaints,
                text=True,
                start_new_session=True,  # Ctrl-C is for this process, which kills it
                cwd=ROOT,
                env=_environment(home),
            )
            limit = Timer(120 + work.trials / 100, child.kill)
            limit.start()
            try:
                with suppress(BrokenPipeError):  # a child that crashed: see below
                    yield child
                child.wait()
            finally:
                limit.cancel()
                child.kill()
                child.communicate()
            if child.returncode != 0:
                complaints.seek(0)
                raise WorkFailedError(last_words(complaints.read()))

    def _simulate(self) -> dict:
        """The numbers for each kind of server, as the tests have them."""
        with tempfile.TemporaryDirectory(dir=self.directory) as home:
            process = subprocess.run(
                [sys.executable, "-m", "execution.simulated"],
                capture_output=True,
                text=True,
                start_new_session=True,
                cwd=ROOT,
                env=_environment(home) | {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"},
            )
        if process.returncode != 0:
            raise WorkFailedError(last_words(process.stderr))
        return json.loads(process.stdout)

    def _run_cell(self, cell: FirstCell) -> dict:
        """How long a cell takes that runs an experiment, after one that defines it."""
        filled = Work(peer=cell.peer, trials=cell.trials, filled=True)
        define = DEFINE.format(trials=cell.trials)
        run = RUN.format(
            base_url=self.server.base_url, cache=self._filled_cache(filled)
        )
        with tempfile.TemporaryDirectory(dir=self.directory) as home:
            kernel, client = start_new_kernel(cwd=ROOT, env=_environment(home))
            try:
                took_s = [_timed(client, code) for code in (define, run)]
            finally:
                client.stop_channels()
                kernel.shutdown_kernel(now=True)
        return {"wall_s": took_s[-1]}

    def _run(self, command: Command) -> dict:
        with (
            tempfile.TemporaryDirectory(dir=self.directory) as home,
            children_cost() as totals,
        ):
            process = subprocess.run(
                [sys.executable, *command.arguments],
                capture_output=True,
                text=True,
                start_new_session=True,
                cwd=ROOT,
                env=_environment(home),
            )
        if process.returncode != 0:
            raise WorkFailedError(last_words(process.stderr))
        return totals | {"imported": _imported(process.stderr)}


def _timed(client: Any, code: str) -> float:
    """Runs a cell, and says how many seconds that took."""
    start = time.perf_counter()
    reply = client.execute_interactive(code, timeout=300, output_hook=lambda _: None)
    took_s = time.perf_counter() - start
    if reply["content"]["status"] != "ok":
        raise WorkFailedError("\n".join(reply["content"]["traceback"]))
    return took_s


def _environment(home: str) -> dict[str, str]:
    """A child's: no proxy on the way to the server, nothing left by another child, and
    bytecode kept, as that of installed packages is."""
    own = {"PROMPTLAB_HOME": home, "NO_PROXY": "127.0.0.1"}
    return os.environ | own | {"PYTHONDONTWRITEBYTECODE": ""}


def _check(work: Work, numbers: dict) -> None:
    """Refuses a measurement of a grid that was not done, unless it was made to fail."""
    if work.task in WITHOUT_TABLE:
        return
    expected = {
        "rows": work.trials,
        "answered": work.trials,
        "distinct_answers": work.trials,
    }
    found = {name: numbers[name] for name in expected}
    if work.settings.injects_faults:
        expected, found = {"rows": work.trials}, {"rows": numbers["rows"]}
    if found != expected:
        raise WorkFailedError(f"found {found}, expected {expected}")


def _imported(stderr: str) -> list[str]:
    """The packages that `python -X importtime` says were imported."""
    names = re.findall(r"^import time:.*\| +(\w+)", stderr, flags=re.MULTILINE)
    return sorted(set(names))


def last_words(stderr: str) -> str:
    """The last that a process had to say."""
    return "\n".join(stderr.strip().splitlines()[-5:]) or "no word on stderr"
