"""The numbers on axes."""

from __future__ import annotations

import math

import pytest

from promptlab.notebook.plots.ticks import Dollars, exact


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


def test_other_numbers_are_written_as_they_are() -> None:
    assert [exact(value) for value in (57.5, 57, 1200, math.nan)] == [
        "57.5",
        "57",
        "1,200",
        "–",
    ]
