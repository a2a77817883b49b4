"""03, Autonoma-Tools/llm-unit-testing: tickets summarised as JSON.

A schema and forbidden phrases for all cases, checks of one case for some, among them a
rubric; the exit code is `--threshold` of the same in a config.
"""

from __future__ import annotations

import json

import promptlab as pl
from promptlab import scorers
from promptlab.testing import FakeClient, last_text

from .fakes import shown_to_judge, verdict


def summarised(request: pl.Request) -> str:
    if request.model == "judge":
        return verdict("because" not in shown_to_judge(request)["output"])
    crash = "crash" in last_text(request)
    found = {
        "account": "ACC-204" if crash else "ACC-117",
        "category": "bug" if crash else "billing",
        "urgency": 4 if crash else 2,
        "summary": "The export crashes because of memory."
        if crash
        else "Billed twice.",
    }
    return json.dumps(found)


def test_03_ticket_summary() -> None:
    client = FakeClient(summarised)

    # experiment
    schema = {
        "type": "object",
        "additionalProperties": False,
        "required": ["account", "category", "urgency", "summary"],
        "properties": {
            "account": {"type": "string", "pattern": "^(ACC-[0-9]{3}|unknown)$"},
            "category": {"enum": ["billing", "bug", "other"]},
            "urgency": {"type": "integer", "minimum": 1, "maximum": 5},
            "summary": {"type": "string", "minLength": 10},
        },
    }
    faithful = {"name": "faithful", "model": "judge", "rubric": "It invents no cause."}
    cases = [
        {
            "id": "twice",
            "ticket": "ACC-117: you billed us twice in May.",
            "expected": {"category": "billing"},
            "checks": [{"contains": "ACC-117"}],
        },
        {
            "id": "crash",
            "ticket": "ACC-204: the export is a crash every time.",
            "expected": {"category": "bug"},
            "checks": [{"contains": "ACC-204"}, {"judge": faithful}],
        },
    ]
    results = pl.Experiment(
        "tickets",
        dataset=cases,
        grid=pl.Grid(
            model=["small"],
            system=["Summarise the ticket as JSON."],
            prompt=["{{ticket}}"],
            temperature=[0],
            response_format=[{"type": "json_object"}],
        ),
        scorers=[
            scorers.is_json(schema),
            scorers.not_(scorers.icontains_any(["best regards", "let me know"])),
            scorers.json_field("$.category"),
        ],
    ).run(client=client, progress=False)
    table = results.table
    # experiment: end

    for name in ("is_json", "not_icontains_any", "json_field"):
        assert table[name].tolist() == [1, 1], name
    assert table["passed"].tolist() == [1, 0]
    assert "judge" in table["passed_explanation"][1]
    assert results.parsed["urgency"].tolist() == [2, 4]
    assert results.totals.judgements == 1
