"""The offline model as a judge, which it is not, and says so."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import promptlab as pl
from promptlab.scoring.judge import made_judge
from promptlab.scoring.judgements import judgements


def judged(output: str, **options: Any) -> Any:
    """What the offline model says of an output."""
    row = {"output": output, "expected": "billing team", "inputs": {"ticket": "Hello"}}
    judge = made_judge("verdict", model="offline/large", **options)

    async def main() -> Any:
        async with pl.Engine() as engine:
            return await judgements(engine, judge, [row])

    return asyncio.run(main()).scores[0]


def test_the_offline_judge_says_that_it_is_none() -> None:
    score = judged("Send it to the billing team.", rubric="As expected.")["verdict"]

    assert score.explanation.startswith("The offline model is no judge")


@pytest.mark.parametrize(
    ("text", "passes"), [("Thank you, please wait.", True), ("Go away.", False)]
)
def test_words_of_courtesy_are_polite(text: str, passes: bool) -> None:
    assert judged(text, rubric="The reply is polite.")["verdict"].value is passes


@pytest.mark.parametrize(
    ("text", "value"), [("The billing team.", 5), ("Billing.", 3), ("Sales.", 1)]
)
def test_a_scale_goes_by_the_share_of_the_words_that_are_expected(
    text: str, value: int
) -> None:
    score = judged(text, rubric="As expected.", scale=(1, 5))["verdict"]

    assert score.value == value


def test_every_criterion_gets_a_verdict() -> None:
    scores = judged("Thank you.", criteria=["polite", "short"])

    assert [scores[name].value for name in ("polite", "short")] == [True, True]
