"""Run answers: which answers a run had, so that it can be looked at again as it was.

They are kept with the run's record, as Parquet: a row for each call that was answered,
with `trial`, `received_s`, `checksum` and whether the run `paid` for it. An answer is
known by when it was received and by the CRC-32 of its text; the answer itself is in the
cache, where a later `refresh` may have put another one in its place.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from promptlab.results.columns import OutcomeColumns, TextColumn
from promptlab.spec.response import ReplySummary
from promptlab.store.cache import ResponseCache


@dataclass(frozen=True, eq=False)
class RunAnswers:
    """The answered calls of a run, in the order of its trials."""

    trial: np.ndarray
    received_s: np.ndarray
    checksum: np.ndarray
    paid: np.ndarray

    @classmethod
    def of(cls, answers: OutcomeColumns) -> RunAnswers:
        """Those of a run that is over."""
        single = np.frombuffer(answers.answered, dtype=bool).copy()
        single[list(answers.calls)] = False
        rows = np.flatnonzero(single)
        several = [
            (trial, reply.received_s, checksum(reply.output), paid)
            for trial, calls in answers.calls.items()
            for reply, paid in zip(calls.replies, calls.paid, strict=True)
        ]
        columns: tuple[np.ndarray, ...] = (
            rows,
            np.frombuffer(answers.received_s)[rows],
            _checksums(answers.output)[rows],
            ~np.frombuffer(answers.cached, dtype=bool)[rows],
        )
        if several:
            more = zip(*several, strict=True)
            columns = tuple(
                np.concatenate((column, np.asarray(values, dtype=column.dtype)))
                for column, values in zip(columns, more, strict=True)
            )
        order = np.argsort(columns[0], kind="stable")
        return cls(*(column[order] for column in columns))

    @classmethod
    def from_bytes(cls, content: bytes) -> RunAnswers | None:
        """Those that `to_bytes` gave; None where they are damaged."""
        try:
            table = pq.read_table(pa.BufferReader(content))
            return cls(*(table[name].to_numpy() for name in cls.__dataclass_fields__))
        except (OSError, KeyError, pa.ArrowInvalid):
            return None

    def to_bytes(self) -> bytes:
        """They as a Parquet file."""
        table = pa.table({n: getattr(self, n) for n in self.__dataclass_fields__})
        content = pa.BufferOutputStream()
        pq.write_table(table, content)
        return bytes(content.getvalue())

    def paid_by(self, trial: int) -> list[bool]:
        """Which calls of a trial this run paid for, in order."""
        first, last = np.searchsorted(self.trial, [trial, trial + 1])
        paid: list[bool] = self.paid[first:last].tolist()
        return paid

    @cached_property
    def identities(self) -> frozenset[tuple[float, int]]:
        """What the answers are known by."""
        return frozenset(
            zip(self.received_s.tolist(), self.checksum.tolist(), strict=True)
        )


@dataclass(frozen=True)
class PastAnswers:
    """A cache as it was for a run: only the answers that the run had are there."""

    cache: ResponseCache
    had: RunAnswers

    def heads(self, keys: Sequence[str]) -> dict[str, ReplySummary]:
        """The heads, by key, of those answers that are still kept."""
        found = {key: h for key, h in self.cache.heads(keys).items() if self._had(h)}
        rest = [key for key in keys if key not in found]
        for key, head in self.cache.replaced(rest):
            if self._had(head):
                found[key] = head
        return found

    def head(self, key: str) -> ReplySummary | None:
        """The head of one answer; None if it is not kept."""
        return self.heads([key]).get(key)

    def _had(self, head: ReplySummary) -> bool:
        return (head.received_s, checksum(head.output)) in self.had.identities


def checksum(text: str) -> int:
    """The CRC-32 of a string in UTF-8."""
    return zlib.crc32(text.encode("utf-8", "surrogatepass"))


def _checksums(column: TextColumn) -> np.ndarray:
    """That of each text in a column; of a missing one, any number."""
    stretches = column.packed().cast(pa.large_binary()).chunks
    contents = chain.from_iterable(
        stretch.fill_null(b"").to_numpy(zero_copy_only=False) for stretch in stretches
    )
    return np.fromiter(map(zlib.crc32, contents), dtype=np.uint32)
