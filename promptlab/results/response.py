"""The summary of a reply: what the table shows of it, and what its price goes by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from promptlab.money.usage import Usage


class ReplySummary(NamedTuple):
    """One reply in brief: an entry of the cache begins with it.

    A tuple of plain values, as there may be a million of them. Its members are stored
    in this order, so new ones go last; entries without them go on being read.
    """

    output: str
    """What `Response.output` is."""
    finish_reason: str | None
    input_tokens: int | None
    cached_input_tokens: int | None
    output_tokens: int | None
    reasoning_tokens: int | None
    cache_write_tokens: int | None
    latency_s: float
    received_s: float
    """When it came, in seconds since 1970."""
    model: str | None
    """The model that answered, as the reply names it."""
    service_tier: str | None
    attempts: int
    reported_cost_usd: float | None = None
    """What the reply itself says it cost; None where it does not say."""
    tool_calls: str | None = None
    """As JSON; None where there are none."""
    refusal: str | None = None
    """In the model's words; None where it did not refuse."""
    reasoning: str | None = None
    """What the model thought first, where the server tells it."""

    @property
    def usage(self) -> Usage:
        """Its tokens."""
        return Usage(
            self.input_tokens,
            self.cached_input_tokens,
            self.output_tokens,
            self.reasoning_tokens,
            self.cache_write_tokens,
        )


ADDED_UP = (
    *("input_tokens", "cached_input_tokens", "output_tokens", "reasoning_tokens"),
    *("cache_write_tokens", "latency_s", "reported_cost_usd"),
)
"""What the calls of a conversation take together."""


def combined(replies: Sequence[ReplySummary]) -> ReplySummary:
    """The replies of a conversation as one: the last, with what all of them took; None
    where one of them does not say."""
    if len(replies) == 1:
        return replies[0]
    sums: dict[str, Any] = {}
    for name in ADDED_UP:
        values = [getattr(reply, name) for reply in replies]
        sums[name] = None if None in values else sum(values)
    return replies[-1]._replace(**sums)
