"""Flags: what to know of answers beside their text."""

from __future__ import annotations

import pandas as pd
import pytest

from promptlab.results.flags import empty
from promptlab.results.table import texts

ANSWERS = ["", " \n\t", "\u3000\u00a0", "\x1c", "a", "  !", "日本", "\u200b", None]
EMPTY = [True, True, True, True, False, False, False, False, False]


@pytest.mark.parametrize(
    "outputs",
    [texts(ANSWERS), ANSWERS, pd.array(ANSWERS, dtype="string[python]")],
    ids=["arrow", "objects", "string"],
)
def test_a_text_of_any_white_space_is_empty_and_a_missing_one_is_not(
    outputs: object,
) -> None:
    index = range(5, 5 + len(ANSWERS))
    table = pd.DataFrame({"output": pd.Series(outputs, index=index)})

    found = empty(table)

    assert found.tolist() == EMPTY
    assert found.index.tolist() == list(index)


def test_objects_of_other_kinds_are_no_empty_text() -> None:
    table = pd.DataFrame({"output": pd.Series([0, [], " "], dtype=object)})

    assert empty(table).tolist() == [False, False, True]


def test_a_table_without_rows_has_no_empty_text() -> None:
    assert empty(pd.DataFrame({"output": texts([])})).tolist() == []
