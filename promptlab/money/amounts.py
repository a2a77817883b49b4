"""Amounts: dollars and large counts, as people read them."""

from __future__ import annotations

import math


def dollars(amount: float, digits: int = 2) -> str:
    """An amount in US dollars with so many digits that say something, from a dollar on
    in cents: `$0.0034`, `$12.30`, `$1,234`; `–` where it is unknown."""
    if not math.isfinite(amount):
        return "–"
    sign, size = "−" if amount < 0 else "", abs(amount)
    if size == 0 or size >= 0.995:
        return f"{sign}${size:,.{0 if size >= 1_000 else 2}f}"
    decimals = digits - 1 - math.floor(math.log10(size))
    return f"{sign}${size:.{decimals}f}"


def thousands(count: float) -> str:
    """A count in words: `950`, `12.3k`, `4.5M`."""
    for size, unit in ((1_000_000, "M"), (1_000, "k")):
        if count >= size * 10:
            return f"{count / size:,.0f}{unit}"
        if count >= size:
            return f"{count / size:.1f}{unit}"
    return f"{count:.0f}"


def in_tokens(count: float) -> str:
    """A number of tokens in words: `12.3k tokens`."""
    return f"{thousands(count)} tokens"
