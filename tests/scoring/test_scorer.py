"""Functions as scorers: their arguments, what they give, and what they raise."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pandas as pd
import pytest

import promptlab as pl
from promptlab import scorers
from promptlab.results.record import Score
from promptlab.scoring.named import made

from .given import rows, score, scores, value


def test_arguments_are_filled_by_name() -> None:
    def right(expected: str, output: str, city: str) -> str:
        return f"{output}/{expected}/{city}"

    assert value(right, "a", "b", city="c") == "a/b/c"


def test_a_keyword_and_an_argument_with_a_default_are_filled_too() -> None:
    def right(output: str, *, expected: str, margin: int = 3) -> str:
        return f"{output}{expected}{margin}"

    assert value(right, "a", "b") == "ab3"
    assert value(right, "a", "b", margin=5) == "ab5"


def test_json_is_the_parsed_output_also_from_a_fence() -> None:
    def label(json: Any) -> Any:
        return json["label"]

    assert value(label, '```json\n{"label": "spam"}\n```') == "spam"


def test_an_output_that_is_not_json_has_no_score_and_says_so() -> None:
    def label(json: Any) -> Any:
        return json["label"]

    found = score(label, "spam, I think")
    assert found.value is None
    assert str(found.explanation).startswith("the output is not JSON")


def test_tool_calls_are_a_list_with_parsed_arguments() -> None:
    def city(tool_calls: list[dict[str, Any]]) -> Any:
        return tool_calls[0]["arguments"]["city"]

    calls = '[{"function":{"name":"f","arguments":"{\\"city\\":\\"Rome\\"}"}}]'
    assert value(city, "", tool_calls=calls) == "Rome"


def test_a_function_of_the_table_is_called_once() -> None:
    seen = []

    def long(table: pd.DataFrame) -> pd.Series:
        seen.append(len(table))
        return table["output"].str.len() > 1

    assert [s.value for s in scores(long, rows(["a", "bb"]))] == [False, True]
    assert seen == [2]


def test_a_table_of_scores_gives_several() -> None:
    def both(table: pd.DataFrame) -> pd.DataFrame:
        length = table["output"].str.len()
        return pd.DataFrame({"length": length, "long": length > 1})

    first, _ = scores(both, rows(["a", "bb"]))
    assert first.value == {"length": (1, None), "long": (False, None)}


def test_a_function_of_the_table_must_give_a_score_for_each_row() -> None:
    def wrong(table: pd.DataFrame) -> list[int]:
        return [1]

    found = scores(wrong, rows(["a", "b"]))
    assert [s.value for s in found] == [None, None]
    assert found[0].explanation == "ValueError: gave 1 scores for 2 rows"


def test_async_functions_wait_together() -> None:
    waiting = 0
    most = 0

    async def slow(output: str) -> bool:
        nonlocal waiting, most
        waiting += 1
        most = max(most, waiting)
        await asyncio.sleep(0)
        waiting -= 1
        if output == "c":
            raise ValueError("no")
        return output == "a"

    found = scores(slow, rows(["a", "b", "c"]))
    assert [s.value for s in found] == [True, False, None]
    assert found[2].explanation == "ValueError: no"
    assert most == 3


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (True, True),
        (np.bool_(False), False),
        (3, 3),
        (np.float64(0.5), 0.5),
        (float("nan"), None),
        (float("inf"), None),
        (None, None),
        (pd.NA, None),
        ("warm", "warm"),
    ],
    ids=["true", "numpy", "int", "numpy-float", "nan", "inf", "none", "na", "label"],
)
def test_a_score_is_a_bool_a_number_or_a_label(given: Any, expected: Any) -> None:
    found = value(scorers.scorer(name="s")(lambda output: given), "a")

    assert found == expected
    assert type(found) is type(expected)


def test_a_score_can_explain_itself() -> None:
    def why(output: str) -> Score:
        return Score(0.5, "half of it")

    assert score(why, "a") == Score(0.5, "half of it")


def test_a_mapping_gives_several_scores() -> None:
    def both(output: str) -> dict[str, Any]:
        return {"polite": True, "clear": Score(0.5, "half")}

    assert value(both, "a") == {"polite": (True, None), "clear": (0.5, "half")}


def test_what_is_no_score_is_missing_and_says_so() -> None:
    found = score(scorers.scorer(name="s")(lambda output: [1]), "a")

    assert found.value is None
    assert "expected a bool, a number, a label" in str(found.explanation)


def test_an_error_is_a_missing_score_with_the_error_as_its_explanation() -> None:
    def fragile(output: str) -> float:
        return 1 / len(output)

    found = scores(fragile, rows(["ab", ""]))
    assert found == [Score(0.5), Score(None, "ZeroDivisionError: division by zero")]


def test_ctrl_c_in_a_scorer_is_not_taken_for_a_score() -> None:
    def stopped(output: str) -> float:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        scores(stopped, rows(["a"]))


def test_the_decorator_names_versions_and_sets_a_threshold() -> None:
    @scorers.scorer(version="2", threshold=0.5, name="half")
    def share(output: str) -> float:
        return 0.4

    assert (share.name, share.version, share.needs) == ("half", "2", ("output",))
    assert share.passes(0.4) is False
    assert share.passes(0.5) is True
    assert share.passes(None) is None


def test_lower_can_be_better() -> None:
    fast = scorers.latency(threshold=2)

    assert fast.passes(1.5) is True
    assert fast.passes(2.5) is False


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (lambda output: 1, "a lambda needs a name"),
        (3, "expected a scorer or a function, got 3"),
        ("exat", "no scorer is called 'exat'; did you mean 'exact'?"),
        ({"contains": "a", "exact": "b"}, "expected one scorer with its value"),
        ({"contains": {"vlaue": "a"}}, "unknown option 'vlaue'; did you mean 'value'?"),
        (
            {"exact": {"strip": "yes"}},
            "exact: strip: expected true or false, got 'yes'",
        ),
        ({"exact": {"weight": -1}}, "weight: expected a number >= 0, got -1"),
        ({"rouge": {"threshold": "x"}}, "threshold: expected a number, got 'x'"),
        ({"exact": {"transform": "lastline"}}, "did you mean 'last_line'?"),
        ({"json_field": "$.a["}, r"JSONPath '\$.a\[' is not valid: .*an example is"),
        ({"regex": "("}, r"regex '\(' is not valid: missing \)"),
        ({"is_json": {"schema": {"type": "objct"}}}, "schema is not valid: 'objct'"),
    ],
    ids=lambda value: None if isinstance(value, str) else "given",
)
def test_what_is_wrong_is_one_line_that_says_what_would_do(
    given: Any, problem: str
) -> None:
    with pytest.raises(pl.SpecError, match=problem):
        made(given)


@pytest.mark.parametrize(
    "plain",
    [
        "exact",
        {"contains": "please"},
        {"contains_any": ["a", "b"]},
        {"number": {"tolerance": 0.5}},
        {"all_of": ["exact", {"contains": "a"}]},
        {"json_field": {"path": "$.a", "value": 1}},
    ],
    ids=str,
)
def test_a_named_scorer_is_written_as_it_is_read(plain: Any) -> None:
    assert made(plain).plain == plain
    assert made(made(plain).plain).name == made(plain).name


def test_a_function_has_no_plain_form() -> None:
    def own(output: str) -> bool:
        return True

    assert made(own).plain is None
    assert scorers.exact(transform=str.upper).plain is None


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("equals", "exact"),
        ("is-json", "is_json"),
        ({"not-contains": "a"}, "not_contains"),
    ],
    ids=str,
)
def test_the_names_of_promptfoo_go_too(given: Any, name: str) -> None:
    assert made(given).name == name


def test_a_named_scorer_shows_its_options() -> None:
    text = str(scorers.levenshtein.__doc__)

    for option in ("transform", "ignore_case", "strip", "threshold", "weight", "name"):
        assert f"    {option}: " in text
