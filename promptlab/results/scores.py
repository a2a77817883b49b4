"""Scores: a column of them, in the table and in bytes."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
import orjson
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from promptlab.errors import SpecError
from promptlab.formats import (
    UNKNOWN,
    counted,
    interval_text,
    plain_text,
    shortened,
)
from promptlab.results.judged import JudgedBy
from promptlab.results.record import Score
from promptlab.results.schema import EXPLANATION, Schema
from promptlab.results.table import categories, plain, texts
from promptlab.stats.intervals import wilson
from promptlab.stats.means import is_binary, mean

THRESHOLD = b"promptlab_threshold"
"""In a Parquet file's metadata: the threshold, and whether lower is better."""

JUDGED = b"promptlab_judged"
"""In a Parquet file's metadata: who judged, at what cost, and the note."""


MOST_LABELS = 6
"""The labels of a score whose shares a summary has, the most common."""

OTHERS = "other labels"
"""What all rarer labels are counted as."""

LABEL_LENGTH = 60
SHOWN_LABELS = 3
"""Characters of a label in a summary; labels of each row of one that is shown."""

ENDS = ("", "_low", "_high")
"""The endings of a score's columns in a summary: it, and the ends of its interval."""


@dataclass(frozen=True, eq=False)
class ScoreColumn:
    """The scores of one scorer, one for each row of the table."""

    values: Any
    """Numbers (booleans are 1 and 0), NaN where one is missing; or labels."""
    explanations: Sequence[str | None] | None = None
    threshold: float | None = None
    """The least number that is right; None if nobody said."""
    lower_is_better: bool = False
    """Whether the threshold is the greatest number that is right."""
    judged_by: JudgedBy | None = None
    """The judge; None if no model was asked."""
    judging_usd: float = math.nan
    """What its judgements cost at list price, those from the cache too; NaN if that is
    unknown."""
    note: str = ""
    """What to know of all of them, in one line."""

    @cached_property
    def numbers(self) -> np.ndarray | None:
        """The values as floats, NaN where one is missing; None if they are labels."""
        typed = _typed(self.values)
        return typed if isinstance(typed, np.ndarray) else None

    @cached_property
    def shares(self) -> Mapping[str, np.ndarray]:
        """Of labels, by the most common of them, 1 where a row has it, 0 where it has
        another, NaN where it has none; `OTHERS` are those that are rarer. Empty if the
        values are numbers."""
        if self.numbers is not None:
            return {}
        given = _values(self)
        counts = Counter(value for value in given if value is not None)
        common = [value for value, _ in counts.most_common(MOST_LABELS)]
        names = {value: shortened(value, LABEL_LENGTH) for value in common}
        if len(counts) > len(common):
            names |= dict.fromkeys(counts.keys() - names.keys(), OTHERS)
        found = [None if value is None else names[value] for value in given]
        return {
            name: np.array([np.nan if f is None else float(f == name) for f in found])
            for name in dict.fromkeys([names[value] for value in common] + found)
            if name is not None
        }

    @property
    def verdicts(self) -> np.ndarray | None:
        """1 where a row is right, 0 where it is wrong, NaN where its score is missing;
        None if nobody said what is right."""
        if self.threshold is None or self.numbers is None:
            return None
        found = self.numbers
        least = self.threshold
        right = found <= least if self.lower_is_better else found >= least
        return np.where(np.isnan(found), np.nan, right)

    @classmethod
    def of(cls, scores: Sequence[Score]) -> ScoreColumn:
        """The column of these scores."""
        explanations = [score.explanation for score in scores]
        has_any = any(text is not None for text in explanations)
        values = [score.value for score in scores]
        return cls(values, explanations if has_any else None)

    def columns(self, name: str) -> dict[str, Any]:
        """What the table has of it: the values, and the explanations if any."""
        columns = {name: _typed(self.values)}
        if self.explanations is not None:
            columns[f"{name}{EXPLANATION}"] = texts(list(self.explanations))
        return columns


def _typed(values: Any) -> Any:
    """Numbers as floats, labels as categories; numbers among labels become labels."""
    given = [plain(value) for value in values]
    if any(isinstance(value, str) for value in given):
        labels = [None if value is None else plain_text(value) for value in given]
        return categories(labels, np.arange(len(labels)))
    return np.array([np.nan if v is None else v for v in given], dtype=np.float64)


def with_scores(table: pd.DataFrame, scores: Mapping[str, ScoreColumn]) -> pd.DataFrame:
    """The table with these scores at its end, in order.

    Raises:
        SpecError: a column that is there already has the name of one.
    """
    columns: dict[str, Any] = {}
    for name, column in scores.items():
        columns |= column.columns(name)
    for name in columns:
        if name in table:
            raise SpecError(
                f"score {name!r}: the table has another column of this name; "
                "name= gives the scorer another"
            )
    added = pd.DataFrame(columns, index=table.index)
    scored = pd.concat([table, added], axis="columns")
    lower = [name for name, column in scores.items() if column.lower_is_better]
    scored.attrs = Schema.of(table).with_scores(columns, lower).attributes()
    return scored


def score_bytes(trials: Sequence[int], column: ScoreColumn) -> bytes:
    """The scores of these trials as a Parquet file."""
    frame = pd.DataFrame({"trial": trials, **column.columns("value")})
    content = pa.BufferOutputStream()
    table = pa.Table.from_pandas(frame, preserve_index=False)
    metadata = dict(table.schema.metadata or {})
    if column.threshold is not None:
        metadata[THRESHOLD] = orjson.dumps([column.threshold, column.lower_is_better])
    if column.judged_by is not None or column.note:
        by = None if column.judged_by is None else asdict(column.judged_by)
        metadata[JUDGED] = orjson.dumps([by, column.judging_usd, column.note])
    table = table.replace_schema_metadata(metadata)
    pq.write_table(table, content)
    return bytes(content.getvalue())


def score_from_bytes(content: bytes, trials: Sequence[int]) -> ScoreColumn:
    """The scores that `score_bytes` gave, for these trials; missing for others.

    Raises:
        OSError, KeyError, pyarrow.ArrowInvalid: the bytes are damaged.
    """
    table = pq.read_table(pa.BufferReader(content))
    metadata = table.schema.metadata or {}
    threshold, lower = orjson.loads(metadata.get(THRESHOLD, b"[null, false]"))
    by, usd, note = orjson.loads(metadata.get(JUDGED, b'[null, null, ""]'))
    frame = table.to_pandas().set_index("trial").reindex(trials)
    explained = f"value{EXPLANATION}"
    explanations = (
        [plain(text) for text in frame[explained]] if explained in frame else None
    )
    return ScoreColumn(
        frame["value"],
        explanations,
        threshold,
        lower,
        judged_by=None if by is None else JudgedBy(**by),
        judging_usd=math.nan if usd is None else usd,
        note=note,
    )


JUDGE = "_judge"
"""The ending of a summary's column that says what is known of a score's judge."""

CHANGES = ("trial", "score", "before", "after")


def changed(
    table: pd.DataFrame,
    old: Mapping[str, ScoreColumn],
    new: Mapping[str, ScoreColumn],
) -> tuple[pd.DataFrame, str]:
    """The rows whose verdict, or whose score without a verdict, is another than
    before, and how many these are, in one line; empty if no score was there before."""
    rows: list[tuple[Any, ...]] = []
    lines = []
    trials = table["trial"].tolist()
    for name in [name for name in new if name in old]:
        scores = _values(old[name]), _values(new[name])
        judged = old[name].verdicts is not None and new[name].verdicts is not None
        pair = scores
        if judged:
            pair = _right(old[name]), _right(new[name])
        places = [
            n
            for n, (before, after) in enumerate(zip(*pair, strict=True))
            if before != after
        ]
        rows += [(trials[n], name, scores[0][n], scores[1][n]) for n in places]
        of = f" of {name!r}" if len(new) > 1 or not judged else ""
        what = counted(len(trials), "verdict" if judged else "score")
        ends = Counter(pair[1][n] for n in places) if judged else {}
        to = {True: "right", False: "wrong", None: "missing"}
        parts = [
            f"{ends[end]:,} to {word}" for end, word in to.items() if ends.get(end)
        ]
        lines.append(
            f"{len(places):,} of {what}{of} changed"
            + (f": {', '.join(parts)}" if parts else "")
        )
    columns = list(zip(*rows, strict=True)) or [()] * len(CHANGES)
    changes = {
        name: pd.Series(list(column), dtype=None if name == "trial" else object)
        for name, column in zip(CHANGES, columns, strict=True)
    }
    return pd.DataFrame(changes), "; ".join(lines)


def _values(column: ScoreColumn) -> list[Any]:
    return [plain(value) for value in _typed(column.values)]


def _right(column: ScoreColumn) -> list[bool | None]:
    verdicts = column.verdicts
    assert verdicts is not None
    return [None if value != value else bool(value) for value in verdicts.tolist()]


def summarised(
    scores: Mapping[str, ScoreColumn],
    cases: np.ndarray,
    groups: np.ndarray,
    failed: np.ndarray,
) -> dict[str, list[float]]:
    """For each group of rows, the mean of each score that is a number, the ends of its
    95 % interval, on how many rows it stands and how many are missing; of a score of
    labels, the share of each of the most common, as `tone=warm`.

    `cases` and `groups` number the case and the group of each row, from 0. A row that
    `failed` scores 0, as in a leaderboard, or has no score where less is better. Scores
    of one case are not independent: it is one value, their mean. The interval is
    Wilson's where these are 0 or 1, else that of Student's t.
    """
    columns: dict[str, list[float]] = {}
    for name, column in scores.items():
        if column.numbers is not None:
            zero = failed & np.isnan(column.numbers) & (not column.lower_is_better)
            measured = {name: np.where(zero, 0.0, column.numbers)}
        else:
            measured = {f"{name}={one}": of for one, of in column.shares.items()}
        counts: dict[str, list[float]] = {}
        for measure, values in measured.items():
            rows = []
            for number in range(int(groups.max(initial=-1)) + 1):
                here = groups == number
                found = values[here]
                known = ~np.isnan(found)
                interval = _interval(found[known], cases[here][known])
                rows.append((*interval, int(known.sum()), int((~known).sum())))
            parts = [list(numbers) for numbers in zip(*rows, strict=True)]
            for end, numbers in zip(ENDS, parts, strict=False):
                columns[f"{measure}{end}"] = numbers
            counts = {f"{name}_n": parts[3], f"{name}_missing": parts[4]}
        columns |= counts
    return columns


def in_words(summary: pd.DataFrame, scores: Mapping[str, ScoreColumn]) -> pd.DataFrame:
    """A summary with each score as text, such as `69% [61, 76]`, after the counts of
    trials; with how many are missing where any is."""
    words: dict[str, Any] = {}
    for name in [name for name in scores if f"{name}_n" in summary]:
        numbers = scores[name].numbers
        if numbers is None:
            words[name] = _labels_in_words(summary, name, scores[name].shares)
            continue
        share = numbers is not None and bool(is_binary(numbers))
        parts = [summary[f"{name}{end}"] for end in ENDS]
        words[name] = [
            interval_text(*three, share=share) for three in zip(*parts, strict=True)
        ]
        if summary[f"{name}_missing"].any():
            words[f"{name}_missing"] = summary[f"{name}_missing"]
    ends = (*ENDS, "_n", "_missing", JUDGE)
    measured = [
        *scores,
        *(f"{n}={one}" for n, c in scores.items() for one in c.shares),
    ]
    rest = summary.drop(
        columns=[f"{n}{e}" for n in measured for e in ends], errors="ignore"
    )
    place = list(rest).index("failed") + 1
    for offset, (name, column) in enumerate(words.items()):
        rest.insert(place + offset, name, column)
    return rest


def _labels_in_words(
    summary: pd.DataFrame, name: str, labels: Iterable[str]
) -> list[str]:
    """For each row of a summary the labels it has most, with their shares."""
    rows = []
    for row in summary.to_dict("records"):
        told = [(row[f"{name}={one}"], one) for one in labels]
        found = sorted((one for one in told if one[0] > 0), key=lambda one: -one[0])
        parts = [
            f"{one} " + interval_text(*(row[f"{name}={one}{e}"] for e in ENDS))
            for _, one in found[:SHOWN_LABELS]
        ]
        more = len(found) - SHOWN_LABELS
        parts += [f"{more:,} more"] * (more > 0)
        missing = int(row[f"{name}_missing"])
        parts += [f"{missing:,} missing"] * (missing > 0)
        rows.append(", ".join(parts) or UNKNOWN)
    return rows


def _interval(values: np.ndarray, cases: np.ndarray) -> tuple[float, float, float]:
    """The mean over cases of their mean values, and the ends of its interval."""
    if not len(values):
        return math.nan, math.nan, math.nan
    _, places = np.unique(cases, return_inverse=True)
    means = np.bincount(places, values) / np.bincount(places)
    same = is_binary(values) and means.min() == means.max()
    if is_binary(means) or same:  # t would have no width where all are the same
        value, low, high = wilson(means.sum(), len(means))
    else:
        value, low, high = mean(means).interval()
        if means.min() >= 0 and means.max() <= 1:
            low, high = max(low, 0.0), min(high, 1.0)
    return float(value), float(low), float(high)
