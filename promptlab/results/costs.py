"""Costs: what the answers of a table cost, and what a run paid for them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from promptlab.money.list_prices import USUAL
from promptlab.money.price import Price
from promptlab.money.prices import Prices
from promptlab.money.usage import HALF_HOUR_S, Terms, Usage, when
from promptlab.results.answers import UNKNOWN, Answers, Calls
from promptlab.spec.address import is_local
from promptlab.spec.experiment import Experiment


@dataclass(frozen=True)
class UsedPrice:
    """A price that answers were reckoned with, and what it is of."""

    base_url: str
    model: str
    """The model that was asked."""
    snapshot: str | None
    """The model that answered, as the replies name it."""
    tier: str | None
    """The tier that served, as the replies say."""
    price: Price | None
    """None where no table knows."""

    @property
    def missing(self) -> bool:
        """Whether there should be a price: the answers are from elsewhere."""
        return self.price is None and not is_local(self.base_url)

    @property
    def named(self) -> str:
        """The model, and the tier where it is not the usual one, for a message."""
        tier = "" if self.tier in USUAL else f" at tier {self.tier!r}"
        return f"{self.model!r}{tier}"


class Pricing:
    """The prices that an experiment's answers are reckoned with."""

    def __init__(
        self,
        experiment: Experiment,
        prices: Prices | None = None,
        routes: Mapping[str, str] | None = None,
    ) -> None:
        """`routes` says where each model was asked."""
        self.prices = prices or Prices()
        self.experiment = experiment
        self._served = [
            (q.base_url or (routes or {}).get(q.model, ""), q.model)
            for q in experiment.questions
        ]

    def terms(
        self, question: int, model: str | None, tier: str | None, received_s: float
    ) -> Terms:
        """The terms of a call that a question made."""
        return Terms(*self._served[question], model, tier, *when(received_s))

    def terms_now(self, question: int) -> Terms:
        """The terms of a call that the question would make now."""
        tier = self.experiment.questions[question].parameters.get("service_tier")
        return self.terms(question, None, None if tier == "auto" else tier, time.time())

    def call_usd(self, question: int, head: Sequence[Any]) -> float:
        """What one call cost, from what its head says beside the output; NaN where
        that is unknown."""
        _, asked, read, given, reasoned, written, *_ = head
        usage = Usage(asked, read, given, reasoned, written)
        return self.prices.cost_usd(self.call_terms(question, head), usage)

    def call_terms(self, question: int, head: Sequence[Any]) -> Terms:
        """The terms of one call, from what its head says beside the output."""
        *_, received_s, model, tier, _ = head
        return self.terms(question, model, tier, received_s)


def cost_columns(
    pricing: Pricing, answers: Answers, rows: np.ndarray
) -> dict[str, np.ndarray]:
    """For trials of these indexes, `cost_usd` and `billed_usd`; NaN where unknown."""
    cost = _single_calls(pricing, answers, rows)
    cached = np.frombuffer(answers.cached, dtype=bool)[rows]
    answered = np.frombuffer(answers.answered, dtype=bool)[rows]
    billed = np.where(cached | ~answered, 0.0, cost)
    for place, question, calls in _several_calls(pricing, answers, rows):
        each = [pricing.call_usd(question, head) for head in calls.heads]
        cost[place] = sum(each) if answered[place] else np.nan
        billed[place] = sum(c for c, p in zip(each, calls.paid, strict=True) if p)
    return {"cost_usd": cost, "billed_usd": billed}


def used_prices(
    pricing: Pricing, answers: Answers, rows: np.ndarray
) -> tuple[list[UsedPrice], np.ndarray]:
    """The prices that calls of these trials were reckoned with, and the place among
    them of each trial's last answer; -1 where it has none."""
    used: dict[UsedPrice, int] = {}
    places = np.full(len(rows), -1, dtype=np.int32)
    for where, terms in _groups(pricing, answers, rows):
        places[where] = used.setdefault(_used(pricing, terms), len(used))
    of_calls = (
        pricing.call_terms(question, head)
        for _, question, calls in _several_calls(pricing, answers, rows)
        for head in calls.heads
    )
    for terms in dict.fromkeys(of_calls):
        used.setdefault(_used(pricing, terms), len(used))
    return list(used), places


def _used(pricing: Pricing, terms: Terms) -> UsedPrice:
    price = pricing.prices.price(terms)
    return UsedPrice(
        terms.base_url, terms.model, terms.snapshot, terms.service_tier, price
    )


def _single_calls(pricing: Pricing, answers: Answers, rows: np.ndarray) -> np.ndarray:
    """The cost of each trial, as if it were one call."""
    cost = np.full(len(rows), np.nan)
    asked = np.frombuffer(answers.input_tokens, dtype=np.int64)[rows]
    read = np.frombuffer(answers.cached_input_tokens, dtype=np.int64)[rows]
    written = np.frombuffer(answers.cache_write_tokens, dtype=np.int64)[rows]
    given = np.frombuffer(answers.output_tokens, dtype=np.int64)[rows]
    known = (asked != UNKNOWN) & (given != UNKNOWN)
    read, written = np.maximum(read, 0), np.maximum(written, 0)
    for places, terms in _groups(pricing, answers, rows):
        places = places[known[places]]
        if (price := pricing.prices.price(terms)) is not None:
            cost[places] = price.cost_usd(
                *(tokens[places] for tokens in (asked, read, written, given))
            )
    return cost


def _groups(
    pricing: Pricing, answers: Answers, rows: np.ndarray
) -> Iterator[tuple[np.ndarray, Terms]]:
    """The places among `rows` of the answered trials that share their terms."""
    if not len(rows):
        return
    servers = list(answers.servers)
    answered = np.frombuffer(answers.answered, dtype=bool)[rows]
    received_s = np.frombuffer(answers.received_s)[rows]
    server = np.frombuffer(answers.served_by, dtype=np.uint32)[rows].astype(np.int64)
    question = _questions(pricing.experiment, rows)
    moment = (received_s // HALF_HOUR_S).astype(np.int64)
    moments = int(moment.max(initial=0)) + 1
    codes = (question * len(servers) + server) * moments + moment
    found, first, where = np.unique(codes, return_index=True, return_inverse=True)
    order = np.argsort(where, kind="stable")
    ends = np.cumsum(np.bincount(where, minlength=len(found)))
    for places, at in zip(np.split(order, ends[:-1]), first, strict=True):
        if len(places := places[answered[places]]):
            model, tier = servers[server[at]]
            yield places, pricing.terms(question[at], model, tier, received_s[at])


def _several_calls(
    pricing: Pricing, answers: Answers, rows: np.ndarray
) -> Iterator[tuple[int, int, Calls]]:
    if not answers.calls:
        return
    place_of = {int(row): place for place, row in enumerate(rows)}
    for index, calls in list(answers.calls.items()):  # a run may be adding to them
        if index in place_of:
            question = int(_questions(pricing.experiment, np.asarray(index)))
            yield place_of[index], question, calls


def _questions(experiment: Experiment, rows: np.ndarray) -> np.ndarray:
    return rows // experiment.repeats % len(experiment.questions)
