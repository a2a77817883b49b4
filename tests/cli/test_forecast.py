"""`forecast`: what it says it will buy, what it asks, what it prints."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from promptlab.offline import Faults, OfflineServer

from .conftest import CASES, CommandLine

Config = Callable[..., Path]
MORE = [{**case, "id": f"{n}-{case['id']}"} for n in range(10) for case in CASES]


@pytest.fixture
def priced(config: Config) -> Path:
    """Two prompts × twenty cases, at a price of one's own."""
    cases = [{**c, "ticket": f"{c['ticket']} {n}"} for n, c in enumerate(MORE)]
    prices = {"offline/*": {"input": 1, "output": 4}}
    return config(dataset=cases, run={"prices": prices})


def at(server: OfflineServer) -> tuple[str, str]:
    return "--base-url", server.base_url


@pytest.mark.usefixtures("priced")
def test_a_forecast_buys_a_pilot_and_says_what_is_left(
    promptlab: CommandLine, server: OfflineServer
) -> None:
    done = promptlab("forecast", "experiment.yaml", "--yes", *at(server))
    then = promptlab("run", "experiment.yaml", "--json", *at(server))

    assert done.code == 0
    assert "the pilot: 4 trials, 4 calls; cost: $0.00" in done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "a run now: 36 calls to make"
    assert lines[1].startswith("cost: $0.00")
    assert lines[2].startswith("at most: $0.00")
    assert lines[3].startswith("tokens: ")
    assert server.calls == 40
    assert then.json["calls"] == 36


@pytest.mark.usefixtures("priced")
def test_nothing_is_bought_where_nobody_says_yes(
    process: CommandLine, server: OfflineServer
) -> None:
    done = process("forecast", "experiment.yaml", *at(server))

    assert done.code == 1
    assert "--yes makes them without asking" in done.stderr
    assert done.stdout.strip() == ""
    assert server.calls == 0


@pytest.mark.usefixtures("priced")
def test_a_pilot_that_is_there_is_not_asked_about(
    process: CommandLine, server: OfflineServer
) -> None:
    process("forecast", "experiment.yaml", "-y", *at(server))

    again = process("forecast", "experiment.yaml", *at(server))

    assert again.code == 0
    assert server.calls == 4


def test_what_costs_nothing_is_not_asked_about(
    process: CommandLine, server: OfflineServer
) -> None:
    done = process("forecast", "experiment.yaml", *at(server))

    assert done.code == 0
    assert "cost: nothing" in done.stdout
    assert server.calls == 4  # two prompts × two cases: the whole of it


@pytest.mark.usefixtures("priced")
def test_json_is_all_that_standard_output_holds(
    process: CommandLine, server: OfflineServer
) -> None:
    done = process(
        "forecast", "experiment.yaml", "--json", "-y", "--pilot", "5", *at(server)
    )

    told = done.json
    assert told["calls_left"] == 30
    assert told["pilot"] == {
        "status": "complete",
        "calls": 10,
        "failed": 0,
        "billed_usd": pytest.approx(told["known_usd"]),
    }
    assert 0 < told["low"] <= told["cost_usd"] <= told["high"] <= told["worst_case"]
    assert told["output_tokens"]["low"] <= told["output_tokens"]["value"]
    assert told["notes"] == []


@pytest.mark.usefixtures("priced")
def test_a_pilot_of_none_makes_no_call(
    promptlab: CommandLine, server: OfflineServer
) -> None:
    done = promptlab("forecast", "experiment.yaml", "--pilot", "0", *at(server))

    assert done.code == 0
    assert "cost: not known" in done.stdout
    assert "no answers from 2 variants" in done.stdout
    assert server.calls == 0


@pytest.mark.usefixtures("priced")
def test_failures_of_the_pilot_are_told_by_line_and_exit_code(
    promptlab: CommandLine, serve: Callable[..., OfflineServer]
) -> None:
    server = serve(Faults(html=1.0))

    done = promptlab("forecast", "experiment.yaml", "-y", *at(server))

    assert done.code == 3
    assert "note: 4 of the pilot's 4 trials failed" in done.stdout


@pytest.mark.usefixtures("priced")
def test_a_budget_that_lets_nothing_be_bought_is_told_by_line_and_exit_code(
    promptlab: CommandLine, server: OfflineServer
) -> None:
    promptlab("usage", "budget", "day", "--usd", "0")

    planned = promptlab("validate", "experiment.yaml", *at(server))
    done = promptlab("forecast", "experiment.yaml", "-y", *at(server))

    leaves = "note: the project's budget of $0.00 a day leaves $0.00: the run may stop"
    assert leaves in planned.stdout
    assert done.code == 1
    assert "note: the pilot was stopped: the project's budget of $0.00" in done.stdout
    assert server.calls == 0


def test_a_wrong_pilot_is_one_line(promptlab: CommandLine) -> None:
    done = promptlab("forecast", "experiment.yaml", "--pilot", "1")

    assert done.code == 1
    assert "expected an integer >= 2 (answers for each variant)" in done.stderr
