"""The forecast: a few answers are bought, kept, and tell what a run will cost."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from zlib import crc32

import pytest
from fakes.experiments import capitals
from fakes.refusals import BAD_REQUEST, UNAUTHORIZED
from seen import HOSTILE, Seen

import promptlab as pl
from promptlab.planning.forecast import forecast
from promptlab.planning.pilot import choose
from promptlab.spec.request import Request
from promptlab.testing import FakeClient, Outcome, last_text, response

PRICES = {"fake*": {"input": 1, "output": 10}}
ELSEWHERE = "http://models.test/v1"


def chance(request: Request) -> int:
    """A number from 0 to 99 that is the same for the same question."""
    return crc32(repr((request.model, request.body["messages"])).encode()) % 100


def talkative(request: Request) -> pl.Response:
    """An answer whose length depends on the question, by chance."""
    words = sum(len(m["content"].split()) for m in request.body["messages"])
    usage = pl.Usage(input_tokens=9 + words, output_tokens=20 + chance(request))
    return replace(response(f"about {last_text(request)}"), usage=usage)


def paid(client: FakeClient, **grid: Any) -> dict[str, Any]:
    return {"client": client, "prices": PRICES, "progress": False, **grid}


@pytest.fixture
def talker() -> FakeClient:
    client = FakeClient(talkative)
    client.base_url = ELSEWHERE
    return client


@pytest.fixture
def forty() -> pl.Experiment:
    """Four variants × forty cities."""
    return capitals(40, prompt=["Where is {{city}}?", "What of {{city}}?"])


def test_a_forecast_buys_two_answers_of_each_variant_and_a_run_goes_on_from_them(
    talker: FakeClient, forty: pl.Experiment
) -> None:
    told = forty.forecast(**paid(talker))
    bought = talker.calls
    results = forty.run(**paid(talker))

    assert told.calls == bought == 8
    assert told.plan.counts == {"cached": 8, "new": 152, "duplicate": 0}
    assert told.by["answers"].tolist() == [2] * 4
    assert told.by["left"].tolist() == [38] * 4
    assert results.totals.calls == 152
    assert talker.calls == 160


def test_what_a_run_then_pays_lies_within_the_interval(
    talker: FakeClient, forty: pl.Experiment
) -> None:
    told = forty.forecast(5, **paid(talker))
    totals = forty.run(**paid(talker)).totals

    assert told.low < totals.billed_usd < told.high
    assert told.high - told.low < 0.6 * told.cost_usd
    assert told.high < told.worst_case == math.inf
    assert told.known_usd == pytest.approx(totals.cost_usd - totals.billed_usd)
    assert told.known_usd == pytest.approx(told.billed_usd)
    assert told.total_usd.low < totals.cost_usd < told.total_usd.high


def test_tokens_are_told_like_dollars(talker: FakeClient, forty: pl.Experiment) -> None:
    told = forty.forecast(5, **paid(talker))
    table = forty.run(**paid(talker)).table

    anew = table[~table["cached"]]
    for interval, name in (
        (told.input_tokens, "input_tokens"),
        (told.output_tokens, "output_tokens"),
    ):
        assert interval.low <= anew[name].sum() <= interval.high
    cost = (told.input_tokens.value + 10 * told.output_tokens.value) / 1e6
    assert told.cost_usd == pytest.approx(cost)
    assert told.by["cost_usd"].sum() == pytest.approx(cost)


def test_the_same_forecast_again_costs_nothing_and_says_the_same(
    talker: FakeClient, forty: pl.Experiment
) -> None:
    first = forty.forecast(**paid(talker))
    again = forty.forecast(**paid(talker))

    assert talker.calls == 8
    assert again.calls == again.billed_usd == 0
    assert (again.cost_usd, again.low, again.high) == (
        first.cost_usd, first.low, first.high,
    )  # fmt: skip


def test_a_larger_pilot_buys_the_difference(
    talker: FakeClient, forty: pl.Experiment
) -> None:
    forty.forecast(2, **paid(talker))
    told = forty.forecast(5, **paid(talker))

    assert told.calls == 12
    assert talker.calls == 20


def test_answers_that_are_there_are_used_first(
    talker: FakeClient, forty: pl.Experiment
) -> None:
    forty.limit(1).run(**paid(talker))
    told = forty.forecast(2, **paid(talker))

    assert told.calls == 4
    assert told.by["answers"].tolist() == [2] * 4


def test_variants_are_asked_different_cases(
    talker: FakeClient, forty: pl.Experiment
) -> None:
    forty.forecast(3, **paid(talker))

    asked = Counter(last_text(request).split()[-1] for request in talker.requests)
    assert set(asked.values()) == {1}
    assert len(asked) == 12


def test_a_seed_chooses_the_cases(forty: pl.Experiment, talker: FakeClient) -> None:
    first, same, other = (
        choose(forty, pl.RunOptions(**paid(talker)), seed=seed).trials
        for seed in (0, 0, 1)
    )

    assert first == same
    assert first != other
    assert talker.calls == 0


def test_what_a_pilot_costs_is_known_before_it_is_bought(
    talker: FakeClient, forty: pl.Experiment
) -> None:
    bounded = forty.with_grid({**GRID, "max_tokens": [200]})

    pilot = choose(bounded, pl.RunOptions(**paid(talker)))
    told = bounded.forecast(**paid(talker))

    assert pilot.calls == len(pilot.trials) == told.calls == 4
    assert pilot.cost_usd.low <= told.billed_usd <= pilot.cost_usd.high
    assert not pilot.costs_nothing
    assert str(pilot).startswith("4 trials, 4 calls; cost: $0.0000")


def test_a_pilot_that_was_chosen_before_is_the_one_that_is_asked(
    talker: FakeClient, forty: pl.Experiment
) -> None:
    pilot = choose(forty, pl.RunOptions(**paid(talker)), 3, seed=7)

    told = forecast(forty, pilot)

    trials = forty.run(offline=True, **paid(talker)).table["cached"]
    assert trials[trials].index.tolist() == sorted(pilot.trials)
    assert told.calls == pilot.calls == talker.calls


GRID = {"model": ["fake"], "prompt": ["Where is {{city}}?"], "temperature": [0, 1]}


def test_answers_that_are_all_alike_leave_no_doubt(client: FakeClient) -> None:
    told = capitals(20).forecast(**paid(client))

    left = 40 - 4
    assert told.low == told.high == told.cost_usd
    assert told.cost_usd == pytest.approx(left * (10 * 1 + 5 * 10) / 1e6)
    assert told.cost == "$0.0022"


def test_what_is_answered_costs_nothing(talker: FakeClient) -> None:
    experiment = capitals()
    results = experiment.run(**paid(talker))
    told = experiment.forecast(**paid(talker))

    assert (told.calls, told.cost_usd, told.low, told.high) == (0, 0, 0, 0)
    assert told.known_usd == pytest.approx(results.totals.cost_usd)
    assert repr(told) == (
        "Forecast('capitals': a run would pay nothing: every answer is cached)"
    )


def test_duplicates_and_collapsed_variants_cost_nothing(talker: FakeClient) -> None:
    with pytest.warns(pl.PromptlabWarning, match="asked once"):
        experiment = pl.Experiment(
            "twice",
            grid={"model": ["gpt-6-sol"], "prompt": ["{{t}}"], "temperature": [0, 1]},
            dataset=[{"t": f"ticket {n % 30}"} for n in range(60)],
        )

    told = experiment.forecast(30, **paid(talker, prices={"gpt*": PRICES["fake*"]}))

    assert told.calls == talker.calls == 30
    assert told.cost_usd == 0
    assert told.plan.calls == 0


def test_a_pilot_of_all_cases_twice_takes_repeats(talker: FakeClient) -> None:
    experiment = capitals(2, temperature=[0], repeats=10)

    told = experiment.forecast(3, **paid(talker))

    assert [request.repeat for request in talker.requests].count(0) == 2
    assert told.calls == 3


CHAT = [
    {"role": "user", "content": text}
    for text in ("Where is {{city}}?", "Is it large?", "And old?")
]


def test_a_conversation_counts_as_a_whole_and_shared_calls_once(
    talker: FakeClient,
) -> None:
    """Of the second prompt only the last call is new: the first has made the rest."""
    experiment = capitals(
        30,
        temperature=[0],
        prompt={"two": pl.Prompt(CHAT[:2]), "three": pl.Prompt(CHAT)},
    )

    told = experiment.forecast(10, **paid(talker))
    totals = experiment.run(**paid(talker)).totals

    # Ten of each prompt, of different cases: 20 + 30 calls.
    assert told.calls == 50
    assert told.plan.calls == totals.calls == 90 - 50
    assert told.low < totals.billed_usd < told.high
    assert told.cost_usd == pytest.approx(totals.billed_usd, rel=0.25)


def failing(often: Callable[[Request], bool]) -> Callable[[Request], Outcome]:
    return lambda request: BAD_REQUEST if often(request) else talkative(request)


def test_failures_of_the_pilot_are_told(
    talker: FakeClient, forty: pl.Experiment
) -> None:
    talker.answer = failing(lambda request: chance(request) < 50)

    told = forty.forecast(5, **paid(talker))

    answered = int(told.by["answers"].sum())
    assert told.failed == 20 - answered > 0
    assert told.notes[0].startswith(f"{told.failed} of the pilot's 20 trials failed")
    assert "Too many tokens" in told.notes[0]
    assert told.low < told.cost_usd < told.high


def test_a_variant_without_an_answer_leaves_the_cost_unknown(
    talker: FakeClient, forty: pl.Experiment
) -> None:
    talker.answer = failing(lambda request: request.body["temperature"] == 1)

    told = forty.forecast(**paid(talker))

    assert math.isnan(told.cost_usd)
    assert math.isnan(told.output_tokens.value)
    assert told.by["cost_usd"].notna().tolist() == [True, False, True, False]
    assert told.cost == "not known"
    assert any("no answers from 2 variants" in note for note in told.notes)


def test_a_pilot_that_is_stopped_says_why(
    talker: FakeClient, forty: pl.Experiment
) -> None:
    talker.answer = lambda request: UNAUTHORIZED

    told = forty.forecast(**paid(talker))

    assert told.status == "stopped"
    assert "Incorrect API key provided" in told.notes[0]
    assert math.isnan(told.cost_usd)


def test_a_budget_holds_for_the_pilot(talker: FakeClient, forty: pl.Experiment) -> None:
    bounded = forty.with_grid({**GRID, "max_tokens": [200]})

    told = bounded.forecast(10, budget_usd=0.005, **paid(talker))

    assert told.status == "stopped"
    assert told.billed_usd <= 0.005
    assert "budget_usd of $0.0050 is reached" in told.notes[0]


def test_a_server_on_this_machine_that_says_what_it_charges_is_not_free() -> None:
    answered = replace(response("fine"), reported_cost_usd=0.01)
    client = FakeClient(lambda request: answered)
    experiment = capitals(10, temperature=[0], max_tokens=[9])

    forecast = experiment.forecast(2, client=client)

    assert forecast.cost_usd == pytest.approx(8 * 0.01)
    assert "no known price" not in forecast.cost
    assert forecast.plan.free == ()
    assert forecast.plan.unpriced == ("fake",)


def test_a_forecast_that_buys_nothing_says_why(talker: FakeClient) -> None:
    pl.set_budget("day", usd=0)
    bounded = capitals(20, temperature=[0], max_tokens=[200])

    told = bounded.forecast(**paid(talker))

    assert "the project's budget of $0.00 a day is reached" in repr(told)
    assert "the project's budget of $0.00 a day leaves $0.00" in told.notes[-1]


def test_what_a_forecast_buys_is_in_the_ledger(
    talker: FakeClient, forty: pl.Experiment
) -> None:
    told = forty.forecast(**paid(talker))

    used = pl.usage(by=["model"])
    assert used["requests"].sum() == told.calls
    assert used["cost_usd"].sum() == pytest.approx(told.billed_usd)


def test_without_a_price_tokens_are_told_and_dollars_are_not(
    talker: FakeClient, forty: pl.Experiment
) -> None:
    with pytest.warns(pl.PromptlabWarning, match="no price is known for 'fake'"):
        told = forty.forecast(client=talker, progress=False)

    assert math.isnan(told.cost_usd)
    assert told.cost == "not known: no price for fake"
    assert told.output_tokens.low < told.output_tokens.value < told.output_tokens.high
    assert "90% sure" in told.tokens


def test_a_server_that_counts_no_tokens_leaves_all_unknown(
    talker: FakeClient,
) -> None:
    talker.answer = lambda request: replace(response("a"), usage=pl.Usage())

    told = capitals(20).forecast(**paid(talker))

    assert math.isnan(told.cost_usd)
    assert told.notes[-1] == "the server did not report the tokens of every answer"
    assert told.tokens == "not known"
    assert repr(told).endswith("calls left, cost not known)")


def test_models_on_this_machine_cost_nothing() -> None:
    told = capitals(6, model=["offline/small"]).forecast(progress=False)

    assert told.cost == (
        "no known price (models on this machine are assumed to be free)"
    )
    assert told.calls == 4
    assert told.output_tokens.value > 0


def test_a_pilot_of_none_goes_by_what_is_there(
    talker: FakeClient, forty: pl.Experiment
) -> None:
    forty.limit(10).run(**paid(talker))
    calls = talker.calls

    told = forty.forecast(pilot=0, **paid(talker))
    billed = forty.run(**paid(talker)).totals.billed_usd

    assert told.calls == 0
    assert talker.calls == calls + 120
    assert told.low < billed < told.high


def test_the_interval_keeps_within_what_the_plan_says(talker: FakeClient) -> None:
    experiment = capitals(20, temperature=[0], max_tokens=[120])

    told = experiment.forecast(**paid(talker))

    assert told.low >= told.plan.cost_usd.low
    assert told.high == told.worst_case


def test_few_answers_are_said_to_be_few(talker: FakeClient) -> None:
    few = capitals(20).forecast(**paid(talker))
    more = capitals(20).forecast(4, **paid(talker))

    assert few.notes == (
        "based on only 4 answers; a larger pilot= gives a better forecast",
    )
    assert more.notes == ()
    assert more.high / more.low < few.high / few.low


def test_a_surer_level_gives_a_wider_interval(
    talker: FakeClient, forty: pl.Experiment
) -> None:
    usual = forty.forecast(**paid(talker))
    surer = forty.forecast(level=0.99, **paid(talker))

    assert surer.low <= usual.low < usual.high <= surer.high
    assert "99% sure" in surer.cost


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"pilot": 1}, r"an integer >= 2 \(.*\) or 0 \(cached answers only\), got 1"),
        ({"pilot": -1}, "got -1"),
        ({"pilot": 2.5}, "got 2.5"),
        ({"level": 90}, "level: expected a share between 0 and 1, got 90"),
        ({"seed": "x"}, "seed: expected an integer >= 0, got 'x'"),
        ({"seed": -1}, "seed: expected an integer >= 0, got -1"),
        ({"refresh": True}, "keeps them in the cache"),
        ({"use_cache": False}, "keeps them in the cache"),
        ({"offline": True}, "pilot=0 buys nothing"),
        ({"frobnicate": 1}, "no option 'frobnicate'"),
    ],
    ids=str,
)
def test_what_makes_no_sense_is_refused_before_any_call(
    talker: FakeClient, forty: pl.Experiment, options: dict[str, Any], told: str
) -> None:
    with pytest.raises(pl.SpecError, match=told):
        forty.forecast(**options, client=talker)

    assert talker.calls == 0


def test_a_card_shows_what_is_left_the_bounds_the_pilot_and_each_variant(
    talker: FakeClient, forty: pl.Experiment
) -> None:
    bounded = forty.with_grid({**GRID, "max_tokens": [200, 400]})
    told = bounded.forecast(**paid(talker))

    text = Seen(told._repr_html_()).text

    assert "Forecast of capitals · 152 calls left" in text
    assert told.cost in text
    assert told.tokens in text
    assert "8 calls for $0.0" in text
    assert "total" in text
    assert "at most" in text
    assert "answers" in text
    assert repr(told) == f"Forecast('capitals': 152 calls left, for {told.cost})"


def test_a_card_is_made_of_text(talker: FakeClient) -> None:
    experiment = pl.Experiment(
        HOSTILE[0],
        grid={"model": ["fake"], "prompt": {t: f"{t} {{{{n}}}}" for t in HOSTILE[:3]}},
        dataset=[{"n": n} for n in range(5)],
    )

    seen = Seen(experiment.forecast(**paid(talker))._repr_html_())

    assert all(text in seen.text for text in HOSTILE[:3])
    assert not {"img", "script", "textarea"} & seen.tags


def test_a_free_model_beside_one_with_a_price_adds_nothing() -> None:
    both = capitals(20, model=["fake", "local"], temperature=[0], max_tokens=[200])
    priced = capitals(20, model=["fake"], temperature=[0], max_tokens=[200])

    told = both.forecast(**paid(FakeClient(talkative)))
    alone = priced.forecast(**paid(FakeClient(talkative)))

    assert told.cost_usd == pytest.approx(alone.cost_usd)
    assert told.cost.endswith(", without local (no known price)")
    assert told.known_usd == pytest.approx(alone.known_usd)
    assert told.low <= told.cost_usd <= told.high
