"""Judges as scorers: of an experiment, of results, in a config, among other scorers."""

from __future__ import annotations

import json
from typing import Any

import pytest

import promptlab as pl
from promptlab import scorers
from promptlab.errors import SpecError
from promptlab.spec.request import Request
from promptlab.testing import FakeClient, failure, response

PRICE = {"*": {"input": 1000.0, "output": 1000.0}}
"""US dollars a million tokens, made up."""

WRITTEN = {"name": "polite", "model": "judge", "max_tokens": 20}

CASES = [
    {"id": "a", "text": "Wait, please.", "expected": "Wait, please."},
    {"id": "b", "text": "Wait."},
]


def answer(request: Request) -> Any:
    """Says the text again; as a judge, passes whatever says please."""
    last = request.body["messages"][-1]["content"]
    if request.model != "judge":
        return response(last, input_tokens=1, output_tokens=1)
    data = json.loads(last)
    kind = "pass" if "please" in data["output"] else "fail"
    scale = "integer" in request.body["messages"][0]["content"]
    verdict: Any = {"pass": 5, "fail": 2}[kind] if scale else kind
    given: Any = {"reasoning": f"A {kind}.", "verdict": verdict}
    if "its members" in request.body["messages"][0]["content"].lower():
        given = {"short": given, "kind": given}
    return response(json.dumps(given), input_tokens=400, output_tokens=20)


@pytest.fixture
def client() -> FakeClient:
    return FakeClient(answer)


def polite(**options: Any) -> scorers.Scorer:
    given = {"model": "judge", "rubric": "The reply is polite.", "max_tokens": 20}
    return scorers.judge(**{"name": "polite", **given, **options})


def experiment(*given: Any, **more: Any) -> pl.Experiment:
    return pl.Experiment(
        "judged",
        grid={"model": ["m"], "prompt": {"p": "{{text}}"}, "max_tokens": [10]},
        dataset=CASES,
        scorers=given,
        **more,
    )


def judged_calls(client: FakeClient) -> int:
    return sum(request.model == "judge" for request in client.requests)


def test_a_judge_scores_the_answers_of_a_run(client: FakeClient) -> None:
    results = experiment(polite()).run(client=client)

    assert results.table["polite"].tolist() == [1.0, 0.0]
    assert results.table["polite_explanation"].tolist() == ["A pass.", "A fail."]
    assert results.summary()["polite"].tolist() == [0.5]


def test_a_run_again_pays_for_no_judgement(client: FakeClient) -> None:
    experiment(polite()).run(client=client)
    again = experiment(polite()).run(client=client)

    assert judged_calls(client) == 2
    assert (again.totals.judgements, again.totals.cached_judgements) == (0, 2)


def test_a_changed_rubric_pays_for_judgements_only(client: FakeClient) -> None:
    experiment(polite()).run(client=client)
    experiment(polite(rubric="Very polite.")).run(client=client)

    assert judged_calls(client) == 4
    assert client.calls == 6


def test_what_judgements_cost_is_billed_and_in_the_ledger(client: FakeClient) -> None:
    results = experiment(polite()).run(client=client, prices=PRICE)

    assert results.totals.calls == 4
    assert results.totals.judgements == 2
    assert results.totals.billed_usd == pytest.approx(2 * 0.002 + 2 * 0.42)
    assert pl.usage()["cost_usd"].sum() == pytest.approx(results.totals.billed_usd)


def test_a_budget_is_shared_by_answers_and_judgements(client: FakeClient) -> None:
    results = experiment(polite()).run(client=client, prices=PRICE, budget_usd=1.2)

    assert results.table["output"].notna().all()
    assert results.table["polite"].isna().sum() == 1
    assert "budget" in results.table["polite_explanation"].tolist()[1]
    assert results.totals.billed_usd <= 1.2


def test_a_judge_without_a_price_is_refused_under_a_budget_before_any_call(
    client: FakeClient,
) -> None:
    unpriced = experiment(polite(base_url="https://elsewhere.example/v1"))

    with pytest.raises(SpecError, match="judge"):
        unpriced.run(client=client, prices={"m": PRICE["*"]}, budget_usd=5)

    assert client.calls == 0


def test_a_judge_that_cannot_be_asked_is_no_loss_of_answers(client: FakeClient) -> None:
    unpriced = experiment(polite(base_url="https://elsewhere.example/v1"))
    options: Any = {"prices": {"m": PRICE["*"]}, "budget_usd": 5}
    experiment().run(client=client, **options)

    with pytest.warns(pl.PromptlabWarning, match="judge 'polite': not judged"):
        results = unpriced.run(client=client, **options)

    assert results.table["output"].notna().all()
    assert results.table["polite"].isna().all()
    assert "price" in results.table["polite_explanation"].tolist()[0]
    assert judged_calls(client) == 0


def test_results_are_judged_without_asking_their_answers_again(
    client: FakeClient,
) -> None:
    results = experiment().run(client=client)

    scored = results.score(polite(), client=client)

    assert scored.table["polite"].tolist() == [1.0, 0.0]
    assert client.calls == 4


def test_a_run_of_cached_answers_needs_no_call_but_the_judges(
    client: FakeClient,
) -> None:
    experiment().run(client=client)
    experiment(polite()).run(client=client)

    assert client.calls == 4


def test_a_judge_counts_among_other_scorers(client: FakeClient) -> None:
    both = scorers.all_of(polite(), scorers.contains("please"), name="both")

    results = experiment(both, scorers.not_(polite())).run(client=client)

    assert results.table["both"].tolist() == [1.0, 0.0]
    assert results.table["not_polite"].tolist() == [0.0, 1.0]


def test_a_case_may_have_a_judge_of_its_own(client: FakeClient) -> None:
    check = {"judge": {"name": "polite", "model": "judge", "rubric": "Polite."}}
    cases = [{**CASES[0], "checks": [check]}, {**CASES[1], "checks": ["exact"]}]
    own = pl.Experiment(
        "judged",
        grid={"model": ["m"], "prompt": {"p": "{{text}}"}},
        dataset=pl.Dataset(cases, metadata=["checks"]),
    )

    assert own.plan(client=client).judgements == {"judge": 2}

    results = own.run(client=client)

    assert own.plan(client=client).judgements == {"judge": 1}
    assert judged_calls(client) == 1
    assert results.table["passed"].tolist()[0] == 1.0


def test_a_scale_is_right_from_its_threshold_on(client: FakeClient) -> None:
    graded = polite(scale=(1, 5), threshold=4)

    results = experiment(graded).run(client=client)

    assert results.table["polite"].tolist() == [5.0, 2.0]
    assert results.score_columns["polite"].threshold == 4


def test_each_criterion_is_a_score_of_its_own(client: FakeClient) -> None:
    style = scorers.criteria(["short", "kind"], model="judge", name="style")

    results = experiment(style).run(client=client)

    assert results.scores == ("style_short", "style_kind")


def test_the_judge_sees_what_is_expected(client: FakeClient) -> None:
    experiment(polite()).run(client=client)

    seen = [json.loads(r.body["messages"][-1]["content"]) for r in client.requests[2:]]
    assert sorted(data.get("expected", "") for data in seen) == ["", "Wait, please."]
    assert all(set(data["inputs"]) == {"text"} for data in seen)


def test_offline_only_judgements_of_the_cache_are_given(client: FakeClient) -> None:
    experiment().run(client=client)

    results = experiment(polite()).run(client=client, offline=True)

    assert results.table["polite"].isna().all()
    assert "not in the cache" in results.table["polite_explanation"].tolist()[0]


def test_a_plan_counts_judgements_with_their_tokens_and_cost() -> None:
    prices = {"*": {"input": 1.0, "output": 2.0}}
    judged = experiment(polite(repeats=3), polite(name="again"))

    plan = judged.plan(client=FakeClient(), prices=prices)

    (judging,) = plan.judging
    assert (judging.cached, judging.new) == (0, 8)
    assert judging.output_tokens == (8, 160)
    assert judging.input_tokens.high - judging.input_tokens.low > 8 * 10
    assert plan.total_usd.high == plan.cost_usd.high + judging.cost_usd.high
    assert plan.notes == (str(judging),)
    assert plan.notes[0].startswith("judgements by judge: 0 cached, 8 new at most, ")
    assert plan.notes[0].endswith(f"at most 160 out, {judging.cost}")
    assert plan.notes[0] in plan._repr_html_()


def test_a_plan_after_a_run_has_all_judgements_cached(client: FakeClient) -> None:
    experiment(polite()).run(client=client)

    (judging,) = experiment(polite()).plan(client=client).judging

    assert (judging.cached, judging.new, judging.cost_usd) == (2, 0, (0, 0))


def test_a_changed_rubric_plans_no_answer_and_all_judgements(
    client: FakeClient,
) -> None:
    experiment(polite()).run(client=client)

    plan = experiment(polite(rubric="It is kind.")).plan(client=client, prices=PRICE)
    paid = experiment(polite(rubric="It is kind.")).run(client=client)

    (judging,) = plan.judging
    assert (plan.calls, judging.cached, judging.new) == (0, 0, 2)
    assert paid.totals.judgements == 2
    assert 0 < judging.cost_usd.low < judging.cost_usd.high
    assert plan.total_usd == judging.cost_usd


def test_a_plan_finds_the_judgements_of_composites_and_checks(
    client: FakeClient,
) -> None:
    both = scorers.all_of(polite(), scorers.contains("Wait"), name="both")
    timed = scorers.weighted(polite(name="kind", rubric="Kind."), scorers.latency())
    cases = [
        {**CASES[0], "checks": [{"judge": {**WRITTEN, "rubric": "Checked."}}]},
        CASES[1],
    ]
    judged = pl.Experiment(
        "judged",
        grid={"model": ["m"], "prompt": {"p": "{{text}}"}},
        dataset=cases,
        scorers=[both, timed],
    )
    paid = judged.run(client=client)

    again = judged.plan(client=client)

    (judging,) = again.judging
    assert (judging.cached, judging.new) == (paid.totals.judgements, 0)


def test_a_plan_knows_the_judgements_of_a_server_without_schemas() -> None:
    def refusing(request: Request) -> Any:
        if "response_format" in request.body:
            return failure(400, message="response_format is not supported")
        return answer(request)

    client = FakeClient(refusing)
    experiment(polite()).run(client=client)

    (judging,) = experiment(polite()).plan(client=client).judging

    assert (judging.cached, judging.new) == (2, 0)


def test_an_offline_plan_asks_no_judge(client: FakeClient) -> None:
    experiment().run(client=client)

    (judging,) = experiment(polite()).plan(client=client, offline=True).judging

    assert (judging.cached, judging.new) == (0, 0)


def test_a_forecast_says_that_it_leaves_judgements_out(client: FakeClient) -> None:
    forecast = experiment(polite()).forecast(pilot=2, client=client)

    assert "without judgements by judge: plan() has what they take" in forecast.notes


def test_judgements_of_answers_without_a_bound_have_none(client: FakeClient) -> None:
    judged = pl.Experiment(
        "open",
        grid={"model": ["m"], "prompt": {"p": "{{text}}"}},
        dataset=CASES,
        scorers=[polite()],
    )

    (judging,) = judged.plan(client=client, prices=PRICE).judging

    assert judging.cost.endswith(" or more")


def test_a_judge_can_be_written_in_a_config(client: FakeClient) -> None:
    written = {"judge": {"name": "polite", "model": "judge", "rubric": "Polite."}}

    made = experiment(written)

    assert made.run(client=client).table["polite"].tolist() == [1.0, 0.0]
    assert made.to_plain()["scorers"] == [written]


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"rubric": ""}, "judge: a rubric is needed"),
        ({"modle": "m"}, "unknown option 'modle'; did you mean 'model'?"),
        ({"shows": ["pgae"]}, "'pgae', which no row has"),
    ],
    ids=["rubric", "option", "column"],
)
def test_a_wrong_judge_is_refused_before_anything_is_asked(
    wrong: dict[str, Any], says: str
) -> None:
    with pytest.raises(SpecError) as caught:
        experiment(polite(**wrong))

    assert says in str(caught.value)
