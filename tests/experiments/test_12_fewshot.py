"""12, UKGovernmentBEIS/inspect_evals gsm8k: arithmetic with more and more examples.

Whole, but that the examples are drawn and written by hand. The original's file is a
dataset of Hugging Face, which `Dataset` takes as it is.
"""

from __future__ import annotations

import random

import promptlab as pl
from promptlab import scorers
from promptlab.testing import FakeClient, last_text

TRAIN = [(f"{a} pens and {b} pens?", a + b) for a in range(1, 5) for b in range(1, 4)]
TEST = [("9 cups less 2?", 7), ("7 cups less 3?", 4), ("1,200 cups less 200?", 1000)]


def counting(request: pl.Request) -> str:
    examples = str(request.body["messages"][0]["content"]).count("ANSWER")
    asked = last_text(request).replace(",", "").split()
    left = int(asked[0]) - int(asked[3].rstrip("?"))
    return f"So that is:\nANSWER: {left + (examples < 3):,} cups"


def test_12_fewshot() -> None:
    client = FakeClient(counting)

    # experiment
    # glue: examples are drawn and written by hand
    def shots(count: int, seed: int = 1) -> str:
        drawn = random.Random(seed).sample(TRAIN, count)
        return "\n\n".join(f"{q}\nANSWER: {a}" for q, a in drawn)

    # glue: end
    results = pl.Experiment(
        "arithmetic",
        dataset=[{"question": q, "expected": a} for q, a in TEST],
        repeats=2,
        grid=pl.Grid(
            model=["small", "large"],
            system={"none": None, "2 shots": shots(2), "6 shots": shots(6)},
            prompt=["{{question}} Reason; the last line is ANSWER: ..."],
        ),
        scorers=[scorers.number(transform=scorers.last_line)],
    ).run(client=client, progress=False)
    summary = results.summary(by="system")
    effects = pl.effects(results, "number").table
    # experiment: end

    assert summary["number"].to_dict() == {"none": 0, "2 shots": 0, "6 shots": 1}
    assert summary["number_n"].tolist() == [12, 12, 12]
    assert len(effects) == 5
