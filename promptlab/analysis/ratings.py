"""Ratings: what people said of outputs, beside the scores of the same outputs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from promptlab.analysis.votes import is_votes, matched
from promptlab.errors import SpecError, brief, did_you_mean
from promptlab.formats import coefficient_text, counted, label, plain_text
from promptlab.results.schema import Schema
from promptlab.results.table import plain_values
from promptlab.stats.agreement import krippendorff_interval

HUMAN = "human"
"""The column of ratings in a table of them, and in what is made of it."""

RATER = "rater"
TIES = 1e-9
"""Scores that differ by less are a tie."""

Human = str | pd.Series | pd.DataFrame
"""Ratings: the name of a column, a column, a table, or `pl.votes()`."""


@dataclass(frozen=True, kw_only=True)
class Rated:
    """What people said of items of a table: of rows, or of pairs of rows."""

    values: Sequence[Any]
    """Of each item: a number, a label or the variant that is better."""
    places: Sequence[tuple[int, ...]]
    """Of each item the rows of the table: one, or the two of a pair."""
    names: Sequence[tuple[str, str]] | None = None
    """Of each pair the variants; None if rows were rated."""
    unrated: int = 0
    """Rows of outputs that nobody rated."""
    left_out: Sequence[str] = ()
    """Ratings that could not be used, in words."""
    raters: str = ""
    """How much several raters agree, in words."""


def rated(human: Human, table: pd.DataFrame, score: str, experiment: str = "") -> Rated:
    """Ratings by the rows of a table, or the pairs of its rows, that they are of.

    Raises:
        SpecError: it is none of what `Human` lists, or does not fit the table.
    """
    if isinstance(human, str):
        if human not in table:
            raise SpecError(
                f"human: the table has no column {human!r}"
                f"{did_you_mean(human, map(str, table))}"
            )
        return _of_rows(plain_values(table[human]), table)
    if isinstance(human, pd.Series):
        if _same_rows(human, table):
            return _of_rows(plain_values(human), table)
        human = _keyed(human, table)
    if not isinstance(human, pd.DataFrame):
        raise SpecError(
            "human: expected the name of a column, a Series, a DataFrame or "
            f"pl.votes(), got {brief(human)}"
        )
    if not len(human):
        raise SpecError("human: the ratings have no rows: nothing was rated yet")
    if is_votes(human):
        return _of_votes(human, table, experiment)
    return _of_table(human, table, score)


def _of_rows(values: Sequence[Any], table: pd.DataFrame) -> Rated:
    places = [place for place, value in enumerate(values) if value is not None]
    answered = int(table["output"].notna().sum()) if "output" in table else len(table)
    return Rated(
        values=[values[place] for place in places],
        places=[(place,) for place in places],
        unrated=max(0, answered - len(places)),
    )


def _same_rows(series: pd.Series[Any], table: pd.DataFrame) -> bool:
    return len(series) == len(table) and bool((series.index == table.index).all())


def _keyed(series: pd.Series[Any], table: pd.DataFrame) -> pd.DataFrame:
    """A column whose index says which rows it is of, as a table."""
    names = list(series.index.names)
    if not all(name in table for name in names if name is not None) or None in names:
        raise SpecError(
            f"human: a Series of {counted(len(series), 'rating')} does not fit "
            f"{counted(len(table), 'row')}: give it the index of the table, or one "
            "that names columns of it, as ratings.set_index(['case', 'prompt'])"
        )
    return series.rename(HUMAN).reset_index()


# A table of ratings.


def _of_table(ratings: pd.DataFrame, table: pd.DataFrame, score: str) -> Rated:
    value, keys = _columns(ratings, table, score)
    given: dict[tuple[str, ...], dict[str, Any]] = {}
    raters = ratings[RATER].tolist() if RATER in ratings else [""] * len(ratings)
    for key, rater, rating in zip(
        _texts(ratings, keys), raters, plain_values(ratings[value]), strict=True
    ):
        if rating is None:
            continue
        mine = given.setdefault(key, {})
        if str(rater) in mine and mine[str(rater)] != rating:
            raise SpecError(
                f"human: {_named(keys, key)} is rated twice, {mine[str(rater)]!r} and "
                f"{rating!r}; add a column 'rater', or keys that tell them apart"
            )
        mine[str(rater)] = rating
    combined = {key: _combined(list(mine.values())) for key, mine in given.items()}
    split = sum(one is None for one in combined.values())
    values: list[Any] = [None] * len(table)
    seen: dict[tuple[str, ...], str] = {}
    outputs = plain_values(table["output"]) if "output" in table else values
    for place, key in enumerate(_texts(table, keys)):
        if key not in combined:
            continue
        if seen.setdefault(key, outputs[place]) != outputs[place]:
            raise SpecError(
                f"human: {_named(keys, key)} is of several outputs: add "
                f"{_telling(table, keys)} to the ratings, or 'output'"
            )
        values[place] = combined[key]
    found = _of_rows(values, table)
    return Rated(
        values=found.values,
        places=found.places,
        unrated=found.unrated,
        left_out=_left_out(split=split, elsewhere=len(given.keys() - seen.keys())),
        raters=raters_agree([mine for key, mine in given.items() if key in seen]),
    )


def _columns(
    ratings: pd.DataFrame, table: pd.DataFrame, score: str
) -> tuple[str, list[str]]:
    """The column of the ratings, and those that say what they are of."""
    schema = Schema.of(table)
    names = [str(name) for name in ratings if name != RATER]
    keys = (*schema.names("trial", "case", "parameter", "repeat"), "output")
    known = [n for n in names if n in keys]
    rest = [n for n in names if n not in known]
    value = next((n for n in (HUMAN, score) if n in rest), None)
    value = value or (rest[0] if len(rest) == 1 else None)
    if value is None:
        found = ", ".join(map(repr, rest)) or "none"
        raise SpecError(
            f"human: which column has the ratings? The table has {found}; call it "
            f"{HUMAN!r}"
        )
    if not known:
        raise SpecError(
            "human: nothing says what is rated; expected columns of the results such "
            f"as 'case' and {_telling(table, [])}, got {', '.join(map(repr, names))}"
        )
    return value, known


def _telling(table: pd.DataFrame, keys: Sequence[str]) -> str:
    """Columns that tell the rows of one case apart, which are no keys yet."""
    schema = Schema.of(table)
    names = [
        name
        for name in (*schema.parameters, *schema.names("repeat"))
        if name not in keys and table[name].map(plain_text).nunique() > 1
    ]
    return " and ".join(map(repr, names)) or "'trial'"


def _texts(table: pd.DataFrame, keys: Sequence[str]) -> list[tuple[str, ...]]:
    columns = [[label(value) for value in plain_values(table[key])] for key in keys]
    return list(zip(*columns, strict=True))


def _named(keys: Sequence[str], key: Sequence[str]) -> str:
    return ", ".join(f"{k} {v!r:.40}" for k, v in zip(keys, key, strict=True))


def _combined(ratings: Sequence[Any]) -> Any:
    """What several raters said of one item: the mean of graded numbers, else what most
    said; None if they are split."""
    numbers = [r for r in ratings if isinstance(r, (int, float)) and r not in (0, 1)]
    if numbers and all(isinstance(r, (int, float)) for r in ratings):
        return float(np.mean(ratings))
    (first, most), *others = Counter(ratings).most_common()
    return None if others and others[0][1] == most else first


# Votes on pairs.


def _of_votes(votes: pd.DataFrame, table: pd.DataFrame, experiment: str) -> Rated:
    if "experiment" in votes and (votes["experiment"] == experiment).any():
        votes = votes[votes["experiment"] == experiment]
    found = matched(votes, table)
    by_pair: dict[tuple[int, int], dict[str, Any]] = {}
    names: dict[tuple[int, int], tuple[str, str]] = {}
    for pair in found.pairs:
        by_pair.setdefault(pair.key, {})[pair.rater] = pair.better
        ordered = sorted(zip(pair.place, pair.names, strict=True))
        names[pair.key] = ordered[0][1], ordered[1][1]
    combined = {key: _combined(list(mine.values())) for key, mine in by_pair.items()}
    kept = [key for key, better in combined.items() if better is not None]
    sides = [
        {rater: _side(better, names[key]) for rater, better in mine.items()}
        for key, mine in by_pair.items()
    ]
    return Rated(
        values=[combined[key] for key in kept],
        places=kept,
        names=[names[key] for key in kept],
        left_out=_left_out(
            skipped=found.skipped,
            split=len(combined) - len(kept),
            elsewhere=found.elsewhere,
        ),
        raters=raters_agree(sides),
    )


def _side(better: str, names: tuple[str, str]) -> float:
    return {names[0]: 1.0, names[1]: 0.0}.get(better, 0.5)


def preferred(
    scores: NDArray[np.float64], item: Sequence[int], names: tuple[str, str]
) -> str | None:
    """Which of two rows scores higher, or `tie`; None if a score is missing."""
    one, other = (float(scores[place]) for place in item)
    if one != one or other != other:
        return None
    if abs(one - other) < TIES:
        return "tie"
    return names[0] if one > other else names[1]


# What is left out, and how raters agree.


def _left_out(*, skipped: int = 0, split: int = 0, elsewhere: int = 0) -> list[str]:
    return [
        line
        for number, line in (
            (skipped, f"{counted(skipped, 'vote')} could not say"),
            (split, f"raters are split on {split:,}"),
            (
                elsewhere,
                f"{elsewhere:,} of outputs that are not here",
            ),
        )
        if number
    ]


def raters_agree(ratings: Sequence[dict[str, Any]]) -> str:
    """How much raters agree, in words; empty if no two rated the same."""
    names = list(dict.fromkeys(name for mine in ratings for name in mine))
    both = sum(len(mine) > 1 for mine in ratings)
    if len(names) < 2 or not both:
        return ""
    values = [value for mine in ratings for value in mine.values()]
    graded = all(isinstance(v, (int, float)) for v in values) and any(
        v not in (0, 1) for v in values
    )
    codes = {v: v if graded else float(n) for n, v in enumerate(dict.fromkeys(values))}
    table = [[codes[m[n]] if n in m else np.nan for m in ratings] for n in names]
    found = krippendorff_interval(table, "interval" if graded else "nominal")
    alpha = coefficient_text("α", *found)
    return f"{counted(len(names), 'rater')} on {both:,} in common: {alpha}"
