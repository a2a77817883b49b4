"""The lexicon: the words that `lexicon.toml` lists, and strings as stems of words."""

import re
import tomllib
from collections import defaultdict
from functools import lru_cache
from pathlib import Path

_LISTS = tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8"))

WORDS = {name: frozenset(text.split()) for name, text in _LISTS["words"].items()}
"""Words by what they are in a request, such as stopwords, verbs or negations."""

_WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)?")


def words(text: str) -> list[str]:
    """The words of `text` in lower case, in order.

    >>> words("Don't charge me twice!")
    ["don't", 'charge', 'me', 'twice']
    """
    return _WORD.findall(text.lower())


def stems(text: str) -> list[str]:
    """The stems of the words that carry meaning, in order.

    >>> stems("I was charged twice for the invoices")
    ['charg', 'twic', 'invoic']
    """
    return [_stem(word) for word in words(text) if word not in WORDS["stopwords"]]


def topics(stem: str) -> set[str]:
    """The topics that a stem belongs to, such as money or travel."""
    return _TOPICS.get(stem, set())


@lru_cache(maxsize=8192)
def _stem(word: str) -> str:
    """`word` without common endings, so that charge, charged and charges agree.

    Light and wrong at times: it only has to be the same for question and text.
    """
    word = word.removesuffix("'s").removesuffix("\u2019s")
    for ending in ("ies", "ing", "ied", "ed", "es", "s", "e", "y"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            if ending == "s" and word.endswith("ss"):
                break
            bare = word.removesuffix(ending)
            doubled = len(bare) > 3 and bare[-1] == bare[-2] and bare[-1] not in "lsz"
            return bare[:-1] if doubled and ending in ("ing", "ed") else bare
    return word


_TOPICS: defaultdict[str, set[str]] = defaultdict(set)
for _topic, _text in _LISTS["topics"].items():
    for _word in _text.split():
        _TOPICS[_stem(_word)].add(_topic)
