"""Keys on the command line: login, logout."""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Callable, Iterator
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
    from models.vaults import FileKeyring

    monkeypatch.setenv("TEST_KEYRING", str(folder / "keyring.json"))
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "models.vaults.FileKeyring")
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


# What a config file alone may not decide.

FOREIGN = [
    ("AWS_SECRET_ACCESS_KEY", "https://collector.test/v1", "amazonaws.com"),
    ("OPENAI_API_KEY", "https://collector.test/v1", "openai.com"),
    ("OPENAI_API_KEY", "https://api.openai.com.evil.test/v1", "openai.com"),
    ("anthropic_api_key", "https://api.openai.com/v1", "anthropic.com"),
    ("GITHUB_TOKEN", "https://github.com.test/v1", "github.com"),
    ("POSTGRES_PASSWORD", "https://collector.test/v1", "something else"),
]
OWN = [
    ("OPENAI_API_KEY", "https://eu.api.openai.com/v1"),
    ("OPENAI_API_KEY", "https://mine.openai.azure.com/openai/v1"),
    ("OPENAI_API_KEY", "http://127.0.0.1:9/v1"),
    ("OPENROUTER_API_KEY", "https://openrouter.ai/api/v1"),
    ("TRIAGE_KEY", "https://collector.test/v1"),
    ("AWSOME_KEY", "https://collector.test/v1"),
]


@pytest.mark.parametrize(("variable", "base_url", "owner"), FOREIGN)
@pytest.mark.parametrize("command", ["run", "validate", "forecast"])
@pytest.mark.parametrize("each", [False, True], ids=["one server", "each server"])
def test_a_file_alone_does_not_send_a_services_key_to_another(
    promptlab: CommandLine,
    config: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    variable: str,
    base_url: str,
    owner: str,
    each: bool,
) -> None:
    monkeypatch.setenv(variable, KEY)
    named = {base_url: variable} if each else variable
    path = config(
        run={"base_url": base_url, "api_key_env": named}, grid={"model": ["gpt-6-luna"]}
    )

    done = promptlab(command, path)

    line = done.stderr.splitlines()[-1]
    assert done.code == 1
    assert f"{variable} is not sent to " in line
    assert f"a key for {owner}; if it is meant, " in line
    assert f"--api-key-env {variable}" in line
    assert KEY not in done.stdout + done.stderr


@pytest.mark.parametrize(("variable", "base_url"), OWN)
def test_a_key_of_ones_own_or_at_home_needs_no_more_words(
    promptlab: CommandLine, config: Callable[..., Path], variable: str, base_url: str
) -> None:
    path = config(
        run={"base_url": base_url, "api_key_env": variable},
        grid={"model": ["gpt-6-luna"]},
    )

    assert promptlab("validate", path).code == 0


def test_openais_key_goes_where_the_environment_says_that_it_is_for(
    promptlab: CommandLine, config: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "https://gateway.test/v1")
    path = config(run={"api_key_env": "OPENAI_API_KEY"}, grid={"model": ["gpt-6-luna"]})

    assert promptlab("validate", path).code == 0


@pytest.mark.parametrize(
    "flag",
    ["AWS_SECRET_ACCESS_KEY", "https://collector.test/v1=AWS_SECRET_ACCESS_KEY"],
)
def test_the_command_line_may_send_any_key_anywhere(
    promptlab: CommandLine, config: Callable[..., Path], flag: str
) -> None:
    run = {
        "base_url": "https://collector.test/v1",
        "api_key_env": "AWS_SECRET_ACCESS_KEY",
    }
    path = config(run=run, grid={"model": ["gpt-6-luna"]})

    assert promptlab("validate", path, "--api-key-env", flag).code == 0
    assert promptlab("validate", path, "--api-key-env", "=").code == 2


def test_a_run_says_which_key_goes_where(
    promptlab: CommandLine,
    config: Callable[..., Path],
    server: OfflineServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TRIAGE_KEY", KEY)
    run = {"base_url": server.base_url, "api_key_env": "TRIAGE_KEY"}

    told = promptlab("run", config(run=run))
    quiet = promptlab("run", config(run=run), "-q")
    without = promptlab("run", config())

    host = server.base_url.split("/")[2]
    line = f"key: TRIAGE_KEY in the environment goes to {host}"
    assert told.stderr.splitlines().count(line) == 1
    assert "key:" not in quiet.stderr + without.stderr


def test_no_file_allows_clear_text(
    promptlab: CommandLine, config: Callable[..., Path]
) -> None:
    run = {"base_url": "http://collector.test/v1", "api_key_env": "TRIAGE_KEY"}
    grid = {"model": ["gpt-6-luna"]}

    allowed = promptlab("validate", config(run=run | {"allow_insecure": True}))
    refused = promptlab("run", config(run=run, grid=grid))

    assert allowed.code == refused.code == 1
    assert "unknown key 'run.allow_insecure'; a file cannot allow" in allowed.stderr
    assert "pass --allow-insecure" in allowed.stderr
    assert "http://collector.test/v1 is not encrypted" in refused.stderr
    assert "--allow-insecure" in refused.stderr
