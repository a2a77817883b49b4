"""Colours that all readers can tell apart."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from matplotlib import colormaps
from matplotlib.colors import to_hex, to_rgb

from promptlab.notebook.colormap import (
    PALETTE,
    contrast,
    luminance,
    mix,
    style,
    text_on,
)
from promptlab.notebook.plots.heatmap import SCALE

# Machado, Oliveira and Fernandes (2009): how colours look, at full severity.
SEEN_WITH = {
    "normal": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}


def seen(colour: str, sight: str) -> np.ndarray:
    """A colour in CIE L*a*b*, as it is seen."""
    c = np.array(to_rgb(colour))
    linear = np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
    linear = np.clip(np.array(SEEN_WITH[sight]) @ linear, 0, 1)
    to_xyz = [
        [0.4124, 0.3576, 0.1805],
        [0.2126, 0.7152, 0.0722],
        [0.0193, 0.1192, 0.9505],
    ]
    x, y, z = np.array(to_xyz) @ linear / np.array([0.9505, 1, 1.089])
    fx, fy, fz = (
        np.cbrt(v) if v > 0.008856 else 7.787 * v + 16 / 116 for v in (x, y, z)
    )
    return np.array([116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)])


@pytest.mark.parametrize("sight", SEEN_WITH)
def test_no_two_colours_look_alike(sight: str) -> None:
    for one, other in itertools.combinations(PALETTE, 2):
        distance = np.linalg.norm(seen(one, sight) - seen(other, sight))
        assert distance > 15, f"{one} and {other}"


def test_35_values_look_different_from_each_other() -> None:
    assert len({style(position) for position in range(35)}) == 35
    assert style(35) == style(0)


def test_beyond_the_palette_bars_lines_and_points_differ_too() -> None:
    first, again = style(2), style(2 + len(PALETTE))

    assert again.colour == first.colour
    assert again.hatch != first.hatch
    assert again.dashes != first.dashes
    assert again.marker != first.marker


def test_a_mixture_lies_between_its_colours() -> None:
    assert mix("#ff0000", "#0000ff", 1) == "#ff0000"
    assert mix("#ff0000", "#0000ff", 0) == "#0000ff"
    assert luminance("#ffffff") > luminance(mix("#000000", "#ffffff", 0.5)) > 0


def test_text_is_legible_on_every_tile_of_a_heatmap() -> None:
    for step in np.linspace(0, 1, 101):
        ground = to_hex(colormaps[SCALE](step))
        assert contrast(text_on(ground), ground) >= 4.5, "WCAG 2.2, AA"
