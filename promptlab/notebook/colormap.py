"""Colours: one style for each value, colours that grow with a number, legible text.

It needs no matplotlib, so that tables in colour load without it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

PALETTE = (
    "#0072b2",  # blue
    "#e69f00",  # orange
    "#009e73",  # bluish green
    "#cc79a7",  # reddish purple
    "#d55e00",  # vermilion
    "#56b4e9",  # sky blue
    "#606060",  # grey
)
"""Okabe and Ito, "Color Universal Design" (2008); its yellow and black, hard to see on
a light or a dark background, are replaced by a grey."""

HATCHES = ("", "////", "....", "xxxx", "\\\\\\\\")
DASHES: tuple[tuple[float, ...], ...] = ((), (5, 2), (1, 1.4), (6, 2, 1, 2), (3, 1))
MARKERS = ("o", "s", "^", "D", "v")
"""What changes when the palette begins again."""

LIGHT = ("#f3f7fb", "#cfe1f2", "#93c3df", "#4a97c9", "#1a66a8", "#08386e")
DARK = ("#16222e", "#1d3a54", "#265a83", "#3f83b5", "#7fb4d9", "#c9e2f3")
"""From the least to the most, on a light and on a dark page."""

BLACK, WHITE = "#000000", "#ffffff"


@dataclass(frozen=True)
class Style:
    """How a value looks in every plot."""

    colour: str
    hatch: str = ""
    """The pattern on its bars."""
    dashes: tuple[float, ...] = ()
    """The dashes of its lines, in points on and off; empty for a solid line."""
    marker: str = "o"
    """The shape of its points."""


def style(position: int) -> Style:
    """The style of the value at that position among the values of its column.

    35 styles differ from each other; then they repeat.
    """
    turn, colour = divmod(position, len(PALETTE))
    turn %= len(HATCHES)
    return Style(PALETTE[colour], HATCHES[turn], DASHES[turn], MARKERS[turn])


def heat(amount: float, *, dark: bool = False) -> tuple[str, str]:
    """The background and the text colour for an amount from 0 to 1."""
    stops = DARK if dark else LIGHT
    at = min(max(amount, 0.0), 1.0) * (len(stops) - 1)
    index = min(int(at), len(stops) - 2)
    background = mix(stops[index + 1], stops[index], at - index)
    return background, text_on(background)


def mix(colour: str, other: str, share: float) -> str:
    """`share` of a colour, from 0 to 1, and the rest of another."""
    pairs = zip(_channels(colour), _channels(other), strict=True)
    return "#" + "".join(f"{round(share * a + (1 - share) * b):02x}" for a, b in pairs)


def luminance(colour: str) -> float:
    """How light a colour is, from 0 to 1 (WCAG 2.2, relative luminance)."""
    red, green, blue = (
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
        for c in (channel / 255 for channel in _channels(colour))
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """The contrast of two colours, from 1 to 21 (WCAG 2.2)."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def text_on(background: str) -> str:
    """Black or white, whichever is easier to read on that background."""
    return max((BLACK, WHITE), key=lambda text: contrast(text, background))


def _channels(colour: str) -> Sequence[int]:
    """Red, green and blue of `#rrggbb`, from 0 to 255."""
    return bytes.fromhex(colour.removeprefix("#"))
