"""Usage: the tokens that calls took, and under which terms they were served.

Servers write the same counts in different ways. `read_usage` is the one place that
knows the dialects: OpenAI's chat completions and Responses, Anthropic's messages, and
what DeepSeek, Moonshot, xAI, Gemini and gateways make of the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

DAY_S = 86_400
HALF_HOUR_S = 1_800

LARGEST = 2**50
"""Tokens; a count from here on is a mistake."""

INPUT = ("prompt_tokens", "input_tokens")
OUTPUT = ("completion_tokens", "output_tokens")
TOTAL = ("total_tokens",)
READ = (
    *("cached_tokens", "cache_read_input_tokens", "cache_read_tokens"),
    *("prompt_cache_hit_tokens", "cached_prompt_text_tokens"),
)
WRITTEN = ("cache_write_tokens", "cache_creation_input_tokens", "cache_creation_tokens")
REASONING = ("reasoning_tokens", "thinking_tokens")
"""The names that servers give the counts of a call."""

OF_INPUT = ("prompt_tokens_details", "input_tokens_details")
OF_OUTPUT = ("completion_tokens_details", "output_tokens_details")
"""Where some of these counts stand, instead of beside the others."""

BESIDE_INPUT = ("cache_read_input_tokens", "cache_creation_input_tokens")
"""What Anthropic does not count among `input_tokens`."""


@dataclass(frozen=True, slots=True)
class Usage:
    """The tokens of one or more calls; None if the server did not say."""

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

    def nested(self) -> Usage:
        """The same, with every part within its whole: parts that exceed what they
        should be part of were counted beside it, which is also the most expensive way
        to read them."""
        input_tokens, output_tokens = self.input_tokens, self.output_tokens
        parts = (self.cached_input_tokens or 0) + (self.cache_write_tokens or 0)
        reasoning_tokens = self.reasoning_tokens or 0
        if input_tokens is not None and parts > input_tokens:
            input_tokens += parts
        if output_tokens is not None and reasoning_tokens > output_tokens:
            output_tokens += reasoning_tokens
        if (input_tokens, output_tokens) == (self.input_tokens, self.output_tokens):
            return self
        return replace(self, input_tokens=input_tokens, output_tokens=output_tokens)


@dataclass(frozen=True, slots=True)
class PriceContext:
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
    """The day since 1970 and the half hour of it, of a time in seconds since 1970."""
    day, rest_s = divmod(received_s, DAY_S)
    return int(day), int(rest_s // HALF_HOUR_S)


def read_usage(block: Any) -> Usage:
    """The tokens in the usage of a reply, whichever dialect it is written in.

    Cached and written input are within the input, reasoning is within the output. Where
    the total is more than input and output, the rest is output: reasoning that xAI and
    Gemini count beside it.
    """
    if not isinstance(block, dict):
        return Usage()
    input_tokens, output_tokens, total_tokens = (
        _count((block,), of) for of in (INPUT, OUTPUT, TOTAL)
    )
    within = [block, *(block.get(name) for name in OF_INPUT)]
    cached_input_tokens = _count(within, READ)
    cache_write_tokens = _count(within, WRITTEN)
    within = [block, *(block.get(name) for name in OF_OUTPUT)]
    reasoning_tokens = _count(within, REASONING)
    if input_tokens is not None and "prompt_tokens" not in block:
        input_tokens += sum(_count((block,), (name,)) or 0 for name in BESIDE_INPUT)
    if input_tokens is None and total_tokens is not None and output_tokens is not None:
        input_tokens = max(total_tokens - output_tokens, 0)
    usage = Usage(
        input_tokens, cached_input_tokens, output_tokens, None, cache_write_tokens
    ).nested()
    if total_tokens is not None and usage.input_tokens is not None:
        output_tokens = max(total_tokens - usage.input_tokens, output_tokens or 0)
    return Usage(
        usage.input_tokens,
        cached_input_tokens,
        output_tokens,
        reasoning_tokens,
        cache_write_tokens,
    ).nested()


def _count(places: Sequence[Any], names: Sequence[str]) -> int | None:
    """The largest count under one of these names; None if not reported."""
    largest = -1
    for place in places:
        if isinstance(place, dict):
            for name in names:
                if name in place and (count := _whole(place[name])) is not None:
                    largest = max(largest, count)
    return None if largest < 0 else largest


def _whole(value: Any) -> int | None:
    """A number of tokens; some servers write 1000.0 or "1000"."""
    if type(value) is int:
        return value if 0 <= value < LARGEST else None
    if not isinstance(value, (float, str)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return int(number) if 0 <= number < LARGEST and number.is_integer() else None
