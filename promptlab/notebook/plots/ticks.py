"""Ticks: the numbers on the axes of plots."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from matplotlib.ticker import Formatter


class Dollars(Formatter):
    """US dollars, with as many decimals as the ticks of an axis need to differ."""

    def format_ticks(self, values: Any) -> list[str]:
        """The strings of all ticks."""
        steps = np.abs(np.diff(values))
        smallest = min(steps[steps > 0], default=1.0)
        decimals = max(0, math.ceil(-math.log10(smallest) - 1e-9))
        if not np.allclose(np.round(values, decimals), values, rtol=1e-6, atol=0):
            decimals += 1  # steps of 2.5
        return [f"${value:,.{decimals}f}" if value else "$0" for value in values]

    def __call__(self, x: float, pos: int | None = None) -> str:
        """The string of one tick, to three digits, as on logarithmic axes."""
        return f"${np.format_float_positional(x, 3, fractional=False, trim='-')}"


def exact(value: float) -> str:
    """A number as it is: 57.5, 57, 1,200."""
    return f"{value:,.10g}" if math.isfinite(value) else "–"
