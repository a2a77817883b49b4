"""Prices: those in force, from the user's own table, else the list prices.

An own table wins over the list. A price that neither knows is unknown: the cost is NaN
then, never 0.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any

from promptlab.errors import SpecError, did_you_mean
from promptlab.money.list_prices import STANDARD_TIERS, list_price
from promptlab.money.own_prices import OwnPrice, about, own_price
from promptlab.money.price import Price
from promptlab.spec.address import is_local
from promptlab.spec.usage import PriceContext, Usage

EPOCH = date(1970, 1, 1)

DEARER = "priority"
"""The tier that may serve a call which asks for none."""


@dataclass(frozen=True)
class Prices:
    """The prices in force: own ones, over those of genai-prices."""

    own: Sequence[OwnPrice] = field(default=())

    @classmethod
    def of(cls, given: Prices | Mapping[str, Mapping[str, Any]] | None) -> Prices:
        """Prices from a mapping of models to prices: `{"gpt-6*": {"input": 2, ...}}`,
        in US dollars for a million tokens.

        Raises:
            SpecError: a price is not one.
        """
        if isinstance(given, Prices):
            return given
        if not isinstance(given or {}, Mapping):
            raise SpecError(
                "prices: expected a mapping of models to prices, such as "
                f'{{"gpt-6*": {{"input": 2, "output": 10}}}}, got {given!r:.60}'
            )
        own = []
        for model, line in (given or {}).items():
            with about(str(model)):
                own.append(own_price(model, line))
        return cls(tuple(own))

    def price(self, context: PriceContext) -> Price | None:
        """What such a call costs; None where no table knows."""
        for model in filter(None, (context.model, context.snapshot)):
            if (own := self.own_line(model, context.day)) is not None:
                return own.of_tier(context.service_tier)
        return list_price(context)

    def candidate_prices(self, context: PriceContext) -> Sequence[Price]:
        """The prices that may apply to such a call: a project may
        have a dearer tier as its usual one (OpenAI, "Priority processing"). Empty where
        none is known."""
        tiers = [context.service_tier]
        if context.service_tier in STANDARD_TIERS:
            tiers.append(DEARER)
        found = [self.price(replace(context, service_tier=tier)) for tier in tiers]
        return list(dict.fromkeys(price for price in found if price is not None))

    def cost_usd(self, context: PriceContext, usage: Usage) -> float:
        """What a call cost; NaN, never zero, where its price or tokens are unknown."""
        price = self.price(context)
        cost_usd = None if price is None else price.call_usd(usage)
        return float("nan") if cost_usd is None else cost_usd

    def own_line(self, model: str, day: int) -> OwnPrice | None:
        """The line that names a model, else the first pattern that fits; of several
        with one name, the latest that holds on that day (days since 1970)."""
        today = EPOCH + timedelta(days=day)
        holds = [o for o in self.own if o.valid_from is None or o.valid_from <= today]
        exact = [o for o in holds if o.model == model]
        found = exact or [o for o in holds if _of(o, model)]
        if not found:
            return None
        same = [o for o in found if o.model == found[0].model]
        return max(same, key=lambda o: o.valid_from or date.min)

    def misnamed(self, models: Collection[str]) -> str:
        """That own prices are of none of these models, while some of these have none;
        empty where it is not so: a table may be shared by experiments."""
        lacking = [m for m in models if not any(_of(line, m) for line in self.own)]
        names = [line.model for line in self.own if not _may_be(line, models)]
        if not lacking or not names:
            return ""
        hints = (did_you_mean(name, lacking) for name in names)
        said = ", ".join(map(repr, dict.fromkeys(names)))
        hint = next(filter(None, hints), "")
        return f"prices names {said}, which no model of the grid is{hint}"


def _of(line: OwnPrice, model: str) -> bool:
    return fnmatch.fnmatchcase(model, line.model)


def _may_be(line: OwnPrice, models: Collection[str]) -> bool:
    """Whether a line is of one of the models, or of a snapshot of one, such as
    `gpt-6-luna-2026-09-01`."""
    snapshots = tuple(f"{model}-" for model in models)
    return line.model.startswith(snapshots) or any(_of(line, m) for m in models)


def is_free(price: Price | None, context: PriceContext) -> bool:
    """Whether calls cost nothing: they go to this machine, and no own price says what
    that costs."""
    return price is None and is_local(context.base_url)
