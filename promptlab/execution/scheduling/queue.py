"""Queues: the trials that wait for one model, some of them behind another, some of them
for another process that asks the same."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections import deque
from collections.abc import Callable, Collection, Iterator

PATIENCE_S = 60.0
"""How long those behind a leader wait for its answer once it was sent."""

LOOK_EVERY_S = 1.0


class Queue:
    """The indexes of trials that no worker has begun, the lowest first.

    A trial that stands behind a leader waits until the leader is over. If the leader
    had no success, the first behind it leads in its place, once.
    """

    def __init__(self) -> None:
        self.left = 0
        """How many there are."""
        self._streams: list[tuple[int, deque[int]]] = []
        """A heap of what may begin: by its first index, in the order to begin it."""
        self._behind: dict[int, list[int]] = {}
        self._substitutes: set[int] = set()
        self.leading: set[int] = set()
        """Those that have begun, and that others wait for."""
        self._takers: list[asyncio.Future[None]] = []
        self._put_off: list[tuple[float, int]] = []
        """A heap of those that another process asks: when to look again, and which."""
        self._tail: deque[int] = deque()

    def put(self, index: int, behind: int | None = None) -> None:
        """Adds a trial, behind a leader that was added before it if that is given."""
        self.left += 1
        if behind is not None:
            self._behind.setdefault(behind, []).append(index)
            return
        self._tail.append(index)
        if len(self._tail) == 1:
            heapq.heappush(self._streams, (index, self._tail))

    async def take(self) -> int | None:
        """The next trial to begin, as soon as there is one; None if none is left."""
        loop = asyncio.get_running_loop()
        while not self._streams:
            if not self._behind and not self._put_off:
                return None
            if self._put_off and self._put_off[0][0] <= loop.time():
                return self._begun(heapq.heappop(self._put_off)[1])
            taker = loop.create_future()
            self._takers.append(taker)
            if self._put_off:
                loop.call_at(self._put_off[0][0], self._wake)
            await taker
        return self._next()

    def put_off(self, index: int, wait_s: float) -> None:
        """Takes back a trial that was begun, and gives it again when there is no other,
        and not before so many seconds have passed. Those behind it go on waiting."""
        due = asyncio.get_running_loop().time() + wait_s
        heapq.heappush(self._put_off, (due, index))
        self.left += 1

    @property
    def elsewhere(self) -> int:
        """How many trials were put off."""
        return len(self._put_off)

    def leads(self, index: int) -> bool:
        """Whether others wait behind a trial."""
        return index in self._behind

    def let_go(self, leader: int, *, succeeded: bool) -> None:
        """Lets those behind a leader go; if it had no success, the first of them."""
        followers = self._behind.pop(leader, None)
        self.leading.discard(leader)
        if followers is None:
            return
        if not succeeded and leader not in self._substitutes:
            substitute, *rest = followers
            self._substitutes.add(substitute)
            if rest:
                own = self._behind.get(substitute, [])
                self._behind[substitute] = list(heapq.merge(own, rest))
            followers = [substitute]
        heapq.heappush(self._streams, (followers[0], deque(followers)))
        self._wake()

    def __iter__(self) -> Iterator[int]:
        ready = (stream for _, stream in self._streams)
        put_off = (index for _, index in self._put_off)
        return itertools.chain(*ready, *self._behind.values(), put_off)

    def _next(self) -> int:
        _, stream = self._streams[0]
        index = stream.popleft()
        if stream:
            heapq.heapreplace(self._streams, (stream[0], stream))
        else:
            heapq.heappop(self._streams)
        return self._begun(index)

    def _begun(self, index: int) -> int:
        self.left -= 1
        if index in self._behind:
            self.leading.add(index)
        if not self._streams and not self._behind:
            self._wake()  # there is nothing more to wait for
        return index

    def _wake(self) -> None:
        takers, self._takers = self._takers, []
        for taker in takers:
            if not taker.done():
                taker.set_result(None)


async def lose_patience(
    queues: Collection[Queue], is_sent: Callable[[int], bool]
) -> None:
    """Lets those behind a leader go whose answer takes too long; until cancelled."""
    sent_at: dict[int, float] = {}
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        now = asyncio.get_running_loop().time()
        for queue in queues:
            for leader in [leader for leader in queue.leading if is_sent(leader)]:
                if now - sent_at.setdefault(leader, now) >= PATIENCE_S:
                    queue.let_go(leader, succeeded=True)
