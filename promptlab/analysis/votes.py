"""Votes on pairs of outputs, beside the rows of a table that were voted on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import pandas as pd

from promptlab.errors import SpecError
from promptlab.formats import label, plain_text, valid
from promptlab.results.schema import Schema
from promptlab.results.table import plain_values

COLUMNS = ("by", "case", "repeat", "left", "right", "choice", "rater")
"""Of a table of votes, as `pl.votes` gives it."""

SKIP = "skip"
TIE = "tie"
JOINT = " · "
"""Between the values of a variant that several parameters make."""


def is_votes(table: pd.DataFrame) -> bool:
    """Whether it is a table of votes."""
    return set(COLUMNS) <= set(table)


def digest(*parts: Any) -> str:
    """What these parts are known by."""
    text = orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(text).hexdigest()[:32]


def pair_key(
    names: Sequence[str],
    identity: Sequence[Any],
    outputs: Mapping[str, str],
) -> str:
    """What a pair is known by: the parameters that are compared, what both outputs have
    in common (case, repeat, other parameters), and digests of the outputs by variant.
    """
    return digest([*names], identity, sorted([v, o] for v, o in outputs.items()))


@dataclass(frozen=True, slots=True)
class VotedPair:
    """Two rows of a table that a vote is on."""

    place: tuple[int, int]
    """Of the left row and of the right one."""
    names: tuple[str, str]
    """Their variants."""
    case: Any
    better: str
    """The better variant, or `tie`."""
    rater: str

    @property
    def left_share(self) -> float:
        """1 if the left one is better, 0 if the right one, ½ for a tie."""
        left, right = self.names
        return {left: 1.0, right: 0.0}.get(self.better, 0.5)

    @property
    def key(self) -> tuple[int, int]:
        """The same for a pair whichever was on the left."""
        a, b = self.place
        return min(a, b), max(a, b)


@dataclass(frozen=True)
class Matched:
    """The votes on the rows of a table."""

    pairs: Sequence[VotedPair]
    skipped: int
    """Votes that could not say."""
    elsewhere: int
    """Votes on outputs that the table does not have, or has no longer."""


def matched(votes: pd.DataFrame, table: pd.DataFrame) -> Matched:
    """The votes on the rows of a table of trials, by case, repeat and parameters, and
    where the votes have it by what the outputs were.

    Raises:
        SpecError: if votes compare by what the table has no parameter for.
    """
    pairs, skipped, elsewhere = [], 0, 0
    for by, part in votes.groupby("by", sort=False):
        rows = _Rows(table, str(by).split(JOINT))
        for vote in part.to_dict("records"):
            if vote["choice"] == SKIP:
                skipped += 1
            elif (pair := rows.pair(vote)) is None:
                elsewhere += 1
            else:
                pairs.append(pair)
    return Matched(pairs, skipped, elsewhere)


class _Rows:
    """The rows of a table by what a vote says of them."""

    def __init__(self, table: pd.DataFrame, names: Sequence[str]) -> None:
        parameters = Schema.of(table).parameters
        if lacking := [name for name in names if name not in parameters]:
            raise SpecError(
                f"the votes compare by {lacking[0]!r}, which is no parameter of the "
                f"table; its parameters: {', '.join(parameters)}"
            )
        self._names = names
        self._outputs = plain_values(table["output"])
        self._cases = plain_values(table["case"])
        self._others = {
            name: _labels(table[name]) for name in parameters if name not in names
        }
        variants = zip(*(_labels(table[name]) for name in names), strict=True)
        repeats = table["repeat"].tolist() if "repeat" in table else [0] * len(table)
        self._places: dict[tuple[str, int, str], list[int]] = {}
        for place, (labels, case, repeat) in enumerate(
            zip(variants, self._cases, repeats, strict=True)
        ):
            variant = JOINT.join(label(None) if v is None else v for v in labels)
            key = plain_text(case), int(repeat), variant
            self._places.setdefault(key, []).append(place)

    def pair(self, vote: Mapping[Any, Any]) -> VotedPair | None:
        """The rows that a vote is on; None if they are not there."""
        names = label(vote["left"]), label(vote["right"])
        for left, right in self._candidates(vote, names):
            outputs = self._outputs[left], self._outputs[right]
            if None in outputs or self._common(left) != self._common(right):
                continue
            if self._is_other(vote, left, dict(zip(names, outputs, strict=True))):
                continue
            return VotedPair(
                (left, right),
                names,
                self._cases[left],
                label(vote["choice"]),
                str(vote["rater"]),
            )
        return None

    def _candidates(
        self, vote: Mapping[Any, Any], names: tuple[str, str]
    ) -> Iterator[tuple[int, int]]:
        case, repeat = plain_text(vote["case"]), int(vote["repeat"])
        lefts, rights = (self._places.get((case, repeat, n), []) for n in names)
        for left in lefts:
            said = self._common(left)
            if any(_differs(vote.get(name), of) for name, of in said.items()):
                continue
            yield from ((left, right) for right in rights)

    def _common(self, place: int) -> dict[str, str]:
        return {
            name: text
            for name, column in self._others.items()
            if (text := column[place]) is not None
        }

    def _is_other(
        self, vote: Mapping[Any, Any], place: int, outputs: Mapping[str, Any]
    ) -> bool:
        """Whether the vote is on other outputs than these."""
        key = vote.get("pair")
        if not isinstance(key, str):
            return False
        case = plain_text(vote["case"])
        identity = [case, int(vote["repeat"]), self._common(place)]
        said = {name: digest(valid(str(text))) for name, text in outputs.items()}
        return key != pair_key(self._names, identity, said)


def _differs(said: Any, text: str) -> bool:
    """Whether a vote says another value of a parameter; it may say none."""
    return said is not None and said == said and label(said) != text


def _labels(column: pd.Series[Any]) -> list[str | None]:
    return [None if v is None else label(v) for v in plain_values(column)]
