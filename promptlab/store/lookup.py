"""The lookup: before any call, which trials are cached, new, or asked twice."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from enum import IntEnum
from typing import NamedTuple, Protocol

from promptlab.spec.prompt import Turn
from promptlab.spec.requests import FirstRequest, Requests, conversation_id
from promptlab.spec.response import ReplySummary

AT_ONCE = 2_000
"""Trials looked up together; a run can be stopped between two such groups."""

SLICE_S = 0.5
"""Seconds after which such a group is closed, if its prompts take that long."""


class TrialStatus(IntEnum):
    """How a trial stands before a run."""

    NEW = 0
    CACHED = 1
    DUPLICATE = 2
    """Not cached, and the same as an earlier trial from first message to last."""


class TrialLookup(NamedTuple):
    """How one trial stands."""

    trial: int
    """Its index."""
    status: TrialStatus
    key: str
    """Of the last call that is known: all of them where it is cached."""
    heads: Sequence[ReplySummary] = ()
    """What the cache has of its calls, in order."""
    first: int = 0
    """Of a duplicate, the trial that it equals."""
    turns: Sequence[Turn] = ()
    """The messages of each of its calls; not of a duplicate."""
    owns: Sequence[int] = ()
    """The places among them of the calls that no earlier trial makes."""

    @property
    def asks(self) -> list[int]:
        """The places of the calls that it adds to the run."""
        return [turn for turn in self.owns if turn >= len(self.heads)]


class KnownAnswers(Protocol):
    """Where answers are looked up: a cache, or one as it was for a recorded run."""

    def heads(self, keys: Sequence[str]) -> dict[str, ReplySummary]:
        """The heads, by key, of those of the answers that are there."""

    def head(self, key: str) -> ReplySummary | None:
        """The head of one answer; None if there is none."""


def look_up(
    requests: Requests, cache: KnownAnswers | None
) -> Iterator[list[TrialLookup]]:
    """How every trial stands, in order, group by group.

    Every prompt is rendered, so a template that fails on some case is found here.
    """
    seen: dict[str, int] = {}
    for group in _batched(requests.first_requests()):
        found = cache.heads([call.key for call in group]) if cache is not None else {}
        lookups = []
        for call in group:
            head = found.get(call.key)
            if len(call.turns) == 1 and head is not None:
                lookup = TrialLookup(
                    *(call.trial, TrialStatus.CACHED, call.key, (head,)),
                    turns=call.turns,
                    owns=(0,),
                )
            else:
                lookup = _trial_lookup(call, head, requests, cache, seen)
            lookups.append(lookup)
        yield lookups


def _trial_lookup(
    call: FirstRequest,
    head: ReplySummary | None,
    requests: Requests,
    cache: KnownAnswers | None,
    seen: dict[str, int],
) -> TrialLookup:
    heads, key = _heads(call, head, requests, cache)
    status = TrialStatus.CACHED
    if len(heads) < len(call.turns):
        status = TrialStatus.NEW
        first = seen.setdefault(call.identity, call.trial)
        if first != call.trial:
            return TrialLookup(call.trial, TrialStatus.DUPLICATE, key, first=first)
    turns = range(len(heads) if _is_over(heads, call) else len(call.turns))
    owns = [turn for turn in turns if _is_first(call, turn, seen)]
    return TrialLookup(call.trial, status, key, heads, turns=call.turns, owns=owns)


def _heads(
    call: FirstRequest,
    head: ReplySummary | None,
    requests: Requests,
    cache: KnownAnswers | None,
) -> tuple[list[ReplySummary], str]:
    """What is cached of a conversation, from its first call on."""
    heads, key = [], call.key
    while head is not None and cache is not None:
        heads.append(head)
        request = requests.request(call.trial, [head.message for head in heads])
        if request is None or head.dead_end(call.turns[len(heads)]):
            break
        key = request.key
        head = cache.head(key)
    return heads, key


def _is_over(heads: Sequence[ReplySummary], call: FirstRequest) -> bool:
    """Whether a conversation has ended before its last call: none of these is made."""
    cached = len(heads)
    return 0 < cached < len(call.turns) and bool(heads[-1].dead_end(call.turns[cached]))


def _is_first(call: FirstRequest, turn: int, seen: dict[str, int]) -> bool:
    """Whether no earlier trial makes the call of that turn after the same turns."""
    if turn:
        so_far = f"{turn}:{conversation_id(call.key, call.turns[1 : turn + 1])}"
        return seen.setdefault(so_far, call.trial) == call.trial
    begun = f"0:{call.key}"  # noted by conversations; by its key, a single call
    if len(call.turns) == 1:
        return begun not in seen
    return call.key not in seen and seen.setdefault(begun, call.trial) == call.trial


def _batched(first_requests: Iterator[FirstRequest]) -> Iterator[list[FirstRequest]]:
    """Groups of so many, or of those that could be rendered in so long."""
    group: list[FirstRequest] = []
    end = time.monotonic() + SLICE_S
    for call in first_requests:
        group.append(call)
        if len(group) == AT_ONCE or time.monotonic() > end:
            yield group
            group, end = [], time.monotonic() + SLICE_S
    if group:
        yield group
