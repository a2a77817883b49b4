"""The order of calls: of those that begin alike, one goes first.

Providers keep the beginnings of prompts that they have answered, and read them again
at a lower price: OpenAI from 1,024 tokens on, in steps of 128 ("Prompt caching"). Calls
that are sent at the same time cannot profit from each other. So of the trials whose
prompts share a long beginning, one leads, and the others follow when it is answered.

Messages are sent as they are; only their order in time is chosen.
"""

from __future__ import annotations

import hashlib
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from promptlab.execution.scheduling.queue import Queue
from promptlab.spec.prompt import Turn

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
    contents = (message["content"] for message in turn)
    return sum(len(c) if c.isascii() else len(c.encode()) for c in contents)
