"""Effects: what each value of each parameter changes, and which interact."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from promptlab.analysis.leaderboard import ALPHA, BETTER, CANNOT_TELL, WORSE
from promptlab.analysis.scores import (
    Errors,
    Scores,
    matching,
    score_interval,
    scores_of,
)
from promptlab.errors import SpecError
from promptlab.formats import interval_text, label, p_text
from promptlab.render.analysis import SHOWN, Analysis, Shown
from promptlab.results.results import Results
from promptlab.stats.effects import Effect, effects_of, estimate
from promptlab.stats.means import Mean, case_means, mean
from promptlab.stats.multiple import METHODS, adjust

DEPENDS = "depends"
"""The verdict of an interaction that is surely one."""


def effects(
    results: Results | pd.DataFrame,
    score: str | None = None,
    by: str | Sequence[str] | None = None,
    *,
    baseline: Any = None,
    interactions: bool = True,
    cluster: str | None = None,
    correct: str = "holm",
    errors: Errors = "zero",
    lower_is_better: bool | None = None,
) -> Effects:
    """What each value of each parameter changes in a score, on average over the others.

    A main effect is the mean difference between variants with a value and those that
    differ from them only in having the baseline's; an interaction is by how much that
    difference differs between two values of another parameter. Both are taken within
    cases, so that hard and easy ones cancel, with the cluster-robust error of their
    mean over cases and Student's t (`promptlab.stats.effects`): valid from about 30
    cases, or 20 clusters. Of a grid with holes, the combinations count that can be
    paired.

    Args:
        results: results, or any table with their columns and one of scores.
        score: the column of the score; may be left out if there is one.
        by: the parameters, or any columns; all parameters that vary unless given.
        baseline: the values that others are compared with: one, or `{"prompt": "plain",
            "model": "a"}`; else the first of each, by number or alphabet.
        interactions: whether pairs of parameters are looked at too.
        cluster, errors, lower_is_better: as of `leaderboard`.
        correct: how p-values are adjusted for their number: "holm", "fdr_bh", "fdr_by",
            "bonferroni" or "none".

    Raises:
        SpecError: if a column is missing, a score is not numeric, a case is in two
            clusters, the baseline is no value, or `correct` is no method.
    """
    if correct not in METHODS:
        raise SpecError(
            f"unknown correction {correct!r}; valid names: {', '.join(METHODS)}"
        )
    scores = scores_of(
        *(results, score, by),
        cluster=cluster,
        errors=errors,
        lower_is_better=lower_is_better,
    )
    levels, _ = scores.levels
    references = levels.min(axis=0)
    for column, level in (
        {} if baseline is None else matching(scores, baseline)
    ).items():
        references[column] = level
    found = effects_of(levels, order=1 + interactions, references=references)
    return Effects(
        scores=scores,
        effects=tuple(found),
        estimate=estimate(scores.means, found, scores.clusters),
        correct=correct,
    )


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Effects(Shown):
    """Effects of parameters: `.table` is a DataFrame; shown as a card or text."""

    scores: Scores
    effects: tuple[Effect, ...]
    estimate: Mean
    correct: str

    @cached_property
    def table(self) -> pd.DataFrame:
        """A row for each effect, main effects first.

        `term` (a parameter, or two with × between), `level` and `reference` (what is
        compared with what), `effect` with `ci_low` and `ci_high` (95 %), `n` (cases),
        `p_adjusted` (two-sided), and `verdict`: better, worse or cannot tell of a main
        effect, depends or cannot tell of an interaction.
        """
        reach = np.array([2.0 ** (len(one.parameters) - 1) for one in self.effects])
        low, high = self.scores.ends(*self.estimate.interval()[1:], reach)
        p = np.where(self.estimate.count > 0, self.estimate.p_value(), np.nan)
        adjusted = adjust(p, self.correct)
        return pd.DataFrame(
            {
                "term": [self._term(one) for one in self.effects],
                "level": [self._level(one, one.levels) for one in self.effects],
                "reference": [self._level(one, one.references) for one in self.effects],
                "effect": self.estimate.value,
                "ci_low": low,
                "ci_high": high,
                "n": self.estimate.count,
                "p_adjusted": adjusted,
                "verdict": [
                    _verdict(one, value * self.scores.sign, p_value <= ALPHA)
                    for one, value, p_value in zip(
                        self.effects, self.estimate.value, adjusted, strict=True
                    )
                ],
            }
        )

    @cached_property
    def levels(self) -> pd.DataFrame:
        """The score of each value of each parameter, averaged over the others:
        `parameter`, `level`, `score`, `ci_low`, `ci_high` (95 %), `n` (cases)."""
        codes, values = self.scores.levels
        rows = []
        for name, column, of in zip(self.scores.by, codes.T, values, strict=True):
            for number, value in enumerate(of):
                cases = case_means(self.scores.means[column == number].T)
                found = score_interval(
                    cases[None], self.scores.clusters, shares=self.scores.shares
                )
                ends = (float(end[0]) for end in found)
                rows.append((name, label(value), *ends, mean(cases).count))
        names = ["parameter", "level", "score", "ci_low", "ci_high", "n"]
        return pd.DataFrame(rows, columns=names)

    def _shown(self) -> Analysis:
        shares = self.scores.shares
        rows = [
            [
                str(row["term"]),
                f"{row['level']} vs {row['reference']}",
                str(row["verdict"]),
                interval_text(
                    *(row["effect"], row["ci_low"], row["ci_high"]),
                    share=shares,
                    signed=True,
                ),
                p_text(row["p_adjusted"]),
            ]
            for row in self.table.head(SHOWN).to_dict("records")
        ]
        return Analysis(
            kind="Effects",
            title=self.scores.title,
            head=[
                "parameter",
                "value",
                "verdict",
                "points" if shares else "effect",
                "p",
            ],
            rows=rows,
            texts=3,
            notes=self._notes(),
            total=len(self.table),
        )

    def _notes(self) -> list[str]:
        lines = []
        if not self.effects:
            lines.append(
                f"Nothing to compare: every trial has the same "
                f"{' and '.join(self.scores.by)}; effects are of parameters with two "
                "values or more"
            )
        if self.correct != "none" and len(self.effects) > 1:
            lines.append(f"p is corrected for {len(self.effects):,} effects")
        if any(len(one.parameters) > 1 for one in self.effects):
            lines.append(
                "depends: what one parameter changes is different with the other; then "
                "look at both together"
            )
        _, values = self.scores.levels
        whole = int(np.prod([len(of) for of in values]))
        if len(self.scores) < whole:
            lines.append(
                f"{len(self.scores):,} of {whole:,} combinations were asked: effects "
                "are averaged over those that can be paired"
            )
        return [*lines, *self.scores.notes]

    def _term(self, effect: Effect) -> str:
        return " × ".join(self.scores.by[place] for place in effect.parameters)

    def _level(self, effect: Effect, levels: Sequence[int]) -> str:
        _, values = self.scores.levels
        return ", ".join(
            label(values[place][level])
            for place, level in zip(effect.parameters, levels, strict=True)
        )


def _verdict(effect: Effect, value: float, sure: bool) -> str:
    if not sure:
        return CANNOT_TELL
    if len(effect.parameters) > 1:
        return DEPENDS
    return BETTER if value > 0 else WORSE
