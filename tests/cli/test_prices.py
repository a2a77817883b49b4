"""`prices`: the prices in force, and those that a run was priced with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from promptlab.offline import OfflineServer

from .conftest import CommandLine

OWN = '[[price]]\nmodel = "offline/*"\ninput = 1\noutput = 4\n'


def test_prices_shows_the_table_in_force(promptlab: CommandLine) -> None:
    Path("prices.toml").write_text(OWN.replace("offline/*", "gpt-6-sol"))

    done = promptlab("prices", "gpt-6-*")

    assert done.code == 0
    about, dearer, _, _, _, first, second, third = done.stdout.splitlines()[:8]
    assert about == "US dollars per million tokens"
    assert dearer == "with more input than 'long from' a call costs more"
    assert first.split()[:4] == ["gpt-6-sol", "–", "1", "1"]
    assert first.split()[-1] == "prices.toml"
    assert second.split()[:5] == ["gpt-6-astra", "openai", "10", "1", "12.5"]
    assert third.split()[0] == "gpt-6-cyber"


def test_a_table_of_prices_is_not_wider_than_a_terminal(
    promptlab: CommandLine,
) -> None:
    lines = promptlab("prices", "gpt-6*").stdout.splitlines()

    assert max(map(len, lines)) <= 80
    assert lines[0].startswith("US dollars per million tokens (openai, genai-prices")
    assert not any("openai" in line for line in lines[1:])


def test_prices_of_a_tier_and_a_provider_as_json(promptlab: CommandLine) -> None:
    (flex,) = promptlab("prices", "gpt-6-luna", "--tier", "flex", "--json").json
    (claude,) = promptlab(
        "prices", "claude-sonnet-4-5", "--provider", "anthropic", "--json"
    ).json

    assert flex == {
        "model": "gpt-6-luna",
        "provider": "openai",
        "input": 0.05,
        "cached_input": 0.005,
        "cache_write": 0.0625,
        "output": 0.25,
        "long_from": 272_000,
        "source": flex["source"],
        "as_of": "2026-10-12",
    }
    assert (claude["provider"], claude["as_of"]) == ("anthropic", None)


def test_a_model_without_a_price_is_one_line(promptlab: CommandLine) -> None:
    done = promptlab("prices", "gpt-6-lunar")

    assert done.code == 1
    assert done.stderr == (
        "promptlab: no price is known for 'gpt-6-lunar'; did you mean 'gpt-6-luna'?\n"
    )


@pytest.mark.usefixtures("server")
def test_run_and_show_tell_the_prices_that_were_used(promptlab: CommandLine) -> None:
    Path("prices.toml").write_text(OWN)
    run = promptlab("run", "experiment.yaml")
    Path("prices.toml").unlink()

    shown = promptlab("show")
    plain = promptlab("show", "--json").json

    about, _, _, line = run.stdout.splitlines()[-5:-1]
    assert about == "prices, in US dollars per million tokens:"
    assert line.split()[-1] == "prices.toml"
    assert shown.stdout.splitlines()[1:] == run.stdout.splitlines()
    assert [line["input"] for line in plain["prices"]] == [1]
    assert plain["cost_usd"] > 0


def test_without_a_price_nothing_is_said_of_prices(promptlab: CommandLine) -> None:
    done = promptlab("run", "experiment.yaml")

    assert "prices" not in done.stdout


def test_prices_of_a_config_are_beside_it(
    promptlab: CommandLine, config: Callable[..., Path], server: OfflineServer
) -> None:
    Path("mine.toml").write_text(OWN)
    config(run={"prices": "mine.toml"})

    done = promptlab("run", "experiment.yaml", "--base-url", server.base_url, "--json")

    assert done.json["billed_usd"] > 0
    assert [line["source"] for line in done.json["prices"]] == ["mine.toml"]
