"""A price: what a model's tokens cost."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

PER_MILLION = 1e-6


@dataclass(frozen=True, kw_only=True)
class Price:
    """What a model's tokens cost, in US dollars for a million of them.

    What else a provider charges for, such as web searches, is not in it.
    """

    input: float
    output: float
    cached_input: float
    """Of input that the provider reads from its own prompt cache."""
    cache_write: float
    """Of input that the provider writes to its own prompt cache."""
    call: float = 0.0
    """Of each call, whatever its tokens, in US dollars."""
    long_from: int | None = None
    """Above so many tokens of input `long` holds, for all tokens of the call."""
    long: Price | None = None
    source: str = ""
    """Whose table it is from."""
    as_of: date | None = None
    """The day from which it holds; None where the table does not say."""

    def cost_usd(
        self,
        input_tokens: Any,
        cached_input_tokens: Any,
        cache_write_tokens: Any,
        output_tokens: Any,
    ) -> Any:
        """What calls cost, in US dollars: numbers, or equally long arrays of them.

        Input read from or written to the provider's cache is part of all input;
        reasoning is part of the output, and costs as much (OpenAI, "Pricing").
        """
        plain = input_tokens - cached_input_tokens - cache_write_tokens
        cost = self.call + PER_MILLION * (
            plain * self.input
            + cached_input_tokens * self.cached_input
            + cache_write_tokens * self.cache_write
            + output_tokens * self.output
        )
        if self.long is None or self.long_from is None:
            return cost
        import numpy as np

        tokens = input_tokens, cached_input_tokens, cache_write_tokens, output_tokens
        is_long = np.greater(input_tokens, self.long_from)
        return np.where(is_long, self.long.cost_usd(*tokens), cost)
