"""Costs: what the answers of a table cost, and what a run paid for them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from promptlab.money.prices import Prices
from promptlab.money.usage import Terms, Usage
from promptlab.results.answers import UNKNOWN, Answers, Calls
from promptlab.spec.address import is_local
from promptlab.spec.experiment import Experiment

if TYPE_CHECKING:
    import pandas as pd

DAY_S = 86_400


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
        day = int(received_s // DAY_S)
        return Terms(*self._served[question], model, tier, day)

    def terms_now(self, question: int) -> Terms:
        """The terms of a call that the question would make now."""
        tier = self.experiment.questions[question].parameters.get("service_tier")
        return self.terms(question, None, None if tier == "auto" else tier, time.time())

    def call_usd(self, question: int, head: Sequence[Any]) -> float:
        """What one call cost, from what its head says beside the output; NaN where
        that is unknown."""
        _, asked, read, given, reasoned, written, _, received_s, model, tier, _ = head
        usage = Usage(asked, read, given, reasoned, written)
        return self.prices.cost_usd(
            self.terms(question, model, tier, received_s), usage
        )


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


def cache_savings(
    experiment: Experiment, table: pd.DataFrame
) -> list[tuple[int, int, float]]:
    """What a table's trials took from the cache: for each question its place, how many
    trials, and what they would have cost in US dollars; NaN where that is unknown."""
    hits = table.loc[table["cached"].to_numpy() & table["output"].notna().to_numpy()]
    places = _questions(experiment, hits["trial"].to_numpy())
    saved = (hits["cost_usd"] - hits["billed_usd"]).to_numpy()
    counts = np.bincount(places)
    sums = np.bincount(places, weights=saved)
    found = np.flatnonzero(counts)
    return [(int(place), int(counts[place]), float(sums[place])) for place in found]


def unpriced_models(pricing: Pricing, answers: Answers) -> list[str]:
    """The models that answered from elsewhere, and whose price is not known."""
    done = np.flatnonzero(np.frombuffer(answers.answered, dtype=bool))
    missing = {
        terms.model
        for _, terms in _groups(pricing, answers, done)
        if pricing.prices.price(terms) is None and not is_local(terms.base_url)
    }
    return sorted(missing)


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
    day = (received_s // DAY_S).astype(np.int64)
    days = int(day.max(initial=0)) + 1
    codes = (question * len(servers) + server) * days + day
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
