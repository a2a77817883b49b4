"""Designs: which units of a grid to look at, when not all can be."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Flags = NDArray[np.bool_]
Counts = NDArray[np.int64]


def deal(
    open_: Flags, answers: Counts, wanted: Counts, dice: np.random.Generator
) -> list[tuple[int, int, int]]:
    """Cases dealt to variants like cards from shuffled decks: (case, variant, repeat).

    `open_` (cases × variants × repeats) says what can be dealt, `answers` (cases ×
    variants) how many answers there are, `wanted` how many more each variant is to get,
    if so many are open. The cases with the fewest answers are dealt first, in an order
    of chance, and to a variant first those of which it has the fewest: variants get
    different cases, and each case is used about equally often.
    """
    open_, answers = open_.copy(), answers.copy()
    deck = answers.sum(axis=1) + dice.random(len(answers))
    dealt = []
    for variant, number in enumerate(wanted):
        missing = int(number)
        while missing > 0 and (there := open_[:, variant].any(axis=1)).any():
            had = answers[:, variant]
            cases = np.flatnonzero(there & (had == had[there].min()))
            drawn = _lowest(cases, deck[cases], missing)
            for case in drawn.tolist():
                repeat = int(open_[case, variant].argmax())
                open_[case, variant, repeat] = False
                dealt.append((case, variant, repeat))
            answers[drawn, variant] += 1
            deck[drawn] = np.floor(deck[drawn]) + 1 + dice.random(len(drawn))
            missing -= len(drawn)
    return dealt


def _lowest(places: NDArray[Any], keys: NDArray[Any], number: int) -> NDArray[Any]:
    """So many of the places, those with the lowest keys."""
    if len(places) <= number:
        return places
    return places[np.argpartition(keys, number - 1)[:number]]
