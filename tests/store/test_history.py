"""Histories: what was noted is there, whatever happened since."""

from __future__ import annotations

import stat
import subprocess
import sys

import pytest

from promptlab.errors import CacheError
from promptlab.store.history import History
from promptlab.store.home import home
from promptlab.testing import PATIENCE_S

WRITER = """
import sys
from promptlab.store.history import History
history = History("votes", "triage")
for number in range(int(sys.argv[2])):
    history.append({"by": sys.argv[1], "number": number, "text": "x" * 500})
    print(number, flush=True)
"""


@pytest.fixture
def history() -> History:
    return History("votes", "triage")


def write_in_a_process(name: str, lines: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, name, str(lines)],
        stdout=subprocess.PIPE,
        text=True,
    )


def test_lines_are_read_back_in_order(history: History) -> None:
    history.append({"n": 1, "text": "two\nlines, “quoted”"})
    history.append({"n": 2})
    History("votes", "other").append({"n": 3})
    History("marks", "triage").append({"n": 4})

    assert history.lines() == [{"n": 1, "text": "two\nlines, “quoted”"}, {"n": 2}]
    assert History("votes", None).names() == ["other", "triage"]
    assert [line["n"] for line in History("votes", None).lines()] == [1, 2, 3]


def test_one_that_was_never_written_is_empty_and_makes_no_file(
    history: History,
) -> None:
    assert history.lines() == []
    assert not home().exists()


def test_its_state_changes_with_every_line(history: History) -> None:
    states = [history.state]
    for number in range(3):
        history.append({"n": number})
        states.append(history.state)

    assert len(set(states)) == 4


def test_only_the_user_can_read_it_and_git_does_not_see_it(history: History) -> None:
    history.append({})

    for path in home().glob("promptlab*"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert (home() / ".gitignore").read_text() == "*\n"


def test_what_was_appended_before_a_kill_is_there(history: History) -> None:
    with write_in_a_process("killed", 100_000) as process:
        assert process.stdout is not None
        seen = [int(process.stdout.readline()) for _ in range(20)]
        process.kill()

    numbers = [line["number"] for line in history.lines()]
    assert numbers[:20] == seen
    assert numbers == list(range(len(numbers)))


def test_two_processes_append_without_losing_a_line(history: History) -> None:
    with write_in_a_process("a", 100) as a, write_in_a_process("b", 100) as b:
        a.communicate(timeout=PATIENCE_S)
        b.communicate(timeout=PATIENCE_S)

    lines = history.lines()
    for name in "ab":
        own = [line["number"] for line in lines if line["by"] == name]
        assert own == list(range(100))


def test_one_that_cannot_be_written_or_read_says_so(history: History) -> None:
    home().mkdir()
    (home() / "promptlab.sqlite").write_bytes(b"not a database" * 100)

    with pytest.raises(CacheError, match=r"promptlab\.sqlite .* not a database"):
        history.append({})
    with pytest.raises(CacheError, match=r"promptlab\.sqlite .* not a database"):
        history.lines()
