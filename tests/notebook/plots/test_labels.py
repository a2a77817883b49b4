"""Values as labels that any font at hand can draw, and the numbers on axes."""

from __future__ import annotations

import math

import matplotlib
import pytest

from promptlab.notebook.plots.labels import (
    Dollars,
    drawable,
    font_families,
    short,
    shorten_middle,
    unique,
)


def test_a_string_is_shorten_middle_in_the_middle() -> None:
    assert shorten_middle("abcdefghij", 7) == "abc…hij"
    assert shorten_middle("abcdefghij", 10) == "abcdefghij"


def test_what_turns_the_reading_direction_is_taken_out() -> None:
    assert drawable("\u202eab\u2066c\u200b") == "abc"


def test_a_character_that_no_font_has_is_a_box() -> None:
    assert drawable("a\U0010fffdb") == "a▯b"


def test_labels_that_are_the_same_are_numbered() -> None:
    assert unique(["a", "b", "a", "a"]) == ["a", "b", "a (2)", "a (3)"]


def test_the_readers_own_font_comes_first() -> None:
    with matplotlib.rc_context({"font.family": ["DejaVu Serif", "no such font"]}):
        assert font_families()[0] == "DejaVu Serif"
        assert "no such font" not in font_families()


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
