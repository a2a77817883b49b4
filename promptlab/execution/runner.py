"""The runner: runs experiments to the end, in a running loop, or in the background."""

from __future__ import annotations

import asyncio
import concurrent.futures
import time
import warnings
from collections.abc import Collection
from typing import TYPE_CHECKING

from promptlab.errors import PromptlabError, PromptlabWarning
from promptlab.execution.engine import GRACE_S
from promptlab.execution.loop import background_loop
from promptlab.execution.options import RunOptions
from promptlab.execution.progress import Progress, progress_html
from promptlab.execution.run import Run
from promptlab.results.results import Results
from promptlab.spec.definition import Definition

if TYPE_CHECKING:
    import pandas as pd

LEAVE_S = 5.0
"""How long a run that is given up may take to end before it is left."""

LOOK_EVERY_S = 0.2
"""How long a wait may last before signals, such as Ctrl-C, are looked at."""


def run(
    experiment: Definition,
    options: RunOptions,
    only_trials: Collection[int] | None = None,
) -> Results:
    """Runs an experiment to the end; `Experiment.run` says how."""
    check_may_wait()
    handle = _started(Run(experiment, options, only_trials))
    interrupts = 0
    while True:
        try:
            results = handle.result(LEAVE_S if interrupts > 1 else None)
            break
        except TimeoutError:  # something holds the event loop up
            if interrupts < 2:
                raise
            raise KeyboardInterrupt from None
        except KeyboardInterrupt:
            interrupts += 1
            if interrupts > 2:
                raise
            handle.cancel()  # what is in flight may arrive; a second time, not
    if interrupts > 1:  # in a loop over experiments: not on to the next
        raise KeyboardInterrupt
    _warn_of_prices(results, stacklevel=4)
    return results


async def arun(
    experiment: Definition,
    options: RunOptions,
    only_trials: Collection[int] | None = None,
) -> Results:
    """As `run`, for a running event loop of any kind."""
    handle = _started(Run(experiment, options, only_trials))
    finished = asyncio.wrap_future(handle.future)
    try:
        # The stop button of a notebook is noticed only when the loop wakes up.
        while not finished.done():
            await asyncio.wait([finished], timeout=0.1)
        results = finished.result()
        _warn_of_prices(results, stacklevel=4)
        return results
    except asyncio.CancelledError:
        handle.cancel()
        await asyncio.wait([asyncio.wrap_future(handle.future)], timeout=2 * GRACE_S)
        raise


def start(
    experiment: Definition,
    options: RunOptions,
    only_trials: Collection[int] | None = None,
) -> Handle:
    """Starts a run in the background and returns at once."""
    return _started(Run(experiment, options, only_trials, stoppable=True))


def _started(run: Run) -> Handle:
    """The run, under way; its keys are found in the thread of the caller, as a keyring
    or a question may have to wait for the user."""
    run.find_keys()
    return Handle(run, background_loop().submit(run.execute()))


def _warn_of_prices(results: Results, stacklevel: int) -> None:
    if results.price_note:  # where the experiment's own method was called
        warnings.warn(results.price_note, PromptlabWarning, stacklevel=stacklevel)


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
