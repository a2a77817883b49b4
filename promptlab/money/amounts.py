"""Amounts: dollars and large counts, as people read them."""

from __future__ import annotations

import math


def dollars(amount: float) -> str:
    """An amount in US dollars with two digits that say something: `$0.0034`, `$12.30`,
    `$1,234`; `–` where it is unknown."""
    if amount != amount:
        return "–"
    if amount == 0 or amount >= 0.995:
        return f"${amount:,.0f}" if amount >= 1_000 else f"${amount:,.2f}"
    decimals = 1 - math.floor(math.log10(amount))
    return f"${amount:.{decimals}f}"


def thousands(count: float) -> str:
    """A count in words: `950`, `12.3k`, `4.5M`."""
    for size, unit in ((1_000_000, "M"), (1_000, "k")):
        if count >= size * 10:
            return f"{count / size:,.0f}{unit}"
        if count >= size:
            return f"{count / size:.1f}{unit}"
    return f"{count:.0f}"
