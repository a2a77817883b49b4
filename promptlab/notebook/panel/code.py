"""Code: the Python that makes an experiment."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from promptlab.experiment import Experiment

WIDTH = 88
STEP = "    "
PIECE = 64
"""The length of lines, the indent of an item, the length of a piece of a string."""


def experiment_code(experiment: Experiment, *, dataset: str | None = None) -> str:
    """Python that makes an experiment equal to this one, in the variable `experiment`.

    With `dataset`, that expression replaces the cases.
    """
    plain = experiment.to_plain()
    cases, name = plain["dataset"]["cases"], plain["dataset"]["name"]
    made: Any = cases
    if dataset is not None:
        made = Code(dataset)
    elif name != "dataset":
        made = Call("pl.Dataset", [cases], {"name": name})
    arguments: dict[str, Any] = {"grid": _grid(plain), "dataset": made}
    if experiment.repeats != 1:
        arguments["repeats"] = experiment.repeats
    if "capabilities" in plain:
        arguments["capabilities"] = plain["capabilities"]
    call = Call("pl.Experiment", [plain["name"]], arguments)
    return f"import promptlab as pl\n\nexperiment = {written(call, '', 13)}\n"


class Code(str):
    """A Python expression, written as it is."""


@dataclass(frozen=True)
class Call:
    """A call in Python, with values or further calls as its arguments."""

    function: str
    given: Sequence[Any]
    named: Mapping[str, Any]


def written(value: Any, indent: str, used: int = 0) -> str:
    """A value as Python: in one line if it fits after so many characters, else with an
    item, or line of text, a line. A call of several arguments has one a line.
    """
    one_line = _one_line(value)
    several = isinstance(value, Call) and len(value.given) + len(value.named) > 1
    left = WIDTH - len(indent) - used - 1  # a comma follows
    if not several and len(one_line.rpartition("\n")[2]) <= left:
        return one_line
    inner = indent + STEP
    if isinstance(value, str) and not isinstance(value, Code):
        pieces = [inner + piece for piece in _pieces(value)]
        return "\n".join(["(", *pieces, f"{indent})"])
    if not isinstance(value, (dict, list, Call)):
        return one_line
    opening, items, closing = _parts(value)
    lines = [f"{inner}{head}{written(i, inner, len(head) + 1)}," for head, i in items]
    return "\n".join([opening, *lines, indent + closing])


def _pieces(text: str) -> Iterator[str]:
    """A string as adjacent literals: split after line ends, and between words where a
    line is long."""
    for line in re.findall(r"[^\n]*\n|[^\n]+", text):
        piece = ""
        for word in re.findall(r"\S*\s*", line):
            if piece and len(piece) + len(word) > PIECE:
                yield _quoted(piece)
                piece = ""
            piece += word
        yield _quoted(piece)


def _one_line(value: Any) -> str:
    if isinstance(value, Code):
        return value
    if isinstance(value, str):
        return _quoted(value)
    if not isinstance(value, (dict, list, Call)):
        return repr(value)
    opening, items, closing = _parts(value)
    return opening + ", ".join(head + _one_line(item) for head, item in items) + closing


def _quoted(text: str) -> str:
    """A string in double quotes, unless it contains one."""
    text = repr(text)
    return text if '"' in text else f'"{text[1:-1]}"'


def _parts(value: Any) -> tuple[str, list[tuple[str, Any]], str]:
    """The opening of a value, its items with their prefixes, its closing."""
    if isinstance(value, dict):
        return "{", [(f"{_quoted(name)}: ", item) for name, item in value.items()], "}"
    if isinstance(value, list):
        return "[", [("", item) for item in value], "]"
    return f"{value.function}(", list(_arguments(value)), ")"


def _arguments(call: Call) -> Iterator[tuple[str, Any]]:
    yield from (("", item) for item in call.given)
    names = {n: v for n, v in call.named.items() if _is_name(n)}
    yield from ((f"{name}=", item) for name, item in names.items())
    if rest := {n: v for n, v in call.named.items() if n not in names}:
        yield "**", rest


def _is_name(name: str) -> bool:
    return name.isidentifier() and not keyword.iskeyword(name) and name.isascii()


def _grid(plain: Mapping[str, Any]) -> Any:
    """The grid as a call; `only` is a call of its method."""
    more = {name: plain[name] for name in ("zip", "exclude") if name in plain}
    grid: Any = Call("pl.Grid", [], {**plain["grid"], **more})
    for entry in plain.get("only", ()):
        grid = Call(f"{written(grid, STEP, len('grid='))}.only", [], entry)
    return grid
