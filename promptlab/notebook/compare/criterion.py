"""The criterion: the score that decides whether an output counts as right."""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from promptlab.errors import SpecError
from promptlab.formats import label
from promptlab.notebook.trial_table import Passing, hint

RIGHT = "right"
"""The one column that is a verdict by name."""

HALF = 0.5
"""The default threshold of scores between 0 and 1."""


@dataclass(frozen=True)
class Criterion:
    """A column of scores, and the least value that counts as right."""

    column: str
    threshold: float | None
    """None where the column holds true and false."""
    lower_is_better: bool = False
    """Whether the threshold is the greatest value that counts as right."""

    @classmethod
    def of(
        cls,
        table: pd.DataFrame,
        scores: Iterable[str],
        score: str | None,
        threshold: float | None,
        scorers: Mapping[str, Passing] | None = None,
    ) -> Criterion | None:
        """The given criterion, else the score `right` if the table has one, else the
        first whose scorer says what is right, else None: `expected` decides.

        Raises:
            SpecError: there is no such column, it holds no numbers, or a threshold is
                missing, or given for true and false.
        """
        known = tuple(scores)
        stated = {n: p for n, p in (scorers or {}).items() if p.threshold is not None}
        if score is None and RIGHT in known and _has_default(table[RIGHT]):
            score = RIGHT
        if score is None and threshold is None:
            score = next(iter(stated), None)
        if score is None:
            if threshold is not None:
                raise SpecError("threshold needs score=, the column that it applies to")
            return None
        if score not in table:
            raise SpecError(
                f"score: the table has no column {score!r}{hint(score, known)}"
            )
        if threshold is None and score in stated:
            passing = stated[score]
            if _is_verdict(table[score], passing):
                return cls(score, None)
            return cls(score, passing.threshold, passing.lower_is_better)
        return cls(score, _checked(table[score], score, threshold))

    @property
    def met(self) -> str:
        """The criterion in words."""
        sign = "≤" if self.lower_is_better else "≥"
        return self.column if self.threshold is None else self._compared(sign)

    @property
    def verdicts(self) -> dict[str, str]:
        """The words for an output that meets it, and for one that does not."""
        if self.threshold is not None:
            return {"right": f"✓ {self.met}", "wrong": f"✗ {self.unmet}"}
        if self.column == RIGHT:
            return {"right": "✓ right", "wrong": "✗ wrong"}
        return {"right": f"✓ {self.column}: yes", "wrong": f"✗ {self.column}: no"}

    @property
    def unmet(self) -> str:
        """The opposite of the criterion in words."""
        if self.threshold is not None:
            return self._compared(">" if self.lower_is_better else "<")
        return "wrong" if self.column == RIGHT else f"not {self.column}"

    def applied(self, scores: np.ndarray) -> np.ndarray:
        """1 where a score meets it, 0 where it does not, NaN where it is missing."""
        least = HALF if self.threshold is None else self.threshold
        met = scores <= least if self.lower_is_better else scores >= least
        return np.where(np.isnan(scores), np.nan, met)

    def _compared(self, sign: str) -> str:
        return f"{self.column} {sign} {label(self.threshold)}"


def _is_verdict(values: pd.Series[Any], passing: Passing) -> bool:
    """Whether a score is 1 where it is right and 0 where it is wrong, nothing else."""
    known = values.dropna()
    return passing == Passing(1.0) and bool(known.isin((0, 1)).all())


def _checked(
    values: pd.Series[Any], name: str, threshold: float | None
) -> float | None:
    values = _typed(values)
    if not pd.api.types.is_numeric_dtype(values):
        raise SpecError(
            f"score: expected numbers, or true and false, got {values.dtype} "
            f"in column {name!r}"
        )
    if pd.api.types.is_bool_dtype(values):
        if threshold is not None:
            raise SpecError(f"threshold: {name!r} is true or false; leave it out")
        return None
    if threshold is None and not _has_default(values):
        raise SpecError(
            f"score: {name!r} has values from {label(float(values.min()))} to "
            f"{label(float(values.max()))}; say which count as right, "
            "for example threshold=3"
        )
    if threshold is None:
        return HALF
    if not isinstance(threshold, numbers.Real) or math.isnan(threshold):
        raise SpecError(f"threshold: expected a number, got {threshold!r}")
    return float(threshold)


def _has_default(values: pd.Series[Any]) -> bool:
    """Whether a column is of booleans, or of numbers from 0 to 1."""
    known = _typed(values).dropna()
    if not pd.api.types.is_numeric_dtype(known):
        return False
    return bool(len(known)) and known.min() >= 0 and known.max() <= 1


def _typed(values: pd.Series[Any]) -> pd.Series[Any]:
    """A column with its own type: true, false and missing come as objects."""
    return values.convert_dtypes() if values.dtype == object else values
