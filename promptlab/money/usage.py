"""Usage: the tokens that calls took, and under which terms they were served."""

from __future__ import annotations

from dataclasses import dataclass

DAY_S = 86_400
HALF_HOUR_S = 1_800


@dataclass(frozen=True, slots=True)
class Usage:
    """The tokens of one or more calls; None where the server did not say."""

    input_tokens: int | None = None
    """All tokens of the prompt, those read from the provider's cache included."""
    cached_input_tokens: int | None = None
    """Those of them that the provider read from its own prompt cache."""
    output_tokens: int | None = None
    """All tokens of the answer, reasoning included."""
    reasoning_tokens: int | None = None
    """Those of them that the model spent on reasoning."""
    cache_write_tokens: int | None = None
    """Those of the prompt that the provider wrote to its own prompt cache."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What decides on the price of a call, beside its tokens."""

    base_url: str
    """Who served it."""
    model: str
    """The model that was asked."""
    snapshot: str | None
    """The model that answered, as the reply names it."""
    service_tier: str | None
    """The tier that served it, as the reply says; `batch` for a call of a batch."""
    day: int
    """When: days since 1970-01-01, UTC."""
    half_hour: int = 47
    """Which half hour of that day, from 0; no price changes between two of them."""


def when(received_s: float) -> tuple[int, int]:
    """The day and the half hour of it, as `Terms` has them, of a time since 1970."""
    day, rest_s = divmod(received_s, DAY_S)
    return int(day), int(rest_s // HALF_HOUR_S)
