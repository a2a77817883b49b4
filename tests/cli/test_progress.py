"""Progress: plain lines in a log, a bar in a terminal; nothing steers the terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import termios
from collections.abc import Callable
from pathlib import Path

import pytest

from promptlab.offline import Faults, OfflineServer

from .conftest import PATIENCE_S, CommandLine

COLOUR = re.compile(r"\x1b\[[0-9;]*m")
MOVE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")
"""What the bar itself sends to a terminal."""
HOSTILE = "[bold]x[/bold]\x1b[31m"


@pytest.fixture
def terminal(started: Callable) -> Callable[..., str]:
    """Runs a command in a terminal; gives all that it wrote there."""

    def run(*arguments: object, columns: int = 160) -> str:
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        environment = os.environ | {"TERM": "xterm-256color"}
        environment.pop("COLUMNS", None)
        child = started(*arguments, stdout=theirs, stderr=theirs, env=environment)
        os.close(theirs)
        written = b""
        with os.fdopen(ours, "rb", buffering=0) as screen:
            while chunk := _read(screen.fileno()):
                written += chunk
        child.wait(PATIENCE_S)
        return written.decode()

    return run


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # EIO: the other end is closed
        return b""


def test_terminal_shows_a_bar_with_counts_speed_and_what_is_waited_for(
    terminal: Callable[..., str],
    promptlab: CommandLine,
    config: Callable[..., Path],
    serve: Callable[..., OfflineServer],
) -> None:
    server = serve(Faults(requests_per_minute=180, burst_s=0.7))
    at = "--base-url", server.base_url
    path = config(grid={"model": ["offline/small", "offline/none"]})
    promptlab("run", path, "--limit", "1", "--only", "model=offline/small", *at)

    written = terminal("run", path, "--repeats", "2", *at)

    screens = MOVE.sub("\n", COLOUR.sub("", written))
    assert "━" in screens
    assert re.search(r"\d+/16 · 2 cached · \d+ failed", screens)
    assert re.search(r"[\d.]+ calls/s", screens)
    assert re.search(
        r"waiting for (requests per minute|Retry-After) of offline/small "
        r"\(\d calls?",
        screens,
    )
    assert "0.0 s left · waiting" not in screens
    last = [line for line in screens.splitlines() if "━" in line][-1]
    assert re.search(r"16/16 · 2 cached · 8 failed · 6 calls made · complete", last)
    assert "waiting" not in last


def test_log_gets_plain_lines(process: CommandLine) -> None:
    done = process("run", "experiment.yaml")

    first, last = done.stderr.splitlines()
    assert first == "triage: 2 variants × 2 cases × 1 repeat = 4 trials"
    assert re.fullmatch(
        r"triage: 4/4 · 0 cached · 0 failed · 4 calls made · complete in [\d.]+ s · "
        r"104 tokens",
        last,
    )


@pytest.fixture
def hostile(config: Callable[..., Path], server: OfflineServer) -> Path:
    """A config whose every name holds markup and an escape code."""
    return config(
        name="h[bold]x[/bold]",
        dataset=[{"id": HOSTILE, "ticket": HOSTILE, f"as {HOSTILE}": "x"}],
        grid={
            "model": ["offline/small", f"offline/{HOSTILE}"],
            "prompt": {HOSTILE: "{{ticket}}"},
            "system": {HOSTILE: HOSTILE},
            "max_tokens": {HOSTILE: 5, "more": 6},
        },
        run={"base_url": server.base_url},
    )


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["validate", "experiment.yaml"], 0),
        (["run", "experiment.yaml"], 3),
        (["run", "experiment.yaml", "--offline"], 3),
        (["show"], 0),
        (["show", "--list"], 0),
        (["cache", "list"], 0),
        (["cache", "explain", "experiment.yaml"], 0),
        (["cache", "explain", "experiment.yaml", "--limit", "1", "--trial", "3"], 0),
        (["run", "experiment.yaml", "--only", f"model={HOSTILE}"], 1),
        (["run", "experiment.yaml", "--only", f"max_tokens={HOSTILE}"], 3),
        (["run", "experiment.yaml", "--only", f"{HOSTILE}=1"], 1),
        (["run", HOSTILE], 1),
        (["show", HOSTILE], 1),
        ([HOSTILE], 2),
        (["run", "experiment.yaml", "--limit", HOSTILE], 2),
        (["run", "experiment.yaml", "--var", HOSTILE], 2),
    ],
    ids=lambda value: (
        " ".join(value).replace("\x1b", "ESC") if isinstance(value, list) else None
    ),
)
def test_names_and_messages_cannot_steer_the_terminal(
    promptlab: CommandLine, hostile: Path, arguments: list[str], code: int
) -> None:
    promptlab("run", hostile, "-q", "--only", "model=offline/small", "--limit", "1")

    done = promptlab(*arguments)

    assert done.code == code
    assert "\x1b" not in done.stdout + done.stderr


def test_markup_is_shown_as_it_is(promptlab: CommandLine, hostile: Path) -> None:
    done = promptlab("run", hostile)

    shown = HOSTILE.replace("\x1b", r"\x1b")
    assert "h[bold]x[/bold]: 4/4" in done.stderr
    assert f"offline/{shown}" in done.stdout
    assert f"The model `offline/{shown}` does not exist" in done.stdout


def test_bar_shows_markup_and_escape_codes_as_text(
    terminal: Callable[..., str], hostile: Path
) -> None:
    written = terminal("run", hostile)

    assert "\x1b[31m" not in written
    assert "The model `offline/[bold]x[/bold]\\x1b[31m` does not exist" in written
