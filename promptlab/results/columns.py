"""Columns: the outcomes of a run as they come, one compact column for each field."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import pyarrow as pa

from promptlab.errors import Failure
from promptlab.spec.dataset import REPLY_COLUMNS
from promptlab.spec.response import ReplySummary, combined

UNKNOWN = -1
"""Stands for a count of tokens that the server did not give."""

AT_ONCE = 4096
"""Texts that are packed together once all of them are there."""


class TextColumn:
    """A column of texts, filled in any order; packed as soon as a stretch is full."""

    def __init__(self, length: int) -> None:
        self._length = length
        self._stretches: list[list[str | None] | pa.Array] = [
            [None] * min(AT_ONCE, length - start) for start in range(0, length, AT_ONCE)
        ]
        self._empty = [len(stretch) for stretch in self._stretches]

    def __setitem__(self, index: int, text: str) -> None:
        place, offset = divmod(index, AT_ONCE)
        stretch = self._stretches[place]
        stretch[offset] = text
        self._empty[place] -= 1
        if not self._empty[place]:
            self._stretches[place] = pa.array(stretch, pa.large_string())

    def packed(self) -> pa.ChunkedArray:
        """All of it, null where there is no text."""
        return pa.chunked_array(
            [
                s if isinstance(s, pa.Array) else pa.array(s, pa.large_string())
                for s in self._stretches
            ],
            pa.large_string(),
        )


class Calls(NamedTuple):
    """The answered calls of a trial that is more than one, or failed on the way."""

    heads: tuple[ReplySummary, ...]
    """What was answered, in order."""
    paid: tuple[bool, ...]
    """Which of them this run paid for."""


class OutcomeColumns:
    """The outcomes of an experiment's trials, by index, each noted once.

    100,000 answers cost little more than their texts; the table takes the columns
    over as they are.
    """

    def __init__(self, trials: int) -> None:
        self.output = TextColumn(trials)
        self.key = TextColumn(trials)
        self.beside: dict[str, TextColumn] = {}
        """What replies say beside their output, by the name of its column; only those
        that any reply has."""
        self.finish_reason = bytearray(trials)
        """The place in `finish_reasons` of each."""
        self.finish_reasons: dict[str | None, int] = {None: 0}
        self.input_tokens = _filled("q", UNKNOWN, trials)
        self.cached_input_tokens = _filled("q", UNKNOWN, trials)
        self.output_tokens = _filled("q", UNKNOWN, trials)
        self.reasoning_tokens = _filled("q", UNKNOWN, trials)
        self.cache_write_tokens = _filled("q", UNKNOWN, trials)
        self.reported_cost_usd = _filled("d", float("nan"), trials)
        """What the replies themselves say that they cost."""
        self.latency_s = _filled("d", float("nan"), trials)
        self.received_s = _filled("d", 0.0, trials)
        """When the last call of each was answered, in seconds since 1970."""
        self.served_by = _filled("I", 0, trials)
        """The place in `servers` of each."""
        self.servers: dict[tuple[str | None, str | None], int] = {(None, None): 0}
        """The models that answered, and the tiers that served."""
        self.calls: dict[int, Calls] = {}
        self.answered = bytearray(trials)
        """1 where there is an answer, 0 where not."""
        self.cached = bytearray(trials)
        """1 where this run paid for none of the answer."""
        self.failures: dict[int, Failure] = {}

    def __len__(self) -> int:
        return len(self.answered)

    def put(
        self,
        index: int,
        heads: Sequence[ReplySummary],
        key: str,
        paid: Sequence[bool] = (False,),
    ) -> None:
        """Notes the answer to a trial: what the cache's heads say of its calls, and
        which of these this run paid for; none, if it does not say.

        Of a conversation that is the last reply, all tokens and the whole latency;
        `key` is the last call's.
        """
        if len(heads) > 1:
            self._note_calls(index, heads, paid)
        head = combined(heads)
        code = self.finish_reasons.get(head.finish_reason)
        if code is None:
            code = self._new_reason(head.finish_reason)
        served = head.model, head.service_tier
        server = self.servers.setdefault(served, len(self.servers))
        for name in REPLY_COLUMNS:
            if (text := getattr(head, name)) is not None:
                self._column_beside(name)[index] = text
        self.output[index] = head.output
        self.key[index] = key
        self.finish_reason[index] = code
        self.input_tokens[index] = _known(head.input_tokens)
        self.cached_input_tokens[index] = _known(head.cached_input_tokens)
        self.output_tokens[index] = _known(head.output_tokens)
        self.reasoning_tokens[index] = _known(head.reasoning_tokens)
        self.cache_write_tokens[index] = _known(head.cache_write_tokens)
        if head.reported_cost_usd is not None:
            self.reported_cost_usd[index] = head.reported_cost_usd
        self.latency_s[index] = head.latency_s
        self.received_s[index] = head.received_s
        self.served_by[index] = server
        self.cached[index] = not any(paid)
        self.answered[index] = 1

    def fail(
        self,
        index: int,
        failure: Failure,
        heads: Sequence[ReplySummary] = (),
        paid: Sequence[bool] = (),
    ) -> None:
        """Notes that a trial has no answer, and those of its calls that have one."""
        if heads:
            self._note_calls(index, heads, paid)
        self.failures[index] = failure

    def counts(self) -> Counter[str]:
        """How many are `answered`, `cached`, `failed`."""
        return Counter(
            answered=self.answered.count(1),
            cached=self.cached.count(1),
            failed=len(self.failures),
        )

    def _column_beside(self, name: str) -> TextColumn:
        if name not in self.beside:
            self.beside[name] = TextColumn(len(self))
        return self.beside[name]

    def _note_calls(
        self, index: int, heads: Sequence[ReplySummary], paid: Sequence[bool]
    ) -> None:
        paid = (*paid, *[False] * (len(heads) - len(paid)))
        self.calls[index] = Calls(tuple(heads), paid)

    def _new_reason(self, reason: str | None) -> int:
        """A place for a finish reason; a server that makes up hundreds gets one."""
        reason = reason if len(self.finish_reasons) < 200 else "other"
        return self.finish_reasons.setdefault(reason, len(self.finish_reasons))


def _known(tokens: int | None) -> int:
    return UNKNOWN if tokens is None else tokens


def known_tokens(count: int) -> int | None:
    """A count in a column of tokens; None where the server did not give it."""
    return None if count == UNKNOWN else count


def _filled(kind: str, value: float, length: int) -> array[Any]:
    return array(kind, [value]) * length


def ranges(indexes: Iterable[int]) -> str:
    """Whole numbers in order, briefly: `"0-3,7"`."""
    return ",".join(
        str(first) if first == last else f"{first}-{last}"
        for first, last in _runs(indexes)
    )


def _runs(indexes: Iterable[int]) -> Iterator[tuple[int, int]]:
    first = last = None
    for index in indexes:
        if last is not None and index == last + 1:
            last = index
            continue
        if first is not None and last is not None:
            yield first, last
        first = last = index
    if first is not None and last is not None:
        yield first, last
