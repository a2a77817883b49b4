"""A notebook in a browser, driven as a user would."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import nbformat

from browser.labserver import LabServer

try:
    from playwright.sync_api import expect
except ImportError:  # all tests of this folder are skipped then
    expect = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Locator, Page, WebSocket

LOOPBACK = "127.0.0.1"
READY = """() => {
    const app = window.jupyterapp, panel = app && app.shell.currentWidget;
    return !!panel && !!panel.context && panel.context.isReady
        && panel.sessionContext.isReady
        && panel.sessionContext.session?.kernel?.status === 'idle'
        && app.commands.hasCommand('notebook:run-all-cells');
}"""
IDLE = """() => window.jupyterapp.shell.currentWidget
    .sessionContext.session?.kernel?.status === 'idle'"""
COMMAND = """async ([name, options]) => {
    await window.jupyterapp.commands.execute(name, options);
}"""
START_ALL = """() => {
    window.jupyterapp.commands.execute('notebook:run-all-cells');
}"""
CHOOSE = """number => {
    window.jupyterapp.shell.currentWidget.content.activeCellIndex = number;
}"""
OUTPUTS = """() => window.jupyterapp.shell.currentWidget.content.widgets
    .map(cell => cell.model.sharedModel.toJSON().outputs ?? [])"""
RESTART = "() => window.jupyterapp.shell.currentWidget.sessionContext.restartKernel()"
CONTRASTS = """(root) => {
    const canvas = document.createElement("canvas");
    const paint = canvas.getContext("2d", { willReadFrequently: true });
    const read = (colour) => {
        paint.clearRect(0, 0, 1, 1);
        paint.fillStyle = colour;
        paint.fillRect(0, 0, 1, 1);
        const [r, g, b, alpha] = paint.getImageData(0, 0, 1, 1).data;
        return [r, g, b, alpha / 255];
    };
    const bright = ([r, g, b]) => [r, g, b].map((v) => v / 255)
        .map((v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
        .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
    const over = (top, under, alpha) =>
        [0, 1, 2].map((i) => top[i] * alpha + under[i] * (1 - alpha));
    const behind = (node) => {
        if (!node) return [255, 255, 255];
        const own = read(getComputedStyle(node).backgroundColor);
        return own[3] === 1 ? own : over(own, behind(node.parentElement), own[3]);
    };
    const opacity = (node) => !node ? 1
        : getComputedStyle(node).opacity * opacity(node.parentElement);
    const found = {};
    for (const node of root.querySelectorAll("*")) {
        const texts = [...node.childNodes].filter((n) => n.nodeType === 3);
        const text = texts.map((n) => n.data.trim()).join(" ").trim();
        if (!text || !node.checkVisibility({ opacityProperty: true })) continue;
        if (node.closest("style, :disabled, [aria-disabled=true]")) continue;
        if (node.closest(".jp-OutputPrompt")) continue;
        const back = behind(node);
        const ink = read(getComputedStyle(node).color);
        const front = over(ink, back, ink[3] * opacity(node));
        const [a, b] = [bright(front), bright(back)].sort((x, y) => y - x);
        const name = `${node.tagName} ${node.className} ${text.slice(0, 30)}`;
        found[name] = (a + 0.05) / (b + 0.05);
    }
    return found;
}"""
LEAST_CONTRAST = 4.5
"""Of text and what is behind it, by WCAG 2.2, success criterion 1.4.3."""


@dataclass
class Traffic:
    """What a browser asked for, and what went wrong in its pages."""

    urls: list[str] = field(default_factory=list)
    received: list[bytes] = field(default_factory=list)
    """What kernels sent, message for message."""
    errors: list[str] = field(default_factory=list)

    def watch(self, context: BrowserContext) -> None:
        """Notes all requests, websockets and script errors of its pages."""
        context.on("request", lambda request: self.urls.append(request.url))
        context.on("page", self._watch_page)
        context.on("weberror", lambda found: self.errors.append(str(found.error)))

    def _watch_page(self, page: Page) -> None:
        page.on("websocket", self._watch_socket)
        page.on(
            "console",
            lambda said: (
                self.errors.append(said.text) if said.type == "error" else None
            ),
        )

    def _watch_socket(self, socket: WebSocket) -> None:
        self.urls.append(socket.url)
        socket.on("framereceived", self._note)

    def _note(self, payload: str | bytes) -> None:
        self.received.append(payload.encode() if isinstance(payload, str) else payload)

    @property
    def strays(self) -> list[str]:
        """The requests that would have left this machine."""
        return [
            url
            for url in self.urls
            if urlsplit(url).scheme in ("http", "https", "ws", "wss")
            and urlsplit(url).hostname != LOOPBACK
        ]


@dataclass(frozen=True)
class NotebookPage:
    """A notebook that is open in JupyterLab."""

    page: Page
    path: Path
    """Its file; its kernel works in the folder of it, where `.promptlab` is then."""

    @classmethod
    def open(cls, page: Page, lab: LabServer, path: Path) -> NotebookPage:
        """Opens a notebook by itself, and waits for its kernel."""
        name = path.relative_to(lab.root).as_posix()
        page.goto(f"{lab.url}/doc/tree/{name}?token={lab.token}&reset")
        page.wait_for_function(READY)
        return cls(page, path)

    def run_all(self) -> None:
        """Runs all cells to their end; fails if one raises."""
        self.command("notebook:run-all-cells")
        self._check()

    def run(self, *numbers: int) -> None:
        """Runs some cells to their end; fails if one raises."""
        for number in numbers:
            self.page.evaluate(CHOOSE, number)
            self.command("notebook:run-cell")
        self._check()

    def _check(self) -> None:
        for number, outputs in enumerate(self.page.evaluate(OUTPUTS)):
            for output in outputs:
                if output["output_type"] == "error":
                    raise AssertionError(
                        f"cell {number} raised {output['ename']}: {output['evalue']}\n"
                        + plain("\n".join(output["traceback"]))
                    )

    def start_all(self) -> None:
        """Runs all cells, without waiting for them."""
        self.page.evaluate(START_ALL)

    def wait_until_idle(self) -> None:
        """Waits until the kernel has nothing to do."""
        self.page.wait_for_function(IDLE)

    def cell(self, number: int) -> Locator:
        """One cell, counted from 0."""
        return self.page.locator(".jp-Notebook-cell").nth(number)

    def output(self, number: int) -> Locator:
        """What is below one cell."""
        return self.cell(number).locator(".jp-Cell-outputWrapper")

    def bundles(self, number: int) -> list[dict[str, Any]]:
        """The outputs of one cell as the notebook's file would hold them."""
        found: list[dict[str, Any]] = self.page.evaluate(OUTPUTS)[number]
        return found

    def wait_for_text(self, number: int, text: str | re.Pattern[str]) -> None:
        """Waits until a text is shown below one cell."""
        expect(self.output(number)).to_contain_text(text)

    def interrupt(self) -> None:
        """Presses the stop button."""
        self.page.get_by_role("button", name=re.compile("Interrupt")).first.click()

    def restart(self) -> None:
        """Restarts the kernel: its memory is gone, what is shown stays."""
        self.page.evaluate(RESTART)
        self.page.wait_for_function(READY)

    def save(self) -> Any:
        """Saves the notebook; gives what is in its file then."""
        self.command("docmanager:save")
        return nbformat.read(self.path, as_version=4)

    def use_dark_theme(self) -> None:
        """Switches JupyterLab to its dark theme."""
        self.command("apputils:change-theme", theme="JupyterLab Dark")
        expect(self.page.locator("body")).to_have_attribute(
            "data-jp-theme-light", "false"
        )
        expect(self.page.locator("#jupyterlab-splash")).to_have_count(0)

    def command(self, name: str, **options: Any) -> None:
        """Has JupyterLab do something, and waits for its end."""
        self.page.evaluate(COMMAND, [name, options])


OpenNotebook = Callable[..., NotebookPage]
"""Takes code cells, and a `name` where a test opens more than one notebook."""


def contrasts(root: Locator) -> dict[str, float]:
    """Of each text that is seen and of use, its contrast to what is behind it."""
    found: dict[str, float] = root.evaluate(CONTRASTS)
    return found


def faint(contrasts: dict[str, float]) -> dict[str, float]:
    """The texts that stand out too little from what is behind them."""
    return {name: c for name, c in contrasts.items() if c < LEAST_CONTRAST}


def write_notebook(path: Path, cells: tuple[str, ...]) -> None:
    """Writes a notebook of code cells."""
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(cell) for cell in cells],
        metadata={
            "kernelspec": {
                "name": "python3",
                "display_name": "Python 3",
                "language": "python",
            }
        },
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)


def plain(text: str) -> str:
    """A text without the colours of a terminal."""
    return re.sub(r"\x1b\[[0-9;]*m", "", text)
