"""The plan: what a run would do, before it does it."""

from __future__ import annotations

import functools
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from promptlab.execution.cache import OUTPUT_TOKENS, open_cache
from promptlab.execution.settings import Settings
from promptlab.execution.survey import Finding, Standing, survey
from promptlab.money.amounts import dollars, thousands
from promptlab.money.estimate import ZERO, Estimate, Range
from promptlab.money.tokens import message_tokens
from promptlab.spec.address import is_local
from promptlab.spec.experiment import Experiment
from promptlab.spec.markup import card, escaped, facts, quiet

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, repr=False)
class Plan:
    """What a run of an experiment would do now."""

    experiment: Experiment
    standings: bytes
    """Of each trial its `Standing`, in order: one byte each."""
    calls: int
    """The calls that it would make if all go well; failures repeat some."""
    input_tokens: Range
    """About what those calls would send, at least and at most: an estimate."""
    output_tokens: Range
    """What they would be answered with: at most max_tokens, infinite without it."""
    cost_usd: Range
    """What they would cost at list price; NaN where a price is not known. Calls on
    this machine that have none are left out, where there are others."""
    unpriced: tuple[str, ...] = ()
    """The models elsewhere that are to be called, and whose price is not known."""

    @cached_property
    def counts(self) -> Counter[str]:
        """How many trials are `cached`, `new` and `duplicate`."""
        found = Counter(self.standings)
        return Counter({s.name.lower(): found[s.value] for s in Standing})

    @property
    def table(self) -> pd.DataFrame:
        """One row for each trial: what it asks, and its `standing`."""
        import numpy as np
        import pandas as pd

        from promptlab.results.table import trial_columns

        rows = np.arange(len(self.standings), dtype=np.int64)
        names = pd.Index([s.name.lower() for s in Standing], dtype="str")
        codes = np.frombuffer(self.standings, dtype=np.int8)
        standing = pd.Categorical.from_codes(codes, names)
        return pd.DataFrame(
            {**trial_columns(self.experiment, rows), "standing": standing}, copy=False
        )

    @property
    def models(self) -> dict[str, int]:
        """How many new trials each model of the experiment has."""
        each = self.experiment.repeats
        step = len(self.experiment.questions) * each
        found = dict.fromkeys((q.model for q in self.experiment.questions), 0)
        for place, question in enumerate(self.experiment.questions):
            for start in range(place * each, (place + 1) * each):
                new = self.standings[start::step].count(Standing.NEW)
                found[question.model] += new
        return found

    def __repr__(self) -> str:
        return f"Plan({self.experiment.name!r}: {self.headline})"

    def _repr_html_(self) -> str:
        return plan_html(self)

    @property
    def headline(self) -> str:
        """The counts in one line."""
        counts = self.counts
        trials = len(self.standings)
        return (
            f"{trials:,} trial{'' if trials == 1 else 's'}: "
            f"{counts['cached']:,} cached, {counts['new']:,} new, "
            f"{counts['duplicate']:,} duplicates; "
            f"{_calls(self.calls)} to make" + (f", for {self.cost}" * self._costs)
        )

    @property
    def tokens(self) -> str:
        """About how many tokens the calls take, in words."""
        read, written = self.input_tokens, self.output_tokens
        least, most = thousands(read.low), thousands(read.high)
        inward = f"{least} to {most}" if least != most else least
        if math.isinf(written.high):
            return f"{inward} in, any number out: max_tokens would bound it"
        return f"{inward} in, at most {thousands(written.high)} out"

    @property
    def cost(self) -> str:
        """About what the calls cost, in words."""
        low, high = self.cost_usd
        if low != low:
            if not self.unpriced:
                return "nothing: the models are on this machine"
            return f"not known: {', '.join(self.unpriced)} without a list price"
        if math.isinf(high):
            return f"{dollars(low)} or more: max_tokens would bound it"
        return f"{dollars(low)} to {dollars(high)}" if high else dollars(0)

    @property
    def _costs(self) -> bool:
        low, high = self.cost_usd
        return low == low and high > 0


def plan(experiment: Experiment, **options: Any) -> Plan:
    """What a run with these options would do: nothing is called, no key is needed.

    Raises:
        SpecError: an option is wrong, or a prompt fails on some case.
        CacheError: the cache cannot be read.
    """
    settings = Settings.of(options)
    reads = settings.use_cache and not settings.refresh
    cache = open_cache(settings.cache) if reads else None
    standings = bytearray()
    estimates = [
        Estimate(most_output(question.parameters)) for question in experiment.questions
    ]
    for group in survey(settings.requests(experiment), cache):
        standings.extend(finding.standing for finding in group)
        if not settings.offline:
            for finding in group:
                if finding.asks:
                    place = finding.trial // experiment.repeats % len(estimates)
                    _add_calls(estimates[place], finding)
    pricing = settings.pricing(experiment)
    terms = [pricing.terms_now(place) for place in range(len(estimates))]
    priced = [pricing.prices.price(of) for of in terms]
    costs = [e.cost_usd(price) for e, price in zip(estimates, priced, strict=True)]
    billed = [
        cost
        for of, price, cost in zip(terms, priced, costs, strict=True)
        if price is not None or not is_local(of.base_url)
    ]
    unpriced = [
        of.model
        for of, price, estimate in zip(terms, priced, estimates, strict=True)
        if estimate.calls and price is None and not is_local(of.base_url)
    ]
    return Plan(
        experiment,
        bytes(standings),
        calls=sum(estimate.calls for estimate in estimates),
        input_tokens=_sum(estimate.input_tokens for estimate in estimates),
        output_tokens=_sum(estimate.output_tokens for estimate in estimates),
        cost_usd=_sum(billed or costs),
        unpriced=tuple(dict.fromkeys(unpriced)),
    )


def plan_html(plan: Plan) -> str:
    """The counts, the models that are asked, tokens and dollars."""
    rows = [("trials", _standings(plan)), ("calls", _asked(plan))]
    if plan.calls:
        rows += [("tokens", escaped(plan.tokens)), ("cost", escaped(plan.cost))]
    title = f"Plan of {escaped(plan.experiment.name)}"
    return card(title, escaped(plan.experiment.size), facts(rows))


BAR = (("new", "#3b7dd8"), ("cached", "#7fb58a"), ("duplicate", "#b8b8b8"))
"""The standings as a bar shows them; their numbers stand beside it."""

MODELS = 10


def _standings(plan: Plan) -> str:
    total = len(plan.standings)
    counts = plan.counts
    parts = "".join(
        f"<span style='display:inline-block;height:100%;background:{colour};"
        f"width:{100 * counts[name] / total:.2f}%'></span>"
        for name, colour in BAR
        if counts[name]
    )
    told = " · ".join(
        f"<span style='border-bottom:2px solid {colour}'>{counts[name]:,} {name}</span>"
        for name, colour in BAR
        if counts[name] or name == "new"
    )
    return (
        "<span style='display:inline-block;width:160px;height:8px;margin-right:10px;"
        "border-radius:4px;overflow:hidden;white-space:nowrap;font-size:0'>"
        f"{parts}</span>{told}"
    )


def _asked(plan: Plan) -> str:
    if not plan.calls:
        return "none: every answer is there"
    asked = [f"{escaped(m, 60)} ({new:,})" for m, new in plan.models.items() if new]
    if len(asked) > MODELS:
        asked[MODELS:] = [f"and {len(asked) - MODELS:,} more"]
    return f"{plan.calls:,} {quiet('to ' + ', '.join(asked))}"


def _calls(number: int) -> str:
    return "1 call" if number == 1 else f"{number:,} calls"


def most_output(parameters: Mapping[str, Any]) -> float:
    """The most tokens that an answer may have; infinite where nothing bounds it."""
    cap = parameters.get("max_tokens") or parameters.get("max_completion_tokens")
    return float(cap or math.inf)


def _add_calls(estimate: Estimate, finding: Finding) -> None:
    said = [
        message_tokens([message["content"] for message in turn])
        for turn in finding.turns
    ]
    replies = [head[OUTPUT_TOKENS] for head in finding.heads]
    replies += [None] * (len(said) - len(replies))
    for turn in finding.asks:
        estimate.add(said[: turn + 1], replies[:turn])


def _sum(ranges: Iterable[Range]) -> Range:
    return functools.reduce(lambda total, more: total.plus(*more), ranges, ZERO)
