"""Sampling: one of several scored candidates, drawn as a model draws tokens."""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TypeVar

T = TypeVar("T")

Scored = tuple[T, float]
"""A candidate and how well it fits: 1 fits, 0 does not."""

_FRESH = random.SystemRandom()


@dataclass(frozen=True)
class Sampler:
    """Draws by softmax over scores; at temperature 0, the first of the best."""

    temperature: float
    top_p: float
    sharpness: float
    random: random.Random

    def choose(self, scored: Sequence[Scored[T]]) -> T:
        """One candidate; `scored` is not empty."""
        if self.temperature == 0:
            return max(scored, key=_score)[0]
        # Likeliest first; a stable sort, so that a seed always draws the same.
        ranked = sorted(scored, key=_score, reverse=True)
        best = _score(ranked[0])
        scale = self.sharpness / self.temperature
        weights = [math.exp(max(-700, (score - best) * scale)) for _, score in ranked]
        kept = _nucleus(weights, self.top_p)
        return self.random.choices(ranked[:kept], weights[:kept])[0][0]

    def order(self, scored: Sequence[Scored[T]], number: int) -> list[T]:
        """`number` different candidates, or all there are, in the order drawn."""
        left = list(enumerate(scored))
        drawn: list[T] = []
        while left and len(drawn) < number:
            pick = self.choose([(item, item[1][1]) for item in left])
            left.remove(pick)
            drawn.append(pick[1][0])
        return drawn


def seeded(seed: int | None, text: str) -> random.Random:
    """Randomness that `seed` and `text` fix; without a seed, new every time."""
    return _FRESH if seed is None else random.Random(f"{seed}:{text}")


def _score(scored: tuple[object, float]) -> float:
    return scored[1]


def _nucleus(weights: Sequence[float], top_p: float) -> int:
    """How many of the falling `weights` make up the share `top_p` of their sum."""
    enough = sum(weights) * top_p
    return next(
        (n for n, total in enumerate(accumulate(weights), 1) if total >= enough),
        len(weights),
    )
