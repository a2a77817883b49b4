"""Stability: whether a variant answers a case the same way when it is asked again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from promptlab.analysis.scores import Errors, Scores, scores_of
from promptlab.errors import SpecError
from promptlab.formats import interval_text, label, points, score_text
from promptlab.render.analysis import SHOWN, Analysis, Shown
from promptlab.results.results import Results
from promptlab.stats.means import mean
from promptlab.stats.stability import (
    agreement,
    outcomes,
    pass_at_k,
    pass_hat_k,
    repeat_deviation,
)


def stability(
    results: Results | pd.DataFrame,
    score: str | None = None,
    by: str | Sequence[str] | None = None,
    *,
    k: int | None = None,
    threshold: float = 1.0,
    cluster: str | None = None,
    errors: Errors = "zero",
    lower_is_better: bool | None = None,
) -> Stability:
    """How much repeats of a case agree: in their scores, and in their outputs.

    pass@k is the chance that at least one of k repeats is right, pass^k that all are,
    each unbiased from the repeats of a case and averaged over cases, with the
    interval of that mean (`promptlab.stats.stability`). Valid from about 30 cases;
    three repeats or more tell something of a case.

    Args:
        results: results with repeats, or any table with their columns and a score.
        score: the column of the score; may be left out if there is one.
        by: the columns whose values make a variant; all parameters that vary unless
            given. Trials that differ in other columns count as repeats.
        k: of pass@k and pass^k; the fewest repeats of any case unless given.
        threshold: a score of at least this is right; of at most this, where lower is
            better.
        cluster, errors, lower_is_better: as of `leaderboard`.

    Raises:
        SpecError: if a column is missing, a score is not numeric, no case was asked
            twice, or k is below 1.
    """
    scores = scores_of(
        *(results, score, by),
        cluster=cluster,
        errors=errors,
        lower_is_better=lower_is_better,
        wordings=True,
    )
    variants, cases, places = scores.repeats
    if not len(places) or places.max() == 0:
        raise SpecError(
            "stability is of repeats, and no case was asked twice: run with repeats=3"
        )
    each = np.unique(variants * scores.means.shape[1] + cases, return_counts=True)[1]
    if k is not None and k < 1:
        raise SpecError(f"expected k >= 1, got {k}")
    return Stability(scores=scores, k=k or int(each.min()), threshold=threshold)


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Stability(Shown):
    """How stable variants are: `.table` is a DataFrame; shown as a card or text."""

    scores: Scores
    k: int
    threshold: float

    @cached_property
    def table(self) -> pd.DataFrame:
        """A row for each variant, in the order of their values.

        The columns of `by`; `n` (cases) and `repeats` (the most of a case); `always`,
        `sometimes` and `never`: the shares of cases that are right in all, some, no
        repeats; `pass_at_k` and `pass_hat_k`, each with `_low` and `_high` (95 %);
        `score_sd`: the standard deviation of a case's score between repeats;
        `same_output`: the share of cases whose outputs are all equal (TARr), and
        `pairwise_same`: of pairs of repeats; NaN without outputs.
        """
        rows = [self._row(place) for place in range(len(self.scores))]
        return pd.concat([self.scores.index, pd.DataFrame(rows)], axis=1)

    @cached_property
    def cases(self) -> pd.DataFrame:
        """The columns of `by`, `case`, `right` and `repeats` of each variant and case:
        how often it was right."""
        tables = []
        for place in range(len(self.scores)):
            right, repeats = self._right(place)
            table = pd.DataFrame(
                {"case": self.scores.cases, "right": right, "repeats": repeats}
            )
            values = dict(zip(self.scores.by, self.scores.values[place], strict=True))
            tables.append(table.assign(**values)[[*self.scores.by, *table]])
        return pd.concat(tables, ignore_index=True)

    def _right(self, place: int) -> tuple[Any, Any]:
        scores, sign = self.scores.by_repeat(place), self.scores.sign
        right = scores * sign >= self.threshold * sign
        return right.sum(axis=1), (~np.isnan(scores)).sum(axis=1)

    def _row(self, place: int) -> dict[str, Any]:
        scores = self.scores.by_repeat(place)
        right, repeats = self._right(place)
        how = outcomes(scores * self.scores.sign, self.threshold * self.scores.sign)
        row: dict[str, Any] = {
            "n": how.cases,
            "repeats": int(repeats.max()),
            "always": how.always,
            "sometimes": how.sometimes,
            "never": how.never,
        }
        for name, share in (("pass_at_k", pass_at_k), ("pass_hat_k", pass_hat_k)):
            found = mean(share(right, repeats, self.k), self.scores.clusters).interval()
            low, high = np.maximum(found.low, 0.0), np.minimum(found.high, 1.0)
            row |= {name: found.value, f"{name}_low": low, f"{name}_high": high}
        row["score_sd"] = repeat_deviation(scores)
        same = pairwise = np.nan
        if "output" in self.scores.table:
            alike = agreement(self.scores.outputs(place))
            same, pairwise = mean(alike.all_equal).value, mean(alike.pairwise).value
        return {**row, "same_output": same, "pairwise_same": pairwise}

    def _shown(self) -> Analysis:
        rows = []
        records = self.table.head(SHOWN).to_dict("records")
        for values, row in zip(self.scores.values, records, strict=False):
            passes = [
                interval_text(*(row[f"{name}{end}"] for end in ("", "_low", "_high")))
                for name in ("pass_at_k", "pass_hat_k")
            ]
            shares = [
                score_text(row[name]) for name in ("always", "sometimes", "never")
            ]
            same = score_text(row["same_output"])
            cells = [
                *shares,
                *passes,
                points(row["score_sd"], share=self.scores.shares),
                same,
            ]
            rows.append([*map(label, values), *cells])
        of = f"{self.k} repeats" if self.k > 1 else "1 repeat"
        return Analysis(
            kind="Stability",
            title=self.scores.title,
            head=[
                *(*self.scores.by, "always right", "sometimes", "never"),
                *(f"pass@{self.k}", f"pass^{self.k}", "sd of a score", "same output"),
            ],
            rows=rows,
            texts=len(self.scores.by),
            notes=[
                f"pass@{self.k}: at least one of {of} of a case is right; "
                f"pass^{self.k}: all are",
                "sometimes, and same output, depend on how many repeats there are: "
                "compare them among equal numbers only",
                *self.scores.notes,
            ],
            total=len(self.table),
        )
