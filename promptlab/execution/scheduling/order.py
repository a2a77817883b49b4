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
from collections.abc import Callable, Sequence
from typing import NamedTuple

import orjson

from promptlab.execution.scheduling.queue import Queue
from promptlab.spec.definition import Definition
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
    """A trial with a long prompt."""

    trial: int
    variant: int
    beginnings: tuple[int, ...]


class Order:
    """Puts trials into their queues, each behind its leader if it has one.

    Trials come case by case. Within a case those variants lead that have led least, so
    that the time that leading takes is not always the same variant's.
    """

    def __init__(
        self, experiment: Definition, queue_of: Callable[[int], Queue]
    ) -> None:
        """`queue_of` gives the queue of a trial."""
        self._queue_of = queue_of
        self._repeats = experiment.repeats
        self._variants = len(experiment.effective_variants)
        self._seeds = [
            orjson.dumps(
                [q.base_url, q.model, *(q.parameters.get(name) for name in IN_PROMPT)]
            )
            for q in experiment.effective_variants
        ]
        self._turns: Sequence[Turn] = ()
        self._is_long = False
        self._case = -1
        self._waiting: list[Waiting] = []
        self._read: dict[tuple[int, bytes], tuple[Sequence[Turn], tuple[int, ...]]] = {}
        """The beginnings of the prompts of the case, by their identity and seed."""
        self._first: OrderedDict[int, tuple[int, int]] = OrderedDict()
        """By beginning, the first trial that had it and how many lead it."""
        self._led: Counter[int] = Counter()
        """How often each variant has led others."""

    def put(self, index: int, turns: Sequence[Turn]) -> None:
        """Puts a trial into its queue: at once if its prompt is short, otherwise when
        all trials of its case are there."""
        if turns is not self._turns:
            self._turns = turns
            self._is_long = _bytes(turns[0]) >= SHORTEST
        if not self._is_long:
            self._queue_of(index).put(index)
            return
        case, variant = divmod(index // self._repeats, self._variants)
        if case != self._case:
            self.settle()
            self._case = case
        place = id(turns), self._seeds[variant]
        if place not in self._read:
            self._read[place] = turns, beginnings(turns[0], self._seeds[variant])
        self._waiting.append(Waiting(index, variant, self._read[place][1]))

    def settle(self) -> None:
        """Puts the trials of the case that has come into their queues."""
        self._waiting.sort(key=lambda one: (self._led[one.variant], one.trial))
        for one in self._waiting:
            self._queue_of(one.trial).put(one.trial, self._leader_of(one))
        self._waiting.clear()
        self._read.clear()

    def _leader_of(self, one: Waiting) -> int | None:
        """The trial that shares the longest beginning with this one, of those before
        it; None if this one is the first of its kind."""
        leader, depth = None, 0
        for beginning in reversed(one.beginnings):
            first, before = self._first.get(beginning, (None, DEEPEST))
            if first is not None and before < DEEPEST:
                leader, depth = first, before + 1
                break
        for beginning in one.beginnings:
            self._first.setdefault(beginning, (one.trial, depth))
            self._first.move_to_end(beginning)
        while len(self._first) > KEPT:
            self._first.popitem(last=False)
        if leader is not None and not self._queue_of(leader).leads(leader):
            self._led[leader // self._repeats % self._variants] += 1
        return leader


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
