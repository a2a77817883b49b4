"""Experiments as code: running it gives the experiment again."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from seen import HOSTILE
from spec.test_experiment import CASES, grids

import promptlab as pl
from promptlab.notebook.panel.code import experiment_code

pytestmark = pytest.mark.filterwarnings("ignore::promptlab.PromptlabWarning")

LONG = "Which team should answer? " * 8 + "\n\n  - {{t}}\n" + "x" * 200

TALK = [{"role": "user", "content": LONG}, {"role": "user", "content": "2"}]
LAID_OUT = """\
import promptlab as pl

experiment = pl.Experiment(
    "e",
    grid=pl.Grid(
        model=["m"],
        prompt={"plain": "{{t}}"},
        temperature=[0, 0.7],
    ).only(temperature=0),
    dataset=[{"id": "a", "t": "A", "u": "x"}, {"id": "b", "t": "B", "u": "y"}],
    repeats=2,
)
"""
ODD = "\\\r\n\t\0'''\"\"\""


def made_by(codes: Sequence[str], folder: Path) -> list[dict[str, Any]]:
    """What pieces of code make, each run as a program by itself would."""
    script = (
        "import json, sys, warnings\n"
        "warnings.simplefilter('ignore')\n"
        "made = []\n"
        "for code in json.load(sys.stdin):\n"
        "    names = {}\n"
        "    exec(code, names)\n"
        "    made.append(names['experiment'].to_plain())\n"
        "print(json.dumps(made))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=folder,
        input=json.dumps(codes),
        capture_output=True,
        text=True,
        check=True,
    )
    plain: list[dict[str, Any]] = json.loads(done.stdout)
    return plain


def experiment(**parts: Any) -> pl.Experiment:
    grid = {"model": ["m"], "prompt": {"plain": "{{t}}"}, **parts.pop("grid", {})}
    given = {"grid": grid, "dataset": parts.pop("dataset", CASES), **parts}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pl.Experiment(given.pop("name", "e"), **given)


WRITTEN = {
    "small": experiment(),
    "long texts": experiment(grid={"prompt": {"long": LONG}, "system": [LONG, None]}),
    "messages": experiment(
        grid={
            "prompt": [
                [{"role": "user", "content": LONG}, {"role": "user", "content": "2"}]
            ]
        }
    ),
    "a named dataset": experiment(dataset=pl.Dataset(CASES, name="tickets"), repeats=3),
    "own rules": experiment(
        grid={"model": ["gpt-6-luna"], "temperature": [0, 1]},
        capabilities={"gpt-6-luna": {"temperature": True}},
    ),
    "odd names": experiment(grid={"class": [1], "top-k": [{"a": [1]}], "ünï": [True]}),
    "hostile texts": experiment(
        name=HOSTILE[2],
        grid={"prompt": {text: f"{text}{{{{t}}}}" for text in HOSTILE}},
        dataset=[
            {"t": f"{text}\\\r\n\t\0'''\"\"\"", "expected": 0.1} for text in HOSTILE
        ],
    ),
    "selected twice": experiment(grid={"temperature": [0, 1], "seed": [1, 2, 3]})
    .only(temperature=[0])
    .only(seed=[1, 3]),
}


def test_running_the_code_makes_an_equal_experiment(tmp_path: Path) -> None:
    codes = [experiment_code(made) for made in WRITTEN.values()]

    for name, plain in zip(WRITTEN, made_by(codes, tmp_path), strict=True):
        assert plain == WRITTEN[name].to_plain(), name


def test_running_the_code_makes_an_equal_experiment_of_any_grid(tmp_path: Path) -> None:
    seen: list[pl.Experiment] = []

    @given(grid=grids(), repeats=st.integers(1, 3))
    @settings(max_examples=50)
    def collect(grid: pl.Grid, repeats: int) -> None:
        seen.append(pl.Experiment("e", grid=grid, dataset=CASES, repeats=repeats))

    collect()

    codes = [experiment_code(made) for made in seen]
    assert made_by(codes, tmp_path) == [
        json.loads(json.dumps(made.to_plain())) for made in seen
    ]


def test_code_is_laid_out_to_be_read() -> None:
    made = experiment(grid={"temperature": [0, 0.7]}, repeats=2)

    assert experiment_code(made.only(temperature=0)) == LAID_OUT


@pytest.mark.parametrize("name", list(WRITTEN))
def test_lines_of_code_are_not_long(name: str) -> None:
    words = "x" * 100  # one word cannot be cut

    lines = [n for n in experiment_code(WRITTEN[name]).splitlines() if words not in n]

    assert max(map(len, lines)) <= 100


def test_cases_can_be_left_to_an_expression() -> None:
    code = experiment_code(experiment(), dataset="cases[:10]")

    assert "dataset=cases[:10]" in code
    assert "'A'" not in code
