"""What `import promptlab` offers: sorted, complete, documented, and told once."""

from __future__ import annotations

import ast
import importlib
import inspect
from pathlib import Path

import pytest

import promptlab as pl

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


def test_the_three_lists_of_exports_agree() -> None:
    assert homes() == for_type_checkers()
    assert {*homes(), "__version__"} == set(pl.__all__)


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
