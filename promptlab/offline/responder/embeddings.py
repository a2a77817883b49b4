"""Embeddings: texts as vectors whose cosine is high when they share words."""

import base64
import math
from array import array
from collections import Counter
from zlib import crc32

from promptlab.offline.responder.stemming import stems, topics, words

DIMENSIONS = 256
"""Length of a vector when the request names none."""

_STEM, _TRIGRAM, _TOPIC = 1.0, 0.3, 0.5


def embed(text: str, dimensions: int = DIMENSIONS) -> list[float]:
    """The unit vector of `text`: its stems, their topics and trigrams, hashed.

    The same text and length always give the same vector.
    """
    vector = [0.0] * dimensions
    for feature, weight in _features(text).items():
        hashed = crc32(feature.encode())
        sign = 1.0 if hashed & 1 else -1.0
        # Logarithmic, so that a word used ten times does not drown the others.
        vector[(hashed >> 1) % dimensions] += sign * math.log1p(weight)
    length = math.sqrt(sum(value * value for value in vector))
    if length == 0:
        # No letters at all, or signs that cancel: still a unit vector.
        return [1.0, *vector[1:]]
    return [value / length for value in vector]


def to_base64(vector: list[float]) -> str:
    """`vector` as base64 of 32-bit floats, in the byte order of this machine."""
    return base64.b64encode(array("f", vector).tobytes()).decode()


def _features(text: str) -> dict[str, float]:
    """What `text` is made of, each with its weight."""
    features: Counter[str] = Counter()
    # Texts of filler words only still differ by those words.
    for stem, times in Counter(stems(text) or words(text)).items():
        features[f"stem {stem}"] += times
        for topic in topics(stem):
            features[f"topic {topic}"] += times
        padded = f" {stem} "
        for start in range(len(padded) - 2):
            features[f"trigram {padded[start : start + 3]}"] += times
    share = {"stem": _STEM, "topic": _TOPIC, "trigram": _TRIGRAM}
    return {name: n * share[name.partition(" ")[0]] for name, n in features.items()}
