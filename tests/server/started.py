"""Servers that are not ours, each in a process of its own; `make servers` installs
them."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BUILD = ROOT / "build"

STARTS_WITHIN_S = 240
"""A machine may be busy, and some of them read a whole library first."""
LISTENS = re.compile(r"(?:listening|running) on (http://[\w.]+:\d+)", re.IGNORECASE)


@dataclass(frozen=True)
class Started:
    """A server that is running."""

    address: str
    log: Path

    @property
    def base_url(self) -> str:
        return f"{self.address}/v1"


def installed(program: Path) -> Path:
    """The program of a server; without it the test is skipped."""
    if not program.exists():
        pytest.skip(f"{program.relative_to(ROOT)} is missing: make servers")
    return program


@contextmanager
def started(
    command: Sequence[str | Path], log: Path, **environment: str
) -> Iterator[Started]:
    """Starts a server, waits until it says where it listens, and ends it."""
    with log.open("w") as stream:
        process = subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.PIPE,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, **environment},
        )
    with process:  # closes its standard input and waits
        try:
            yield Started(_address(process, log), log)
        finally:
            process.terminate()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + STARTS_WITHIN_S
    while not (found := LISTENS.search(log.read_text())):
        assert process.poll() is None, f"it ended:\n{log.read_text()[-3000:]}"
        assert time.monotonic() < deadline, f"it does not start:\n{log.read_text()}"
        time.sleep(0.02)
    return found[1]
