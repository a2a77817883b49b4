"""Background: the runs of a panel, one at a time, each in a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from promptlab.experiment import Experiment

if TYPE_CHECKING:
    from promptlab.execution.runner import Handle
    from promptlab.results.results import Results


class Background:
    """Runs one experiment at a time without blocking; calls back from other threads."""

    def __init__(
        self,
        *,
        going: Callable[[Handle], None],
        done: Callable[[Results], None],
        failed: Callable[[Exception], None],
        over: Callable[[], None],
    ) -> None:
        """`going` is called ten times a second, then `done` or `failed`, then `over`,
        when another run can be started."""
        self._going = going
        self._done = done
        self._failed = failed
        self._over = over
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._handle: Handle | None = None
        self._stopping = False
        self.running = False
        """Whether a run is under way."""

    def start(
        self, experiment: Callable[[], Experiment], options: Mapping[str, Any]
    ) -> bool:
        """Starts a run; False if one is under way."""
        with self._lock:
            if self.running:
                return False
            self.running, self._stopping = True, False
            self._thread = threading.Thread(
                target=self._run, args=(experiment, options), daemon=True
            )
            self._thread.start()
            return True

    def stop(self) -> None:
        """Stops the run; calls in flight may finish, unless it is called again."""
        with self._lock:
            self._stopping = True
            if self._handle is not None:
                self._handle.cancel()

    def wait(self, timeout_s: float | None = None) -> None:
        """Waits for the end of the run and its callbacks, at most so many seconds."""
        if (thread := self._thread) is not None:
            thread.join(timeout_s)

    def _run(
        self, experiment: Callable[[], Experiment], options: Mapping[str, Any]
    ) -> None:
        try:
            handle = experiment().start(**{**options, "progress": self._show})
            with self._lock:
                self._handle = handle
                if self._stopping:
                    handle.cancel()
            results = handle.result()
            self._show(None)
            self._done(results)
        except Exception as error:
            self._failed(error)
        finally:
            with self._lock:
                self._handle, self.running = None, False
            self._over()

    def _show(self, _: Any) -> None:
        if (handle := self._handle) is not None:
            self._going(handle)
