"""Values as short texts."""

from __future__ import annotations

import math

import matplotlib
import pytest
from matplotlib.figure import Figure

from promptlab.notebook.figures import DPI
from promptlab.notebook.plots.lettering import (
    Dollars,
    compact,
    cut,
    drawable,
    families,
    money,
    number,
    percent,
    seconds,
    told_apart,
    widest_pt,
)


@pytest.mark.parametrize(
    ("dollars", "text"),
    [
        (0.0000012, "$0.00000120"),
        (0.0299, "$0.0299"),
        (0.5, "$0.500"),
        (1.5, "$1.50"),
        (12.3, "$12.30"),
        (123.4, "$123.40"),
        (1200, "$1,200"),
        (1_234_567, "$1,234,567"),
        (0, "$0.00"),
        (-3, "−$3.00"),
        (math.nan, "–"),
        (math.inf, "–"),
    ],
)
def test_dollars_stay_readable(dollars: float, text: str) -> None:
    assert money(dollars) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.03123, "0.0312"),
        (31.46, "31.5"),
        (12345.6, "12,346"),
        (8, "8.00"),
        (0, "0"),
        (1e-9, "1e-09"),
        (-2.5, "-2.50"),
        (math.nan, "–"),
    ],
)
def test_numbers_have_three_digits(value: float, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (7, "7"),
        (0.5, "0.5"),
        (1618, "1,618"),
        (18_800, "18.8k"),
        (5.45e6, "5.45M"),
    ],
)
def test_large_numbers_are_short(value: float, text: str) -> None:
    assert compact(value) == text


def test_times_are_in_the_unit_that_suits_them() -> None:
    assert [seconds(t) for t in (0.0207, 2.3, 75, math.nan)] == [
        "20.7 ms",
        "2.30 s",
        "75.0 s",
        "–",
    ]


def test_a_share_is_none_or_all_only_if_it_is() -> None:
    shares = (0, 0.0004, 0.4, 0.9996, 1, math.nan)

    assert [percent(share) for share in shares] == [
        "0%",
        "<1%",
        "40%",
        ">99%",
        "100%",
        "–",
    ]


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


def test_a_text_is_cut_in_the_middle() -> None:
    assert cut("abcdefghij", 7) == "abc…hij"
    assert cut("abcdefghij", 10) == "abcdefghij"


def test_what_turns_the_reading_direction_is_taken_out() -> None:
    assert drawable("\u202eab\u2066c\u200b") == "abc"


def test_a_character_that_no_font_has_is_a_box() -> None:
    assert drawable("a\U0010fffdb") == "a▯b"


def test_labels_that_are_the_same_are_numbered() -> None:
    assert told_apart(["a", "b", "a", "a"]) == ["a", "b", "a (2)", "a (3)"]


def test_the_readers_own_font_comes_first() -> None:
    with matplotlib.rc_context({"font.family": ["DejaVu Serif", "no such font"]}):
        assert families()[0] == "DejaVu Serif"
        assert "no such font" not in families()


def test_widths_are_those_that_are_drawn() -> None:
    figure = Figure(dpi=DPI)
    text = figure.text(0, 0, "definitions", fontsize=9.5, fontfamily=families())

    drawn = text.get_window_extent().width * 72 / figure.dpi

    assert widest_pt(["steps", "definitions"], 9.5) == pytest.approx(drawn, rel=0.05)
    assert widest_pt([], 9.5) == 0
