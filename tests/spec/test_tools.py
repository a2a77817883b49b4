"""Tool calls: typed, whatever form the server gives them."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

import promptlab as pl
from promptlab.spec.tools import tool_calls


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (
            {"id": "c1", "function": {"name": "add", "arguments": '{"a": 1}'}},
            pl.ToolCall("c1", "add", {"a": 1}),
        ),
        (
            {"type": "tool_use", "id": "t", "name": "add", "input": {"a": 1}},
            pl.ToolCall("t", "add", {"a": 1}),
        ),
        (
            {"id": "c", "type": "custom", "custom": {"name": "sql", "input": "1"}},
            pl.ToolCall("c", "sql", "1"),
        ),
        (
            {"function": {"name": "add", "arguments": '{"a": 1'}},
            pl.ToolCall("", "add", '{"a": 1'),
        ),
        ({"id": None, "function": None}, pl.ToolCall("", "", "")),
    ],
    ids=["function", "part", "custom", "not JSON", "nothing"],
)
def test_a_call_has_its_id_name_and_arguments(
    call: dict[str, Any], expected: pl.ToolCall
) -> None:
    assert tool_calls(orjson.dumps([call]).decode()) == (expected,)


@pytest.mark.parametrize("text", [None, "", "[]", "no JSON", "[7]"])
def test_what_holds_no_calls_gives_none(text: str | None) -> None:
    assert tool_calls(text) == ()
