"""Sampling: one of several scored candidates, drawn as a model draws tokens."""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import TypeVar

T = TypeVar("T")

Scored = tuple[T, float]
"""A candidate and how well it fits: 1 fits, 0 does not."""

_FRESH = random.SystemRandom()


@dataclass(frozen=True)
class Draw:
    """One choice that was made, and how likely it was at temperature 1."""

    text: str
    probability: float
    others: tuple[tuple[str, float], ...]
    """What else could have been chosen, and how likely each was."""


@dataclass(frozen=True)
class Sampler:
    """Draws by softmax over scores; at temperature 0, the first of the best."""

    temperature: float
    top_p: float
    sharpness: float
    random: random.Random
    draws: list[Draw] = field(default_factory=list)
    """What was chosen so far, in order."""

    def choose(self, scored: Sequence[Scored[T]]) -> T:
        """One candidate; `scored` is not empty."""
        return self.order(scored, 1)[0]

    def order(self, scored: Sequence[Scored[T]], number: int) -> list[T]:
        """`number` different candidates, or all of them, in the order drawn."""
        # Likeliest first; a stable sort, so that a seed always draws the same.
        left = sorted(scored, key=lambda candidate: -candidate[1])
        drawn: list[T] = []
        while left and len(drawn) < number:
            drawn.append(left.pop(self._draw(left))[0])
        return drawn

    def _draw(self, ranked: Sequence[Scored[T]]) -> int:
        """The index of the candidate that is drawn."""
        index = 0
        if self.temperature > 0:
            weights = _softmax(ranked, self.sharpness / self.temperature)
            sums = list(accumulate(weights))
            kept = next(
                n for n, total in enumerate(sums, 1) if total >= self.top_p * sums[-1]
            )
            index = self.random.choices(range(kept), weights[:kept])[0]
        texts = [str(candidate) for candidate, _ in ranked]
        likely = list(zip(texts, _softmax(ranked, self.sharpness), strict=True))
        self.draws.append(Draw(*likely.pop(index), tuple(likely)))
        return index


def seeded(seed: int | None, text: str) -> random.Random:
    """Randomness that `seed` and `text` fix; without a seed, new every time."""
    return _FRESH if seed is None else random.Random(f"{seed}:{text}")


def _softmax(scored: Sequence[Scored[T]], scale: float) -> list[float]:
    """How likely each candidate is; they sum to 1."""
    best = max(score for _, score in scored)
    weights = [math.exp(max(-700, (score - best) * scale)) for _, score in scored]
    total = sum(weights)
    return [weight / total for weight in weights]
