"""The harness itself: a notebook runs in a browser, with the promptlab under test."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import promptlab as pl
from browser.driver import OpenNotebook, Traffic, expect
from browser.labserver import LabServer

if TYPE_CHECKING:
    from playwright.sync_api import Browser

WIDGET = """
import anywidget, traitlets
class Counter(anywidget.AnyWidget):
    _esm = '''
    export default { render({ model, el }) {
        const button = document.createElement("button");
        const show = () => { button.textContent = `pressed ${model.get("times")}`; };
        button.onclick = () => { model.set("times", model.get("times") + 1);
                                 model.save_changes(); };
        model.on("change:times", show);
        show(); el.append(button);
    } };
    '''
    times = traitlets.Int(0).tag(sync=True)
counter = Counter(); counter
"""

WAITING = """
import threading
print("waiting", flush=True)
try:
    threading.Event().wait()
except KeyboardInterrupt:
    print("stopped")
"""


def test_a_notebook_runs_the_promptlab_under_test(open_notebook: OpenNotebook) -> None:
    notebook = open_notebook(
        "import promptlab; print(promptlab.__file__)",
        "from promptlab.store.home import home; print(home())",
        WIDGET,
    )

    notebook.run_all()

    notebook.wait_for_text(0, str(Path(pl.__file__)))
    notebook.wait_for_text(1, str(notebook.path.parent / ".promptlab"))
    button = notebook.output(2).get_by_role("button")
    button.click()
    expect(button).to_have_text("pressed 1")


def test_a_kernel_is_stopped_restarted_and_its_outputs_saved(
    open_notebook: OpenNotebook,
) -> None:
    notebook = open_notebook(
        "print(globals().get('kept', 'a new kernel')); kept = 'kept'",
        WAITING,
    )

    notebook.start_all()
    notebook.wait_for_text(1, "waiting")
    notebook.interrupt()
    notebook.wait_for_text(1, "stopped")
    notebook.wait_until_idle()
    notebook.restart()
    notebook.start_all()
    notebook.wait_for_text(1, "waiting")
    notebook.interrupt()
    notebook.wait_for_text(1, "stopped")
    saved = notebook.save()

    assert saved.cells[0].outputs[0].text == "a new kernel\n"


def test_the_dark_theme_lasts_until_the_server_is_reset(
    open_notebook: OpenNotebook, lab: LabServer
) -> None:
    theme = "data-jp-theme-light"

    open_notebook("1").use_dark_theme()
    lab.reset()
    fresh = open_notebook("1", name="fresh").page.locator("body")

    expect(fresh).to_have_attribute(theme, "true")


def test_what_a_page_asks_of_another_machine_is_found_out(browser: Browser) -> None:
    traffic = Traffic()
    context = browser.new_context()
    traffic.watch(context)
    page = context.new_page()
    page.goto("data:text/html,<title>a page</title>")

    with page.expect_event("requestfailed"):
        page.evaluate("() => { new Image().src = 'http://models.test/pixel.png'; }")
    context.close()

    assert traffic.strays == ["http://models.test/pixel.png"]
