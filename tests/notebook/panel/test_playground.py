"""The playground, driven from Python as a front end drives it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes.refusals import NO_SUCH_MODEL
from seen import HOSTILE, Seen

import promptlab as pl
from promptlab.notebook.panel.playground import Playground, playground
from promptlab.testing import FakeClient, wait_until

from .test_code import made_by

WAIT_S = 30


@pytest.fixture(autouse=True)
def own_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def client() -> FakeClient:
    return FakeClient()


@pytest.fixture
def shown(client: FakeClient) -> Iterator[Playground]:
    made = playground(["small", "large"], client=client)
    assert made.settle(WAIT_S)
    yield made
    made.stop_button.click()
    made.settle(WAIT_S)


def told(shown: Playground) -> str:
    assert shown.settle(WAIT_S)
    return Seen(shown.summary.value).text


def say(shown: Playground, text: str) -> str:
    """Sends a message; gives the conversation."""
    shown.message.value = text
    told(shown)
    shown.run_button.click()
    told(shown)
    return Seen(shown.conversation.value).text


def test_it_begins_empty(shown: Playground) -> None:
    assert told(shown) == "Write a message to begin."
    assert shown.run_button.disabled
    assert repr(shown) == "Playground(small, large)"


def test_a_send_that_cannot_start_says_why_and_no_longer_that_it_asks() -> None:
    shown = playground(["small"], prompt="Hello", base_url="models.test")
    assert shown.settle(WAIT_S)

    shown.run_button.click()
    assert shown.settle(WAIT_S)

    assert "base_url" in Seen(shown._progress.value).text


def test_the_plan_of_a_send_is_shown_before_it(shown: Playground) -> None:
    shown.message.value = "Hello"

    assert told(shown).startswith("2 trials · 2 calls to make")
    assert not shown.run_button.disabled


def test_a_follow_up_goes_on_with_each_columns_own_conversation(
    shown: Playground, client: FakeClient
) -> None:
    first = say(shown, "Hello")
    assert shown.message.value == ""
    assert first.count("you Hello") == 1

    second = say(shown, "And then?")

    assert client.calls == 4
    assert "you Hello" in second
    assert "you And then?" in second
    assert shown.results is not None
    assert shown.results.totals.answered == 2


def test_a_message_can_be_taken_back_and_all_of_it_reset(
    shown: Playground, client: FakeClient
) -> None:
    say(shown, "Hello")
    say(shown, "And then?")

    shown.back_button.click()

    assert shown.message.value == "And then?"
    assert "And then?" not in Seen(shown.conversation.value).text
    assert told(shown).startswith("2 trials · 2 cached · 0 calls")
    shown.reset_button.click()
    shown.message.value = ""
    assert told(shown) == "Write a message to begin."
    assert shown.conversation.value == ""
    assert client.calls == 4


def test_other_settings_ask_the_conversation_again(
    shown: Playground, client: FakeClient
) -> None:
    say(shown, "Hello")

    shown.columns.children[1].temperature.value = "0.5"

    assert told(shown).startswith("2 trials · 1 cached · 1 call to make")
    shown.run_button.click()
    told(shown)
    assert client.requests[-1].body["temperature"] == 0.5
    assert "large · temperature 0.5" in Seen(shown.conversation.value).text


def test_columns_come_and_go(shown: Playground) -> None:
    shown.message.value = "Hello"
    for _ in range(5):
        shown.add_button.click()
    assert len(shown.columns.children) == 4
    assert shown.add_button.disabled

    for column in shown.columns.children[1:]:
        column.remove_button.click()

    assert told(shown).startswith("1 trial")
    assert shown.columns.children[0].remove_button.disabled


def test_holes_get_boxes_and_keep_what_was_typed(
    shown: Playground, client: FakeClient
) -> None:
    shown.message.value = "Hi {{name}}"
    told(shown)
    shown.inputs["name"].value = "Ada"

    assert "you Hi Ada" in say(shown, "Hi {{name}} of {{town}}").replace(" of ", "")
    assert [box.description for box in shown._fields.children] == ["name", "town"]
    assert client.requests[0].body["messages"][-1]["content"] == "Hi Ada of "


def test_the_code_makes_the_experiment_that_is_on_screen(
    shown: Playground, tmp_path: Path
) -> None:
    shown.system.value = "Be brief."
    say(shown, "Hello {{name}}\nthere")
    shown.columns.children[0].max_tokens.value = "8"
    shown.message.value = "And then?"
    told(shown)

    (plain,) = made_by([shown.code.value], tmp_path)

    assert plain == shown.experiment.to_plain()
    assert len(plain["grid"]["prompt"]["playground"]) == 2


def test_what_cannot_be_sent_shows_why_and_the_message_stays(shown: Playground) -> None:
    shown.message.value = "Hello {{"
    assert told(shown).startswith("template, line 1")
    assert shown.run_button.disabled

    shown.message.value = "Hello"
    shown.columns.children[0].temperature.value = "warm"

    assert told(shown) == "temperature: expected a number, got 'warm'"
    assert shown.message.value == "Hello"


def test_a_run_that_fails_says_why_and_keeps_the_message() -> None:
    shown = playground("m", base_url="https://models.test/v1", prompt="Hello")
    told(shown)

    shown.run_button.click()

    told(shown)
    assert "no API key" in Seen(shown._progress.value).text
    assert shown.message.value == "Hello"
    assert not shown.run_button.disabled


def seen(shown: Playground) -> str:
    return Seen(shown.conversation.value).text


def test_each_reply_and_each_failure_is_shown_as_it_comes(
    client: FakeClient,
) -> None:
    client.held = lambda request: request.model == "slow"
    client.answer = lambda request: (
        NO_SUCH_MODEL if request.model == "none" else f"from {request.model}"
    )
    shown = playground(["small", "none", "slow"], client=client, prompt="Hello")
    told(shown)

    shown.run_button.click()

    wait_until(lambda: "waiting for the reply" in seen(shown))
    wait_until(lambda: "from small" in seen(shown))
    wait_until(lambda: "failed: 404 model_not_found" in seen(shown))
    assert seen(shown).count("waiting for the reply") == 1
    assert shown.message.value == "Hello"
    client.release_all()
    told(shown)
    assert "from slow" in seen(shown)
    assert "waiting" not in seen(shown)


def test_what_was_said_before_stays_while_a_reply_is_awaited_and_if_it_never_comes(
    shown: Playground, client: FakeClient
) -> None:
    say(shown, "Hello")
    replies = [f"{model} at default says Hello" for model in ("small", "large")]
    client.held = lambda request: True
    shown.message.value = "And then?"
    told(shown)

    shown.run_button.click()

    client.wait_for_calls(4)
    wait_until(lambda: seen(shown).count("waiting for the reply") == 2)
    assert all(reply in seen(shown) for reply in replies)
    shown.stop_button.click()
    shown.stop_button.click()
    told(shown)
    assert all(reply in seen(shown) for reply in replies)
    assert seen(shown).count("not asked: the run was stopped") == 2


def test_each_column_says_what_the_talk_took_so_far(client: FakeClient) -> None:
    prices = {"small": {"input": 1000, "output": 2000}}
    shown = playground(["small", "large"], client=client, prices=prices)

    assert "tokens 10 in, 5 out · 250 ms · $0.020" in say(shown, "Hello")

    text = say(shown, "And then?")
    assert "so far: tokens 20 in, 10 out · 500 ms · $0.040" in text
    assert "so far: tokens 20 in, 10 out · 500 ms" in text.replace(" · $0.040", "", 1)


def test_stopping_gives_the_answers_that_came(client: FakeClient) -> None:
    client.held = lambda request: request.model == "large"
    shown = playground(["small", "large"], client=client, prompt="Hello")
    told(shown)
    shown.run_button.click()
    client.wait_for_calls(2)
    shown.stop_button.click()
    shown.stop_button.click()

    told(shown)

    text = Seen(shown.conversation.value).text
    assert "not asked: the run was stopped" in text


def test_at_most_four_models_are_shown_side_by_side() -> None:
    with pytest.raises(pl.SpecError, match="expected 1 to 4 models"):
        playground(["m"] * 5)


def test_markup_is_shown_as_text_and_a_saved_notebook_shows_the_conversation(
    client: FakeClient,
) -> None:
    client.answer = lambda request: HOSTILE[1]
    shown = playground(HOSTILE[2], client=client)
    say(shown, HOSTILE[0])

    bundle = shown._repr_mimebundle_()
    seen = Seen(bundle["text/html"])

    assert all(text in seen.text for text in HOSTILE[:3])
    assert not {"img", "script", "textarea"} & seen.tags
    assert "application/vnd.jupyter.widget-view+json" in bundle


def test_results_are_those_of_the_conversation_and_ask_nothing(
    client: FakeClient,
) -> None:
    shown = playground(["small", "large"], client=client, refresh=True)
    assert shown.results is None

    say(shown, "Hello")

    results = shown.results
    assert results is not None
    assert results.totals.answered == results.totals.cached == 2
    assert client.calls == 2
