"""`validate`, `init`, `schema`, `show`, `export`: what can be looked at."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import promptlab as pl
from promptlab.offline import OfflineServer

from .conftest import CommandLine


def test_validate_counts_what_a_run_would_do_and_needs_no_key(
    promptlab: CommandLine, config: Callable[..., Path]
) -> None:
    done = promptlab("validate", config(grid={"model": ["gpt-6-luna"]}, repeats=3))

    assert done.code == 0
    assert "triage: 2 variants × 2 cases × 3 repeats = 12 trials" in done.stdout
    assert "inputs of dataset: ticket" in done.stdout.splitlines()
    assert "12 calls to make, for $0.0000" in done.stdout
    assert "tokens: " in done.stdout
    assert "at most 192 out (estimated, ± 35 %)" in done.stdout
    assert "cost: $0.0000" in done.stdout


def test_validate_tells_what_is_cached(
    promptlab: CommandLine, server: OfflineServer
) -> None:
    at = "--base-url", server.base_url
    promptlab("run", "experiment.yaml", "--limit", "1", *at)

    done = promptlab("validate", "experiment.yaml", "--json", *at)

    assert done.json == {
        "name": "triage",
        "variants": 2,
        "cases": 2,
        "repeats": 1,
        "trials": 4,
        "cached": 2,
        "new": 2,
        "duplicate": 0,
        "calls": 2,
        "input_tokens": done.json["input_tokens"],
        "output_tokens": [2, 32.0],
        "counting": {"offline/small": "estimated and corrected by 2 answers, ± 22 %"},
        "cost_usd": [None, None],
        "least_s": 0.0,
        "unpriced": [],
        "free": ["offline/small"],
        "not_counted": {},
        "judgements": [],
        "total_usd": [None, None],
        "budget_notes": [],
        "warnings": [],
    }
    least, most = done.json["input_tokens"]
    assert 0 < least < most
    assert server.calls == 2


def test_config_that_init_writes_runs(promptlab: CommandLine, folder: Path) -> None:
    written = promptlab("init", "sub/first.yaml")
    done = promptlab("run", "sub/first.yaml")

    assert written.code == done.code == 0
    assert "python -m promptlab run sub/first.yaml" in written.stdout
    assert (folder / "sub" / "out" / "results.csv").exists()


def test_comments_in_a_config_that_init_writes_name_it(
    promptlab: CommandLine, folder: Path
) -> None:
    promptlab("init", "mine.yaml")

    text = (folder / "mine.yaml").read_text("utf-8")
    assert "python -m promptlab run mine.yaml" in " ".join(text.split())
    assert "experiment.yaml" not in text


def test_init_replaces_a_file_only_when_told(promptlab: CommandLine) -> None:
    before = Path("experiment.yaml").read_text()

    refused = promptlab("init")
    kept = Path("experiment.yaml").read_text()
    forced = promptlab("init", "--force")

    assert (refused.code, kept) == (1, before)
    assert "pass --force" in refused.stderr
    assert forced.code == 0
    assert Path("experiment.yaml").read_text() != before


def test_schema_is_the_one_in_the_package(promptlab: CommandLine) -> None:
    packaged = Path(pl.__file__).with_name("config.schema.json")

    assert promptlab("schema").json == json.loads(packaged.read_text())


def test_show_prints_the_latest_run_again(promptlab: CommandLine) -> None:
    promptlab("run", "experiment.yaml", "--limit", "1")
    run = promptlab("run", "experiment.yaml")

    shown = promptlab("show")

    assert shown.code == 0
    assert shown.stdout.splitlines()[1:] == run.stdout.splitlines()


def test_show_finds_a_run_by_how_its_name_begins(promptlab: CommandLine) -> None:
    first = promptlab("run", "experiment.yaml", "--limit", "1", "--json").json["run"]
    promptlab("run", "experiment.yaml")

    done = promptlab("show", first[:-1], "--json")

    assert done.json["run"] == first
    assert done.json["trials"] == 2


def test_show_of_an_unknown_run_names_the_latest(promptlab: CommandLine) -> None:
    latest = promptlab("run", "experiment.yaml", "--json").json["run"]

    done = promptlab("show", "nonesuch")

    assert done.code == 1
    assert done.stderr == f"promptlab: no run 'nonesuch'; the latest is {latest!r}\n"


def test_show_list_has_a_line_for_each_run_the_latest_first(
    promptlab: CommandLine,
) -> None:
    names = [
        promptlab("run", "experiment.yaml", "--limit", limit, "--json").json["run"]
        for limit in ("1", "2")
    ]

    listed = promptlab("show", "--list", "--json").json
    lines = promptlab("show", "--list").stdout.splitlines()

    assert {run["run"] for run in listed} == set(names)
    assert [run["started_s"] for run in listed] == sorted(
        (run["started_s"] for run in listed), reverse=True
    )
    assert [line.split()[0] for line in lines[-2:]] == [r["run"] for r in listed]


def test_show_counts_failures_again(
    promptlab: CommandLine, config: Callable[..., Path]
) -> None:
    promptlab("run", config(grid={"model": ["offline/small", "offline/none"]}))

    done = promptlab("show")

    assert done.code == 0
    assert "4 of 8 trials answered" in done.stdout
    assert "404 model_not_found" in done.stdout


def test_export_writes_the_table_of_a_run_that_is_over(
    promptlab: CommandLine, folder: Path
) -> None:
    promptlab("run", "experiment.yaml", "-o", "at_once.jsonl")

    done = promptlab("export", "-o", "later.jsonl", "-o", "later.csv")

    assert done.stdout == "wrote later.jsonl\nwrote later.csv\n"
    assert (folder / "later.jsonl").read_text() == (
        folder / "at_once.jsonl"
    ).read_text()
