"""Named scorers of JSON, of tool calls, and of what a call took."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from pydantic import BaseModel, field_validator

from promptlab import scorers
from promptlab.results.record import Score

from .given import score, value

SCHEMA = {
    "type": "object",
    "properties": {"label": {"enum": ["a", "b"]}, "n": {"type": "integer"}},
    "required": ["label"],
}


class Verdict(BaseModel):
    label: str
    n: int = 0

    @field_validator("label")
    @classmethod
    def known(cls, label: str) -> str:
        if label not in ("a", "b"):
            raise ValueError("not a label")
        return label


@dataclass
class Plain:
    label: str


@pytest.mark.parametrize(
    ("output", "right"),
    [
        ('{"a": 1}', True),
        ("[1]", True),
        ("{'a': 1}", False),
        ("a", False),
        ("NaN", False),
    ],
    ids=str,
)
def test_is_json_takes_the_whole_output(output: str, right: bool) -> None:
    assert value(scorers.is_json(), output) is right


def test_is_json_takes_a_fence_only_if_told_to() -> None:
    fenced = "```json\n{}\n```"

    assert value(scorers.is_json(), fenced) is False
    assert value(scorers.is_json(transform="strip_fences"), fenced) is True


@pytest.mark.parametrize(
    ("schema", "why"),
    [(SCHEMA, "$.label"), (Verdict, "label: Value error, not a label")],
    ids=["schema", "pydantic"],
)
def test_is_json_goes_by_a_schema_or_a_class(schema: Any, why: str) -> None:
    assert value(scorers.is_json(schema), '{"label": "a"}') is True
    found = score(scorers.is_json(schema), '{"label": "c"}')
    assert found.value is False
    assert str(found.explanation).startswith(why)


def test_a_dataclass_is_a_schema() -> None:
    assert value(scorers.is_json(Plain), '{"label": "x"}') is True
    assert value(scorers.is_json(Plain), '{"label": 1}') is False


@pytest.mark.parametrize(
    ("output", "right"),
    [
        ('Here: {"label": "a"} as asked.', True),
        ('First {x}, then {"label": "b"}', True),
        ('[] and {"label": "c"}', False),
        ("none", False),
        ("[" * 5_000, False),
    ],
    ids=["one", "second", "wrong", "none", "hostile"],
)
def test_contains_json_finds_it_anywhere(output: str, right: bool) -> None:
    assert value(scorers.contains_json(SCHEMA), output) is right


@pytest.mark.parametrize(
    ("output", "expected", "right"),
    [
        ('{"label": "a"}', "a", True),
        ('{"label": "A "}', "a", False),
        ('```\n{"label": "a"}\n```', "a", True),
        ('{"label": true}', "true", True),
        ('{"label": true}', "True", True),
        ('{"label": true}', 1, False),
        ('{"label": 3}', "3.0", True),
        ('{"label": "a"}', {"label": "a", "n": 1}, True),
        ('{"label": "a"}', '{"label": "b"}', False),
        ('{"label": [1, 2]}', {"label": [1, 2.0]}, True),
        ('{"label": {"x": 1}}', {"x": 1}, True),
        ('{"other": 1}', "a", False),
        ("no JSON", "a", False),
    ],
    ids=str,
)
def test_a_field_is_compared_with_what_is_expected(
    output: str, expected: Any, right: bool
) -> None:
    assert value(scorers.json_field("$.label"), output, expected) is right


def test_a_field_says_what_it_is() -> None:
    found = score(scorers.json_field("$.n", 3), '{"n": 4}')

    assert found == Score(False, "$.n is 4, not 3")
    nothing = score(scorers.json_field("$.m", 3), '{"n": 4}')
    assert nothing == Score(False, "the output has nothing at $.m")


CALLS = (
    '[{"id":"1","type":"function","function":{"name":"weather",'
    '"arguments":"{\\"city\\":\\"Rome\\",\\"days\\":{\\"from\\":1,\\"to\\":3}}"}}]'
)


@pytest.mark.parametrize(
    ("scorer", "expected", "right"),
    [
        (scorers.tool_call("weather"), None, True),
        (scorers.tool_call("weather", {"city": "Rome"}), None, True),
        (scorers.tool_call("weather", {"days": {"to": 3}}), None, True),
        (scorers.tool_call("weather", {"city": "Paris"}), None, False),
        (scorers.tool_call("weather", {"unit": "C"}), None, False),
        (scorers.tool_call("search"), None, False),
        (scorers.tool_call(), "weather", True),
        (scorers.tool_call(), {"name": "weather", "arguments": {"city": "Rome"}}, True),
        (scorers.tool_call(), '{"name": "weather", "arguments": {"city": "x"}}', False),
        (scorers.tool_call("weather", schema={"required": ["city"]}), None, True),
        (scorers.tool_call("weather", schema={"required": ["unit"]}), None, False),
    ],
    ids=range(11),
)
def test_a_tool_call_has_a_name_and_arguments_among_others(
    scorer: scorers.Scorer, expected: Any, right: bool
) -> None:
    assert value(scorer, "", expected, tool_calls=CALLS) is right


def test_no_tool_call_is_wrong_and_says_so() -> None:
    assert score(scorers.tool_call("f"), "Hello") == Score(False, "no tool was called")


def test_what_a_call_took_is_a_score() -> None:
    took = {"latency_s": 1.5, "cost_usd": 0.01, "output_tokens": 7}

    assert value(scorers.latency(), "a", **took) == 1.5
    assert value(scorers.cost(), "a", **took) == 0.01
    assert value(scorers.tokens(), "a", **took) == 7
    assert scorers.cost(threshold=0.02).passes(0.01) is True


def test_finish_reason_is_stop_or_what_is_said() -> None:
    assert value(scorers.finish_reason(), "a", finish_reason="stop") is True
    cut = score(scorers.finish_reason(), "a", finish_reason="length")
    assert cut == Score(False, "finish_reason length")
