"""The blind comparison in JupyterLab: keys, restarts, and no name too early."""

from __future__ import annotations

import json
import re
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from browser.driver import (
    NotebookPage,
    OpenNotebook,
    Traffic,
    contrasts,
    expect,
    faint,
)

if TYPE_CHECKING:
    from playwright.sync_api import Locator

TABLE = """
import pandas as pd
from promptlab.notebook.rate.rate import rate

PLAIN, STEPS = "".join(reversed("nialp-terces")), "".join(reversed("spets-terces"))
HOSTILE = "<img src='x' onerror='window.hacked = true'><b>bold</b>"

def table(cases):
    rows = [
        {"prompt": name, "case": str(case), "ticket": f"ticket {case} {HOSTILE}",
         "expected": "billing", "repeat": 0, "output": f"{kind} {case} {HOSTILE}"}
        for case in range(cases) for name, kind in ((PLAIN, "short"), (STEPS, "long"))
    ]
    table = pd.DataFrame(rows)
    table.insert(0, "trial", range(len(table)))
    return table
"""
NAMES = ("secret-plain", "secret-steps")


def rating(notebook: NotebookPage, cell: int = 1) -> Locator:
    return notebook.output(cell).get_by_role("group", name="Blind comparison")


def progress(root: Locator) -> Locator:
    return root.locator(".pr-progress")


def press(root: Locator, keys: str) -> None:
    """Presses one key after the other, each once the vote before it is stored."""
    for key in keys.split():
        before = progress(root).inner_text()
        root.press(key)
        expect(progress(root)).not_to_have_text(before)


def lines(notebook: NotebookPage) -> list[dict[str, object]]:
    """What is on disk."""
    file = notebook.path.parent / ".promptlab" / "promptlab.sqlite"
    with closing(sqlite3.connect(file)) as database:
        rows = database.execute("SELECT line FROM votes ORDER BY id").fetchall()
    return [json.loads(line) for (line,) in rows]


def test_votes_by_keyboard_are_on_disk_and_jupyter_sees_no_key(
    open_notebook: OpenNotebook,
) -> None:
    notebook = open_notebook(TABLE, "r = rate(table(9)); r", "print(r)")
    notebook.run_all()
    root = rating(notebook)
    expect(progress(root)).to_have_text("0 of 9 pairs")

    root.click(position={"x": 4, "y": 4})
    press(root, "1 ArrowRight 0 t s ArrowLeft")
    votes = [line["choice"] for line in lines(notebook)]
    assert votes == ["left", "right", "tie", "tie", "skip", "left"]
    root.press("u")
    expect(progress(root)).to_have_text("5 of 9 pairs · 1 skipped")
    expect(root.get_by_role("status")).to_contain_text("Undone.")

    page = notebook.page
    for key in ("2", "2"):  # the second one as if held down
        page.keyboard.down(key)
    page.keyboard.up("2")
    expect(progress(root)).to_have_text("6 of 9 pairs · 1 skipped")
    for key in ("d", "d", "x", "a", "b", "m", "Control+1"):
        page.keyboard.press(key)
    expect(page.locator(".jp-Notebook-cell")).to_have_count(3)
    expect(progress(root)).to_have_text("6 of 9 pairs · 1 skipped")
    root.press("?")
    expect(root.get_by_text("answer 2 is better", exact=True)).to_be_visible()

    notebook.command("notebook:run-all-below")
    notebook.run_all()
    notebook.wait_for_text(2, "Rating(5 of 9 pairs voted, 1 skipped)")


def test_votes_survive_a_restart_and_a_lost_kernel_is_told_of(
    open_notebook: OpenNotebook,
) -> None:
    notebook = open_notebook(TABLE, "rate(table(5))")
    notebook.run_all()
    root = rating(notebook)
    expect(progress(root)).to_have_text("0 of 5 pairs")
    press(root, "1 2")
    shown = root.locator(".pr-pair").inner_text()

    notebook.restart()
    root.press("1")
    expect(root.get_by_role("status")).to_have_text(re.compile("^Not stored: the kern"))
    assert len(lines(notebook)) == 2

    notebook.run_all()
    expect(progress(root)).to_have_text("2 of 5 pairs")
    assert root.locator(".pr-pair").inner_text() == shown
    press(root, "0")
    assert len(lines(notebook)) == 3


def test_no_name_reaches_the_browser_before_the_reveal(
    open_notebook: OpenNotebook, traffic: Traffic
) -> None:
    notebook = open_notebook(TABLE, "rate(table(4))")
    notebook.run_all()
    root = rating(notebook)
    page = notebook.page
    expect(progress(root)).to_have_text("0 of 4 pairs")

    def told() -> list[str]:
        seen = page.content().encode() + b"".join(traffic.received)
        return [name for name in NAMES if name.encode() in seen]

    root.get_by_role("button", name="2 is better").click()
    expect(progress(root)).to_have_text("1 of 4 pairs")
    page.keyboard.press("1")  # the button that was clicked does not keep the keys
    expect(progress(root)).to_have_text("2 of 4 pairs")
    root.get_by_role("button", name="Expected").click()
    expect(root.locator(".pr-expected")).to_have_text("expectedbilling")
    root.get_by_role("button", name="Reveal").click()
    expect(root.get_by_role("button", name="Go on voting")).to_be_focused()
    page.keyboard.press("r")
    page.keyboard.press("1")
    page.keyboard.press("Escape")
    expect(progress(root)).to_have_text("2 of 4 pairs")
    _, static = notebook.bundles(1)
    assert "0 of 4 pairs voted" in "".join(static["data"]["text/html"])
    saved = json.dumps(notebook.save())
    assert not any(name in saved for name in NAMES)
    assert traffic.received
    assert told() == []

    press(root, "t s")
    expect(root.get_by_text("All pairs are voted on")).to_be_visible()
    assert told() == []
    root.press("r")
    table = root.get_by_role("table")
    for name in NAMES:
        expect(table.get_by_role("rowheader", name=name)).to_be_visible()
    expect(table.get_by_role("row").nth(1)).to_contain_text(re.compile(r"1.*3"))
    assert told() == list(NAMES)


def test_hostile_texts_stay_texts_and_all_is_legible_in_both_themes(
    open_notebook: OpenNotebook,
) -> None:
    notebook = open_notebook(TABLE, "rate(table(3))", "rate(table(3).iloc[:1], 'case')")
    notebook.command("notebook:run-all-cells")
    root = rating(notebook)
    expect(progress(root)).to_have_text("0 of 3 pairs")

    for part in (root.locator(".pr-text").first, root.locator("dd").first):
        expect(part).to_contain_text("<img src='x' onerror='window.hacked = true'>")
    expect(root.locator("img, b")).to_have_count(0)
    assert notebook.page.evaluate("window.hacked === undefined")
    notebook.wait_for_text(2, "'case' is not a parameter; valid names: prompt")

    light = contrasts(root)
    notebook.use_dark_theme()
    dark = contrasts(root)
    assert len(light) == len(dark) > 8
    assert faint(light) == faint(dark) == {}
