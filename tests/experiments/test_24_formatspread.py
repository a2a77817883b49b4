"""24, msclar/formatspread: how far is accuracy apart over formats of one prompt?

Whole for all formats, with an interval; the allocation by a bandit is not there.
"""

from __future__ import annotations

import promptlab as pl
from promptlab import scorers
from promptlab.testing import FakeClient, last_text


def routed(request: pl.Request) -> str:
    text = last_text(request)
    team = "billing" if "charged" in text or "card" in text else "technical"
    shouting = "TICKET" in text
    return "Hm" if shouting and request.model == "small" else f" {team}"


def test_24_formatspread() -> None:
    client = FakeClient(routed)

    # experiment
    prompt = "Ticket: The invoice is wrong\nTeam: billing\n\nTicket: {{ticket}}\nTeam:"
    results = pl.Experiment(
        "formats",
        dataset=[
            {"ticket": "I was charged twice", "expected": "billing"},
            {"ticket": "The app closes", "expected": "technical"},
            {"ticket": "My card was refused", "expected": "billing"},
        ],
        grid=pl.Grid(
            model=["small", "large"],
            prompt={"team": pl.Wordings(prompt, formats=9)},
            temperature=[0],
            max_tokens=[5],
        ),
        scorers=[scorers.starts_with(strip=True)],
    ).run(client=client, progress=False)
    spread = pl.sensitivity(results, "starts_with", by="model")
    # experiment: end

    assert spread.table.set_index("model")["spread"].to_dict() == {
        "small": 1,
        "large": 0,
    }
