"""Estimates: what calls that have not been made yet may take, at least and at most."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from promptlab.money.prices import Price
from promptlab.money.tokens import ERROR, PER_REPLY

PROMPT_CACHE_FROM = 1024
"""Tokens of a prompt from which OpenAI may read it from its own cache."""


class Range(NamedTuple):
    """The least and the most; the most is infinite where nothing bounds it."""

    low: float
    high: float

    def plus(self, low: float, high: float) -> Range:
        """Both ends, each with so much more."""
        return Range(self.low + low, self.high + high)


ZERO = Range(0, 0)


@dataclass
class Estimate:
    """What calls with one and the same bound on their answers may take."""

    most_output: float
    """max_tokens; infinite where it is not given."""
    calls: int = 0
    input_tokens: Range = ZERO
    output_tokens: Range = ZERO
    _cacheable: float = field(default=0.0, repr=False)
    _longest: float = field(default=0.0, repr=False)

    def add(self, said: Sequence[int], replies: Sequence[int | None]) -> None:
        """Adds a call after some turns: the tokens that each turn says, and those of
        the replies so far, None for a reply that is still to come."""
        known = sum(reply for reply in replies if reply is not None)
        to_come = replies.count(None)
        least = (sum(said) + PER_REPLY) / (1 + ERROR) + known + to_come
        most = (sum(said) + PER_REPLY) * (1 + ERROR) + known
        most += to_come * self.most_output if to_come else 0
        self.calls += 1
        self.input_tokens = self.input_tokens.plus(least, most)
        self.output_tokens = self.output_tokens.plus(1, self.most_output)
        self._longest = max(self._longest, most)
        if most >= PROMPT_CACHE_FROM:
            self._cacheable += least

    @property
    def charged_tokens(self) -> float:
        """What they count with at least, against a limit of tokens a minute: the most
        that may be answered, or the prompts (OpenAI, "Rate limits")."""
        bounded = math.isfinite(self.most_output)
        answers = self.calls * self.most_output if bounded else 0.0
        return max(answers, self.input_tokens.low)

    def cost_usd(self, price: Price | None) -> Range:
        """What they may cost, in US dollars; NaN where the price is not known."""
        if not self.calls:
            return ZERO
        if price is None:
            return Range(math.nan, math.nan)
        is_long = price.long is not None and self._longest > (price.long_from or 0)
        dear = price.long if is_long and price.long is not None else price
        calls_usd = (self.calls - 1) * price.call  # one is in what follows
        low = replace(price, long=None).cost_usd(
            self.input_tokens.low, self._cacheable, 0, self.output_tokens.low
        )
        written = self.input_tokens.high if dear.cache_write > dear.input else 0
        high = replace(dear, long=None).cost_usd(
            self.input_tokens.high, 0, written, self.output_tokens.high
        )
        return Range(low + calls_usd, high + calls_usd)
