"""The cost range: what calls to come may take, in tokens and dollars."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence

from promptlab.execution.options import RunOptions
from promptlab.money.calibration import Observations
from promptlab.money.encodings import counter_for
from promptlab.money.estimate import ZERO, Estimate, Range
from promptlab.money.price import Price
from promptlab.money.prices import is_free
from promptlab.money.tokens import PER_REPLY, TokenCounter
from promptlab.spec.definition import Definition
from promptlab.spec.prompt import Turn
from promptlab.spec.request import most_output
from promptlab.spec.response import ReplySummary
from promptlab.spec.usage import PriceContext
from promptlab.store.lookup import TrialLookup


class CostRange:
    """Adds up what the calls of an experiment may take, and learns from answered ones
    how each model's server counts."""

    def __init__(self, experiment: Definition, options: RunOptions) -> None:
        variants = experiment.effective_variants
        seen: dict[tuple[str, str | None], Observations] = {}
        self._repeats = experiment.repeats
        self._models = [variant.model for variant in variants]
        self._observed = [
            seen.setdefault((q.model, q.base_url), Observations(counter_for(q.model)))
            for q in variants
        ]
        self._estimates = [
            Estimate(
                most_output(q.parameters), observed.counter.tool_tokens(q.parameters)
            )
            for q, observed in zip(variants, self._observed, strict=True)
        ]
        pricing = options.pricing(experiment)
        self._contexts = [pricing.context_now(place) for place in range(len(variants))]
        self._reporting: set[tuple[str, str]] = set()
        """The base URLs and models whose replies say what they cost."""
        self._prices = [pricing.prices.price(of) for of in self._contexts]

    def add(self, lookup: TrialLookup) -> None:
        """Adds the calls that a trial asks."""
        place = self._place(lookup)
        said = _said(lookup.turns, self._observed[place].counter)
        replies = [_repeated(head) for head in lookup.heads]
        replies += [None] * (len(said) - len(replies))
        for turn in lookup.asks:
            self._estimates[place].add(said[: turn + 1], replies[:turn])

    def learn(self, lookup: TrialLookup) -> None:
        """Compares what the server counted of a cached trial's first call, and notes
        whether it says what calls cost."""
        place = self._place(lookup)
        if lookup.heads[0].reported_cost_usd is not None:
            of = self._contexts[place]
            self._reporting.add((of.base_url, of.model))
        observed = self._observed[place]
        if observed.wants_next() and (tokens := lookup.heads[0].input_tokens):
            (said,) = _said(lookup.turns[:1], observed.counter)
            tool_tokens = self._estimates[place].tool_tokens
            observed.add(said + PER_REPLY + tool_tokens, tokens)

    @property
    def calls(self) -> int:
        """How many calls there are."""
        return sum(estimate.calls for estimate in self._estimates)

    @property
    def loads(self) -> dict[tuple[str, str], tuple[int, float]]:
        """By base URL and model, how many calls there are, and how many tokens they
        count with at least against a limit."""
        found: dict[tuple[str, str], tuple[int, float]] = {}
        for of, estimate, observed in zip(
            self._contexts, self._estimates, self._observed, strict=True
        ):
            if estimate.calls:
                served = of.base_url, of.model
                calls, tokens = found.get(served, (0, 0.0))
                more = estimate.charged_tokens(observed.calibration)
                found[served] = calls + estimate.calls, tokens + more
        return found

    @property
    def input_tokens(self) -> Range:
        """About what they send."""
        return _sum(
            estimate.input_tokens(observed.calibration)
            for estimate, observed in zip(self._estimates, self._observed, strict=True)
        )

    @property
    def output_tokens(self) -> Range:
        """What they are answered with: at most max_tokens, infinite without it."""
        return _sum(estimate.output_tokens for estimate in self._estimates)

    @property
    def cost_usd(self) -> Range:
        """What they cost at list price; NaN where a price is not known. Calls on this
        machine that have none are left out, where there are others."""
        costs = [
            estimate.cost_usd(price, observed.calibration)
            for estimate, price, observed in zip(
                self._estimates, self._prices, self._observed, strict=True
            )
        ]
        billed = [
            cost
            for cost, price, of in zip(costs, self._prices, self._contexts, strict=True)
            if not self._is_free(price, of)
        ]
        return _sum(billed or costs)

    @property
    def unpriced(self) -> tuple[str, ...]:
        """The models that are called and cost something, and whose price is not
        known."""
        return self._priceless(free=False)

    @property
    def free(self) -> tuple[str, ...]:
        """The models on this machine that are called, and have no price: they are taken
        to cost nothing."""
        return self._priceless(free=True)

    def _priceless(self, *, free: bool) -> tuple[str, ...]:
        found = [
            of.model
            for of, price, estimate in zip(
                self._contexts, self._prices, self._estimates, strict=True
            )
            if estimate.calls and price is None and self._is_free(price, of) is free
        ]
        return tuple(dict.fromkeys(found))

    def _is_free(self, price: Price | None, of: PriceContext) -> bool:
        """Whether calls are taken to cost nothing: they go to this machine, have no
        price, and their replies do not say otherwise."""
        reporting = (of.base_url, of.model) in self._reporting
        return is_free(price, of) and not reporting

    @property
    def counting(self) -> dict[str, str]:
        """Of each model that is called, how the tokens sent to it were counted."""
        return {
            model: str(observed.calibration)
            for model, observed, estimate in zip(
                self._models, self._observed, self._estimates, strict=True
            )
            if estimate.calls
        }

    def _place(self, lookup: TrialLookup) -> int:
        """Of the trial's variant."""
        return lookup.trial // self._repeats % len(self._estimates)


def _said(turns: Sequence[Turn], counter: TokenCounter) -> list[int]:
    return [
        counter.messages([message["content"] for message in turn]) for turn in turns
    ]


def _repeated(head: ReplySummary) -> int | None:
    """The tokens of an answer that later calls repeat: without its reasoning."""
    if head.output_tokens is None:
        return None
    return max(head.output_tokens - (head.reasoning_tokens or 0), 0)


def _sum(ranges: Iterable[Range]) -> Range:
    return functools.reduce(lambda total, more: total.plus(*more), ranges, ZERO)
