"""The explorer in JupyterLab: pick, move by keys, open the trials of a number."""

from __future__ import annotations

from typing import TYPE_CHECKING

from browser.driver import NotebookPage, OpenNotebook, expect
from browser.labserver import LabServer

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext

SETUP = """
import pandas as pd
from promptlab.notebook.explore.explore import explore

HOSTILE = "<img src='x' onerror='window.hacked = true'>"
rows = [
    {"prompt": prompt, "temperature": heat, "case": f"c{case}", "repeat": 0,
     "output": f"{prompt} says {case} {HOSTILE}", "output_tokens": case + 10 * heat}
    for case in range(6) for prompt in ("plain", HOSTILE) for heat in (0, 1)
]
table = pd.DataFrame(rows)
table.insert(0, "trial", range(len(table)))
"""


def test_a_number_is_reached_by_keys_and_opens_its_trials(
    open_notebook: OpenNotebook,
) -> None:
    notebook = open_notebook(SETUP, "explorer = explore(table); explorer", "1 + 1")
    notebook.run_all()
    shown, page = notebook.output(1), notebook.page
    numbers = shown.locator(".promptlab-pivot button")
    expect(numbers).to_have_count(9)

    shown.get_by_label("Measure").select_option("trials")
    expect(numbers.first).to_have_attribute("aria-label", "plain, 0: 6, 6 trials; open")
    numbers.first.focus()
    for key in ("ArrowRight", "ArrowDown", "d", "d", "x", "b", "m"):
        page.keyboard.press(key)
    expect(page.locator(".jp-Notebook-cell")).to_have_count(3)
    expect(numbers.nth(4)).to_be_focused()
    page.keyboard.press("Enter")

    expect(shown).to_contain_text("6 trials: prompt <img src='x'")
    expect(numbers.nth(4)).to_have_attribute("aria-pressed", "true")
    expect(shown.locator(".promptlab-compare")).to_contain_text("says 0 <img")
    assert page.evaluate("window.hacked === undefined")

    shown.get_by_label("Rows", exact=True).select_option("case")
    expect(shown.locator(".promptlab-compare")).to_have_count(0)
    expect(numbers).to_have_count(21)
    _, static = notebook.bundles(1)
    assert "trials" in "".join(static["data"]["text/html"])


def test_numbers_are_legible_on_their_heat_in_both_themes(
    open_notebook: OpenNotebook,
) -> None:
    notebook = open_notebook(SETUP, "explore(table, 'case', 'temperature')")
    notebook.run_all()
    numbers = notebook.output(1).locator(".promptlab-pivot button:not(.plv-all)")
    expect(numbers).to_have_count(12)

    seen = {}
    for theme in ("light", "dark"):
        if theme == "dark":
            notebook.use_dark_theme()
        root = notebook.output(1).locator(".promptlab-pivot")
        expect(root).to_have_attribute("data-scheme", theme)
        seen[theme] = numbers.evaluate_all(
            "all => all.map(n => getComputedStyle(n)).map(s => [s.color, "
            "s.backgroundColor])"
        )
    for pairs in seen.values():
        assert {ink for ink, _ in pairs} == {"rgb(0, 0, 0)", "rgb(255, 255, 255)"}
        assert len({paper for _, paper in pairs}) > 4
    assert seen["light"] != seen["dark"]


def test_a_saved_notebook_shows_the_table_without_its_kernel(
    open_notebook: OpenNotebook, lab: LabServer, context: BrowserContext
) -> None:
    notebook = open_notebook(SETUP, "explore(table)")
    notebook.run_all()
    static = notebook.output(1).get_by_text("run this cell in a notebook")
    expect(notebook.output(1).locator(".promptlab-pivot button")).to_have_count(9)
    expect(static).to_be_hidden()
    notebook.save()
    lab.reset()

    again = NotebookPage.open(context.new_page(), lab, notebook.path)

    expect(again.output(1).get_by_text("run this cell in a notebook")).to_be_visible()
    expect(again.output(1)).to_contain_text("<img src='x'")
