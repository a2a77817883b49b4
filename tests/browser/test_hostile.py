"""Hostile texts in every view: they stay texts, and turn nothing around."""

from __future__ import annotations

import re

from browser.driver import OpenNotebook, expect

SETUP = """
import sys
from pathlib import Path
import pandas as pd
import promptlab as pl
sys.path.insert(0, str(Path(pl.__file__).parents[1] / "tests"))
from promptlab.testing import FakeClient

TURN = "\\u2069\\u202eknird"
TEXTS = [
    "<img src=x onerror=\\"window.hacked = true\\">" + TURN,
    "</pre></td></table><script>window.hacked = true</script>" + TURN,
    "[link](javascript:window.hacked=true) "
    "<a href='javascript:window.hacked=true'>a</a>" + TURN,
    "x" * 1_000_000,
    "\\u0645\\u0631\\u062d\\u0628\\u0627 123 " + TURN,
    "e\\u0301 Z\\u0337\\u0327 \\u2067\\u05d0 " + TURN,
]
rows = [
    {"prompt": prompt, "case": f"{case}{TURN}", "field": text, "expected": text[:400],
     "repeat": 0, "output": f"{n} {text}", "output_tokens" + TURN: case + n,
     "ok": n == 0}
    for case, text in enumerate(TEXTS) for n, prompt in enumerate([TURN, TEXTS[0]])
]
table = pd.DataFrame(rows).rename(columns={"field": "field" + TURN})
table.insert(0, "trial", range(len(table)))
experiment = pl.Experiment(
    "\\u05e9\\u05dc\\u05d5\\u05dd",
    grid=pl.Grid(model=["fake"], prompt={
        TURN: "and {{text}}", TEXTS[0]: "{{text}}", TEXTS[4]: "{{text}} ?"}),
    dataset=[{"text": text} for text in TEXTS],
)

def answer(request):
    return str(request.body["messages"][-1]["content"])

def explored():
    explorer = pl.explore(table, "prompt", "case", "output_tokens" + TURN)
    explorer.open_trials(0, 0)
    return explorer

def ran():
    panel = pl.panel(experiment, client=FakeClient(answer))
    panel.settle(60)
    panel.run_button.click()
    panel.settle(60)
    return panel

def talked():
    play = pl.playground(["fake", "fake" + TURN], prompt=TEXTS[0],
                         client=FakeClient(answer))
    play.settle(60)
    for text in [*TEXTS, None]:
        play.run_button.click()
        play.settle(60)
        if text:
            play.message.value = text
            play.settle(60)
    return play

results = experiment.run(client=FakeClient(answer), progress=False)
"""
VIEWS = {
    "rating": "pl.rate(table, 'prompt')",
    "explorer": "explored()",
    "playground": "talked()",
    "panel": "ran()",
    "comparison": "pl.compare(table, 'prompt')",
    "pager": "pl.compare(table, 'prompt', engine='ipywidgets')",
    "static": "from IPython.display import HTML\n"
    "HTML(pl.compare(table, 'prompt')._repr_mimebundle_()[0]['text/html'])",
    "experiment": "experiment",
    "plan": "experiment.plan(client=FakeClient(answer))",
    "results": "results",
    "progress": "_ = experiment.run(client=FakeClient(answer))",
}
"""Of each view, the last line of the cell that shows it."""

MADE = "img[src='x'], script, a[href], iframe"

TURNED = """(root) => {
    const hostile = /\\u202eknird/g;
    const turned = [];
    const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
        if (!node.parentElement.checkVisibility() || node.data.length > 5000) continue;
        if (node.parentElement.matches("style, option, textarea")) continue;
        const ours = node.data.replaceAll(hostile, (text) => " ".repeat(text.length));
        for (const { index } of ours.matchAll(/[A-Za-z]{2}/g)) {
            const [first, second] = [0, 1].map((place) => {
                const range = document.createRange();
                range.setStart(node, index + place);
                range.setEnd(node, index + place + 1);
                return range.getBoundingClientRect();
            });
            if (first.top === second.top && second.left < first.left)
                turned.push(ours.slice(Math.max(0, index - 20), index + 20));
        }
    }
    return turned;
}"""


def test_hostile_texts_stay_texts_and_turn_nothing_around(
    open_notebook: OpenNotebook,
) -> None:
    notebook = open_notebook(SETUP, *VIEWS.values())
    notebook.run_all()

    turned, made, wide = {}, {}, {}
    for place, view in enumerate(VIEWS, start=1):
        shown = notebook.output(place)
        expect(shown).to_contain_text(re.compile("knird|\u05e9\u05dc\u05d5\u05dd"))
        turned[view] = shown.evaluate(TURNED)
        made[view] = shown.locator(MADE).count()
        wide[view] = shown.evaluate("node => node.scrollWidth - node.clientWidth > 1")

    assert {view: found for view, found in turned.items() if found} == {}
    assert {view for view, found in made.items() if found} == set()
    assert {view for view, found in wide.items() if found} == set()
    assert notebook.page.evaluate("window.hacked === undefined")
