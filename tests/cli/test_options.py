"""Commands and options: each is explained, and can be set by its variable."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from promptlab.cli.app import app
from promptlab.offline import OfflineServer

from .conftest import CommandLine


def _commands(command: Any, *names: str) -> Iterator[tuple[str, Any]]:
    yield " ".join(names), command
    for name, inner in getattr(command, "commands", {}).items():
        yield from _commands(inner, *names, name)


COMMANDS = dict(_commands(typer.main.get_command(app)))
OPTIONS = {
    f"{name} {option.opts[-1]}".strip(): option
    for name, command in COMMANDS.items()
    for option in command.params
    if option.param_type_name == "option"
}
ABOUT_THE_PROGRAM = {"--version"}
"""They print something instead of doing anything."""
DESTRUCTIVE = {"--yes", "--force", "--remove"}
"""They remove or replace something without asking."""
WITH_A_VARIABLE = {
    name: option
    for name, option in OPTIONS.items()
    if not (ABOUT_THE_PROGRAM | DESTRUCTIVE) & set(option.opts)
}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS.keys())
def test_every_command_has_a_help_text(command: Any) -> None:
    assert command.help.endswith(".")


@pytest.mark.parametrize("option", OPTIONS.values(), ids=OPTIONS.keys())
def test_every_option_has_a_help_text(option: Any) -> None:
    assert option.help.endswith((".", ".env.")), option.help


@pytest.mark.parametrize(
    "argument",
    [
        pytest.param(argument, id=f"{name} {argument.name}")
        for name, command in COMMANDS.items()
        for argument in command.params
        if argument.param_type_name == "argument"
    ],
)
def test_every_argument_has_a_help_text(argument: Any) -> None:
    assert argument.help


@pytest.mark.parametrize("option", WITH_A_VARIABLE.values(), ids=WITH_A_VARIABLE.keys())
def test_every_option_has_a_variable_of_its_name(option: Any) -> None:
    longest = max(option.opts, key=len)
    variable = "PROMPTLAB_" + longest.lstrip("-").replace("-", "_").upper()

    assert option.envvar == variable


@pytest.mark.parametrize("name", [n for n in OPTIONS if n not in WITH_A_VARIABLE])
def test_what_removes_or_replaces_without_asking_has_no_variable(name: str) -> None:
    assert OPTIONS[name].envvar is None


@pytest.mark.parametrize("name", COMMANDS)
def test_help_is_shown_on_request(promptlab: CommandLine, name: str) -> None:
    done = promptlab(*name.split(), "--help")

    assert done.code == 0
    assert "Usage: promptlab" in done.stdout


@pytest.mark.parametrize(
    ("variable", "value", "trials"),
    [
        ("PROMPTLAB_LIMIT", "1", 2),
        ("PROMPTLAB_REPEATS", "2", 8),
        ("PROMPTLAB_ONLY", "prompt=terse", 2),
    ],
)
def test_variable_stands_for_its_option(
    promptlab: CommandLine,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    value: str,
    trials: int,
) -> None:
    monkeypatch.setenv(variable, value)
    monkeypatch.setenv("PROMPTLAB_JSON", "1")

    assert promptlab("validate", "experiment.yaml").json["trials"] == trials


def test_option_wins_over_its_variable(
    promptlab: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROMPTLAB_REPEATS", "2")

    done = promptlab("validate", "experiment.yaml", "--json", "--repeats", "3")

    assert done.json["trials"] == 12


def test_option_wins_over_the_config_file(
    promptlab: CommandLine, config: Callable[..., Path], server: OfflineServer
) -> None:
    path = config(run={"base_url": "http://127.0.0.1:9/v1", "max_attempts": 1})

    assert promptlab("run", path, "--base-url", server.base_url).code == 0


def test_version_is_the_packages(promptlab: CommandLine) -> None:
    import promptlab as pl

    assert promptlab("--version").stdout == f"promptlab {pl.__version__}\n"
