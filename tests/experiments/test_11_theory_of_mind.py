"""11, UKGovernmentBEIS/inspect_ai theory_of_mind.py: answer, critique, improve.

Whole: each stage is an experiment on the answers of the one before, a model says which
answers have the fact, and the last totals have what all stages cost.
"""

from __future__ import annotations

import promptlab as pl
from promptlab import scorers
from promptlab.testing import FakeClient, last_text

from .fakes import shown_to_judge, verdict


def thinking(request: pl.Request) -> str:
    if request.model == "judge":
        shown = shown_to_judge(request)
        return verdict(shown["expected"] in shown["output"])
    text = last_text(request)
    if text.startswith("Critique"):
        return "It says where the key is, not where Ida believes it to be."
    if text.startswith("Improve"):
        return "ANSWER: drawer"
    return "ANSWER: box" if "Ida" in text else "ANSWER: bag"


def test_11_theory_of_mind() -> None:
    client = FakeClient(thinking)
    stories = [
        (
            "Ida leaves her key in the drawer. Ben moves it to a box. Ida is back.",
            "drawer",
        ),
        ("Eva puts the ball in the bag. Tom is watching.", "bag"),
    ]

    # experiment
    fact = scorers.same_facts(model="judge")
    cases = [{"story": s, "expected": e} for s, e in stories]
    think = "{{story}}\nWhere is it looked for? Step by step; end with ANSWER: ..."
    first = pl.Experiment(
        "think", dataset=cases, grid={"model": ["m"], "prompt": [think]}, scorers=[fact]
    ).run(client=client, progress=False)
    critique = "Critique this answer to {{story}}\n\n{{answer}}"
    second = pl.Experiment(
        "critique",
        dataset=first.to_dataset(rename={"output": "answer"}),
        grid={"model": ["m"], "prompt": [critique]},
    ).run(client=client, progress=False)
    again = [
        {"role": "user", "content": think},
        {"role": "assistant", "content": "{{answer}}"},
        {"role": "user", "content": "Improve it: {{critique}}"},
    ]
    third = pl.Experiment(
        "improve",
        dataset=second.to_dataset(rename={"output": "critique"}),
        grid={"model": ["m"], "prompt": [again]},
        scorers=[fact],
    ).run(client=client, progress=False)
    # experiment: end

    assert first.table["same_facts"].tolist() == [0, 1]
    assert third.table["same_facts"].tolist() == [1, 0]
    assert [stage.experiment for stage in third.totals.stages] == ["think", "critique"]
    assert third.table["source_source_trial"].tolist() == [0, 1]
