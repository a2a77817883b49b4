"""Labels: values as short strings that the fonts at hand can draw."""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib import rcParams
from matplotlib.font_manager import FontProperties, findfont, fontManager, get_font

from promptlab import formats

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
