"""Which variant of a recorded run is better, on the command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .conftest import CommandLine

Config = Callable[..., Path]

CASES = [
    {"id": str(n), "ticket": f"Where is parcel {n}?", "expected": "plain"}
    for n in range(12)
]
SCORER = "def known(prompt, case): return prompt == 'terse' and case != '3'\n"
"""Scores by the prompt's name, so that it is certain which is better."""


@pytest.fixture
def recorded(config: Config, promptlab: CommandLine) -> CommandLine:
    """The command line, where a run of two prompts on twelve cases is recorded."""
    Path("checks.py").write_text(SCORER)
    config(dataset=CASES, scorers=[{"python": "checks.py:known"}])
    assert promptlab("run", "experiment.yaml").code == 0
    return promptlab


def test_the_better_variant_is_told_with_its_difference(recorded: CommandLine) -> None:
    done = recorded("compare", "--score", "known", "--baseline", "plain")

    assert done.code == 0
    rows = [line.split() for line in done.stdout.splitlines()]
    assert ["terse", "better"] in [row[:2] for row in rows]
    assert ["plain", "baseline"] in [row[:2] for row in rows]
    assert "+92 [" in done.stdout


def test_without_a_baseline_those_that_could_be_best_are_told(
    recorded: CommandLine,
) -> None:
    done = recorded("compare")

    assert "terse   could be best" in done.stdout
    assert "plain   behind the best" in done.stdout
    assert "won" not in done.stdout.splitlines()[1].split()


def test_json_has_the_columns_of_the_leaderboard(recorded: CommandLine) -> None:
    found = recorded("compare", "--baseline", "prompt=plain", "--json").json

    best, baseline = found["variants"]
    assert found["by"] == ["prompt"]
    assert (best["prompt"], best["verdict"]) == ("terse", "better")
    assert (best["delta"], best["wins"], best["n"]) == (pytest.approx(11 / 12), 11, 12)
    assert best["p_adjusted"] < 0.05
    assert (baseline["delta"], baseline["wins"]) == (None, None)


def test_by_says_what_is_compared(recorded: CommandLine) -> None:
    found = recorded("compare", "--by", "prompt", "--by", "model", "--json").json

    assert found["by"] == ["prompt", "model"]
    assert {row["model"] for row in found["variants"]} == {"offline/small"}


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--baseline", "plan"], "did you mean 'plain'?"),
        (["--baseline", "prompt=plan"], "did you mean 'plain'?"),
        (["--score", "know"], "known"),
        (["--by", "promt"], "prompt"),
        (["no-such-run"], "no-such-run"),
    ],
    ids=["baseline", "named-baseline", "score", "by", "run"],
)
def test_what_is_wrong_is_one_line_that_says_what_would_do(
    recorded: CommandLine, arguments: list[str], problem: str
) -> None:
    done = recorded("compare", *arguments)

    assert done.code == 1
    assert problem in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_a_run_without_scores_says_so(promptlab: CommandLine) -> None:
    promptlab("run", "experiment.yaml")

    done = promptlab("compare")

    assert done.code == 1
    assert "score" in done.stderr
    assert done.stderr.count("\n") == 1


def test_names_do_not_steer_the_terminal(
    config: Config, promptlab: CommandLine
) -> None:
    Path("checks.py").write_text(SCORER)
    prompts = {"plain": "{{ticket}}", "\x1b[31m=cmd()": "Hm: {{ticket}}"}
    config(
        dataset=CASES,
        grid={"prompt": prompts},
        scorers=[{"python": "checks.py:known"}],
    )
    promptlab("run", "experiment.yaml")

    done = promptlab("compare", "--baseline", "plain")

    assert done.code == 0
    assert "=cmd()" in done.stdout
    assert "\x1b" not in done.stdout


KNOWN = [{"python": "checks.py:known"}]


def required(config: Config, require: object, **more: Any) -> None:
    """A config of two prompts on twelve cases, `terse` the better of them."""
    Path("checks.py").write_text(SCORER)
    run = {"require": require}
    config(**{"dataset": CASES, "scorers": KNOWN, "run": run, **more})


def test_a_run_that_shows_the_required_gain_exits_with_0(
    config: Config, promptlab: CommandLine
) -> None:
    required(config, {"better_than": "plain", "score": "known"})

    done = promptlab("run", "experiment.yaml")

    assert done.code == 0
    assert "require" not in done.stderr


def test_where_the_others_are_worse_the_exit_code_is_4(
    config: Config, promptlab: CommandLine
) -> None:
    required(config, {"better_than": {"prompt": "terse"}})

    done = promptlab("run", "experiment.yaml")

    assert done.code == 4
    assert "require: plain is worse than terse by known: −92 [" in done.stderr


def test_too_few_cases_are_said_to_be_too_few(
    config: Config, promptlab: CommandLine
) -> None:
    required(config, {"better_than": "plain"}, dataset=[*CASES[2:5]])

    done = promptlab("run", "experiment.yaml")

    assert done.code == 4
    (line,) = [line for line in done.stderr.splitlines() if "require" in line]
    assert line.startswith("require: cannot tell: terse against plain by known: +67 [")
    assert "to see 5 points takes about" in line


def test_scores_that_are_all_missing_show_nothing(
    config: Config, promptlab: CommandLine
) -> None:
    required(config, {"better_than": "plain"})
    Path("checks.py").write_text("def known(output) -> float: raise ValueError('no')\n")

    done = promptlab("run", "experiment.yaml")

    assert done.code == 4
    assert "nothing could be compared with the baseline by known" in done.stderr


@pytest.mark.parametrize(
    ("require", "problem"),
    [
        ({"better_than": "plan"}, "no variant has 'plan'; did you mean 'plain'?"),
        ({"better_than": {"promt": "plain"}}, "did you mean 'prompt'?"),
        ({"better_than": {"prompt": "x"}}, "valid values: plain, terse"),
        ({"better_than": "plain", "score": "exct"}, "valid names: known"),
        ({"score": "known"}, "'run.require.better_than' is missing"),
        ({"better_then": "plain"}, "did you mean 'better_than'?"),
        ("plain", "expected a mapping, such as {better_than: plain"),
    ],
)
def test_a_requirement_that_cannot_be_met_is_refused_before_any_call(
    config: Config, promptlab: CommandLine, require: object, problem: str
) -> None:
    required(config, require)

    done = promptlab("run", "experiment.yaml")

    assert done.code == 1
    assert problem in done.stderr
    assert done.stderr.count("\n") == 1
    assert "no run is recorded" in promptlab("show").stderr


def test_a_baseline_that_only_leaves_out_is_refused(
    config: Config, promptlab: CommandLine
) -> None:
    required(config, {"better_than": "plain"})

    done = promptlab("run", "experiment.yaml", "--only", "prompt=terse")

    assert done.code == 1
    assert "one variant has nothing to be better than" in done.stderr
