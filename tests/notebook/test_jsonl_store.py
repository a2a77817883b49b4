"""Journals: what was appended is there, whatever happened since."""

from __future__ import annotations

import stat
import subprocess
import sys

import pytest
from fakes.client import PATIENCE_S

import promptlab as pl
from promptlab.errors import CacheError
from promptlab.notebook.jsonl_store import JsonlStore
from promptlab.store.home import home

WRITER = """
import sys
from pathlib import Path
from promptlab.notebook.jsonl_store import JsonlStore
journal = JsonlStore(Path(sys.argv[1]))
for number in range(int(sys.argv[3])):
    journal.append({"by": sys.argv[2], "number": number, "text": "x" * 500})
    print(number, flush=True)
"""


@pytest.fixture
def journal() -> JsonlStore:
    return JsonlStore(home() / "votes" / "triage.jsonl")


def write_in_a_process(
    journal: JsonlStore, name: str, lines: int
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(journal.path), name, str(lines)],
        stdout=subprocess.PIPE,
        text=True,
    )


def test_lines_are_read_back_in_order(journal: JsonlStore) -> None:
    journal.append({"n": 1, "text": "two\nlines, “quoted”"})
    journal.append({"n": 2})

    assert journal.entries() == [
        {"n": 1, "text": "two\nlines, “quoted”"},
        {"n": 2},
    ]


def test_a_journal_that_was_never_written_is_empty(journal: JsonlStore) -> None:
    assert journal.entries() == []
    assert not home().exists()


def test_only_the_user_can_read_it_and_git_does_not_see_it(journal: JsonlStore) -> None:
    journal.append({})

    assert stat.S_IMODE(journal.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(journal.path.parent.stat().st_mode) == 0o700
    assert (home() / ".gitignore").read_text() == "*\n"


def test_a_line_cut_off_by_a_crash_is_left_out_and_spoils_no_other(
    journal: JsonlStore,
) -> None:
    journal.append({"n": 1})
    with journal.path.open("ab") as file:
        file.write(b'{"n": 2, "te')

    assert journal.entries() == [{"n": 1}]
    journal.append({"n": 3})

    with pytest.warns(pl.PromptlabWarning, match="1 damaged line left out"):
        assert journal.entries() == [{"n": 1}, {"n": 3}]


@pytest.mark.parametrize("line", [b"\0\0\0\0", b"[1]", b"null", b"\xff\xfe"])
def test_a_damaged_line_is_left_out_with_a_warning(
    journal: JsonlStore, line: bytes
) -> None:
    journal.append({"n": 1})
    with journal.path.open("ab") as file:
        file.write(line + b"\n")
    journal.append({"n": 2})

    with pytest.warns(pl.PromptlabWarning, match=r"triage\.jsonl: 1 damaged line"):
        assert journal.entries() == [{"n": 1}, {"n": 2}]


def test_what_was_appended_before_a_kill_is_there(journal: JsonlStore) -> None:
    with write_in_a_process(journal, "killed", 100_000) as process:
        assert process.stdout is not None
        seen = [int(process.stdout.readline()) for _ in range(20)]
        process.kill()

    numbers = [entry["number"] for entry in journal.entries()]
    assert numbers[:20] == seen
    assert numbers == list(range(len(numbers)))


def test_two_processes_append_without_losing_a_line(journal: JsonlStore) -> None:
    with (
        write_in_a_process(journal, "a", 100) as a,
        write_in_a_process(journal, "b", 100) as b,
    ):
        a.communicate(timeout=PATIENCE_S)
        b.communicate(timeout=PATIENCE_S)

    entries = journal.entries()
    for name in "ab":
        own = [entry["number"] for entry in entries if entry["by"] == name]
        assert own == list(range(100))


def test_a_journal_that_cannot_be_written_or_read_says_so(journal: JsonlStore) -> None:
    journal.path.mkdir(parents=True)

    with pytest.raises(CacheError, match=r"triage\.jsonl cannot be written: Is a dir"):
        journal.append({})
    with pytest.raises(CacheError, match=r"triage\.jsonl cannot be read: Is a dir"):
        journal.entries()
