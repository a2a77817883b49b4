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

RUN = """
from pathlib import Path
import pandas as pd
import promptlab as pl
datasets = Path(pl.__file__).parents[1] / "datasets"
texts = pl.load_experiment(datasets / "content_creation" / "experiment.yaml")
texts = texts.only(temperature=0).with_repeats(1)
results = texts.run(progress=False)
tickets = pl.load_experiment(datasets / "support_tickets" / "experiment.yaml")
wide = tickets.run(progress=False)
prices = {"offline/*": {"input": 1, "output": 4}}  # made up
priced = tickets.run(prices=prices, progress=False)
word = "Donaudampfschifffahrtsgesellschaftskapitän" * 4
hard = pd.DataFrame([
    {"prompt": f"{word[:30]} {n}", "case": case, "text": text,
     "expected": expected, "output": output if n else text,
     "error": error if n == 3 else None}
    for case, text, expected, output, error in [
        (word, word, word, f"{word} and more", "429: " + word),
        ("empty", "", "", "", "500: the server had an error"),
        ("right to left", "שלום עולם", "שלום", "مرحبا بالعالم", "400: too long"),
        ("markup", "<b>bold</b> *star* $x$", "", "<script>alert(1)</script>", "x"),
        ("long", "word " * 300, "word " * 200, "word " * 250 + "end", "y"),
    ]
    for n in range(6)
])
hard.insert(0, "trial", range(len(hard)))
hard.loc[hard["error"].notna(), "output"] = None
panel = pl.panel(texts)
panel.run_button.click()
panel.settle(60)
wrong = pl.panel(texts)
wrong.editor.value = "Write {{brif}}"
wrong.settle(60)
talk = pl.playground(["offline/small", "offline/large"], prompt="Hi, what is new?")
talk.settle(60)
talk.send_button.click()
talk.settle(60)
talk.columns.children[1].model.value = "offline/none"
talk.message.value = "Answer in one word: is a lamp that lasts 40 hours good? " + word
talk.settle(60)
talk.send_button.click()
talk.settle(60)
explorer = pl.explore(wide)
explorer.open_trials(0, 1)
days = pd.date_range("2026-11-01", periods=14)
usage = pd.DataFrame([
    {"day": day, "model": model, "cost_usd": (n * step % 5) + 0.4, "requests": 40 + n}
    for n, day in enumerate(days) for step, model in enumerate(["small", "large"], 2)
])
"""

VIEWS = {
    "comparison": "pl.compare(results, by='prompt')",
    "comparison-wide": "pl.compare(wide, by=['prompt', 'max_tokens', 'system'])",
    "comparison-hard": "pl.compare(hard, by='prompt')",
    "comparison-pager": "pl.compare(hard, by='prompt', engine='ipywidgets')",
    "rating": "pl.rate(results, by='prompt', seed=1)",
    "rating-none": "pl.rate(hard[:0], by='prompt')",
    "tokens": "pl.plot_tokens(wide, by='prompt')",
    "cost": "pl.plot_cost(priced, by='prompt')",
    "lengths": "pl.plot_lengths(wide, by='prompt')",
    "latency": "pl.plot_latency(wide, by='prompt')",
    "heatmap": "pl.plot_heatmap(wide, rows='prompt', columns='system')",
    "usage": "pl.plot_usage(usage)",
    "panel": "pl.panel(tickets)",
    "panel-run": "panel",
    "panel-wrong": "wrong",
    "playground": "pl.playground(['offline/small', 'offline/large'], prompt='Hi')",
    "playground-talk": "talk",
    "explorer": "explorer",
    "card": "tickets",
    "plan": "tickets.plan(prices=prices, use_cache=False)",
    "results": "wide",
}
"""Of each picture, the last line of the cell that it shows."""


ROOM = 660
"""How much of a laptop's screen JupyterLab leaves to a cell."""


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
        shown.locator(":is(table, img, button, details, h3):visible").first.wait_for()
        high = shown.evaluate("node => Math.ceil(node.getBoundingClientRect().height)")
        room = 768 if high < ROOM else high + 450  # a comparison grows with its page
        page.set_viewport_size({"width": 1366, "height": room})
        shown.screenshot(path=folder / f"{name}-{theme}.png")
    page.close()
    lab.reset()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
