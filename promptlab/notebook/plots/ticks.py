"""Numbers of plots: on axes and beside them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from matplotlib.ticker import Formatter

from promptlab.formats import dollars, number, thousands


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


def money(amount: float) -> str:
    """US dollars to three digits."""
    return dollars(amount, digits=3)


def short(value: float) -> str:
    """A number, from ten thousand on in thousands, millions or billions."""
    return thousands(value) if abs(value) >= 10_000 else number(value)
