"""Heat: colours that grow with a number, and text that is legible on them."""

from __future__ import annotations

from itertools import pairwise

LIGHT = ("#f3f7fb", "#cfe1f2", "#93c3df", "#4a97c9", "#1a66a8", "#08386e")
DARK = ("#16222e", "#1d3a54", "#265a83", "#3f83b5", "#7fb4d9", "#c9e2f3")
"""From the least to the most, on light and on dark paper."""

INKS = ("#000000", "#ffffff")


def colours(heat: float, *, dark: bool = False) -> tuple[str, str]:
    """The background and the ink for a heat from 0 to 1."""
    background = _between(DARK if dark else LIGHT, heat)
    return background, max(INKS, key=lambda ink: contrast(ink, background))


def contrast(one: str, other: str) -> float:
    """The contrast of two colours as WCAG defines it, from 1 to 21."""
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def luminance(colour: str) -> float:
    """The relative luminance of a colour as WCAG defines it."""
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in (value / 255 for value in _parts(colour))
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _between(stops: tuple[str, ...], heat: float) -> str:
    place = min(max(heat, 0.0), 1.0) * (len(stops) - 1)
    index = min(int(place), len(stops) - 2)
    start, end = list(pairwise(stops))[index]
    mixed = (
        round(a + (b - a) * (place - index))
        for a, b in zip(_parts(start), _parts(end), strict=True)
    )
    return "#" + "".join(f"{value:02x}" for value in mixed)


def _parts(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
