"""Screenshots: pictures of the notebook's views, in light and dark, to look at.

    PYTHONPATH=tests python -m browser.screenshots FOLDER

One of them, `comparison-light.png`, is the picture of the README.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser

from browser.chromium import PATIENCE_MS, find_chromium, headless
from browser.driver import NotebookPage, write_notebook
from browser.labserver import LabServer, lab_server

ROOT = Path(__file__).parents[2]

RUN = f"""
from pathlib import Path
import promptlab as pl
datasets = Path(r"{ROOT}/datasets")
texts = pl.load_experiment(datasets / "content_creation" / "experiment.yaml")
texts = texts.only(temperature=0).with_repeats(1)
results = texts.run(progress=False)
tickets = pl.load_experiment(datasets / "support_tickets" / "experiment.yaml")
wide = tickets.run(progress=False)
"""

VIEWS = {
    "comparison": "pl.compare(results, by='prompt')",
    "comparison-wide": "pl.compare(wide, by=['prompt', 'max_tokens', 'system'])",
    "rating": "pl.rate(results, by='prompt', seed=1)",
    "tokens": "pl.plot_tokens(wide, by='prompt')",
    "lengths": "pl.plot_lengths(wide, by='prompt')",
    "latency": "pl.plot_latency(wide, by='prompt')",
    "heatmap": "pl.plot_heatmap(wide, rows='prompt', columns='system')",
    "panel": "pl.panel(texts)",
    "playground": "pl.playground(['offline/small', 'offline/large'], prompt='Hi')",
    "explorer": "pl.explore(wide)",
    "card": "tickets",
    "plan": "tickets.plan(prices={'offline/*': {'input': 1, 'output': 4}})",
    "results": "wide",
}
"""Of each picture, the last line of the cell that it shows."""


def main(folder: Path) -> None:
    """Takes all pictures, those of both themes."""
    folder.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as scratch,
        lab_server(Path(scratch) / "lab") as lab,
        headless(find_chromium()) as browser,
    ):
        for theme in ("light", "dark"):
            _take(browser, lab, folder, theme)


def _take(browser: Browser, lab: LabServer, folder: Path, theme: str) -> None:
    page = browser.new_page(viewport={"width": 1366, "height": 768})
    page.set_default_timeout(PATIENCE_MS)
    path = lab.root / f"views-{theme}" / "views.ipynb"
    write_notebook(path, [RUN, *VIEWS.values()])
    notebook = NotebookPage.open(page, lab, path)
    notebook.run_all()
    if theme == "dark":
        notebook.use_dark_theme()
    for number, name in enumerate(VIEWS, start=1):
        shown = notebook.output(number)
        shown.scroll_into_view_if_needed()
        shown.locator(":is(table, img, button, details):visible").first.wait_for()
        shown.screenshot(path=folder / f"{name}-{theme}.png")
    page.close()
    lab.reset()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
