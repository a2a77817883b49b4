"""20, ianarawjo/ChainForge chaining-prompts: answers of several models as the texts of
a second prompt.

Whole: what the first stage varied travels along, as `source_model`.
"""

from __future__ import annotations

import promptlab as pl
from promptlab import scorers
from promptlab.testing import FakeClient, last_text


def telling(request: pl.Request) -> str:
    text = last_text(request)
    if text.startswith("List"):
        return ", ".join(word for word in text.split() if word.istitle())[6:]
    name = "Ada" if request.model == "a" else "Ada Bea Cleo"
    return f"The {text.split()[-1].rstrip('?')} was made by {name} in Rome"


def test_20_chaining() -> None:
    client = FakeClient(telling)

    # experiment
    first = pl.Experiment(
        "inventors",
        dataset=[{"tool": tool} for tool in ("kettle", "lamp")],
        repeats=2,
        grid={"model": ["a", "b"], "prompt": ["Who invented the {{tool}}?"]},
    ).run(client=client, progress=False)

    @scorers.scorer
    def entities(output: str) -> int:
        return output.count(",") + 1

    second = pl.Experiment(
        "entities",
        dataset=first.to_dataset(rename={"output": "text"}),
        grid={"model": ["a"], "prompt": ["List all names, with commas:\n{{text}}"]},
        scorers=[entities],
    ).run(client=client, progress=False)
    table = second.summary(by=["tool", "source_model"])["entities"].unstack()
    # experiment: end

    assert table.to_dict() == {
        "a": {"kettle": 3, "lamp": 3},
        "b": {"kettle": 5, "lamp": 5},
    }
    assert second.totals.stages[0].experiment == "inventors"
