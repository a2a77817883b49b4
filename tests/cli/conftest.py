"""A project in a folder of its own, and the command line that is run there."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pytest

from promptlab.cli.app import main
from promptlab.offline import Faults, OfflineServer

PATIENCE_S = 120.0
"""How long a test waits for something that must happen, before it fails."""

CASES = [
    {"id": "1", "ticket": "I was charged twice.", "expected": "billing"},
    {"id": "2", "ticket": "Where is my parcel?", "expected": "shipping"},
]
CONFIG: dict[str, Any] = {
    "name": "triage",
    "dataset": CASES,
    "grid": {
        "model": ["offline/small"],
        "prompt": {
            "plain": "Billing, technical or shipping? {{ticket}}",
            "terse": "One word: billing, technical or shipping? {{ticket}}",
        },
        "temperature": [0],
        "max_tokens": [16],
    },
}
"""Four trials: two prompts and two cases."""


@dataclass(frozen=True)
class Finished:
    """How a command ended, and what it printed."""

    code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        return json.loads(self.stdout)


class CommandLine(Protocol):
    def __call__(self, *arguments: object) -> Finished: ...


def until(true: Callable[[], object], what: str) -> None:
    """Returns as soon as something has happened."""
    deadline, pause = time.monotonic() + PATIENCE_S, threading.Event()
    while not true():
        assert time.monotonic() < deadline, f"it did not happen: {what}"
        pause.wait(0.01)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def config(folder: Path) -> Callable[..., Path]:
    """Writes the config file, with some keys of it, or parameters, changed."""

    def write(**changes: Any) -> Path:
        grid = {**CONFIG["grid"], **changes.pop("grid", {})}
        path = Path("experiment.yaml")
        path.write_text(json.dumps({**CONFIG, "grid": grid, **changes}, indent=1))
        return path

    write()
    return write


@pytest.fixture
def promptlab(
    config: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[CommandLine]:
    """The command line, in this process: as `python -m promptlab`, without the start.

    A config file of four trials, `experiment.yaml`, is there.
    """
    handler = signal.getsignal(signal.SIGTERM)

    def run(*arguments: object) -> Finished:
        monkeypatch.setattr(sys, "argv", ["promptlab", *map(str, arguments)])
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            with pytest.raises(SystemExit) as ended:
                main()
        return Finished(ended.value.code or 0, *capsys.readouterr())

    yield run
    signal.signal(signal.SIGTERM, handler)


COMMAND = [sys.executable, "-m", "promptlab"]


@pytest.fixture
def process(config: Callable[..., Path]) -> CommandLine:
    """The command line, in a process of its own."""

    def run(*arguments: object) -> Finished:
        done = subprocess.run(
            [*COMMAND, *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
        )
        return Finished(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def started(config: Callable[..., Path]) -> Iterator[Callable[..., subprocess.Popen]]:
    """A process of the command line that is going on."""
    under_way: list[subprocess.Popen] = []

    def start(*arguments: object, **options: Any) -> subprocess.Popen:
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        child = subprocess.Popen([*COMMAND, *map(str, arguments)], **(pipes | options))
        under_way.append(child)
        return child

    yield start
    for child in under_way:
        with child:  # closes its pipes and waits
            if child.poll() is None:
                child.kill()


@pytest.fixture
def serve() -> Iterator[Callable[..., OfflineServer]]:
    """Starts servers for the time of a test."""
    from contextlib import ExitStack

    with ExitStack() as stack:

        def start(faults: Faults | None = None, **options: Any) -> OfflineServer:
            server = OfflineServer(faults, **options)
            return stack.enter_context(server.in_thread())

        yield start


@pytest.fixture
def server(serve: Callable[..., OfflineServer]) -> OfflineServer:
    """A server that counts its calls and keeps what it was asked."""
    return serve(log_requests=True)
