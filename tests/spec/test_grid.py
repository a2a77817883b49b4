"""Grids: crossing, zipping, leaving out, and what a grid refuses."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from pydantic import BaseModel, Field

import promptlab as pl


def grid(**parameters: Any) -> pl.Grid:
    """A grid of one model and one prompt, or as said."""
    return pl.Grid(**{"model": ["m"], "prompt": ["{{t}}"], **parameters})


def points(grid: pl.Grid, *names: str) -> list[tuple[Any, ...]]:
    """The values of these parameters, variant by variant."""
    return [tuple(variant[name] for name in names) for variant in grid]


def test_all_parameters_are_crossed() -> None:
    crossed = grid(model=["a", "b"], temperature=[0, 1])

    assert points(crossed, "model", "temperature") == [
        ("a", 0),
        ("a", 1),
        ("b", 0),
        ("b", 1),
    ]


def test_zipped_parameters_vary_together() -> None:
    zipped = grid(model=["a", "b"], zip=[{"temperature": [0, 1], "max_tokens": [8, 9]}])

    assert points(zipped, "model", "temperature", "max_tokens") == [
        ("a", 0, 8),
        ("a", 1, 9),
        ("b", 0, 8),
        ("b", 1, 9),
    ]


def test_a_zipped_parameter_may_repeat_a_value() -> None:
    zipped = grid(zip=[{"temperature": [0, 1, 1], "max_tokens": [8, 8, 9]}])

    assert points(zipped, "temperature", "max_tokens") == [(0, 8), (1, 8), (1, 9)]


def test_exclude_leaves_out_what_matches_all_of_an_entry() -> None:
    left = grid(
        model=["a", "b"], temperature=[0, 1], exclude=[{"model": "a", "temperature": 1}]
    )

    assert points(left, "model", "temperature") == [("a", 0), ("b", 0), ("b", 1)]


def test_exclude_takes_labels_values_and_lists_of_them() -> None:
    named = {"none": None, "agent": "You route tickets."}

    assert len(grid(system=named, exclude=[{"system": "agent"}])) == 1
    assert len(grid(system=named, exclude=[{"system": "You route tickets."}])) == 1
    assert len(grid(temperature=[0, 1, 2], exclude=[{"temperature": [0, 2]}])) == 1
    assert len(grid(temperature=[0, 1, 2], exclude=[{"temperature": (0, 2)}])) == 1


def test_exclude_tells_true_from_1() -> None:
    left = grid(logprobs=[True, False], exclude=[{"logprobs": True}])

    assert points(left, "logprobs") == [(False,)]
    with pytest.raises(pl.SpecError, match="logprobs has no value 1"):
        grid(logprobs=[True, False], exclude=[{"logprobs": 1}])


def test_only_keeps_what_matches() -> None:
    crossed = grid(model=["a", "b"], temperature=[0, 0.5, 1])

    kept = crossed.only(model="a", temperature=[0.5, 1])

    assert points(kept, "model", "temperature") == [("a", 0.5), ("a", 1)]
    assert len(crossed) == 6


def test_only_takes_numpy_values() -> None:
    kept = grid(temperature=[0, 0.5]).only(temperature=np.float64(0.5))

    assert points(kept, "temperature") == [(0.5,)]
    assert kept.to_plain()["only"] == [{"temperature": 0.5}]


def test_a_name_is_what_the_table_shows() -> None:
    named = grid(system={"none": None, "agent": "You route tickets."})

    assert [variant.labels["system"] for variant in named] == ["none", "agent"]


def test_texts_without_a_name_are_numbered() -> None:
    numbered = grid(prompt=["a", "b"], system=[None, "s"])

    assert [level.label for level in numbered.levels("prompt")] == [
        "prompt_1",
        "prompt_2",
    ]
    assert [level.label for level in numbered.levels("system")] == [None, "system_2"]


def test_lists_and_objects_are_labelled_with_their_json() -> None:
    labelled = grid(stop=[["b", "a"]], response_format=[{"type": "text", "a": 1}])

    (variant,) = labelled
    assert variant.labels["stop"] == '["b","a"]'
    assert variant.labels["response_format"] == '{"a":1,"type":"text"}'


def test_parameters_come_in_the_order_of_the_table() -> None:
    shuffled = grid(seed=[1], max_tokens=[1], temperature=[0], system=["s"])

    assert shuffled.parameters == (
        "model",
        "prompt",
        "system",
        "temperature",
        "max_tokens",
        "seed",
    )


def test_numpy_arrays_are_lists_of_values() -> None:
    spaced = grid(temperature=np.linspace(0, 1, 3), max_tokens=np.array([8, 16]))

    (first, *_), (*_, last) = (
        points(spaced, "temperature"),
        points(spaced, "max_tokens"),
    )
    assert [type(v) for v in (*first, *last)] == [int, int]
    assert points(spaced, "temperature")[2] == (0.5,)


def test_a_whole_float_is_the_whole_number() -> None:
    with pytest.raises(pl.SpecError, match="temperature has 0 twice"):
        grid(temperature=[0, 0.0])


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"model": "gpt-6"}, "model: expected a list of values, got 'gpt-6'; write ["),
        ({"prompt": "Hi"}, "prompt: expected a list of values, got 'Hi'; write ['Hi']"),
        (
            {"temperature": 0.5},
            "temperature: expected a list of values, got 0.5; write",
        ),
        ({"system": None}, "system: expected a list of values, got None"),
        ({"model": []}, "model: the list of values is empty"),
        ({"system": {}}, "system: the list of values is empty"),
        ({"temprature": [0]}, "no parameter 'temprature'; did you mean 'temperature'?"),
        ({"max_token": [1]}, "no parameter 'max_token'; did you mean 'max_tokens'?"),
        ({"messages": [[]]}, "the messages are made from 'prompt' and 'system'"),
        ({"n": [2]}, "use repeats="),
        ({"stream": [True]}, "promptlab reads whole replies"),
        ({"api_key": ["sk"]}, "a key is no part of a grid"),
        ({"model": ["a", "a"]}, "model has 'a' twice"),
        (
            {"prompt": {"a": "Say {{t}}", "dup": "Say {{t}}"}},
            "prompt: 'a' and 'dup' are the same; leave one of them out",
        ),
        (
            {"model": {"one": "m", "b": "x", "two": "m"}},
            "model: 'one' and 'two' are the same; leave one of them out",
        ),
        ({"temperature": [3]}, "expected a number from 0 to 2, got 3"),
        ({"temperature": [True]}, "expected a number from 0 to 2, got True"),
        ({"top_p": [-1]}, "expected a number from 0 to 1, got -1"),
        ({"max_tokens": [0]}, "expected an integer >= 1, got 0"),
        ({"max_tokens": [1.5]}, "expected an integer >= 1, got 1.5"),
        ({"seed": ["a"]}, "expected an integer, got 'a'"),
        ({"model": [5]}, "model: expected a string, got 5"),
        ({"model": [""]}, "model: expected a string, got ''"),
        ({"system": [5]}, "system: expected a string or null, got 5"),
        ({"system": [" "]}, "the text is empty; null means no system message"),
        ({"system": ["{{ "]}, "system: template, line 1: "),
        ({"prompt": {"p": "{{ "}}, "prompt 'p': template, line 1: "),
        ({"prompt": [5]}, "expected a string or a list of messages, got 5"),
        ({"prompt": {1: "a"}}, "prompt: expected a string as a name, got 1; quote it"),
        ({"base_url": ["example.com"]}, "base_url 'example.com' is not a URL"),
        ({"base_url": ["example.com"]}, "did you mean 'https://example.com'?"),
        ({"base_url": ["localhost:8000"]}, "did you mean 'http://localhost:8000'?"),
        ({"base_url": ["127.0.0.1:80/v1"]}, "did you mean 'http://127.0.0.1:80/v1'?"),
        ({"base_url": ["ftp://a.b"]}, "it looks like 'https://api.openai.com/v1'"),
        ({"base_url": ["gateway"]}, "it looks like 'https://api.openai.com/v1'"),
        ({"metadata": {"a": "b"}}, "write [{'a': 'b'}]"),
        ({"temperature": [float("nan")]}, "a request cannot hold nan"),
        ({"top_k": [{1, 2}]}, "expected a JSON value, got set"),
        ({"exclude": [{"temprature": 0}]}, "exclude: no parameter 'temprature'"),
        ({"exclude": [{"model": "x"}]}, "exclude: model has no value 'x'; it has 'm'"),
        (
            {"exclude": [{"model": ["m", "x"]}]},
            "exclude: model has no value ['m', 'x']",
        ),
        ({"exclude": "m"}, "exclude: expected a list of mappings, got 'm'"),
        ({"exclude": ["m"]}, "exclude: expected a mapping of parameters, got 'm'"),
        ({"exclude": [{}]}, "exclude: expected a mapping of parameters, got {}"),
        ({"exclude": [{"model": "m"}]}, "exclude leaves no variant of the grid"),
        (
            {"zip": [{"temperature": [0, 1], "max_tokens": [8]}]},
            "need equally many values; temperature has 2, max_tokens has 1",
        ),
        ({"zip": [{"temperature": [0, 1]}]}, "at least two parameters vary together"),
        ({"zip": [{"seed": [], "top_k": []}]}, "seed: the list of values is empty"),
        ({"zip": [{"seed": 1, "top_k": [1]}]}, "seed: expected a list of values"),
        (
            {"zip": [{"model": ["a"], "seed": [1]}]},
            "'model' is a parameter of the grid",
        ),
    ],
)
def test_what_is_no_grid_is_refused(parameters: dict[str, Any], said: str) -> None:
    with pytest.raises(pl.SpecError) as caught:
        grid(**parameters)

    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("missing", ["model", "prompt"])
def test_a_grid_needs_a_model_and_a_prompt(missing: str) -> None:
    parameters = {"model": ["m"], "prompt": ["p"]}
    del parameters[missing]

    with pytest.raises(pl.SpecError, match=f"a grid needs '{missing}'; this one has "):
        pl.Grid(**parameters)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"temprature": 1}, "no parameter 'temprature' in the grid; did you mean"),
        ({"temperature": 2}, "only: temperature has no value 2; it has 0, 1"),
        ({"temperature": [0, 2]}, "only: temperature has no value [0, 2]; it has 0, 1"),
        ({"temperature": []}, "only: temperature has no value []; it has 0, 1"),
    ],
    ids=["parameter", "value", "one of several values", "no value"],
)
def test_only_refuses_what_the_grid_does_not_have(
    wanted: dict[str, Any], said: str
) -> None:
    with pytest.raises(pl.SpecError) as caught:
        grid(temperature=[0, 1]).only(**wanted)

    assert said in str(caught.value)


def test_only_that_leaves_nothing_is_refused() -> None:
    left = grid(
        model=["a", "b"], temperature=[0, 1], exclude=[{"model": "a", "temperature": 1}]
    )

    with pytest.raises(pl.SpecError, match="no variant of the grid is left"):
        left.only(model="a", temperature=1)


def test_an_error_knows_what_it_is_about() -> None:
    with pytest.raises(pl.SpecError) as caught:
        grid(system={"agent": " "})

    assert caught.value.at == ("system", "agent")


def test_a_parameter_may_be_called_self() -> None:
    assert grid(self=[1]).only(self=1).parameters == ("model", "prompt", "self")


def test_repr_says_how_many_variants_and_of_what() -> None:
    shown = repr(grid(temperature=[0, 1]))

    assert shown == "Grid(2 variants; model: 1, prompt: 1, temperature: 2)"


def test_a_label_is_meant_before_a_value() -> None:
    grid = pl.Grid(
        model={"a": "b", "b": "a"}, prompt=["{{x}}"], exclude=[{"model": "a"}]
    )

    assert [variant.labels["model"] for variant in grid] == ["b"]


def test_a_value_that_is_a_list_can_be_excluded() -> None:
    grid = pl.Grid(
        model=["m"],
        prompt=["{{x}}"],
        stop=[["a", "b"], ["c"]],
        exclude=[{"stop": ["a", "b"]}],
    )

    assert [variant["stop"] for variant in grid] == [["c"]]


# Parameters whose value is itself a list or an object.

TOOL = {"type": "function", "function": {"name": "w", "parameters": {}}}


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("tools", [TOOL], "tools: each of its values is itself a list"),
        ("tools", [TOOL, TOOL], "tools: each of its values is itself a list"),
        ("tools", TOOL, "write [[...]] for one value, or {'a name': [...]}"),
        ("tools", {"w": TOOL}, "tools: each of its values is itself a list"),
        ("modalities", ["text", "audio"], "write [['text', 'audio']] for one value"),
        ("modalities", "text", "write [['text']] for one value"),
        ("stop", ["a", "b"], "write [['a', 'b']] for one value with all of these"),
        ("response_format", ["json_object"], 'write [{"type": "json_object"}]'),
        ("response_format", "json_object", 'such as {"type": "json_object"}'),
        ("response_format", {"type": "text"}, "write [{'type': 'text'}]"),
        ("logit_bias", {"50256": -100}, "write [{'50256': -100}]"),
        ("tool_choice", {"type": "function", "function": {}}, "write [{'type': "),
        ("extra_body", [{"top_k": 4}], "give its members themselves, such as top_k="),
        ("extra_headers", [{"a": "b"}], "pass headers= to run"),
    ],
)
def test_one_value_is_not_taken_for_the_list_of_values(
    name: str, given: Any, said: str
) -> None:
    with pytest.raises(pl.SpecError) as caught:
        grid(**{name: given})

    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("name", "given", "values"),
    [
        ("tools", [[TOOL]], [[TOOL]]),
        ("tools", [None, [TOOL, TOOL]], [None, [TOOL, TOOL]]),
        ("tools", {"none": None, "w": [TOOL]}, [None, [TOOL]]),
        ("modalities", [["text"], ["text", "audio"]], [["text"], ["text", "audio"]]),
        ("stop", ["a"], ["a"]),
        ("stop", [None, "a", ["a", "b"]], [None, "a", ["a", "b"]]),
        ("stop", {"line": "a", "end": "b"}, ["a", "b"]),
        ("response_format", [{"type": "json_object"}], [{"type": "json_object"}]),
        ("tool_choice", ["auto", {"type": "function"}], ["auto", {"type": "function"}]),
    ],
)
def test_lists_and_objects_are_values(name: str, given: Any, values: Any) -> None:
    assert [level.value for level in grid(**{name: given}).levels(name)] == values


def test_a_grid_of_an_earlier_run_is_read_as_it_was() -> None:
    plain = {"grid": {"model": ["m"], "prompt": {"p": "{{t}}"}, "stop": ["a", "b"]}}

    assert [level.value for level in pl.Grid.from_plain(plain).levels("stop")] == [
        "a",
        "b",
    ]


def test_texts_to_stop_at_may_vary_together_with_others() -> None:
    zipped = grid(zip=[{"stop": ["a", "b"], "temperature": [0, 1]}])

    assert points(zipped, "stop", "temperature") == [("a", 0), ("b", 1)]


class Address(BaseModel):
    """Where someone lives."""

    city: str = "Graz"


class Person(BaseModel):
    name: str
    age: int | None = None
    home: Address = Field(description="the first")


@dataclass
class Point:
    x: int
    y: float = 0.0


def test_a_class_is_a_strict_schema() -> None:
    (level,) = grid(response_format=[Person]).levels("response_format")

    assert level.label == "Person"
    assert level.value["type"] == "json_schema"
    made = level.value["json_schema"]
    assert (made["name"], made["strict"]) == ("Person", True)
    assert made["schema"]["required"] == ["name", "age", "home"]
    assert made["schema"]["additionalProperties"] is False
    assert made["schema"]["properties"]["home"] == {
        "additionalProperties": False,
        "description": "the first",
        "properties": {"city": {"title": "City", "type": "string"}},
        "required": ["city"],
        "title": "Address",
        "type": "object",
    }
    assert '"default"' not in json.dumps(made)


def test_a_dataclass_is_one_too_and_comes_back_from_its_plain_form() -> None:
    made = grid(response_format={"none": None, "point": Point})

    levels = made.levels("response_format")

    assert levels[1].value["json_schema"]["schema"]["required"] == ["x", "y"]
    assert pl.Grid.from_plain(made.to_plain()).levels("response_format") == levels


@pytest.mark.parametrize("kind", [int, dict, pl.Grid], ids=["int", "dict", "other"])
def test_another_class_is_no_schema(kind: type) -> None:
    with pytest.raises(pl.SpecError, match="response_format: "):
        grid(response_format=[kind])


def test_true_and_1_are_two_values_of_a_parameter() -> None:
    assert len(grid(a_switch=[True, 1])) == 2
