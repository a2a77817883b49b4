"""Chromium: where it is, and how it is started."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser

FLAGS = [
    "--no-sandbox",  # which root cannot have
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]

PATIENCE_MS = 30_000
"""How long to wait for what should come at once: the machine may be busy."""


class MissingError(Exception):
    """The browser is not there, or what it is to show; the message says what to do."""


def find_chromium() -> str:
    """The browser's program. Raises `MissingError`."""
    for package in ("playwright", "jupyterlab", "anywidget"):
        if importlib.util.find_spec(package) is None:
            raise MissingError(f"{package} is not installed: pip install -e '.[dev]'")
    found = os.environ.get("PROMPTLAB_CHROMIUM") or shutil.which("chromium")
    if found is None:
        raise MissingError(
            "chromium is not there: apt-get install chromium, "
            "or set PROMPTLAB_CHROMIUM to the program"
        )
    return found


@contextmanager
def headless(program: str) -> Iterator[Browser]:
    """A browser without a window, which finds no host but this one."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield browser
        browser.close()
