"""Budgets: how much may still be spent while the price of what is in flight is open.

The most that a call can take is reserved before it is sent, and settled by what it
took: so the sum of what is spent and what is reserved never exceeds a budget, however
many calls are in flight.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from promptlab.errors import SpecError, a_number, brief
from promptlab.formats import dollars, thousands
from promptlab.money.own_prices import to_be_given
from promptlab.money.price import PER_MILLION, Price
from promptlab.money.prices import is_free
from promptlab.spec.usage import PriceContext


class Spend(NamedTuple):
    """What one or more calls take."""

    usd: float = 0.0
    tokens: float = 0.0
    """Of input and output together."""

    def plus(self, other: Spend) -> Spend:
        """Both together."""
        return Spend(self.usd + other.usd, self.tokens + other.tokens)

    def beyond(self, other: Spend) -> Spend:
        """What it is more than another, in each unit."""
        return Spend(
            max(self.usd - other.usd, 0.0), max(self.tokens - other.tokens, 0.0)
        )

    @property
    def counted(self) -> Spend:
        """The same, but nothing of a unit in which nothing bounds it: no sum could hold
        it, and where that unit is limited, the call is not made."""
        if math.isfinite(self.usd + self.tokens):  # as nearly always
            return self
        return Spend(*(part if math.isfinite(part) else 0.0 for part in self))


@dataclass(frozen=True)
class BudgetLimits:
    """What may be spent; infinite where nothing is said."""

    usd: float = math.inf
    tokens: float = math.inf

    @property
    def any(self) -> bool:
        """Whether anything is limited."""
        return self.usd < math.inf or self.tokens < math.inf

    def exceeded(self, taken: Spend, most: Spend) -> str:
        """The unit, `usd` or `tokens`, that does not allow a call which takes so much
        at most beside what is taken, but for errors of the arithmetic; empty if the
        call may be made. A unit of which it takes nothing allows it."""
        then = taken.plus(most)
        if most.usd and then.usd > self.usd * (1 + ROUNDING):
            return "usd"
        return "tokens" if most.tokens and then.tokens > self.tokens else ""


def check_amount(name: str, value: Any, *, whole: bool = False) -> None:
    """Refuses what is no limit of a budget; None is one that limits nothing.

    Raises:
        SpecError: it is not a finite number from 0, or not a `whole` one.
    """
    if value is None:
        return
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not 0 <= value < math.inf or (whole and value % 1):
        expected = a_number(0, whole=whole)
        raise SpecError(f"{name}: expected {expected}, got {brief(value)}")


GO_ON = "run it again with a larger one to go on"

ROUNDING = 1e-9
"""A share of a budget that sums of floats may be off by; less than any call costs."""


def in_words(most: float, how: Callable[[float], str]) -> str:
    """What a call takes at most, as a message says it."""
    return how(most) if math.isfinite(most) else "any amount"


class Budget:
    """What one run may spend, has spent, and has reserved."""

    def __init__(self, limits: BudgetLimits) -> None:
        self.limits = limits
        self.spent = Spend()
        self.taken = Spend()
        """What is spent and what is reserved, together."""

    def reserve(self, most: Spend) -> bool:
        """Reserves what a call takes at most, if there is so much left."""
        if self.limits.exceeded(self.taken, most):
            return False
        self.taken = self.taken.plus(most.counted)
        return True

    def settle(self, most: Spend, took: Spend) -> None:
        """Replaces what was reserved for a call by what it took."""
        self.spent = self.spent.plus(took)
        most = most.counted
        self.taken = Spend(
            self.taken.usd - most.usd + took.usd,
            self.taken.tokens - most.tokens + took.tokens,
        )

    def says(self, most: Spend) -> str:
        """That the budget is reached, by what, and what the next call asks for."""
        if self.limits.exceeded(self.taken, most) == "usd":
            return (
                f"budget_usd of {dollars(self.limits.usd)} is reached: "
                f"{dollars(self.spent.usd)} spent, and the next call may cost "
                f"{in_words(most.usd, dollars)}; {GO_ON}"
            )
        return (
            f"budget_tokens of {thousands(self.limits.tokens)} is reached: "
            f"{thousands(self.spent.tokens)} spent, and the next call may take "
            f"{in_words(most.tokens, thousands)}; {GO_ON}"
        )


def most_usd(price: Price, input_tokens: int, output_tokens: float) -> float:
    """What a call of at most so many tokens costs at most, in US dollars: all of its
    input at the highest rate, which is most often that of writing it to the provider's
    cache."""
    here = (
        input_tokens if price.long_from is None else min(input_tokens, price.long_from)
    )
    given = output_tokens * price.output if price.output else 0.0
    most = price.call + PER_MILLION * (
        here * max(price.input, price.cached_input, price.cache_write) + given
    )
    if price.long is None or here == input_tokens:
        return most
    return max(most, most_usd(price.long, input_tokens, output_tokens))


def check_bounded(
    limits: Sequence[BudgetLimits],
    price: Price | None,
    context: PriceContext,
    given: float,
) -> None:
    """Refuses calls, whose answers have at most `given` tokens, that no budget can be
    kept for.

    Raises:
        SpecError: dollars are limited and the price is not known; or an answer may
            have any length.
    """
    in_dollars = any(of.usd < math.inf for of in limits) and not is_free(price, context)
    in_tokens = any(of.tokens < math.inf for of in limits)
    if in_dollars and price is None:
        raise SpecError(
            f"budget: no price is known for {context.model!r}, so dollars cannot be "
            f"counted; {to_be_given(context.model)}"
        )
    most = most_usd(price, 0, given) if in_dollars and price is not None else 0.0
    if math.isinf(most) or (in_tokens and math.isinf(given)):
        raise SpecError(
            f"budget: without max_tokens an answer of {context.model!r} may have any "
            "length, and cost any amount; add it to the grid, such as max_tokens=[1000]"
        )


def uncounted(free: Iterable[str], *, own: bool) -> str:
    """That a budget in dollars, the run's own or the project's, does not count the
    calls of models on this machine that have no price."""
    models = list(dict.fromkeys(free))
    one = len(models) == 1
    budget = "budget_usd" if own else "the project's budget"
    return (
        f"{budget} counts nothing for "
        f"{', '.join(map(repr, models))}: {'it is' if one else 'they are'} on this "
        f"machine, and {'has' if one else 'have'} no price; give one in prices= if "
        f"{'it costs' if one else 'they cost'} something"
    )
