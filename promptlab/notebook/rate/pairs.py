"""Pairs: which two outputs are put side by side, in which order, on which sides."""

from __future__ import annotations

import functools
import hashlib
import itertools
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import orjson
import pandas as pd

from promptlab.errors import SpecError
from promptlab.formats import label, plain_text, valid
from promptlab.notebook.trial_table import TrialTable, plain, plain_values

MOST = 6
"""How many variants are compared at once: 15 pairs for each row."""

RESERVED = ("tie", "skip")
"""What stands in a table of votes where no variant is better."""

BLOCK = (False, False, True, True)
"""Among four pairs of the same two variants, in order, each is twice on each side."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two outputs for the same case, with all but the variant the same."""

    key: str
    """What it is: the variants, their outputs, and what they have in common. A new
    output makes a new pair."""
    case: str
    repeat: int
    parameters: Mapping[str, str]
    """What both were asked with, by name."""
    left: str
    """The variant on the left."""
    right: str
    left_output: str
    right_output: str
    place: int
    """A row of the table that the case's inputs stand in."""

    @property
    def identical(self) -> bool:
        """Whether nobody needs to look: a tie."""
        return self.left_output.strip() == self.right_output.strip()


@dataclass(frozen=True, kw_only=True)
class PairQueue:
    """All pairs of a comparison, in the order they are shown."""

    source: TrialTable
    by: tuple[str, ...]
    """The parameters whose values are compared."""
    variants: tuple[str, ...]
    """Those values, in the order of the table."""
    pairs: tuple[Pair, ...]
    left_out: int
    """The pairs that are none, as a trial of theirs failed."""

    @cached_property
    def to_rate(self) -> int:
        """The pairs that somebody must look at."""
        return sum(not pair.identical for pair in self.pairs)

    @property
    def identical(self) -> int:
        """The pairs that are ties as they are."""
        return len(self.pairs) - self.to_rate

    def question(self, pair: Pair) -> list[tuple[str, str]]:
        """The inputs that a pair's case has: names and texts."""
        row = self.source.table.iloc[pair.place]
        values = {name: plain(row[name]) for name in self.source.inputs}
        return [(valid(n), plain_text(v)) for n, v in values.items() if v is not None]

    def expected(self, pair: Pair) -> str | None:
        """What a good answer is, where the dataset says so."""
        if "expected" not in self.source.table:
            return None
        value = plain(self.source.table["expected"].iloc[pair.place])
        return None if value is None else plain_text(value)


def queue_of(
    source: TrialTable, by: str | Sequence[str] | None, seed: int
) -> PairQueue:
    """The pairs of a table, ordered and sided by a seed.

    The order is balanced: wherever a rater stops, any two variants were compared as
    often as any other two, but for one pair and for what failed; no row comes again
    before each came once.

    Raises:
        SpecError: `by` is no parameter, has one value or more than six, or nothing
            but `by` and other parameters together tells the rows apart.
    """
    names = _checked(source, by)
    variants = _variants(source, names)
    rows = _rows(source, names, variants)
    pairs, left_out = _pairs(rows, variants, names, seed)
    return PairQueue(
        source=source,
        by=names,
        variants=tuple(variants),
        pairs=tuple(pairs),
        left_out=left_out,
    )


@dataclass(frozen=True, slots=True)
class _Row:
    """The trials that differ in the variant alone."""

    case: str
    repeat: int
    parameters: Mapping[str, str]
    trials: dict[str, tuple[int, str | None]]
    """By variant, the place in the table and the output."""

    @property
    def identity(self) -> list[Any]:
        return [self.case, self.repeat, self.parameters]


def _checked(source: TrialTable, by: str | Sequence[str] | None) -> tuple[str, ...]:
    names = source.checked(by)
    for name in names:
        if name not in source.parameters:
            raise SpecError(
                f"rate: {name!r} is no parameter; the table has "
                f"{', '.join(source.parameters)}"
            )
    if not names:
        raise SpecError("rate: the table has no parameters to compare by")
    return names


def _variants(source: TrialTable, names: tuple[str, ...]) -> list[str]:
    """The variant of each value, or set of values, in the order they first appear."""
    table = source.table
    if not len(table):
        return []
    variants = list(dict.fromkeys(_labels(table, names)))
    by = " and ".join(map(repr, names))
    if len(variants) < 2:
        several = [name for name in source.varying if name not in names]
        hint = f"; compare by {', '.join(map(repr, several))}" if several else ""
        raise SpecError(f"rate: {by} has one value, {variants[0]!r}{hint}")
    if len(variants) > MOST:
        raise SpecError(
            f"rate: {by} has {len(variants)} values; up to {MOST} are compared: give "
            "rate a part of results.table"
        )
    for variant in variants:
        if variant in RESERVED:
            raise SpecError(
                f"rate: a value of {by} is called {variant!r}, as is a choice; "
                "give it another label"
            )
    return variants


def _rows(
    source: TrialTable, names: tuple[str, ...], variants: list[str]
) -> list[_Row]:
    table = source.table
    others = [name for name in source.parameters if name not in names]
    columns = {
        name: [None if v is None else label(v) for v in plain_values(table[name])]
        for name in others
    }
    repeats = table["repeat"].tolist() if "repeat" in table else [0] * len(table)
    cases = [plain_text(case) for case in table["case"].astype(object)]
    outputs = [None if pd.isna(o) else valid(str(o)) for o in table["output"]]
    rows: dict[tuple[Any, ...], _Row] = {}
    for place, variant in enumerate(_labels(table, names)):
        labels = [columns[name][place] for name in others]
        identity = (cases[place], int(repeats[place]), *labels)
        if (row := rows.get(identity)) is None:
            sent = {
                n: label(v)
                for n, v in zip(others, labels, strict=True)
                if v is not None
            }
            row = _Row(cases[place], int(repeats[place]), sent, {})
            rows[identity] = row
        if variant in row.trials:
            raise SpecError(
                f"rate: the table has two rows for case {row.case!r}, repeat "
                f"{row.repeat}, {variant!r}; give rate one experiment's results"
            )
        row.trials[variant] = (place, outputs[place])
    if rows and all(len(row.trials) == 1 for row in rows.values()):
        moving = [n for n in others if n in source.varying]
        raise SpecError(
            f"rate: no two values of {' and '.join(map(repr, names))} have all else "
            f"in common; compare by {[*names, *moving]}"
        )
    return list(rows.values())


def _pairs(
    rows: list[_Row], variants: list[str], names: tuple[str, ...], seed: int
) -> tuple[list[Pair], int]:
    """The pairs in order, and how many are none as a trial failed.

    Each row comes once, in a random order, with two variants that take turns; then
    each comes again with the next two, until each had all.
    """
    rows = sorted(rows, key=lambda row: _digest(seed, row.identity))
    twos = list(itertools.combinations(variants, 2))
    random.Random(f"{seed} variants").shuffle(twos)
    sides = {two: _sides(seed, two) for two in twos}
    digest = functools.cache(_digest)  # an output is in several pairs
    pairs, left_out = [], 0
    for turn in range(len(twos)):
        for number, row in enumerate(rows):
            two = twos[(number + turn) % len(twos)]
            trials = [row.trials.get(variant) for variant in two]
            if None in trials:
                continue  # never asked
            outputs = [trial[1] for trial in trials if trial]
            if None in outputs:
                left_out += 1
                continue
            key = _digest(
                [*names],
                row.identity,
                sorted([v, digest(o)] for v, o in zip(two, outputs, strict=True)),
            )
            left, right = reversed(two) if next(sides[two]) else two
            pairs.append(
                Pair(
                    key=key,
                    case=row.case,
                    repeat=row.repeat,
                    parameters=row.parameters,
                    left=left,
                    right=right,
                    left_output=str(row.trials[left][1]),
                    right_output=str(row.trials[right][1]),
                    place=row.trials[left][0],
                )
            )
    return pairs, left_out


def _sides(seed: int, two: tuple[str, str]) -> Iterator[bool]:
    """Whether to swap, for one pair of the two after the other."""
    chance = random.Random(f"{seed} {orjson.dumps(two).decode()}")
    while True:
        yield from chance.sample(BLOCK, len(BLOCK))


def _labels(table: pd.DataFrame, names: tuple[str, ...]) -> list[str]:
    columns = [[label(v) for v in plain_values(table[n])] for n in names]
    return [" · ".join(labels) for labels in zip(*columns, strict=True)]


def _digest(*parts: Any) -> str:
    text = orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(text).hexdigest()[:32]
