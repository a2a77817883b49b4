"""Queues: what waits for one model, in the order to ask it.

Providers keep the beginnings of prompts that they have answered, and read them again
at a lower price: OpenAI from 1,024 tokens on, in steps of 128 ("Prompt caching"). Calls
that are sent at the same time cannot profit from each other. So of the conversations
whose prompts share a long beginning, one leads, and the others follow when it is
answered. Messages are sent as they are; only their order in time is chosen.
"""

from __future__ import annotations

import asyncio
import hashlib
import heapq
import itertools
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from promptlab.spec.prompt import Turn

PATIENCE_S = 60.0
"""How long those behind a leader wait for its answer once it was sent."""

LOOK_EVERY_S = 1.0

BYTES_PER_TOKEN = 4
"""About: English and JSON have some more, code has some less."""

SHORTEST = 1024 * BYTES_PER_TOKEN
STEP = 128 * BYTES_PER_TOKEN
"""Bytes from which a beginning counts, and by which longer ones are told apart."""

GROWTH = 8
"""Longer ones are told apart less finely: by an eighth of their length."""

DEEPEST = 3
"""How many leaders may have to be answered one after the other before a trial: of what
all cases share, of what the case's prompts share, of the prompt's repeats."""

KEPT = 50_000
"""Beginnings that are remembered; of older ones a provider remembers none either."""

IN_PROMPT = ("tools", "functions", "response_format")
"""Parameters that are part of what a provider keeps."""


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


async def release_stalled_followers(
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


class Waiting(NamedTuple):
    """A conversation with a long prompt."""

    number: int
    kind: int
    beginnings: tuple[int, ...]


class PrefixScheduler:
    """Puts conversations into their queues, each behind its leader if it has one.

    They come group by group, such as case by case. Within a group those kinds lead that
    have led least, so that the time that leading takes is not always the same
    variant's.
    """

    def __init__(
        self, seeds: Sequence[bytes], queue_of: Callable[[int], Queue]
    ) -> None:
        """`seeds` has for each kind what its prompts share beside their messages;
        `queue_of` gives the queue of a conversation by its number."""
        self._queue_of = queue_of
        self._seeds = seeds
        self._turns: Sequence[Turn] = ()
        self._is_long = False
        self._group = -1
        self._waiting: list[Waiting] = []
        self._read: dict[tuple[int, bytes], tuple[Sequence[Turn], tuple[int, ...]]] = {}
        """The beginnings of the prompts of the group, by their identity and seed."""
        self._first: OrderedDict[int, tuple[int, int, int]] = OrderedDict()
        """By beginning, the first conversation that had it, its kind, and how many lead
        it."""
        self._led: Counter[int] = Counter()
        """How often each kind has led others."""

    def put(self, number: int, turns: Sequence[Turn], *, group: int, kind: int) -> None:
        """Puts a conversation into its queue: at once if its prompt is short, otherwise
        when all of its group have come."""
        if turns is not self._turns:
            self._turns = turns
            self._is_long = _bytes(turns[0]) >= SHORTEST
        if not self._is_long:
            self._queue_of(number).put(number)
            return
        if group != self._group:
            self.settle()
            self._group = group
        place = id(turns), self._seeds[kind]
        if place not in self._read:
            self._read[place] = turns, beginnings(turns[0], self._seeds[kind])
        self._waiting.append(Waiting(number, kind, self._read[place][1]))

    def settle(self) -> None:
        """Puts the conversations of the group that has come into their queues."""
        self._waiting.sort(key=lambda one: (self._led[one.kind], one.number))
        for one in self._waiting:
            self._queue_of(one.number).put(one.number, self._leader_of(one))
        self._waiting.clear()
        self._read.clear()

    def _leader_of(self, one: Waiting) -> int | None:
        """The conversation that shares the longest beginning with this one, of those
        before it; None if this one is the first of its kind."""
        leader, leaders_kind, depth = None, -1, 0
        for beginning in reversed(one.beginnings):
            first, kind, before = self._first.get(beginning, (None, -1, DEEPEST))
            if first is not None and before < DEEPEST:
                leader, leaders_kind, depth = first, kind, before + 1
                break
        for beginning in one.beginnings:
            self._first.setdefault(beginning, (one.number, one.kind, depth))
            self._first.move_to_end(beginning)
        while len(self._first) > KEPT:
            self._first.popitem(last=False)
        if leader is not None and not self._queue_of(leader).leads(leader):
            self._led[leaders_kind] += 1
        return leader


def seed(base_url: str | None, model: str, parameters: Mapping[str, Any]) -> bytes:
    """What prompts must share beside their messages to be kept as one by a provider."""
    return orjson.dumps([base_url, model, *(parameters.get(n) for n in IN_PROMPT)])


def beginnings(turn: Turn, seed: bytes) -> tuple[int, ...]:
    """What identifies the long beginnings of a prompt, from the shortest on."""
    text = orjson.dumps(turn)
    digest = hashlib.blake2b(seed, digest_size=8)
    found = []
    start, end = 0, SHORTEST
    while end <= len(text):
        digest.update(text[start:end])
        found.append(int.from_bytes(digest.digest()))
        start, end = end, end + max(STEP, end // GROWTH)
    return tuple(found)


def _bytes(turn: Turn) -> int:
    return sum(_bytes_of(message.get("content")) for message in turn)


def _bytes_of(content: Any) -> int:
    if not isinstance(content, str):
        return len(orjson.dumps(content))
    return len(content) if content.isascii() else len(content.encode())
