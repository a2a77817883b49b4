"""Answers in JSON as a table of their fields."""

from __future__ import annotations

import json

import pandas as pd
import pytest

import promptlab as pl
from promptlab.results import json_answers

from .making import FAILURE, experiment, results


def parsed(*answers: str | None) -> pd.DataFrame:
    return pl.Results.from_table(
        {"output": list(answers), "error": ["lost"] * len(answers)}
    ).parsed


def test_each_field_is_a_column_of_its_own_type() -> None:
    frame = parsed(
        '{"label": "spam", "sure": 0.9, "n": 1, "seen": true, "tags": ["a"]}',
        '{"label": "ham", "sure": 1, "n": null, "seen": false, "tags": []}',
    )

    assert list(frame) == ["valid", "label", "sure", "n", "seen", "tags"]
    assert [str(t) for t in frame.dtypes] == [
        *("bool", "str", "float64", "Int64", "boolean", "object")
    ]
    assert frame["tags"].tolist() == [["a"], []]


def test_the_share_of_valid_answers_counts_failed_trials_too() -> None:
    frame = parsed('{"a": 1}', "no", None, "[1]")

    assert frame["valid"].tolist() == [True, False, False, True]
    assert frame["valid"].mean() == frame.attrs["valid"] == 0.5


def test_rows_stand_where_those_of_the_table_do() -> None:
    found = results(experiment(repeats=2), ['{"a": 1}', FAILURE, "x", '{"a": 4}'])

    joined = found.table.join(found.parsed)
    assert joined["a"].isna().tolist() == [False, True, True, False]


@pytest.mark.parametrize(
    "answer",
    [
        '```json\n{"a": 1}\n```',
        'Sure! Here it is:\n\n```\n{"a": 1}\n```\nAnything else?',
        'As [1] says: {"a": 1}.',
        ' {"a": 1}\n',
        '{not this} {"a": 1} {"a": 2}',
    ],
    ids=["fences", "fences in text", "after a list", "blanks", "the first"],
)
def test_fences_and_text_around_the_json_do_not_matter(answer: str) -> None:
    assert parsed(answer)["a"].tolist() == [1]


def test_fields_inside_others_have_dotted_names() -> None:
    frame = parsed('{"user": {"name": "Ann", "more": {"age": 3}}, "none": {}}')

    assert list(frame) == ["valid", "user.name", "user.more.age", "none"]
    assert frame["none"].tolist() == [{}]


def test_what_is_no_object_is_a_value() -> None:
    frame = parsed("[1, 2]", "3", '"text"', "null", '{"value": 4}')

    assert frame["value"].tolist() == [[1, 2], 3, "text", None, None]
    assert frame["value_2"].tolist()[-1] == 4
    assert frame["valid"].all()


def test_names_that_clash_get_a_number() -> None:
    frame = parsed('{"a.b": 1, "a": {"b": 2}, "valid": "no", "": 5}')

    assert list(frame) == ["valid", "a.b", "a.b_2", "valid_2", ""]
    assert frame.iloc[0].tolist() == [True, 1, 2, "no", 5]


def test_of_a_key_that_is_there_twice_the_last_value_counts() -> None:
    assert parsed('{"a": 1, "a": 2}')["a"].tolist() == [2]


def test_a_field_of_several_kinds_keeps_each_as_it_is() -> None:
    frame = parsed('{"a": 1}', '{"a": "one"}', '{"a": {"b": 2}}', '{"a": 1e400}')

    assert frame["a"].tolist()[:2] == [1, "one"]
    assert frame["a.b"].tolist()[2] == 2


@pytest.mark.parametrize("answers", [[], ["", "no"], [None]])
def test_without_any_json_there_is_no_field(answers: list[str]) -> None:
    if not answers:
        frame = results(experiment(), [None, None]).parsed
        assert pd.isna(frame.attrs["valid"])
    else:
        frame = parsed(*answers)
        assert frame.attrs["valid"] == 0
    assert list(frame) == ["valid"]


def test_of_too_many_fields_the_most_common_are_kept() -> None:
    many = json.dumps({f"k{n}": n for n in range(1_500)} | {"label": "x"})

    with pytest.warns(pl.PromptlabWarning, match="1,501 different fields; the 1,000"):
        frame = parsed(many, '{"label": "y"}')

    assert frame.shape == (2, 1 + json_answers.MOST_FIELDS)
    assert frame["label"].tolist() == ["x", "y"]


def test_hostile_answers_are_read_or_not_valid_and_end_soon() -> None:
    deep = '{"a":' * 500 + "1" + "}" * 500
    frame = parsed(
        deep,
        "[" * 1_000_000,
        '{"a": "' + "x" * 1_000_000,
        '{"half": "\\ud800"}',
        '{"n": NaN}',
        "{" * 100_000 + "}",
        '{"big": 123456789012345678901234567890}',
    )

    valid = [True, False, False, True, False, False, True]
    assert frame["valid"].tolist() == valid
    assert frame["half"].tolist()[3] == "?"


def test_the_frame_is_yours_to_change() -> None:
    found = pl.Results.from_table({"output": ['{"a": 1}']})

    frame = found.parsed
    frame["a"] = 2

    assert found.parsed["a"].tolist() == [1]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('{"a":1,"b":[true,{}]}', '{\n  "a": 1,\n  "b": [\n    true,\n    {}\n  ]\n}'),
        ('{"a":1,"a":1.50}', '{\n  "a": 1,\n  "a": 1.50\n}'),
        ('["{,}", "\\u00e9 \\" :"]', '[\n  "{,}",\n  "\\u00e9 \\" :"\n]'),
        ("[]", "[]"),
        ('{"a": 1', '{"a": 1'),
        ('{\n"a": 1}', '{\n"a": 1}'),
        ("plain", "plain"),
        ("12", "12"),
    ],
    ids=["nested", "as written", "in strings", "empty", "cut", "lines", "text", "12"],
)
def test_json_on_one_line_is_shown_indented_and_else_as_it_is(
    text: str, shown: str
) -> None:
    assert json_answers.indented(text) == shown
