"""Sensitivity: how much a score depends on the way in which a prompt is worded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from promptlab.analysis.leaderboard import CANNOT_TELL
from promptlab.analysis.scores import Errors, Scores, score_interval, scores_of
from promptlab.errors import SpecError
from promptlab.formats import (
    deviation_text,
    interval_text,
    label,
    points,
    score_text,
    share,
)
from promptlab.render.analysis import SHOWN, Analysis, Shown
from promptlab.results.results import Results
from promptlab.results.schema import Schema
from promptlab.stats.means import case_means, mean
from promptlab.stats.spread import Spread, spread

MATTERS = "matters"
"""The verdict where wordings surely differ."""

ONE = "one wording"


def sensitivity(
    results: Results | pd.DataFrame,
    score: str | None = None,
    by: str | Sequence[str] | None = None,
    *,
    wording: str | None = None,
    cluster: str | None = None,
    errors: Errors = "zero",
    lower_is_better: bool | None = None,
) -> Sensitivity:
    """How far the wordings of each prompt are apart in a score, on the same cases.

    Beside the spread that was seen, from the worst wording to the best, there is the
    standard deviation σ_w of wordings, √(s² − V): s² is the variance of the wordings'
    means, V what of it the choice of the cases makes by chance. Its interval is that of
    Tukey and Williams (Williams 1962), and wordings surely matter where it is above 0.
    The share is σ_w² in that of an answer's score (`promptlab.stats.spread` has the
    formulas: two-way analysis of variance, Searle, Casella & McCulloch 1992; the spread
    over formats: Sclar et al. 2024, arXiv:2310.11324). Valid from about five wordings
    and 30 cases, or 20 clusters.

    Args:
        results: results of prompts that are `pl.Wordings`, or any table with their
            columns and one of scores.
        score: the column of the score; may be left out if there is one.
        by: the columns whose values make a variant; all parameters that vary, the
            wordings aside, unless given.
        wording: the column that says which wording it is; `wording` unless given. With
            "prompt", it is the prompts of each model that are taken for wordings.
        cluster, errors, lower_is_better: as of `leaderboard`.

    Raises:
        SpecError: if a column is missing, a score is not numeric, a case is in two
            clusters, or no prompt has two wordings.
    """
    options: dict[str, Any] = {
        "cluster": cluster,
        "errors": errors,
        "lower_is_better": lower_is_better,
    }
    whole = scores_of(results, score, by, wordings=True, **options)
    column = wording or next(iter(Schema.of(whole.table).wordings), None)
    if column is None:
        raise SpecError(
            "the table has no column of wordings: give the grid a prompt such as "
            "pl.Wordings('...', formats=5), or say which column it is by wording="
        )
    columns = tuple(name for name in whole.by if name != column)
    if not columns:
        columns = _first_parameter(whole.table, column)
    scores = scores_of(results, whole.name, (*columns, column), **options)
    places = _places(scores)
    if all(len(of) < 2 for of in places):
        raise SpecError(
            f"sensitivity is of several wordings, and there is one of each "
            f"{' and '.join(columns)}: give the grid a prompt such as "
            "pl.Wordings('...', formats=5)"
        )
    return Sensitivity(
        scores=scores,
        places=places,
        spreads=[spread(scores.means[list(of)], scores.clusters) for of in places],
    )


def _first_parameter(table: pd.DataFrame, column: str) -> tuple[str, ...]:
    names = [n for n in Schema.of(table).parameters if n in table and n != column]
    if not names:
        raise SpecError(f"the table has no parameter beside {column!r}: give by=")
    return ("prompt",) if "prompt" in names else (names[0],)


def _places(scores: Scores) -> list[tuple[int, ...]]:
    """The variants of `scores` that differ in their last column only, together."""
    codes, _ = scores.levels
    found: dict[tuple[int, ...], list[int]] = {}
    for place, row in enumerate(codes[:, :-1].tolist()):
        found.setdefault(tuple(row), []).append(place)
    return [tuple(of) for of in found.values()]


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Sensitivity(Shown):
    """How much wordings matter: `.table` is a DataFrame; shown as a card or text."""

    scores: Scores
    """Of each wording; the last column of `by` is its name."""
    places: Sequence[tuple[int, ...]]
    """The wordings of each variant, among those of `scores`."""
    spreads: Sequence[Spread]
    """Of each variant."""

    @property
    def by(self) -> tuple[str, ...]:
        """The columns that make a variant."""
        return self.scores.by[:-1]

    @cached_property
    def table(self) -> pd.DataFrame:
        """A row for each variant, in the order of their values.

        The columns of `by`; `wordings` (how many), `score` with `ci_low` and `ci_high`
        (95 %), averaged over them; `spread` (the best minus the worst), `worst` and
        `best` (their names) with `worst_score` and `best_score`; `sd` with `sd_low` and
        `sd_high` (95 %); `share` (of the variance of a score, from 0 to 1); `n` (cases
        that all wordings have), and `verdict`: matters, cannot tell, or one wording.
        """
        rows = [
            self._row(of, one)
            for of, one in zip(self.places, self.spreads, strict=True)
        ]
        first = [of[0] for of in self.places]
        index = self.scores.index[list(self.by)].iloc[first].reset_index(drop=True)
        return pd.concat([index, pd.DataFrame(rows)], axis=1)

    @cached_property
    def wordings(self) -> pd.DataFrame:
        """A row for each wording of each variant, the best first: the columns of `by`,
        its name, `score` with `ci_low` and `ci_high` (95 %), and `n` (cases)."""
        means, clusters = self.scores.means, self.scores.clusters
        value, low, high = score_interval(means, clusters, shares=self.scores.shares)
        table = self.scores.index.assign(
            score=value, ci_low=low, ci_high=high, n=mean(means).count
        )
        group = np.concatenate([[n] * len(of) for n, of in enumerate(self.places)])
        place = np.concatenate([list(of) for of in self.places]).astype(int)
        worse = -value[place] * self.scores.sign
        order = place[np.lexsort((np.nan_to_num(worse, nan=np.inf), group))]
        return table.iloc[order].reset_index(drop=True)

    def _row(self, places: tuple[int, ...], found: Spread) -> dict[str, Any]:
        means = self.scores.means[list(places)]
        score = score_interval(
            case_means(means.T)[None], self.scores.clusters, shares=self.scores.shares
        )
        value, low, high = (float(end[0]) for end in score)
        verdict = MATTERS if found.low > 0 else CANNOT_TELL
        worst, best = self._ends(places, found.means)
        return {
            "wordings": len(places),
            "score": value,
            "ci_low": low,
            "ci_high": high,
            "spread": found.range,
            "worst": worst[0],
            "worst_score": worst[1],
            "best": best[0],
            "best_score": best[1],
            "sd": found.deviation,
            "sd_low": found.low,
            "sd_high": found.high,
            "share": found.share,
            "n": found.cases,
            "verdict": verdict if len(places) > 1 else ONE,
        }

    def _ends(
        self, places: Sequence[int], means: NDArray[np.float64]
    ) -> list[tuple[Any, float]]:
        """The worst and the best wording, and their scores."""
        good = means * self.scores.sign
        if np.isnan(good).all():
            return [(None, np.nan)] * 2
        return [
            (self.scores.values[places[at]][-1], float(means[at]))
            for at in (int(np.nanargmin(good)), int(np.nanargmax(good)))
        ]

    def _shown(self) -> Analysis:
        rows = [
            [
                *(label(row[name]) for name in self.by),
                *(self._cells(row) if row["wordings"] > 1 else self._alone(row)),
            ]
            for row in self.table.head(SHOWN).to_dict("records")
        ]
        return Analysis(
            kind="Sensitivity",
            title=self.scores.title,
            head=[
                *(*self.by, "verdict", "worst", "best"),
                *("wordings", "score", "spread", "typical", "of variance"),
            ],
            rows=rows,
            texts=len(self.by) + 3,
            notes=self._notes(),
            total=len(self.table),
        )

    def _cells(self, row: Mapping[Any, Any]) -> list[str]:
        shares = self.scores.shares
        ends = [
            score_text(row[f"{end}_score"], share=shares)
            + (f" {label(row[end])}" if row[end] is not None else "")
            for end in ("worst", "best")
        ]
        high = min(row["sd_high"], 0.5) if shares else row["sd_high"]  # 0 and 1 at most
        return [
            *(str(row["verdict"]), *ends, f"{row['wordings']:,}", self._score(row)),
            points(row["spread"], share=shares),
            deviation_text(row["sd"], row["sd_low"], high, share=shares),
            share(row["share"]),
        ]

    def _alone(self, row: Mapping[Any, Any]) -> list[str]:
        return [ONE, "", "", "1", self._score(row), "", "", ""]

    def _score(self, row: Mapping[Any, Any]) -> str:
        ends = [row[name] for name in ("score", "ci_low", "ci_high")]
        return interval_text(*ends, share=self.scores.shares)

    def _notes(self) -> list[str]:
        several = self.table[self.table["wordings"] > 1]
        unit = " in points" * self.scores.shares
        lines = [
            "matters: its wordings surely differ; cannot tell: what they differ by may "
            "be chance",
            "spread: from the worst to the best, chance included; typical: how far a "
            f"wording is from the average of all{unit}, without what chance adds: a "
            "standard deviation, with its 95 % interval",
        ]
        within = several["spread"].max()
        if len(self.table) > 1 and np.isfinite(within):
            between = self.table["score"].max() - self.table["score"].min()
            shares = self.scores.shares
            lines.append(
                f"For comparison: from one {' and '.join(self.by)} to another the "
                f"score changes by up to {points(between, share=shares)}, from one "
                f"wording to another by up to {points(within, share=shares)}"
            )
        if several["wordings"].min() < 5:
            lines.append("With fewer than 5 wordings, typical is known roughly at best")
        return [*lines, *self.scores.notes]
