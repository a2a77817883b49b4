"""19, hegelai/prompttools StructuredOutput.ipynb: is it JSON, is it Python?

Whole: whether it is Python is a function of one's own.
"""

from __future__ import annotations

import ast

import promptlab as pl
from promptlab import scorers
from promptlab.testing import FakeClient, last_text


def written(request: pl.Request) -> str:
    if "JSON" in last_text(request):
        return '{"task": "add"}' if "add" in last_text(request) else "{task: count}"
    return (
        "def f(x):\n    return x" if "add" in last_text(request) else "def f(x: return"
    )


def test_19_structured() -> None:
    client = FakeClient(written)

    # experiment
    def is_python(output: str) -> bool:
        try:
            return bool(ast.parse(output))
        except SyntaxError:
            return False

    results = pl.Experiment(
        "structured",
        dataset=[{"task": "count the words of a text"}, {"task": "add two numbers"}],
        grid=pl.Grid(
            model=["small"],
            temperature=[0],
            prompt={"json": "As JSON: {{task}}", "python": "In Python: {{task}}"},
        ),
        scorers=[scorers.is_json(), is_python],
    ).run(client=client, progress=False)
    summary = results.summary()
    # experiment: end

    assert summary["is_json"].to_dict() == {"json": 0.5, "python": 0}
    assert summary["is_python"]["python"] == 0.5
