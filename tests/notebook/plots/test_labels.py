"""Values as labels that any font at hand can draw."""

from __future__ import annotations

import matplotlib

from promptlab.notebook.plots.labels import (
    drawable,
    font_families,
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
