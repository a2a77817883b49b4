"""The card of an experiment in a notebook."""

from __future__ import annotations

from typing import Any

import pytest
from seen import HOSTILE, Seen

import promptlab as pl

pytestmark = pytest.mark.filterwarnings("ignore::promptlab.PromptlabWarning")


def experiment(**grid: Any) -> pl.Experiment:
    parameters = {"model": ["m"], "prompt": {"plain": "Where is {{city}}?"}, **grid}
    cases = [{"city": "Oslo", "expected": "Norway"}, {"city": "Rome"}]
    return pl.Experiment("capitals", grid=parameters, dataset=cases)


def shown(experiment: pl.Experiment) -> Seen:
    return Seen(experiment._repr_html_())


def test_a_card_says_what_varies_what_is_asked_and_about_what() -> None:
    text = shown(experiment(temperature=[0, 0.7], system={"none": None})).text

    assert "capitals · 2 variants × 2 cases × 1 repeat = 4 trials" in text
    assert "temperature (2)0 · 0.7" in text
    assert "plain Where is {{city}}?" in text
    assert "dataset: 2 cases with city, expected" in text
    assert "userWhere is Oslo?" in text


def test_a_card_shows_the_values_that_are_left() -> None:
    text = shown(experiment(temperature=[0, 0.7, 1]).only(temperature=0.7)).text

    assert "temperature0.7" in text


def test_a_card_tells_what_is_odd() -> None:
    assert (
        "Note: parameter 'mood' is not one we know"
        in shown(experiment(mood=["good"])).text
    )


def test_a_card_stays_small_whatever_the_grid() -> None:
    prompts = {f"prompt {number}": f"{number} " + "x" * 9_000 for number in range(100)}

    made = experiment(prompt=prompts, temperature=[n / 100 for n in range(200)])

    assert len(made._repr_html_()) < 20_000
    assert "and 192 more" in shown(made).text


def test_a_card_is_made_of_text_whatever_it_is_about() -> None:
    made = pl.Experiment(
        HOSTILE[0],
        grid={
            "model": [HOSTILE[1]],
            "prompt": {HOSTILE[2]: f"{HOSTILE[3]} {{{{t}}}}"},
            "stop": [[HOSTILE[0]]],
        },
        dataset=pl.Dataset([{"t": HOSTILE[1], HOSTILE[0]: "x"}], name=HOSTILE[2]),
    )

    seen = shown(made)

    assert all(text in seen.text for text in HOSTILE)
    assert not {"img", "script", "textarea"} & seen.tags
    assert seen.attributes <= {"class", "style"}


def test_a_card_keeps_each_text_from_turning_what_stands_beside_it() -> None:
    html = experiment(model=["\u202eevil"], prompt={"\u05d0": "{{city}}"})._repr_html_()

    assert "<span dir='auto'>\u202eevil</span>" in html
    assert "<span dir='auto'>\u05d0</span>" in html


def test_a_card_says_so_where_the_first_trial_cannot_be_rendered() -> None:
    made = experiment(prompt={"bad": "{{city.nowhere.at_all}}"})

    assert (
        "the first trial cannot be made: prompt 'bad', case '1': template"
        in shown(made).text
    )
