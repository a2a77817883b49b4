"""Rows: what is scored, as columns that are each made when a scorer first needs it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import orjson

from promptlab.errors import PromptlabError
from promptlab.results.json_answers import without_fences
from promptlab.results.record import Score
from promptlab.results.table import plain
from promptlab.scoring.judge import Judge

if TYPE_CHECKING:
    import pandas as pd

    from promptlab.embeddings.vectors import Vectors
    from promptlab.results.record import Record


class Unreadable(ValueError):
    """Why there is no value where one was expected, such as JSON in an output."""


def parsed(text: str) -> Any:
    """The JSON value that a text is.

    Raises:
        Unreadable: it is not JSON.
    """
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        reason = str(error).partition(":")[0]
        raise Unreadable(f"the output is not JSON: {reason}") from None


Ask = Callable[[Judge, Sequence[Mapping[str, Any]]], Sequence[Mapping[str, Score]]]
"""Asks a judge about rows, each with `output` and what the judge is shown."""


Embed = Callable[[Sequence[str | None], str, int | None], "Vectors"]
"""Gives the vectors of texts, by model and dimensions."""


class Rows:
    """The rows of a table that have an output, for scorers."""

    def __init__(
        self,
        table: pd.DataFrame,
        inputs: Sequence[str] = (),
        record: Callable[[int], Record] | None = None,
        ask: Ask | None = None,
        embed: Embed | None = None,
    ) -> None:
        """`inputs` names the columns that prompts see; `record` gives that of a row,
        `ask` asks judges, `embed` an embedding model."""
        self.table = table
        self._ask = ask
        self._embed = embed
        self._inputs = inputs
        self._columns: dict[str, list[Any]] = {}
        self._made: dict[str, Callable[[], Iterable[Any]]] = {
            "inputs": self._case_inputs,
            "json": self._parsed,
            "tool_calls": self._tool_calls,
        }
        if record is not None:
            self._made["record"] = lambda: map(record, range(len(self)))
            self._made["messages"] = lambda: (r.messages for r in self.column("record"))

    def __len__(self) -> int:
        return len(self.table)

    def __contains__(self, name: str) -> bool:
        return name in self._made or name in self.table

    @property
    def names(self) -> list[str]:
        """What a scorer's argument can be called."""
        return list(dict.fromkeys((*map(str, self.table), *self._made, "table")))

    def column(self, name: str) -> list[Any]:
        """What fills an argument of that name, for each row; None if it is missing, an
        `Unreadable` if it cannot be made.

        Raises:
            KeyError: there is no such column.
        """
        if name not in self._columns:
            made = self._made.get(name)
            values = list(made()) if made else python_values(self.table[name])
            self._columns[name] = values
        return self._columns[name]

    def take(self, places: Sequence[int]) -> Rows:
        """Some of the rows; what is made of them, such as parsed JSON, is made once."""
        part = Rows(self.table.iloc[list(places)], ask=self._ask, embed=self._embed)
        part._made = {
            name: partial(self._taken, name, places)
            for name in (*map(str, self.table), *self._made)
        }
        return part

    def judged(self, judge: Judge) -> Sequence[Mapping[str, Score]]:
        """What a judge says of each row.

        Raises:
            PromptlabError: there is nothing to ask it through.
        """
        return self.ask(judge, self.seen(judge))

    def ask(
        self, judge: Judge, asked: Sequence[Mapping[str, Any]]
    ) -> Sequence[Mapping[str, Score]]:
        """What a judge says of what it is asked.

        Raises:
            PromptlabError: there is nothing to ask it through.
        """
        if self._ask is None:
            raise PromptlabError(f"judge {judge.name!r}: nothing asks it here")
        return self._ask(judge, asked)

    def vectors(
        self, texts: Sequence[str | None], model: str, dimensions: int | None
    ) -> Vectors:
        """The vectors of texts.

        Raises:
            PromptlabError: there is nothing to ask for them.
        """
        if self._embed is None:
            raise PromptlabError(f"embeddings by {model!r}: nothing asks for them here")
        return self._embed(texts, model, dimensions)

    def seen(self, judge: Judge) -> list[dict[str, Any]]:
        """Of each row the output, and what a judge is shown beside it."""
        shown = {name: self.column(name) for name in judge.shows if name in self}
        outputs = self.column("output")
        return [
            {
                "output": output,
                **{name: column[place] for name, column in shown.items()},
            }
            for place, output in enumerate(outputs)
        ]

    def _taken(self, name: str, places: Sequence[int]) -> list[Any]:
        column = self.column(name)
        return [column[place] for place in places]

    def _case_inputs(self) -> Iterator[dict[str, Any]]:
        columns = [self.column(name) for name in self._inputs]
        for place in range(len(self)):
            yield {
                name: column[place]
                for name, column in zip(self._inputs, columns, strict=True)
                if column[place] is not None
            }

    def _parsed(self) -> Iterator[Any]:
        for output in self.column("output"):
            try:
                yield parsed(without_fences(output))
            except Unreadable as error:
                yield error

    def _tool_calls(self) -> Iterator[Any]:
        """The calls of each row as a list of `{"name": …, "arguments": {…}}`."""
        name = next(
            (n for n in ("reply_tool_calls", "tool_calls") if n in self.table), ""
        )
        if not name:
            yield from ([] for _ in range(len(self)))
            return
        for calls in python_values(self.table[name]):
            yield tool_calls(calls)


def python_values(column: pd.Series[Any]) -> list[Any]:
    """The values of a column as Python's own, None where one is missing."""
    values = column.tolist()
    if column.hasnans or column.dtype == object:
        return [plain(value) for value in values]
    return values


def tool_calls(text: str | None) -> list[dict[str, Any]]:
    """The tools that a reply calls, from the calls as JSON: name and arguments, which
    stay a string if they are not JSON."""
    if not text:
        return []
    try:
        calls = orjson.loads(text)
    except orjson.JSONDecodeError:
        return []
    functions = [
        call.get("function", call)
        for call in (calls if isinstance(calls, list) else [calls])
        if isinstance(call, dict)
    ]
    return [
        {"name": f.get("name"), "arguments": _arguments(f.get("arguments"))}
        for f in functions
        if isinstance(f, dict)
    ]


def _arguments(given: Any) -> Any:
    if not isinstance(given, str):
        return given
    try:
        return orjson.loads(given or "{}")
    except orjson.JSONDecodeError:
        return given
