"""Score against cost: which variants no other beats in both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from promptlab.analysis.scores import Errors, Scores, score_interval, scores_of
from promptlab.errors import SpecError
from promptlab.formats import dollars, interval_text, label, score_text
from promptlab.render.analysis import SHOWN, Analysis, Shown
from promptlab.results.results import Results
from promptlab.stats.means import mean
from promptlab.stats.pareto import chance_on_front, front


def pareto(
    results: Results | pd.DataFrame,
    score: str | None = None,
    by: str | Sequence[str] | None = None,
    *,
    cluster: str | None = None,
    errors: Errors = "zero",
    lower_is_better: bool | None = None,
    resamples: int = 1_000,
    seed: int = 0,
) -> Pareto:
    """Score against cost: the front of variants that no other beats in both.

    `p_front` is how often a variant is on the front when cases (or clusters) are drawn
    again, score and cost together (`promptlab.stats.pareto`): near 1, it stays there;
    near ½, the next cases may decide otherwise. Valid from about 50 units.

    Args:
        results: results, or any table with their columns and one of scores.
        score: the column of the score; may be left out if there is one.
        by: the columns whose values make a variant; all parameters that vary unless
            given.
        cluster, errors, lower_is_better: as of `leaderboard`.
        resamples, seed: of the bootstrap; equal data and seeds give equal bytes.

    Raises:
        SpecError: if a column is missing, a score is not numeric, a case is in two
            clusters, or no cost is known.
    """
    scores = scores_of(
        *(results, score, by),
        cluster=cluster,
        errors=errors,
        lower_is_better=lower_is_better,
    )
    if np.isnan(scores.costs).all():
        raise SpecError(
            "no cost is known: the table has no number in 'cost_usd'; prices= of run "
            "gives the prices of models that no list has"
        )
    chances = chance_on_front(
        scores.costs, scores.good, scores.clusters, resamples=resamples, seed=seed
    )
    return Pareto(scores=scores, chances=chances)


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Pareto(Shown):
    """Variants by cost: `.table` is a DataFrame; shown as a card or text."""

    scores: Scores
    chances: NDArray[np.float64]

    @cached_property
    def table(self) -> pd.DataFrame:
        """A row for each variant, the cheapest first.

        The columns of `by`; `cost_usd` (the mean of a trial, over cases) with
        `cost_low` and `cost_high`, `score` with `ci_low` and `ci_high` (all 95 %), `n`
        (cases with a score), `on_front`, and `p_front`.
        """
        cost = mean(self.scores.costs, self.scores.clusters)
        means = self.scores.means
        paid = cost.interval()
        earned = score_interval(means, self.scores.clusters, shares=self.scores.shares)
        table = self.scores.index.assign(
            cost_usd=paid.value,
            cost_low=np.maximum(paid.low, 0.0),
            cost_high=paid.high,
            score=earned.value,
            ci_low=earned.low,
            ci_high=earned.high,
            n=mean(means).count,
            on_front=front(paid.value, earned.value * self.scores.sign),
            p_front=self.chances,
        )
        ordered: pd.DataFrame = table.iloc[self.order]
        return ordered.reset_index(drop=True)

    @cached_property
    def order(self) -> NDArray[np.int64]:
        """The variants in the order of the table."""
        score = mean(self.scores.good).value
        return np.asarray(np.lexsort((-score, mean(self.scores.costs).value)))

    def _shown(self) -> Analysis:
        rows = []
        records = self.table.head(SHOWN).to_dict("records")
        for place, row in zip(self.order, records, strict=False):
            score = interval_text(
                row["score"], row["ci_low"], row["ci_high"], share=self.scores.shares
            )
            rows.append(
                [
                    *map(label, self.scores.values[place]),
                    "yes" if row["on_front"] else "no",
                    score_text(row["p_front"]),
                    dollars(row["cost_usd"]),
                    score,
                ]
            )
        return Analysis(
            kind="Score against cost",
            title=self.scores.title,
            head=[*self.scores.by, "on the front", "how surely", "cost", "score"],
            rows=rows,
            texts=len(self.scores.by) + 1,
            notes=[
                "on the front: no other is as cheap and better, or as good and "
                "cheaper; how surely: in so many of the draws of other cases",
                *self.scores.notes,
            ],
            total=len(self.table),
        )
