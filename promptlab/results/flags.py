"""Flags: what to know of answers beside their text: cut short, withheld, refused or
empty, or prompt cache hits. They take any table with the columns of `Results.table`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from promptlab.results.schema import Schema
from promptlab.spec.response import is_truncated, is_withheld

VISIBLE = "[!-~]"
"""Any of these characters makes a text that is not blank."""


def truncated(table: pd.DataFrame) -> pd.Series[bool]:
    """Which answers were cut short by the limit on their tokens."""
    return _ended(table, is_truncated)


def withheld(table: pd.DataFrame) -> pd.Series[bool]:
    """Which answers a content filter withheld, in part or whole."""
    return _ended(table, is_withheld)


def refused(table: pd.DataFrame) -> pd.Series[bool]:
    """Which answers are, or come with, a refusal that the model marked as one."""
    ended = _ended(table, lambda reason: reason == "refusal")
    column = Schema.of(table).reply_column("refusal")
    return ended if column is None else ended | table[column].notna()


def empty(table: pd.DataFrame) -> pd.Series[bool]:
    """Which answers have no text, nor anything in its place."""
    outputs = table["output"]
    found = np.zeros(len(outputs), dtype=bool)
    unsure = np.arange(len(outputs))
    if isinstance(outputs.dtype, pd.StringDtype):  # most are settled without a copy
        unsure = np.flatnonzero(~outputs.str.contains(VISIBLE, na=True))
    found[unsure] = [
        isinstance(output, str) and not output.strip()
        for output in outputs.iloc[unsure].tolist()
    ]
    return pd.Series(found, outputs.index, dtype=bool, name=outputs.name)


FLAGS: dict[str, Callable[[pd.DataFrame], pd.Series[bool]]] = {
    "truncated": truncated,
    "withheld": withheld,
    "refused": refused,
    "empty": empty,
}
"""By the name of the column that counts them."""


PROMPT_CACHE_HIT = 0.5
"""The share of a prompt from which on a read from the provider's cache counts as a
hit: the answer is faster."""


def prompt_cache_hit(
    input_tokens: pd.Series[Any], read: pd.Series[Any]
) -> pd.Series[bool]:
    """Which answers read at least half of their input tokens from the provider's own
    cache; false where that is unknown."""
    total, cached = input_tokens.astype("float64"), read.astype("float64")
    return (total > 0) & (cached >= PROMPT_CACHE_HIT * total)


def mixed(hit: pd.Series[bool]) -> str:
    """A note that some answers are prompt cache hits and others not; empty if all or
    none are."""
    fast, answers = int(hit.sum()), len(hit)
    if not 0 < fast < answers:
        return ""
    return (
        f"{fast:,} of {answers:,} read at least half of the prompt from the provider's "
        "cache, which is faster"
    )


def _ended(table: pd.DataFrame, so: Callable[[str], bool]) -> pd.Series[bool]:
    """Which answers ended for such a reason."""
    if "finish_reason" not in table:
        return table["output"].isin([])  # of none
    reasons = table["finish_reason"]
    found = [reason for reason in reasons.dropna().unique() if so(str(reason))]
    return reasons.isin(found)
