"""What browser tests share: one JupyterLab, a browser, and that nothing leaves here.

They are run by themselves, `pytest tests/browser`: a browser that is driven leaves an
event loop running in the main thread, where other tests expect none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from browser.chromium import PATIENCE_MS, MissingError, find_chromium, headless
from browser.driver import (
    NotebookPage,
    OpenNotebook,
    Traffic,
    expect,
    write_notebook,
)
from browser.labserver import LabServer, lab_server

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext

HERE = Path(__file__).parent
CONTEXT = pytest.StashKey["BrowserContext"]()
TRAFFIC = pytest.StashKey[Traffic]()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def chromium() -> str:
    """The browser's program; without it, and what it is to show, tests are skipped."""
    try:
        return find_chromium()
    except MissingError as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="session")
def lab(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabServer]:
    """The server of all browser tests."""
    with lab_server(tmp_path_factory.mktemp("lab")) as server:
        yield server


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    """A browser without a window, which finds no host but this one."""
    expect.set_options(timeout=PATIENCE_MS)
    with headless(chromium) as browser:
        yield browser


@pytest.fixture
def traffic() -> Traffic:
    """What the pages of a test ask for, and get."""
    return Traffic()


@pytest.fixture
def context(
    request: pytest.FixtureRequest, browser: Browser, traffic: Traffic
) -> Iterator[BrowserContext]:
    """A fresh profile; at its end the test fails if a page asked another machine."""
    context = browser.new_context(viewport={"width": 1280, "height": 1000})
    context.set_default_timeout(PATIENCE_MS)
    traffic.watch(context)
    request.node.stash[CONTEXT] = context
    request.node.stash[TRAFFIC] = traffic
    yield context
    context.close()
    assert traffic.strays == []


@pytest.fixture
def open_notebook(
    request: pytest.FixtureRequest, lab: LabServer, context: BrowserContext
) -> Iterator[OpenNotebook]:
    """Opens a notebook of the given code cells, in a folder of its own."""
    folder = lab.root / re.sub(r"\W+", "-", request.node.name)

    def open_cells(*cells: str, name: str = "notebook") -> NotebookPage:
        path = folder / f"{name}.ipynb"
        write_notebook(path, cells)
        return NotebookPage.open(context.new_page(), lab, path)

    yield open_cells
    for page in context.pages:
        page.close()
    lab.reset()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    """A failed test leaves a picture of each of its pages."""
    report = yield
    if report.when == "call" and report.failed and CONTEXT in item.stash:
        folder: Path = item.funcargs["tmp_path"]  # type: ignore[attr-defined]
        for number, page in enumerate(item.stash[CONTEXT].pages):
            path = folder / f"page-{number}.png"
            page.screenshot(path=path)
            report.sections.append(("Screenshot", str(path)))
        if errors := item.stash[TRAFFIC].errors:
            report.sections.append(("Errors in the browser", "\n".join(errors)))
    return report
