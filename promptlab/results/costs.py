"""Costs: what the answers of a table cost, and what a run paid for them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from promptlab.money.list_prices import STANDARD_TIERS
from promptlab.money.price import Price
from promptlab.money.prices import Prices
from promptlab.money.reported import SOURCE
from promptlab.results.columns import UNKNOWN, Calls, OutcomeColumns
from promptlab.spec.address import is_local
from promptlab.spec.definition import Definition
from promptlab.spec.response import ReplySummary
from promptlab.spec.usage import HALF_HOUR_S, PriceContext, when

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class UsedPrice:
    """A price that answers were priced with, and what it is of."""

    base_url: str
    model: str
    """The model that was asked."""
    snapshot: str | None
    """The model that answered, as the replies name it."""
    tier: str | None
    """The tier that served, as the replies say."""
    price: Price | None
    """None if no table has one, and if the replies say what they cost."""
    reported: bool = False
    """Whether the replies say what they cost."""

    @property
    def source(self) -> str | None:
        """Who says the cost: a source of prices, or the reply; None if unknown."""
        if self.reported:
            return SOURCE
        return None if self.price is None else self.price.source

    @property
    def missing(self) -> bool:
        """Whether there should be a price: the answers are from elsewhere."""
        return self.source is None and not is_local(self.base_url)

    @property
    def named(self) -> str:
        """The model, and the tier where it is not the usual one, for a message."""
        tier = "" if self.tier in STANDARD_TIERS else f" at tier {self.tier!r}"
        return f"{self.model!r}{tier}"


class Pricing:
    """The prices that an experiment's answers are priced with."""

    def __init__(
        self,
        experiment: Definition,
        prices: Prices | None = None,
        routes: Mapping[str, str] | None = None,
    ) -> None:
        """`routes` says where each model was asked."""
        self.prices = prices or Prices()
        self.experiment = experiment
        self._served = [
            (q.base_url or (routes or {}).get(q.model, ""), q.model)
            for q in experiment.effective_variants
        ]

    def context(
        self, variant: int, model: str | None, tier: str | None, received_s: float
    ) -> PriceContext:
        """The context of a call that a variant made."""
        return PriceContext(*self._served[variant], model, tier, *when(received_s))

    def context_now(self, variant: int) -> PriceContext:
        """The context of a call that the variant would make now."""
        tier = self.experiment.effective_variants[variant].parameters.get(
            "service_tier"
        )
        return self.context(variant, None, tier, time.time())

    def call_context(self, variant: int, reply: ReplySummary) -> PriceContext:
        """The context of a call that the variant made."""
        return self.context(variant, reply.model, reply.service_tier, reply.received_s)

    def call_usd(self, variant: int, reply: ReplySummary) -> float:
        """The cost of a call that the variant made; NaN if unknown."""
        if reply.reported_cost_usd is not None:
            return reply.reported_cost_usd
        return self.prices.cost_usd(self.call_context(variant, reply), reply.usage)


@dataclass(frozen=True)
class CostBreakdown:
    """What trials cost, and at which prices, one trial after the other."""

    cost_usd: np.ndarray
    """What the answers cost at list price; NaN if unknown."""
    billed_usd: np.ndarray
    """What the run paid; NaN if unknown."""
    cached_input_tokens: float
    """Input that the calls the run paid for read from the provider's own cache; NaN
    where a server does not say."""
    prompt_cache_saved_usd: float
    """What that took off what the run paid, less what writing to that cache cost; NaN
    where that is unknown."""
    used: tuple[UsedPrice, ...]
    """The prices of all calls."""
    price_of: np.ndarray
    """The position among them of each last answer's; -1 without an answer."""


def price_calls(
    pricing: Pricing, answers: OutcomeColumns, rows: np.ndarray
) -> CostBreakdown:
    """What the trials of these indexes cost."""
    used = _Used(pricing.prices)
    cost, saved, price_of = _single_calls(pricing, answers, rows, used)
    cached_tokens = np.frombuffer(answers.cached_input_tokens, dtype=np.int64)[rows]
    cached_tokens = np.where(cached_tokens == UNKNOWN, np.nan, cached_tokens)
    cached = np.frombuffer(answers.cached, dtype=bool)[rows]
    answered = np.frombuffer(answers.answered, dtype=bool)[rows]
    billed, saved, cached_tokens = (
        np.where(cached | ~answered, 0.0, amounts)
        for amounts in (cost, saved, cached_tokens)
    )
    for position, variant, calls in _several_calls(pricing, answers, rows):
        each = [
            _call(
                head,
                used.price(
                    pricing.call_context(variant, head),
                    reported=head.reported_cost_usd is not None,
                )[1],
            )
            for head in calls.replies
        ]
        cost[position] = sum(usd for usd, *_ in each) if answered[position] else np.nan
        paid = [call for call, was in zip(each, calls.paid, strict=True) if was]
        sums = np.sum([(0.0, 0.0, 0.0), *paid], axis=0)
        billed[position], saved[position], cached_tokens[position] = sums
    return CostBreakdown(
        cost,
        billed,
        float(cached_tokens.sum()),
        float(saved.sum()),
        tuple(used.positions),
        price_of,
    )


class _Used:
    """The prices that are looked up, each once."""

    def __init__(self, prices: Prices) -> None:
        self.positions: dict[UsedPrice, int] = {}
        self._prices = prices
        self._found: dict[tuple[PriceContext, bool], tuple[int, Price | None]] = {}

    def price(
        self, context: PriceContext, *, reported: bool
    ) -> tuple[int, Price | None]:
        """The position of what prices calls under this context, and the price of their
        tokens by the tables, also if the replies say what they cost."""
        if (found := self._found.get((context, reported))) is None:
            price = self._prices.price(context)
            used = UsedPrice(
                *(
                    context.base_url,
                    context.model,
                    context.snapshot,
                    context.service_tier,
                ),
                None if reported else price,
                reported,
            )
            position = self.positions.setdefault(used, len(self.positions))
            found = self._found[context, reported] = position, price
        return found


def cache_savings(
    experiment: Definition, table: pd.DataFrame
) -> list[tuple[int, int, float]]:
    """What a table's trials took from the cache: for each variant its position, how
    many trials, and what they would have cost in US dollars; NaN if unknown."""
    is_hit = table["cached"].to_numpy() & table["output"].notna().to_numpy()
    hits = table.loc[is_hit, ["trial", "cost_usd"]]
    positions = _variant(experiment, hits["trial"].to_numpy())
    saved = hits["cost_usd"].to_numpy()
    counts = np.bincount(positions)
    sums = np.bincount(positions, weights=saved)
    found = np.flatnonzero(counts)
    return [
        (int(position), int(counts[position]), float(sums[position]))
        for position in found
    ]


def _call(reply: ReplySummary, price: Price | None) -> tuple[float, float, float]:
    """What one call cost, what the provider's cache saved, and the tokens read from it;
    NaN where that is unknown."""
    usage, cost = reply.usage, reply.reported_cost_usd
    cached_tokens = usage.cached_input_tokens
    if price is not None:
        saved = price.prompt_cache_saved_usd(usage)
    else:
        saved = 0.0 if cached_tokens == 0 and not usage.cache_write_tokens else None
    if cost is None and price is not None:
        cost = price.call_usd(usage)
    unknown = float("nan")
    return (
        unknown if cost is None else cost,
        unknown if saved is None else saved,
        unknown if cached_tokens is None else cached_tokens,
    )


def _single_calls(
    pricing: Pricing, answers: OutcomeColumns, rows: np.ndarray, used: _Used
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What each trial cost, as if it were one call, what the provider's cache saved,
    and the position of its price."""
    cost = np.full(len(rows), np.nan)
    price_of = np.full(len(rows), -1, dtype=np.int32)
    input_tokens = np.frombuffer(answers.input_tokens, dtype=np.int64)[rows]
    cached_tokens = np.frombuffer(answers.cached_input_tokens, dtype=np.int64)[rows]
    write_tokens = np.frombuffer(answers.cache_write_tokens, dtype=np.int64)[rows]
    output_tokens = np.frombuffer(answers.output_tokens, dtype=np.int64)[rows]
    reported_usd = np.frombuffer(answers.reported_cost_usd)[rows]
    reported = ~np.isnan(reported_usd)
    priceable = (input_tokens != UNKNOWN) & (output_tokens != UNKNOWN)
    saved = np.where((cached_tokens == 0) & (write_tokens <= 0), 0.0, np.nan)
    counts_known = (cached_tokens != UNKNOWN) & (input_tokens != UNKNOWN)
    cached_tokens = np.maximum(cached_tokens, 0)
    write_tokens = np.maximum(write_tokens, 0)
    for group, context in _groups(pricing, answers, rows):
        for is_reported in (False, True):
            positions = group[reported[group] == is_reported]
            if not len(positions):
                continue
            price_of[positions], price = used.price(context, reported=is_reported)
            if price is None:
                continue
            at = positions[priceable[positions]]
            tokens = (
                input_tokens[at],
                cached_tokens[at],
                write_tokens[at],
                output_tokens[at],
            )
            cost[at] = price.cost_usd(*tokens)
            at = positions[counts_known[positions]]
            nothing, output_or_0 = np.zeros_like(at), np.maximum(output_tokens[at], 0)
            without = price.cost_usd(input_tokens[at], nothing, nothing, output_or_0)
            with_it = price.cost_usd(
                input_tokens[at], cached_tokens[at], write_tokens[at], output_or_0
            )
            saved[at] = without - with_it
    return np.where(reported, reported_usd, cost), saved, price_of


def _groups(
    pricing: Pricing, answers: OutcomeColumns, rows: np.ndarray
) -> Iterator[tuple[np.ndarray, PriceContext]]:
    """The positions among `rows` of the answered trials that share their context."""
    if not len(rows):
        return
    servers = list(answers.servers)
    answered = np.frombuffer(answers.answered, dtype=bool)[rows]
    received_s = np.frombuffer(answers.received_s)[rows]
    server = np.frombuffer(answers.served_by, dtype=np.uint32)[rows].astype(np.int64)
    variant = _variant(pricing.experiment, rows)
    moment = (received_s // HALF_HOUR_S).astype(np.int64)
    moments = int(moment.max(initial=0)) + 1
    codes = (variant * len(servers) + server) * moments + moment
    found, first, where = np.unique(codes, return_index=True, return_inverse=True)
    order = np.argsort(where, kind="stable")
    ends = np.cumsum(np.bincount(where, minlength=len(found)))
    for positions, at in zip(np.split(order, ends[:-1]), first, strict=True):
        if len(positions := positions[answered[positions]]):
            model, tier = servers[server[at]]
            yield positions, pricing.context(variant[at], model, tier, received_s[at])


def _several_calls(
    pricing: Pricing, answers: OutcomeColumns, rows: np.ndarray
) -> Iterator[tuple[int, int, Calls]]:
    if not answers.calls:
        return
    place_of = {int(row): position for position, row in enumerate(rows)}
    for index, calls in list(answers.calls.items()):  # a run may be adding to them
        if index in place_of:
            yield place_of[index], _variant(pricing.experiment, index), calls


Rows = TypeVar("Rows", int, np.ndarray)


def _variant(experiment: Definition, rows: Rows) -> Rows:
    """The position of the variant that a trial asks, or that each of several does."""
    return rows // experiment.repeats % len(experiment.effective_variants)
