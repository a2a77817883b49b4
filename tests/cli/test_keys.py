"""Keys on the command line: login, logout."""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import keyring
import pytest

from promptlab.offline import OfflineServer

from .conftest import COMMAND, CommandLine

pexpect = pytest.importorskip("pexpect")

KEY = "sk-login-0123456789-wxyz"
TESTS = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def vault(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The file of a keyring in this process and in others."""
    from execution.vaults import FileKeyring

    monkeypatch.setenv("TEST_KEYRING", str(folder / "keyring.json"))
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "execution.vaults.FileKeyring")
    monkeypatch.setenv("PYTHONPATH", f"{TESTS}{os.pathsep}{TESTS.parent}")
    before = keyring.get_keyring()
    keyring.set_keyring(FileKeyring())
    yield folder / "keyring.json"
    keyring.set_keyring(before)


def test_login_stores_and_logout_removes(
    promptlab: CommandLine, vault: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{KEY}\n"))
    url = "https://api.example.test/v1"

    stored = promptlab("login", "--base-url", url)
    kept = vault.read_text()
    shown = promptlab("login", "--base-url", url, "--show")
    removed = promptlab("logout", "--base-url", url)

    assert (stored.code, shown.code, removed.code) == (0, 0, 0)
    assert KEY in kept
    assert stored.stdout == f"stored in the keyring; in use for {url}: {SHOWN}"
    assert shown.stdout == f"in use for {url}: {SHOWN}"
    assert removed.stdout.startswith("the key was removed; no API key for https://api")
    assert vault.read_text() == "{}"


SHOWN = "the keyring (…wxyz)\n"


def test_show_reads_an_env_file(promptlab: CommandLine, folder: Path) -> None:
    (folder / "keys.env").write_text(f"OPENAI_API_KEY={KEY}\n")

    done = promptlab("login", "--show", "--env-file", "keys.env")

    assert done.stdout == (
        "in use for https://api.openai.com/v1: "
        "OPENAI_API_KEY in the .env file (…wxyz)\n"
    )


def test_without_the_package_login_says_in_one_line_what_would_do(
    promptlab: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)

    done = promptlab("login")

    assert done.code == 1
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "pip install -e '.[keyring]'" in done.stderr


def test_what_is_typed_in_a_terminal_is_not_shown(vault: Path) -> None:
    child = pexpect.spawn(COMMAND[0], [*COMMAND[1:], "login"], encoding="utf-8")
    child.expect_exact("API key for https://api.openai.com/v1 (not shown): ")
    child.waitnoecho()
    child.sendline(KEY)
    child.expect(pexpect.EOF)
    child.close()

    assert child.exitstatus == 0
    assert "stored in the keyring" in child.before
    assert KEY not in child.before
    assert KEY in vault.read_text()


def test_ctrl_c_at_the_question_stores_nothing(vault: Path) -> None:
    child = pexpect.spawn(COMMAND[0], [*COMMAND[1:], "login"], encoding="utf-8")
    child.expect_exact("(not shown): ")
    child.waitnoecho()
    child.sendintr()
    child.expect(pexpect.EOF)
    child.close()

    assert child.signalstatus == signal.SIGINT
    assert "Traceback" not in child.before
    assert not vault.exists()


def test_a_run_in_a_terminal_asks_for_no_key(
    promptlab: CommandLine, config, server: OfflineServer
) -> None:
    path = config(grid={"model": ["gpt-6-luna"]}, run={"max_attempts": 1})

    done = promptlab("run", path)

    assert done.code == 1
    assert "no API key for https://api.openai.com/v1: set OPENAI_API" in done.stderr
