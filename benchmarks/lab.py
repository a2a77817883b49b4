"""A process that measures notebooks: JupyterLab and Chromium, driven as a user would.

`python -m benchmarks.lab`, with `tests` on the path, says as JSON which browser there
is, or what is missing. Then each line on stdin is an order, and it prints what that
took, until stdin is closed.
"""

import json
import os
import signal
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import psutil
from browser.chromium import PATIENCE_MS, MissingError, find_chromium, headless
from browser.driver import NotebookPage, Traffic, write_notebook
from browser.labserver import LabServer, lab_server

from benchmarks.kernel import FAILED_EVERY, RARE, RARE_EVERY
from benchmarks.sitting import last_words

STOPWATCH = (Path(__file__).parent / "stopwatch.js").read_text()
VIEWPORT = {"width": 1366, "height": 900}
PAGE = 25
"""Rows of a page."""

KEEP_STATE = "@jupyter-widgets/jupyterlab-manager:saveWidgetState"
"""Switches on that notebooks are saved with the state of their widgets, as those are
that nbconvert has run."""

BEGIN = """
import json, os
import promptlab as pl
from benchmarks import kernel
print(os.getpid())
"""


class Sheet:
    """An open notebook whose cells are run one by one, and what it takes."""

    def __init__(self, notebook: NotebookPage, traffic: Traffic) -> None:
        self._notebook = notebook
        self._page = notebook.page
        self._traffic = traffic
        self._metrics = self._page.context.new_cdp_session(self._page)
        self._metrics.send("Performance.enable", {"timeDomain": "threadTicks"})
        self._page.evaluate(STOPWATCH)
        self.run(0)
        self._kernel = psutil.Process(int(self.text(0)))

    def run(self, cell: int) -> None:
        """Runs a cell to its end; raises what it raises."""
        self._page.evaluate("cell => stopwatch.run(cell)", cell)
        for output in self._notebook.bundles(cell):
            if output["output_type"] == "error":
                raise RuntimeError("\n".join(output["traceback"]))

    def text(self, cell: int) -> str:
        """What a cell printed."""
        return "".join(
            "".join(output["text"])
            for output in self._notebook.bundles(cell)
            if output["output_type"] == "stream"
        )

    def running_s(self, cell: int, *wanted: object) -> float:
        """The time from running a cell until something is shown; see stopwatch.js."""
        return self._timed("running", cell, wanted)

    def since_s(self, cell: int, *wanted: object) -> float:
        """The time from the last key, click or turn of the wheel to that."""
        return self._timed("since", cell, wanted)

    def _timed(self, what: str, cell: int, wanted: tuple[object, ...]) -> float:
        code = f"([cell, wanted]) => stopwatch.{what}(cell, wanted)"
        return self._page.evaluate(code, [cell, list(wanted)]) / 1000

    def focus(self, cell: int) -> None:
        """Puts the focus into the comparison below a cell."""
        self._page.evaluate("cell => stopwatch.focus(cell)", cell)

    def press(self, key: str) -> None:
        self._page.keyboard.press(key)

    def type(self, text: str) -> None:
        self._page.keyboard.type(text)

    def click(self, cell: int, name: str) -> None:
        """Clicks a button of the comparison below a cell."""
        self._notebook.output(cell).get_by_role("button", name=name).first.click()

    def wheel(self, cell: int, pixels: int) -> None:
        """Turns the wheel over the rows of the comparison below a cell."""
        self._notebook.output(cell).locator(".plc-scroller").hover()
        self._page.mouse.wheel(0, pixels)

    def keep_state(self) -> None:
        """From now on the notebook is saved with the state of its widgets."""
        self._notebook.command(KEEP_STATE)

    def saved_bytes(self) -> int:
        """The size of the notebook's file, saved anew."""
        self._notebook.save()
        return self._notebook.path.stat().st_size

    @contextmanager
    def counted(self) -> Iterator[dict[str, Any]]:
        """What comes from kernels within the block, and the CPU that it takes of this
        kernel and of the page's main thread."""
        taken: dict[str, Any] = {}
        before, heard = self._busy_s(), len(self._traffic.received)
        yield taken
        kernel_s, page_s = (
            now - then for now, then in zip(self._busy_s(), before, strict=True)
        )
        frames = self._traffic.received[heard:]
        kinds = Counter(map(_kind, frames))
        taken |= {
            "bytes": sum(map(len, frames)),
            "messages": len(frames),
            "models": kinds["comm_open"],
            "updates": kinds["update_display_data"],
            "kernel_cpu_s": kernel_s,
            "page_cpu_s": page_s,
            "cpu_s": kernel_s + page_s,
        }

    def _busy_s(self) -> tuple[float, float]:
        times = self._kernel.cpu_times()
        metrics = self._metrics.send("Performance.getMetrics")["metrics"]
        task_s = next(m["value"] for m in metrics if m["name"] == "TaskDuration")
        return times.user + times.system, task_s


def _kind(frame: bytes) -> str:
    """The type of a message as Jupyter's websocket has it: binary, with the places of
    its parts first, the second of which is the header; or JSON."""
    if frame.startswith(b"{"):
        return json.loads(frame).get("header", {}).get("msg_type", "")
    start, end = (int.from_bytes(frame[at : at + 8], "little") for at in (16, 24))
    return json.loads(frame[start:end])["msg_type"]


class Lab:
    """A server and a browser; each order gets a kernel and a profile of its own."""

    def __init__(self, server: LabServer, browser: Any) -> None:
        self._server = server
        self._browser = browser
        self._numbers = count()

    def compare(self, rows: int, columns: int) -> dict[str, Any]:
        """A comparison of so many outputs: opened, saved, read, filtered."""
        cells = (
            f"table = kernel.table({rows}, {columns})",
            "pl.compare(table)",
            "pl.compare(table)",
            "pl.compare(kernel.table(2, 2))",  # loads what the first one loads
        )
        everything = f"{rows:,} rows"
        with self._sheet(cells) as sheet:
            sheet.run(1)
            sheet.running_s(4, "row")
            before = sheet.saved_bytes()
            with sheet.counted() as opening:
                opening["s"] = sheet.running_s(2, "row")
                sheet.since_s(2, "counts")
            notebook_bytes = sheet.saved_bytes() - before

            with sheet.counted() as scroll:
                sheet.wheel(2, 100_000)
                scroll["s"] = sheet.since_s(2, "last", f"t{PAGE - 1}")
            sheet.focus(2)
            with sheet.counted() as word:
                sheet.press("/")
                sheet.type(RARE)
                said = f"{-(-rows // RARE_EVERY):,} of {everything}"
                word["s"] = sheet.since_s(2, "rows", said)
            sheet.press("Escape")
            sheet.since_s(2, "rows", everything)
            with sheet.counted() as failed:
                sheet.click(2, "Failed")
                said = f"{rows // FAILED_EVERY:,} of {everything}"
                failed["s"] = sheet.since_s(2, "rows", said)

            sheet.keep_state()
            before = sheet.saved_bytes()
            sheet.running_s(3, "row")
            with sheet.counted() as last_row:
                sheet.focus(3)  # at once: the kernel still counts rows of each kind
                sheet.press("G")
                last_row["s"] = sheet.since_s(3, "last", f"t{rows - 1}")
            with_state_bytes = sheet.saved_bytes() - before
        return {
            "opening": opening,
            "scroll": scroll,
            "last_row": last_row,
            "word": word,
            "failed": failed,
            "notebook_bytes": notebook_bytes,
            "with_state_bytes": with_state_bytes,
        }

    def watch(self, site: dict[str, Any], trials: int, turns: int) -> dict[str, Any]:
        """Runs whose progress is shown, and runs without, in turn."""
        call = f"kernel.take_turns({site!r}, {trials}, {turns})"
        with self._sheet([f"print(json.dumps({call}))"]) as sheet:
            with sheet.counted() as counted:
                sheet.run(1)
            return counted | json.loads(sheet.text(1))

    @contextmanager
    def _sheet(self, cells: Iterable[str]) -> Iterator[Sheet]:
        traffic = Traffic()
        context = self._browser.new_context(viewport=VIEWPORT)
        try:
            context.set_default_timeout(PATIENCE_MS)
            traffic.watch(context)
            path = self._server.root / str(next(self._numbers)) / "measured.ipynb"
            write_notebook(path, (BEGIN, *cells))
            notebook = NotebookPage.open(context.new_page(), self._server, path)
            yield Sheet(notebook, traffic)
        finally:
            context.close()
            self._server.reset()


def main() -> None:
    # Only our own lines go to the real stdout; whatever else is said goes to stderr.
    parent = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    try:
        chromium = find_chromium()
    except MissingError as missing:
        print(json.dumps({"missing": str(missing)}), file=parent)
        return
    # What is open is closed when the parent says so.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with (
        tempfile.TemporaryDirectory(prefix="benchmarks-") as scratch,
        lab_server(Path(scratch) / "lab") as server,
        headless(chromium) as browser,
    ):
        print(json.dumps({"chromium": browser.version}), file=parent)
        lab = Lab(server, browser)
        tasks = {"compare": lab.compare, "watch": lab.watch}
        for line in sys.stdin:
            order = json.loads(line)
            try:
                report = tasks[order.pop("task")](**order)
            except Exception:  # it is that order's; the next one may do
                report = {"failure": last_words(traceback.format_exc())}
            print(json.dumps(report), file=parent)


if __name__ == "__main__":
    main()
