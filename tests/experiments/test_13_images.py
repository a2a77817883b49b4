"""13, UKGovernmentBEIS/inspect_ai examples/images: questions on pictures.

Whole: pictures are parts of messages, read from files beside the dataset.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path

import promptlab as pl
from promptlab import scorers
from promptlab.testing import FakeClient

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAA"
    "AABJRU5ErkJggg=="
)


def seen(request: pl.Request) -> str:
    text, picture = request.body["messages"][-1]["content"]
    assert picture["image_url"]["url"].startswith("data:image/png;base64,")
    return "[red]" if "colour" in text["text"] else "[a dot]"


def test_13_images(tmp_path: Path) -> None:
    client = FakeClient(seen)
    (tmp_path / "dot.png").write_bytes(PIXEL)
    cases = tmp_path / "cases.jsonl"
    cases.write_text(
        "\n".join(
            json.dumps({"picture": "dot.png", "question": q, "expected": e})
            for q, e in (("Which colour?", "[red]"), ("What is it?", "[a line]"))
        )
    )

    # experiment
    question = [{"type": "text", "text": "{{question}}"}, {"image": "{{picture}}"}]
    results = pl.Experiment(
        "images",
        dataset=cases,
        grid=pl.Grid(
            model=["small"],
            system=["Answer with one value in brackets."],
            prompt={"ask": [{"role": "user", "content": question}]},
        ),
        scorers=[scorers.exact()],
    ).run(client=client, progress=False)
    # experiment: end

    assert results.table["exact"].tolist() == [1, 0]
