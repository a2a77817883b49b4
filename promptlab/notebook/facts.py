"""Facts: numbers, money, times and labels as a person reads them."""

from __future__ import annotations

from typing import Any

import orjson

NOT_SENT = "not sent"
"""Stands for the label of a parameter that the model does not take."""


def label(value: Any) -> str:
    """The label of a parameter's value, or any other value of the table.

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
    """A value of a case as text: texts as they are, anything else as JSON."""
    if isinstance(value, str):
        return valid(value)
    if value is None:
        return ""
    try:
        return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY).decode()
    except (TypeError, ValueError):
        return valid(str(value))


def valid(text: str) -> str:
    """The text, with a sign in place of each half of a broken character."""
    if text.isascii():
        return text
    return text.encode("utf-8", "replace").decode("utf-8")


def excerpt(text: str, length: int) -> str:
    """The text, cut to so many characters."""
    return text if len(text) <= length else text[: length - 1] + "…"


def seconds(value: float) -> str:
    """A time.

    >>> seconds(0.0123), seconds(1.25), seconds(83.4)
    ('12 ms', '1.2 s', '83 s')
    """
    if value < 0.9995:
        return f"{value * 1000:.0f} ms"
    return f"{value:.1f} s" if value < 10 else f"{value:,.0f} s"


def number(value: float) -> str:
    """A number, whole or with three digits that tell.

    >>> number(1234.0), number(0.12345), number(27.36)
    ('1,234', '0.123', '27.4')
    """
    if float(value).is_integer() or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def share(part: float, whole: float) -> str:
    """A part in per cent; never 0 % or 100 % unless it is.

    >>> share(1, 3), share(1, 1000), share(999, 1000), share(5, 5)
    ('33%', '<1%', '>99%', '100%')
    """
    percent = 100 * part / whole
    if 0 < percent < 1:
        return "<1%"
    if 99 < percent < 100:
        return ">99%"
    return f"{percent:.0f}%"


def count(number: int, noun: str) -> str:
    """A number of things.

    >>> count(1, "row"), count(2300, "row")
    ('1 row', '2,300 rows')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
