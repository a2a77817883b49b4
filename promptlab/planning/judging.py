"""What judging takes: judgements that are cached and new, their tokens and cost."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from promptlab.formats import dollars, thousands
from promptlab.money.estimate import Range


@dataclass(frozen=True, kw_only=True)
class PlannedJudgements:
    """The judgements of one model that a run would need."""

    model: str
    cached: int
    """Those that were paid for before, of answers that are cached."""
    new: int
    """Those to be asked at most: equal answers that are still to come share one."""
    input_tokens: Range
    """About what the new ones send: rubric, case and answer, which is as long as the
    variant's max_tokens at most."""
    output_tokens: Range
    """What they are answered with: at most the judge's own max_tokens."""
    cost_usd: Range
    """What the new ones cost at list price; NaN if the price is unknown."""
    free: bool = False
    """Whether the model is on this machine and has no price."""

    def __str__(self) -> str:
        new = f"{self.new:,} new"
        if not self.new:
            return f"judgements by {self.model}: {self.cached:,} cached, {new}"
        sent, most = self.input_tokens, self.output_tokens.high
        written = "any number" if math.isinf(most) else f"at most {thousands(most)}"
        tokens = (
            f"{_between(thousands(sent.low), sent.high, thousands)} tokens in, "
            f"{written} out"
        )
        return (
            f"judgements by {self.model}: {self.cached:,} cached, {new} at most, "
            f"{tokens}, {self.cost}"
        )

    def plus(self, more: PlannedJudgements) -> PlannedJudgements:
        """These and more of the same model."""
        return PlannedJudgements(
            model=self.model,
            cached=self.cached + more.cached,
            new=self.new + more.new,
            input_tokens=self.input_tokens.plus(*more.input_tokens),
            output_tokens=self.output_tokens.plus(*more.output_tokens),
            cost_usd=self.cost_usd.plus(*more.cost_usd),
            free=self.free and more.free,
        )

    @property
    def cost(self) -> str:
        """What the new ones cost, in words."""
        low, high = self.cost_usd
        if self.free:
            return "no known price (assumed to be free)"
        if low != low:
            return "cost not known"
        return _between(dollars(low), high, dollars)


def _between(low: str, high: float, written: Callable[[float], str]) -> str:
    if math.isinf(high):
        return f"{low} or more"
    return low if written(high) == low else f"{low} to {written(high)}"
