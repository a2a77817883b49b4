"""Errors: one line that says where, what was found, what would do; the exit codes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import promptlab as pl
from promptlab.offline import OfflineServer

from .conftest import CommandLine, Finished

GRID = "grid: {model: [offline/small], prompt: ['{{text}}']}"
CASES = "dataset: [{text: hello}]"


def _wrong(done: Finished) -> str:
    """The one line that a wrong config leads to."""
    assert done.code == 1
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    return line


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (
            ["name: x", CASES, GRID, "repeat: 3"],
            "line 4: unknown key 'repeat'; did you mean 'repeats'?",
        ),
        (
            ["name: x", CASES, GRID, "run:", "  max_concurency: 3"],
            "line 5: unknown key 'run.max_concurency'; did you mean 'max_concurrency'?",
        ),
        (
            ["name: x", CASES, GRID, "run: {api_key: sk-1}"],
            "line 4: unknown key 'run.api_key'; a key does not belong in a file",
        ),
        (
            ["name: x", CASES, GRID, "repeats: many"],
            "line 4: repeats: expected an integer >= 1, got 'many'",
        ),
        (
            ["name: x", CASES, GRID, "run: {budget_usd: $5}"],
            "line 4: run.budget_usd: expected a number >= 0, got '$5'",
        ),
        (
            ["name: x", CASES, GRID, "run: {rpm: 0}"],
            "line 4: run.rpm: expected a number > 0, got 0",
        ),
        (["name: x", GRID], "'dataset' is missing; name a file"),
        (
            ["name: x", CASES, "grid:", "  model: offline/small", "  prompt: [a]"],
            "line 4: grid.model: expected a list of values",
        ),
        (
            ["name: x", "dataset: [{body: hello}]", GRID],
            "needs ['text']",
        ),
        (
            ["name: x", "dataset: nowhere.csv", GRID],
            "wrong.yaml, line 2: nowhere.csv cannot be read",
        ),
        (["name: x", "grid: [", ""], "not valid YAML"),
        (["# nothing"], "is empty"),
    ],
    ids=[
        "misspelt key",
        "misspelt option",
        "key in a file",
        "wrong type",
        "no number",
        "too small a number",
        "missing key",
        "no list",
        "hole without a field",
        "no dataset",
        "no YAML",
        "empty",
    ],
)
@pytest.mark.parametrize("command", ["run", "validate"])
def test_wrong_config_is_one_line_that_says_where_and_what(
    promptlab: CommandLine, folder: Path, command: str, lines: list[str], said: str
) -> None:
    (folder / "wrong.yaml").write_text("\n".join(lines))

    line = _wrong(promptlab(command, "wrong.yaml"))

    assert line.startswith("promptlab: ")
    assert said in line


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "nowhere.yaml"], "nowhere.yaml cannot be read"),
        (
            ["run", "experiment.yaml", "--only", "model=gpt-9"],
            "model has no value 'gpt-9'; it has 'offline/small'",
        ),
        (["run", "experiment.yaml", "--only", "sytem=x"], "no parameter 'sytem'"),
        (["run", "experiment.yaml", "--limit", "5-9"], "no case is left"),
        (["run", "experiment.yaml", "--env-file", "no.env"], "no.env cannot be read"),
        (["cache", "explain", "experiment.yaml", "--trial", "9"], "no trial 9"),
        (["cache", "prune"], "say what to remove"),
        (["cache", "import", "no.jsonl"], "no.jsonl cannot be read"),
        (["show"], "no run is recorded"),
        (["export", "-o", "a.csv"], "no run is recorded"),
        (["init", "experiment.yaml"], "experiment.yaml exists; choose another name"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_argument_is_one_line(
    promptlab: CommandLine, arguments: list[str], said: str
) -> None:
    done = promptlab(*arguments)

    assert done.code == 1
    assert said in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["rum"],
        ["run"],
        ["run", "experiment.yaml", "--frobnicate"],
        ["run", "experiment.yaml", "-j", "0"],
        ["run", "experiment.yaml", "--limit", "many"],
        ["run", "experiment.yaml", "--limit", "3-2"],
        ["run", "experiment.yaml", "--only", "terse"],
        ["run", "experiment.yaml", "--var", "=x"],
        ["export"],
        ["cache", "prune", "--older-than", "soon", "--yes"],
        ["serve-offline", "--port", "70000"],
        ["serve-offline", "--fault", "latency=1"],
    ],
    ids=" ".join,
)
def test_wrong_usage_exits_with_2(promptlab: CommandLine, arguments: list[str]) -> None:
    done = promptlab(*arguments)

    assert done.code == 2
    assert "Usage:" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "experiment.yaml", "--budget-usd", "$5"], "expected a number >= 0"),
        (["run", "experiment.yaml", "--rpm", "abc"], "expected a number > 0"),
        (["run", "experiment.yaml", "--tpm", "-1"], "expected a number > 0"),
        (["usage", "budget", "day", "--usd", "-1"], "expected a number >= 0"),
        (["run", "experiment.yaml", "--repeats", "0"], "expected an integer >= 1"),
        (["run", "experiment.yaml", "-j", "1.5"], "expected an integer >= 1"),
    ],
)
def test_a_wrong_number_is_told_with_what_is_meant(
    promptlab: CommandLine, arguments: list[str], said: str
) -> None:
    done = promptlab(*arguments)

    told = " ".join(done.stderr.replace("│", " ").split())
    assert f"{said}, got {arguments[-1]!r}" in told
    assert arguments[-2] in told


def test_a_misspelt_offline_model_is_invalid(
    promptlab: CommandLine, config: Callable[..., Path]
) -> None:
    done = promptlab("validate", config(grid={"model": ["offline/smal"]}))

    assert done.code == 1
    assert "no offline model 'offline/smal'; did you mean 'offline/small'?" in (
        done.stderr
    )


def test_some_failed_trials_exit_with_3(
    promptlab: CommandLine, config: Callable[..., Path]
) -> None:
    path = config(grid={"model": ["offline/small", "offline/none"]})

    done = promptlab("run", path)

    assert done.code == 3
    assert "4 of 8 trials answered" in done.stdout
    assert "4 failed" in done.stdout
    assert "4 × 404 model_not_found: The model `offline/none`" in done.stdout


def test_no_answered_trial_exits_with_1_and_says_why(
    promptlab: CommandLine, config: Callable[..., Path]
) -> None:
    done = promptlab("run", config(grid={"model": ["offline/none"]}))

    assert done.code == 1
    assert "nothing could run: 404 model_not_found" in done.stderr


def test_wrong_key_stops_the_run_at_once(
    promptlab: CommandLine,
    serve: Callable[..., OfflineServer],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = serve(api_key="sk-right-1234567890")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-wrong-1234567890")

    done = promptlab("run", "experiment.yaml", "-j", "1", "--base-url", server.base_url)

    assert done.code == 1
    assert server.calls == 1
    assert "401" in done.stderr
    assert "check the API key" in done.stderr
    assert "sk-wrong-1234567890" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    "arguments", [["run"], ["run", "--dry-run"], ["validate"]], ids=" ".join
)
def test_a_budget_that_cannot_be_kept_is_refused_by_whoever_looks(
    promptlab: CommandLine, config: Callable[..., Path], arguments: list[str]
) -> None:
    path = config(grid={"model": ["gpt-zzz"]}, run={"budget_usd": 1})

    done = promptlab(*arguments, path)

    assert (done.code, done.stdout) == (1, "")
    assert done.stderr.splitlines()[-1].startswith(
        "promptlab: budget: no price is known for 'gpt-zzz', so dollars cannot be "
        "counted; give one, in US dollars for a million tokens, in prices.toml, in a "
        "config (run: prices:)"
    )


def test_the_budget_of_a_project_is_looked_at_too(
    promptlab: CommandLine, config: Callable[..., Path]
) -> None:
    path = config(grid={"model": ["gpt-zzz"]})

    pl.set_budget("day", usd=1)
    assert promptlab("validate", path).code == 1
    pl.set_budget("day")
    assert promptlab("validate", path).code == 0


def test_missing_key_is_one_line_that_names_the_variable(
    promptlab: CommandLine, config: Callable[..., Path]
) -> None:
    done = promptlab("run", config(grid={"model": ["gpt-6-luna"]}))

    assert done.code == 1
    assert "set OPENAI_API_KEY" in done.stderr.splitlines()[-1]


def test_error_of_a_process_is_one_line_unless_debug_is_asked_for(
    process: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = process("run", "nowhere.yaml")
    asked = process("run", "nowhere.yaml", "--debug")
    monkeypatch.setenv("PROMPTLAB_DEBUG", "1")
    set_ = process("run", "nowhere.yaml")

    assert plain.stderr == (
        "promptlab: nowhere.yaml cannot be read: No such file or directory\n"
    )
    assert "Traceback" in asked.stderr
    assert "Traceback" in set_.stderr
    assert plain.code == asked.code == set_.code == 1


def test_warning_is_one_line(
    promptlab: CommandLine, config: Callable[..., Path]
) -> None:
    done = promptlab("validate", config(grid={"frobnicate": [1]}))

    (line,) = done.stderr.splitlines()
    assert line.startswith("note: triage: parameter 'frobnicate'")
