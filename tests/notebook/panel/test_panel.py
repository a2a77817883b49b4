"""The panel, driven from Python as a front end drives it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from seen import HOSTILE, Seen

import promptlab as pl
from promptlab.notebook.panel.panel import Panel, panel
from promptlab.testing import FakeClient

pytestmark = pytest.mark.filterwarnings("ignore::promptlab.PromptlabWarning")

WAIT_S = 30


@pytest.fixture(autouse=True)
def own_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def client() -> FakeClient:
    return FakeClient()


def experiment(cases: int = 4, **grid: Any) -> pl.Experiment:
    parameters = {
        "model": ["fake"],
        "prompt": {"plain": "Where is {{city}}?", "kind": "Please: {{city}}"},
        "temperature": [0, 1],
        **grid,
    }
    dataset = [{"city": f"city {number}"} for number in range(cases)]
    return pl.Experiment("capitals", grid=parameters, dataset=dataset)


@pytest.fixture
def shown(client: FakeClient) -> Iterator[Panel]:
    made = panel(experiment(), client=client)
    assert made.settle(WAIT_S)
    yield made
    made.stop_button.click()
    made.settle(WAIT_S)


def told(shown: Panel) -> str:
    assert shown.settle(WAIT_S)
    return Seen(shown.summary.value).text


def fault(shown: Panel) -> str:
    assert shown.settle(WAIT_S)
    return Seen(shown._fault.value).text


def test_the_plan_of_the_whole_experiment_is_shown_at_first(shown: Panel) -> None:
    assert told(shown).startswith("16 trials · 16 calls to make · ")
    assert not shown.run_button.disabled
    assert shown.stop_button.disabled
    assert repr(shown) == "Panel('capitals')"


def test_a_run_that_cannot_start_says_why_and_no_longer_that_it_starts() -> None:
    shown = panel(experiment(), base_url="models.test")
    assert shown.settle(WAIT_S)

    shown.run_button.click()
    assert shown.settle(WAIT_S)

    assert "base_url" in Seen(shown._progress.value).text


def test_what_is_chosen_changes_plan_experiment_and_code(shown: Panel) -> None:
    shown.values["temperature"][1].value = False
    shown.cases.value = 2
    shown.repeats.value = 3

    assert told(shown).startswith("12 trials · 12 calls")
    assert shown.experiment.size == "2 variants × 2 cases × 3 repeats = 12 trials"
    assert ".only(temperature=[0])" in shown.code.value
    assert "repeats=3" in shown.code.value


def test_what_it_would_cost_follows_what_is_chosen(client: FakeClient) -> None:
    prices = {"fake": {"input": 1000, "output": 2000}}
    grid = {"max_tokens": [10]}
    shown = panel(experiment(**grid), client=client, prices=prices)

    def most_usd() -> float:
        plan = shown.experiment.plan(client=client, prices=prices)
        assert f"cost: {plan.cost}" in told(shown)
        return plan.cost_usd.high

    all_of_it = most_usd()
    shown.cases.value = 2

    assert most_usd() == pytest.approx(all_of_it / 2)
    shown.editor.value = "In a word: where is {{city}}?"
    assert all_of_it / 2 < most_usd() < all_of_it


def test_without_a_value_there_is_no_run(shown: Panel) -> None:
    for box in shown.values["temperature"]:
        box.value = False

    assert told(shown) == "choose at least one temperature"
    assert shown.run_button.disabled
    with pytest.raises(pl.SpecError):
        _ = shown.experiment


def test_many_values_are_chosen_from_a_list(client: FakeClient) -> None:
    shown = panel(experiment(temperature=[n / 20 for n in range(30)]), client=client)

    shown.values["temperature"].value = (3, 1)

    assert told(shown).startswith("16 trials")
    used = shown.experiment.grid.used("temperature")
    assert [level.value for level in used] == [0.05, 0.15]


def test_an_edited_prompt_is_asked_under_its_name(
    shown: Panel, client: FakeClient
) -> None:
    shown.run_button.click()
    told(shown)

    shown.editor.value = "Find {{city}}."

    assert told(shown).startswith("16 trials · 8 cached · 8 calls")
    shown.run_button.click()
    assert shown.settle(WAIT_S)
    asked = [r.body["messages"][-1]["content"] for r in client.requests[-8:]]
    assert {text[:5] for text in asked} == {"Find "}
    shown.restore_button.click()
    assert shown.editor.value == "Where is {{city}}?"
    assert told(shown).startswith("16 trials · 16 cached · 0 calls")


def test_an_edited_prompt_can_be_added_beside_the_old_one(shown: Panel) -> None:
    assert shown.keep_button.disabled
    shown.editor.value = "Find {{city}}."
    shown.keep_button.click()

    assert told(shown).startswith("24 trials")
    assert [box.description for box in shown.values["prompt"]] == [
        "plain",
        "kind",
        "plain 2",
    ]
    assert shown.text.value.label == "plain 2"
    shown.values["prompt"][2].value = False
    assert told(shown).startswith("16 trials")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{{city", "template, line 1"),
        ("{{town}}", "its fields are city"),
        ("{{city.nowhere.at_all}}", "template fails"),
        ("", "renders to nothing"),
    ],
    ids=["syntax", "field", "rendering", "empty"],
)
def test_errors_of_a_prompt_are_shown_beside_it(
    shown: Panel, text: str, said: str
) -> None:
    shown.editor.value = text

    assert said in fault(shown)
    assert shown.run_button.disabled
    shown.editor.value = "{{city}}"
    assert fault(shown) == ""
    assert not shown.run_button.disabled


def test_a_run_gives_results_and_shows_them_side_by_side(
    shown: Panel, client: FakeClient
) -> None:
    assert shown.results is None

    shown.run_button.click()

    assert told(shown).startswith("16 trials · 16 cached · 0 calls")
    assert shown.results is not None
    assert client.calls == shown.results.totals.answered == 16
    (comparison,) = shown._below.children
    assert repr(comparison) == "Comparison(8 rows × 2)"
    assert "16/16" in Seen(shown._progress.value).text
    shown.run_button.click()
    told(shown)
    assert client.calls == 16
    assert shown._below.children[0] is not comparison


def test_stopping_keeps_what_was_answered() -> None:
    client = FakeClient(held=lambda request: client.calls > 3)
    shown = panel(experiment(), client=client, max_concurrency=1)
    told(shown)
    shown.run_button.click()
    client.wait_for_calls(4)
    assert shown.run_button.disabled
    shown.stop_button.click()
    shown.stop_button.click()  # the call in flight would never come

    assert told(shown).startswith("16 trials · 3 cached")
    assert shown.results.status == "interrupted"
    assert shown.results.totals.answered == 3
    assert not shown.run_button.disabled


def test_errors_are_shown_in_the_panel() -> None:
    shown = panel(experiment(), base_url="https://models.test/v1")
    told(shown)
    shown.run_button.click()
    assert shown.settle(WAIT_S)
    assert "no API key" in Seen(shown._progress.value).text


def test_markup_is_shown_as_text_everywhere(client: FakeClient) -> None:
    made = pl.Experiment(
        HOSTILE[0],
        grid={
            "model": [HOSTILE[1]],
            "prompt": {HOSTILE[2]: "{{nowhere}}{{t}}", HOSTILE[3]: "{{t}}"},
        },
        dataset=[{"t": "a", "nowhere": "b"}, {"t": HOSTILE[0], "nowhere": "c"}],
    )
    shown = panel(made, client=client)
    shown.editor.value = "{{ '<img src=x>' % 3 }}"

    seen = [Seen(shown._repr_html_()), Seen(shown.summary.value)]
    assert "template fails" in fault(shown)
    shown.editor.value = "<img src=x>{{nowhere}}{{t}}"
    shown.run_button.click()
    told(shown)
    seen += [Seen(widget.value) for widget in (shown._fault, shown._progress)]

    for part in seen:
        assert not {"img", "script", "textarea"} & part.tags


def test_a_saved_notebook_shows_the_experiment(shown: Panel) -> None:
    bundle = shown._repr_mimebundle_()

    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert "capitals · 4 variants" in Seen(bundle["text/html"]).text
