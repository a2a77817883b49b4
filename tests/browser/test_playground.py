"""The playground in JupyterLab: two models side by side, a follow-up, its code."""

from __future__ import annotations

import re

from browser.driver import OpenNotebook, expect

SETUP = """
from promptlab.notebook.panel.playground import playground
play = playground(["offline/small", "offline/large"]); play
"""


def test_two_models_answer_a_conversation_that_becomes_code(
    open_notebook: OpenNotebook,
) -> None:
    notebook = open_notebook(SETUP)
    notebook.run_all()
    shown = notebook.output(0)
    expect(shown).to_contain_text("Write a message to begin.")
    message = shown.get_by_placeholder("Message, with")
    send = shown.get_by_role("button", name="Send")

    message.fill("Is {{it}} late? <img src='x' onerror='window.hacked = true'>")
    shown.get_by_label("it", exact=True).fill("my parcel")
    expect(shown).to_contain_text("2 calls to make")
    send.click()
    expect(shown).to_contain_text("Is my parcel late? <img src='x'")
    expect(message).to_have_value("")
    message.fill("And my invoice?")
    expect(shown).to_contain_text("2 trials · 2 calls to make")
    send.click()

    heads = shown.get_by_role("columnheader")
    expect(heads).to_have_text(["offline/small", "offline/large"])
    expect(shown.locator("tbody tr")).to_have_count(5)
    expect(shown).to_contain_text("2 trials · 2 cached · 0 calls to make")
    assert notebook.page.evaluate("window.hacked === undefined")
    shown.get_by_role("button", name="As code").press("Enter")
    expect(shown.locator("textarea").last).to_have_value(
        re.compile(r"pl\.Experiment\(.*And my invoice\?.*my parcel", re.S)
    )

    shown.get_by_role("button", name="Undo").click()
    expect(message).to_have_value("And my invoice?")
    expect(shown.locator("tbody tr")).to_have_count(3)
