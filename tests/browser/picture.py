"""The picture of the README: a comparison of three prompts, on the offline model.

PYTHONPATH=tests python -m browser.picture FILE
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from browser.chromium import PATIENCE_MS, find_chromium, headless
from browser.driver import NotebookPage, write_notebook
from browser.labserver import lab_server

RUN = """
from pathlib import Path
import promptlab as pl
datasets = Path(pl.__file__).parents[1] / "datasets"
experiment = pl.load_experiment(datasets / "support_tickets" / "experiment.yaml")
results = experiment.only(temperature=0, system="none").run(progress=False)
table = results.table
table = table[(table["prompt"] != "steps") | (table["max_tokens"] == 64)]
table["right"] = table["output"].str.split().str[-1] == table["expected"]
"""
SHOWN = "pl.compare(table, by='prompt', columns=['steps', 'plain', 'definitions'])"
WIDTH = 1090
"""Of the page, in pixels, so that a comparison is about as wide as a README."""


def main(file: Path) -> None:
    """Takes the picture."""
    with (
        tempfile.TemporaryDirectory() as scratch,
        lab_server(Path(scratch) / "lab") as lab,
        headless(find_chromium()) as browser,
    ):
        page = browser.new_page(
            viewport={"width": WIDTH, "height": 1400}, device_scale_factor=1.4
        )
        page.set_default_timeout(PATIENCE_MS)
        path = lab.root / "picture.ipynb"
        write_notebook(path, (RUN, SHOWN))
        notebook = NotebookPage.open(page, lab, path)
        notebook.run_all()
        shown = notebook.output(1).locator(".promptlab-compare")
        shown.get_by_role("button", name="Wrong").click()
        shown.get_by_text(" of 80 rows").wait_for()
        notebook.cell(1).screenshot(path=file)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
