"""Estimates: what calls that have not been made yet may take, at least and at most."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from promptlab.money.price import Price
from promptlab.money.tokens import ERROR, PER_REPLY, Calibration

PROMPT_CACHE_FROM = 1024
"""Tokens of a prompt from which OpenAI may read it from its own cache."""


class Range(NamedTuple):
    """The least and the most; the most is infinite where nothing bounds it."""

    low: float
    high: float

    def plus(self, low: float, high: float) -> Range:
        """Both ends, each with so much added."""
        return Range(self.low + low, self.high + high)


ZERO = Range(0, 0)


@dataclass
class Estimate:
    """What calls with one and the same bound on their answers may take."""

    most_output: float
    """max_tokens; infinite where it is not given."""
    tool_tokens: int = 0
    """Tokens of what each call sends beside its messages: tools and schemas, as JSON.
    Servers write them more briefly."""
    calls: int = 0
    _sent: float = field(default=0.0, repr=False)
    """Tokens of the messages, as they are counted beforehand."""
    _replied: Range = field(default=ZERO, repr=False)
    """Tokens of the replies among them, known or still to come."""
    _cacheable: float = field(default=0.0, repr=False)
    _cacheable_replied: float = field(default=0.0, repr=False)
    """The least of both in prompts long enough for the provider's cache."""
    _longest: tuple[float, float] = field(default=(0.0, 0.0), repr=False)
    """The most tokens of messages that a call sends, and of replies."""

    def add(self, turns: Sequence[float], replies: Sequence[int | None]) -> None:
        """Adds a call after some turns: the tokens that each turn says, and those of
        the replies so far, None for a reply that is still to come."""
        sent = sum(turns) + PER_REPLY
        least = most = 0.0
        if replies:
            known = sum([reply for reply in replies if reply is not None])
            to_come = replies.count(None)
            least = known + to_come
            most = known + (to_come * self.most_output if to_come else 0)
            self._replied = self._replied.plus(least, most)
        self.calls += 1
        self._sent += sent
        if (sent + self.tool_tokens) * (1 + ERROR) + most >= PROMPT_CACHE_FROM:
            self._cacheable += sent
            self._cacheable_replied += least
        messages, answers = self._longest
        if sent > messages or most > answers:
            self._longest = max(messages, sent), max(answers, most)

    def input_tokens(self, counted: Calibration) -> Range:
        """What they send, when their tokens are counted so."""
        return Range(
            self._least(counted, self._sent, self.calls) + self._replied.low,
            counted.most(self._sent + self.calls * self.tool_tokens)
            + self._replied.high,
        )

    @property
    def output_tokens(self) -> Range:
        """What they are answered with."""
        return Range(self.calls, self.calls * self.most_output) if self.calls else ZERO

    def charged_tokens(self, counted: Calibration) -> float:
        """What they count with at least, against a limit of tokens a minute: the most
        that may be answered, or the prompts (OpenAI, "Rate limits")."""
        bounded = math.isfinite(self.most_output)
        answers = self.calls * self.most_output if bounded else 0.0
        return max(answers, self.input_tokens(counted).low)

    def cost_usd(self, price: Price | None, counted: Calibration) -> Range:
        """What they may cost, in US dollars; NaN where the price is not known."""
        if not self.calls:
            return ZERO
        if price is None:
            return Range(math.nan, math.nan)
        messages, answers = self._longest
        longest = counted.most(messages + self.tool_tokens) + answers
        top = price.at(longest)
        calls_usd = (self.calls - 1) * price.call  # one is in what follows
        sent, answered = self.input_tokens(counted), self.output_tokens
        cached = self._cacheable_replied
        cached += self._least(
            counted, self._cacheable, self.calls * bool(self._cacheable)
        )
        low = replace(price, long=None).cost_usd(sent.low, cached, 0, answered.low)
        written = sent.high if top.cache_write > top.input else 0
        output = answered.high if top.output else 0  # which may be infinite
        high = replace(top, long=None).cost_usd(sent.high, 0, written, output)
        return Range(low + calls_usd, high + calls_usd)

    def _least(self, counted: Calibration, sent: float, calls: int) -> float:
        """The least that so many calls send; what is attached is in it once servers
        have told what they make of it."""
        tool_tokens = calls * self.tool_tokens if counted.calls else 0
        return counted.least(sent + tool_tokens)
