"""Commits: on disk before it is said, many at once, and nobody left waiting."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

import pytest

import promptlab as pl
from promptlab.errors import CacheError
from promptlab.spec.response import ReplySummary
from promptlab.store.cache import Entry
from promptlab.store.writer import CacheWriter
from promptlab.testing import PATIENCE_S, response


def entry(number: int) -> Entry:
    messages = [{"role": "user", "content": str(number)}]
    request = pl.Request("https://x.test", {"model": "m", "messages": messages})
    return Entry.of(request, response("yes"), "e")


class SlowDisk:
    """Writes a group when it is let to, and remembers the groups."""

    def __init__(self) -> None:
        self.groups: list[int] = []
        self.writing = threading.Semaphore(0)
        self._free = threading.Event()
        self.error: Exception | None = None

    def write(self, entries: Sequence[Entry]) -> dict[str, ReplySummary]:
        self.groups.append(len(entries))
        self.writing.release()
        assert self._free.wait(PATIENCE_S)
        if self.error is not None:
            raise self.error
        return {}

    def free(self) -> None:
        self._free.set()


async def begun(disk: SlowDisk) -> None:
    """Returns when the disk is writing."""
    assert await asyncio.to_thread(disk.writing.acquire, timeout=PATIENCE_S)


async def queued(*tasks: asyncio.Task[None]) -> None:
    """Returns when the tasks wait for the disk."""
    await asyncio.sleep(0)
    assert not any(task.done() for task in tasks)


def test_an_entry_is_on_disk_when_put_returns(cache: pl.ResponseCache) -> None:
    async def main() -> None:
        commits = CacheWriter(cache.add)
        for number in range(5):
            await commits.put(entry(number))
            assert entry(number).key in cache
        await commits.close()

    asyncio.run(main())

    assert len(cache) == 5


def test_what_comes_during_a_write_is_written_together_in_the_next() -> None:
    disk = SlowDisk()

    async def main() -> None:
        commits = CacheWriter(disk.write)
        first = asyncio.create_task(commits.put(entry(0)))
        await begun(disk)
        others = [asyncio.create_task(commits.put(entry(n))) for n in range(1, 100)]
        await queued(first, *others)
        disk.free()
        await asyncio.gather(first, *others)
        await commits.close()

    asyncio.run(main())

    assert disk.groups == [1, 99]


@pytest.mark.parametrize(
    "error", [CacheError("the disk is full"), MemoryError("the disk is full")]
)
def test_an_error_reaches_all_who_wait_for_the_write(error: Exception) -> None:
    disk = SlowDisk()
    disk.error = error

    async def main() -> list[object]:
        commits = CacheWriter(disk.write)
        first = asyncio.create_task(commits.put(entry(0)))
        await begun(disk)
        others = [asyncio.create_task(commits.put(entry(n))) for n in range(1, 10)]
        await queued(first, *others)
        disk.free()
        outcomes = await asyncio.gather(first, *others, return_exceptions=True)
        await commits.close()
        return list(outcomes)

    outcomes = asyncio.run(main())

    assert [type(outcome) for outcome in outcomes] == [CacheError] * 10
    assert all("the disk is full" in str(outcome) for outcome in outcomes)


def test_after_an_error_the_next_entries_are_written(cache: pl.ResponseCache) -> None:
    full = [True]

    def write(entries: Sequence[Entry]) -> dict[str, ReplySummary]:
        if full.pop():
            raise CacheError("full")
        full.append(False)
        return cache.add(entries)

    async def main() -> None:
        commits = CacheWriter(write)
        with pytest.raises(CacheError):
            await commits.put(entry(0))
        full.append(False)
        await commits.put(entry(1))
        await commits.close()

    asyncio.run(main())

    assert len(cache) == 1


def test_close_writes_what_waits(cache: pl.ResponseCache) -> None:
    async def main() -> None:
        commits = CacheWriter(cache.add)
        waiting = [asyncio.create_task(commits.put(entry(n))) for n in range(50)]
        await asyncio.sleep(0)
        await commits.close()
        await asyncio.gather(*waiting)

    asyncio.run(main())

    assert len(cache) == 50


def test_an_entry_is_written_even_if_its_waiter_gives_up() -> None:
    disk = SlowDisk()

    async def main() -> None:
        commits = CacheWriter(disk.write)
        first = asyncio.create_task(commits.put(entry(0)))
        await begun(disk)
        second = asyncio.create_task(commits.put(entry(1)))
        await queued(first, second)
        second.cancel()
        disk.free()
        await commits.close()

    asyncio.run(main())

    assert disk.groups == [1, 1]


def test_close_ends_the_thread(cache: pl.ResponseCache) -> None:
    before = set(threading.enumerate())

    async def main() -> None:
        await CacheWriter(cache.add).close()

    asyncio.run(main())

    left = set(threading.enumerate()) - before
    assert not [thread for thread in left if thread.name == "promptlab-commits"]


def test_what_comes_after_the_end_is_refused_instead_of_waited_for(
    cache: pl.ResponseCache,
) -> None:
    async def main() -> None:
        commits = CacheWriter(cache.add)
        await commits.close()
        with pytest.raises(CacheError, match="the run is over"):
            await commits.put(entry(1))

    asyncio.run(main())
