"""Lettering: values as short texts that any font at hand can draw."""

from __future__ import annotations

import functools
import itertools
import math
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import rcParams
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, fontManager, get_font
from matplotlib.ticker import Formatter

from promptlab.formats import dollars
from promptlab.notebook.figures import DPI
from promptlab.notebook.trial_table import as_json

LABEL = 34
"""The most characters of a value that a plot shows."""

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
"""Where to look for what the reader's own font does not have; the first comes with
matplotlib, the rest is used if it is installed."""

ALIASES = ("serif", "sans-serif", "cursive", "fantasy", "monospace")
"""Names that stand for lists of fonts in matplotlib's settings."""

TOFU = "▯"
"""Stands for a character that no font has."""


def shown(value: Any, missing: str) -> str:
    """A value of the table as a label: one line, cut in the middle if it is long."""
    if pd.api.types.is_scalar(value) and pd.isna(value):
        return missing
    if isinstance(value, float):
        return f"{value:g}"
    if not pd.api.types.is_scalar(value):
        value = as_json(value)
    return cut(drawable(str(value))) or "(empty)"


def drawable(text: str) -> str:
    """The text in one line, without what cannot be seen or drawn."""
    known = _drawn(_asked())
    return "".join(_replaced(c, known) for c in " ".join(text.split()))


def cut(text: str, length: int = LABEL) -> str:
    """The text, with … for its middle if it is longer than that."""
    if len(text) <= length:
        return text
    head = length // 2
    return f"{text[:head].rstrip()}…{text[head + 1 - length :].lstrip()}"


def told_apart(labels: Sequence[str]) -> list[str]:
    """The labels, with a number after those that came before."""
    seen: dict[str, int] = {}
    told = []
    for label in labels:
        seen[label] = seen.get(label, 0) + 1
        told.append(label if seen[label] == 1 else f"{label} ({seen[label]})")
    return told


def number(value: float) -> str:
    """A number to three digits, or more before the point: 0.0312, 31.5, 12,346."""
    if not math.isfinite(value):
        return "–"
    if abs(value) < 1e-6:
        return f"{value:.3g}"
    return f"{value:,.{_decimals(value)}f}"


def exact(value: float) -> str:
    """A number as it is: 57.5, 57, 1,200."""
    return f"{value:,.10g}" if math.isfinite(value) else "–"


def money(value: float) -> str:
    """Dollars, below one to three digits."""
    return dollars(value, digits=3)


class Dollars(Formatter):
    """Dollars on an axis, with as many decimals as its ticks need to differ."""

    def format_ticks(self, values: Any) -> list[str]:
        """The texts of all ticks."""
        steps = np.abs(np.diff(values))
        smallest = min(steps[steps > 0], default=1.0)
        decimals = max(0, math.ceil(-math.log10(smallest) - 1e-9))
        if not np.allclose(np.round(values, decimals), values, rtol=1e-6, atol=0):
            decimals += 1  # steps of 2.5
        return [f"${value:,.{decimals}f}" if value else "$0" for value in values]

    def __call__(self, x: float, pos: int | None = None) -> str:
        return f"${np.format_float_positional(x, 3, fractional=False, trim='-')}"


def compact(value: float) -> str:
    """A number to three digits, from 10,000 on in thousands, and so on: 1.2M."""
    for power, letter in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= max(power, 1e4):
            return f"{value / power:,.3g}{letter}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def seconds(value: float) -> str:
    """A time in seconds or, below one, in milliseconds, to three digits."""
    if math.isfinite(value) and value < 1:
        return f"{number(value * 1000)} ms"
    return f"{number(value)} s" if math.isfinite(value) else "–"


def percent(share: float) -> str:
    """A share in percent; never 0 % or 100 % unless it is just that."""
    if not math.isfinite(share):
        return "–"
    if 0 < share < 0.01:
        return "<1%"
    if 0.99 < share < 1:
        return ">99%"
    return f"{share:.0%}"


def trials(count: int) -> str:
    """ "1 trial", "1,200 trials"."""
    return "1 trial" if count == 1 else f"{count:,} trials"


def families() -> list[str]:
    """The fonts to draw with: the reader's own first."""
    return list(_families(_asked()))


def fonts() -> dict[str, Any]:
    """The same, as matplotlib's texts take them."""
    return {"fontfamily": families()}


def widest_pt(texts: Iterable[str], size_pt: float, weight: str = "normal") -> float:
    """How wide the widest of the texts is drawn, in points; 0 if there are none."""
    figure = Figure(dpi=DPI)
    style: Any = {"fontsize": size_pt, "fontweight": weight, **fonts()}
    drawn = [figure.text(0, 0, text, parse_math=False, **style) for text in texts]
    widths = [text.get_window_extent().width for text in drawn]
    return max(widths, default=0.0) * 72 / DPI


def _decimals(value: float) -> int:
    """How many decimals show three digits of a value."""
    return max(0, 2 - math.floor(math.log10(abs(value))))


def _replaced(character: str, known: frozenset[int]) -> str:
    category = unicodedata.category(character)
    joins = character in "\u200c\u200d"  # Persian and emoji need them
    if category == "Cc" or (category == "Cf" and not joins):
        return ""  # among them those that would turn the reading direction
    if ord(character) in known:
        return character
    return "" if category in ("Mn", "Me", "Cf") else TOFU


def _asked() -> tuple[str, ...]:
    """The fonts that the reader's settings name."""
    settings: Any = rcParams
    named = [
        settings[f"font.{n}"] if n in ALIASES else [n] for n in settings["font.family"]
    ]
    return tuple(itertools.chain.from_iterable(named))


@functools.cache
def _families(asked: tuple[str, ...]) -> tuple[str, ...]:
    installed = set(fontManager.get_font_names())
    wanted = dict.fromkeys((*asked, *(f for f in FALLBACKS if f in installed)))
    return tuple(name for name in wanted if _file(name, "normal"))


@functools.cache
def _drawn(asked: tuple[str, ...]) -> frozenset[int]:
    """The characters that can be drawn, in bold too."""
    return frozenset.intersection(
        *(
            frozenset[int]().union(
                *(get_font([_file(name, w)]).get_charmap() for name in _families(asked))
            )
            for w in ("normal", "bold")
        )
    )


def _file(family: str, weight: str) -> str:
    """The file that matplotlib takes for that font; "" where there is none."""
    font = FontProperties(family=[family], weight=weight)
    try:
        return str(findfont(font, fallback_to_default=False))
    except ValueError:
        return ""
