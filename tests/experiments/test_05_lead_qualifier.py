"""05, KVM1L03/lead-ia: labelled leads in JSONL, small models of three vendors.

Whole, but that inputs below `vars`, as promptfoo's JSONL has them, are lifted by hand.
"""

from __future__ import annotations

import json
from pathlib import Path

import promptlab as pl
from promptlab import scorers
from promptlab.testing import FakeClient, last_text

LEADS = [
    {"description": "bakery", "vars": {"lead": "3 people", "expected": False}},
    {"description": "mill", "vars": {"lead": "200 people", "expected": True}},
]


def qualified(request: pl.Request) -> str:
    large = "200" in last_text(request) or request.model == "a"
    answer = json.dumps({"qualified": large, "score": 8 if large else 2, "fit": {}})
    return f"```json\n{answer}\n```" if request.model == "b" else answer


def test_05_lead_qualifier(tmp_path: Path) -> None:
    client = FakeClient(qualified)
    gold = tmp_path / "gold.jsonl"
    gold.write_text("\n".join(map(json.dumps, LEADS)))

    # experiment
    # glue: inputs below `vars`
    rows = [json.loads(line) for line in gold.read_text().splitlines()]
    cases = [{"id": row["description"], **row["vars"]} for row in rows]
    # glue: end
    shape = {
        "type": "object",
        "required": ["qualified", "score", "fit"],
        "properties": {
            "qualified": {"type": "boolean"},
            "score": {"type": "number"},
            "fit": {"type": "object"},
        },
    }
    results = pl.Experiment(
        "leads",
        dataset=cases,
        grid=pl.Grid(
            model=["a", "b", "c"],
            prompt=["Is this a lead for us? Answer in JSON. {{lead}}"],
            temperature=[0],
            max_tokens=[512],
        ),
        scorers=[
            scorers.is_json(shape, transform=scorers.strip_fences, name="shape"),
            scorers.json_field("$.qualified", name="label"),
            scorers.latency(threshold=5),
        ],
    ).run(client=client, progress=False)
    leaderboard = pl.leaderboard(results, "label", baseline="a")
    written = results.to(tmp_path / "latest.jsonl")
    # experiment: end

    assert results.summary()["shape"].tolist() == [1, 1, 1]
    assert results.summary()["label"].tolist() == [0.5, 1, 1]
    assert leaderboard.table["model"].tolist()[0] in ("b", "c")
    assert pl.read_results(written)["label"].tolist() == results.table["label"].tolist()
