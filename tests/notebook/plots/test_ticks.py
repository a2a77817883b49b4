"""The numbers on axes."""

from __future__ import annotations

import math

import pytest

from promptlab.notebook.plots.ticks import Dollars, short


@pytest.mark.parametrize(
    ("ticks", "texts"),
    [
        ([0, 0.025, 0.05], ["$0", "$0.025", "$0.050"]),
        ([0, 0.5, 1], ["$0", "$0.5", "$1.0"]),
        ([0, 1e-6, 2e-6], ["$0", "$0.000001", "$0.000002"]),
        ([0, 500, 1000], ["$0", "$500", "$1,000"]),
        ([2.0], ["$2"]),
        ([], []),
    ],
)
def test_the_dollars_of_an_axis_have_the_same_decimals(
    ticks: list[float], texts: list[str]
) -> None:
    assert Dollars().format_ticks(ticks) == texts


def test_large_numbers_are_short() -> None:
    values = (0, 7, 0.5, 57.5, 1618, 18_800, 5.45e6, math.nan)

    assert [short(value) for value in values] == [
        *("0", "7", "0.5", "57.5", "1,618", "19k", "5.5M", "–"),
    ]
