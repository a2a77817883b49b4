"""Simulated grids with a known truth, to see whether what stats says of them holds.

`python -m benchmarks.statistics` runs the same with more of them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from promptlab.stats.best import corrected_winner, could_be_best, pooled_means
from promptlab.stats.multiple import adjust
from promptlab.stats.paired import compare
from promptlab.stats.power import (
    Variances,
    cases_needed,
    mcnemar_cases_needed,
)
from promptlab.stats.race import race

Numbers = NDArray[np.float64]


def chance(logits: Numbers) -> Numbers:
    return 1 / (1 + np.exp(-logits))


class World(NamedTuple):
    """A grid of 4 prompts × 3 systems × 3 temperatures × 2 limits, on 200 cases."""

    scores: Numbers
    """Variants × cases, 0 or 1."""
    truth: Numbers
    """The score that each variant would have on very many cases."""
    levels: NDArray[np.int64]
    """Variants × parameters."""


FACTORS = (4, 3, 3, 2)
DEVIATIONS = (0.5, 0.25, 0.15, 0.15)
LEVELS = np.array(list(np.ndindex(*FACTORS)))


def world(dice: np.random.Generator, cases: int = 200) -> World:
    """The mixed regime: main effects and some interaction, in log odds; hard and easy
    cases; and whatever a variant happens to make of a case."""
    ability = 1.0 + np.zeros(len(LEVELS))
    for place, (size, deviation) in enumerate(zip(FACTORS, DEVIATIONS, strict=True)):
        ability += dice.normal(0, deviation, size)[LEVELS[:, place]]
    ability += dice.normal(0, 0.15, len(LEVELS))
    logits = (
        ability[:, None]
        + dice.normal(0, 2.0, cases)
        + dice.normal(0, 0.7, (len(LEVELS), cases))
    )
    scores = (dice.random(logits.shape) < chance(logits)).astype(float)
    # A logistic of a normal is about the logistic with the odds drawn to the middle.
    truth = chance(ability / np.sqrt(1 + np.pi / 8 * (2.0**2 + 0.7**2)))
    return World(scores, truth, LEVELS)


def false_alarms(grids: int, *, graded: bool = False, seed: int = 1) -> float:
    """The share of grids of 24 variants, alike in truth, in which one is called better
    or worse than the first."""
    dice = np.random.default_rng(seed)
    alarms = 0
    for _ in range(grids):
        cases = dice.normal(0, 1.5, 60)
        scores = dice.random((24, 60)) < chance(cases)
        values = scores + dice.normal(0, 0.3, scores.shape) * graded
        p = compare(values[1:], values[0]).p
        alarms += bool((adjust(p, "holm") <= 0.05).any())
    return alarms / grids


def coverage(worlds: int, *, clusters: int = 0, seed: int = 2) -> float:
    """The share of 95 % intervals of paired 0/1 scores that hold the true difference,
    of 50 cases or of `clusters` of 1 to 15 cases."""
    dice = np.random.default_rng(seed)
    held = []
    for _ in range(worlds):
        size = dice.integers(1, 16, clusters) if clusters else np.ones(50, dtype=int)
        labels = np.repeat(np.arange(len(size)), size)
        hard, apart = dice.normal(0, 1, len(size)), dice.normal(0, 0.7, len(size))
        middle = 0.7 + hard[labels]
        scores = dice.random((2, len(labels))) < chance(
            np.array([middle + apart[labels] / 2, middle - apart[labels] / 2])
        )
        found = compare(
            scores[:1].astype(float), scores[1], labels if clusters else None
        )
        held.append(found.low[0] <= 0 <= found.high[0])
    return float(np.mean(held))


class Found(NamedTuple):
    """What simulated grids of 72 variants came to, in shares and points of score."""

    raw_bias: float
    """The winner's score less its truth."""
    corrected_bias: float
    pooled_bias: float
    covered: float
    """How often the interval of the corrected winner holds the winner's truth."""
    holds_best: float
    """How often the true best could be best."""
    size: float
    """How many of 72 could be best."""
    best: float
    """How often the winner is the true best."""
    pooled_best: float


def winners(worlds: int, *, seed: int = 3, resamples: int = 500) -> Found:
    dice = np.random.default_rng(seed)
    found = []
    for number in range(worlds):
        scores, truth, levels = world(dice)
        means, best = scores.mean(axis=1), int(truth.argmax())
        winner = int(means.argmax())
        options = {"resamples": resamples, "seed": number}
        corrected = corrected_winner(scores, **options)
        possible = could_be_best(scores, **options)
        pooled = pooled_means(scores, levels).means
        picked = int(pooled.argmax())
        found.append(
            (
                means[winner] - truth[winner],
                corrected.value - truth[winner],
                pooled[picked] - truth[picked],
                corrected.low <= truth[winner] <= corrected.high,
                possible[best],
                possible.sum(),
                winner == best,
                picked == best,
            )
        )
    return Found(*np.array(found, dtype=float).mean(axis=0).tolist())


class Raced(NamedTuple):
    """What races over the same grids came to."""

    best: float
    """How often the winner of the race is the true best."""
    whole_best: float
    """How often that of the whole grid is."""
    calls: float
    """The share of the calls that a race takes."""


def races(worlds: int, *, seed: int = 6) -> Raced:
    dice = np.random.default_rng(seed)
    found = []
    for number in range(worlds):
        scores, truth, _ = world(dice)
        winner, asked = race(scores, seed=number)
        best = truth.argmax()
        whole = scores.mean(axis=1).argmax()
        found.append((winner == best, whole == best, asked.sum() / scores.size))
    return Raced(*np.array(found, dtype=float).mean(axis=0).tolist())


def detected(worlds: int, *, binary: bool, seed: int = 4) -> float:
    """How often a true difference of 8 points is seen with the number of cases that is
    said to take for 80 %."""
    dice = np.random.default_rng(seed)
    seen = []
    if binary:
        number = mcnemar_cases_needed(0.08, 0.3)
        for _ in range(worlds):
            apart = dice.random(number) < 0.3
            won = dice.random(number) < (1 + 0.08 / 0.3) / 2
            a, b = np.where(apart, won, 1.0), np.where(apart, ~won, 1.0)
            seen.append(compare(a, b).p[0] <= 0.05)
        return float(np.mean(seen))
    number = int(np.ceil(cases_needed(0.08, Variances(0.05, 0.04, 0.02), repeats=2)))
    for _ in range(worlds):
        hard = dice.normal(0.5, 0.2, (number, 1))
        differ = dice.normal(0.08, np.sqrt(0.05), (number, 1))
        a = hard + differ + dice.normal(0, 0.2, (number, 2))
        b = hard + dice.normal(0, np.sqrt(0.02), (number, 2))
        seen.append(compare(a.mean(axis=1), b.mean(axis=1)).p[0] <= 0.05)
    return float(np.mean(seen))
