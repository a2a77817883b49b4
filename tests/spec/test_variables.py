"""Variables of prompts: parameters of the grid that fill holes and are not sent."""

from __future__ import annotations

from typing import Any

import pytest

import promptlab as pl

CASES = [{"ticket": "a"}, {"ticket": "b"}]


def experiment(**grid: Any) -> pl.Experiment:
    given = {"model": ["fake"], "prompt": ["Be {{tone}}: {{ticket}}"], **grid}
    return pl.Experiment("variables", grid=given, dataset=CASES)


def bodies(made: pl.Experiment) -> list[dict[str, Any]]:
    return [
        trial.first_request(lambda model: "https://api.example.com/v1").body
        for trial in made.trials
    ]


def test_a_parameter_fills_the_hole_of_its_name_and_is_not_sent() -> None:
    made = experiment(tone=["kind", "curt"])

    assert [body["messages"][-1]["content"] for body in bodies(made)] == [
        "Be kind: a",
        "Be curt: a",
        "Be kind: b",
        "Be curt: b",
    ]
    assert all(set(body) == {"model", "messages"} for body in bodies(made))
    assert made.variables == ("tone",)
    assert made.warnings == ()


def test_the_table_shows_the_names_of_its_values() -> None:
    made = experiment(
        prompt=["{{shots}}{{ticket}}"], shots={"none": "", "two": "x → 1\ny → 2\n"}
    )

    assert [v.labels["shots"] for v in made.effective_variants] == ["none", "two"]
    assert bodies(made)[1]["messages"][0]["content"] == "x → 1\ny → 2\na"


def test_a_value_may_be_any_json() -> None:
    looped = "{% for s in shots %}{{s.q}}={{s.a}} {% endfor %}{{ticket}}"

    made = experiment(prompt=[looped], shots=[[{"q": "1", "a": "2"}], []])

    assert bodies(made)[0]["messages"][0]["content"] == "1=2 a"
    assert bodies(made)[1]["messages"][0]["content"] == "a"


def test_a_system_message_may_have_the_hole() -> None:
    made = experiment(prompt=["{{ticket}}"], system=["Be {{tone}}."], tone=["kind"])

    assert bodies(made)[0]["messages"][0]["content"] == "Be kind."


def test_a_variable_varies_together_with_another_parameter() -> None:
    made = experiment(zip=[{"tone": ["kind", "curt"], "temperature": [0, 1]}])

    assert [
        (body["messages"][0]["content"], body["temperature"]) for body in bodies(made)
    ][:2] == [("Be kind: a", 0), ("Be curt: a", 1)]


def test_variants_whose_prompt_has_no_such_hole_are_asked_once() -> None:
    with pytest.warns(pl.PromptlabWarning, match="no hole {{tone}}"):
        made = experiment(
            prompt={"plain": "{{ticket}}", "toned": "Be {{tone}}: {{ticket}}"},
            tone=["kind", "curt"],
        )

    assert [
        (v.labels["prompt"], v.labels["tone"]) for v in made.effective_variants
    ] == [("plain", None), ("toned", "kind"), ("toned", "curt")]
    assert made.warnings == (
        "some prompts have no hole {{tone}}; 1 variant became the same as another and "
        "is asked once",
    )


def test_a_variable_that_is_not_given_leaves_an_optional_hole_empty() -> None:
    made = experiment(
        prompt=["{{tone|default('Any tone')}}: {{ticket}}"], tone=[None, "Kind"]
    )

    assert bodies(made)[0]["messages"][0]["content"] == "Any tone: a"


def test_a_hole_that_no_variant_fills_is_refused() -> None:
    with pytest.raises(pl.SpecError, match="gives no value in one of its variants"):
        experiment(tone=[None, "kind"])


def test_a_request_parameter_fills_no_hole() -> None:
    with pytest.raises(pl.SpecError, match="'temperature' is a parameter of the req"):
        experiment(prompt=["At {{temperature}}: {{ticket}}"], temperature=[0, 1])


def test_an_input_and_a_variable_cannot_have_one_name() -> None:
    with pytest.raises(pl.SpecError, match="'ticket' is a parameter of the grid"):
        experiment(ticket=["c"], tone=["kind"])


def test_a_parameter_without_a_hole_is_sent_as_before() -> None:
    with pytest.warns(pl.PromptlabWarning, match="'mood' is not one we know"):
        made = experiment(prompt=["{{ticket}}"], mood=["kind"])

    assert bodies(made)[0]["mood"] == "kind"


def test_an_experiment_with_variables_is_read_back_from_its_plain_form() -> None:
    made = experiment(tone={"nice": "kind", "short": "curt"})

    read = pl.Experiment.from_plain(made.to_plain())

    assert bodies(read) == bodies(made)
    assert [v.labels for v in read.effective_variants] == [
        v.labels for v in made.effective_variants
    ]


def test_a_run_shows_a_variable_as_a_column() -> None:
    grid = {"model": ["offline/small"], "prompt": ["{{tone}} {{ticket}}"]}
    made = pl.Experiment("run", grid={**grid, "tone": ["kind", "curt"]}, dataset=CASES)

    table = made.run(progress=False).table

    assert table["tone"].tolist() == ["kind", "curt"] * 2
    assert table["error"].isna().all()
