"""Handles: a run in the background, to ask, to wait for, and to end."""

from __future__ import annotations

import concurrent.futures
import time
from typing import TYPE_CHECKING

from promptlab.errors import PromptlabError
from promptlab.execution.loop import background_loop
from promptlab.execution.progress import Progress, progress_html
from promptlab.results.results import Results

if TYPE_CHECKING:
    import pandas as pd

    from promptlab.execution.runner import Run

LOOK_EVERY_S = 0.2
"""How long a wait may last before signals, such as Ctrl-C, are looked at."""


def check_may_wait() -> None:
    """Raises `PromptlabError` where a wait would hold up what it waits for."""
    if background_loop().is_here:
        raise PromptlabError(
            "this code runs on the loop that runs experiments, so it cannot wait for "
            "one: use `await experiment.arun()`"
        )


class Handle:
    """A run that goes on in the background."""

    def __init__(self, run: Run, future: concurrent.futures.Future[Results]) -> None:
        self._run = run
        self.future = future
        """Resolves to the results; it cannot be cancelled, but the handle can."""

    @property
    def done(self) -> bool:
        """Whether the run is over."""
        return self.future.done()

    @property
    def progress(self) -> Progress:
        """How far the run is."""
        return self._run.progress()

    @property
    def keys(self) -> tuple[str, ...]:
        """Which key goes to which server, such as `OPENAI_API_KEY in the environment
        goes to api.openai.com`."""
        return self._run.keys

    @property
    def table(self) -> pd.DataFrame:
        """The table so far: the trials that have an outcome."""
        return self._run.table()

    @property
    def results(self) -> Results:
        """What came so far, as results with the status `running`; does not wait."""
        return self._run.results()

    def result(self, timeout_s: float | None = None) -> Results:
        """Waits for the end and gives the results.

        Raises:
            TimeoutError: the run is still going on after `timeout_s`.
        """
        if not self.done:
            check_may_wait()
        until = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            left_s = LOOK_EVERY_S
            if until is not None:
                left_s = min(left_s, max(0.0, until - time.monotonic()))
            try:
                return self.future.result(timeout=left_s)
            except concurrent.futures.TimeoutError:
                if self.future.done():
                    return self.future.result()
                if until is not None and time.monotonic() >= until:
                    raise TimeoutError("the run is still going on") from None

    def cancel(self) -> None:
        """Ends the run early: calls in flight may finish, for a few seconds; called
        again, they are given up. The results hold what was answered."""
        background_loop().loop.call_soon_threadsafe(self._run.cancel)

    def __repr__(self) -> str:
        return f"Handle({self.progress.line})"

    def _repr_html_(self) -> str:
        return progress_html(self.progress)
