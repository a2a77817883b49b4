"""22, EleutherAI/lm-evaluation-harness arc_easy: multiple choice.

Not whole: the original ranks choices by the likelihood of their texts, which a chat
model does not give. Here letters are asked for, and ranked by their likelihood.
"""

from __future__ import annotations

import promptlab as pl
from promptlab import scorers
from promptlab.testing import FakeClient, last_text

from .fakes import with_logprobs


def lettered(request: pl.Request) -> object:
    if "light" in last_text(request):
        return with_logprobs({"Well": 0.5, "A": 0.4, "B": 0.1})
    return with_logprobs({"B": 0.8, "A": 0.2})


def test_22_arc() -> None:
    client = FakeClient(lettered)

    # experiment
    def acc(record: pl.Record, expected: str) -> bool:
        odds = record.logprobs[0].top or {}
        return max("ABCD", key=lambda letter: odds.get(letter, -99)) == expected

    options = "{% for c in choices %}{{ 'ABCD'[loop.index0] }}. {{ c }}\n{% endfor %}"
    results = pl.Experiment(
        "arc",
        dataset=[
            {"q": "What gives light?", "choices": ["a lamp", "sand"], "expected": "A"},
            {
                "q": "What do plants need?",
                "choices": ["coins", "rain"],
                "expected": "B",
            },
        ],
        grid=pl.Grid(
            model=["small"],
            prompt={"letters": "{{q}}\n" + options + "Answer with a letter:"},
            temperature=[0],
            max_tokens=[1],
            logprobs=[True],
            top_logprobs=[20],
        ),
        scorers=[acc, scorers.choice(["A", "B", "C", "D"])],
    ).run(client=client, progress=False)
    summary = results.summary()
    # experiment: end

    assert summary["acc"].tolist() == [1]
    assert results.table["choice"].fillna(0).tolist() == [0, 1]
