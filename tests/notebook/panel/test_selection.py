"""Choices from an experiment: values, cases, edited texts."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

import promptlab as pl
from promptlab.notebook.panel.selection import (
    Selection,
    Text,
    level_name,
    levels_of,
    texts_of,
)

CASES = [{"t": letter} for letter in "abcd"]


def experiment(**grid: Any) -> pl.Experiment:
    parameters = {
        "model": ["m"],
        "prompt": {"plain": "{{t}}", "kind": "Please: {{t}}"},
        "temperature": [0, 0.7],
        **grid,
    }
    return pl.Experiment("letters", grid=parameters, dataset=CASES, repeats=2)


def choices(**grid: Any) -> Selection:
    return Selection.all_of(experiment(**grid))


def text(choices: Selection, name: str) -> Text:
    return next(t for t in texts_of(choices.source) if t.name == name)


def prompts(made: pl.Experiment) -> dict[Any, Any]:
    return {v.labels["prompt"]: v["prompt"].to_plain() for v in made.grid}


def test_all_of_an_experiment_is_that_experiment() -> None:
    made = choices()

    assert made.experiment.to_plain() == made.source.to_plain()


def test_values_cases_and_repeats_are_chosen() -> None:
    made = dataclasses.replace(
        choices(),
        values={"model": (0,), "prompt": (1,), "temperature": (0, 1)},
        cases=3,
        repeats=1,
    ).experiment

    assert made.size == "2 variants × 3 cases × 1 repeat = 6 trials"
    assert list(prompts(made)) == ["kind"]


def test_a_parameter_without_a_value_is_an_error() -> None:
    made = dataclasses.replace(choices(), values={"temperature": ()})

    with pytest.raises(pl.SpecError, match="choose at least one temperature"):
        _ = made.experiment


def test_an_edited_text_keeps_its_label() -> None:
    made = choices()

    edited = made.edited(text(made, "prompt plain"), "Now: {{t}}").experiment

    assert prompts(edited) == {"plain": "Now: {{t}}", "kind": "Please: {{t}}"}


def test_an_edit_back_to_what_it_was_is_none() -> None:
    made = choices()
    plain = text(made, "prompt plain")

    assert made.edited(plain, "x").edited(plain, "{{t}}").edits == {}


def test_edits_reach_single_messages_system_messages_and_zipped_values() -> None:
    talk = [{"role": "user", "content": "1"}, {"role": "user", "content": "2"}]
    made = Selection.all_of(
        pl.Experiment(
            "letters",
            grid=pl.Grid(
                model=["m"],
                prompt={"talk": [*talk, {"role": "user", "content": "{{t}}"}]},
                zip=[
                    {
                        "system": ["Be brief.", "Be brief.", "Be kind."],
                        "seed": [1, 2, 3],
                    }
                ],
            ),
            dataset=CASES,
        )
    )

    edited = made.edited(text(made, "prompt talk, message 2 (user)"), "two").edited(
        text(made, "system system_1"), "Be short."
    )

    talk[1]["content"] = "two"
    assert prompts(edited.experiment)["talk"][:2] == talk
    assert [v["system"] for v in edited.experiment.grid] == [
        "Be short.",
        "Be short.",
        "Be kind.",
    ]
    assert made.can_add(text(made, "prompt talk, message 1 (user)"))
    assert not made.can_add(text(made, "system system_1"))


def test_exclusions_and_selections_outlive_an_edit() -> None:
    grid = pl.Grid(
        model=["m"],
        prompt={"plain": "{{t}}", "kind": "Please: {{t}}"},
        temperature=[0, 1],
        exclude=[{"prompt": "plain", "temperature": 1}],
    ).only(prompt=["plain", "kind"])
    made = Selection.all_of(pl.Experiment("letters", grid=grid, dataset=CASES))

    edited = made.edited(text(made, "prompt plain"), "Now: {{t}}")

    assert [v.labels["prompt"] for v in edited.experiment.grid] == [
        "plain",
        "kind",
        "kind",
    ]
    added = edited.with_added(text(made, "prompt plain"))
    assert len(added.experiment.grid) == 5


def test_an_edit_can_become_a_further_value() -> None:
    made = choices()
    plain = text(made, "prompt plain")

    added = made.edited(plain, "Now: {{t}}").with_added(plain)

    assert prompts(added.experiment) == {
        "plain": "{{t}}",
        "kind": "Please: {{t}}",
        "plain 2": "Now: {{t}}",
    }
    assert added.edits == {}
    again = added.edited(plain, "Then: {{t}}").with_added(plain)
    assert "plain 3" in prompts(again.experiment)


def test_errors_of_an_edited_prompt_point_to_it() -> None:
    made = choices()
    plain = text(made, "prompt plain")

    for content, said in (
        ("{{t", "template, line 1"),
        ("{{nowhere}}", r"needs \['nowhere'\]"),
        ("Please: {{t}}", "are the same"),
    ):
        with pytest.raises(pl.SpecError, match=said) as told:
            _ = made.edited(plain, content).experiment
        assert told.value.at[0] == "prompt"


def test_values_are_named_as_the_table_names_them() -> None:
    made = experiment(system=[None, "Be kind."], stop=[None, ["x"]])

    def names(parameter: str) -> list[str]:
        return [level_name(parameter, x) for x in levels_of(made, parameter)]

    assert names("temperature") == ["0", "0.7"]
    assert names("system") == ["none", "system_2"]
    assert names("stop") == ["not sent", '["x"]']
