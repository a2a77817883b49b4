"""Saved notebooks in JupyterLab: what views leave behind is read without a kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from browser.driver import NotebookPage, OpenNotebook, expect
from browser.labserver import LabServer

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext

SETUP = """
import pandas as pd
import promptlab as pl

rows = [{"prompt": p, "case": c, "repeat": 0, "output": f"{p} says {c}"}
        for c in ("c1", "c2") for p in ("plain", "steps")]
table = pd.DataFrame(rows)
table.insert(0, "trial", range(len(table)))
experiment = pl.Experiment(
    "triage", grid={"model": ["offline/small"], "prompt": ["Which? {{t}}"]},
    dataset=[{"t": "a"}],
)
"""
LEFT = {
    "pl.compare(table, 'prompt')": "steps says c2",
    "pl.compare(table, 'prompt', engine='ipywidgets')": "steps says c2",
    "pl.rate(table, 'prompt')": "0 of 2 pairs voted",
    "pl.explore(table)": "run this cell in a notebook",
    "pl.panel(experiment)": "triage",
    "pl.playground(['offline/small'])": "To talk, run this cell in a notebook.",
    "experiment.run()": "complete in",
}
"""Of each view, what a saved notebook shows of it."""


def test_each_view_leaves_what_can_be_read_without_a_kernel(
    open_notebook: OpenNotebook, lab: LabServer, context: BrowserContext
) -> None:
    notebook = open_notebook(SETUP, *LEFT)
    notebook.run_all()
    notebook.save()
    lab.reset()

    again = NotebookPage.open(context.new_page(), lab, notebook.path)

    for number, said in enumerate(LEFT.values(), start=1):
        expect(again.output(number).get_by_text(said).first).to_be_visible()
