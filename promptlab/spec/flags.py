"""Flags: what is to be known of answers beside their text: cut short, withheld, refused
or empty. They take any table with the columns of `Results.table`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from promptlab.spec.response import is_truncated, is_withheld

if TYPE_CHECKING:
    import pandas as pd


def truncated(table: pd.DataFrame) -> pd.Series[bool]:
    """Which answers were cut short by the limit on their tokens."""
    return _ended(table, is_truncated)


def withheld(table: pd.DataFrame) -> pd.Series[bool]:
    """Which answers a content filter withheld, in part or whole."""
    return _ended(table, is_withheld)


def refused(table: pd.DataFrame) -> pd.Series[bool]:
    """Which answers are, or come with, a refusal that the model marked as one."""
    said = _ended(table, lambda reason: reason == "refusal")
    column = reply_column(table.columns, "refusal")
    return said if column is None else said | table[column].notna()


def empty(table: pd.DataFrame) -> pd.Series[bool]:
    """Which answers have no text, nor anything in its place."""
    outputs = table["output"].astype(object)
    return outputs.map(lambda output: isinstance(output, str) and not output.strip())


FLAGS: dict[str, Callable[[pd.DataFrame], pd.Series[bool]]] = {
    "truncated": truncated,
    "withheld": withheld,
    "refused": refused,
    "empty": empty,
}
"""By the name of the column that counts them."""


def reply_column(columns: Iterable[object], name: str) -> str | None:
    """Which of these columns has what replies say under a name of `REPLY_COLUMNS`: the
    one after `output`, as an input or a parameter may have the name too."""
    names = list(columns)
    for known in (name, f"reply_{name}"):
        if known in names and names.index(known) > names.index("output"):
            return known
    return None


def _ended(table: pd.DataFrame, so: Callable[[str], bool]) -> pd.Series[bool]:
    """Which answers ended for such a reason."""
    if "finish_reason" not in table:
        return table["output"].isin([])  # of none
    reasons = table["finish_reason"]
    found = [reason for reason in reasons.dropna().unique() if so(str(reason))]
    return reasons.isin(found)
