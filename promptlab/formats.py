"""Formats: money, counts, times, shares and values as text, one way each.

Every number that a person reads, in a table, a card, a plot, a message or on the
command line, gets its text here, so that it reads the same everywhere.
"""

from __future__ import annotations

import math
from typing import Any

import orjson

TINY, BILLION = 1e-7, 1e9

UNKNOWN = "–"
"""What stands for a number that is not known."""

NOT_SENT = "not sent"
"""The label of a parameter that the model does not take."""


def dollars(amount: float | None, digits: int = 2) -> str:
    """An amount in US dollars to so many significant digits, from a dollar on in cents.

    Amounts below a ten-millionth of a dollar are shown as less than that, those from a
    billion on in billions.

    >>> dollars(0.0034), dollars(12.3), dollars(1234.0), dollars(float("nan"))
    ('$0.0034', '$12.30', '$1,234', '–')
    """
    if amount is None or not math.isfinite(amount):
        return UNKNOWN
    sign, size = "−" if amount < 0 else "", abs(amount)
    if 0 < size < TINY:
        return f"{sign}<${TINY:.7f}"
    if size >= BILLION:
        return f"{sign}${size / BILLION:,.{size < 10 * BILLION:d}f}B"
    if size == 0 or size >= 0.995:
        return f"{sign}${size:,.{0 if size >= 1_000 else 2}f}"
    decimals = digits - 1 - math.floor(math.log10(size))
    return f"{sign}${size:.{decimals}f}"


def counted(number: int, noun: str) -> str:
    """A number of things.

    >>> counted(1, "call"), counted(2300, "call")
    ('1 call', '2,300 calls')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def thousands(count: float) -> str:
    """A count in short.

    >>> thousands(950), thousands(1234), thousands(45_000), thousands(4_500_000)
    ('950', '1.2k', '45k', '4.5M')
    """
    for size, unit in ((1_000_000_000, "B"), (1_000_000, "M"), (1_000, "k")):
        if count >= size * 9.95:
            return f"{count / size:,.0f}{unit}"
        if count >= size - size / 2_000:
            return f"{count / size:.1f}{unit}"
    return f"{count:.0f}"


def in_tokens(count: float) -> str:
    """A number of tokens in short.

    >>> in_tokens(12_345)
    '12k tokens'
    """
    return f"{thousands(count)} tokens"


def seconds(value: float | None) -> str:
    """A latency in seconds as text.

    >>> seconds(0.0055), seconds(0.083), seconds(1.25), seconds(83.4), seconds(None)
    ('5.5 ms', '83 ms', '1.2 s', '83 s', '–')
    """
    if value is None or not math.isfinite(value):
        return UNKNOWN
    if value < 0.9995:
        return f"{1000 * value:.{1 if 0 < value < 0.00995 else 0}f} ms"
    return f"{value:.1f} s" if value < 9.95 else f"{value:,.0f} s"


def duration(value: float) -> str:
    """A time in seconds that a person waits, as text.

    >>> duration(0.4), duration(12), duration(200), duration(7_500)
    ('0.4 s', '12 s', '3 min 20 s', '2 h 5 min')
    """
    if value < 10:
        return f"{value:.1f} s"
    if value < 60:
        return f"{value:.0f} s"
    minutes, rest = divmod(round(value), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"


def number(value: float | None) -> str:
    """A number, whole or to three significant digits.

    >>> number(1234.0), number(0.12345), number(27.36), number(float("nan"))
    ('1,234', '0.123', '27.4', '–')
    """
    if value is None or not math.isfinite(value):
        return UNKNOWN
    if float(value).is_integer() or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def share(part: float, whole: float = 1.0) -> str:
    """A part in per cent; never 0 % or 100 % unless it is exactly that.

    >>> share(1, 3), share(0.001), share(999, 1000), share(5, 5)
    ('33%', '<1%', '>99%', '100%')
    """
    percent = 100 * part / whole if whole else math.nan
    if not math.isfinite(percent):
        return UNKNOWN
    if 0 < percent < 1:
        return "<1%"
    if 99 < percent < 100:
        return ">99%"
    return f"{percent:.0f}%"


def score_text(value: float, *, share: bool = True) -> str:
    """A score: in per cent if scores are shares from 0 to 1.

    >>> score_text(0.694), score_text(0.0041), score_text(3.25, share=False)
    ('69%', '0.4%', '3.25')
    """
    if not share or not math.isfinite(value):
        return number(value)
    return f"{_percent(value)}%"


def points(difference: float, *, share: bool = True, signed: bool = False) -> str:
    """A difference of two scores: in points if they are shares from 0 to 1.

    >>> points(0.04, signed=True), points(-0.012, signed=True), points(0.01)
    ('+4 points', '−1.2 points', '1 point')
    """
    if not math.isfinite(difference):
        return UNKNOWN
    sign = "−" if difference < 0 else "+" if signed and difference > 0 else ""
    size = _percent(abs(difference)) if share else number(abs(difference))
    return f"{sign}{size}{(' point' if size == '1' else ' points') * share}"


def interval_text(
    value: float, low: float, high: float, *, share: bool = True, signed: bool = False
) -> str:
    """A score, or with `signed` a difference, and its interval.

    >>> interval_text(0.69, 0.612, 0.76), interval_text(-0.04, -0.12, 0.05, signed=True)
    ('69% [61, 76]', '−4 [−12, +5]')
    """
    if not math.isfinite(value):
        return UNKNOWN

    def end(one: float) -> str:
        sign = "−" if one < 0 else "+" if signed and one > 0 else ""
        if not math.isfinite(one):
            return UNKNOWN
        return sign + (_percent(abs(one)) if share else number(abs(one)))

    percent = "%" if share and not signed else ""
    return f"{end(value)}{percent} [{end(low)}, {end(high)}]"


def coefficient_text(sign: str, value: float, low: float, high: float) -> str:
    """A coefficient such as κ or α, and its interval.

    >>> coefficient_text("κ", 0.412, -0.04, 0.6), coefficient_text("α", *[math.nan] * 3)
    ('κ 0.41 [−0.04, 0.60]', 'α unknown')
    """
    if not math.isfinite(value):
        return f"{sign} unknown"
    texts = [
        f"{one:.2f}".replace("-", "−") if math.isfinite(one) else UNKNOWN
        for one in (value, low, high)
    ]
    return f"{sign} {texts[0]} [{texts[1]}, {texts[2]}]"


def deviation_text(value: float, low: float, high: float, *, share: bool = True) -> str:
    """A standard deviation of scores and its interval; in points if they are shares.

    >>> deviation_text(0.12, 0.06, 0.35), deviation_text(1.5, 0, 4, share=False)
    ('±12 [6, 35]', '±1.5 [0, 4]')
    """
    text = interval_text(value, low, high, share=share).replace("%", "")
    return text if text == UNKNOWN else f"±{text}"


def p_text(value: float) -> str:
    """A p-value; empty if it is not known.

    >>> p_text(0.0312), p_text(0.00001), p_text(math.nan)
    ('0.031', '<0.001', '')
    """
    if not math.isfinite(value):
        return ""
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def _percent(value: float) -> str:
    """A share in per cent without the sign; below 2 % with one digit more."""
    percent = 100 * value
    return (
        f"{percent:.0f}"
        if percent >= 1.95 or percent == 0
        else f"{percent:.1f}".removesuffix(".0")
    )


def label(value: Any) -> str:
    """A parameter's value, or any other value of the table, as text.

    >>> label(0.70), label(1.0), label("plain"), label(None), label(True)
    ('0.7', '1', 'plain', 'not sent', 'true')
    """
    if value is None:
        return NOT_SENT
    if not isinstance(value, float):
        return plain_text(value)
    short = f"{value:g}"
    return short if float(short) == value else repr(value)


def plain_text(value: Any) -> str:
    """A value of a case as text: strings as they are, None as "", the rest as JSON."""
    if isinstance(value, str):
        return valid(value)
    if value is None:
        return ""
    try:
        return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY).decode()
    except (TypeError, ValueError):
        return valid(str(value))


def valid(text: str) -> str:
    """The text with each half of a surrogate pair replaced: it can be encoded."""
    if text.isascii():
        return text
    return text.encode("utf-8", "replace").decode("utf-8")


def shortened(text: str, length: int) -> str:
    """The text, cut to so many characters; a cut one ends with an ellipsis.

    >>> shortened("a long text", 6)
    'a lon…'
    """
    return text if len(text) <= length else text[: length - 1] + "…"
