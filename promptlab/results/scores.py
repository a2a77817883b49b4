"""Scores: a column of them, in the table and in bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from promptlab.errors import SpecError
from promptlab.formats import plain_text
from promptlab.results.record import Score
from promptlab.results.schema import EXPLANATION, Schema
from promptlab.results.table import categories, plain, texts


@dataclass(frozen=True, eq=False)
class ScoreColumn:
    """The scores of one scorer, one for each row of the table."""

    values: Any
    """Numbers (booleans are 1 and 0), NaN where one is missing; or labels."""
    explanations: Sequence[str | None] | None = None

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
    scored.attrs = Schema.of(table).with_scores(columns).attributes()
    return scored


def score_bytes(trials: Sequence[int], column: ScoreColumn) -> bytes:
    """The scores of these trials as a Parquet file."""
    frame = pd.DataFrame({"trial": trials, **column.columns("value")})
    content = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), content)
    return bytes(content.getvalue())


def score_from_bytes(content: bytes, trials: Sequence[int]) -> ScoreColumn:
    """The scores that `score_bytes` gave, for these trials; missing for others.

    Raises:
        OSError, KeyError, pyarrow.ArrowInvalid: the bytes are damaged.
    """
    frame = pq.read_table(pa.BufferReader(content)).to_pandas().set_index("trial")
    frame = frame.reindex(trials)
    explained = f"value{EXPLANATION}"
    explanations = (
        [plain(text) for text in frame[explained]] if explained in frame else None
    )
    return ScoreColumn(frame["value"], explanations)
