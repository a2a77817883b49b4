"""Sampling: one of several scored candidates, drawn as a model draws tokens."""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, TypeVar

T = TypeVar("T")

Scored = tuple[T, float]
"""A candidate and how well it fits: 1 fits, 0 does not."""


@dataclass(frozen=True)
class Draw:
    """One choice that was made, and how likely it was at temperature 1."""

    text: str
    probability: float
    others: tuple[tuple[str, float], ...]
    """What else could have been chosen, and how likely each was."""


_FRESH = random.SystemRandom()


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
        place = self._drawn(scored)
        self.draws.append(_draw(scored, place, self.sharpness))
        return scored[place][0]

    def _drawn(self, scored: Sequence[Scored[T]]) -> int:
        """The place of the candidate that is drawn."""
        places = range(len(scored))
        if self.temperature == 0:
            return max(places, key=lambda place: scored[place][1])
        # Likeliest first; a stable sort, so that a seed always draws the same.
        ranked = sorted(places, key=lambda place: scored[place][1], reverse=True)
        scale = self.sharpness / self.temperature
        weights = _weights([scored[place][1] for place in ranked], scale)
        kept = _nucleus(weights, self.top_p)
        return self.random.choices(ranked[:kept], weights[:kept])[0]

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


def _draw(scored: Sequence[Scored[Any]], place: int, sharpness: float) -> Draw:
    """What the choice of the candidate at a place says."""
    weights = _weights([score for _, score in scored], sharpness)
    total = sum(weights)
    shares = [
        (_text(item), weight / total)
        for (item, _), weight in zip(scored, weights, strict=True)
    ]
    return Draw(*shares[place], (*shares[:place], *shares[place + 1 :]))


def _weights(scores: Sequence[float], scale: float) -> list[float]:
    """The softmax of scores, times a constant."""
    best = max(scores)
    return [math.exp(max(-700, (score - best) * scale)) for score in scores]


def _text(item: object) -> str:
    """What a candidate adds to the answer: an option's label, a passage's text."""
    if isinstance(item, tuple):  # of `order`: a place, and a candidate with its score
        item = item[1][0]
    return str(getattr(item, "label", getattr(item, "text", item)))


def _nucleus(weights: Sequence[float], top_p: float) -> int:
    """How many of the falling `weights` make up the share `top_p` of their sum."""
    enough = sum(weights) * top_p
    return next(
        (n for n, total in enumerate(accumulate(weights), 1) if total >= enough),
        len(weights),
    )
