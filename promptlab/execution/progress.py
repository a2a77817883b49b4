"""Progress: how far a run is, and where that is shown."""

from __future__ import annotations

import html
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, TextIO


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a run is, at one moment."""

    name: str
    trials: int
    answered: int
    cached: int
    failed: int
    calls: int
    """Calls that were answered."""
    input_tokens: int = 0
    output_tokens: int = 0
    """Of those calls."""
    billed_usd: float = 0.0
    """What those calls cost; NaN where a price is unknown."""
    in_flight: int
    elapsed_s: float
    calls_per_s: float
    """Over the last few seconds."""
    left_s: float | None
    """About how long the rest takes; None while nothing is known."""
    waiting: str = ""
    """What calls are held back by, and for how long."""
    state: str = "running"
    """`looking up`, `running`, `finishing`, then the status of the results."""
    reason: str = ""
    """Why it was stopped."""

    @property
    def done(self) -> int:
        """The trials that have an outcome."""
        return self.answered + self.failed

    @property
    def finished(self) -> bool:
        """Whether the run is over."""
        return self.state in ("complete", "interrupted", "stopped")

    @property
    def line(self) -> str:
        """All of it in one line."""
        parts = [f"{self.name}: {self.done:,}/{self.trials:,}"]
        parts += [f"{self.cached:,} cached", f"{self.failed:,} failed"]
        if self.finished:
            parts.append(f"{self.calls:,} calls made")
            parts.append(f"{self.state} in {duration(self.elapsed_s)}")
        elif self.state != "running":
            parts.append(self.state)
        else:
            parts.append(f"{self.calls_per_s:.3g} calls/s")
            if self.left_s is not None:
                parts.append(f"{duration(self.left_s)} left")
        if self.waiting and not self.finished:  # first, as a narrow line is cut off
            parts.insert(1, f"waiting for {self.waiting}")
        if self.reason:
            parts.append(self.reason)
        return " · ".join(parts)


def duration(seconds: float) -> str:
    """A time span in words: `0.4 s`, `12 s`, `3 min 20 s`, `2 h 5 min`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"


def printable(text: str) -> str:
    """The text, with what would steer a terminal shown as `\\x1b`."""
    return "".join(c if c.isprintable() or c in "\n\t" else repr(c)[1:-1] for c in text)


class Display(Protocol):
    """Something that shows progress; used as a context manager."""

    def __call__(self, progress: Progress) -> None: ...
    def __enter__(self) -> Display: ...
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...


class Silent(AbstractContextManager["Silent"]):
    """Shows nothing, or hands each progress to a function."""

    def __init__(self, show: Callable[[Progress], None] | None = None) -> None:
        self._show = show

    def __call__(self, progress: Progress) -> None:
        if self._show is not None:
            self._show(progress)

    def __exit__(self, *_: object) -> None:
        return None


class Lines(AbstractContextManager["Lines"]):
    """Writes a plain line every few seconds: for logs."""

    def __init__(self, stream: TextIO, every_s: float = 10.0) -> None:
        self._stream = stream
        self._every_s = every_s
        self._next = time.monotonic() + every_s

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        if progress.finished or now >= self._next:
            self._next = now + self._every_s
            with suppress(OSError):  # a run goes on when nobody reads its log
                print(printable(progress.line), file=self._stream, flush=True)

    def __exit__(self, *_: object) -> None:
        return None


class Terminal(AbstractContextManager["Terminal"]):
    """Draws a bar that stays in its place: for terminals."""

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as Bar
        from rich.table import Column

        self._bar = Bar(
            BarColumn(bar_width=20),
            TextColumn(
                "{task.fields[line]}",
                markup=False,
                table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1),
            ),
            console=Console(file=stream),
            expand=True,
        )
        self._task: Any = None
        self._stack = ExitStack()

    def __enter__(self) -> Terminal:
        self._stack.enter_context(self._bar)
        return self

    def __call__(self, progress: Progress) -> None:
        line = printable(progress.line.removeprefix(f"{progress.name}: "))
        if self._task is None:
            self._task = self._bar.add_task("", total=progress.trials, line=line)
        self._bar.update(self._task, completed=progress.done, line=line)

    def __exit__(self, *_: object) -> None:
        self._stack.close()


class Notebook(AbstractContextManager["Notebook"]):
    """One line of HTML that is replaced in place; its last state stays in the file."""

    def __init__(self) -> None:
        self._handle: Any = None

    def __call__(self, progress: Progress) -> None:
        from IPython.display import HTML, display

        share = progress.done / progress.trials if progress.trials else 1.0
        shown = HTML(
            f"<progress value='{share:.4f}' style='width:12em'></progress> "
            f"{html.escape(progress.line)}"
        )
        if self._handle is None:
            self._handle = display(shown, display_id=True)
        else:
            self._handle.update(shown)

    def __exit__(self, *_: object) -> None:
        return None


def display_for(option: Any) -> Display:
    """Where progress is shown: a notebook, a terminal, or as asked."""
    if callable(option):
        return Silent(option)
    if option is False:
        return Silent()
    if _in_notebook():
        return Notebook()
    if sys.stderr is not None and sys.stderr.isatty():
        return Terminal(sys.stderr)
    return Lines(sys.stderr) if option is True else Silent()


def _in_notebook() -> bool:
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return type(shell).__name__ == "ZMQInteractiveShell"
