"""Screenshots: pictures of the notebook's views, in light and dark, to look at.

    PYTHONPATH=tests python -m browser.screenshots FOLDER

`browser.picture` takes the one of the README.
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
talk.run_button.click()
talk.settle(60)
talk.columns.children[1].model.value = "offline/none"
talk.message.value = "Answer in one word: is a lamp that lasts 40 hours good? " + word
talk.settle(60)
talk.run_button.click()
talk.settle(60)
explorer = pl.explore(wide)
explorer.open_trials(0, 1)
broken = pl.explore(hard, measure="share failed")
broken.open_trials(0, -1)
rated = pl.rate(results, by="prompt", seed=2)
pair = rated.answer({"ask": "show"})
for choice in ["left", "right", "tie", "right", "skip"] * 9:
    if pair["show"] == "pair":
        pair = rated.answer({"ask": "vote", "turn": pair["turn"], "choice": choice})
rated.answer({"ask": "reveal", "turn": pair["turn"], "early": True})
judged = tickets.only(temperature=0, system="none").run(progress=False).table
last = judged["output"].str.split().str[-1]
judged["right"] = last == judged["expected"]
judged["words"] = judged["output"].str.split().str.len()
judged["tone"] = last.map({"billing": "dry", "sales": "warm"}).fillna("plain")
markdown = pd.DataFrame([
    {"trial": n, "prompt": name, "case": "list", "output": text}
    for n, (name, text) in enumerate({
        "table": "# Teams\\n\\n| team | for |\\n| --- | --- |\\n| billing | *money* |"
                 "\\n| sales | `before` buying |\\n\\n> a quote\\n\\nA [link](http://x.test).",
        "list": "## Steps\\n\\n1. **Read** it\\n2. Think\\n   - of this\\n"
                "   - of that\\n3. Answer\\n\\n"
                "```python\\nprint('a long line of code ' * 10)\\n```",
    }.items())
])
failing = pl.panel(texts.only(temperature=0), base_url="http://127.0.0.1:9/v1",
                   api_key="none", max_attempts=1)
failing.settle(60)
failing.run_button.click()
failing.settle(60)
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
    "comparison-request": "pl.compare(results, by='prompt')",
    "comparison-rendered": "pl.compare(markdown, by='prompt')",
    "comparison-marked": "pl.compare(wide, by='prompt', name='marked')",
    "comparison-judged": "pl.compare(judged, by=['prompt', 'max_tokens'])",
    "comparison-nothing": "pl.compare(results, by='prompt')",
    "rating": "pl.rate(results, by='prompt', seed=1)",
    "rating-tally": "rated",
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
    "panel-failed": "failing",
    "explorer": "explorer",
    "explorer-failures": "broken",
    "card": "tickets",
    "plan": "tickets.plan(prices=prices, use_cache=False)",
    "results": "wide",
    "progress": "handle = tickets.start(max_concurrency=1, rpm=60, use_cache=False)",
}
"""Of each picture, the last line of the cell that it shows."""

PRESSED = {
    "comparison-request": ["r"],
    "comparison-rendered": ["t"],
    "comparison-marked": ["m", "n", *"right", "Enter"],
    "comparison-nothing": ["/", *"nowhere"],
}
"""The keys that are pressed in the first output of some before."""
PAUSE_MS = 200
"""After each of them, for what they change."""

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
        if name in PRESSED:
            shown.get_by_role("gridcell").first.click()
        for key in PRESSED.get(name, ()):
            page.keyboard.press(key)
            page.wait_for_timeout(PAUSE_MS)
        high = shown.evaluate("node => Math.ceil(node.getBoundingClientRect().height)")
        room = 768 if high < ROOM else high + 450  # a comparison grows with its page
        page.set_viewport_size({"width": 1366, "height": room})
        shown.screenshot(path=folder / f"{name}-{theme}.png")
    page.close()
    lab.reset()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
