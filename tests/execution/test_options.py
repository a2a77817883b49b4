"""Options of a run: declared once, checked when they are given."""

from __future__ import annotations

import inspect
from dataclasses import fields
from typing import Any

import pytest

import promptlab as pl
from promptlab.execution.options import (
    OPTIONS,
    RunOptions,
    RunOptionsDict,
    with_run_options,
)


def test_what_type_checkers_are_told_is_what_is_declared() -> None:
    told = {n: a.__forward_arg__ for n, a in RunOptionsDict.__annotations__.items()}
    declared = {f.name: str(f.type) for f in fields(RunOptions)}

    assert list(told) == list(declared) == list(OPTIONS)
    assert told | {"api_key": ""} == declared | {"api_key": ""}  # sealed when held


@pytest.mark.parametrize("name", OPTIONS)
def test_every_option_says_in_a_sentence_what_it_is(name: str) -> None:
    assert OPTIONS[name].summary.endswith(".")
    assert len(OPTIONS[name].summary) < 90


@with_run_options
def f(x: int = 3, **options: Any) -> list[int]:
    """Does it."""
    return []


def test_a_function_that_takes_options_names_them_with_types_and_defaults() -> None:
    signature = inspect.signature(f)

    assert list(signature.parameters) == ["x", *OPTIONS]
    assert "rpm: float | None = None" in str(signature)
    assert str(signature).endswith(") -> list[int]")


def test_its_docstring_lists_them() -> None:
    assert str(f.__doc__).startswith("Does it.\n\nOptions:\n    base_url: The server")
    assert "    timeout_s: The longest one call may take, in seconds.\n" in str(
        f.__doc__
    )


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"budgt": 3}, r"no option 'budgt'; did you mean 'budget_usd'\?"),
        ({"zzz": 3}, "no option 'zzz'; valid names: base_url, api_key, "),
        ({"max_concurrency": 0}, "max_concurrency: expected an integer >= 1, got 0"),
        ({"max_concurrency": 1.5}, "max_concurrency: expected an integer >= 1, got"),
        ({"max_attempts": True}, "max_attempts: expected an integer >= 1, got True"),
        ({"timeout_s": "5"}, "timeout_s: expected a number > 0, got '5'"),
        ({"timeout_s": None}, "timeout_s: expected a number > 0, got None"),
        ({"max_wait_s": -1}, "max_wait_s: expected a number >= 0, got -1"),
        ({"rpm": float("nan")}, "rpm: expected a number > 0, got nan"),
        ({"budget_usd": float("inf")}, "budget_usd: expected a number >= 0, got inf"),
        ({"budget_tokens": 1.5}, "budget_tokens: expected an integer >= 0, got 1.5"),
        ({"refresh": "no"}, "refresh: expected True or False, got 'no'"),
    ],
)
def test_a_wrong_option_is_refused(options: dict[str, Any], problem: str) -> None:
    with pytest.raises(pl.SpecError, match=problem):
        pl.RunOptions(**options)


def test_options_are_what_was_given_over_the_defaults() -> None:
    options = pl.RunOptions(rpm=5, budget_tokens=1e6)

    assert (options.rpm, options.budget_tokens, options.timeout_s) == (5, 1e6, 600)


def test_a_key_is_not_shown() -> None:
    assert "sk-planted" not in repr(pl.RunOptions(api_key="sk-planted-0123456789"))
