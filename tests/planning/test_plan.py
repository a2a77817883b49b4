"""The plan: what it counts, what it learns, how a notebook shows it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fakes.experiments import capitals
from seen import HOSTILE, Seen

import promptlab as pl
from promptlab.spec.request import Request
from promptlab.testing import FakeClient, response


def test_a_plan_shows_statuses_calls_tokens_and_cost() -> None:
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
    planned = capitals().plan(base_url="http://x.test")
    text = Seen(planned._repr_html_()).text

    assert "any number out (max_tokens is not set)" in text
    assert "not known: no price for fake" in text
    assert repr(planned).endswith("8 calls to make, cost not known: no price for fake)")


def test_a_plan_knows_no_end_where_replies_of_any_length_are_sent_on() -> None:
    turns = pl.Prompt(
        [{"role": "user", "content": text} for text in ("{{city}}", "And?")]
    )
    planned = capitals(prompt={"turns": turns}).plan(base_url="http://x.test")

    assert "to any number in, any number out" in planned.tokens


def test_a_plan_for_models_on_this_machine_costs_nothing() -> None:
    planned = capitals(model=["offline/small"]).plan()

    assert planned.cost == (
        "no known price (models on this machine are assumed to be free)"
    )
    assert (planned.unpriced, planned.free) == ((), ("offline/small",))


def test_models_on_this_machine_leave_the_cost_of_others_as_it_is() -> None:
    prices = {"fake": {"input": 1.0, "output": 2.0}}
    alone = capitals(max_tokens=[9]).plan(prices=prices)
    both = capitals(model=["fake", "offline/small"], max_tokens=[9])

    assert both.plan(prices=prices).cost_usd == alone.cost_usd
    assert both.plan(prices=prices).cost == (
        f"{alone.cost}, without offline/small (no known price)"
    )
    assert both.plan().cost == "not known: no price for fake"


def test_a_plan_says_what_the_budgets_of_the_project_leave() -> None:
    prices = {"fake": {"input": 1, "output": 1000}}
    experiment, client = capitals(max_tokens=[100]), FakeClient()
    pl.set_budget("day", usd=20)
    pl.set_budget("month", usd=0.5, tokens=900)

    planned = experiment.plan(client=client, prices=prices)
    capitals(1, max_tokens=[9]).run(client=client, prices=prices)
    later = experiment.plan(client=client, prices=prices)
    free = experiment.plan(client=client)
    pl.set_budget("month", tokens=2000)
    enough = experiment.plan(client=client, prices=prices)

    assert planned.budget_notes == (
        "the project's budget of $0.50 a month leaves $0.50: the run may stop there",
        "the project's budget of 900 tokens a month leaves 900 tokens: the run may "
        "stop there",
    )
    assert all(note in repr(planned) for note in planned.budget_notes)
    assert "leaves $0.50" in Seen(planned._repr_html_()).text
    assert "leaves $0." in later.budget_notes[0]
    assert later.budget_notes[1:] != planned.budget_notes[1:]
    assert free.budget_notes == later.budget_notes[1:]
    assert enough.budget_notes == ()


def test_a_plan_makes_no_ledger(clean_home: Path) -> None:
    planned = capitals(2, max_tokens=[9]).plan(use_cache=False)

    assert planned.calls == 4
    assert not (clean_home / "promptlab.sqlite").exists()


DOORS: dict[str, Callable[[pl.Experiment, Any], object]] = {
    "plan": lambda experiment, prices: experiment.plan(prices=prices),
    "run": lambda experiment, prices: experiment.run(prices=prices),
    "start": lambda experiment, prices: experiment.start(prices=prices).result(),
    "forecast": lambda experiment, prices: experiment.forecast(prices=prices),
}


@pytest.mark.parametrize("door", DOORS)
def test_a_mistyped_name_among_prices_is_told(door: str) -> None:
    experiment = capitals(2, model=["offline/small"], max_tokens=[9])
    mistyped = {"offline/smalll": {"input": 1, "output": 2}}

    with pytest.warns(pl.PromptlabWarning, match="did you mean 'offline/small'"):
        DOORS[door](experiment, mistyped)


def test_a_file_of_prices_is_for_all_experiments(tmp_path: Path) -> None:
    file = tmp_path / "prices.toml"
    file.write_text('[[price]]\nmodel = "another"\ninput = 1\noutput = 2\n')

    planned = capitals(2, model=["offline/small"]).plan(prices=file)

    assert planned.free == ("offline/small",)


def test_a_plan_of_what_is_there_makes_no_call(client: FakeClient) -> None:
    experiment = capitals()
    experiment.run(client=client, prices={"fake": {"input": 0, "output": 0}})

    text = Seen(experiment.plan(client=client)._repr_html_()).text

    assert "8 cached" in text
    assert "none: every answer is cached" in text


@pytest.mark.parametrize("limits", [{"rpm": 60}, {"tpm": 6000}], ids=str)
def test_a_plan_says_how_long_the_limits_make_it_take(limits: dict[str, int]) -> None:
    experiment = capitals(100, max_tokens=[100])

    planned = experiment.plan(base_url="http://x.test", **limits)

    assert planned.least_s == pytest.approx(140, abs=1)  # a minute's worth goes at once
    assert planned.headline.endswith(
        "200 calls to make, in 2 min 20 s or more, cost not known: no price for fake"
    )
    assert "2 min 20 s or more by the rate limits" in Seen(planned._repr_html_()).text


def test_a_plan_knows_the_limits_that_servers_told_before() -> None:
    told = {
        "x-ratelimit-limit-requests": "60",
        "x-ratelimit-remaining-requests": "0",
    }
    client = FakeClient(lambda asked: replace(response("Here."), headers=told))
    client.base_url = "http://told.test/v1"
    before = capitals(100).plan(client=client)

    free = {"fake": {"input": 0, "output": 0}}
    capitals(1, temperature=[0]).run(client=client, prices=free)
    planned = capitals(100).plan(client=client)

    assert (before.least_s, before.time) == (0, "")
    assert 195 < planned.least_s < 201
    assert capitals(100).plan(client=FakeClient()).least_s == 0


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


def counting(request: Request) -> pl.Response:
    """A server that takes six tokens for each word, and thinks before it answers."""
    words = sum(len(m["content"].split()) for m in request.body["messages"])
    usage = pl.Usage(input_tokens=6 * words, output_tokens=200, reasoning_tokens=195)
    return replace(response("one two three"), usage=usage)


def test_a_plan_learns_from_answers_how_the_server_counts() -> None:
    client = FakeClient(counting)
    experiment = capitals(cities=60, prompt=["Where on earth is {{city}}?"])
    before = experiment.limit(slice(30, 60)).plan(client=client)

    experiment.limit(30).run(client=client)
    planned = experiment.plan(client=client)

    told = 60 * 6 * 6  # 30 cities, two temperatures, six words
    assert before.calls == planned.calls == 60
    assert not before.input_tokens.low <= told <= before.input_tokens.high
    assert planned.input_tokens.low <= told <= planned.input_tokens.high
    assert planned.input_tokens.high / planned.input_tokens.low < 1.1
    assert before.counted == "estimated, ± 35 %"
    assert planned.counted == "estimated and corrected by 60 answers, ± 5 %"
    assert planned.counted in Seen(planned._repr_html_()).text


def test_each_model_is_calibrated_by_its_own_answers(client: FakeClient) -> None:
    client = FakeClient(counting)
    experiment = capitals(model=["a", "b"])

    experiment.only(model="a").limit(2).run(client=client)

    planned = experiment.plan(client=client)
    assert planned.counting["a"].startswith("estimated and corrected by 4 answers")
    assert planned.counting["b"] == "estimated, ± 35 %"
    assert "of a estimated and corrected" in planned.counted


def test_a_server_that_counts_nothing_teaches_nothing() -> None:
    client = FakeClient(lambda request: replace(response("a"), usage=pl.Usage()))
    experiment = capitals()

    experiment.limit(1).run(client=client)

    assert experiment.plan(client=client).counted == "estimated, ± 35 %"


def test_reasoning_is_no_part_of_what_a_conversation_repeats() -> None:
    chat = [{"role": "user", "content": text} for text in ("Where is {{city}}?", "Why")]
    once, twice = (
        capitals(cities=1, temperature=[0], max_tokens=[200], prompt={"p": prompt})
        for prompt in (chat[0]["content"], pl.Prompt(chat))
    )
    client = FakeClient(counting)
    once.run(client=client)

    planned = twice.plan(client=client)

    assert planned.calls == 1
    assert planned.input_tokens.high < 100


@pytest.mark.parametrize("there", [False, True], ids=["estimated", "exact"])
def test_tokens_are_counted_exactly_where_the_encoding_is_there(
    there: bool, encodings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if there:
        monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(encodings))

    planned = capitals(model=["gpt-4.1"], temperature=[1]).plan()

    exact = 4 * (3 + 4 + 6)  # Where| is| city| |1|?
    way = "counted by o200k_base, ± 5 %" if there else "estimated, ± 35 %"
    assert planned.counted == way
    assert planned.input_tokens.low <= exact <= planned.input_tokens.high
    assert (planned.input_tokens.high / exact < 1.06) is there


def test_tools_are_part_of_what_is_sent() -> None:
    look_up = {"name": "look_up", "description": "Finds a city. " * 20}
    tools = [{"type": "function", "function": look_up}]
    plain, armed = capitals(), capitals(tools=[tools])

    more = armed.plan().input_tokens.high - plain.plan().input_tokens.high

    assert 8 * 80 < more < 8 * 80 * 2
