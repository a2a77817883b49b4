"""Commits: answers are written to the cache off the event loop, in groups."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Sequence

from promptlab.errors import CacheError, PromptlabError
from promptlab.execution.cache import Entry


class GroupCommit:
    """A thread that writes what waits, all of it in one transaction, and then says so.

    While one group is being written the next one gathers, so that each answer is on
    disk a moment after it came, and a fast server costs few transactions.
    """

    def __init__(self, write: Callable[[Sequence[Entry]], None]) -> None:
        self._write = write
        self._loop = asyncio.get_running_loop()
        self._waiting: queue.SimpleQueue[tuple[Entry, asyncio.Future[None]] | None]
        self._waiting = queue.SimpleQueue()
        self._thread = threading.Thread(
            target=self._work, name="promptlab-commits", daemon=True
        )
        self._thread.start()

    async def put(self, entry: Entry) -> None:
        """Returns when the entry is on disk.

        Raises:
            CacheError: it cannot be written.
        """
        written: asyncio.Future[None] = self._loop.create_future()
        self._waiting.put((entry, written))
        # What was paid for is written even if the one who waits for it gives up.
        await asyncio.shield(written)

    async def close(self) -> None:
        """Returns when all that waits is on disk and the thread has ended."""
        self._waiting.put(None)
        await asyncio.to_thread(self._thread.join)

    def _work(self) -> None:
        open_ = True
        while open_:
            group = [self._waiting.get()]
            while not self._waiting.empty():
                group.append(self._waiting.get())
            open_ = None not in group
            self._commit([item for item in group if item is not None])

    def _commit(self, group: Sequence[tuple[Entry, asyncio.Future[None]]]) -> None:
        if not group:
            return
        failure: Exception | None = None
        try:
            self._write([entry for entry, _ in group])
        except PromptlabError as error:
            failure = error
        except Exception as error:  # whoever waits must be told, whatever it was
            failure = CacheError(f"answers cannot be stored: {error}")
        self._loop.call_soon_threadsafe(_settle, [w for _, w in group], failure)


def _settle(waiters: Sequence[asyncio.Future[None]], failure: Exception | None) -> None:
    for waiter in waiters:
        if waiter.done():
            continue
        if failure is None:
            waiter.set_result(None)
        else:
            waiter.set_exception(failure)
