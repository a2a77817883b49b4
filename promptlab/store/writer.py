"""Commits: answers are written to the cache off the event loop, in groups."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Mapping, Sequence

from promptlab.errors import CacheError, PromptlabError
from promptlab.spec.response import ReplySummary
from promptlab.store.cache import Entry


class CacheWriter:
    """A thread that writes what waits, all of it in one transaction, and then says so.

    While one group is being written the next one gathers, so that each answer is on
    disk a moment after it came, and a fast server costs few transactions.
    """

    def __init__(
        self, write: Callable[[Sequence[Entry]], Mapping[str, ReplySummary]]
    ) -> None:
        """`write` stores entries, and gives what is stored in the place of some."""
        self._write = write
        self._closed = False
        self._loop = asyncio.get_running_loop()
        self._waiting: queue.SimpleQueue[
            tuple[Entry, asyncio.Future[ReplySummary]] | None
        ]
        self._waiting = queue.SimpleQueue()
        self._thread = threading.Thread(
            target=self._work, name="promptlab-commits", daemon=True
        )
        self._thread.start()

    async def put(self, entry: Entry) -> ReplySummary:
        """Returns when the entry is on disk, with the head that is on disk: another
        one's, where an answer was there first.

        Raises:
            CacheError: it cannot be written.
        """
        if self._closed:
            raise CacheError("the run is over: nothing more is stored")
        written: asyncio.Future[ReplySummary] = self._loop.create_future()
        self._waiting.put((entry, written))
        return await written  # it is written even if the one who waits gives up

    async def close(self) -> None:
        """Returns when all that waits is on disk and the thread has ended."""
        self._closed = True
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

    def _commit(
        self, group: Sequence[tuple[Entry, asyncio.Future[ReplySummary]]]
    ) -> None:
        if not group:
            return
        failure: Exception | None = None
        there: Mapping[str, ReplySummary] = {}
        try:
            there = self._write([entry for entry, _ in group])
        except PromptlabError as error:
            failure = error
        except Exception as error:  # whoever waits must be told, whatever it was
            failure = CacheError(f"answers cannot be stored: {error}")
        self._loop.call_soon_threadsafe(_settle, group, there, failure)


def _settle(
    group: Sequence[tuple[Entry, asyncio.Future[ReplySummary]]],
    there: Mapping[str, ReplySummary],
    failure: Exception | None,
) -> None:
    for entry, written in group:
        if written.done():
            continue
        if failure is None:
            written.set_result(there.get(entry.key, entry.head))
        else:
            written.set_exception(failure)
