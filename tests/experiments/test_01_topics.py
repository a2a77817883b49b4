"""01, druce/AInewsbot: the topics of news, by models of three vendors.

Whole, as each case lists its own words. Each vendor is another base URL; a delay for
one of them alone is not to be said, as the limiter learns it from each server.
"""

from __future__ import annotations

from pathlib import Path

import promptlab as pl
from promptlab import scorers
from promptlab.testing import FakeClient, last_text

NEWS = {
    "chips": "Two makers of chips for data centres report record orders.",
    "bees": "Beekeepers count more hives than last year, and fewer losses.",
    "rail": "The night train to the coast runs again, with new sleeping cars.",
}


def by_name(request: pl.Request) -> str:
    text = last_text(request).lower()
    words = [w for w in ("chips", "orders", "hives", "train", "coast") if w in text]
    return "" if request.model == "small" else ", ".join(words).title()


def test_01_topics(tmp_path: Path) -> None:
    client = FakeClient(by_name)
    for name, text in NEWS.items():
        (tmp_path / f"{name}.txt").write_text(text)

    # experiment
    words = {"chips": ["chips", "orders"], "bees": ["hives"], "rail": ["train"]}
    # glue: a text file is no value of an input
    cases = [
        {"id": name, "news": (tmp_path / f"{name}.txt").read_text(), "expected": wanted}
        for name, wanted in words.items()
    ]
    # glue: end
    vendors = {
        "model": ["small", "large", "other"],
        "base_url": [f"http://localhost:{port}/v1" for port in (8001, 8002, 8003)],
    }
    results = pl.Experiment(
        "topics",
        dataset=cases,
        grid=pl.Grid(prompt={"topics": "List the topics.\n\n{{news}}"}, zip=[vendors]),
        scorers=[scorers.icontains_all()],
    ).run(client=client, progress=False)
    summary = results.summary(by="model")
    # experiment: end

    assert summary["icontains_all"].to_dict() == {"small": 0, "large": 1, "other": 1}
    assert summary["icontains_all_n"].tolist() == [3, 3, 3]
