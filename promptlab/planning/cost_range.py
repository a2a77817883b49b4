"""The cost range: what calls to come may take, at least and at most."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from promptlab.money.estimate import ZERO, Estimate, Range
from promptlab.money.images import Patches, Tiles, image_rule, media_tokens
from promptlab.money.price import Price
from promptlab.money.prices import is_free
from promptlab.money.tokens import PER_REPLY, Observations, counter_for
from promptlab.results.costs import Pricing
from promptlab.spec.content import text_in
from promptlab.spec.prompt import Turn
from promptlab.spec.request import most_output
from promptlab.spec.response import ReplySummary
from promptlab.store.lookup import TrialLookup


@dataclass(frozen=True)
class _VariantCalls:
    """The calls to come of one variant."""

    server: tuple[str, str]
    """The base URL and the model."""
    price: Price | None
    free: bool
    """Whether they cost nothing unless replies say otherwise."""
    observed: Observations
    """How the server counted so far; shared by the variants of a model there."""
    estimate: Estimate
    images: Tiles | Patches | None
    """The rule by which the model counts images."""


class CostRange:
    """Sums what the calls of an experiment may take, and learns from answered ones how
    each model's server counts."""

    def __init__(self, pricing: Pricing) -> None:
        self._repeats = pricing.experiment.repeats
        self._reporting: set[tuple[str, str]] = set()
        """The base URLs and models whose replies say what they cost."""
        self.not_counted: Counter[str] = Counter()
        """What the calls send whose tokens are not known, such as `image by URL`."""
        observed: dict[tuple[str, str], Observations] = {}
        self._variants = []
        for index, variant in enumerate(pricing.experiment.effective_variants):
            context, sent = pricing.context_now(index), variant.parameters
            server = context.base_url, context.model
            if server not in observed:
                observed[server] = Observations(counter_for(context.model))
            price, seen = pricing.prices.price(context), observed[server]
            estimate = Estimate(most_output(sent), seen.counter.tool_tokens(sent))
            free, images = is_free(price, context), image_rule(context.model)
            calls = _VariantCalls(server, price, free, seen, estimate, images)
            self._variants.append(calls)

    def add(self, lookup: TrialLookup) -> None:
        """Adds the calls that a trial asks."""
        of = self._variant(lookup)
        sent, unknown = _tokens_of(lookup.turns, of)
        replies = [_repeated(head) for head in lookup.heads]
        replies += [None] * (len(sent) - len(replies))
        for turn in lookup.asks:
            of.estimate.add(sent[: turn + 1], replies[:turn])
            for media in unknown[: turn + 1]:
                self.not_counted.update(media)

    def learn(self, lookup: TrialLookup) -> None:
        """Compares what the server counted of a cached trial's first call, and notes
        whether it says what calls cost."""
        of, reply = self._variant(lookup), lookup.heads[0]
        if reply.reported_cost_usd is not None:
            self._reporting.add(of.server)
        if of.observed.wants_next() and reply.input_tokens:
            (sent,), (unknown,) = _tokens_of(lookup.turns[:1], of)
            if not unknown:
                sent += PER_REPLY + of.estimate.tool_tokens
                of.observed.add(sent, reply.input_tokens)

    @property
    def calls(self) -> int:
        """How many calls there are."""
        return sum(of.estimate.calls for of in self._variants)

    @property
    def loads(self) -> dict[tuple[str, str], tuple[int, float]]:
        """By base URL and model, the number of calls, and the fewest tokens they count
        with against a limit."""
        found: dict[tuple[str, str], tuple[int, float]] = {}
        for of in self._called:
            calls, tokens = found.get(of.server, (0, 0.0))
            more = of.estimate.charged_tokens(of.observed.calibration)
            found[of.server] = calls + of.estimate.calls, tokens + more
        return found

    @property
    def input_tokens(self) -> Range:
        """About what they send."""
        return _sum(
            of.estimate.input_tokens(of.observed.calibration) for of in self._variants
        )

    @property
    def output_tokens(self) -> Range:
        """What they are answered with: at most max_tokens, infinite without it."""
        return _sum(of.estimate.output_tokens for of in self._variants)

    @property
    def cost_usd(self) -> Range:
        """What they cost at list price; NaN if a price is unknown. Calls on this
        machine without a price are left out if there are others."""
        billed = [of for of in self._variants if not self._is_free(of)]
        return _sum(
            of.estimate.cost_usd(of.price, of.observed.calibration)
            for of in billed or self._variants
        )

    @property
    def unpriced(self) -> tuple[str, ...]:
        """The models that are called, cost something, and have no known price."""
        lacking = (of for of in self._called if of.price is None)
        return _models(of for of in lacking if not self._is_free(of))

    @property
    def free(self) -> tuple[str, ...]:
        """The models on this machine that are called and have no price."""
        return _models(of for of in self._called if self._is_free(of))

    @property
    def counting(self) -> dict[str, str]:
        """How the tokens sent to each model that is called were counted."""
        return {of.server[1]: str(of.observed.calibration) for of in self._called}

    @property
    def _called(self) -> list[_VariantCalls]:
        return [of for of in self._variants if of.estimate.calls]

    def _is_free(self, of: _VariantCalls) -> bool:
        return of.free and of.server not in self._reporting

    def _variant(self, lookup: TrialLookup) -> _VariantCalls:
        return self._variants[lookup.trial // self._repeats % len(self._variants)]


def _tokens_of(
    turns: Sequence[Turn], of: _VariantCalls
) -> tuple[list[int], list[Counter[str]]]:
    """The tokens of the messages of each turn, and what each has that is not
    counted."""
    tokens, unknown = [], []
    for turn in turns:
        contents = [message["content"] for message in turn]
        sent, media = (
            of.observed.counter.messages(map(text_in, contents)),
            Counter[str](),
        )
        for content in contents:
            if not isinstance(content, str):
                more, others = media_tokens(content, of.images)
                sent += more
                media += others
        tokens.append(sent)
        unknown.append(media)
    return tokens, unknown


def _repeated(reply: ReplySummary) -> int | None:
    """The tokens of an answer that later calls repeat: without its reasoning."""
    if reply.output_tokens is None:
        return None
    return max(reply.output_tokens - (reply.reasoning_tokens or 0), 0)


def _models(variants: Iterable[_VariantCalls]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(of.server[1] for of in variants))


def _sum(ranges: Iterable[Range]) -> Range:
    return functools.reduce(lambda total, more: total.plus(*more), ranges, ZERO)
