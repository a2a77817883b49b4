"""The leaderboard: every variant with its score, and how sure it is who is better."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from promptlab.analysis.scores import (
    Errors,
    Scores,
    matching,
    score_interval,
    scores_of,
)
from promptlab.errors import SpecError
from promptlab.formats import (
    counted,
    dollars,
    interval_text,
    label,
    p_text,
    points,
    score_text,
    seconds,
)
from promptlab.render.analysis import SHOWN, Analysis, Shown
from promptlab.results.results import Results
from promptlab.stats.best import corrected_winner, could_be_best, pooled_means
from promptlab.stats.means import mean
from promptlab.stats.multiple import METHODS, adjust
from promptlab.stats.paired import Comparison, compare
from promptlab.stats.power import Variances, cases_needed, detectable

ALPHA = 0.05
"""A difference is called one if its adjusted p is at most this."""

BEST, BETTER, WORSE, CANNOT_TELL, EQUAL, BASELINE, BEHIND = (
    *("could be best", "better", "worse", "cannot tell", "as good"),
    *("baseline", "behind the best"),
)
"""The verdicts."""


def leaderboard(
    results: Results | pd.DataFrame,
    score: str | None = None,
    by: str | Sequence[str] | None = None,
    *,
    baseline: Any = None,
    cluster: str | None = None,
    correct: str = "holm",
    equivalence: float | None = None,
    errors: Errors = "zero",
    lower_is_better: bool | None = None,
    pool: bool = False,
    resamples: int = 2_000,
    seed: int = 0,
) -> Leaderboard:
    """Ranks the variants of a grid by a score, and says how sure the ranking is.

    The unit is the case, or its cluster: repeats of a case are averaged first and are
    no new data. Scores of 0 and 1 get Wilson's interval if all repeats of each case
    agree and there are no clusters, others the mean's, by Student's t. Differences to
    the baseline are of the same cases (`promptlab.stats.paired`). The formulas and
    when they are valid are in `promptlab.stats`.

    Args:
        results: results, or any table with their columns and one of scores.
        score: the column of the score; may be left out if there is one.
        by: the columns to compare, any; all parameters that vary unless given. What
            differs in other columns is averaged.
        baseline: what others are compared with: the value of one of the columns (each
            variant is then compared with the one that has this value and is otherwise
            the same), a value for each column, or `{"prompt": "plain"}`. Without it
            there are no p-values, but the variants that could be best.
        cluster: a column with the same value for cases that are alike, such as
            questions on one document: then the cluster is the unit.
        correct: how p-values are adjusted for their number: "holm", "fdr_bh", "fdr_by",
            "bonferroni" or "none".
        equivalence: a difference, such as 0.02, that would not matter: a variant whose
            90 % interval lies within ± this is called "as good".
        errors: a failed trial scores 0, or with "drop" has no score; nor has it one
            where lower is better, since 0 would be the best.
        lower_is_better: whether less is better; unless given, as the scorer says, and
            so of `latency_s`, `cost_usd` and numbers of tokens.
        pool: whether the winner is chosen, and its score corrected, by what variants
            with the same values have in common (empirical Bayes).
        resamples, seed: of the bootstrap behind "could be best" and the corrected
            winner; equal data and seeds give equal bytes.

    Raises:
        SpecError: if a column is missing, a score is not numeric, a case is in two
            clusters, the baseline is no variant, or `correct` is no method.
    """
    if correct not in METHODS:
        raise SpecError(
            f"unknown correction {correct!r}; valid names: {', '.join(METHODS)}"
        )
    if equivalence is not None and not equivalence > 0:
        raise SpecError(f"expected equivalence > 0, got {equivalence!r}")
    scores = scores_of(
        *(results, score, by),
        cluster=cluster,
        errors=errors,
        lower_is_better=lower_is_better,
    )
    options = {"resamples": resamples, "seed": seed}
    possible = could_be_best(scores.good, scores.clusters, **options)
    reference = None if baseline is None else references(scores, baseline)
    return Leaderboard(
        scores=scores,
        baseline=reference,
        could_be_best=possible,
        winner=_winner(scores, pool=pool, **options),
        correct=correct,
        equivalence=equivalence,
        seed=seed,
    )


@dataclass(frozen=True, kw_only=True)
class Winner:
    """The variant with the highest score, and its score corrected for having won."""

    label: str
    score: float
    corrected: float
    """What it may be expected to score on other cases like these."""
    low: float
    high: float
    """The 95 % interval of `corrected`; NaN if pooled."""
    among: int
    """How many variants it was chosen from."""


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Leaderboard(Shown):
    """Variants ranked by a score: `.table` is a DataFrame; shown as a card or text."""

    scores: Scores
    baseline: NDArray[np.int64] | None
    """For each variant the one it is compared with, or itself; -1 without one."""
    could_be_best: NDArray[np.bool_]
    winner: Winner
    correct: str
    equivalence: float | None
    seed: int

    @cached_property
    def table(self) -> pd.DataFrame:
        """A row for each variant, the best first.

        The columns of `by`, then `score`, `ci_low` and `ci_high` (95 %), `n` (cases
        with a score), `missing` (trials without a verdict), `delta` with `delta_low`
        and `delta_high` (95 %, of that comparison alone), `p_adjusted` (two-sided),
        `verdict`, `wins`, `losses` and `ties` (cases), `could_be_best`, `cost_usd` (the
        mean of a trial) and `latency_s` (the median).
        """
        return self._all.drop(columns="p").iloc[self.order].reset_index(drop=True)

    @cached_property
    def raw_p(self) -> pd.Series[float]:
        """p before it was adjusted, in the order of `table`: of one comparison that was
        fixed beforehand. Not shown, as the least of several is too low."""
        return self._all["p"].iloc[self.order].reset_index(drop=True)

    @cached_property
    def bounds(self) -> pd.DataFrame:
        """The least and the highest score of each variant that has missing verdicts, as
        if all of these were 0, or 1, or where lower is better the other way round:
        `score_worst` and `score_best`."""
        low, high = (
            mean(self.scores.filled(value)).value[self.order]
            for value in (0.0, 1.0)[:: self.scores.sign]
        )
        table = self.scores.index.iloc[self.order].reset_index(drop=True)
        table = table.assign(score_worst=low, score_best=high)
        return table[self.table["missing"] > 0]

    @property
    def detectable(self) -> float:
        """The least difference that this many cases show 4 times out of 5, in the units
        of the score; NaN with fewer than 2 variants."""
        return float(detectable(self._units, self._variances, comparisons=self._family))

    @property
    def compares(self) -> bool:
        """Whether variants are compared with a baseline."""
        return self.baseline is not None

    @property
    def not_better(self) -> str:
        """Why no variant is called better than its baseline, by the one that comes
        nearest, in a sentence; empty if one is.

        Raises:
            SpecError: if there is no baseline.
        """
        if not self.compares:
            raise SpecError("nothing is compared with a baseline: give baseline=")
        if (self.table["verdict"] == BETTER).any():
            return ""
        gains = self.table["delta"] * self.scores.sign
        if gains.isna().all():
            return f"nothing could be compared with the baseline by {self.scores.name}"
        place = int(gains.argmax())
        row, variant = self.table.iloc[place], self.order[place]
        assert self.baseline is not None
        base = self.scores.labels[self.baseline[variant]]
        worse = row["verdict"] == WORSE
        ends = (row["delta"], row["delta_low"], row["delta_high"])
        delta = interval_text(*ends, share=self.scores.shares, signed=True)
        line = (
            f"{self._labels[place]} {'is worse than' if worse else 'against'} {base} "
            f"by {self.scores.name}: {delta}{' points' * self.scores.shares}"
        )
        if worse:
            return line
        return "; ".join([f"{CANNOT_TELL}: {line}", *self._on_cases()])

    def cases_needed(self, mde: float) -> float:
        """How many cases it takes to see a difference of `mde` 4 times out of 5, with
        as many repeats, variants and comparisons as here (of clusters: so many).

        Raises:
            SpecError: if `mde` is not above 0.
        """
        if not mde > 0:
            raise SpecError(f"expected mde > 0, got {mde!r}")
        needed = cases_needed(mde, self._variances, comparisons=self._family)
        return float(np.ceil(needed))

    @cached_property
    def order(self) -> NDArray[np.int64]:
        """The variants in the order of the table."""
        means = np.nan_to_num(self._mean.value * self.scores.sign, nan=-np.inf)
        return np.argsort(-means, kind="stable")

    @cached_property
    def _mean(self) -> Any:
        return mean(self.scores.means, self.scores.clusters)

    @cached_property
    def _comparison(self) -> Comparison:
        """Each variant with its baseline, or without one with the best."""
        means = self.scores.means
        if self.baseline is None:
            base = np.broadcast_to(means[self.order[0]], means.shape)
        else:
            base = np.where(self._compared[:, None], means[self.baseline], np.nan)
        return compare(means, base, self.scores.clusters, seed=self.seed)

    @cached_property
    def _compared(self) -> NDArray[np.bool_]:
        """Which variants are compared with another."""
        places = np.arange(len(self.scores))
        if self.baseline is None:
            return np.asarray(places != self.order[0])
        return np.asarray((self.baseline >= 0) & (self.baseline != places))

    @property
    def _family(self) -> int:
        return max(1, int(self._compared.sum())) if self.correct != "none" else 1

    @property
    def _units(self) -> float:
        freedom = self._comparison.difference.freedom[self._compared]
        return float(np.median(freedom)) + 1 if len(freedom) else np.nan

    @property
    def _variances(self) -> Variances:
        """The typical variance of a difference of two variants on one unit."""
        found = self._comparison.difference
        squares = (found.error**2 * (found.freedom + 1))[self._compared]
        squares = squares[~np.isnan(squares)]
        return Variances(float(np.median(squares)) if len(squares) else np.nan)

    @cached_property
    def _all(self) -> pd.DataFrame:
        scores, found, compared = self.scores, self._comparison, self._compared
        interval = score_interval(scores.means, scores.clusters, shares=scores.shares)
        shown = compared & (self.baseline is not None)
        p = np.where(shown & (found.cases > 0), found.p, np.nan)
        adjusted = adjust(p, self.correct)

        def if_shown(numbers: Any) -> Any:
            return np.where(shown, numbers, np.nan)

        def counts(numbers: Any) -> Any:
            return pd.array(if_shown(numbers), dtype="Int64")

        delta_low, delta_high = scores.ends(found.low, found.high)
        wins, losses = (found.wins, found.losses)[:: scores.sign]

        return scores.index.assign(
            score=interval.value,
            ci_low=interval.low,
            ci_high=interval.high,
            n=self._mean.count,
            missing=scores.missing,
            delta=if_shown(found.delta),
            delta_low=if_shown(delta_low),
            delta_high=if_shown(delta_high),
            p=p,
            p_adjusted=adjusted,
            verdict=self._verdicts(adjusted),
            wins=counts(wins),
            losses=counts(losses),
            ties=counts(found.ties),
            could_be_best=self.could_be_best,
            cost_usd=mean(scores.costs).value,
            latency_s=scores.latencies,
        )

    def _verdicts(self, adjusted: NDArray[np.float64]) -> list[str]:
        if self.baseline is None:
            return [
                (BEST if possible else BEHIND) if cases else CANNOT_TELL
                for possible, cases in zip(
                    self.could_be_best, self._mean.count, strict=True
                )
            ]
        found = self._comparison
        verdicts = np.full(len(self.scores), CANNOT_TELL, dtype=object)
        if self.equivalence is not None:
            with np.errstate(invalid="ignore"):
                alike = found.difference.p_equivalent(self.equivalence) <= ALPHA
            verdicts[alike] = EQUAL
        sure = adjusted <= ALPHA
        better = found.delta * self.scores.sign
        verdicts[sure & (better > 0)] = BETTER
        verdicts[sure & (better < 0)] = WORSE
        verdicts[self.baseline == np.arange(len(self.scores))] = BASELINE
        return verdicts.tolist()

    @cached_property
    def notes(self) -> list[str]:
        """What to know of the ranking, in sentences."""
        lines = [*self._on_the_best(), *self._on_power()]
        if self.baseline is not None:
            lines.append(self._on_verdicts())
        return [*lines, *self._on_missing(), *self.scores.notes]

    @property
    def _labels(self) -> Sequence[str]:
        """What each variant is called, in the order of the table."""
        return [self.scores.labels[place] for place in self.order]

    def _score(self, value: float) -> str:
        return score_text(value, share=self.scores.shares)

    def _points(self, value: float) -> str:
        return points(value, share=self.scores.shares)

    def _shown(self) -> Analysis:
        shares, compared = self.scores.shares, self.baseline is not None
        head = [*self.scores.by, "verdict", "score"]
        head += ["delta", "p", "won", "lost", "tied"] * compared
        head += ["could be best"] * compared + ["cost", "latency"]
        rows = []
        for place, row in zip(self.order, self._records, strict=False):
            score = interval_text(
                row["score"], row["ci_low"], row["ci_high"], share=shares
            )
            cells = [*map(label, self.scores.values[place]), row["verdict"], score]
            if compared:
                cells += self._compared_cells(row)
            rows.append([*cells, dollars(row["cost_usd"]), seconds(row["latency_s"])])
        return Analysis(
            kind="Leaderboard",
            title=self.scores.title,
            head=head,
            rows=rows,
            texts=len(self.scores.by) + 1,
            notes=self.notes,
            total=len(self.table),
        )

    @property
    def _records(self) -> list[dict[str, Any]]:
        """The rows of the table that are shown."""
        rows = self.table.head(SHOWN).to_dict("records")
        return [{str(name): value for name, value in row.items()} for row in rows]

    def _compared_cells(self, row: Mapping[str, Any]) -> list[str]:
        """The difference to the baseline, p, wins, losses, ties, could be best."""
        possible = "yes" if row["could_be_best"] else "no"
        if pd.isna(row["delta"]):
            return ["", "", "", "", "", possible]
        ends = (row["delta"], row["delta_low"], row["delta_high"])
        delta = interval_text(*ends, share=self.scores.shares, signed=True)
        counts = [f"{row[name]:,}" for name in ("wins", "losses", "ties")]
        return [delta, p_text(row["p_adjusted"]), *counts, possible]

    def _on_the_best(self) -> list[str]:
        winner, number = self.winner, int(self.could_be_best.sum())
        among = counted(len(self.scores), "variant")
        if len(self.scores) < 2 or not number:
            return []
        if number == 1:
            line = f"{winner.label} is best of {among}"
        elif number == len(self.scores):
            every = f"All {among}" if number > 2 else "Both variants"
            line = f"{every} could be best; {winner.label} is in front"
        else:
            line = f"{number:,} of {among} could be best; {winner.label} is in front"
        if np.isnan(winner.corrected) or winner.corrected == winner.low == winner.high:
            return [line]
        expected = self._score(winner.corrected)
        if not np.isnan(winner.low):
            expected = interval_text(
                winner.corrected, winner.low, winner.high, share=self.scores.shares
            )
        return [
            f"{line}. Being chosen among {winner.among:,} flatters its "
            f"{self._score(winner.score)}: expect {expected} on other cases"
        ]

    def _on_power(self) -> list[str]:
        seen = self.detectable
        if not np.isfinite(seen) or seen <= 0:
            return []
        line = (
            f"This run could have seen a difference of {self._points(seen)} "
            "(4 times out of 5)"
        )
        return ["; ".join([line, *self._on_cases()])]

    def _on_cases(self) -> list[str]:
        """How many cases it takes, unless this run had as many."""
        seen = self.detectable
        if not self.scores.shares or not np.isfinite(seen) or seen <= 0.05:
            return []
        needed = self.cases_needed(0.05)
        unit = "case" if self.scores.clusters is None else "cluster"
        return [f"to see 5 points takes about {needed:,.0f} {unit}s"]

    def _on_missing(self) -> list[str]:
        if not self.scores.shares:
            number = int(self.scores.missing.sum())
            return [f"{counted(number, 'score')} missing and left out"] * (number > 0)
        rows = zip(
            self.bounds.index.tolist(), self.bounds.to_dict("records"), strict=True
        )
        numbers = self.table["missing"].tolist()
        return [
            f"{self._labels[place]}: {counted(numbers[place], 'verdict')} missing; its "
            f"score lies between {self._score(min(_ends(row)))} and "
            f"{self._score(max(_ends(row)))} whatever they would be"
            for place, row in list(rows)[:3]
        ]

    def _on_verdicts(self) -> str:
        number = int(self._compared.sum())
        if number < 2 or self.correct == "none":
            return (
                "better, worse: p is at most 0.05; cannot tell is not the same as equal"
            )
        return (
            f"better, worse: p is at most 0.05 after correction for {number:,} "
            "comparisons; cannot tell is not the same as equal. Intervals are of each "
            "comparison alone"
        )


def _ends(row: Mapping[Any, Any]) -> tuple[float, float]:
    return row["score_worst"], row["score_best"]


def references(scores: Scores, baseline: Any) -> NDArray[np.int64]:
    """The variant that each is compared with; -1 if the grid has none for it."""
    wanted = matching(scores, baseline)
    codes, _ = scores.levels
    target = codes.copy()
    for column, level in wanted.items():
        target[:, column] = level
    known = {tuple(row): place for place, row in enumerate(codes.tolist())}
    found = [known.get(tuple(row), -1) for row in target.tolist()]
    return np.array(found, dtype=np.int64)


def _winner(scores: Scores, *, pool: bool, resamples: int, seed: int) -> Winner:
    found = mean(scores.means, scores.clusters)
    among = int((found.count > 0).sum())
    if among == 0:
        none = float("nan")
        return Winner(
            label="–", score=none, corrected=none, low=none, high=none, among=0
        )
    low = high = float("nan")
    if pool:
        pooled = pooled_means(scores.good, scores.levels[0]).means
        place = int(np.nanargmax(pooled))
        corrected = float(pooled[place])
    else:
        place = int(np.nanargmax(found.value * scores.sign))
        corrected, low, high = corrected_winner(
            scores.good, scores.clusters, resamples=resamples, seed=seed
        )
    low, high = np.array([low, high])[:: scores.sign] * scores.sign
    return Winner(
        label=scores.labels[place],
        score=float(found.value[place]),
        corrected=corrected * scores.sign,
        low=float(low),
        high=float(high),
        among=among,
    )
