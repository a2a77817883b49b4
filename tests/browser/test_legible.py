"""What views say can be read, in the light theme and in the dark one."""

from __future__ import annotations

from browser.driver import OpenNotebook, contrasts, expect, faint

SETUP = """
import promptlab as pl
experiment = pl.Experiment(
    "parcels",
    grid=pl.Grid(
        model=["offline/small"],
        prompt={"plain": "Where is parcel {{n}}?", "terse": "Parcel {{n}}?"},
        max_tokens=[1, 64],
    ),
    dataset=[{"n": n, "expected": "there"} for n in range(12)],
)
results = experiment.run(progress=False)

def ran():
    panel = pl.panel(experiment)
    panel.settle(60)
    panel.run_button.click()
    panel.settle(60)
    panel.editor.value = "Where is {{nothing}}?"
    panel.settle(60)
    return panel

def talked():
    play = pl.playground(["offline/small", "offline/none"], prompt="Hello {{you}}")
    play.settle(60)
    play.run_button.click()
    play.settle(60)
    return play

def explored():
    explorer = pl.explore(results)
    explorer.open_trials(0, 0)
    return explorer
"""
VIEWS = {
    "panel": "ran()",
    "playground": "talked()",
    "explorer": "explored()",
    "comparison": "pl.compare(results, by='prompt')",
    "pager": "pl.compare(results, 'prompt', engine='ipywidgets')",
    "rating": "pl.rate(results, by='prompt')",
    "card": "experiment",
    "plan": "experiment.plan()",
    "results": "results",
    "progress": "_ = experiment.run()",
    "stop button": "_ = experiment.start(use_cache=False, max_concurrency=1, rpm=60)",
}
"""Of each view, the last line of the cell that shows it."""


def test_all_that_views_say_can_be_read_in_both_themes(
    open_notebook: OpenNotebook,
) -> None:
    notebook = open_notebook(SETUP, *VIEWS.values())
    notebook.run_all()
    shown = {view: notebook.output(place) for place, view in enumerate(VIEWS, start=1)}
    for root in shown.values():
        expect(
            root.locator(":is(table, button, progress):visible").first
        ).to_be_visible()

    light = {view: contrasts(root) for view, root in shown.items()}
    notebook.use_dark_theme()
    schemes = notebook.page.locator("[data-scheme]")
    for root in schemes.all():
        expect(root).to_have_attribute("data-scheme", "dark")
    dark = {view: contrasts(root) for view, root in shown.items()}

    for contrast in (light, dark):
        assert all(contrast.values())
        found = {view: faint(texts) for view, texts in contrast.items()}
        assert {view: texts for view, texts in found.items() if texts} == {}
