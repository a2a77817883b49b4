"""Models: the names the offline server answers to, and how they differ."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, kw_only=True)
class Model:
    """How much a model reads, and how sure it is of what it finds."""

    evidence: int
    """Sentences it weighs: the last ones of all material, the first ones of a text
    that is to be sorted or matched."""
    association: float
    """Weight of related words, where a word itself weighs 1."""
    sharpness: float
    """Factor on scores before the softmax: higher is surer at one temperature."""


MODELS: Mapping[str, Model] = MappingProxyType(
    {
        "offline/small": Model(evidence=12, association=0.25, sharpness=6.0),
        "offline/large": Model(evidence=200, association=0.6, sharpness=9.0),
    }
)
"""The chat models by name."""

EMBEDDING_MODEL = "offline/embedding"
"""The one embedding model."""
