"""Rows to score, as a table of outputs and what was expected."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from promptlab.results.record import Score
from promptlab.scoring.named import made
from promptlab.scoring.rows import Rows


def rows(outputs: Sequence[str], **columns: Sequence[Any]) -> Rows:
    """A row for each output, with these columns."""
    return Rows(pd.DataFrame({"output": list(outputs), **columns}))


def scores(scorer: Any, rows: Rows) -> list[Score]:
    """What a scorer gives each row."""
    given = made(scorer).evaluate(rows)
    pairs = zip(given.values, given.explanations, strict=True)
    return [Score(value, explanation) for value, explanation in pairs]


def value(scorer: Any, output: str, expected: Any = None, **columns: Any) -> Any:
    """What a scorer gives one output."""
    return score(scorer, output, expected, **columns).value


def score(scorer: Any, output: str, expected: Any = None, **columns: Any) -> Score:
    """What a scorer gives one output, and why."""
    cells = {name: [cell] for name, cell in {**columns, "expected": expected}.items()}
    (found,) = scores(scorer, rows([output], **cells))
    return found
