"""Paths and streams: the home folder, standard input, pipes, and any code page."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import promptlab as pl

from .conftest import COMMAND, PATIENCE_S, CommandLine


@pytest.mark.parametrize("code_page", ["ascii", "cp1252"])
def test_no_code_page_ends_a_command(
    config: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, code_page: str
) -> None:
    config(name="日本 → ö", dataset=[{"ticket": "ключ \u200f", "expected": "❤"}])
    monkeypatch.setenv("PYTHONIOENCODING", code_page)

    for arguments in ("run experiment.yaml", "show", "usage", "cache list", "run -h"):
        done = subprocess.run(
            [*COMMAND, *arguments.split()],
            capture_output=True,
            encoding=code_page,
            timeout=PATIENCE_S,
        )

        assert (arguments, done.returncode) == (arguments, 0)
        assert "Error" not in done.stderr


def test_what_a_code_page_does_not_have_is_drawn_in_ascii(
    process: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")

    done = process("validate", "experiment.yaml")

    assert "2 variants x 2 cases x 1 repeat = 4 trials" in done.stdout
    assert "\n---------" in done.stdout
    assert "?" not in done.stdout


def test_json_is_whole_on_any_code_page(
    config: Callable[..., Path], process: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    config(name="日本 → ö")
    monkeypatch.setenv("PYTHONIOENCODING", "cp1252")

    assert process("validate", "experiment.yaml", "--json").json["name"] == "日本 → ö"


def test_the_home_folder_is_meant_by_a_tilde_wherever_a_path_is_taken(
    config: Callable[..., Path],
    promptlab: CommandLine,
    monkeypatch: pytest.MonkeyPatch,
    folder: Path,
) -> None:
    home = folder / "mine"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))
    (home / "cases.csv").write_text("id,ticket\n1,Where is my parcel?\n")
    (home / "steps.md").write_text("Which team? {{ticket}}")
    (home / "keys.env").write_text("A=b\n")
    (home / "own.toml").write_text("")
    config(
        dataset="~/cases.csv",
        grid={"prompt": {"steps": {"file": "~/steps.md"}}},
        run={"cache": "~/shared", "env_file": "~/keys.env", "prices": "~/own.toml"},
        output="~/out.csv",
    )
    (home / "experiment.yaml").write_text(Path("experiment.yaml").read_text())

    done = promptlab("run", "~/experiment.yaml", "--output=~/more.jsonl")
    again = promptlab("run", "experiment.yaml", "--cache=~/shared", "--json")
    shown = promptlab("cache", "export", "~/answers.jsonl", "--cache=~/shared")

    assert (done.code, again.code, shown.code) == (0, 0, 0)
    assert again.json["cached"] == 1
    assert len(pl.read_results("~/more.jsonl")) == 1
    assert pl.ResponseCache("~/shared").directory == home / "shared"
    assert {path.name for path in home.iterdir()} >= {
        *("out.csv", "more.jsonl", "shared", "answers.jsonl"),
    }
    assert not list(folder.rglob("~*"))


def test_the_home_folder_of_nobody_is_told(promptlab: CommandLine) -> None:
    done = promptlab("run", "~nobody-of-this-name/experiment.yaml")

    assert done.code == 2
    assert "home folder not found" in done.stderr
    with pytest.raises(pl.SpecError, match="home folder not found"):
        pl.load_experiment("~nobody-of-this-name/experiment.yaml")


@pytest.mark.skipif(sys.platform == "win32", reason="has no such files")
@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"dataset": "pipe.csv"}, "pipe.csv"),
        ({"dataset": "pipe.parquet"}, "pipe.parquet"),
        ({"dataset": "pipe.xlsx"}, "pipe.xlsx"),
        ({"dataset": "endless.csv"}, "endless.csv"),
        ({"grid": {"prompt": {"p": {"file": "endless.csv"}}}}, "endless.csv"),
        ({"run": {"prices": "pipe.csv"}}, "pipe.csv"),
    ],
    ids=str,
)
def test_what_may_never_end_is_not_read(
    config: Callable[..., Path],
    promptlab: CommandLine,
    changes: dict[str, Any],
    told: str,
) -> None:
    for name in ("pipe.csv", "pipe.parquet", "pipe.xlsx"):
        os.mkfifo(name)
    Path("endless.csv").symlink_to("/dev/zero")
    config(**changes)

    done = promptlab("validate", "experiment.yaml")

    said = f"{told} cannot be read: it is a pipe or a device, not a file"
    assert said in done.stderr


@pytest.mark.parametrize(
    ("dataset", "content"),
    [
        ("-", "ticket,n\nhello,1\n"),
        ("-", '\n{"ticket": "hello", "n": "1"}\n'),
        ("-", '[{"ticket": "hello", "n": "1"}]\n'),
    ],
    ids=["csv", "jsonl", "json"],
)
def test_a_dataset_may_come_from_standard_input(
    config: Callable[..., Path], dataset: str, content: str
) -> None:
    config(dataset=dataset)

    done = subprocess.run(
        [*COMMAND, "validate", "experiment.yaml"],
        input=content,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )

    assert done.returncode == 0
    assert "2 variants × 1 case × 1 repeat" in done.stdout
    assert "inputs of -: ticket, n" in done.stdout


def test_a_config_may_come_from_standard_input(config: Callable[..., Path]) -> None:
    config(dataset="cases.csv")
    Path("cases.csv").write_text("ticket\nhello\n")

    done = subprocess.run(
        [*COMMAND, "validate", "-"],
        input=Path("experiment.yaml").read_text(),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )

    assert done.returncode == 0
    assert "2 variants × 1 case × 1 repeat" in done.stdout
