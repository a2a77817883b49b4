"""04, adelmuursepp/promptfoo-demo-evals: is a mark stable over temperatures?

Whole: named metrics with weights, and repeats, which the original lacks.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

import promptlab as pl
from promptlab import scorers
from promptlab.testing import FakeClient, last_text


def graded(request: pl.Request) -> str:
    wrong = "Buenas días" in last_text(request)
    warm = request.body["temperature"] > 0.5 and request.repeat == 1
    mark = 10 - 2 * wrong - 4 * (warm and wrong)
    mistakes = ["the gender of the adjective"] if wrong else []
    return json.dumps({"mark": mark, "mistakes": mistakes})


def test_04_grading_temperature() -> None:
    client = FakeClient(graded)

    # experiment
    cases = [
        {"id": "right", "answer": "Buenos días", "low": 10, "high": 10, "hint": "[]"},
        {
            "id": "gender",
            "answer": "Buenas días",
            "low": 7,
            "high": 9,
            "hint": "gender",
        },
    ]

    @scorers.scorer(name="mark", weight=2)
    def mark(json: Any, low: int, high: int) -> bool:
        return low <= json["mark"] <= high

    parts = [
        scorers.is_json(name="format"),
        mark,
        scorers.contains(to="hint", name="mistakes"),
    ]
    results = pl.Experiment(
        "grading",
        dataset=pl.Dataset(cases, metadata=["low", "high", "hint"]),
        repeats=2,
        grid=pl.Grid(
            model=["small"],
            temperature=[0.2, 0.7],
            system=["You are a friendly teacher of languages."],
            prompt=["Grade as JSON with mark and mistakes: {{answer}}"],
        ),
        scorers=[*parts, scorers.weighted(*parts, name="all")],
    ).run(client=client, progress=False)
    summary = results.summary(by=["temperature", "case"])
    stability = pl.stability(results, "mark", by="temperature")
    # experiment: end

    assert summary["mark"].tolist() == [1, 1, 1, 0.5]
    assert summary["all"].tolist() == [1, 1, 1, pytest.approx(0.75)]
    assert stability.table["sometimes"].tolist() == [0, 0.5]
