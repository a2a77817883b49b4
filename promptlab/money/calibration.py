"""Calibration: what servers have counted corrects what is counted before they do."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from promptlab.money.tokens import TokenCounter

KEPT = 512
"""Calls of a model that are looked at, at most."""

MOST = 0.9
"""The share of the calls looked at that lie within the spread."""


@dataclass(frozen=True)
class Calibration:
    """How the tokens that a server counts follow from those counted beforehand."""

    counter: TokenCounter
    factor: float = 1.0
    """The server's tokens for each of ours."""
    error: float = 0.0
    """How far off the product may be, as a share of it."""
    calls: int = 0
    """How many answered calls it is learnt from."""

    def least(self, counted: float) -> float:
        """The fewest tokens that the server may count."""
        return counted * self.factor / (1 + self.error)

    def most(self, counted: float) -> float:
        """The most tokens that the server may count."""
        return counted * self.factor * (1 + self.error)

    def __str__(self) -> str:
        known = self.counter.name != "estimate"
        how = f"counted by {self.counter.name}" if known else "estimated"
        learnt = f" and corrected by {self.calls:,} answers" if self.calls > 1 else ""
        learnt = " and corrected by 1 answer" if self.calls == 1 else learnt
        return f"{how}{learnt}, ± {math.ceil(100 * self.error - 1e-9)} %"


class Observations:
    """Calls that a server has answered: tokens as counted beforehand, and by it.

    Of many, every second one is dropped, again and again, so that those kept are spread
    evenly over all of them.
    """

    def __init__(self, counter: TokenCounter) -> None:
        self.counter = counter
        self._step = 1
        self._seen = 0
        self._pairs: list[tuple[float, int]] = []

    def wants_next(self) -> bool:
        """Whether the next call is one of those kept; `add` it then."""
        self._seen += 1
        return (self._seen - 1) % self._step == 0

    def add(self, counted: float, tokens: int) -> None:
        """Notes a call: the tokens counted beforehand, and those the server counted."""
        self._pairs.append((counted, tokens))
        if len(self._pairs) == KEPT:
            del self._pairs[1::2]
            self._step *= 2

    @property
    def calibration(self) -> Calibration:
        """What they teach; without any, the counter's own error."""
        return calibration(self.counter, self._pairs)


def calibration(
    counter: TokenCounter, pairs: Sequence[tuple[float, int]]
) -> Calibration:
    """The calibration by n calls: tokens counted beforehand, and by the server.

    The factor is the ratio of the sums. The error is the distance from it within which
    nine of ten calls lie, as a share, and the counter's own error divided by √(n+1),
    which stands for the texts that have not been seen.
    """
    n = len(pairs)
    if not n:
        return Calibration(counter, error=counter.error)
    factor = sum(tokens for _, tokens in pairs) / sum(counted for counted, _ in pairs)
    away = sorted(abs(tokens / counted / factor - 1) for counted, tokens in pairs)
    spread = away[math.ceil(MOST * n) - 1]
    return Calibration(counter, factor, spread + counter.error / math.sqrt(n + 1), n)
