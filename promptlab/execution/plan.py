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
from promptlab.money.amounts import dollars
from promptlab.money.estimate import ZERO, Estimate, Range
from promptlab.money.tokens import message_tokens
from promptlab.spec.experiment import Experiment

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
    """What they would cost at list price; NaN where a price is not known."""

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

    def __repr__(self) -> str:
        return f"Plan({self.experiment.name!r}: {self.headline})"

    @property
    def headline(self) -> str:
        """The counts in one line."""
        counts = self.counts
        calls = "1 call" if self.calls == 1 else f"{self.calls:,} calls"
        trials = len(self.standings)
        return (
            f"{trials:,} trial{'' if trials == 1 else 's'}: "
            f"{counts['cached']:,} cached, {counts['new']:,} new, "
            f"{counts['duplicate']:,} duplicates; "
            f"{calls} to make{self._cost}"
        )

    @property
    def _cost(self) -> str:
        low, high = self.cost_usd
        if high == 0 or low != low:
            return ""
        if math.isinf(high):
            return f", for {dollars(low)} or more: max_tokens would bound it"
        return f", for {dollars(low)} to {dollars(high)}"


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
    return Plan(
        experiment,
        bytes(standings),
        calls=sum(estimate.calls for estimate in estimates),
        input_tokens=_sum(estimate.input_tokens for estimate in estimates),
        output_tokens=_sum(estimate.output_tokens for estimate in estimates),
        cost_usd=_sum(
            estimate.cost_usd(pricing.prices.price(pricing.terms_now(place)))
            for place, estimate in enumerate(estimates)
        ),
    )


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
