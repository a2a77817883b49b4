"""Rankings: which variant wins, from votes of people and judges on pairs."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from promptlab.analysis.leaderboard import references
from promptlab.analysis.ratings import raters_agree
from promptlab.analysis.scores import scores_of, table_of
from promptlab.analysis.votes import JOINT, SKIP, is_votes
from promptlab.errors import SpecError
from promptlab.formats import counted, interval_text, label, plain_text
from promptlab.render.analysis import SHOWN, Analysis, Shown
from promptlab.results.results import Results
from promptlab.results.table import plain_values
from promptlab.stats.intervals import Interval
from promptlab.stats.ranking import Ranking as Fit
from promptlab.stats.ranking import bradley_terry

FEW = 20
"""From so many cases on, the intervals are as they should be."""


@dataclass(frozen=True, slots=True)
class Contest:
    """One vote, of a person or of a judge."""

    first: str
    """The variant that was shown first, or on the left."""
    second: str
    share: float
    """1 if the first won, 0 if it lost, ½ for a tie."""
    case: str


def ranking(
    results: Results | pd.DataFrame,
    score: str | None = None,
    by: str | Sequence[str] | None = None,
    *,
    votes: pd.DataFrame | None = None,
    baseline: Any = None,
) -> Ranking:
    """Ranks variants by votes on pairs of their outputs: of people, judges, or both.

    By Bradley and Terry, with a term for the position (`promptlab.stats.ranking`): how
    likely each wins against the others, with 95 % intervals that hold if votes on one
    case are alike, from about 20 cases. A tie is half a win for each. Valid if votes
    depend on how good the outputs are, and on their position, only.

    Args:
        results: votes, as `pl.votes()` gives them; or results that `scorers.pairwise`
            has scored, or a table with their columns.
        score: the column of `scorers.pairwise`, where results are given.
        by: the columns whose values make a variant; default: those that votes compare
            by, else all parameters that vary.
        votes: votes of people to take together with the judge's.
        baseline: the baseline of `scorers.pairwise`, as it was given there.

    Raises:
        SpecError: if there is no vote, a column is missing, or votes compare by
            different columns.

    Example:
        >>> import pandas as pd
        >>> votes = pd.DataFrame({
        ...     "by": "prompt", "case": list("abcdefgh"), "repeat": 0, "rater": "Ana",
        ...     "left": ["plain", "steps"] * 4, "right": ["steps", "plain"] * 4,
        ...     "choice": ["steps"] * 5 + ["plain", "steps", "tie"],
        ... })
        >>> ranking(votes).table[["variant", "won", "lost", "tied"]]
          variant  won  lost  tied
        0   steps    6     1     1
        1   plain    1     6     1
    """
    if isinstance(results, pd.DataFrame) and is_votes(results):
        if votes is not None:
            raise SpecError("votes were given twice: give results first, then votes=")
        results, votes = pd.DataFrame(), results
    names = None if by is None else [by] if isinstance(by, str) else list(by)
    contests, notes = [], []
    if votes is not None:
        votes, names = _of_one(votes, names, _experiment(results))
        contests += _voted(votes)
        notes += _on_votes(votes)
    if isinstance(results, Results) or len(results.columns):
        judged, names = _judged(results, score, names, baseline)
        contests += judged
        notes.append(f"{counted(len(judged), 'verdict')} of {score}")
    if not contests:
        raise SpecError(
            "there is no vote to rank by; pl.rate(results, 'prompt') shows pairs to "
            "vote on"
        )
    return Ranking(by=tuple(names or ()), contests=tuple(contests), sources=notes)


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Ranking(Shown):
    """Variants ranked by votes: `.table` is a DataFrame; shown as a card or text."""

    by: tuple[str, ...]
    """The columns whose values make a variant."""
    contests: tuple[Contest, ...]
    sources: Sequence[str]
    """Where the votes are from, in words."""

    @cached_property
    def variants(self) -> list[str]:
        """What is ranked."""
        return sorted({name for c in self.contests for name in (c.first, c.second)})

    @cached_property
    def table(self) -> pd.DataFrame:
        """A row for each variant, the best first: `variant`; `win_chance`, the mean of
        its chances to win against each other one, with `low` and `high` (95 %);
        `strength`, its ability in log odds, of which the mean is 0; `won`, `lost` and
        `tied`. NaN where a variant never won, or never lost."""
        chances = self._chances
        table = pd.DataFrame(
            {
                "variant": self.variants,
                "win_chance": chances.value,
                "low": chances.low,
                "high": chances.high,
                "strength": np.nan if self._fit is None else self._fit.abilities,
                "won": self._wins.sum(axis=1),
                "lost": self._wins.sum(axis=0),
                "tied": self._ties.sum(axis=1),
            }
        )
        met = table["won"] + table["lost"] + table["tied"]
        tallied = (table["won"] - table["lost"]) / met
        order = np.argsort(-table["win_chance"].fillna(tallied), kind="stable")
        return table.iloc[order].reset_index(drop=True)

    @cached_property
    def pairs(self) -> pd.DataFrame:
        """Who beats whom: a row for each two variants that met, `variant` and `other`,
        how often the first `won`, `lost` and `tied`, and its `win_chance`."""
        rows = []
        for i, j in itertools.combinations(range(len(self.variants)), 2):
            met = self._wins[i, j], self._wins[j, i], self._ties[i, j]
            if any(met):
                chance = np.nan
                if self._fit is not None:
                    apart = self._fit.abilities[i] - self._fit.abilities[j]
                    chance = float(1 / (1 + np.exp(-apart)))
                rows.append((self.variants[i], self.variants[j], *met, chance))
        columns = ("variant", "other", "won", "lost", "tied", "win_chance")
        return pd.DataFrame(rows, columns=list(columns))

    @property
    def position(self) -> Interval:
        """How likely what is shown first wins against an equal, with its 95 % interval;
        NaN if no two variants were shown in both orders."""
        if self._fit is None or not self._both_orders:
            return Interval(np.nan, np.nan, np.nan)
        middle, half = self._fit.position, 1.959964 * self._fit.position_error
        return Interval(
            *(
                float(1 / (1 + np.exp(-x)))
                for x in (middle, middle - half, middle + half)
            )
        )

    @cached_property
    def _codes(self) -> NDArray[np.int64]:
        """The numbers of the variants shown first and second."""
        place = {name: n for n, name in enumerate(self.variants)}
        return np.array([(place[c.first], place[c.second]) for c in self.contests]).T

    @cached_property
    def _wins(self) -> NDArray[np.int64]:
        """How often each beat each."""
        return self._tally(1.0) + self._tally(0.0).T

    @cached_property
    def _ties(self) -> NDArray[np.int64]:
        ties = self._tally(0.5)
        return ties + ties.T

    def _tally(self, share: float) -> NDArray[np.int64]:
        """How often the first of each two got this share."""
        found = np.zeros((len(self.variants),) * 2, dtype=np.int64)
        of = np.array([contest.share == share for contest in self.contests])
        np.add.at(found, tuple(self._codes[:, of]), 1)
        return found

    @property
    def _both_orders(self) -> bool:
        shown = {(c.first, c.second) for c in self.contests}
        return any((second, first) in shown for first, second in shown)

    @cached_property
    def _cases(self) -> NDArray[np.int64]:
        return pd.factorize(np.array([c.case for c in self.contests], object))[0]

    @cached_property
    def _fit(self) -> Fit | None:
        """None if there is no finite estimate."""
        shares = np.array([contest.share for contest in self.contests])
        clusters = self._cases if len(np.unique(self._cases)) > 1 else None
        first, second = self._codes
        try:
            return bradley_terry(
                first,
                second,
                shares,
                1 - shares,
                position=self._both_orders,
                clusters=clusters,
            )
        except ValueError:
            return None

    @cached_property
    def _chances(self) -> Interval:
        if self._fit is None:
            return Interval(np.nan, np.nan, np.nan)
        return self._fit.chances()

    def _shown(self) -> Analysis:
        rows = [
            [
                row["variant"],
                interval_text(row["win_chance"], row["low"], row["high"]),
                *(f"{row[name]:,}" for name in ("won", "lost", "tied")),
            ]
            for row in self.table.head(SHOWN).to_dict("records")
        ]
        return Analysis(
            kind="Ranking",
            title=f"{counted(len(self.variants), 'variant')} by "
            f"{counted(len(self.contests), 'vote')}",
            head=[JOINT.join(self.by) or "variant", "wins", "won", "lost", "tied"],
            rows=rows,
            texts=1,
            notes=self.notes,
            total=len(self.table),
        )

    @property
    def notes(self) -> list[str]:
        """What to know of it, in sentences."""
        lines = [f"Votes: {', '.join(self.sources)}"] if self.sources else []
        if self._fit is None:
            never = [
                f"{row['variant']} never {word}"
                for row in self.table.to_dict("records")
                for word, name in (("lost", "lost"), ("won", "won"))
                if row[name] + row["tied"] == 0
            ]
            why = "; ".join(never) or "some variants never met the others"
            return [*lines, f"No chances yet, more votes are needed: {why}"]
        lines.append("wins: the chance to win against the others, on average")
        if (first := self.position).value == first.value:
            lines.append(
                f"What is shown first wins {interval_text(*first)} against an equal"
            )
        if (cases := len(np.unique(self._cases))) < FEW:
            lines.append(
                f"Few cases ({cases:,}): the intervals are rough below {FEW} of them"
            )
        return lines


# Votes of people.


def _experiment(results: Results | pd.DataFrame) -> str:
    return results.experiment.name if isinstance(results, Results) else ""


def _of_one(
    votes: pd.DataFrame, names: list[str] | None, experiment: str
) -> tuple[pd.DataFrame, list[str] | None]:
    """The votes of one comparison, and what it compares by."""
    if not isinstance(votes, pd.DataFrame) or not is_votes(votes):
        raise SpecError("votes: expected a table of votes, as pl.votes() gives it")
    if "experiment" in votes and (votes["experiment"] == experiment).any():
        votes = votes[votes["experiment"] == experiment]
    if names is not None:
        votes = votes[votes["by"] == JOINT.join(names)]
    found = list(dict.fromkeys(votes["by"].tolist()))
    if len(found) > 1:
        raise SpecError(
            f"the votes compare by {' and by '.join(map(repr, found))}: give by="
        )
    if "experiment" in votes and votes["experiment"].nunique() > 1:
        several = ", ".join(map(repr, votes["experiment"].unique()[:4]))
        raise SpecError(
            f"the votes are of several experiments, {several}: take those of one, as "
            "pl.votes('triage')"
        )
    return votes, found[0].split(JOINT) if found else names


def _voted(votes: pd.DataFrame) -> list[Contest]:
    return [
        Contest(
            left := label(vote["left"]),
            right := label(vote["right"]),
            {left: 1.0, right: 0.0}.get(label(vote["choice"]), 0.5),
            plain_text(vote["case"]),
        )
        for vote in votes.to_dict("records")
        if vote["choice"] != SKIP
    ]


def _on_votes(votes: pd.DataFrame) -> list[str]:
    """How many votes by how many people, and how far these agree."""
    said = votes[votes["choice"] != SKIP]
    raters = counted(said["rater"].nunique(), "person").replace("persons", "people")
    lines = [f"{len(said):,} by {raters}"]
    if skipped := len(votes) - len(said):
        lines.append(f"{skipped:,} could not say")
    pairs: dict[Any, dict[str, Any]] = {}
    for vote in said.to_dict("records"):
        ordered = sorted((str(vote["left"]), str(vote["right"])))
        key = vote.get("pair", (plain_text(vote["case"]), vote["repeat"], *ordered))
        better = {ordered[0]: 1.0, ordered[1]: 0.0}.get(str(vote["choice"]), 0.5)
        pairs.setdefault(key, {})[str(vote["rater"])] = better
    if agree := raters_agree(list(pairs.values())):
        lines.append(agree)
    return lines


# Verdicts of judges.


def _judged(
    results: Results | pd.DataFrame,
    score: str | None,
    names: list[str] | None,
    baseline: Any,
) -> tuple[list[Contest], list[str]]:
    """The verdicts of a pairwise judge, each order a contest of its own."""
    table = table_of(results)
    if score is None or baseline is None:
        raise SpecError(
            "expected the score of scorers.pairwise and its baseline, such as "
            "ranking(results, 'pairwise', baseline='plain'); or votes, as pl.votes() "
            "gives them"
        )
    for name in (f"{score}_first", f"{score}_second"):
        if name not in table:
            raise SpecError(
                f"the table has no column {name!r}, as scorers.pairwise gives it"
            )
    variants = scores_of(table, f"{score}_first", names)
    targets = references(variants, baseline)
    numbers, _, _ = variants.repeats
    cases = plain_values(table["case"])
    orders = [plain_values(table[f"{score}_{end}"]) for end in ("first", "second")]
    contests = []
    for number, place in zip(numbers.tolist(), variants.rows.tolist(), strict=True):
        if (target := int(targets[number])) in (-1, number):
            continue
        mine, theirs = variants.labels[number], variants.labels[target]
        case = plain_text(cases[place])
        one, other = (order[place] for order in orders)
        if one is not None:
            contests.append(Contest(mine, theirs, float(one), case))
        if other is not None:
            contests.append(Contest(theirs, mine, 1 - float(other), case))
    return contests, list(variants.by)
