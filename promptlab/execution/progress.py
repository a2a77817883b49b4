"""Progress: how far a run is, and where that is shown."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Protocol, TextIO, cast

from promptlab.formats import counted, dollars, duration, thousands
from promptlab.render.markup import escaped


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
    notes: str = ""
    """What was learnt of the servers: how many calls at once they bear, if not as many
    as were to be sent; headers that cannot be right."""
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
    def count(self) -> str:
        """How many of the trials have an outcome: `65/960`."""
        return f"{self.done:,}/{self.trials:,}"

    @property
    def facts(self) -> list[str]:
        """What else there is to say, the most important first: a line may be cut."""
        return [
            *([f"waiting for {self.waiting}"] if self._waits else []),
            f"{self.cached:,} cached",
            f"{self.failed:,} failed",
            *self._pace,
            *([f"{dollars(self.billed_usd)} paid"] if self.billed_usd > 0 else []),
            *([f"{thousands(self.tokens)} tokens"] if self.tokens else []),
            *([self.notes] if self.notes else []),
            *([self.reason] if self.reason else []),
        ]

    @property
    def line(self) -> str:
        """All of it in one line."""
        return " · ".join([f"{self.name}: {self.count}", *self.facts])

    @property
    def tokens(self) -> int:
        """Of the calls made, input and output together."""
        return self.input_tokens + self.output_tokens

    @property
    def _waits(self) -> bool:
        return bool(self.waiting) and not self.finished

    @property
    def _pace(self) -> list[str]:
        if self.finished:
            ended = f"{self.state} in {duration(self.elapsed_s)}"
            return [f"{counted(self.calls, 'call')} made", ended]
        if self.state != "running":
            return [self.state]
        left = [] if self.left_s is None else [f"{duration(self.left_s)} left"]
        return [f"{self.calls_per_s:.3g} calls/s", *left]


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
    """Shows nothing."""

    def __call__(self, progress: Progress) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        pass


class Callback(Silent):
    """Hands each progress to a function."""

    def __init__(self, show: Callable[[Progress], None]) -> None:
        self._show = show

    def __call__(self, progress: Progress) -> None:
        self._show(progress)


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


class WithoutReason(AbstractContextManager["WithoutReason"]):
    """Shows progress elsewhere, but not why it was stopped: for who says it after."""

    def __init__(self, display: Display) -> None:
        self._display = display

    def __call__(self, progress: Progress) -> None:
        self._display(replace(progress, reason=""))

    def __enter__(self) -> WithoutReason:
        self._display.__enter__()
        return self

    def __exit__(self, *raised: Any) -> None:
        self._display.__exit__(*raised)


NOTEBOOK_EVERY_S = 0.5
"""How often a notebook is updated: a message takes a busy kernel about 2 ms of CPU, and
the browser that draws it ten times that."""


class Notebook(AbstractContextManager["Notebook"]):
    """A bar and its numbers, replaced in place; the last state stays in the file.

    With `stop`, a button calls it; where there are no widgets, there is no button.
    """

    def __init__(self, stop: Callable[[], None] | None = None) -> None:
        self._stop = stop
        self._next = 0.0
        self._bar: Any = None
        self._button: Any = None

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        if progress.finished or now >= self._next:
            self._next = now + NOTEBOOK_EVERY_S
            self._show(
                {
                    "text/plain": printable(progress.line),
                    "text/html": progress_html(progress),
                }
            )

    def __exit__(self, *_: object) -> None:
        from IPython.display import HTML

        if self._button is not None:  # a saved notebook has no use for it
            self._button.update(HTML(""))

    def _show(self, bundle: dict[str, str]) -> None:
        from IPython.display import display

        if self._bar is None:
            self._bar = display(bundle, raw=True, display_id=True)
            self._show_button()
        else:
            self._bar.update(bundle, raw=True)

    def _show_button(self) -> None:
        from IPython.display import display

        if self._stop is not None:
            with suppress(ImportError):
                button = self._stop_button(self._stop)
                self._button = display(button, display_id=True)

    @staticmethod
    def _stop_button(stop: Callable[[], None]) -> Any:
        """The button, a widget."""
        from promptlab.notebook.widgets.stop import stop_button

        return stop_button(stop)


def progress_html(progress: Progress) -> str:
    """Progress as HTML that needs neither script nor style sheet."""
    share = progress.done / progress.trials if progress.trials else 1.0
    facts = " · ".join(escaped(fact, 600) for fact in progress.facts)
    return (
        "<div style='font-variant-numeric:tabular-nums;line-height:1.5'>"
        f"<b>{escaped(progress.name)}</b> "
        f"<progress value='{share:.4f}' style='width:12em'>{share:.0%}</progress> "
        f"{progress.count}<br><span style='opacity:0.75'>{facts}</span></div>"
    )


def display_for(option: Any, stop: Callable[[], None] | None = None) -> Display:
    """Where progress is shown: a notebook, a terminal, or as asked. In a notebook, a
    button calls `stop`, if that is given."""
    if isinstance(option, AbstractContextManager):
        return cast("Display", option)
    if callable(option):
        return Callback(option)
    if option is False:
        return Silent()
    if _in_notebook():
        return Notebook(stop)
    if sys.stderr is not None and sys.stderr.isatty():
        return Terminal(sys.stderr)
    return Lines(sys.stderr) if option is True else Silent()


def _in_notebook() -> bool:
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return type(shell).__name__ == "ZMQInteractiveShell"
