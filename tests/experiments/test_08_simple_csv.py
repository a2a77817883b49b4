"""08, promptfoo/promptfoo examples/simple-csv: two prompts, side by side.

Whole: prompts between lines of `---`, cases in CSV, checks under `__expected`.
"""

from __future__ import annotations

from pathlib import Path

import promptlab as pl
from promptlab.testing import FakeClient, last_text

PROMPTS = "Translate to {{language}}: {{text}}\n---\nSay in {{language}}: {{text}}\n"
CASES = """language,text,__expected
German,Good morning,contains: Morgen
French,Good evening,Bonsoir
"""


def translated(request: pl.Request) -> str:
    word = "Guten Morgen" if "German" in last_text(request) else "Bonsoir"
    return word if last_text(request).startswith("Say") else f"{word}!"


def test_08_simple_csv(tmp_path: Path) -> None:
    client = FakeClient(translated)
    prompts, cases = tmp_path / "prompts.txt", tmp_path / "tests.csv"
    prompts.write_text(PROMPTS)
    cases.write_text(CASES)

    # experiment
    results = pl.Experiment(
        "translate",
        dataset=cases,
        grid={"model": ["small"], "prompt": pl.Prompt.all_from_file(prompts)},
    ).run(client=client, progress=False)
    comparison = pl.compare(results, by="prompt")
    # experiment: end

    assert results.summary()["passed"].tolist() == [0.5, 1]
    assert "Bonsoir" in comparison._repr_html_()
