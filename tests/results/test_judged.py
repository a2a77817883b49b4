"""Judged scores: who gave them, and what is known of how far people agree."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd
import pytest

import promptlab as pl
from promptlab import scorers
from promptlab.results.runs import find_run
from promptlab.spec.request import Request
from promptlab.store.home import home
from promptlab.testing import FakeClient, response

PRICES = {"judge": {"input": 1.0, "output": 1.0}, "m": {"input": 0.0, "output": 0.0}}
SAID = pd.DataFrame({"case": range(20), "human": [1, 0] * 10})


def reply(request: Request) -> Any:
    """Answers m as asked; as a judge, passes whatever says please."""
    text = request.body["messages"][-1]["content"]
    if request.body["model"] == "m":
        return response(text)
    verdict = "pass" if "please" in json.loads(text)["output"] else "fail"
    return response(
        json.dumps({"reasoning": "So.", "verdict": verdict}),
        input_tokens=400,
        output_tokens=100,
    )


@pytest.fixture
def options() -> dict[str, Any]:
    return {"client": FakeClient(reply), "prices": PRICES, "progress": False}


def judge(
    rubric: str = "The reply is polite.", name: str = "polite", **changed: Any
) -> Any:
    return scorers.judge(name, **{"model": "judge", "rubric": rubric, **changed})


@pytest.fixture
def results(options: dict[str, Any]) -> pl.Results:
    experiment = pl.Experiment(
        "manners",
        grid={"model": ["m"], "prompt": ["{{text}}"]},
        dataset=[
            {"id": n, "text": f"{n}, please." if n % 4 < 2 else f"{n}."}
            for n in range(20)
        ],
        scorers=[judge()],
    )
    return experiment.run(**options)


def test_a_judge_that_nobody_checked_is_said_to_be_so(results: pl.Results) -> None:
    note = "polite: judged by judge, not checked against people"

    assert results.score_notes == {"polite": [note]}
    assert results.summary()["polite_judge"].tolist() == ["not checked against people"]
    assert note in results._repr_html_()
    assert note in str(pl.leaderboard(results))


def test_what_agreement_finds_is_shown_with_the_scores_from_then_on(
    results: pl.Results,
) -> None:
    found = pl.agreement(results, "polite", human=SAID)

    assert found.check.startswith("κ 0.00 [")
    assert found.check.endswith("] on 20 rated")
    assert results.summary()["polite_judge"].tolist() == [found.check]
    assert found.check in str(pl.leaderboard(results))


def test_a_run_from_the_record_knows_its_judge(results: pl.Results) -> None:
    found = pl.agreement(results, "polite", human=SAID)

    again = find_run(results.run).load_results()

    assert again.score_notes == results.score_notes
    assert again.score_notes["polite"][0].endswith(found.check)
    column = again.score_columns["polite"]
    assert column.judging_usd == pytest.approx(20 * 500e-6)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"rubric": "The reply says please."}, "checked with an earlier rubric: κ"),
        ({"model": "m2"}, "checked with another model: κ"),
        ({"scale": (0, 1)}, "checked with another scale: κ"),
        ({"reasoning": None}, "checked with another prompt: κ"),
    ],
    ids=["rubric", "model", "scale", "prompt"],
)
def test_a_changed_judge_makes_the_check_stale(
    results: pl.Results, options: dict[str, Any], changed: dict[str, Any], words: str
) -> None:
    pl.agreement(results, "polite", human=SAID)

    changed_judge = results.score(judge(**changed), **options)

    assert words in changed_judge.score_notes["polite"][0]
    assert words not in results.score_notes["polite"][0]


def test_the_same_judge_is_known_in_another_experiment(
    results: pl.Results, options: dict[str, Any]
) -> None:
    found = pl.agreement(results, "polite", human=SAID)
    other = pl.Experiment(
        "others",
        grid={"model": ["m"], "prompt": ["Say {{text}}"]},
        dataset=[{"text": "please"}],
        scorers=[judge(), judge("Other.", name="kind")],
    ).run(**options)

    assert other.score_notes["polite"][0].endswith(found.check)
    assert other.score_notes["kind"][0].endswith("not checked against people")


def test_several_judges_are_told_apart_by_agreement_and_cost(
    results: pl.Results, options: dict[str, Any]
) -> None:
    two = results.score(judge("Kind.", name="kind", repeats=2), **options)

    found = pl.agreement(two, ["polite", "kind"], human=SAID)

    assert found.table["cost_usd"].tolist() == pytest.approx([0.01, 0.02])
    assert "$0.020" in str(found)


def test_a_score_that_no_model_gave_has_no_note(
    results: pl.Results, options: dict[str, Any]
) -> None:
    scored = results.score(scorers.contains("please"))

    assert list(scored.score_notes) == ["polite"]
    assert "contains_judge" not in scored.summary()


def test_where_the_database_cannot_be_read_nothing_is_claimed(
    results: pl.Results,
) -> None:
    for file in home().glob("promptlab.sqlite*"):
        file.unlink()
    (home() / "promptlab.sqlite").write_bytes(b"no database" * 100)

    assert results.score_notes["polite"] == [
        "polite: judged by judge, what people say of it cannot be read"
    ]
