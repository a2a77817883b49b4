"""Answers: the outcomes of a run as they come, one list for each column."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from promptlab.results.record import Failure


class Answers:
    """The outcomes of an experiment's trials, by index, column by column.

    Columns hold plain Python values, so that 100,000 answers cost little more than
    their texts; records are made from them when one is looked at.
    """

    def __init__(self, trials: int) -> None:
        self.output: list[str | None] = [None] * trials
        self.finish_reason: list[str | None] = [None] * trials
        self.input_tokens: list[int | None] = [None] * trials
        self.cached_input_tokens: list[int | None] = [None] * trials
        self.output_tokens: list[int | None] = [None] * trials
        self.reasoning_tokens: list[int | None] = [None] * trials
        self.latency_s: list[float | None] = [None] * trials
        self.key: list[str | None] = [None] * trials
        self.answered = bytearray(trials)
        """1 where there is an answer, 0 where not."""
        self.cached = bytearray(trials)
        """1 where this run paid for none of the answer."""
        self.failures: dict[int, Failure] = {}

    def __len__(self) -> int:
        return len(self.answered)

    def put(self, index: int, head: Sequence[Any], key: str, *, cached: bool) -> None:
        """Notes the answer to a trial; members of `head` after the seventh are left."""
        (
            self.output[index],
            self.finish_reason[index],
            self.input_tokens[index],
            self.cached_input_tokens[index],
            self.output_tokens[index],
            self.reasoning_tokens[index],
            self.latency_s[index],
            *_,
        ) = head
        self.key[index] = key
        self.cached[index] = cached
        self.answered[index] = 1

    def put_all(
        self, index: int, heads: Sequence[Sequence[Any]], key: str, *, cached: bool
    ) -> None:
        """Notes the outcome of a conversation: its last reply, all its tokens and its
        whole latency; `key` is the last call's."""
        head = heads[0]
        if len(heads) > 1:
            sums = [
                _sum(column) for column in zip(*(h[2:7] for h in heads), strict=True)
            ]
            head = [*heads[-1][:2], *sums]
        self.put(index, head, key, cached=cached)

    def fail(self, index: int, failure: Failure) -> None:
        """Notes that a trial has no answer."""
        self.failures[index] = failure

    @property
    def done(self) -> list[int]:
        """The indexes of the trials that have an outcome, in order."""
        if not self.failures:
            return [i for i, answered in enumerate(self.answered) if answered]
        return sorted({*(i for i, a in enumerate(self.answered) if a), *self.failures})

    def counts(self) -> Counter[str]:
        """How many are `answered`, `cached`, `failed`, `truncated`."""
        return Counter(
            answered=sum(self.answered),
            cached=sum(self.cached),
            failed=len(self.failures),
            truncated=sum(reason == "length" for reason in self.finish_reason),
        )


def _sum(values: Sequence[Any]) -> Any:
    """Their sum; None where one is not known."""
    return None if None in values else sum(values)


def ranges(indexes: Iterable[int]) -> str:
    """Whole numbers in order, briefly: `"0-3,7"`."""
    parts = []
    for first, last in _runs(indexes):
        parts.append(str(first) if first == last else f"{first}-{last}")
    return ",".join(parts)


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
