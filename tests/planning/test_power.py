"""Power: how many cases it takes to see a difference, before anything is paid."""

from __future__ import annotations

import math
from typing import Any
from zlib import crc32

import numpy as np
import pandas as pd
import pytest
from seen import HOSTILE, Seen

import promptlab as pl
from promptlab import scorers
from promptlab.spec.request import Request
from promptlab.stats.paired import compare
from promptlab.stats.power import Variances, cases_needed, mcnemar_detection_rate
from promptlab.testing import FakeClient
from tests.analysis.tables import scored

PRICES = {"fake*": {"input": 1, "output": 10}}
MILLER = (0.02, 0.1, 0.1)
"""Variances of which repeats help much."""


def sums(cases: int, *, repeats: int = 1, **grid: Any) -> pl.Experiment:
    """Three variants, of which one is right more often."""
    parameters = {
        "model": ["fake"],
        "prompt": {"a": "{{q}}", "b": "Hm. {{q}}", "c": "Think. {{q}}"},
        "max_tokens": [100],
    }
    return pl.Experiment(
        "sums",
        grid=pl.Grid(**{**parameters, **grid}),
        dataset=[{"q": f"{n} + 1", "expected": "yes"} for n in range(cases)],
        scorers=[scorers.exact()],
        repeats=repeats,
    )


def by_chance(request: Request) -> str:
    """Right by chance: 40 % of the cases always, and some of the repeats besides."""
    case = crc32(repr(request.body["messages"]).encode()) % 100
    repeat = crc32(request.key.encode()) % 100
    return "yes" if case < 40 or repeat < 30 else "no"


@pytest.fixture
def client() -> FakeClient:
    return FakeClient(by_chance)


def paid(client: FakeClient) -> dict[str, Any]:
    return {"client": client, "prices": PRICES}


def pilot_of(client: FakeClient, cases: int = 40, **options: Any) -> pl.Results:
    return sums(cases, **options).run(client=client, progress=False)


def test_the_fewest_repeats_are_recommended_for_which_the_dataset_has_cases(
    client: FakeClient,
) -> None:
    found = {
        cases: sums(cases).power(0.1, variances=MILLER, **paid(client))
        for cases in (50, 100, 150, 300)
    }

    chosen = {
        cases: (power.recommended.repeats, power.enough)
        for cases, power in found.items()
    }
    assert chosen == {50: (1, False), 100: (3, True), 150: (2, True), 300: (1, True)}
    for one in found[50].designs:
        needed = cases_needed(
            0.1, Variances(*MILLER), repeats=one.repeats, comparisons=2
        )
        assert one.cases == math.ceil(needed)


def test_costs_are_those_of_a_plan_by_trial_with_nothing_cached(
    client: FakeClient,
) -> None:
    experiment = sums(20, repeats=2)
    before = experiment.plan(**paid(client))
    experiment.run(client=client, progress=False)
    asked = client.calls
    power = experiment.power(0.2, base_rate=0.5, **paid(client))

    assert client.calls == asked
    assert experiment.plan(**paid(client)).calls == 0
    assert power.now.trials == len(experiment)
    assert power.now.cost_usd.high == pytest.approx(before.cost_usd.high)
    one = power.recommended
    assert one.trials == 3 * one.cases * one.repeats
    for now, then in zip(power.now.cost_usd, one.cost_usd, strict=True):
        assert then == pytest.approx(now * one.trials / power.now.trials)


def test_a_pilot_says_how_much_scores_vary_and_what_repeats_gain(
    client: FakeClient,
) -> None:
    once = sums(400).power(0.1, pilot=pilot_of(client), **paid(client))
    thrice = sums(400).power(0.1, pilot=pilot_of(client, repeats=3), **paid(client))

    assert [one.repeats for one in once.designs] == [1]
    assert any("one repeat" in note for note in once.notes)
    assert [one.repeats for one in thrice.designs] == [1, 2, 3, 5]
    cases = [one.cases for one in thrice.designs]
    assert cases == sorted(cases, reverse=True)
    assert thrice.expected.variances.within_a == pytest.approx(0.13, abs=0.05)
    assert "exact in a pilot of 3 variants × 40 cases × 3 repeats" in repr(thrice)


def test_of_0_1_scores_with_one_repeat_the_exact_test_sees_what_is_promised() -> None:
    power = sums(100).power(0.1, base_rate=0.5, comparisons=1)
    cases, rng = power.recommended.cases, np.random.default_rng(0)
    plain, better = (rng.random((2_000, cases)) < share for share in (0.5, 0.6))
    found = [
        float(compare(one, base).p[0]) <= 0.05
        for one, base in zip(better * 1.0, plain * 1.0, strict=True)
    ]

    assert np.mean(found) == pytest.approx(0.8, abs=0.05)
    seen = power.now.detectable
    variance = power.expected.variances.between
    assert mcnemar_detection_rate(100, seen, variance + seen**2) == pytest.approx(
        0.8, abs=0.01
    )


def test_more_comparisons_and_more_power_take_more_cases() -> None:
    experiment = sums(100)

    def needed(**options: Any) -> int:
        return experiment.power(0.1, variances=[0.3], **options).recommended.cases

    assert needed() == needed(comparisons=2)
    assert needed(comparisons=1) < needed() < needed(comparisons=20)
    assert needed() < needed(power=0.95)
    assert needed() < needed(alpha=0.01)


def test_a_dataset_that_is_too_small_is_told_what_it_can_see() -> None:
    few = sums(100).power(base_rate=0.8)
    many = sums(2_000).power(base_rate=0.8)

    assert not few.enough
    lacking = few.recommended.cases - 100
    assert few.notes[0] == (
        f"The dataset has 100 cases, {lacking:,} too few; as it is, 100 cases × "
        "1 repeat, the experiment sees 19 points or more"
    )
    assert many.enough
    assert "2,000 cases, which are enough" in many.notes[0]


def test_a_few_cases_that_can_show_nothing_say_so() -> None:
    assert math.isnan(sums(4).power(base_rate=0.5).now.detectable)
    assert "sees no difference, however great" in repr(sums(4).power(base_rate=0.5))


def test_text_and_card_say_the_same_and_the_table_has_a_row_for_each_design(
    client: FakeClient,
) -> None:
    power = sums(150).power(0.1, variances=MILLER, **paid(client))
    shown = Seen(power._repr_html_()).text

    assert "to see a difference of 0.1 takes 115 cases × 2 repeats: 690 trials" in shown
    assert power.headline in repr(power)
    assert list(power.table) == [
        *("cases", "repeats", "detectable", "trials"),
        *("cost_low", "cost_high", "in_dataset"),
    ]
    assert len(power.table) == len(power.designs) + 1
    assert power.table["cost_high"].iloc[-1] == power.now.cost_usd.high


def test_an_unknown_price_is_named_and_no_zero() -> None:
    power = sums(20).power(base_rate=0.5, base_url="http://models.test/v1")

    assert "no price for fake" in power.headline
    assert power.table["cost_low"].isna().all()


def test_an_unknown_price_of_a_judge_is_named(client: FakeClient) -> None:
    judge = scorers.judge("polite", model="strict-1", rubric="It is polite.")
    experiment = sums(20).with_scorers([judge])
    power = experiment.power(
        base_rate=0.5, prices=PRICES, base_url="http://models.test/v1"
    )

    assert "no price for strict-1" in power.headline


def test_hostile_names_are_escaped() -> None:
    frame = scored({"a": [0, 1] * 15, "b": [1, 1, 0] * 10})
    frame = frame.rename(columns={"exact": HOSTILE[1]})
    power = sums(20).power(pilot=frame, score=HOSTILE[1])
    card = Seen(power._repr_html_())

    assert HOSTILE[1] in card.text
    assert "script" not in card.tags


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({}, "expected one of pilot=.*, got none"),
        ({"base_rate": 0.5, "variances": [1]}, "got variances, base_rate"),
        ({"base_rate": 0.5, "score": "exact"}, "give pilot= as well"),
        ({"base_rate": 80}, "base_rate: expected a number > 0 and < 1, got 80"),
        ({"base_rate": 0.5, "mde": 5}, "5 points are mde=0.05"),
        ({"base_rate": 0.5, "mde": 0.6}, "expected mde of at most 0.5"),
        ({"base_rate": 0.5, "mde": True}, "mde: expected a number > 0"),
        ({"variances": [1], "mde": 0}, "mde: expected a number > 0, got 0"),
        ({"variances": [1], "mde": math.nan}, "mde: expected a number > 0, got nan"),
        ({"variances": [1], "mde": 10**400}, "mde: expected a number > 0, got 1000"),
        ({"variances": [1], "mde": 1e-300}, "expected a greater mde"),
        ({"variances": [1], "power": 1}, "power: expected a number > 0.5 and < 1"),
        ({"variances": [1], "alpha": "x"}, "alpha: expected a number > 0"),
        ({"variances": [1], "comparisons": 0}, "comparisons: expected an integer >= 1"),
        ({"variances": 3}, "variances: expected 1 to 3 numbers"),
        ({"variances": [0, 0]}, "not all 0"),
        ({"variances": [1, -1]}, "numbers >= 0"),
        ({"pilot": 3}, "expected Results, or a DataFrame"),
    ],
)
def test_wrong_arguments_are_refused_with_what_would_do(
    arguments: dict[str, Any], problem: str
) -> None:
    with pytest.raises(pl.SpecError, match=problem):
        sums(4).power(**arguments)


def frames() -> dict[str, tuple[pd.DataFrame, str]]:
    """Pilots that say nothing of how scores vary, and what is said of them."""
    labels = scored({"a": [0, 1], "b": [1, 0]}).assign(exact=["x", "y", "x", "y"])
    return {
        "labels": (labels, "'exact' does not hold numbers"),
        "one variant": (scored({"a": [0, 1, 1]}), "two variants or more"),
        "one case": (scored({"a": [0], "b": [1]}), "2 cases or more"),
        "all alike": (scored({"a": [1, 1, 1], "b": [1, 1, 1]}), "run more cases"),
        "no scores": (
            scored({"a": [math.nan] * 2, "b": [math.nan] * 2}),
            "2 cases or more",
        ),
    }


@pytest.mark.parametrize(("pilot", "problem"), frames().values(), ids=frames().keys())
def test_a_pilot_that_is_of_no_use_is_refused(
    pilot: pd.DataFrame, problem: str
) -> None:
    with pytest.raises(pl.SpecError, match=problem):
        sums(4).power(pilot=pilot, score="exact")


def test_a_score_of_which_less_is_better_is_refused(client: FakeClient) -> None:
    with pytest.raises(pl.SpecError, match="'latency_s' lower is better"):
        sums(4).power(pilot=pilot_of(client, 4), score="latency_s")


def test_one_variant_has_nothing_to_be_compared_with() -> None:
    with pytest.raises(pl.SpecError, match="the grid has only one"):
        sums(4, prompt=["{{q}}"]).power(base_rate=0.5)
