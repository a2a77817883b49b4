"""Latency: whether answers can be compared by it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

SPED_UP = 0.5
"""The share of a prompt from which reading it from the provider's cache is thought to
have made the answer faster."""


def sped_up(input_tokens: pd.Series[Any], read: pd.Series[Any]) -> pd.Series[bool]:
    """Which answers read half of their prompt or more from the provider's own cache, by
    the tokens that they were asked with and those read of them; not where unknown."""
    asked, found = input_tokens.astype("float64"), read.astype("float64")
    return (asked > 0) & (found >= SPED_UP * asked)


def mixed(sped: pd.Series[bool]) -> str:
    """That some of the answers were sped up so and others not; empty if it was all of
    them, or none."""
    fast, answers = int(sped.sum()), len(sped)
    if not 0 < fast < answers:
        return ""
    return (
        f"{fast:,} of {answers:,} read half of the prompt or more from the provider's "
        "cache: faster"
    )
