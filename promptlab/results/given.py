"""Given answers: a table from elsewhere as the outcomes of an experiment."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import orjson
import pandas as pd

from promptlab.errors import Failure, SpecError, brief, did_you_mean
from promptlab.formats import plain_text
from promptlab.results.columns import OutcomeColumns
from promptlab.results.exports import read_results
from promptlab.results.schema import ATTRIBUTE, EXPLANATION, Schema
from promptlab.results.scores import ScoreColumn
from promptlab.results.table import TOKENS, plain_values
from promptlab.spec.capabilities import Capabilities
from promptlab.spec.dataset import REPLY_COLUMNS, RESULT_COLUMNS, Dataset
from promptlab.spec.grid import Grid, Level, Variant
from promptlab.spec.parameters import KNOWN
from promptlab.spec.prompt import Prompt, Turn
from promptlab.spec.response import ReplySummary

HERE = "http://localhost"
"""Where given answers are from: they cost what they say, and nothing is paid."""

ALWAYS = ("model", "prompt", "system")
"""The parameters that no input can be called after."""

VARIES = ("parameter", "wording")
"""The roles of columns that tell variants apart."""

IGNORED = (*RESULT_COLUMNS, *REPLY_COLUMNS)
"""Columns that are no inputs: outcomes are read by their names."""

LONGEST_KIND = 60
"""Characters before the colon of an error that say of what kind it is."""

REPLY: dict[str, Callable[[Any], Any]] = {
    **dict.fromkeys(TOKENS, int),
    **dict.fromkeys(("latency_s", "cost_usd"), float),
    **dict.fromkeys(("finish_reason", *REPLY_COLUMNS), plain_text),
}
"""What a table may say of a reply beside its output, and how it is read."""

Read = TypeVar("Read")


class NotAsked(Prompt):
    """Stands for the prompts of answers that were given: it takes every input."""

    def turns(self, inputs: Mapping[str, Any]) -> tuple[Turn, ...]:
        """Raises `SpecError`: there is nothing to ask."""
        raise SpecError("its answers were given in a table, without what was asked")

    def fields_among(self, names: Collection[str]) -> tuple[str, ...]:
        """All of them."""
        return tuple(names)

    def filled(self, variables: Mapping[str, Any]) -> Prompt:
        """The same."""
        return self


class GivenAnswers:
    """The rows of a table by case, variant and repeat."""

    def __init__(
        self,
        table: Any,
        *,
        output: str | None = None,
        expected: str | None = None,
        case: str | None = None,
        variants: Sequence[str] | None = None,
        metadata: Collection[str] = (),
    ) -> None:
        """Where nothing is said, columns are what the table says, or what their names
        do.

        Raises:
            SpecError: it has no such column, no row, or rows that contradict others.
            ExportError: the file cannot be read.
        """
        frame = self.frame = _frame(table)
        self._read: dict[str, list[Any]] = {}
        told = Schema.of(frame).roles if ATTRIBUTE in frame.attrs else {}
        self._check_there((output, expected, case, *(variants or ()), *metadata))
        found = output or self._first_there("output")
        self._expected = expected or self._first_there("expected")
        self._case = case or self._first_there("case", "id")
        if found is None:
            raise SpecError(
                "from_table: no column is called 'output'; output= names the one with "
                f"the answers, of {', '.join(map(str, frame))}"
            )
        self._output = found
        taken = {found, self._expected, *metadata, *IGNORED}
        free = [str(n) for n in frame if n not in taken and n not in ("case", "id")]
        if variants is None:
            parameters = (n for n in free if told.get(n, "parameter") in VARIES)
            variants = [n for n in parameters if n in told or n in KNOWN]
        also = [name for name in ALWAYS if name in free and name not in variants]
        self._variants = [*also, *variants]
        self._wordings = [name for name in variants if told.get(name) == "wording"]
        self.scores = [name for name in free if told.get(name) == "score"]
        told_metadata = [name for name in free if told.get(name) == "metadata"]
        self._metadata = [*metadata, *told_metadata]
        left_out = {*self._variants, *self.scores, *told_metadata}
        self._inputs = [
            name
            for name in free
            if name not in left_out and told.get(name, "input") == "input"
        ]
        self._check_free()

    @cached_property
    def grid(self) -> Grid:
        """The variants that the rows have, and no others."""
        names = list(dict.fromkeys(("model", "prompt", *self._variants)))
        labels = {name: self._labels(name) for name in names}
        pool = {name: _levels(name, labels[name]) for name in names}
        here = {"base_url": Level(HERE, HERE)}
        variants = [
            Variant(here | {n: pool[n][_key(labels[n][row])] for n in names})
            for row in _first(self._variant_of)
        ]
        return Grid.of_variants(
            {name: tuple(levels.values()) for name, levels in pool.items()},
            variants,
            nested=self._wordings,
        )

    @cached_property
    def dataset(self) -> Dataset:
        """The cases of the rows, in the order they first appear."""
        columns = {n: self._values(n) for n in (*self._inputs, *self._metadata)}
        if self._expected is not None:
            columns["expected"] = self._values(self._expected)
        first = _first(self._case_of)
        ids = self._values(self._case) if self._case else [*range(1, len(first) + 1)]
        for name, values in columns.items():
            self._check_same(name, values, first)
        rows = [
            {
                "id": str(ids[row] if self._case else ids[number]),
                **{name: values[row] for name, values in columns.items()},
            }
            for number, row in enumerate(first)
        ]
        return Dataset(rows, name="given answers", metadata=self._metadata)

    @cached_property
    def repeats(self) -> int:
        """How many answers to one case a variant has at most."""
        return max(self._repeat_of) + 1

    @property
    def capabilities(self) -> Capabilities:
        """That every model took the parameters it was given."""
        known = [name for name in self._variants if name in KNOWN]
        models = {level.value for level in self.grid.levels("model")}
        return {model: dict.fromkeys(known, True) for model in models}

    @cached_property
    def trials(self) -> list[int]:
        """The index of each row's trial."""
        variants = len(self.grid)
        trials = [
            (case * variants + variant) * self.repeats + repeat
            for case, variant, repeat in zip(
                self._case_of, self._variant_of, self._repeat_of, strict=True
            )
        ]
        if len(set(trials)) < len(trials):
            (twice, _), *_ = Counter(trials).most_common(1)
            row = trials.index(twice)
            raise SpecError(
                f"from_table: two rows are repeat {self._repeat_of[row]} of one "
                "variant and case; without the column 'repeat' they are counted"
            )
        return trials

    def answers(self) -> OutcomeColumns:
        """The outcomes of the rows; one without an output is a failed trial."""
        made = OutcomeColumns(len(self.dataset) * len(self.grid) * self.repeats)
        replies = {name: self._read_as(name, kind) for name, kind in REPLY.items()}
        errors, keys = self._read_as("error", plain_text), self._read_as("key", str)
        cached = self._read_as("cached", bool)
        for row, output in enumerate(self._values(self._output)):
            trial = self.trials[row]
            if output is None:
                made.fail(trial, _failure(errors[row] or "the table has no output"))
                continue
            told = {name: values[row] for name, values in replies.items()}
            reply = ReplySummary(
                output=plain_text(output),
                cache_write_tokens=None,
                latency_s=_or(told.pop("latency_s"), math.nan),
                reported_cost_usd=told.pop("cost_usd"),
                received_s=0.0,
                model=None,
                service_tier=None,
                attempts=1,
                **told,
            )
            made.put(trial, [reply], keys[row])
            made.cached[trial] = bool(cached[row])
        return made

    def billed_usd(self) -> list[float]:
        """What the rows say was paid for them, else nothing, in the order of trials."""
        billed = self._read_as("billed_usd", float)
        missing = math.nan if "billed_usd" in self.frame else 0.0
        return [_or(billed[row], missing) for row in self._order]

    def score_columns(self) -> dict[str, ScoreColumn]:
        """The scores that the table has, in the order of trials."""

        def ordered(name: str) -> list[Any]:
            values = self._values(name)
            return [values[row] for row in self._order]

        return {
            name: ScoreColumn(
                ordered(name),
                ordered(f"{name}{EXPLANATION}")
                if f"{name}{EXPLANATION}" in self.frame
                else None,
            )
            for name in self.scores
        }

    @cached_property
    def _order(self) -> list[int]:
        """The rows in the order of their trials."""
        return sorted(range(len(self.trials)), key=self.trials.__getitem__)

    @cached_property
    def _case_of(self) -> list[int]:
        """The number of each row's case: of those with one id, or, without ids, of
        those with the same inputs."""
        if self._case is not None:
            ids = self._values(self._case)
            if None in ids:
                raise SpecError(
                    f"from_table: row {ids.index(None) + 1} has no {self._case!r}"
                )
            return _numbered(map(str, ids))
        if not self._inputs:
            return list(range(len(self.frame)))
        columns = [self._values(name) for name in self._inputs]
        return _numbered(map(_key, zip(*columns, strict=True)))

    @cached_property
    def _variant_of(self) -> list[int]:
        if not self._variants:
            return [0] * len(self.frame)
        columns = [self._labels(name) for name in self._variants]
        return _numbered(map(_key, zip(*columns, strict=True)))

    @cached_property
    def _repeat_of(self) -> list[int]:
        if "repeat" in self.frame:
            given = [_or(number, -1) for number in self._read_as("repeat", int)]
            if min(given) < 0:
                raise SpecError("from_table: repeat: expected integers ≥ 0")
            return given
        seen: Counter[tuple[int, int]] = Counter()
        repeats = []
        for place in zip(self._case_of, self._variant_of, strict=True):
            repeats.append(seen[place])
            seen[place] += 1
        return repeats

    def _labels(self, name: str) -> list[Any]:
        """What a parameter is in each row, as a table shows it."""
        if name not in self._variants:
            return [None] * len(self.frame)
        return [
            plain_text(value) if isinstance(value, (list, dict)) else value
            for value in self._values(name)
        ]

    def _values(self, name: str) -> list[Any]:
        if name not in self._read:
            self._read[name] = plain_values(self.frame[name])
        return self._read[name]

    def _read_as(self, name: str, kind: Callable[[Any], Read]) -> list[Read | None]:
        """The values of a column, as far as there are any."""
        if name not in self.frame:
            return [None] * len(self.frame)
        values = self._values(name)
        try:
            return [None if value is None else kind(value) for value in values]
        except (TypeError, ValueError) as error:
            raise SpecError(f"from_table: column {name!r}: {error}") from None

    def _first_there(self, *names: str) -> str | None:
        return next((name for name in names if name in self.frame), None)

    def _check_there(self, names: Sequence[str | None]) -> None:
        columns = [str(name) for name in self.frame]
        for name in names:
            if name is not None and name not in columns:
                raise SpecError(
                    f"from_table: the table has no column {name!r}"
                    + (
                        did_you_mean(name, columns)
                        or f"; valid names: {', '.join(columns)}"
                    )
                )

    def _check_free(self) -> None:
        """Refuses a second column for what has one."""
        for name, used in (("output", self._output), ("expected", self._expected)):
            if name in self.frame and used != name:
                raise SpecError(
                    f"from_table: the table has a column {name!r} beside {used!r}, "
                    f"which would be called so; drop it, or leave out {name}={used!r}"
                )

    def _check_same(self, name: str, values: Sequence[Any], first: list[int]) -> None:
        """Refuses an input that is not the same in all rows of a case."""
        for row, number in enumerate(self._case_of):
            if values[row] != values[first[number]]:
                case = self._values(self._case)[row] if self._case else number + 1
                raise SpecError(
                    f"from_table: {name!r} differs among the rows of case "
                    f"{plain_text(case)!r}; if it is a parameter, name it in "
                    "variants=, else drop it"
                )


def _frame(given: Any) -> pd.DataFrame:
    """The table as a frame of pandas, numbered from 0."""
    table = _of_pandas(given)
    if table.empty:
        raise SpecError("from_table: the table has no rows")
    names = [str(name) for name in table]
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise SpecError(f"from_table: the table has two columns {twice[0]!r}")
    return table.set_axis(names, axis="columns").reset_index(drop=True)


def _of_pandas(given: Any) -> pd.DataFrame:
    if isinstance(given, (str, Path)):
        return read_results(given)
    if isinstance(given, pd.DataFrame):
        return given
    try:
        made: pd.DataFrame = (
            given.to_pandas() if hasattr(given, "to_pandas") else pd.DataFrame(given)
        )
    except (TypeError, ValueError):
        raise SpecError(
            "from_table: expected a DataFrame, rows as dicts or the path of a file, "
            f"got {brief(given)}"
        ) from None
    return made


def _failure(reason: str) -> Failure:
    """The failure that an `error` of a table is the summary of."""
    kind, colon, message = reason.partition(": ")
    if not colon or len(kind) > LONGEST_KIND:
        return Failure(kind="given", message=reason)
    return Failure(kind=kind, message=message)


def _or(value: Read | None, instead: Read) -> Read:
    return instead if value is None else value


def _levels(name: str, labels: Sequence[Any]) -> dict[Hashable, Level]:
    """The level of each value, by its key."""
    return {_key(label): Level(label, _value(name, label)) for label in labels}


def _value(name: str, label: Any) -> Any:
    """What stands for a value that was sent."""
    if name == "prompt":
        return NotAsked("-")
    if name == "model":
        return plain_text(label) or "given"
    return None if name == "system" else label


def _key(value: Any) -> Hashable:
    """The same for values that are the same: 1 and 1.0 are, 1 and True are not."""
    if isinstance(value, tuple):
        return tuple(map(_key, value))
    if isinstance(value, (list, dict)):
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    return isinstance(value, bool), value


def _numbered(keys: Iterable[Hashable]) -> list[int]:
    """The number of each key, as they first appear."""
    numbers: dict[Hashable, int] = {}
    return [numbers.setdefault(key, len(numbers)) for key in keys]


def _first(numbers: Sequence[int]) -> list[int]:
    """The first row of each number, as `_numbered` gives them."""
    first: dict[int, int] = {}
    for row, number in enumerate(numbers):
        first.setdefault(number, row)
    return list(first.values())
