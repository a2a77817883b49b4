"""Scorers: what gives each row its score, and how a plain function becomes one."""

from __future__ import annotations

import asyncio
import inspect
import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from inspect import Parameter
from typing import Any, TypeVar, overload

from promptlab.errors import PromptlabError, SpecError, brief
from promptlab.execution.loop import background_loop
from promptlab.formats import shortened
from promptlab.results.record import Score
from promptlab.scoring.judge import Judge
from promptlab.scoring.rows import Rows, Unreadable
from promptlab.spec.definition import Definition

Value = bool | float | str | None

MAX_CONCURRENCY = 32
"""How many calls of one async scorer wait at the same time."""

POSITIONAL = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
VARIADIC = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)

F = TypeVar("F", bound=Callable[..., Any])


@dataclass
class Scores:
    """What a scorer gave, a place for each row."""

    values: list[Any] = field(default_factory=list)
    """Bool, number or label; None if missing; a mapping of these where it gives
    several."""
    explanations: list[str | None] = field(default_factory=list)
    notes: dict[str, str] = field(default_factory=dict)
    """What to know of all of them, in one line: under "", or of mappings by member."""
    judges: dict[str, tuple[Judge, ...]] = field(default_factory=dict)
    """Who gave a member of the mappings, where these are not all the judges."""

    def add(self, result: Any) -> None:
        """Notes the result of one row, as any scorer may give it."""
        kind = type(result)
        if kind is bool or kind is int or (kind is float and math.isfinite(result)):
            self.values.append(result)
            self.explanations.append(None)
            return
        try:
            value, explanation = read(result)
        except TypeError as error:
            value, explanation = None, str(error)
        self.values.append(value)
        self.explanations.append(explanation)

    def miss(self, reason: str) -> None:
        """Notes that a row has no score, and why."""
        self.values.append(None)
        self.explanations.append(reason)


Evaluate = Callable[[Rows], Scores]


@dataclass(frozen=True, kw_only=True)
class Scorer:
    """What gives a score to every row: a named scorer, or a function made one."""

    name: str
    """Of its column in the table."""
    evaluate: Evaluate = field(repr=False)
    needs: tuple[str, ...] = ()
    """The columns that fill its arguments."""
    threshold: float | None = None
    """The least number that is right; the greatest, if lower is better."""
    lower_is_better: bool = False
    weight: float = 1.0
    """How much it counts in `weighted` and among the checks of a case."""
    version: str | None = None
    """Of what a function does, if its author says that the same version always gives
    the same scores."""
    plain: Any = None
    """How a config file writes it; None for a function."""
    judges: tuple[Judge, ...] = ()
    """Whom it asks, as often as it asks them of a row."""
    embeds: tuple[str, ...] = ()
    """The embedding models that it asks."""
    fits: Callable[[Definition], None] | None = field(default=None, repr=False)
    """Raises `SpecError` where it does not fit an experiment."""

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            raise SpecError(f"expected a string as a scorer's name, got {self.name!r}")
        for what in ("threshold", "weight"):
            value = getattr(self, what)
            if value is not None and not isinstance(value, (int, float)):
                raise SpecError(
                    f"{self.name}: {what}: expected a number, got {brief(value)}"
                )
        if self.weight < 0:
            raise SpecError(
                f"{self.name}: weight: expected a number >= 0, got {self.weight}"
            )

    def passes(self, value: Value) -> bool | None:
        """Whether a score is right; None if it is missing, or nobody said when a number
        is."""
        if value is None or isinstance(value, bool):
            return value
        if self.threshold is None or not isinstance(value, (int, float)):
            return None
        if self.lower_is_better:
            return value <= self.threshold
        return value >= self.threshold


@overload
def scorer(function: F, /) -> Scorer: ...
@overload
def scorer(
    *,
    name: str | None = None,
    version: str | None = None,
    threshold: float | None = None,
    lower_is_better: bool = False,
    weight: float = 1.0,
) -> Callable[[F], Scorer]: ...
def scorer(function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Makes a function a scorer: `@scorer`, or `@scorer(version="2", threshold=0.8)`.

    Its arguments are filled by name: `output`, `expected`, `inputs` (a dict), `json`
    (the parsed output), `messages`, `tool_calls` (a list), `record`, and any column of
    the table, such as an input. A function with the argument `table` is called once,
    with all rows as a DataFrame, and gives a score for each. It may be async.

    It returns a bool, a number, a label, a mapping of several, or a `Score`. If it
    raises, the score of that row is missing, with the error as its explanation.

    Args:
        function: The function.
        name: Of the score; default: the function's name.
        version: Of what the function does. Nothing is kept by it yet: a function is
            called each time.
        threshold: The least number that is right.
        lower_is_better: Turns the threshold into the greatest number that is right.
        weight: How much it counts in `weighted`.

    Raises:
        SpecError: it is no function, or a lambda without a name.
    """
    if function is None:
        return lambda function: made_scorer(function, **options)
    return made_scorer(function, **options)


def made_scorer(
    function: Callable[..., Any],
    *,
    name: str | None = None,
    version: str | None = None,
    **options: Any,
) -> Scorer:
    """A function as a scorer; its signature is inspected here, and never again."""
    if isinstance(function, Scorer):
        return replace(function, name=name or function.name, version=version, **options)
    if not callable(function):
        raise SpecError(f"expected a scorer or a function, got {brief(function)}")
    name = str(name or getattr(function, "__name__", type(function).__name__))
    if name == "<lambda>":
        raise SpecError("a lambda needs a name: scorer(name='short')(lambda output: …)")
    call = Call.of(function, name)
    evaluate = by_row
    if "table" in call.arguments:
        evaluate = by_table
    elif inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004 - of an object
    ):
        evaluate = awaited
    return Scorer(
        name=name,
        evaluate=evaluate(call),
        needs=tuple(n for n in call.arguments if n not in call.optional),
        version=version,
        **options,
    )


def described(error: BaseException) -> str:
    """An exception as the explanation of a missing score: one line."""
    text = " ".join(str(error).split())
    if isinstance(error, PromptlabError):
        return text
    return shortened(f"{type(error).__name__}: {text}" if text else repr(error), 500)


def read(result: Any) -> tuple[Any, str | None]:
    """The value and the explanation in what a scorer gave for one row.

    Raises:
        TypeError: it is no score; the message says what one is.
    """
    if isinstance(result, Score):
        value, _ = read(result.value)
        return value, result.explanation or None
    if isinstance(result, Mapping):
        return {str(key): read(value) for key, value in result.items()}, None
    if result is None or type(result).__name__ == "NAType":
        return None, None
    if hasattr(result, "item") and getattr(result, "ndim", 0) == 0:
        result = result.item()  # numpy's scalars
    if isinstance(result, (bool, int, str)):
        return result, None
    if isinstance(result, float):
        return (result, None) if math.isfinite(result) else (None, None)
    raise TypeError(
        "expected a bool, a number, a label, a mapping of these or a Score, got "
        f"{type(result).__name__}"
    )


# A function and the columns that fill its arguments.


@dataclass(frozen=True)
class Call:
    """A function whose arguments are columns of the rows."""

    function: Callable[..., Any]
    arguments: tuple[str, ...]
    optional: frozenset[str] = frozenset()
    """Those that it can do without."""
    by_position: bool = True
    """Whether all can be given by position."""

    @classmethod
    def of(cls, function: Callable[..., Any], name: str) -> Call:
        """As its signature says.

        Raises:
            SpecError: it has none that can be read.
        """
        try:
            parameters = inspect.signature(function).parameters.values()
        except (TypeError, ValueError):
            raise SpecError(
                f"scorer {name!r}: its arguments cannot be read; wrap it in a function "
                "with arguments such as output and expected"
            ) from None
        named = [p for p in parameters if p.kind not in VARIADIC]
        return cls(
            function,
            tuple(p.name for p in named),
            frozenset(p.name for p in named if p.default is not p.empty),
            all(p.kind in POSITIONAL for p in named),
        )

    def bound(self, rows: Rows) -> tuple[Callable[..., Any], list[list[Any]]]:
        """What takes a value of each of some columns, and these."""
        names = [n for n in self.arguments if n in rows or n not in self.optional]
        columns = [rows.column(name) for name in names]
        if self.by_position and len(names) == len(self.arguments):
            return self.function, columns
        function = self.function
        return lambda *row: function(**dict(zip(names, row, strict=True))), columns


def by_row(call: Call) -> Evaluate:
    """Calls a function for each row."""

    def evaluate(rows: Rows) -> Scores:
        function, columns = call.bound(rows)
        unreadable = _unreadable(rows, call.arguments)
        scores = Scores()
        for place, row in enumerate(_transposed(columns, len(rows))):
            if place in unreadable:
                scores.miss(unreadable[place])
                continue
            try:
                result = function(*row)
            except Exception as error:
                scores.miss(described(error))
            else:
                scores.add(result)
        return scores

    return evaluate


def awaited(call: Call) -> Evaluate:
    """Awaits a function for each row, several at a time."""

    def evaluate(rows: Rows) -> Scores:
        function, columns = call.bound(rows)
        unreadable = _unreadable(rows, call.arguments)
        outcomes: list[Any] = [None] * len(rows)
        waiting = enumerate(_transposed(columns, len(rows)))

        async def work() -> None:
            for place, row in waiting:
                if place in unreadable:
                    continue
                try:
                    outcomes[place] = await function(*row)
                except Exception as error:
                    outcomes[place] = error

        async def all_rows() -> None:
            await asyncio.gather(*(work() for _ in range(MAX_CONCURRENCY)))

        background_loop().submit(all_rows()).result()
        scores = Scores()
        for place, outcome in enumerate(outcomes):
            if place in unreadable:
                scores.miss(unreadable[place])
            elif isinstance(outcome, Exception):
                scores.miss(described(outcome))
            else:
                scores.add(outcome)
        return scores

    return evaluate


def by_table(call: Call) -> Evaluate:
    """Calls a function once, with all rows as a table."""

    def evaluate(rows: Rows) -> Scores:
        scores = Scores()
        try:
            given = call.function(table=rows.table.copy(deep=False))
            results = _column(given, len(rows))
        except Exception as error:
            for _ in range(len(rows)):
                scores.miss(described(error))
            return scores
        for result in results:
            scores.add(result)
        return scores

    return evaluate


def _column(given: Any, length: int) -> Sequence[Any]:
    """What a vectorised scorer gave, one result for each row."""
    if hasattr(given, "to_dict") and getattr(given, "ndim", 1) == 2:
        given = given.to_dict("records")  # a DataFrame: several scores for each row
    results = given.tolist() if hasattr(given, "tolist") else list(given)
    if len(results) != length:
        raise ValueError(f"gave {len(results):,} scores for {length:,} rows")
    return list(results)


def _transposed(columns: Sequence[list[Any]], length: int) -> Iterable[tuple[Any, ...]]:
    return zip(*columns, strict=True) if columns else itertools.repeat((), length)


def _unreadable(rows: Rows, arguments: Iterable[str]) -> dict[int, str]:
    """By place, why a row cannot be scored by these."""
    if "json" not in arguments:
        return {}
    return {
        place: str(value)
        for place, value in enumerate(rows.column("json"))
        if isinstance(value, Unreadable)
    }
