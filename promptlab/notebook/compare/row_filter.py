"""Row filters: which rows of a comparison are shown, and in which order."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from promptlab.errors import SpecError
from promptlab.notebook.compare.comparison import (
    MISSING,
    Comparison,
    bools,
)
from promptlab.notebook.compare.marks import Mark
from promptlab.notebook.compare.standing import OUTCOMES, of_outcome
from promptlab.notebook.trial_table import Coded, first_of_each

MOST_SHOWN = 6
"""The most columns that are shown side by side."""

EXPECTED = -1
"""As a baseline: the expected outputs instead of a column."""

LONGEST_QUERY = 500

ACROSS = ("different", "disagree", "longest")
"""Orders by what all outputs of a row are like: those with the most different texts
first, with the scores furthest apart, with the longest text."""

Only = Literal[
    "differs", "failed", "truncated", "wrong", "complete", "pinned", "marked"
]
ONLY: tuple[Only, ...] = get_args(Only)
"""Kinds of rows: with outputs that differ from each other, or from what is expected
where that is the baseline; with a failed, a truncated or a wrong output; with a trial
in every column; pinned by the user; marked or noted by the user."""

OUTCOME = re.compile(rf"({'|'.join(OUTCOMES)})@(\d{{1,4}})")
"""A kind of rows by how a column scores: `won@2` are those of cases that column 2 won
against the baseline."""

FIELD = re.compile(r"(row|trial|right|score|delta|note)(?:@(\d{1,4}))?:(.*)", re.S)
WORDS = re.compile(
    r'(?P<minus>-(?!\d))?(?:(?P<name>[^\s":<>=!-][^\s":<>=!]*)'
    r'(?P<sign><=|>=|!=|[:<>=]))?(?:"(?P<phrase>[^"]+)"|(?P<word>\S+))'
)
"""A word or "phrase"; in the field before a sign, if there is one of that name; a minus
turns it around."""
NUMBER = re.compile(r"(<=|>=|!=|<|>|=)?\s*(-?(?:\d+\.?\d*|\.\d+)(?:e-?\d+)?)", re.I)

COMPARE: dict[str, Callable[[np.ndarray, float], np.ndarray]] = {
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
    "!=": np.not_equal,
    "=": np.isclose,
}


@dataclass(frozen=True, kw_only=True)
class RowFilter:
    """The columns and rows of a comparison that are shown, and in which order."""

    columns: tuple[int, ...]
    """The columns that are shown, from left to right; at most six."""
    baseline: int | None = None
    """The column that the others are compared with, or `EXPECTED`."""
    text: str = ""
    """Only rows with every word of it, and every "phrase in quotes", `field:word` and
    `field<2` being of that field, and `-` before any of them for rows without it; in a
    `field` of numbers, a comparison such as `> 2`."""
    field: str = ""
    """The field to search; every field if empty."""
    only: frozenset[str] = frozenset()
    """Only rows of all these kinds, of `ONLY` or `OUTCOME`."""
    score: str = ""
    """The score that columns are compared by, of `Comparison.scores`; the first of them
    if empty."""
    sort: str = ""
    """The field to sort by, or one of `ACROSS`; the table's order if empty."""
    descending: bool = False
    folded: bool = False
    """Whether repeats of a case are shown as one row."""
    opened: frozenset[int] = frozenset()
    """The folds that are shown row by row all the same."""

    @classmethod
    def of(cls, comparison: Comparison, plain: Mapping[str, Any]) -> RowFilter:
        """The filter that a front end asks for, without columns that do not exist.

        Raises:
            SpecError: it is not a valid filter.
        """
        try:
            known = range(len(comparison.columns))
            columns = [int(c) for c in plain["columns"] if int(c) in known]
            baseline = plain.get("baseline")
            text = str(plain.get("text", ""))[:LONGEST_QUERY]
            score = str(plain.get("score", ""))
            return cls(
                columns=tuple(dict.fromkeys(columns))[:MOST_SHOWN],
                baseline=None if baseline is None else int(baseline),
                text=text.encode("utf-8", "ignore").decode(),
                field=str(plain.get("field", "")),
                only=frozenset(
                    kind
                    for kind in plain.get("only", ())
                    if kind in ONLY or _outcome(comparison, kind)
                ),
                score=score if score in comparison.scores else "",
                sort=str(plain.get("sort", "")),
                descending=bool(plain.get("descending")),
                folded=bool(plain.get("folded")) and comparison.folds is not None,
                opened=frozenset(int(fold) for fold in plain.get("opened", ())),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise SpecError(f"compare: not a valid view: {plain!r:.200}") from error

    @property
    def against(self) -> int | None:
        """The column that the others are compared with, if it is one."""
        return None if self.baseline == EXPECTED else self.baseline

    def score_of(self, comparison: Comparison) -> str | None:
        """The score that columns are compared by; None if there is none."""
        return self.score or next(iter(comparison.scores), None)

    def to_plain(self) -> dict[str, Any]:
        """The filter as `of` reads it."""
        return {
            **vars(self),
            "columns": [*self.columns],
            "only": sorted(self.only),
            "opened": sorted(self.opened),
        }


@dataclass(frozen=True)
class Field:
    """Something of rows or outputs that can be searched, or sorted by."""

    scope: str
    """`row`: a value that all outputs of a row share; `trial`: one of each output;
    `right`: whether it is right; `score`: the score that columns are compared by;
    `delta`: that less the baseline's; `note`: the user's note."""
    name: str = ""
    """The column of the table, for `row` and `trial`."""
    column: int | None = None
    """Only the outputs of that column of the comparison."""

    @classmethod
    def of(cls, comparison: Comparison, given: str, scopes: Sequence[str]) -> Field:
        """The field with that id, which must have one of the scopes.

        Raises:
            SpecError: there is no such field.
        """
        if match := FIELD.fullmatch(given):
            scope, column, name = match.groups()
            position = None if column is None else int(column)
            exists = position is None or position < len(comparison.columns)
            known = name in comparison.table if scope in ("row", "trial") else not name
            if exists and known and scope in scopes:
                return cls(scope, name, position)
        raise SpecError(f"compare: unknown field {given!r:.100}")

    @property
    def id(self) -> str:
        """The id of the field in a front end."""
        column = "" if self.column is None else f"@{self.column}"
        return f"{self.scope}{column}:{self.name}"


NOTE = Field("note")


def fields(comparison: Comparison) -> Iterator[tuple[Field, str]]:
    """The fields that can be searched one by one, and their names."""
    yield Field("trial", "output"), "outputs"
    for index, column in enumerate(comparison.columns):
        yield Field("trial", "output", index), f"output of {column.name}"
    for name in row_names(comparison):
        yield Field("row", name), name
    if comparison.failed.any() and "error" in comparison.table:
        yield Field("trial", "error"), "error"
    if "finish_reason" in comparison.table:
        yield Field("trial", "finish_reason"), "finish_reason"
    for name in (*comparison.measures, *verbal_scores(comparison)):
        yield Field("trial", name), name
    yield NOTE, "note"


def is_number(comparison: Comparison, field: Field) -> bool:
    """Whether a field holds numbers."""
    if field.scope == "score":
        return True
    if field.scope == "trial":
        return field.name in comparison.measures
    return field.scope == "row" and pd.api.types.is_numeric_dtype(
        comparison.table[field.name]
    )


def row_names(comparison: Comparison) -> list[str]:
    """The columns of the table that all outputs of a row share."""
    names = ["case", *comparison.others, "repeat", *comparison.trials.schema.inputs]
    if comparison.expected is not None:
        names.append("expected")
    return [n for n in names if n in comparison.table and n not in comparison.by]


def shown(
    comparison: Comparison, view: RowFilter, marks: Mapping[int, Mark] | None = None
) -> np.ndarray:
    """The rows that pass a filter, in its order; pinned rows come first, and of a fold
    stands the first row that passes.

    Raises:
        SpecError: there is no such field, or it holds numbers and the text does not.
    """
    marks = marks or {}
    keep = np.zeros(len(comparison), dtype=bool)
    keep[of_outcomes(comparison, view, narrowed(comparison, view, marks))] = True
    rows = _ordered(comparison, view)
    rows = rows[keep[rows]]
    pinned = np.array([row for row, mark in marks.items() if mark.pinned], dtype=int)
    if len(pinned):
        first = np.isin(rows, pinned)
        rows = np.concatenate([rows[first], rows[~first]])
    if view.folded and comparison.folds is not None:
        folds = comparison.folds[rows]
        kept = np.isin(folds, list(view.opened))
        kept[first_of_each(folds)] = True
        rows = rows[kept]
    return rows


def narrowed(
    comparison: Comparison, view: RowFilter, marks: Mapping[int, Mark]
) -> np.ndarray:
    """The rows that pass all of a filter but for outcomes: those that headings count,
    so that one can go from the cases that a column won to those that it lost.

    Raises:
        SpecError: as `shown`.
    """
    keep = np.ones(len(comparison), dtype=bool)
    for kind in view.only:
        if kind in ONLY:
            keep &= of_kind(comparison, view, kind, marks)
    if view.text.strip():
        keep &= _holding(comparison, view, marks)
    return np.flatnonzero(keep)


def of_outcomes(
    comparison: Comparison, view: RowFilter, rows: np.ndarray
) -> np.ndarray:
    """Those of some rows that have the outcomes of a filter."""
    name = view.score_of(comparison)
    keep = np.ones(len(rows), dtype=bool)
    for given in view.only:
        if name is not None and (outcome := _outcome(comparison, given)):
            against = view.against
            keep &= of_outcome(comparison, name, *outcome, against, rows)
    return np.asarray(rows[keep])


def _outcome(comparison: Comparison, given: Any) -> tuple[str, int] | None:
    """The outcome and the column of a kind of rows; None if it is not of that sort."""
    match = OUTCOME.fullmatch(given) if isinstance(given, str) else None
    if match is None or int(match[2]) >= len(comparison.columns):
        return None
    return match[1], int(match[2])


def kind_words(comparison: Comparison, kind: str) -> str:
    """A kind of rows in words, as `won by steps`."""
    if outcome := _outcome(comparison, kind):
        return f"{outcome[0]} by {comparison.columns[outcome[1]].name}"
    return kind


def of_kind(
    comparison: Comparison, view: RowFilter, kind: str, marks: Mapping[int, Mark]
) -> np.ndarray:
    """Which rows are of a kind of `ONLY`."""
    match kind:
        case "differs":
            return _differs(comparison, view)
        case "failed":
            return _any(comparison, view, comparison.failed)
        case "truncated":
            return _any(comparison, view, comparison.truncated)
        case "wrong":
            wrong = _right(comparison) == 0
            return _any(comparison, view, wrong & ~comparison.failed)
        case "complete":
            return ~_any(comparison, view, None)
        case "pinned":
            return _marked(comparison, marks, lambda mark: mark.pinned)
    return _marked(comparison, marks, lambda mark: bool(mark.kind or mark.note))


def _marked(
    comparison: Comparison, marks: Mapping[int, Mark], test: Callable[[Mark], bool]
) -> np.ndarray:
    rows = np.zeros(len(comparison), dtype=bool)
    rows[[row for row, mark in marks.items() if test(mark)]] = True
    return rows


def _differs(comparison: Comparison, view: RowFilter) -> np.ndarray:
    if view.baseline == EXPECTED:
        other = (_right(comparison) == 0) | comparison.failed
        return _any(comparison, view, other)
    columns = list(view.columns)
    if view.baseline is not None and view.baseline not in columns and columns:
        columns.append(view.baseline)
    alike = comparison.likeness(columns)
    highest = alike.max(axis=1, initial=MISSING)
    lowest = np.where(alike < 0, len(columns), alike).min(axis=1, initial=len(columns))
    differs: np.ndarray = highest > lowest
    return differs


def _any(
    comparison: Comparison, view: RowFilter, trials: np.ndarray | None
) -> np.ndarray:
    """Which rows have such a trial in a shown column; for None, a missing trial."""
    positions = comparison.positions[:, list(view.columns)]
    found = positions < 0 if trials is None else trials[positions] & (positions >= 0)
    return np.asarray(found.any(axis=1))


def _holding(
    comparison: Comparison, view: RowFilter, marks: Mapping[int, Mark]
) -> np.ndarray:
    if not view.field:
        where = list(_everywhere(comparison))
    else:
        where = [Field.of(comparison, view.field, ("row", "trial", "note"))]
        if is_number(comparison, where[0]):
            return _comparing(comparison, view, where[0])
    keep = np.ones(len(comparison), dtype=bool)
    for found in WORDS.finditer(view.text):
        keep &= _with_term(comparison, view, where, found, marks)
    return keep


def _with_term(
    comparison: Comparison,
    view: RowFilter,
    where: Sequence[Field],
    found: re.Match[str],
    marks: Mapping[int, Mark],
) -> np.ndarray:
    """Which rows pass one word, phrase, or comparison of a filter's text."""
    wanted, sign = found["phrase"] or found["word"], found["sign"]
    field = None
    if sign and not view.field:
        field = _named_field(comparison, view, found["name"])
    if field is None and sign:  # as a time, or an address
        wanted = found[0].removeprefix(found["minus"] or "")
    if field is not None and is_number(comparison, field):
        text = f"{'' if sign == ':' else sign}{wanted}"
        rows = _comparing(comparison, replace(view, text=text), field)
    else:
        rows = np.zeros(len(comparison), dtype=bool)
        for one in where if field is None else [field]:
            rows |= _with_word(comparison, view, one, wanted, marks)
        if field is not None and sign == "!=":
            rows = ~rows
    return ~rows if found["minus"] else rows


def _named_field(comparison: Comparison, view: RowFilter, name: str) -> Field | None:
    """The field that a filter's text names, in any case of letters; `score` is the one
    that columns are compared by."""
    for field, known in fields(comparison):
        if field.column is None and name.lower() in (known.lower(), field.name.lower()):
            return field
    chosen = view.score_of(comparison)
    return Field("score", chosen) if name.lower() == "score" and chosen else None


def _everywhere(comparison: Comparison) -> Iterator[Field]:
    """The fields that are searched when none is named: those read as text."""
    inputs = comparison.trials.schema.inputs
    for field, name in fields(comparison):
        if field.column is not None or name == "finish_reason":
            continue
        if name in ("case", *inputs) or not is_number(comparison, field):
            yield field


def _with_word(
    comparison: Comparison,
    view: RowFilter,
    field: Field,
    word: str,
    marks: Mapping[int, Mark],
) -> np.ndarray:
    if field.scope == "note":
        wanted = word.lower()
        return _marked(comparison, marks, lambda mark: wanted in mark.note.lower())
    if field.scope == "row":
        coded = comparison.of_rows(field.name)
        return coded.spread(_matches(coded.texts, word))
    if field.name in ("output", "error"):
        texts = {"output": comparison.outputs, "error": comparison.errors}[field.name]
        trials = _matches(texts, word)
    else:
        coded = comparison.trials.coded(field.name)
        trials = coded.spread(_matches(coded.texts, word))
    return _in_column(comparison, view, field, trials)


def _in_column(
    comparison: Comparison, view: RowFilter, field: Field, trials: np.ndarray
) -> np.ndarray:
    """Which rows have such a trial in the field's column, or in any shown one."""
    if field.column is None:
        return _any(comparison, view, trials)
    positions = comparison.positions[:, field.column]
    return np.asarray(trials[positions] & (positions >= 0))


def _comparing(comparison: Comparison, view: RowFilter, field: Field) -> np.ndarray:
    """Which rows have a number that passes the comparison."""
    match = NUMBER.fullmatch(view.text.strip())
    if match is None:
        raise SpecError(f"{field.name}: expected a number or a comparison such as > 2")
    scored = field.scope == "score"
    of = comparison.scored if scored else comparison.trials.numbers
    numbers = of(field.name)
    compare = COMPARE[match[1] or "="]
    trials = compare(numbers, float(match[2])) & ~np.isnan(numbers)
    if field.scope == "row":
        return np.asarray(trials[comparison.first])
    return _in_column(comparison, view, field, trials)


def _ordered(comparison: Comparison, view: RowFilter) -> np.ndarray:
    rows = np.arange(len(comparison))
    if not view.sort:
        turned: np.ndarray = rows[::-1] if view.descending else rows
        return turned
    if view.sort in ACROSS:
        return _by(_across(comparison, view), descending=not view.descending)
    field = Field.of(comparison, view.sort, ("row", "trial", "right", "score", "delta"))
    if field.scope == "row":
        coded = comparison.of_rows(field.name)
        return _by(coded.spread(_ranks(coded)), view.descending)
    column = view.columns[0] if field.column is None else field.column
    values = _of_column(comparison, _measured(comparison, view, field), column)
    if field.scope == "delta" and view.against is not None:
        values = values - _of_column(
            comparison, _measured(comparison, view, field), view.against
        )
    return _by(values, view.descending)


def _of_column(comparison: Comparison, values: np.ndarray, column: int) -> np.ndarray:
    """A number of each row from those of the trials in a column."""
    positions = comparison.positions[:, column]
    if not len(values):
        return np.full(len(positions), np.nan)
    return np.where(positions < 0, np.nan, values[positions])


def _across(comparison: Comparison, view: RowFilter) -> np.ndarray:
    """A number of each row to sort by, the most first."""
    if view.sort == "different":
        alike = comparison.likeness(view.columns)
        distinct = (alike == np.arange(alike.shape[1])).sum(axis=1)
        return np.asarray(distinct.astype(float))
    scope = Field("score") if view.sort == "disagree" else Field("trial", "output")
    values = _measured(comparison, view, scope)
    table = np.stack([_of_column(comparison, values, c) for c in view.columns])
    most = np.fmax.reduce(table, axis=0)
    if view.sort == "longest":
        return np.asarray(most)
    return np.asarray(most - np.fmin.reduce(table, axis=0))


def _by(values: np.ndarray, descending: bool) -> np.ndarray:
    """The rows sorted by a number, those without one last; a stable sort."""
    keys = -values if descending else values
    order: np.ndarray = np.argsort(keys, kind="stable")
    return order


def _measured(comparison: Comparison, view: RowFilter, field: Field) -> np.ndarray:
    """A number for each trial to sort it by."""
    if field.scope in ("score", "delta"):
        name = view.score_of(comparison)
        none = np.full(len(comparison.table), np.nan)
        return none if name is None else comparison.scored(name)
    if field.scope == "right":
        return _right(comparison)
    if field.name == "output":
        lengths = pc.utf8_length(comparison.outputs).cast(pa.float64())
        return np.asarray(lengths.to_numpy(zero_copy_only=False))
    if field.name in comparison.measures:
        return comparison.trials.numbers(field.name)
    coded = comparison.trials.coded(field.name)
    return coded.spread(_ranks(coded))


def _right(comparison: Comparison) -> np.ndarray:
    """Which outputs are right, NaN everywhere if nothing decides."""
    if comparison.right is None:
        return np.full(len(comparison.table), np.nan)
    return comparison.right


def _ranks(coded: Coded) -> np.ndarray:
    """The rank of each value; NaN if it is missing.

    Numbers are ranked by size, strings naturally: `t2` is before `t10`.
    """
    values = coded.values
    numeric = all(isinstance(v, (int, float)) for v in values if v is not None)
    texts = coded.texts.to_pylist()
    order = sorted(
        (i for i, value in enumerate(values) if value is not None),
        key=(lambda i: values[i]) if numeric else (lambda i: _natural(texts[i])),
    )
    ranks = np.full(len(values), np.nan)
    ranks[order] = np.arange(len(order))
    return ranks


def _natural(text: str) -> list[tuple[int, int, str]]:
    return [
        (0, int(digits), "") if digits else (1, 0, other)
        for digits, other in re.findall(r"(\d{1,18})|(\D+)", text[:200].lower())
    ]


def verbal_scores(comparison: Comparison) -> list[str]:
    """The scores that are strings, not numbers."""
    return [n for n in comparison.trials.schema.scores if n not in comparison.measures]


def _matches(texts: pa.Array, word: str) -> np.ndarray:
    return bools(pc.match_substring(texts, word, ignore_case=True))
