"""A run in the background, in JupyterLab: ended by its button, and gone on with."""

from __future__ import annotations

import re

from browser.driver import OpenNotebook, expect

TRIALS = 300

SETUP = f"""
import promptlab as pl

experiment = pl.Experiment(
    "parcels",
    grid=pl.Grid(model=["offline/small"], prompt=["Where is parcel {{{{n}}}}?"]),
    dataset=[{{"n": n}} for n in range({TRIALS})],
)
"""
SLOWLY = "experiment.start(max_concurrency=1, rpm=60)"
TOLD = """
results = handle.result(30)
print(results.status, results.totals.answered, results.totals.calls)
"""


def test_the_stop_button_keeps_the_answers_that_came_and_only_the_rest_is_asked_then(
    open_notebook: OpenNotebook,
) -> None:
    notebook = open_notebook(
        SETUP, f"handle = {SLOWLY}", TOLD, "handle = experiment.start()", TOLD
    )
    notebook.run(0, 1)
    shown = notebook.output(1)
    expect(shown).to_contain_text(re.compile(rf"[1-9]\d*/{TRIALS}"))

    shown.get_by_role("button", name="Stop").click()

    expect(shown).to_contain_text("interrupted in")
    expect(shown.get_by_role("button")).to_have_count(0)
    kept = "".join(str(output["data"]) for output in notebook.bundles(1))
    assert "interrupted in" in kept
    assert "Stop" not in kept
    notebook.run(2, 3, 4)
    status, answered, calls = notebook.output(2).inner_text().split()
    assert status == "interrupted"
    assert 0 < int(answered) == int(calls) < TRIALS
    again = f"complete {TRIALS} {TRIALS - int(answered)}"
    assert notebook.output(4).inner_text().strip() == again
    expect(notebook.output(3)).to_contain_text(f"{answered} cached")
