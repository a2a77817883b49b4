"""Scores on the command line: shown, computed again, and what they must reach."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import CommandLine

Config = Callable[..., Path]


def test_a_config_lists_scorers_and_a_run_shows_them(
    config: Config, promptlab: CommandLine
) -> None:
    config(scorers=["exact", {"contains": {"value": "i", "name": "has_i"}}])

    done = promptlab("run", "experiment.yaml")

    assert done.code == 0
    assert "exact" in done.stdout
    assert "has_i" in done.stdout
    assert "%" in done.stdout


def test_judges_are_asked_with_the_options_of_a_run(
    config: Config, promptlab: CommandLine
) -> None:
    config()
    judge = "[{judge: {name: kind, model: offline/large, rubric: It is kind.}}]"
    Path("judges.yaml").write_text(f"scorers: {judge}")
    promptlab("run", "experiment.yaml")

    cached = promptlab("score", "--scorers", "judges.yaml", "--offline", "--json")
    asked = promptlab("score", "--scorers", "judges.yaml", "--json")

    assert cached.json["scores"]["kind"]["n"] == 0
    assert cached.json["scores"]["kind"]["mean"] is None
    assert asked.json["scores"]["kind"]["n"] == 4
    assert asked.json["scores"]["kind"]["notes"] == [
        "kind: judged by offline/large, not checked against people"
    ]
    shown = promptlab("score", "--scorers", "judges.yaml")
    assert "kind: judged by offline/large, not checked against people" in shown.stdout


def test_a_score_that_is_missing_everywhere_is_below_its_threshold(
    config: Config, promptlab: CommandLine
) -> None:
    Path("checks.py").write_text("def odd(output): raise ValueError('no')\n")
    config(scorers=[{"python": "checks.py:odd"}])

    done = promptlab("run", "experiment.yaml", "--threshold", "odd=0.5")

    assert done.code == 4
    assert "threshold: odd has no score that is a number" in done.stderr


def test_a_function_of_a_file_is_a_scorer(
    config: Config, promptlab: CommandLine
) -> None:
    Path("checks.py").write_text("def short(output): return len(output)\n")
    config(scorers=[{"python": "checks.py:short"}])

    done = promptlab("run", "experiment.yaml", "--json")

    assert done.json["scores"]["short"]["n"] == 4
    assert done.json["scores"]["short"]["mean"] > 0


@pytest.mark.parametrize(
    ("scorers", "problem"),
    [
        (["exat"], "scorers: no scorer is called 'exat'; did you mean 'exact'?"),
        (
            [{"python": "checks.py"}],
            "python: expected file.py:function, got 'checks.py'",
        ),
        ([{"python": "none.py:f"}], "none.py: FileNotFoundError"),
        ([3], "scorers.0: expected the name of a scorer, or {name: value}, got 3"),
    ],
    ids=["unknown", "no-function", "no-file", "number"],
)
def test_a_wrong_scorer_is_one_line_with_its_place(
    config: Config, promptlab: CommandLine, scorers: list[object], problem: str
) -> None:
    config(scorers=scorers)

    done = promptlab("validate", "experiment.yaml")

    assert done.code == 1
    assert problem in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("least", "code"), [(0.0, 0), (1.01, 4)], ids=["met", "missed"]
)
def test_a_threshold_decides_the_exit_code(
    config: Config, promptlab: CommandLine, least: float, code: int
) -> None:
    config(scorers=["exact"], run={"threshold": {"exact": least}})

    done = promptlab("run", "experiment.yaml")

    assert done.code == code
    assert ("threshold: exact" in done.stderr) == (code == 4)


def test_a_threshold_on_the_command_line_wins(
    config: Config, promptlab: CommandLine
) -> None:
    config(scorers=["exact"], run={"threshold": {"exact": 1.01}})

    assert promptlab("run", "experiment.yaml", "--threshold", "exact=0").code == 0


def test_where_lower_is_better_a_threshold_is_the_most(
    config: Config, promptlab: CommandLine
) -> None:
    config(scorers=["latency"])

    assert promptlab("run", "experiment.yaml", "--threshold", "latency=1000").code == 0
    assert promptlab("run", "experiment.yaml", "--threshold", "latency=0").code == 4


def test_a_threshold_of_no_score_is_refused(
    config: Config, promptlab: CommandLine
) -> None:
    config(scorers=["exact"])

    done = promptlab("run", "experiment.yaml", "--threshold", "exct=1")

    assert done.code == 1
    assert "threshold: no score is called 'exct'; did you mean 'exact'?" in done.stderr


def test_a_run_is_scored_again_and_says_what_changed(
    config: Config, promptlab: CommandLine
) -> None:
    config(scorers=[{"contains": {"value": "zzz", "name": "found"}}])
    promptlab("run", "experiment.yaml")
    Path("more.yaml").write_text("scorers:\n  - regex: {pattern: '.', name: found}\n")

    done = promptlab("score", "--scorers", "more.yaml", "-o", "scored.csv")

    assert done.code == 0
    assert "4 of 4 verdicts changed: 4 to right" in done.stdout
    assert "trial 0: found 0.0 → 1.0" in done.stdout
    assert "found" in Path("scored.csv").read_text().splitlines()[0]


def test_a_run_is_scored_again_by_the_scorers_it_had(
    config: Config, promptlab: CommandLine
) -> None:
    config(scorers=["exact"])
    promptlab("run", "experiment.yaml")

    done = promptlab("score", "--threshold", "exact=1.01")

    assert done.code == 4
    assert "0 of 4 verdicts changed" in done.stdout
