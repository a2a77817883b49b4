"""Intervals: how far an estimate may be from what it stands for."""

from __future__ import annotations

import math

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
    half = students_t(count - 1, 0.95) * math.sqrt(variance)
    return mean - half, mean + half


def students_t(freedom: float, level: float) -> float:
    """How many standard errors to each side an interval of a level takes."""
    from scipy.special import stdtrit  # slow to import

    return float(stdtrit(freedom, (1 + level) / 2))
