"""What `import promptlab` offers: sorted, complete, documented, and told once."""

from __future__ import annotations

import ast
import asyncio
import importlib
import inspect
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import pytest

import promptlab as pl

VERBS = ("run", "arun", "start", "plan", "forecast", "power")

TREE = ast.parse(Path(pl.__file__).read_text("utf-8"))


def homes() -> dict[str, str]:
    """The name of each export, and the module that it is loaded from."""
    (value,) = [
        node.value
        for node in TREE.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "_HOMES"
    ]
    found: dict[str, str] = ast.literal_eval(value)
    return found


def for_type_checkers() -> dict[str, str]:
    """The same, as type checkers are told."""
    return {
        name.name: str(node.module).removeprefix("promptlab.")
        for node in ast.walk(TREE)
        if isinstance(node, ast.ImportFrom)
        and str(node.module).startswith("promptlab.")
        for name in node.names
    }


def test_exports_are_sorted_and_named_once() -> None:
    assert pl.__all__ == sorted(set(pl.__all__))


def test_type_checkers_are_told_of_the_same_exports() -> None:
    assert homes() == for_type_checkers()


def test_the_table_of_exports_is_sorted_and_complete() -> None:
    assert list(homes()) == sorted(homes())
    assert pl.__all__ == sorted([*homes(), "__version__"])


OPTIONED = {
    **{f"Experiment.{n}": getattr(pl.Experiment, n) for n in VERBS},
    "panel": pl.panel,
    "playground": pl.playground,
}


@pytest.mark.parametrize("function", OPTIONED.values(), ids=OPTIONED.keys())
def test_signature_and_docstring_name_every_option_of_a_run(
    function: Callable[..., object],
) -> None:
    parameters = inspect.signature(function).parameters
    defaults = {f.name: f.default for f in fields(pl.RunOptions)}

    assert {n: p.default for n, p in parameters.items() if n in defaults} == defaults
    assert all(
        parameters[n].annotation is not inspect.Parameter.empty for n in defaults
    )
    assert all(p.kind is not p.VAR_KEYWORD for p in parameters.values())
    for name in defaults:
        assert f"    {name}: " in str(inspect.getdoc(function))


def test_a_grid_names_the_known_parameters() -> None:
    assert {"model", "prompt", "temperature"} <= set(
        inspect.signature(pl.Grid).parameters
    )


@pytest.mark.parametrize("verb", VERBS)
def test_a_misspelt_option_is_refused_at_once(verb: str) -> None:
    experiment = pl.Experiment(
        "a", grid={"model": ["m"], "prompt": ["p"]}, dataset=[{}]
    )

    with pytest.raises(pl.SpecError, match="'budgt'; did you mean 'budget_usd'"):
        asyncio.run(getattr(experiment, verb)(budgt=3))


def test_wrong_options_and_objects_are_refused_before_a_button_is_pressed() -> None:
    wrong = {
        "'budgt'; did you mean 'budget_usd'": lambda: pl.playground(budgt=3),
        "playground: expected names of models, got int": lambda: pl.playground(3),
        "panel: expected an Experiment, got int": lambda: pl.panel(3),
    }
    for problem, call in wrong.items():
        with pytest.raises(pl.SpecError, match=problem):
            call()


def test_users_type_checkers_see_the_options(tmp_path: Path) -> None:
    file = tmp_path / "use.py"
    file.write_text(USE)

    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file=", str(file)],
        capture_output=True,
        text=True,
        cwd=Path(pl.__file__).parents[1],
    )

    wrong = re.findall(r"use\.py:(\d+): error", done.stdout)
    assert wrong == ["4", "5", "6"], done.stdout


USE = """\
import promptlab as pl
def use(e: pl.Experiment) -> pl.Results:
    e.plan(rpm=3.5)
    e.plan(rpm="x")
    e.forecast(3, budgt=1)
    pl.panel(e, max_concurrency=None)
    return e.run(budget_usd=2, timeout_s=5, headers={"a": "b"})
"""


@pytest.mark.parametrize("name", sorted(homes()))
def test_an_export_is_the_object_of_its_home_and_says_what_it_is(name: str) -> None:
    exported = getattr(pl, name)

    home = importlib.import_module(f"promptlab.{homes()[name]}")
    assert exported is getattr(home, name)
    assert inspect.getdoc(exported)
    assert exported.__doc__, "a docstring of its own"


@pytest.mark.parametrize("name", sorted(homes()))
def test_what_an_exported_class_offers_says_what_it_is(name: str) -> None:
    exported = getattr(pl, name)
    members = vars(exported) if inspect.isclass(exported) else {}

    silent = [
        member
        for member, value in members.items()
        if not member.startswith("_")
        and (inspect.isfunction(value) or isinstance(value, (property, classmethod)))
        and not inspect.getdoc(value)
    ]
    assert silent == []


def test_dir_lists_the_exports() -> None:
    assert dir(pl) == pl.__all__


def test_star_gives_every_export() -> None:
    given: dict[str, object] = {}

    exec("from promptlab import *", given)

    assert set(pl.__all__) <= set(given)


def test_a_name_that_is_not_exported_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'promptlab' has no attribute 'Gird'"):
        pl.Gird  # noqa: B018
