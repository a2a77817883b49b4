"""The lexicon: the words that the offline model knows, as `lexicon.toml` lists them."""

import tomllib
from pathlib import Path

_LISTS = tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8"))

WORDS = {name: frozenset(text.split()) for name, text in _LISTS["words"].items()}
"""Words by what they are in a request, such as stopwords, verbs or negations."""

TOPICS = {name: frozenset(text.split()) for name, text in _LISTS["topics"].items()}
"""Words by the topic they belong to."""
