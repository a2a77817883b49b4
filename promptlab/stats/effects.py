"""Effects: what each level of each parameter changes, and which interact."""

from __future__ import annotations

from itertools import combinations, product
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from promptlab.stats.means import Mean, Numbers, by_cluster, mean


class Effect(NamedTuple):
    """A contrast of variants, for one level of a parameter or for one of two each."""

    parameters: tuple[int, ...]
    """Columns of `levels`: one for a main effect, two for an interaction."""
    levels: tuple[int, ...]
    """The level of each that is compared."""
    references: tuple[int, ...]
    """The level of each that it is compared with."""
    weights: Numbers
    """Of each variant; they add up to 0. All NaN if the grid has no variants for it."""


def effects_of(
    levels: ArrayLike, *, order: int = 2, references: ArrayLike | None = None
) -> list[Effect]:
    """The main effects of a grid, and its two-way interactions if `order` is 2.

    `levels` (variants × parameters) numbers each parameter's level in each variant,
    `references` is the level of each parameter that others are compared with, by
    default the lowest. A main effect is the mean difference between variants with a
    level and those that differ from them only in having the reference; an interaction
    is by how much such a difference differs between two levels of another parameter.
    Of an incomplete grid those combinations of the other parameters count that have all
    that is compared. Averages over the other parameters weigh their combinations alike.
    """
    levels = np.asarray(levels)
    chosen = levels.min(axis=0) if references is None else np.asarray(references)
    found = []
    for number in range(1, order + 1):
        for parameters in combinations(range(levels.shape[1]), number):
            found += _contrasts(levels, parameters, chosen[list(parameters)])
    return found


def estimate(
    scores: ArrayLike, effects: list[Effect], clusters: ArrayLike | None = None
) -> Mean:
    """Each effect: the mean over cases of the difference that it makes in each case.

    `scores` is variants × cases, means over repeats; a case counts for an effect if all
    variants that it compares have a score. The errors are those of `mean`; on a
    complete grid this is ordinary least squares with errors clustered by case (CR0)
    times √(N/(N−1)). Valid when `mean` is; adjust the p-values for how many there are.
    """
    scores = np.asarray(scores, dtype=float)
    differences = np.full((len(effects), scores.shape[1]), np.nan)
    for place, effect in enumerate(effects):
        if not np.isnan(effect.weights).any():
            used = effect.weights != 0
            differences[place] = effect.weights[used] @ scores[used]
    return mean(differences, clusters)


def _contrasts(
    levels: NDArray[Any], parameters: tuple[int, ...], references: NDArray[Any]
) -> list[Effect]:
    others = [n for n in range(levels.shape[1]) if n not in parameters]
    _, blocks = np.unique(levels[:, others], axis=0, return_inverse=True)
    blocks = blocks.ravel()
    columns = levels[:, list(parameters)]
    wanted = [
        [value for value in np.unique(column) if value != reference]
        for column, reference in zip(columns.T, references, strict=True)
    ]
    found = []
    for combination in product(*wanted):
        high, low = columns == np.array(combination), columns == references
        corners: dict[int, dict[tuple[bool, ...], list[int]]] = {}
        for variant in np.flatnonzero((high | low).all(axis=1)).tolist():
            block = corners.setdefault(blocks[variant], {})
            block.setdefault(tuple(high[variant].tolist()), []).append(variant)
        whole = [each for each in corners.values() if len(each) == 2 ** len(parameters)]
        weights = np.full(len(levels), 0.0 if whole else np.nan)
        for each in whole:
            for corner, variants in each.items():
                sign = (-1) ** corner.count(False)
                weights[variants] = sign / (len(variants) * len(whole))
        found.append(Effect(parameters, combination, tuple(references), weights))
    return found


class Fit(NamedTuple):
    """A least squares fit; see `least_squares`."""

    coefficients: Numbers
    errors: Numbers
    """The standard error of each; clustered if clusters were given."""
    freedom: int
    """Degrees of freedom of t: clusters less one, or rows less coefficients."""


def least_squares(
    values: ArrayLike,
    design: ArrayLike,
    clusters: ArrayLike | None = None,
    *,
    weights: ArrayLike | None = None,
) -> Fit:
    """Coefficients of a linear model, with errors that hold if rows come in clusters.

    `values` (rows) are explained by `design` (rows × columns).
    (X'WX)⁻¹X'Wy; of clusters the sandwich of their sums of scores, times
    G/(G−1)·(n−1)/(n−k), as Stata has it (Liang & Zeger 1986); else s²(X'WX)⁻¹. For
    effects where a grid has holes, on the rows that exist: clustered by case, valid
    from about 20 cases if effects add up. Of columns that make up each other, the
    smallest coefficients that fit. On a complete grid `estimate` says the same.
    """
    y, x = np.asarray(values, dtype=float), np.asarray(design, dtype=float)
    w = np.ones(len(y)) if weights is None else np.asarray(weights, dtype=float)
    bread = np.linalg.pinv(x.T @ (x * w[:, None]), hermitian=True)
    coefficients = bread @ (x.T @ (w * y))
    away = w * (y - x @ coefficients)
    rank = int(np.linalg.matrix_rank(x))
    spare = max(len(y) - rank, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        if clusters is None:
            covariance = bread * (away @ (y - x @ coefficients)) / np.float64(spare)
            freedom = spare
        else:
            sums = by_cluster((x * away[:, None]).T, clusters)
            groups = sums.shape[1]
            correction = np.float64(groups) / (groups - 1) * (len(y) - 1) / spare
            covariance = bread @ (sums @ sums.T) @ bread * correction
            freedom = groups - 1
        errors = np.sqrt(np.diag(covariance))
    return Fit(coefficients, errors, freedom)
