"""Colours: one for each value, told apart by colour-blind readers too."""

from __future__ import annotations

from dataclasses import dataclass

from matplotlib.colors import to_hex, to_rgb

PALETTE = (
    "#0072B2",  # blue
    "#E69F00",  # orange
    "#009E73",  # bluish green
    "#CC79A7",  # reddish purple
    "#D55E00",  # vermilion
    "#56B4E9",  # sky blue
    "#555555",  # grey
)
"""Okabe and Ito, "Color Universal Design" (2008); its yellow and black, which drown on
a white and on a dark ground, are replaced by a grey."""

HATCHES = ("", "////", "....", "xxxx", "\\\\\\\\")
DASHES: tuple[tuple[float, ...], ...] = ((), (5, 2), (1, 1.4), (6, 2, 1, 2), (3, 1))
MARKERS = ("o", "s", "^", "D", "v")
"""What changes when the palette begins again."""


@dataclass(frozen=True)
class Mark:
    """How a value looks in every plot."""

    colour: str
    hatch: str = ""
    """Of its bars."""
    dashes: tuple[float, ...] = ()
    """Of its lines, in points on and off; none for a solid line."""
    marker: str = "o"


def mark(place: int) -> Mark:
    """The look of the value at that place, from 0, among the values of its column.

    35 looks differ from each other; then they begin again.
    """
    turn, colour = divmod(place, len(PALETTE))
    turn %= len(HATCHES)
    return Mark(PALETTE[colour], HATCHES[turn], DASHES[turn], MARKERS[turn])


def mixed(colour: str, other: str, share: float) -> str:
    """`share` of a colour, and the rest of another."""
    pairs = zip(to_rgb(colour), to_rgb(other), strict=True)
    red, green, blue = (share * a + (1 - share) * b for a, b in pairs)
    return to_hex((red, green, blue))


def luminance(colour: str) -> float:
    """How light a colour is, from 0 to 1 (WCAG 2.2, relative luminance)."""
    linear = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
        for c in to_rgb(colour)
    ]
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def text_on(ground: str) -> str:
    """Black or white, whichever is easier to read on that ground."""
    return "#000000" if luminance(ground) > 0.179 else "#ffffff"
