"""`usage`: what calls took, budgets, tidying up."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

import promptlab as pl
from promptlab.offline import Faults, OfflineServer

from .conftest import CommandLine

Config = Callable[..., Path]

PRICES = {"offline/*": {"input": 1, "output": 10}}


def test_usage_shows_each_day_and_model(promptlab: CommandLine, config: Config) -> None:
    promptlab("run", config(run={"prices": PRICES}))
    promptlab("run", config(run={"prices": PRICES}))

    shown = promptlab("usage").stdout

    *_, row, total = shown.splitlines()
    assert row.split()[1] == "offline/small"
    assert row.split()[2] == "4"
    assert total.startswith("all: 4 requests, $0.00")
    assert "saved by the cache" in total
    assert "without" in shown  # a call: the four trials that were cached


def test_heads_stand_over_the_ends_of_their_numbers(
    promptlab: CommandLine, config: Config
) -> None:
    promptlab("run", config(run={"prices": PRICES}, repeats=100))

    *_, heads, rule, row, _ = promptlab("usage").stdout.splitlines()

    ends = [bar.end() for bar in re.finditer("─+", rule)]
    assert row[: ends[3]].endswith("k")  # thousands of tokens
    assert [heads[:end][-1] for end in ends[2:]] == list(
        "sntt"
    )  # requests, in, out, cost
    assert " " not in [row.ljust(ends[-1])[end - 1] for end in ends[2:]]


def test_usage_says_what_has_no_price(promptlab: CommandLine) -> None:
    promptlab("run", "experiment.yaml")

    assert "4 without a known price" in promptlab("usage").stdout


def test_usage_says_what_may_have_been_charged_all_the_same(
    promptlab: CommandLine, config: Config
) -> None:
    with OfflineServer(faults=Faults(html=1)).in_thread() as server:
        run = {"base_url": server.base_url, "prices": PRICES, "max_attempts": 1}
        promptlab("run", config(run=run))

    *_, total = promptlab("usage").stdout.splitlines()

    assert total.endswith("$0.00 paid; 4 failed calls may still have been charged")


def test_usage_of_a_new_project_is_empty_and_makes_no_file(
    promptlab: CommandLine, folder: Path
) -> None:
    shown = promptlab("usage", "--since", "7d")

    assert shown.code == 0
    assert shown.stdout == "no calls in the ledger since 7d\n"
    assert not list(folder.rglob("promptlab.sqlite"))


def test_usage_as_json_has_null_for_what_is_unknown(promptlab: CommandLine) -> None:
    promptlab("run", "experiment.yaml")

    plain = promptlab("usage", "--by", "experiment", "--json").json

    (row,) = plain["usage"]
    assert (row["experiment"], row["requests"], row["cost_usd"]) == ("triage", 4, None)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["--since", "yesterday"],
            "since: expected a time span before now such as '30m'",
        ),
        (["--by", "dya"], "did you mean 'day'"),
    ],
)
def test_a_wrong_option_is_told_in_one_line(
    promptlab: CommandLine, arguments: list[str], said: str
) -> None:
    done = promptlab("usage", *arguments)

    assert done.code == 1
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_project_budget_is_set_shown_kept_and_taken_away(
    promptlab: CommandLine, config: Config
) -> None:
    experiment = config(run={"prices": PRICES})
    set_ = promptlab("usage", "budget", "day", "--usd", "0")
    stopped = promptlab("run", experiment)
    shown = promptlab("usage", "budget", "day")
    gone = promptlab("usage", "budget", "day", "--remove")
    ran = promptlab("run", experiment)

    assert set_.stdout == "budget of this day (UTC): $0.00 of $0.00 spent\n"
    assert stopped.code == 1
    assert "the project's budget of $0.00 a day is reached" in stopped.stderr
    assert shown.stdout == set_.stdout
    assert gone.stdout == "the budget for a day was removed\n"
    assert ran.code == 0


def test_budgets_are_shown_without_a_period(
    promptlab: CommandLine, folder: Path
) -> None:
    none = promptlab("usage", "budget")
    never = promptlab("usage", "budget", "month", "--remove")
    assert not (folder / ".promptlab").exists()
    promptlab("usage", "budget", "day", "--usd", "20")
    promptlab("usage", "budget", "month", "--tokens", "1000")

    assert none.stdout.startswith("no budget is set; `promptlab usage budget day --usd")
    assert never.stdout == "no budget for a month was set\n"
    assert promptlab("usage", "budget").stdout == (
        "budget of this day (UTC): $0.00 of $20.00 spent\n"
        "budget of this month (UTC): 0 of 1.0k tokens spent\n"
    )


def test_a_budget_that_is_only_looked_at_makes_no_file(
    promptlab: CommandLine, folder: Path
) -> None:
    shown = promptlab("usage", "budget", "day")

    assert shown.stdout.startswith("no budget for a day is set; ")
    assert not (folder / ".promptlab").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--usd", "1"], "--usd needs a period: day or month"),
        (["--remove"], "--remove needs a period: day or month"),
        (["day", "--remove", "--tokens", "1"], "--tokens cannot be used with --remove"),
        (["week"], "a budget's period: expected 'day' or 'month', got 'week'"),
        (
            ["week", "--remove"],
            "a budget's period: expected 'day' or 'month', got 'week'",
        ),
    ],
    ids=str,
)
def test_what_a_budget_cannot_be_is_told(
    promptlab: CommandLine, options: list[str], said: str
) -> None:
    done = promptlab("usage", "budget", *options)

    assert done.code != 0
    assert said in done.stderr


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        ("run experiment.yaml --budget-tokens 10.5", "expected an integer >= 0"),
        ("run experiment.yaml --budget-usd inf", "expected a number >= 0"),
        ("usage budget day --tokens 10.5", "expected an integer >= 0"),
        ("usage budget day --usd inf", "expected a number >= 0"),
    ],
)
def test_an_amount_that_is_none_is_refused(
    promptlab: CommandLine, command: str, problem: str
) -> None:
    *_, option, value = command.split()

    done = promptlab(*command.split())

    shown = " ".join(done.stderr.replace("│", " ").split())
    assert (done.code, problem in shown) == (2, True)
    assert option in shown
    assert f"got {value!r}" in shown


def test_a_run_stops_at_its_budget_and_says_how_to_go_on(
    promptlab: CommandLine, config: Config
) -> None:
    experiment = config(run={"prices": PRICES, "max_concurrency": 1})

    stopped = promptlab("run", experiment, "--budget-tokens", 240)
    rest = promptlab("run", experiment)

    assert stopped.code == 3
    assert "budget_tokens of 240 is reached" in stopped.stderr
    assert "run it again with a larger one to go on" in stopped.stderr
    assert "left" in stopped.stdout
    assert rest.code == 0


def test_the_budget_of_a_config_is_kept(promptlab: CommandLine, config: Config) -> None:
    done = promptlab("run", config(run={"budget_usd": 0, "prices": PRICES}))

    assert done.code == 1
    assert "budget_usd of $0.00 is reached" in done.stderr


def test_why_a_run_was_stopped_is_said_once(
    promptlab: CommandLine, config: Config
) -> None:
    done = promptlab("run", config(run={"budget_usd": 0, "prices": PRICES}))
    shown = promptlab("show")

    assert (done.stdout + done.stderr).count("is reached") == 1
    assert done.stdout.splitlines()[0].endswith("4 left, stopped")
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["0", "recorded"]
    assert shown.stdout.count("is reached") == 1


def test_the_ledger_is_exported(promptlab: CommandLine, folder: Path) -> None:
    promptlab("run", "experiment.yaml")

    done = promptlab("usage", "export", "lines.jsonl")

    assert done.stdout == "wrote 4 lines to lines.jsonl\n"
    assert len((folder / "lines.jsonl").read_text().splitlines()) == 4


def test_old_lines_are_pruned_when_confirmed(promptlab: CommandLine) -> None:
    promptlab("run", "experiment.yaml")

    kept = promptlab("usage", "prune", "--older-than", "1d", "--yes")
    gone = promptlab("usage", "prune", "--older-than", "2100-01-01", "--yes")

    assert kept.stdout == "0 lines removed\n"
    assert gone.stdout == "4 lines removed\n"
    assert len(pl.usage()) == 0
