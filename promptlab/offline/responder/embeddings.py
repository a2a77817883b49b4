"""Embeddings: texts as vectors whose cosine is high when they share words."""

import math
from collections import defaultdict
from zlib import crc32

from promptlab.offline.responder.lexicon import stems, topics, words

DIMENSIONS = 256
"""Length of a vector when the request names none."""

_STEM, _TRIGRAM, _TOPIC = 1.0, 0.3, 0.5


def embed(text: str, dimensions: int = DIMENSIONS) -> list[float]:
    """The unit vector of `text`: its stems, their topics and trigrams, hashed.

    The same text and length always give the same vector.
    """
    features: defaultdict[str, float] = defaultdict(float)
    # Texts of filler words only still differ by those words.
    for stem in stems(text) or words(text):
        features[f"stem {stem}"] += _STEM
        padded = f" {stem} "
        for start in range(len(padded) - 2):
            features[f"trigram {padded[start : start + 3]}"] += _TRIGRAM
        for topic in topics(stem):
            features[f"topic {topic}"] += _TOPIC
    vector = [0.0] * dimensions
    for feature, weight in features.items():
        hashed = crc32(feature.encode())
        sign = 1.0 if hashed & 1 else -1.0
        # Logarithmic, so that a word used ten times does not drown the others.
        vector[(hashed >> 1) % dimensions] += sign * math.log1p(weight)
    length = math.hypot(*vector)
    # No letters at all, or signs that cancel: still a unit vector.
    return [value / length for value in vector] if length else [1.0, *vector[1:]]
