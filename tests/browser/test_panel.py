"""The panel in JupyterLab: choose, see what it would cost, run, compare, stop."""

from __future__ import annotations

import re

from browser.driver import OpenNotebook, expect

SETUP = """
import promptlab as pl
from promptlab.notebook.panel.panel import panel

HOSTILE = "<img src='x' onerror='window.hacked = true'>"

def experiment(cases):
    return pl.Experiment(
        "triage",
        grid=pl.Grid(
            model=["offline/small", "offline/large"],
            prompt={"plain": "Billing or shipping? {{ticket}}", HOSTILE: "{{ticket}}"},
            temperature=[0, 0.7],
        ),
        dataset=[{"ticket": f"parcel {n} {HOSTILE}"} for n in range(cases)],
    )
"""


def test_choices_change_the_plan_and_a_run_shows_the_comparison(
    open_notebook: OpenNotebook,
) -> None:
    notebook = open_notebook(SETUP, "panel(experiment(3))")
    notebook.run_all()
    shown = notebook.output(1)
    expect(shown).to_contain_text("24 trials · 24 calls to make")

    shown.get_by_label("0.7").uncheck()
    expect(shown).to_contain_text("12 trials · 12 calls to make")
    editor = shown.locator("textarea").first
    editor.fill("Which team? {{tickt}}")
    expect(shown.get_by_role("alert").first).to_contain_text("needs ['tickt']")
    expect(shown.get_by_role("button", name="Run")).to_be_disabled()
    editor.fill("Which team? {{ticket}}")
    expect(shown).to_contain_text("12 trials · 12 calls to make")
    shown.get_by_role("button", name="Run").click()

    comparison = shown.locator(".promptlab-compare")
    expect(comparison).to_contain_text("offline/large")
    expect(comparison).to_contain_text("<img src='x'")
    expect(shown).to_contain_text("12 trials · 12 cached · 0 calls to make")
    assert notebook.page.evaluate("window.hacked === undefined")
    shown.get_by_role("button", name="As code").press("Enter")
    code = shown.locator("textarea").nth(1)
    expect(code).to_have_value(re.compile(r"Which team\? .*only\(temperature", re.S))
    _, static = notebook.bundles(1)
    assert "24 trials" in "".join(static["data"]["text/html"])


def test_stopping_keeps_the_answers_that_came(open_notebook: OpenNotebook) -> None:
    notebook = open_notebook(SETUP, "panel(experiment(100), max_concurrency=1, rpm=60)")
    notebook.run_all()
    shown = notebook.output(1)
    expect(shown).to_contain_text("800 trials · 800 calls to make")

    shown.get_by_role("button", name="Run").click()
    expect(shown).to_contain_text(re.compile(r"[1-9]\d*/800"))
    shown.get_by_role("button", name="Stop").click()

    expect(shown).to_contain_text("interrupted")
    expect(shown.locator(".promptlab-compare")).to_be_visible()
    expect(shown).to_contain_text(re.compile(r"800 trials · [1-9]\d* cached"))
    expect(shown.get_by_role("button", name="Run")).to_be_enabled()


def test_every_control_has_a_name_for_screen_readers(
    open_notebook: OpenNotebook,
) -> None:
    notebook = open_notebook(SETUP, "panel(experiment(3))", "pl.playground()")
    notebook.run_all()

    panel, play = notebook.output(1), notebook.output(2)
    expect(panel.get_by_role("group", name="prompt")).to_be_visible()
    expect(panel.get_by_role("slider", name="How many cases")).to_be_visible()
    expect(panel.get_by_label("How often each case is asked")).to_be_visible()
    expect(panel.get_by_role("textbox", name="Text")).to_be_visible()
    expect(play.get_by_role("button", name="Remove this column")).to_be_visible()
    for shown in (panel, play):
        snapshot = shown.aria_snapshot()
        nameless = re.findall(r"- (?:button|textbox|slider|combobox):? *\n", snapshot)
        assert nameless == [], snapshot
