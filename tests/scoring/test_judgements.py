"""Judgements: calls of an engine, each paid for once."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

import promptlab as pl
from promptlab.scoring.judge import Judge
from promptlab.scoring.judge import made_judge as judge
from promptlab.scoring.judgements import Judgements, judgements
from promptlab.spec.request import Request
from promptlab.testing import FakeClient, failure, response

PRICE = {"judge": {"input": 1000.0, "output": 1000.0}}
"""US dollars a million tokens, made up."""

POLITE = judge(
    "polite",
    model="judge",
    rubric="The reply is polite.",
    parameters={"max_tokens": 20},
)


def shown(request: Request) -> dict[str, Any]:
    """The data that a judge was asked about."""
    data: dict[str, Any] = json.loads(request.body["messages"][-1]["content"])
    return data


def by_please(request: Request) -> Any:
    """A judge that passes whatever says please."""
    verdict = "pass" if "please" in shown(request)["output"].lower() else "fail"
    said = json.dumps({"reasoning": f"It is a {verdict}.", "verdict": verdict})
    return response(said, input_tokens=400, output_tokens=20)


@pytest.fixture
def client() -> FakeClient:
    return FakeClient(by_please)


def rows(*outputs: str | None) -> list[dict[str, Any]]:
    return [{"inputs": {"n": 1}, "output": output} for output in outputs]


def judged(a_judge: Judge, rows: list[dict[str, Any]], **options: Any) -> Judgements:
    async def main() -> Judgements:
        async with pl.Engine("judge", **options) as engine:
            return await judgements(engine, a_judge, rows)

    return asyncio.run(main())


def values(found: Judgements, name: str = "polite") -> list[Any]:
    return [scores[name].value for scores in found.scores]


def explanations(found: Judgements) -> list[Any]:
    return [scores["polite"].explanation for scores in found.scores]


def test_each_row_is_judged_with_the_reasoning_as_explanation(
    client: FakeClient,
) -> None:
    found = judged(POLITE, rows("Wait, please.", "Wait."), client=client)

    assert values(found) == [True, False]
    assert explanations(found) == ["It is a pass.", "It is a fail."]


def test_a_judgement_is_paid_for_once(client: FakeClient) -> None:
    judged(POLITE, rows("Wait, please.", "Wait."), client=client)
    again = judged(POLITE, rows("Wait, please.", "Wait.", "Go."), client=client)

    assert client.calls == 3
    assert (again.calls, again.cached) == (1, 2)


def test_equal_answers_to_equal_cases_are_one_judgement(client: FakeClient) -> None:
    found = judged(POLITE, rows("Wait.", "Wait.", "Wait."), client=client)

    assert values(found) == [False] * 3
    assert client.calls == 1


def test_a_changed_rubric_is_judged_again(client: FakeClient) -> None:
    judged(POLITE, rows("Wait."), client=client)
    other = judge("polite", model="judge", rubric="It is very polite.")
    judged(other, rows("Wait."), client=client)

    assert client.calls == 2


def test_repeats_are_judgements_of_their_own(client: FakeClient) -> None:
    thrice = judge("polite", model="judge", rubric="Polite.", repeats=3)

    found = judged(thrice, rows("Please."), client=client)

    assert client.calls == 3
    assert values(found) == [1.0]


def test_a_row_without_output_is_not_judged(client: FakeClient) -> None:
    found = judged(POLITE, rows(None, "Please."), client=client)

    assert values(found) == [None, True]
    assert explanations(found)[0] == "not judged: there is no output"


def test_a_failed_judgement_is_missing_and_the_others_are_given() -> None:
    def answer(request: Request) -> Any:
        return failure(400) if shown(request)["output"] == "bad" else by_please(request)

    found = judged(POLITE, rows("Please.", "bad"), client=FakeClient(answer))

    assert values(found) == [True, None]
    assert "refused with 400" in str(explanations(found)[1])


def test_a_server_that_refuses_schemas_is_asked_without_one() -> None:
    def answer(request: Request) -> Any:
        if "response_format" in request.body:
            return failure(400, message="response_format json_schema is not supported")
        return by_please(request)

    client = FakeClient(answer)
    found = judged(POLITE, rows("Please.", "Wait.", "Go."), client=client)

    assert values(found) == [True, False, False]
    assert client.calls == 4


def test_a_budget_holds_for_judgements(client: FakeClient) -> None:
    many = rows(*(f"Wait {number}." for number in range(20)))
    found = judged(POLITE, many, client=client, budget_usd=3, prices=PRICE)

    missing = [text for text in explanations(found) if "not judged" in str(text)]
    assert 0 < client.calls < 20
    assert len(missing) == 20 - client.calls
    assert "budget" in missing[0]
    assert pl.usage()["cost_usd"].sum() <= 3


def test_a_judge_may_be_asked_elsewhere(client: FakeClient) -> None:
    elsewhere = judge("polite", model="judge", rubric="Polite.", base_url="http://b/v1")

    judged(elsewhere, rows("Please."), client=client)

    assert client.requests[0].base_url == "http://b/v1"


def test_without_rows_nothing_is_asked(client: FakeClient) -> None:
    assert judged(POLITE, [], client=client) == Judgements([], 0, 0)
