"""Panels: several models that judge by one rubric."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd
import pytest

import promptlab as pl
from promptlab import scorers
from promptlab.spec.request import Request
from promptlab.testing import FakeClient, response

PRICES = {name: {"input": 1.0, "output": 1.0} for name in ("a", "b", "c", "m")}
MODELS = ["a", "b", "c"]


def run(scorer: Any, said: dict[str, list[Any]]) -> pl.Results:
    """Cases 0, 1, …, of which each judge says what is listed."""

    def reply(request: Request) -> Any:
        text = request.body["messages"][-1]["content"]
        if (model := request.body["model"]) == "m":
            return response(text)
        verdict = said[model][int(json.loads(text)["output"])]
        return response(json.dumps({"reasoning": f"By {model}.", "verdict": verdict}))

    cases = [{"n": n} for n in range(len(next(iter(said.values()))))]
    return pl.Experiment(
        "e", grid={"model": ["m"], "prompt": ["{{n}}"]}, dataset=cases, scorers=[scorer]
    ).run(client=FakeClient(reply), prices=PRICES, progress=False)


def polite(**options: Any) -> Any:
    given = {"model": MODELS, "rubric": "Polite.", **options}
    return scorers.judge("polite", **given)


SAID = {
    "a": ["pass", "fail", "pass", "fail"],
    "b": ["pass", "fail", "fail", "fail"],
    "c": ["pass", "fail", "pass", "pass"],
}


def test_most_of_a_panel_decide_and_each_verdict_is_kept() -> None:
    results = run(polite(), SAID)

    table = results.table
    assert table["polite"].tolist() == [1.0, 0.0, 1.0, 0.0]
    assert table["polite_b"].tolist() == [1.0, 0.0, 0.0, 0.0]
    assert table["polite_explanation"][2] == "[a: pass, b: fail, c: pass] By a."
    assert table["polite_b_explanation"][2] == "By b."
    assert results.totals.judgements == 12


def test_how_far_the_judges_agree_is_in_the_summary() -> None:
    results = run(polite(), SAID)

    notes = results.score_notes
    assert notes["polite"][0] == (
        "polite: judged by a, b, c, not checked against people"
    )
    assert notes["polite"][1].startswith(
        "polite: 3 judges, who agree with each other by α 0.39 ["
    )
    assert notes["polite_b"][0].startswith("polite_b: judged by b, ")
    assert notes["polite"][1] in results._repr_html_()


def test_a_split_panel_has_no_verdict() -> None:
    results = run(polite(model=["a", "b"]), {name: SAID[name] for name in ("a", "b")})

    assert results.table["polite"].isna().tolist() == [False, False, True, False]
    assert results.table["polite_explanation"][2] == (
        "[a: pass, b: fail] the judges are split"
    )


def test_numbers_of_a_scale_are_averaged_and_labels_are_voted_on() -> None:
    graded = run(polite(scale=(1, 5)), {"a": [1, 5], "b": [2, 5], "c": [3, 2]})
    labels = run(
        polite(choices=["warm", "cold"]),
        {"a": ["warm", "cold"], "b": ["warm", "cold"], "c": ["cold", "cold"]},
    )

    assert graded.table["polite"].tolist() == [2.0, 4.0]
    assert labels.table["polite"].tolist() == ["warm", "cold"]


def test_a_verdict_that_was_not_offered_leaves_the_rest_to_decide() -> None:
    results = run(polite(), SAID | {"b": ["perhaps"] * 4})

    assert results.table["polite"].isna().tolist() == [False, False, False, True]
    assert results.table["polite_explanation"][0] == (
        "[a: pass, b: no verdict, c: pass] By a."
    )


def test_each_judge_of_a_panel_can_be_compared_with_people() -> None:
    results = run(polite(), SAID)

    found = pl.agreement(results, ["polite", "polite_a", "polite_b"], human=HUMAN)

    assert found.table["agreement"].tolist() == [0.75, 0.75, 1.0]
    assert found.table["cost_usd"].iloc[0] == pytest.approx(
        3 * found.table["cost_usd"].iloc[1]
    )


HUMAN = pd.Series([1, 0, 0, 0])


def test_a_panel_of_criteria_decides_on_each() -> None:
    both = scorers.criteria(["short", "kind"], model=["a", "b"])

    def reply(request: Request) -> Any:
        text = request.body["messages"][-1]["content"]
        if (model := request.body["model"]) == "m":
            return response(text)
        verdicts = {"short": "pass", "kind": "pass" if model == "a" else "fail"}
        said = {n: {"reasoning": "So.", "verdict": v} for n, v in verdicts.items()}
        return response(json.dumps(said))

    table = (
        pl.Experiment(
            "e",
            grid={"model": ["m"], "prompt": ["{{n}}"]},
            dataset=[{"n": 1}],
            scorers=[both],
        )
        .run(client=FakeClient(reply), prices=PRICES, progress=False)
        .table
    )

    assert table["criteria_short"].tolist() == [1.0]
    assert table["criteria_kind"].isna().all()
    assert table["criteria_kind_a"].tolist() == [1.0]


def test_a_config_can_have_a_panel() -> None:
    plain = {"judge": {"name": "polite", "model": MODELS, "rubric": "Polite."}}

    experiment = pl.Experiment(
        "e",
        grid={"model": ["m"], "prompt": ["{{n}}"]},
        dataset=[{"n": 1}],
        scorers=[plain],
    )

    assert experiment.scorers[0].plain == plain
    assert [judge.model for judge in experiment.scorers[0].judges] == MODELS
    assert experiment.plan(client=FakeClient(), prices=PRICES).judgements == {
        "a": 1,
        "b": 1,
        "c": 1,
    }


@pytest.mark.parametrize("model", [["a"], ["a", "a"], []], ids=["one", "twice", "none"])
def test_a_panel_needs_two_different_models(model: list[str]) -> None:
    with pytest.raises(pl.SpecError, match="two or more different ones"):
        polite(model=model)


def test_a_panel_counts_among_other_scorers() -> None:
    results = run(scorers.all_of(polite(), scorers.contains("2"), name="both"), SAID)

    assert results.table["both"].tolist() == [0.0, 0.0, 1.0, 0.0]
