"""Leaks: a key is in nothing that the command line prints or writes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from execution.planted import KEY, OPENAI, PRICES, contents, finds, gossip, places
from fakes.servers import ToldServer, error

from .conftest import CommandLine


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ToldServer]:
    """A proxy for OpenAI's server, which repeats the key in all its answers."""
    with ToldServer().in_thread() as server:
        server.reply = gossip
        monkeypatch.setenv("PROMPTLAB_ALLOW_INSECURE", "1")
        monkeypatch.setenv("http_proxy", server.base_url.removesuffix("/v1"))
        monkeypatch.delenv("no_proxy", raising=False)
        yield server


@pytest.fixture
def path(config: Callable[..., Path]) -> Path:
    run = {"base_url": OPENAI, "prices": PRICES}
    return config(
        dataset=[{"city": f"city {number}"} for number in range(11)],
        grid={"model": ["gpt-6-luna"], "prompt": ["Where is {{city}}"]},
        run={**run, "max_attempts": 1},
    )


COMMANDS = (
    "run PATH -o out.csv -o out.xlsx -o out.jsonl -o out.parquet",
    "run PATH --retry-errors --json",
    "run PATH --debug --refresh",
    "run PATH -q --no-cache",
    "run PATH --dry-run",
    "run PATH --env-file missing.env --debug",
    "run PATH --base-url http://203.0.113.7/v1",
    "validate PATH",
    "validate PATH --json",
    "show",
    "show --list",
    "show --json",
    "export -o again.csv -o again.parquet",
    "cache list",
    "cache stats",
    "cache explain PATH --trial 8",
    "cache export answers.jsonl.gz",
    "cache import answers.jsonl.gz",
    "usage",
    "usage --json",
    "usage export calls.csv",
    "cache prune --older-than 30d --yes",
    "login --show",
    "login",
    "logout",
)


def every_command(promptlab: CommandLine, path: Path) -> str:
    """What all commands print, one after the other; a traceback is an error's."""
    printed = []
    for command in COMMANDS:
        try:
            done = promptlab(*command.replace("PATH", str(path)).split())
            printed.append(f"{command} {done.code} {done.stdout} {done.stderr}")
        except Exception as raised:  # with --debug
            printed.append(f"{command} {raised!r}")
    return "\n".join(printed)


@pytest.mark.parametrize("source", ["environment", "env file"])
def test_no_command_prints_or_writes_the_key(
    promptlab: CommandLine,
    server: ToldServer,
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    source: str,
) -> None:
    if source == "environment":
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
    else:
        file = tmp_path_factory.mktemp("env") / "keys.env"
        file.write_text(f"OPENAI_API_KEY={KEY}\n")
        monkeypatch.setenv("PROMPTLAB_ENV_FILE", str(file))

    printed = every_command(promptlab, path)

    assert "3 of 11 trials answered" in printed
    assert "(…nted)" in printed
    assert not finds(KEY, printed)
    written = {Path(place).name for place, _ in contents(tmp_path)}
    assert {"cache.db", "promptlab.sqlite", "out.xlsx", "again.parquet"} <= written
    assert "answers.jsonl.gz" in written
    assert places(KEY, tmp_path) == []


@pytest.mark.parametrize("debug", [(), ("--debug",)], ids=["", "debug"])
def test_a_wrong_key_that_the_server_repeats_is_not_printed(
    process: CommandLine,
    server: ToldServer,
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    debug: tuple[str, ...],
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("PYTHONASYNCIODEBUG", "1")
    server.reply = lambda received: error(
        401, message=f"Incorrect API key provided: {received.headers['authorization']}"
    )

    done = process("run", path, *debug)

    assert done.code == 1
    assert "Incorrect API key provided: [key]" in done.stderr
    assert not finds(KEY, done.stdout + done.stderr)
