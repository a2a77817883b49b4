"""Columns: the outcomes of a run as they come, one compact column for each field."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from promptlab.errors import Failure
from promptlab.spec.dataset import REPLY_COLUMNS
from promptlab.spec.response import ReplySummary, combined

UNKNOWN = -1
"""Stands for a count of tokens that the server did not give."""

AT_ONCE = 4096
"""Strings that are packed together once all of them have come."""


class TextColumn:
    """A column of strings, filled in any order; each full stretch is packed."""

    def __init__(self, length: int) -> None:
        self._length = length
        self._stretches: list[list[str | None] | pa.Array] = [
            [None] * min(AT_ONCE, length - start) for start in range(0, length, AT_ONCE)
        ]
        self._empty = [len(stretch) for stretch in self._stretches]

    def __setitem__(self, index: int, text: str | None) -> None:
        position, offset = divmod(index, AT_ONCE)
        stretch = self._stretches[position]
        stretch[offset] = text
        self._empty[position] -= 1
        if not self._empty[position]:
            self._stretches[position] = pa.array(stretch, pa.large_string())

    def packed(self) -> pa.ChunkedArray:
        """All of it, null where no string has come."""
        return pa.chunked_array(
            [
                s if isinstance(s, pa.Array) else pa.array(s, pa.large_string())
                for s in self._stretches
            ],
            pa.large_string(),
        )


class Calls(NamedTuple):
    """The answered calls of a trial that is more than one, or failed on the way."""

    replies: tuple[ReplySummary, ...]
    """What was answered, in order."""
    paid: tuple[bool, ...]
    """Which of them this run paid for."""


class OutcomeColumns:
    """The outcomes of an experiment's trials, by index, each noted once.

    100,000 answers cost little more than their strings; the table takes the columns
    over as they are.
    """

    def __init__(self, trials: int) -> None:
        self.output = TextColumn(trials)
        self.key = TextColumn(trials)
        self.beside: dict[str, TextColumn] = {}
        """What replies say beside their output, by the name of its column; only those
        that any reply has."""
        self.finish_reason = bytearray(trials)
        """The position in `finish_reasons` of each."""
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
        """The position in `servers` of each."""
        self.servers: dict[tuple[str | None, str | None], int] = {(None, None): 0}
        """The models that answered, and the tiers that served."""
        self.calls: dict[int, Calls] = {}
        self.answered = bytearray(trials)
        """1 for each trial with an answer, else 0."""
        self.cached = bytearray(trials)
        """1 where this run paid for none of the answer."""
        self.failures: dict[int, Failure] = {}

    def __len__(self) -> int:
        return len(self.answered)

    def put(
        self,
        index: int,
        replies: Sequence[ReplySummary],
        key: str | None,
        paid: Sequence[bool] = (False,),
    ) -> None:
        """Notes the answer to a trial: the replies to its calls, and which of them this
        run paid for; none if not given.

        A conversation has the text of its last reply, and the tokens and latency of
        all; `key` is the last call's.
        """
        if len(replies) > 1:
            self._note_calls(index, replies, paid)
        reply = combined(replies)
        code = self.finish_reasons.get(reply.finish_reason)
        if code is None:
            code = self._new_reason(reply.finish_reason)
        served = reply.model, reply.service_tier
        server = self.servers.setdefault(served, len(self.servers))
        for name in REPLY_COLUMNS:
            if (text := getattr(reply, name)) is not None:
                self._column_beside(name)[index] = text
        self.output[index] = reply.output
        self.key[index] = key
        self.finish_reason[index] = code
        self.input_tokens[index] = _known(reply.input_tokens)
        self.cached_input_tokens[index] = _known(reply.cached_input_tokens)
        self.output_tokens[index] = _known(reply.output_tokens)
        self.reasoning_tokens[index] = _known(reply.reasoning_tokens)
        self.cache_write_tokens[index] = _known(reply.cache_write_tokens)
        if reply.reported_cost_usd is not None:
            self.reported_cost_usd[index] = reply.reported_cost_usd
        self.latency_s[index] = reply.latency_s
        self.received_s[index] = reply.received_s
        self.served_by[index] = server
        self.cached[index] = not any(paid)
        self.answered[index] = 1

    def fail(
        self,
        index: int,
        failure: Failure,
        replies: Sequence[ReplySummary] = (),
        paid: Sequence[bool] = (),
    ) -> None:
        """Notes that a trial failed, and the replies to its first calls."""
        if replies:
            self._note_calls(index, replies, paid)
        self.failures[index] = failure

    def counts(self) -> Counter[str]:
        """How many are `answered`, `cached`, `failed`."""
        return Counter(
            answered=self.answered.count(1),
            cached=self.cached.count(1),
            failed=len(self.failures),
        )

    @property
    def asked(self) -> np.ndarray:
        """The trials, in order, with an answer that this run paid for."""
        answered = np.frombuffer(self.answered, dtype=bool)
        return np.flatnonzero(answered & ~np.frombuffer(self.cached, dtype=bool))

    def _column_beside(self, name: str) -> TextColumn:
        if name not in self.beside:
            self.beside[name] = TextColumn(len(self))
        return self.beside[name]

    def _note_calls(
        self, index: int, replies: Sequence[ReplySummary], paid: Sequence[bool]
    ) -> None:
        paid = (*paid, *[False] * (len(replies) - len(paid)))
        self.calls[index] = Calls(tuple(replies), paid)

    def _new_reason(self, reason: str | None) -> int:
        """The position of a new finish reason; beyond 200 of them, that of `other`."""
        reason = reason if len(self.finish_reasons) < 200 else "other"
        return self.finish_reasons.setdefault(reason, len(self.finish_reasons))


def _known(tokens: int | None) -> int:
    return UNKNOWN if tokens is None else tokens


def known_tokens(count: int) -> int | None:
    """A count in a column of tokens; None if the server did not give it."""
    return None if count == UNKNOWN else count


def _filled(kind: str, value: float, length: int) -> array[Any]:
    return array(kind, [value]) * length


def ranges(indexes: Sequence[int] | np.ndarray) -> str:
    """Integers in order as ranges: `"0-3,7"`."""
    numbers = np.asarray(indexes, dtype=np.int64)
    if not len(numbers):
        return ""
    ends = np.flatnonzero(np.diff(numbers) != 1)
    first, last = numbers[np.append(0, ends + 1)], numbers[np.append(ends, -1)]
    return ",".join(
        str(a) if a == b else f"{a}-{b}"
        for a, b in zip(first.tolist(), last.tolist(), strict=True)
    )
