"""Errors in a notebook: the user's own line and the message, nothing between."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CELL = """import promptlab as pl
grid = {"model": ["gpt-6-luna"], "prompt": ["Hello"]}
experiment = pl.Experiment("greetings", grid=grid, dataset=[{}])
experiment.run(CALL)"""


def shown(
    call: str, folder: Path, monkeypatch: pytest.MonkeyPatch, before: str = ""
) -> str:
    """What IPython prints of a cell that raises."""
    monkeypatch.setenv("IPYTHONDIR", str(folder / "ipython"))
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    (folder / "cell.ipy").write_text(before + CELL.replace("CALL", call))
    done = subprocess.run(
        [sys.executable, "-m", "IPython", "--colors=NoColor", "cell.ipy"],
        capture_output=True,
        text=True,
        cwd=folder,
    )
    return done.stdout + done.stderr


def test_a_wrong_option_shows_the_users_line_and_the_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = shown("budgt=3", tmp_path, monkeypatch)

    assert "----> 4 experiment.run(budgt=3)" in text.replace("   4", " 4")
    assert "SpecError: no option 'budgt'; did you mean 'budget_usd'?" in text
    assert "options.py" not in text


def test_a_missing_key_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = shown("progress=False", tmp_path, monkeypatch)

    (line,) = [line for line in text.splitlines() if line.strip()]
    assert line.startswith("CredentialsError: no API key")


@pytest.mark.parametrize("way", ["variable", "magic"])
def test_all_of_it_is_shown_on_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    before = "%xmode Verbose\n" if way == "magic" else ""
    monkeypatch.setenv("PROMPTLAB_DEBUG", "0" if before else "1")

    text = shown("budgt=3", tmp_path, monkeypatch, before)

    assert "options.py" in text
    assert "SpecError: no option 'budgt'" in text
