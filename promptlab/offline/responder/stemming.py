"""Words: a text as stems without filler, and the topics that stems belong to."""

import re
from functools import lru_cache

from promptlab.offline.responder.lexicon import TOPICS, WORDS

_WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)?")
_CACHED_STEMS = 8192


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
    return [stem(word) for word in words(text) if word not in WORDS["stopwords"]]


@lru_cache(maxsize=_CACHED_STEMS)
def stem(word: str) -> str:
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


def topics(stemmed: str) -> frozenset[str]:
    """The topics of the lexicon that a stem belongs to."""
    return _TOPICS_BY_STEM.get(stemmed, frozenset())


def _by_stem() -> dict[str, frozenset[str]]:
    by_stem: dict[str, set[str]] = {}
    for topic, listed in TOPICS.items():
        for word in listed:
            by_stem.setdefault(stem(word), set()).add(topic)
    return {stemmed: frozenset(names) for stemmed, names in by_stem.items()}


_TOPICS_BY_STEM = _by_stem()
