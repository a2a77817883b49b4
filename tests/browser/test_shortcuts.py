"""The notebook's shortcuts: no key pressed in a view of ours is taken for one."""

from __future__ import annotations

from browser.driver import NotebookPage, OpenNotebook, expect

SETUP = """
import promptlab as pl
experiment = pl.Experiment(
    "parcels",
    grid=pl.Grid(
        model=["offline/small"],
        prompt={"plain": "Where is parcel {{n}}?", "terse": "Parcel {{n}}?"},
        temperature=[0.1 * n for n in range(12)],
    ),
    dataset=[{"n": n} for n in range(60)],
)
some = experiment.limit(2)
"""
VIEWS = {
    "panel": "pl.panel(experiment)",
    "playground": "pl.playground(['offline/small', 'offline/large'], prompt='{{a}}')",
    "explorer": "pl.explore(some.run(progress=False))",
    "comparison": "pl.compare(some.run(progress=False), by='prompt')",
    "pager": "pl.compare(some.run(progress=False), 'prompt', engine='ipywidgets')",
    "rating": "pl.rate(some.run(progress=False), by='prompt')",
    "stop button": "experiment.start(max_concurrency=1, rpm=60)",
}
KEYS = (*"ddxabymizvo100", "Shift+M", "ArrowUp", "ArrowDown", "Shift+Enter")
"""What deletes, cuts, changes, leaves or runs a cell, or restarts the kernel."""

ONE_OF_EACH = """output => {
    const kinds = new Map();
    const all = "button, input, select, textarea, [tabindex], .noUi-handle";
    for (const node of output.querySelectorAll(all)) {
        const kind = node.type || node.className || node.tagName;
        if (!kinds.has(kind) && node.checkVisibility()) {
            node.focus();
            if (document.activeElement === node) kinds.set(kind, node);
        }
    }
    window.tried = [...kinds.values()];
    return [...kinds.keys()];
}"""
FOCUS = "n => window.tried[n].focus()"
RECORD = """() => {
    window.executed = [];
    window.jupyterapp.commands.commandExecuted.connect(
        (_, { id }) => window.executed.push(id)
    );
}"""


def press_keys_in_each(notebook: NotebookPage, number: int) -> list[str]:
    """Presses the keys in one control of each kind below a cell; gives the kinds."""
    kinds: list[str] = notebook.output(number).evaluate(ONE_OF_EACH)
    for place in range(len(kinds)):
        notebook.page.evaluate(FOCUS, place)
        for key in KEYS:
            notebook.page.keyboard.press(key)
    return kinds


def test_keys_pressed_in_a_view_do_nothing_to_the_notebook(
    open_notebook: OpenNotebook,
) -> None:
    notebook = open_notebook(SETUP, *VIEWS.values(), "1 + 1")
    notebook.run_all()
    places = range(1, len(VIEWS) + 1)
    for place in places:
        ready = notebook.output(place).locator("button:enabled:visible")
        expect(ready.first).to_be_visible()
    notebook.page.evaluate(RECORD)

    kinds = {
        view: set(press_keys_in_each(notebook, place))
        for view, place in zip(VIEWS, places, strict=True)
    }

    assert notebook.page.evaluate("window.executed") == []
    assert len(kinds.pop("panel")) >= 6
    assert all(kinds.values())


def test_the_notebooks_own_shortcuts_are_left_as_they_are(
    open_notebook: OpenNotebook,
) -> None:
    notebook = open_notebook(SETUP, VIEWS["panel"])
    notebook.run_all()
    button = notebook.output(1).get_by_role("button", name="Run")
    notebook.page.evaluate(RECORD)

    button.press("Control+s")
    notebook.page.wait_for_function("window.executed.includes('docmanager:save')")

    notebook.cell(0).locator(".jp-InputPrompt").click()
    notebook.page.keyboard.press("b")
    expect(notebook.page.locator(".jp-Notebook-cell")).to_have_count(3)
