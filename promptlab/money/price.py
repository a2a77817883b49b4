"""A price: what a model's tokens cost."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

from promptlab.spec.usage import Usage

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
    """The day from which it holds; None if the table does not say."""

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
        tokens = input_tokens, cached_input_tokens, cache_write_tokens, output_tokens
        cost = self._flat_usd(*tokens)
        if self.long is None or self.long_from is None:
            return cost
        import numpy as np

        is_long = np.greater(input_tokens, self.long_from)
        return np.where(is_long, self.long.cost_usd(*tokens), cost)

    def at(self, input_tokens: float) -> Price:
        """The price of a call with so many tokens of input."""
        if self.long is None or input_tokens <= (self.long_from or 0):
            return self
        return self.long.at(input_tokens)

    def call_usd(self, usage: Usage) -> float | None:
        """What one call cost, in US dollars; None if its tokens are not known."""
        if usage.input_tokens is None or usage.output_tokens is None:
            return None
        cost = self.at(usage.input_tokens)._flat_usd(
            usage.input_tokens,
            usage.cached_input_tokens or 0,
            usage.cache_write_tokens or 0,
            usage.output_tokens,
        )
        return float(cost)

    def prompt_cache_saved_usd(self, usage: Usage) -> float | None:
        """What the provider's own prompt cache took off the price of one call, less
        what writing to it cost; None if its tokens are not known."""
        cached_input_tokens = usage.cached_input_tokens
        cache_write_tokens = usage.cache_write_tokens or 0
        if cached_input_tokens is None:
            return None
        if not cached_input_tokens and not cache_write_tokens:
            return 0.0
        if usage.input_tokens is None:
            return None
        here = self.at(usage.input_tokens)
        return PER_MILLION * (
            cached_input_tokens * (here.input - here.cached_input)
            - cache_write_tokens * (here.cache_write - here.input)
        )

    def _flat_usd(
        self,
        input_tokens: Any,
        cached_input_tokens: Any,
        cache_write_tokens: Any,
        output_tokens: Any,
    ) -> Any:
        """What calls cost, however long they are."""
        return self.call + PER_MILLION * (
            (input_tokens - cached_input_tokens - cache_write_tokens) * self.input
            + cached_input_tokens * self.cached_input
            + cache_write_tokens * self.cache_write
            + output_tokens * self.output
        )
