"""The comparison in JupyterLab: read, filtered, marked, by keys and by mouse."""

from __future__ import annotations

import itertools
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import promptlab
from browser.driver import NotebookPage, OpenNotebook, contrasts, expect, faint
from browser.labserver import LabServer

if TYPE_CHECKING:
    pass
from playwright.sync_api import Locator, Page

MAKE = """
import pandas as pd
from promptlab.notebook.compare.compare import compare

def table(outputs, **columns):
    rows = [{"trial": i, "prompt": p, "case": c, "repeat": 0, "output": o}
            for i, ((c, p), o) in enumerate(outputs.items())]
    return pd.DataFrame(rows).assign(**columns)
"""

THREE = """
texts = {
    ("t1", "plain"): "The lid opens with one hand.",
    ("t1", "steps"): "The lid opens with two hands.",
    ("t2", "plain"): "billing",
    ("t2", "steps"): "billing",
    ("t3", "plain"): "Sent today.",
    ("t3", "steps"): None,
}
error = [None] * 5 + ["429 slow down"]
compare(table(texts, error=error, latency_s=[1, 2, 3, 4, 5, 6]), "prompt", name="three")
"""

MANY = """
n = 100_000
many = pd.DataFrame({
    "trial": range(2 * n),
    "model": ["a", "b"] * n,
    "case": [f"case{i // 2}" for i in range(2 * n)],
    "repeat": 0,
    "output": [f"answer {i}" for i in range(2 * n)],
})
compare(many, "model")
"""


class Comparison:
    """A comparison below a cell, as a user meets it."""

    def __init__(self, notebook: NotebookPage, cell: int = 1) -> None:
        self.page: Page = notebook.page
        self.root = notebook.output(cell).locator(".promptlab-compare")
        self.status = self.root.get_by_role("status").last
        self.lines = self.root.locator("tbody tr")
        expect(self.lines.first).to_be_visible()

    def output(self, row: int, column: int) -> Locator:
        """The output of a row and a column, counted from 0."""
        return self.lines.nth(row).get_by_role("gridcell").nth(column)

    def head(self, row: int) -> Locator:
        return self.lines.nth(row).get_by_role("rowheader")

    @property
    def cases(self) -> list[str]:
        return self.root.locator(".plc-case").all_inner_texts()

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)


def shown(open_notebook: OpenNotebook, *cells: str) -> Comparison:
    notebook = open_notebook(MAKE, *cells)
    notebook.run_all()
    return Comparison(notebook)


def test_outputs_stand_side_by_side_with_their_differences(
    open_notebook: OpenNotebook,
) -> None:
    seen = shown(open_notebook, THREE)

    assert seen.cases == ["t1", "t2", "t3"]
    expect(seen.root.get_by_role("columnheader", name="plain")).to_be_visible()
    expect(seen.output(0, 1).locator("ins")).to_have_text(["two hands"])
    expect(seen.output(0, 0).locator("ins, del")).to_have_count(0)
    expect(seen.output(1, 1)).to_contain_text("= baseline")
    expect(seen.output(2, 1)).to_contain_text("429 slow down")
    expect(seen.status).to_have_text("3 rows")
    expect(seen.root.get_by_role("button", name="Differ")).to_have_text("Differ2")


def test_keys_move_and_none_reaches_the_notebook(open_notebook: OpenNotebook) -> None:
    notebook = open_notebook(MAKE, THREE, "1 + 1")
    notebook.run_all()
    seen = Comparison(notebook)
    cells = notebook.page.locator(".jp-Notebook-cell")

    seen.output(0, 0).click()
    for key in "ddxabmyv00iicc":
        seen.press(key)
    seen.press("Escape", "Escape", "d", "d", "Escape")
    expect(cells).to_have_count(3)
    seen.output(0, 0).click()
    seen.press("j", "l")
    expect(seen.output(1, 1)).to_be_focused()
    seen.press("ArrowDown", "ArrowLeft", "ArrowLeft")
    expect(seen.head(2)).to_be_focused()
    seen.press("k", "k", "k", "h", "d", "d")
    expect(seen.head(0)).to_be_focused()
    expect(cells).to_have_count(3)
    assert "output_type" in str(notebook.bundles(2))


def test_the_baseline_and_the_marks_of_differences_are_chosen_by_keys(
    open_notebook: OpenNotebook,
) -> None:
    seen = shown(open_notebook, THREE)
    seen.output(0, 1).click()

    seen.press("b")
    expect(seen.output(0, 0).locator("ins")).to_have_text(["one hand"])
    expect(seen.status).to_have_text("Compared with steps")
    seen.press("d")
    expect(seen.output(0, 0).locator("del")).to_have_text(["two hands"])
    seen.press("d")
    expect(seen.output(0, 0).locator("ins, del")).to_have_count(0)
    expect(seen.output(0, 0)).to_have_text(re.compile("The lid opens with one hand"))


KEYED = """
texts = {(c, p): f"{p} says {c}" for c in ("t1", "t2", "t3") for p in "abc"}
compare(table(texts), "prompt", name="keyed")
"""


def test_all_of_it_is_reached_by_keys(open_notebook: OpenNotebook) -> None:
    seen = shown(open_notebook, KEYED)
    dialog = seen.root.get_by_role("dialog")

    seen.output(0, 0).click()
    seen.press("?")
    expect(dialog).to_contain_text("row above, row below")
    seen.press("Escape", "f")
    expect(seen.root.get_by_label("Where to look")).to_be_focused()
    seen.press("Escape", "s")
    order = seen.root.get_by_label("Order of the rows")
    expect(order).to_be_focused()
    order.select_option(label="By case")
    seen.press("Escape", "S")
    expect(seen.head(0)).to_contain_text("t3")
    seen.press("c")
    expect(dialog).to_contain_text("3 of 3 columns")
    seen.press("Escape", "End")
    expect(seen.output(0, 2)).to_be_focused()
    seen.press("Control+End")
    expect(seen.output(2, 2)).to_be_focused()
    seen.press("Home")
    expect(seen.head(2)).to_be_focused()
    seen.press("p")
    expect(seen.status).to_contain_text("Pinned to the top: t1")
    seen.press("u")
    expect(seen.status).to_contain_text("Undone: t1")
    seen.press("Control+Home", "e")
    expect(seen.lines.nth(0)).to_have_class(re.compile("plc-open"))
    seen.press("e")
    expect(seen.lines.nth(0)).not_to_have_class(re.compile("plc-open"))


def test_rows_are_filtered_and_sorted(open_notebook: OpenNotebook) -> None:
    seen = shown(open_notebook, THREE)
    seen.output(0, 0).click()

    seen.press("/")
    seen.page.keyboard.type("OPENS lid")
    expect(seen.status).to_have_text("1 of 3 rows")
    assert seen.cases == ["t1"]
    seen.page.keyboard.type(" nowhere")
    expect(seen.status).to_have_text("0 of 3 rows")
    seen.root.get_by_role("button", name="Show all rows").click()
    expect(seen.status).to_have_text("3 rows")
    seen.root.get_by_role("button", name="Failed").click()
    expect(seen.status).to_have_text("1 of 3 rows")
    assert seen.cases == ["t3"]
    seen.root.get_by_role("button", name="Failed").click()
    expect(seen.status).to_have_text("3 rows")
    seen.root.get_by_label("Where to look").select_option("latency_s")
    seen.root.get_by_role("searchbox").fill("slow")
    expect(seen.root.get_by_role("alert")).to_contain_text("expected a number")
    seen.root.get_by_role("searchbox").fill("> 4.5")
    expect(seen.status).to_have_text("1 of 3 rows")
    expect(seen.root.get_by_role("alert")).to_be_hidden()
    seen.root.get_by_role("searchbox").press("Escape")
    expect(seen.status).to_have_text("3 rows")
    header = seen.root.get_by_role("columnheader", name="case")
    header.get_by_role("button").click()
    header.get_by_role("button").click()
    expect(header).to_have_attribute("aria-sort", "descending")
    expect(seen.head(0)).to_contain_text("t3")


def test_after_a_reload_the_filter_that_applies_is_shown(
    open_notebook: OpenNotebook,
) -> None:
    notebook = open_notebook(MAKE, THREE)
    notebook.run_all()
    seen = Comparison(notebook)
    seen.root.get_by_role("searchbox").fill("lid")
    expect(seen.status).to_have_text("1 of 3 rows")
    seen.root.get_by_role("button", name=re.compile("^Differ")).click()
    notebook.save()

    notebook.page.reload()
    seen = Comparison(notebook)

    expect(seen.status).to_have_text("1 of 3 rows")
    expect(seen.root.get_by_role("searchbox")).to_have_value("lid")
    expect(
        seen.root.get_by_role("button", name=re.compile("^Differ"))
    ).to_have_attribute("aria-pressed", "true")
    seen.root.get_by_role("searchbox").press("Escape")
    expect(seen.status).to_have_text("2 of 3 rows")


EACH_KIND = """
texts = {
    ("same", "plain"): "x", ("same", "steps"): "x",
    ("differs", "plain"): "x", ("differs", "steps"): "y",
    ("cut off", "plain"): "x", ("cut off", "steps"): "x",
    ("failed", "plain"): "x", ("failed", "steps"): None,
    ("wrong", "plain"): "x", ("wrong", "steps"): "x",
    ("alone", "plain"): "x",
}
cases = [case for case, _ in texts]
compare(table(
    texts,
    finish_reason=["length" if case == "cut off" else "stop" for case in cases],
    error=[None if text else "429 slow down" for text in texts.values()],
    ok=[case != "wrong" for case in cases],
), "prompt", name="kinds", score="ok")
"""
BUTTONS = {
    "Differ": ["differs", "failed"],
    "Failed": ["failed"],
    "Cut off": ["cut off"],
    "Not ok": ["wrong"],
    "Complete": ["same", "differs", "cut off", "failed", "wrong"],
    "Pinned": ["same"],
    "Marked": ["differs"],
}
"""The rows that each button leaves."""


def test_each_button_leaves_its_rows_and_says_how_many(
    open_notebook: OpenNotebook,
) -> None:
    seen = shown(open_notebook, EACH_KIND)
    seen.output(1, 0).click()
    seen.press("m")
    expect(seen.root.get_by_role("button", name="Marked: star")).to_be_visible()
    seen.output(0, 0).click()
    seen.press("p")
    expect(seen.status).to_contain_text("Pinned to the top: same")

    for name, cases in BUTTONS.items():
        button = seen.root.get_by_role("button", name=re.compile(f"^{name} *[0-9]"))
        expect(button).to_have_text(f"{name}{len(cases)}")
        button.click()
        expect(button).to_have_attribute("aria-pressed", "true")
        expect(seen.root.locator(".plc-case")).to_have_text(cases)
        button.click()
        expect(seen.lines).to_have_count(6)


def test_the_last_of_many_rows_is_one_key_away(open_notebook: OpenNotebook) -> None:
    seen = shown(open_notebook, MANY)

    seen.output(24, 1).click()
    seen.press("j")
    expect(seen.root.get_by_text("case25", exact=True)).to_be_visible()
    expect(seen.output(0, 1)).to_be_focused()
    seen.press("k")
    expect(seen.output(24, 1)).to_be_focused()
    expect(seen.output(24, 1)).to_contain_text("answer 49")
    seen.press("h", "G")
    expect(seen.root.get_by_text("case99999", exact=True)).to_be_visible()
    expect(seen.output(24, 0)).to_be_focused()
    expect(seen.lines).to_have_count(25)
    seen.press("g")
    expect(seen.output(0, 0)).to_contain_text("answer 0")
    seen.press("PageDown", "PageDown")
    go = seen.root.get_by_label("Go to row, of 100,000")
    expect(go).to_have_value("51")
    go.fill("77,777")
    go.press("Enter")
    expect(seen.root.get_by_text("case77776", exact=True)).to_be_visible()
    seen.press("ArrowDown")
    expect(seen.output(2, 0)).to_be_focused()
    seen.root.get_by_role("button", name="Last page").click()
    expect(seen.root.get_by_text("case99999", exact=True)).to_be_visible()
    seen.press("d", "d")
    expect(seen.page.locator(".jp-Notebook-cell")).to_have_count(2)


def test_marks_are_kept_and_can_be_undone(open_notebook: OpenNotebook) -> None:
    notebook = open_notebook(MAKE, THREE)
    notebook.run_all()
    seen = Comparison(notebook)

    seen.output(2, 0).click()
    seen.press("p")
    expect(seen.head(0)).to_contain_text("t3")
    expect(seen.status).to_contain_text("Pinned to the top: t3")
    seen.output(1, 0).click()
    seen.press("m")
    expect(seen.head(1).get_by_role("button", name="Marked: star")).to_be_visible()
    seen.press("n")
    seen.page.keyboard.type("dd look")
    seen.press("Shift+Enter")
    seen.page.keyboard.type("again <b>")
    seen.press("Enter")
    expect(seen.head(1)).to_contain_text("dd look\nagain <b>")
    seen.press("n")
    seen.page.keyboard.press("Control+A")
    seen.press("Delete", "Enter")
    expect(seen.head(1)).not_to_contain_text("look")
    seen.root.get_by_role("button", name="Undo").click()
    expect(seen.head(1)).to_contain_text("again <b>")
    file = notebook.path.parent / ".promptlab" / "promptlab.sqlite"
    with closing(sqlite3.connect(file)) as database:
        kept = database.execute("SELECT experiment FROM marks").fetchall()
    assert kept == [("three",)] * 5

    notebook.restart()
    notebook.run_all()
    again = Comparison(notebook)
    assert again.cases == ["t3", "t1", "t2"]
    expect(again.head(1)).to_contain_text("dd look")


SLOW = """
import time
slow = compare(table(texts), "prompt", name="slow")
answer = slow.answer

def answer_slowly(question):
    time.sleep(0.1)
    return answer(question)

slow.answer = answer_slowly
slow
"""


def test_a_note_may_be_begun_at_any_moment_while_the_row_is_being_marked(
    open_notebook: OpenNotebook,
) -> None:
    notebook = open_notebook(MAKE, THREE, SLOW)
    notebook.run_all()
    seen = Comparison(notebook, 2)
    notes = []

    for held_ms in range(0, 450, 50):  # the kernel answers twice in that time
        key, name = ("p", "Pin") if held_ms % 100 == 0 else ("m", "Mark")
        notes.append(f"note after {held_ms} ms")
        seen.head(0).click()
        seen.page.keyboard.press(key, delay=held_ms)
        seen.press("n", "ControlOrMeta+a")
        seen.page.keyboard.type(notes[-1])
        seen.press("Enter")
        expect(seen.head(0)).to_contain_text(notes[-1])
        expect(seen.status).to_contain_text("Note kept")
        expect(
            seen.head(0).get_by_role("button", name=re.compile(f"^{name}"))
        ).to_be_visible()


def test_without_a_kernel_the_first_rows_are_still_there(
    open_notebook: OpenNotebook, lab: LabServer
) -> None:
    notebook = open_notebook(MAKE, THREE)
    notebook.run_all()
    seen = Comparison(notebook)
    static = notebook.output(1).locator(".jp-RenderedHTML table")
    expect(static).to_be_hidden()
    expect(seen.root).to_be_visible()

    notebook.save()
    for kernel in lab.ask("GET", "kernels"):
        lab.ask("DELETE", f"kernels/{kernel['id']}")
    page = notebook.page.context.new_page()
    name = notebook.path.relative_to(lab.root).as_posix()
    page.goto(f"{lab.url}/doc/tree/{name}?token={lab.token}&reset")
    table = page.locator(".jp-RenderedHTML table")
    expect(table).to_be_visible()
    expect(table).to_contain_text("The lid opens with two hands.")


def test_after_a_restart_what_is_shown_stays_and_says_what_to_do(
    open_notebook: OpenNotebook,
) -> None:
    notebook = open_notebook(MAKE, THREE)
    notebook.run_all()
    seen = Comparison(notebook)

    notebook.restart()
    seen.output(0, 0).click()
    seen.press("p")

    expect(seen.root.get_by_role("alert")).to_contain_text("run this cell again")
    assert seen.cases == ["t1", "t2", "t3"]


HOSTILE = """
import numpy as np
bad = [
    "<img src=x onerror=\\"document.title='owned'\\">",
    "</pre></td></table><script>document.title='owned'</script>",
    "[link](javascript:document.title='owned') <a href='http://evil.example/'>a</a>",
    "![picture](http://evil.example/pixel.png)\\n\\n<style>*{display:none}</style>",
    "مرحبا بالعالم 123 \\u202eevil\\u202c",
    "e\\u0301 Z\\u0337\\u0327 👩\\u200d👩\\u200d👧 日本語のテキスト",
    "**" * 9000 + "`" * 2000 + "[" * 2000 + "|" * 2000,
    "x" * 1_000_000,
    "",
]
rows = {(f"<b>{i}</b>", p): b for i, b in enumerate(bad) for p in ("<i>one</i>", "two")}
hostile = table(rows)
hostile.loc[1::2, "output"] = hostile["output"].str[:300].str.upper()
compare(hostile, "prompt", name="<u>x</u>")
"""


def test_whatever_a_model_writes_stays_text(open_notebook: OpenNotebook) -> None:
    seen = shown(open_notebook, HOSTILE)
    title = seen.page.title()
    made = (
        "img, script, style, a, b:not(.plc-failed > *), i:not(.plc-missing), u, iframe"
    )

    expect(seen.output(0, 0)).to_contain_text("<img src=x onerror=")
    expect(seen.output(1, 1).locator("ins")).not_to_have_count(0)
    for mode in ("plain", "rendered"):
        assert seen.root.locator(f"tbody :is({made})").count() == 0, mode
        seen.output(0, 0).click()
        seen.press("t")
        expect(seen.status).to_contain_text("Outputs are")
    seen.press("t")
    expect(seen.output(2, 0)).to_contain_text(
        "link (javascript:document.title='owned')"
    )
    expect(seen.output(3, 0)).to_contain_text(
        "[image: picture http://evil.example/pixel"
    )
    seen.press("r")
    expect(seen.root.get_by_role("dialog")).to_be_visible()
    seen.press("Escape", "?", "Escape")
    assert seen.root.locator(f"tbody :is({made})").count() == 0
    assert seen.page.title() == title
    arabic = seen.output(4, 0).locator(".plc-text")
    assert arabic.evaluate("node => getComputedStyle(node).direction") == "rtl"
    combining = seen.output(5, 0).locator(".plc-text")
    assert (
        combining.text_content()
        == "e\u0301 Z\u0337\u0327 👩\u200d👩\u200d👧 日本語のテキスト"
    )


def test_a_line_of_a_million_characters_is_read_in_parts(
    open_notebook: OpenNotebook,
) -> None:
    seen = shown(open_notebook, HOSTILE)
    output = seen.output(7, 0)

    output.click()
    expect(output).to_contain_text("1,000,000 characters")
    assert output.evaluate("node => node.scrollHeight") < 400
    seen.press("Enter")
    for there in ("24,000", "224,000", "424,000", "624,000", "824,000"):
        expect(output).to_contain_text(f"{there} of 1,000,000 characters")
        output.get_by_role("button", name=re.compile("Show .* more")).click()
    expect(output).not_to_contain_text("of 1,000,000 characters")
    seen.press("Enter")
    expect(output.get_by_role("button", name="More", exact=True)).to_be_visible()


def test_the_request_is_shown_on_demand(open_notebook: OpenNotebook) -> None:
    run = """
import promptlab as pl
talk = pl.Prompt([{"role": "system", "content": "Be brief."},
                  {"role": "user", "content": "Where is {{t}}?"},
                  {"role": "user", "content": "And then?"}])
experiment = pl.Experiment(
    "talk",
    grid={"model": ["offline/small", "offline/large"], "prompt": {"talk": talk},
          "temperature": [0]},
    dataset=[{"t": "the parcel"}])
compare(experiment.run(progress=False))
"""
    seen = shown(open_notebook, run)

    seen.output(0, 1).click()
    seen.press("r")
    dialog = seen.root.get_by_role("dialog")
    expect(dialog).to_contain_text("Conversation of 2 calls")
    for text in ("Be brief.", "Where is the parcel?", "And then?", "temperature"):
        expect(dialog).to_contain_text(text)
    seen.press("Escape")
    expect(dialog).to_be_hidden()
    expect(seen.output(0, 1)).to_be_focused()


def test_columns_are_chosen_from_many(open_notebook: OpenNotebook) -> None:
    seen = shown(
        open_notebook,
        "compare(table({('c', f'p{i}'): f'text {i}' for i in range(9)}), 'prompt')",
    )
    titles = seen.root.locator(".plc-label")

    expect(titles).to_have_text([f"p{i}" for i in range(6)])
    seen.root.get_by_role("button", name="6 of 9 columns").click()
    dialog = seen.root.get_by_role("dialog")
    dialog.get_by_label("p8").click()
    expect(dialog).to_contain_text("At most 6 columns")
    expect(dialog.get_by_label("p8")).not_to_be_checked()
    dialog.get_by_label("p0").uncheck()
    dialog.get_by_label("p8").check()
    expect(titles).to_have_text(["p1", "p2", "p3", "p4", "p5", "p8"])
    seen.press("Escape")
    pressed = seen.page.get_by_role("button", name="baseline", pressed=True)
    expect(seen.root.locator("th", has=pressed)).to_contain_text("p1")


def test_six_columns_fit_on_a_laptop_and_else_scroll_under_the_names_of_rows(
    open_notebook: OpenNotebook,
) -> None:
    notebook = open_notebook(
        MAKE,
        "texts = {(f'c{i}', f'p{j}'): 'a ' * 200 for i in range(9) for j in range(6)}\n"
        "compare(table(texts), 'prompt')",
    )
    notebook.page.set_viewport_size({"width": 1366, "height": 768})
    notebook.run_all()
    seen = Comparison(notebook)
    page_width = "document.documentElement.scrollWidth <= window.innerWidth"

    for column in range(6):
        expect(seen.output(0, column)).to_be_in_viewport(ratio=0.9)
    notebook.page.set_viewport_size({"width": 1000, "height": 768})
    expect(seen.output(0, 5)).not_to_be_in_viewport(ratio=0.9)

    seen.output(0, 0).click()
    seen.press("End")
    expect(seen.output(0, 5)).to_be_focused()
    expect(seen.output(0, 5)).to_be_in_viewport(ratio=0.9)
    expect(seen.head(0)).to_be_in_viewport(ratio=0.9)
    seen.press("G")
    expect(seen.root.get_by_role("columnheader", name="p5")).to_be_in_viewport()
    assert seen.page.evaluate(page_width)


def test_all_text_can_be_read_in_both_themes(open_notebook: OpenNotebook) -> None:
    more = "expected=['x', 'x', 'billing', 'x', 'x', 'x'], ok=[True, False] * 3,"
    notebook = open_notebook(MAKE, THREE.replace("latency_s", f"{more} latency_s"))
    notebook.run_all()
    seen = Comparison(notebook)
    seen.output(0, 1).click()
    seen.press("d")
    expect(seen.output(0, 1).locator("del")).to_be_visible()

    expect(seen.root).to_have_attribute("data-scheme", "light")
    light = contrasts(seen.root)
    notebook.use_dark_theme()
    expect(seen.root).to_have_attribute("data-scheme", "dark")
    dark = contrasts(seen.root)

    assert any("INS" in name for name in light.keys() & dark.keys())
    assert faint(light) == faint(dark) == {}


def test_a_screen_reader_is_told_what_is_what(open_notebook: OpenNotebook) -> None:
    seen = shown(open_notebook, THREE)
    grid = seen.root.get_by_role("grid", name="Outputs side by side")

    expect(grid).to_have_attribute("aria-rowcount", "4")
    expect(grid).to_have_attribute("aria-colcount", "3")
    expect(seen.lines.nth(1)).to_have_attribute("aria-rowindex", "3")
    assert grid.locator("tbody [tabindex='0']").count() == 1
    unnamed = """root => [...root.querySelectorAll("button, input, select")]
        .filter(node => !(node.getAttribute("aria-label") || node.innerText.trim()
            || node.title || node.labels?.length)).length"""
    assert seen.root.evaluate(unnamed) == 0
    seen.output(0, 0).click()
    seen.press("j")
    assert grid.locator("tbody [tabindex='0']").count() == 1
    expect(seen.root.get_by_role("status").last).to_have_attribute("role", "status")


def test_two_views_of_one_comparison_are_apart_and_share_marks(
    open_notebook: OpenNotebook,
) -> None:
    held = THREE.replace("compare(", "shared = compare(")
    notebook = open_notebook(MAKE, held, "shared", "shared")
    notebook.run_all()
    one, two = Comparison(notebook, 2), Comparison(notebook, 3)

    one.root.get_by_role("searchbox").fill("billing")
    expect(one.status).to_have_text("1 of 3 rows")
    expect(two.status).to_have_text("3 rows")
    two.output(2, 0).click()
    two.press("m")
    expect(two.head(2).get_by_role("button", name="Marked: star")).to_be_visible()
    one.root.get_by_role("searchbox").fill("")
    expect(one.head(2).get_by_role("button", name="Marked: star")).to_be_visible()


def test_the_plain_pager_works_in_the_notebook(open_notebook: OpenNotebook) -> None:
    notebook = open_notebook(
        MAKE, THREE.replace('"prompt"', '"prompt", engine="ipywidgets"')
    )
    notebook.run_all()
    out = notebook.output(1)

    expect(out).to_contain_text("The lid opens with two hands.")
    out.get_by_placeholder("Filter").fill("billing")
    out.get_by_placeholder("Filter").press("Enter")
    expect(out).to_contain_text("1 of 3 rows")


DIFFERENCES = [
    ("", ""),
    ("a", ""),
    ("", "a b"),
    ("the quick brown fox", "the slow brown dog"),
    ("one two three", "one  two\nthree"),
    ("日本語のテキスト", "日本の本"),
    ("e\u0301a 👩\u200d👩\u200d👧", "ea 👩\u200d👧"),
    ("x\n" * 3_000 + "a b c", "x\n" * 2_000 + "y\n" * 900 + "a d c"),
    ("w1 " * 9_000, "w2 " * 9_000),
    (
        " ".join(f"w{i}" for i in range(4_000)),
        " ".join(f"w{i * 7 % 4_001}" for i in range(4_000)),
    ),
]


def test_differences_are_exact_and_quick(open_notebook: OpenNotebook) -> None:
    notebook = open_notebook("1")
    script = Path(promptlab.__file__).parent / "notebook" / "compare" / "diff.js"
    code = """async ([source, pairs]) => {
        const blob = new Blob([source], { type: "text/javascript" });
        const url = URL.createObjectURL(blob);
        const { difference } = await import(url);
        return pairs.map(([before, after]) => {
            const start = performance.now();
            const runs = difference(before, after);
            return { runs, ms: performance.now() - start };
        });
    }"""

    found: list[dict[str, Any]] = notebook.page.evaluate(
        code,
        [script.read_text("utf-8"), [*DIFFERENCES, ("x" * 1_000_000, "y" * 1_000_000)]],
    )

    for (before, after), made in zip(DIFFERENCES, found[:-1], strict=True):
        kinds = [kind for kind, _ in made["runs"]]
        assert before == "".join(t for k, t in made["runs"] if k != "added")
        assert after == "".join(t for k, t in made["runs"] if k != "removed")
        assert all(a != b for a, b in itertools.pairwise(kinds))
        assert made["ms"] < 2_000
    assert found[3]["runs"] == [
        ["same", "the "],
        ["removed", "quick"],
        ["added", "slow"],
        ["same", " brown "],
        ["removed", "fox"],
        ["added", "dog"],
    ]
    assert found[-1]["runs"] is None
    assert found[-1]["ms"] < 100


SCORED = """
prompts = ["plain", "steps"]
texts = {(c, p): f"{p} says {c}" for c in ["t1", "t2", "t3"] for p in prompts}
scores = {"quality": [1.0, 0.5, 0.25, 0.75, None, 1.0], "stars": [1, 2, 3, 4, 5, 6]}
scored = table(texts, **scores)
scored["quality_explanation"] = ["<b>so</b> & so"] * 6
compare(scored, "prompt", name="scored")
"""


def test_headings_say_who_won_and_each_outcome_is_a_filter(
    open_notebook: OpenNotebook,
) -> None:
    seen = shown(open_notebook, SCORED)
    steps = seen.root.get_by_role("columnheader").nth(2)
    lost = steps.get_by_role("button", name="1 lost")

    expect(steps).to_contain_text("75% [")
    expect(lost).to_have_attribute("aria-pressed", "false")
    lost.click()
    expect(seen.status).to_have_text("1 of 3 rows")
    assert seen.cases == ["t1"]
    expect(lost).to_have_attribute("aria-pressed", "true")
    expect(lost).to_be_focused()
    steps.get_by_role("button", name="1 won").click()
    expect(seen.root.locator(".plc-case")).to_have_text(["t2"])
    steps.get_by_role("button", name="1 won").click()
    expect(seen.status).to_have_text("3 rows")
    seen.root.get_by_role("combobox", name="Score in the headings").select_option(
        "stars"
    )
    expect(steps).to_contain_text("4 [")
    steps.get_by_role("button", name=re.compile(r"^\+1")).click()
    expect(steps).to_have_attribute("aria-sort", "ascending")


def test_an_explanation_is_text_on_the_score_and_in_the_drawer(
    open_notebook: OpenNotebook,
) -> None:
    seen = shown(open_notebook, SCORED)

    chip = seen.output(0, 0).get_by_text("quality: 1")
    expect(chip).to_have_attribute("title", "quality\n<b>so</b> & so")
    seen.output(0, 0).click()
    seen.press("r")
    drawer = seen.root.get_by_role("dialog")
    expect(drawer.get_by_text("<b>so</b> & so")).to_be_visible()
    expect(drawer.get_by_text("quality: 1")).to_be_visible()


def test_the_request_stands_beside_follows_and_closes_with_its_key(
    open_notebook: OpenNotebook,
) -> None:
    seen = shown(open_notebook, SCORED)
    drawer = seen.root.get_by_role("dialog")

    seen.output(0, 0).click()
    seen.press("r")
    expect(drawer).to_contain_text("t1 · prompt plain")
    seen.press("j", "l")
    expect(drawer).to_contain_text("t2 · prompt steps")
    expect(seen.output(1, 1)).to_be_focused()
    seen.output(2, 0).click()
    expect(drawer).to_contain_text("t3 · prompt plain")
    beside = drawer.bounding_box()
    rows = seen.root.locator(".plc-scroller").bounding_box()
    assert beside
    assert rows
    assert rows["x"] + rows["width"] <= beside["x"] + 1
    seen.press("r")
    expect(drawer).to_be_hidden()
    expect(seen.output(2, 0)).to_be_focused()
    seen.press("/")
    seen.page.keyboard.type("case:t2 -output:plain quality<1")
    expect(seen.status).to_have_text("0 of 3 rows")
    expect(seen.root).to_contain_text("No row matches")


REPEATED = """
answers = ["billing", "billing", "sales"] * 2
rows = [{"trial": i, "prompt": "ab"[i // 3], "case": "t1", "repeat": i % 3, "output": o}
        for i, o in enumerate(answers)]
compare(pd.DataFrame(rows), "prompt", name="repeated")
"""


def test_repeats_are_folded_until_they_are_opened(open_notebook: OpenNotebook) -> None:
    seen = shown(open_notebook, REPEATED)

    expect(seen.status).to_have_text("1 row, repeats folded")
    expect(seen.output(0, 0)).to_contain_text("2 × billing, 1 × sales")
    seen.output(0, 1).click()
    seen.press("o")
    expect(seen.lines).to_have_count(3)
    expect(seen.head(2)).to_contain_text("repeat 2")
    expect(seen.head(0).get_by_role("button", name="3 repeats")).to_have_attribute(
        "aria-expanded", "true"
    )
    expect(seen.output(0, 1)).to_be_focused()
    seen.press("o", "O")
    expect(seen.status).to_have_text("3 rows")
