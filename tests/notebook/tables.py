"""Tables of trials as runs make them, small enough to read."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from promptlab.notebook.compare.comparison import Comparison
from promptlab.notebook.compare.comparison_session import ComparisonSession
from promptlab.notebook.compare.row_filter import RowFilter
from promptlab.notebook.trial_table import TrialTable


def table(
    outputs: Mapping[tuple[str, str], Any],
    *,
    repeats: int = 1,
    expected: Mapping[str, Any] | None = None,
    **columns: Sequence[Any],
) -> pd.DataFrame:
    """One trial for each case and prompt, in the order given; `columns` come after
    what a run notes, but for those of inputs, whose names begin with `in_`."""
    rows = [
        {"prompt": prompt, "case": case, "repeat": repeat, "output": output}
        for ((case, prompt), output), repeat in itertools.product(
            outputs.items(), range(repeats)
        )
    ]
    made = pd.DataFrame(rows)
    made.insert(0, "trial", range(len(made)))
    made.insert(1, "model", "m")
    for name in [name for name in columns if name.startswith("in_")]:
        made.insert(
            list(made).index("case") + 1, name.removeprefix("in_"), columns.pop(name)
        )
    if expected is not None:
        position = list(made).index("repeat")
        made.insert(position, "expected", [expected.get(case) for case in made["case"]])
    return made.assign(**columns)


TWO = {
    ("c1", "plain"): "yes, it is",
    ("c1", "steps"): "yes, it was",
    ("c2", "plain"): "no",
    ("c2", "steps"): "no",
}
"""Two cases, two prompts; the outputs to the first case differ."""


def comparison(
    outputs: Mapping[tuple[str, str], Any] | pd.DataFrame = TWO,
    by: str | Sequence[str] | None = "prompt",
    score: str | None = None,
    threshold: float | None = None,
    **more: Any,
) -> Comparison:
    """A comparison of a small table."""
    made = outputs if isinstance(outputs, pd.DataFrame) else table(outputs, **more)
    return Comparison.of(TrialTable.of(made), by, score, threshold)


def view(comparison: Comparison, **more: Any) -> RowFilter:
    """All columns, compared with the first."""
    columns = tuple(range(len(comparison.columns)))
    return RowFilter(**{"columns": columns, "baseline": 0, **more})


def live(
    given: Comparison, name: str | None = "letters", **more: Any
) -> ComparisonSession:
    """What answers for a comparison."""
    return ComparisonSession(given, view(given, **more), name)
