"""The plan in a notebook."""

from __future__ import annotations

from seen import HOSTILE, Seen

import promptlab as pl

from .conftest import capitals
from .fakes import FakeClient


def test_a_plan_shows_standings_calls_tokens_and_cost() -> None:
    prices = {"fake": {"input": 1.0, "output": 2.0}}
    planned = capitals(max_tokens=[100]).plan(base_url="http://x.test", prices=prices)

    text = Seen(planned._repr_html_()).text

    assert "Plan of capitals · 2 variants × 4 cases × 1 repeat = 8 trials" in text
    assert "8 new" in text
    assert "8 to fake (8)" in text
    assert "at most 800 out" in text
    assert planned.cost in text
    assert planned.cost.startswith("$")


def test_a_plan_says_why_tokens_and_cost_are_open() -> None:
    text = Seen(capitals().plan(base_url="http://x.test")._repr_html_()).text

    assert "any number out: max_tokens would bound it" in text
    assert "not known: fake without a list price" in text


def test_a_plan_for_models_on_this_machine_costs_nothing() -> None:
    planned = capitals(model=["offline/small"]).plan()

    assert planned.cost == "nothing: the models are on this machine"
    assert planned.unpriced == ()


def test_models_on_this_machine_leave_the_cost_of_others_as_it_is() -> None:
    prices = {"fake": {"input": 1.0, "output": 2.0}}
    alone = capitals(max_tokens=[9]).plan(prices=prices)
    both = capitals(model=["fake", "offline/small"], max_tokens=[9])

    assert both.plan(prices=prices).cost_usd == alone.cost_usd
    assert both.plan().cost == "not known: fake without a list price"


def test_a_plan_of_what_is_there_makes_no_call(client: FakeClient) -> None:
    experiment = capitals()
    experiment.run(client=client, prices={"fake": {"input": 0, "output": 0}})

    text = Seen(experiment.plan(client=client)._repr_html_()).text

    assert "8 cached" in text
    assert "none: every answer is there" in text


def test_a_plan_counts_new_trials_by_model(client: FakeClient) -> None:
    experiment = capitals(model=["a", "b"], repeats=2)

    planned = experiment.plan(client=client, use_cache=False)

    assert planned.models == {"a": 16, "b": 16}


def test_a_plan_is_made_of_text(client: FakeClient) -> None:
    experiment = pl.Experiment(
        HOSTILE[0],
        grid={"model": [HOSTILE[1]], "prompt": ["{{t}}"]},
        dataset=[{"t": "a"}],
    )

    seen = Seen(experiment.plan(client=client)._repr_html_())

    assert all(text in seen.text for text in HOSTILE[:2])
    assert not {"img", "script", "textarea"} & seen.tags
