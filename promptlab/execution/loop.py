"""The one background event loop, in a thread of its own, for the whole process.

A notebook runs an event loop already, and scripts run none: with one of our own, the
same code serves both, and nothing has to be nested.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

from promptlab.execution.scheduling.pool import SharedLimiters
from promptlab.store.claims import ClaimsOfCaches

T = TypeVar("T")


class BackgroundLoop:
    """An event loop in a daemon thread, and the calls that are under way on it."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.flights: dict[tuple[str, str], asyncio.Future[Any]] = {}
        """By cache folder and key, the calls that others who ask the same wait for."""
        self.claims = ClaimsOfCaches()
        """What this process asks, for other processes to see."""
        self.limiters = SharedLimiters()
        """What was learnt of each server's limits."""
        self._thread = threading.Thread(
            target=self.loop.run_forever, name="promptlab-loop", daemon=True
        )
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether its thread runs; after a fork it does not."""
        return self._thread.is_alive()

    @property
    def is_here(self) -> bool:
        """Whether the code that asks runs on the loop itself."""
        return threading.current_thread() is self._thread

    def submit(self, coroutine: Coroutine[Any, Any, T]) -> Future[T]:
        """Runs a coroutine on the loop. Cancelling the future has no effect: what the
        coroutine holds must be given back by the coroutine."""
        outcome: Future[T] = Future()
        outcome.set_running_or_notify_cancel()
        asyncio.run_coroutine_threadsafe(coroutine, self.loop).add_done_callback(
            lambda done: _pass_on(done, outcome)
        )
        return outcome


def _pass_on(done: Future[T], outcome: Future[T]) -> None:
    if done.cancelled():
        outcome.set_exception(asyncio.CancelledError())
    elif (error := done.exception()) is not None:
        outcome.set_exception(error)
    else:
        outcome.set_result(done.result())


_started: list[BackgroundLoop] = []
_starting = threading.Lock()


def running_loop() -> BackgroundLoop | None:
    """The process's loop; None if there was no call yet that needed one."""
    return _started[-1] if _started and _started[-1].alive else None


def background_loop() -> BackgroundLoop:
    """The process's loop, started at the first call."""
    with _starting:
        if not _started or not _started[-1].alive:
            _started[:] = [BackgroundLoop()]
        return _started[-1]
