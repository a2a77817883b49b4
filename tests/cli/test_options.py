"""Commands and options: each is explained, and can be set by its variable."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

import promptlab as pl
from promptlab.cli.app import app
from promptlab.cli.help import summary
from promptlab.execution.options import OPTIONS as DECLARED
from promptlab.execution.options import Option
from promptlab.files.config import config_schema
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
    assert summary(command).endswith(".")


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


def variable_of(name: str, monkeypatch: pytest.MonkeyPatch) -> str | None:
    """What an option takes from the variable of its name."""
    command, option = COMMANDS[name.rpartition(" ")[0]], OPTIONS[name]
    longest = max(option.opts, key=len)
    variable = "PROMPTLAB_" + longest.lstrip("-").replace("-", "_").upper()
    monkeypatch.setenv(variable, "planted")
    context = command.context_class(command, **command.context_settings)
    found: str | None = option.resolve_envvar_value(context)
    return found


@pytest.mark.parametrize("name", WITH_A_VARIABLE)
def test_every_option_has_a_variable_of_its_name(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert variable_of(name, monkeypatch) == "planted"


@pytest.mark.parametrize("name", [n for n in OPTIONS if n not in WITH_A_VARIABLE])
def test_what_removes_or_replaces_without_asking_has_no_variable(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert variable_of(name, monkeypatch) is None


@pytest.mark.parametrize("width", [80, 100])
@pytest.mark.parametrize("name", COMMANDS)
def test_help_fits_the_terminal_whole_and_has_examples(
    promptlab: CommandLine, monkeypatch: pytest.MonkeyPatch, name: str, width: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))

    done = promptlab(*name.split(), "--help")

    assert done.code == 0
    assert done.stdout.startswith(f"Usage: promptlab {name}".rstrip())
    assert f"\nExamples:\n  promptlab {name}".rstrip() in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= width
    assert not set("<>…╭") & set(done.stdout.replace("> experiment.schema", ""))
    words = done.stdout.split()
    for option in COMMANDS[name].params:
        assert " ".join(option.help.split()) in " ".join(words)


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


FILE = set(config_schema()["$defs"]["RunModel"]["properties"])
FLAGS = {o.name: o for o in COMMANDS["run"].params}


@pytest.mark.parametrize("declared", DECLARED.values(), ids=DECLARED.keys())
def test_an_option_of_a_run_is_in_python_config_and_command_line_or_says_why_not(
    declared: Option,
) -> None:
    name = declared.name
    python = inspect.signature(pl.RunOptions).parameters

    assert (name in FILE) != bool(declared.not_in_file)
    assert (name in FLAGS) != bool(declared.not_a_flag)
    assert python[name].default == declared.default
    if not declared.not_in_file:
        key = config_schema()["$defs"]["RunModel"]["properties"][name]
        assert key["description"] == declared.help
        low = declared.minimum if declared.above is None else declared.above
        bounds = [n for of in key["anyOf"] for w, n in of.items() if "inimum" in w]
        assert bounds == [] if low is None else [low]
    if not declared.not_a_flag:
        option = FLAGS[name]
        assert option.opts[0] == "--" + name.replace("_", "-")
        assert option.help.startswith(declared.summary)
        assert option.default is None, "what is not given leaves the config's"


def test_a_run_option_of_the_command_line_reaches_the_run(
    promptlab: CommandLine, server: OfflineServer, folder: Path
) -> None:
    (folder / "own.toml").write_text(
        '[[price]]\nmodel = "offline/small"\ninput = 1\noutput = 2\n'
    )
    at = "--base-url", server.base_url, "--prices", "own.toml"
    head = "--headers", "X-Team=blue", "--no-record", "--no-leader-first"

    done = promptlab("run", "experiment.yaml", "--json", *at, *head)

    assert done.code == 0
    assert done.json["run"] is None
    assert done.json["cost_usd"] > 0


def test_a_wrong_header_is_not_shown(promptlab: CommandLine) -> None:
    done = promptlab("validate", "experiment.yaml", "--headers", "sk-planted")

    assert done.code == 2
    assert "expected NAME=VALUE" in done.stderr
    assert "planted" not in done.stderr


def test_version_is_the_packages(promptlab: CommandLine) -> None:
    assert promptlab("--version").stdout == f"promptlab {pl.__version__}\n"
