"""Labels: values and numbers as short strings that the fonts at hand can draw."""

from __future__ import annotations

import functools
import math
import unicodedata
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import rcParams
from matplotlib.font_manager import FontProperties, findfont, fontManager, get_font
from matplotlib.ticker import Formatter

from promptlab import formats
from promptlab.formats import dollars, number, thousands

LONGEST = 34
"""The most characters of a label."""

FALLBACKS = (
    "DejaVu Sans",
    "Noto Sans CJK JP",
    "Noto Sans CJK SC",
    "Hiragino Sans",
    "PingFang SC",
    "Yu Gothic",
    "Microsoft YaHei",
    "Malgun Gothic",
    "Noto Sans Devanagari",
    "Noto Sans Thai",
    "Noto Emoji",
    "Segoe UI Symbol",
)
"""Where matplotlib looks for characters that the reader's own fonts do not have; the
first comes with it, the others are used if they are installed."""

ALIASES = ("serif", "sans-serif", "cursive", "fantasy", "monospace")
"""Names that stand for lists of fonts in matplotlib's settings."""

TOFU = "▯"
"""Drawn for a character that no font has."""


def label(value: Any, missing: str) -> str:
    """A value of the table in one line, shortened in the middle if it is long."""
    if pd.api.types.is_scalar(value) and pd.isna(value):
        return missing
    return shorten_middle(drawable(formats.label(value))) or "(empty)"


def drawable(string: str) -> str:
    """The string in one line, without what cannot be seen, ▯ for what no font has."""
    known = _characters(tuple(font_families()))
    return "".join(_replaced(c, known) for c in " ".join(string.split()))


def shorten_middle(string: str, length: int = LONGEST) -> str:
    """The string, with … for its middle if it is longer than that."""
    if len(string) <= length:
        return string
    head = length // 2
    return f"{string[:head].rstrip()}…{string[head + 1 - length :].lstrip()}"


def unique(labels: Sequence[str]) -> list[str]:
    """The labels, with a number after each that came before: a, b, a (2)."""
    counts: dict[str, int] = {}
    numbered = []
    for name in labels:
        counts[name] = count = counts.get(name, 0) + 1
        numbered.append(name if count == 1 else f"{name} ({count})")
    return numbered


def font_families() -> list[str]:
    """The fonts to draw with: the reader's own first."""
    installed = {*fontManager.get_font_names(), *ALIASES}
    wanted = dict.fromkeys((*rcParams["font.family"], *FALLBACKS))
    return [family for family in wanted if family in installed]


class Dollars(Formatter):
    """US dollars, with as many decimals as the ticks of an axis need to differ."""

    def format_ticks(self, values: Any) -> list[str]:
        """The strings of all ticks."""
        steps = np.abs(np.diff(values))
        smallest = min(steps[steps > 0], default=1.0)
        decimals = max(0, math.ceil(-math.log10(smallest) - 1e-9))
        if not np.allclose(np.round(values, decimals), values, rtol=1e-6, atol=0):
            decimals += 1  # steps of 2.5
        return [f"${value:,.{decimals}f}" if value else "$0" for value in values]

    def __call__(self, x: float, pos: int | None = None) -> str:
        """The string of one tick, to three digits, as on logarithmic axes."""
        return f"${np.format_float_positional(x, 3, fractional=False, trim='-')}"


def money(amount: float) -> str:
    """US dollars to three digits."""
    return dollars(amount, digits=3)


def short(value: float) -> str:
    """A number, from ten thousand on in thousands, millions or billions."""
    return thousands(value) if abs(value) >= 10_000 else number(value)


def _replaced(character: str, known: frozenset[int]) -> str:
    category = unicodedata.category(character)
    joins = character in "\u200c\u200d"  # Persian and emoji need them
    if category == "Cc" or (category == "Cf" and not joins):
        return ""  # among them those that would turn the reading direction
    if ord(character) in known:
        return character
    return "" if category in ("Mn", "Me", "Cf") else TOFU


@functools.cache
def _characters(families: tuple[str, ...]) -> frozenset[int]:
    """The characters that one of the fonts has, in bold too."""
    regular, bold = (
        {
            character
            for family in families
            for character in get_font(
                [findfont(FontProperties(family=[family], weight=weight))]
            ).get_charmap()
        }
        for weight in ("normal", "bold")
    )
    return frozenset(regular & bold)
