"""Rankings from votes: how often each would win against each, and for being first."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from promptlab.stats.intervals import Interval, normal
from promptlab.stats.means import Numbers, by_cluster


class Ranking(NamedTuple):
    """Abilities by Bradley and Terry, in log odds; see `bradley_terry`."""

    abilities: Numbers
    """λ of each competitor; their mean is 0."""
    covariance: Numbers
    """Of the abilities."""
    position: float
    """γ, the log odds that being shown first adds; 0 if left out of the model."""
    position_error: float
    """Its standard error; NaN if left out."""
    deviance: float
    freedom: int
    """Rows with a vote, less the parameters."""

    @property
    def shares(self) -> Numbers:
        """exp λ, adding up to 1: the odds of two are the ratio of their shares."""
        odds = np.exp(self.abilities - self.abilities.max())
        return np.asarray(odds / odds.sum())

    def interval(self, level: float = 0.95) -> Interval:
        """λ ± z·error of each: against the mean of all competitors."""
        half = normal(level) * np.sqrt(np.diag(self.covariance))
        return Interval(self.abilities, self.abilities - half, self.abilities + half)

    def chances(self, level: float = 0.95) -> Interval:
        """How likely each wins against the others, on average over these.

        The interval is by the delta method, in log odds.
        """
        others = len(self.abilities) - 1
        chance = 1 / (1 + np.exp(self.abilities - self.abilities[:, None]))
        np.fill_diagonal(chance, 0.0)
        value = chance.sum(axis=1) / others
        slopes = -chance * (1 - chance) / others
        np.fill_diagonal(slopes, -slopes.sum(axis=1))
        squares = np.einsum("ij,jk,ik->i", slopes, self.covariance, slopes)
        odds = np.log(value / (1 - value))
        half = normal(level) * np.sqrt(np.maximum(squares, 0.0)) / value / (1 - value)
        low, high = (1 / (1 + np.exp(-(odds + end))) for end in (-half, half))
        return Interval(value, low, high)

    def against(self, reference: int) -> tuple[Numbers, Numbers]:
        """λ of each minus that of one competitor, and the differences' errors."""
        own = np.diag(self.covariance)
        squares = own + own[reference] - 2 * self.covariance[reference]
        differences = self.abilities - self.abilities[reference]
        return differences, np.sqrt(np.maximum(squares, 0.0))


def bradley_terry(
    first: ArrayLike,
    second: ArrayLike,
    wins: ArrayLike,
    losses: ArrayLike,
    *,
    position: bool = True,
    clusters: ArrayLike | None = None,
) -> Ranking:
    """Abilities that explain votes: logit P(i wins, shown first) = λ_i − λ_j + γ.

    Each row is one vote or many: the numbers (from 0, without gaps) of the competitors
    shown first and second, and how often the first won and lost; a tie is half of each.
    Maximum likelihood by Newton's method (Bradley & Terry 1952; Agresti, "Categorical
    Data Analysis", 10.6). With `clusters`, a label for each row such as its rater or
    its case, the errors hold for votes that hang together: from about 20 clusters.

    Valid if votes depend on abilities and position only; that is, no two competitors
    have a special relation. The position tells nothing if all rows show the same order.

    Raises:
        ValueError: if a group of competitors never lost, or never won, against the
            others: then some abilities are infinite. Ask for more votes.
    """
    i, j = np.asarray(first, dtype=int), np.asarray(second, dtype=int)
    won, lost = np.asarray(wins, dtype=float), np.asarray(losses, dtype=float)
    count = int(max(i.max(initial=-1), j.max(initial=-1))) + 1
    _check_connected(i, j, won, lost, count)
    rows = np.arange(len(i))
    design = np.zeros((len(i), count + position))
    design[rows, i] += 1
    design[rows, j] -= 1
    if position:
        design[:, count] = 1
    total = won + lost
    parameters = np.zeros(design.shape[1])
    for _ in range(100):
        chance = 1 / (1 + np.exp(-design @ parameters))
        information = design.T @ (design * (total * chance * (1 - chance))[:, None])
        # Abilities count from their mean, so that the smallest step is the right one.
        inverse = np.linalg.pinv(information, rcond=1e-10, hermitian=True)
        step = inverse @ (design.T @ (won - total * chance))
        parameters += np.clip(step, -2, 2)
        if np.abs(step).max(initial=0.0) < 1e-10:
            break
    chance = 1 / (1 + np.exp(-design @ parameters))
    covariance = inverse
    if clusters is not None:
        sums = by_cluster((design * (won - total * chance)[:, None]).T, clusters)
        groups = sums.shape[1]
        covariance = inverse @ (sums @ sums.T) @ inverse
        covariance *= np.float64(groups) / max(groups - 1, 1)
    return Ranking(
        parameters[:count],
        covariance[:count, :count],
        float(parameters[count]) if position else 0.0,
        float(np.sqrt(covariance[count, count])) if position else float("nan"),
        _deviance(won, lost, total, chance),
        int((total > 0).sum()) - (count - 1) - position,
    )


def _deviance(won: Numbers, lost: Numbers, total: Numbers, chance: Numbers) -> float:
    from scipy.special import rel_entr

    expected = total * chance
    return float(2 * (rel_entr(won, expected) + rel_entr(lost, total - expected)).sum())


def _check_connected(
    i: NDArray[np.int_], j: NDArray[np.int_], won: Numbers, lost: Numbers, count: int
) -> None:
    """Whether everyone beat everyone by some chain, without which there is no maximum
    (Ford 1957)."""
    from scipy.sparse.csgraph import connected_components

    beat = np.zeros((count, count))
    np.add.at(beat, (i, j), won)
    np.add.at(beat, (j, i), lost)
    parts, labels = connected_components(beat, directed=True, connection="strong")
    if parts > 1:
        group = np.flatnonzero(labels == labels[0]).tolist()
        raise ValueError(
            f"competitors {group} never lost, or never won, against the others: "
            "their abilities have no finite estimate; more votes are needed"
        )
