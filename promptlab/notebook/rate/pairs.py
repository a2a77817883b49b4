"""Pairs: which two outputs are put side by side, in which order, on which sides."""

from __future__ import annotations

import functools
import itertools
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import orjson
import pandas as pd

from promptlab.analysis.votes import digest, pair_key
from promptlab.errors import SpecError
from promptlab.formats import label, plain_text, valid
from promptlab.notebook.trial_table import TrialTable
from promptlab.results.table import plain, plain_values

MOST = 6
"""The most variants that are compared: 15 pairs for each row."""

RESERVED = ("tie", "skip")
"""What a table of votes holds where no variant is better."""

BLOCK = (False, False, True, True)
"""Among four pairs of the same two variants, in order, each is twice on each side."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two outputs that differ in the variant alone."""

    key: str
    """A digest of the variants, their outputs, and what they have in common: a new
    output makes a new pair."""
    case: str
    repeat: int
    parameters: Mapping[str, str]
    """The labels of the parameters that both share."""
    left: str
    """The variant on the left."""
    right: str
    left_output: str
    right_output: str
    position: int
    """The position in the table of a trial of the case."""

    @property
    def identical(self) -> bool:
        """Whether both outputs are the same: a tie without a vote."""
        return self.left_output.strip() == self.right_output.strip()


@dataclass(frozen=True, kw_only=True)
class PairQueue:
    """The pairs of a comparison, in the order they are shown."""

    trials: TrialTable
    by: tuple[str, ...]
    """The parameters whose values are compared."""
    variants: tuple[str, ...]
    """Those values, in the order of the table."""
    pairs: tuple[Pair, ...]
    left_out: int
    """How many pairs are left out, as one of their trials failed."""

    @cached_property
    def to_rate(self) -> int:
        """How many pairs need a vote."""
        return sum(not pair.identical for pair in self.pairs)

    @property
    def identical(self) -> int:
        """How many pairs are ties without a vote."""
        return len(self.pairs) - self.to_rate

    def question(self, pair: Pair) -> list[tuple[str, str]]:
        """The inputs of a pair's case: names and values as strings."""
        row = self.trials.table.iloc[pair.position]
        values = {name: plain(row[name]) for name in self.trials.schema.inputs}
        return [(valid(n), plain_text(v)) for n, v in values.items() if v is not None]

    def expected(self, pair: Pair) -> str | None:
        """The expected output, where the dataset has one."""
        if "expected" not in self.trials.table:
            return None
        value = plain(self.trials.table["expected"].iloc[pair.position])
        return None if value is None else plain_text(value)


def queue_of(
    trials: TrialTable, by: str | Sequence[str] | None, seed: int
) -> PairQueue:
    """The pairs of a table, in an order and on sides that follow from a seed.

    The order is balanced: wherever a rater stops, any two variants were compared as
    often as any other two, but for one pair and for what failed; no row comes again
    before each came once.

    Raises:
        SpecError: `by` is not a parameter, has one value or more than six, or no two
            of its values have all other parameters in common.
    """
    names = _checked(trials, by)
    variants = _variants(trials, names)
    rows = _rows(trials, names, variants)
    pairs, left_out = _pairs(rows, variants, names, seed)
    return PairQueue(
        trials=trials,
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
    """By variant, the position in the table and the output."""

    @property
    def identity(self) -> list[Any]:
        return [self.case, self.repeat, self.parameters]


def _checked(trials: TrialTable, by: str | Sequence[str] | None) -> tuple[str, ...]:
    names = trials.checked(by)
    for name in names:
        if name not in trials.parameters:
            raise SpecError(
                f"rate: {name!r} is not a parameter; "
                f"valid names: {', '.join(trials.parameters)}"
            )
    if not names:
        raise SpecError("rate: the table has no parameters to compare by")
    return names


def _variants(trials: TrialTable, names: tuple[str, ...]) -> list[str]:
    """The values of the compared parameters, in the order they first appear."""
    table = trials.table
    if not len(table):
        return []
    variants = list(dict.fromkeys(_labels(table, names)))
    by = " and ".join(map(repr, names))
    if len(variants) < 2:
        several = [name for name in trials.varying if name not in names]
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
    trials: TrialTable, names: tuple[str, ...], variants: list[str]
) -> list[_Row]:
    table = trials.table
    others = [name for name in trials.parameters if name not in names]
    columns = {
        name: [None if v is None else label(v) for v in plain_values(table[name])]
        for name in others
    }
    repeats = table["repeat"].tolist() if "repeat" in table else [0] * len(table)
    cases = [plain_text(case) for case in table["case"].astype(object)]
    outputs = [None if pd.isna(o) else valid(str(o)) for o in table["output"]]
    rows: dict[tuple[Any, ...], _Row] = {}
    for position, variant in enumerate(_labels(table, names)):
        labels = [columns[name][position] for name in others]
        identity = (cases[position], int(repeats[position]), *labels)
        if (row := rows.get(identity)) is None:
            sent = {
                n: label(v)
                for n, v in zip(others, labels, strict=True)
                if v is not None
            }
            row = _Row(cases[position], int(repeats[position]), sent, {})
            rows[identity] = row
        if variant in row.trials:
            raise SpecError(
                f"rate: the table has two rows for case {row.case!r}, repeat "
                f"{row.repeat}, {variant!r}; give rate one experiment's results"
            )
        row.trials[variant] = (position, outputs[position])
    if rows and all(len(row.trials) == 1 for row in rows.values()):
        moving = [n for n in others if n in trials.varying]
        raise SpecError(
            f"rate: no two values of {' and '.join(map(repr, names))} have all else "
            f"in common; compare by {[*names, *moving]}"
        )
    return list(rows.values())


def _pairs(
    rows: list[_Row], variants: list[str], names: tuple[str, ...], seed: int
) -> tuple[list[Pair], int]:
    """The pairs in order, and how many are left out as a trial failed.

    Each row comes once, in a random order, with two variants that take turns; then
    each comes again with the next two, until each had all.
    """
    rows = sorted(rows, key=lambda row: digest(seed, row.identity))
    twos = list(itertools.combinations(variants, 2))
    random.Random(f"{seed} variants").shuffle(twos)
    sides = {two: _sides(seed, two) for two in twos}
    known = functools.cache(digest)  # an output is in several pairs
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
            digests = {v: known(o) for v, o in zip(two, outputs, strict=True)}
            key = pair_key(names, row.identity, digests)
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
                    position=row.trials[left][0],
                )
            )
    return pairs, left_out


def _sides(seed: int, two: tuple[str, str]) -> Iterator[bool]:
    """For one pair of two variants after the other, whether to swap their sides."""
    chance = random.Random(f"{seed} {orjson.dumps(two).decode()}")
    while True:
        yield from chance.sample(BLOCK, len(BLOCK))


def _labels(table: pd.DataFrame, names: tuple[str, ...]) -> list[str]:
    columns = [[label(v) for v in plain_values(table[n])] for n in names]
    return [" · ".join(labels) for labels in zip(*columns, strict=True)]
