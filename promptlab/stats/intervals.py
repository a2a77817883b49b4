"""Intervals: how far an estimate may be from what it stands for."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np


def mean_interval(values: np.ndarray, clusters: np.ndarray) -> tuple[float, float]:
    """The 95 % interval of a mean of values of which those of one cluster are alike.

    `clusters` numbers the cluster of each value, from 0 without a gap. From the sums
    of deviations by cluster (the cluster-robust variance of a mean, CR1) and Student's
    t; NaN where there is only one cluster.
    """
    count = int(clusters.max(initial=-1)) + 1
    if count < 2:
        return math.nan, math.nan
    mean = float(values.mean())
    sums = np.bincount(clusters, values - mean)
    variance = count / (count - 1) * float((sums**2).sum()) / len(values) ** 2
    half = students_t(count - 1) * math.sqrt(variance)
    return mean - half, mean + half


def students_t(freedom: int) -> float:
    """The 97.5 % quantile of Student's t, to three digits.

    For few degrees of freedom from the tables, then from Abramowitz and Stegun,
    formula 26.7.5.
    """
    tables = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447)
    if freedom <= len(tables):
        return tables[freedom - 1]
    z = NormalDist().inv_cdf(0.975)
    terms = (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
    )
    return math.fsum(term / freedom**power for power, term in enumerate(terms))
