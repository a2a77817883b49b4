"""Models: the names the offline server answers to, and how they differ."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, kw_only=True)
class Model:
    """How much a model reads, and how sure it is of what it finds."""

    evidence: int
    """Passages of the request it weighs, the ones nearest to the question first."""
    association: float
    """Weight of related words, where a word itself weighs 1."""
    sharpness: float
    """Factor on scores before the softmax: higher is surer at one temperature."""


MODELS: Mapping[str, Model] = MappingProxyType(
    {
        "offline/small": Model(evidence=12, association=0.25, sharpness=3.5),
        "offline/large": Model(evidence=200, association=0.6, sharpness=7.0),
    }
)
"""The chat models by name."""

EMBEDDING_MODEL = "offline/embedding"
"""The one embedding model."""
