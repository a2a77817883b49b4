"""Tokens: the pieces the offline model counts, bills and cuts by.

A token is up to six Latin letters, two letters of any other script, three digits or
three punctuation marks, each with the one space before it; or a run of line ends or
spaces. English text comes to about 1.3 tokens per word, near what OpenAI's
tokenizers give, but the two are not the same and this one needs no file.
"""

import re

_TOKEN = re.compile(
    r" ?[A-Za-z\u00c0-\u024f]{1,6}"
    r"| ?\d{1,3}"
    r"| ?[^\W\d_]{1,2}"
    r"| ?[^\w\s]{1,3}"
    r"|_+|\n+| +(?= )|\s"
)


def split(text: str) -> list[str]:
    """The tokens of `text`; joined, they are `text` again.

    >>> split("Which team takes invoices?")
    ['Which', ' team', ' takes', ' invoic', 'es', '?']
    """
    return _TOKEN.findall(text)


def count(text: str) -> int:
    """The number of tokens in `text`."""
    return len(_TOKEN.findall(text))
