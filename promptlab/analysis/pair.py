"""A pair of variants: which is better on the same cases, and where they differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from promptlab.analysis.leaderboard import ALPHA, BETTER, CANNOT_TELL, EQUAL, WORSE
from promptlab.analysis.scores import Errors, Scores, matching, scores_of
from promptlab.errors import SpecError
from promptlab.formats import counted, interval_text, p_text, plain_text, score_text
from promptlab.render.analysis import Analysis, Shown
from promptlab.results.results import Results
from promptlab.stats.means import is_binary
from promptlab.stats.paired import TIE, Comparison, compare

SHOWN = 10
"""Cases of the card; `.table` has all."""

NAMES = {
    "mcnemar": "McNemar's exact test",
    "t": "the paired t test",
    "sign_flip": "a sign-flip test",
}


def compare_pair(
    results: Results | pd.DataFrame,
    a: Any,
    b: Any,
    score: str | None = None,
    by: str | Sequence[str] | None = None,
    *,
    cluster: str | None = None,
    equivalence: float | None = None,
    errors: Errors = "zero",
    lower_is_better: bool | None = None,
    seed: int = 0,
) -> Pair:
    """Compares two variants on the same cases: b minus a, how sure, and which cases.

    The test is chosen by the scores: McNemar's exact one for 0/1 without clusters,
    else Student's t of the differences, below 30 units a sign-flip test
    (`promptlab.stats.paired`). p is of this comparison alone: for several variants
    take `leaderboard`, which adjusts it.

    Args:
        results: results, or any table with their columns and one of scores.
        a, b: the values that make them, as the baseline of `leaderboard`: a value of
            one column ("plain"), a value for each, or a mapping. What differs in
            columns that are not named is averaged.
        score: the column of the score; may be left out if there is one.
        by: the columns that the values are of; all parameters that vary unless given.
        cluster, equivalence, errors, lower_is_better, seed: as of `leaderboard`.

    Raises:
        SpecError: if a column is missing, a score is not numeric, a case is in two
            clusters, or a variant is not in the table.
    """
    if equivalence is not None and not equivalence > 0:
        raise SpecError(f"expected equivalence > 0, got {equivalence!r}")
    options: dict[str, Any] = {
        "cluster": cluster,
        "errors": errors,
        "lower_is_better": lower_is_better,
    }
    scores = scores_of(results, score, by, **options)
    named = {**matching(scores, a), **matching(scores, b)}
    columns = tuple(scores.by[place] for place in sorted(named))
    if columns != scores.by:  # average over the others
        scores = scores_of(results, score, columns, **options)
    places = []
    for wanted in (a, b):
        chosen = matching(scores, wanted)
        codes, _ = scores.levels
        rows = np.flatnonzero(
            np.all([codes[:, n] == level for n, level in chosen.items()], axis=0)
        )
        if len(rows) != 1:
            raise SpecError(
                f"{wanted!r} is {counted(len(rows), 'variant')} of "
                f"{', '.join(scores.by)}: give a value for each"
            )
        places.append(int(rows[0]))
    return Pair(
        scores=scores, a=places[0], b=places[1], equivalence=equivalence, seed=seed
    )


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Pair(Shown):
    """Two variants compared: `.table` has the cases; shown as a card or text."""

    scores: Scores
    a: int
    """The variant that is compared with, among `scores.labels`."""
    b: int
    """The one that is compared."""
    equivalence: float | None
    seed: int

    @cached_property
    def table(self) -> pd.DataFrame:
        """The cases that differ, those that b lost most first: `case`, `a`, `b` (their
        scores) and `difference` (b − a)."""
        differ = self.differences[self.differences["difference"] != 0]
        worst = np.argsort(differ["difference"] * self.scores.sign, kind="stable")
        return pd.DataFrame(differ.iloc[worst]).reset_index(drop=True)

    @cached_property
    def differences(self) -> pd.DataFrame:
        """The same of all cases that have both scores, those that b won most first."""
        a, b = self._means
        change = np.where(np.abs(b - a) > TIE, b - a, 0.0)
        table = pd.DataFrame({"case": self.scores.cases, "a": a, "b": b})
        table["difference"] = change
        table = table[~np.isnan(b - a)]
        order = np.argsort(-table["difference"] * self.scores.sign, kind="stable")
        return pd.DataFrame(table.iloc[order]).reset_index(drop=True)

    @cached_property
    def counts(self) -> pd.DataFrame | None:
        """How many cases both, one or neither got right; None if scores are graded."""
        a, b = self._means
        both = ~(np.isnan(a) | np.isnan(b))
        if not (is_binary(a[both]) and is_binary(b[both])):
            return None
        names = ["right", "wrong"]
        cells = [
            [int((both & (a == x) & (b == y)).sum()) for y in (1, 0)] for x in (1, 0)
        ]
        return pd.DataFrame(
            cells,
            index=pd.Index(names, name=self.scores.labels[self.a]),
            columns=pd.Index(names, name=self.scores.labels[self.b]),
        )

    @property
    def delta(self) -> float:
        """The score of b minus that of a, over the cases that have both."""
        return float(self._found.delta[0])

    @property
    def interval(self) -> tuple[float, float]:
        """The ends of its 95 % interval."""
        low, high = self.scores.ends(self._found.low[0], self._found.high[0])
        return float(low), float(high)

    @property
    def p(self) -> float:
        """Two-sided, of this comparison alone; NaN if no case has both scores."""
        return float(self._found.p[0]) if self._found.cases[0] else float("nan")

    @property
    def test(self) -> str:
        """`mcnemar`, `t` or `sign_flip`."""
        return str(self._found.test[0])

    @property
    def verdict(self) -> str:
        """b is "better", "worse" or "as good", or one "cannot tell"."""
        if self.p <= ALPHA:
            return BETTER if self.delta * self.scores.sign > 0 else WORSE
        if self.equivalence is not None:
            alike = self._found.difference.p_equivalent(self.equivalence)[0]
            return EQUAL if alike <= ALPHA else CANNOT_TELL
        return CANNOT_TELL

    @property
    def _means(self) -> tuple[Any, Any]:
        return self.scores.means[self.a], self.scores.means[self.b]

    @cached_property
    def _found(self) -> Comparison:
        a, b = self._means
        return compare(b, a, self.scores.clusters, seed=self.seed)

    def _shown(self) -> Analysis:
        shares = self.scores.shares
        rows = [
            [
                plain_text(row["case"]),
                *(score_text(row[name], share=shares) for name in ("a", "b")),
            ]
            for row in self.table.head(SHOWN).to_dict("records")
        ]
        a, b = (self.scores.labels[place] for place in (self.a, self.b))
        return Analysis(
            kind="Pair",
            title=f"{self.scores.heading}: {b} vs {a} · {self.sentence}",
            head=["case", a, b],
            rows=rows,
            texts=1,
            notes=self.scores.notes,
            total=len(self.table),
            of="cases that differ",
        )

    @property
    def sentence(self) -> str:
        """The verdict, the difference with its interval, p, wins and losses."""
        found = self._found
        if not found.cases[0]:
            return f"{self.verdict}: no case has a score of both"
        delta = interval_text(
            self.delta, *self.interval, share=self.scores.shares, signed=True
        )
        unit = " points" * self.scores.shares
        won, lost = (int(found.wins[0]), int(found.losses[0]))[:: self.scores.sign]
        return (
            f"{self.verdict}: {delta}{unit}, p {p_text(self.p)} by {NAMES[self.test]}; "
            f"{won:,} won, {lost:,} lost, {found.ties[0]:,} tied"
        )
