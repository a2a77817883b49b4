"""The plan: what a run would do, before it does it."""

from __future__ import annotations

import functools
import math
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING

from promptlab.execution.loop import running_loop
from promptlab.execution.options import RunOptions
from promptlab.execution.scheduling.limiter import Limiter
from promptlab.formats import counted, dollars, duration, in_tokens, thousands
from promptlab.money.budget import Spend
from promptlab.money.estimate import ZERO, Range
from promptlab.planning.cost_range import CostRange
from promptlab.planning.judging import PlannedJudgements
from promptlab.render.plan_card import plan_card
from promptlab.results.costs import Pricing
from promptlab.spec.definition import Definition
from promptlab.store.cache import open_cache
from promptlab.store.ledger import ledger_to_read
from promptlab.store.lookup import TrialLookup, TrialStatus, look_up

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, repr=False)
class Plan:
    """What a run of an experiment would do now."""

    experiment: Definition
    statuses: bytes
    """Of each trial its `TrialStatus`, in order: one byte each."""
    calls: int
    """The calls that it would make if all go well; failures repeat some."""
    input_tokens: Range
    """About what those calls would send, at least and at most: an estimate."""
    output_tokens: Range
    """What they would be answered with: at most max_tokens, infinite without it."""
    cost_usd: Range
    """What they would cost at list price; NaN if a price is unknown. Calls on this
    machine without a price are left out if there are others."""
    least_s: float = 0.0
    """How long it would take at least within the user's limits and the servers' last
    seen ones, in seconds; 0 if no limit is known."""
    unpriced: tuple[str, ...] = ()
    """The models to be called, not on this machine, whose price is unknown."""
    free: tuple[str, ...] = ()
    """The models on this machine to be called that have no price: assumed to be
    free."""
    budget_notes: tuple[str, ...] = ()
    """Budgets of the project that leave less than the calls may take, one line each."""
    counting: Mapping[str, str] = field(default_factory=dict)
    """How the tokens sent to each model that is to be called were counted, and how far
    off that may be."""
    not_counted: Mapping[str, int] = field(default_factory=dict)
    """What the calls send whose tokens are not known, such as `image by URL`, and how
    often: neither tokens nor cost have it."""
    judging: tuple[PlannedJudgements, ...] = ()
    """What judging the answers takes, by model: beside the calls, their tokens and
    their cost."""

    @cached_property
    def counts(self) -> Counter[str]:
        """How many trials are `cached`, `new` and `duplicate`."""
        found = Counter(self.statuses)
        return Counter({s.name.lower(): found[s.value] for s in TrialStatus})

    @property
    def table(self) -> pd.DataFrame:
        """One row for each trial: what it asks, and its `trial_status`."""
        import numpy as np
        import pandas as pd

        from promptlab.results.table import trial_columns

        rows = np.arange(len(self.statuses), dtype=np.int64)
        names = pd.Index([s.name.lower() for s in TrialStatus], dtype="str")
        codes = np.frombuffer(self.statuses, dtype=np.int8)
        status = pd.Categorical.from_codes(codes, names)
        return pd.DataFrame(
            {**trial_columns(self.experiment, rows), "trial_status": status}, copy=False
        )

    @property
    def models(self) -> dict[str, int]:
        """How many new trials each model of the experiment has."""
        each = self.experiment.repeats
        variants = self.experiment.effective_variants
        step = len(variants) * each
        found = dict.fromkeys((variant.model for variant in variants), 0)
        for start in range(step):
            new = self.statuses[start::step].count(TrialStatus.NEW)
            found[variants[start // each].model] += new
        return found

    def __repr__(self) -> str:
        lines = "; ".join((self.headline, *self.notes))
        return f"Plan({self.experiment.name!r}: {lines})"

    def _repr_html_(self) -> str:
        return plan_card(
            self.experiment.name,
            self.experiment.size,
            counts=self.counts,
            calls=self.calls,
            models=self.models,
            tokens=self.tokens,
            counting=self.counted,
            cost=self.cost,
            time=self.time,
            warnings=self.notes,
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """What the estimate leaves out, and what the project's budgets leave, one line
        each."""
        media = []
        for name, number in self.not_counted.items():
            kind, *more = name.split(" ", 1)
            media.append(" ".join([counted(number, kind), *more]))
        left_out = (f"not counted: {', '.join(media)}",) if media else ()
        embedded = [
            f"then up to {counted(2 * len(self.statuses), 'text')} embedded by "
            f"{model}, which these figures leave out"
            for scorer in self.experiment.scorers
            for model in scorer.embeds
        ]
        return (*left_out, *map(str, self.judging), *embedded, *self.budget_notes)

    @property
    def judgements(self) -> dict[str, int]:
        """How many judgements of each model the scores need at most, cached ones
        included."""
        return {each.model: each.cached + each.new for each in self.judging}

    @property
    def total_usd(self) -> Range:
        """What calls and new judgements cost together, at list price; NaN if a price is
        unknown. Models on this machine without a price are left out if there are
        others."""
        costs = [each.cost_usd for each in self.judging if each.new and not each.free]
        answers = self.cost_usd
        if costs and (not self.calls or (self.free and not self.unpriced)):
            answers = ZERO if answers.low != answers.low else answers
        return functools.reduce(lambda total, more: total.plus(*more), costs, answers)

    @property
    def headline(self) -> str:
        """The counts in one line."""
        counts = self.counts
        return (
            f"{counted(len(self.statuses), 'trial')}: "
            f"{counts['cached']:,} cached, {counts['new']:,} new, "
            f"{counted(counts['duplicate'], 'duplicate')}; "
            f"{counted(self.calls, 'call')} to make"
            + (f", for {self.cost}" * self._costs)
            + (f", in {self.time}" if self.time else "")
            + (f", cost {self.cost}" * bool(self.unpriced))
        )

    @property
    def tokens(self) -> str:
        """About how many tokens the calls take, in words."""
        read, written = self.input_tokens, self.output_tokens
        least = thousands(read.low)
        most = "any number" if math.isinf(read.high) else thousands(read.high)
        inward = f"{least} to {most}" if least != most else least
        if math.isinf(written.high):
            return f"{inward} in, any number out (max_tokens is not set)"
        return f"{inward} in, at most {thousands(written.high)} out"

    @property
    def counted(self) -> str:
        """How the tokens to be sent were counted, in words."""
        ways = dict.fromkeys(self.counting.values())
        if len(ways) == 1:
            return next(iter(ways))
        return "; ".join(f"of {model} {way}" for model, way in self.counting.items())

    @property
    def cost(self) -> str:
        """About what the calls cost, in words."""
        return cost_in_words(self.cost_usd, self.unpriced, self.free)

    @property
    def time(self) -> str:
        """How long the limits make it take at least, in words; empty if they do not."""
        return f"{duration(self.least_s)} or more" if self.least_s >= 1 else ""

    @property
    def _costs(self) -> bool:
        low, high = self.cost_usd
        return low == low and high > 0


def plan(experiment: Definition, options: RunOptions) -> Plan:
    """What a run with these options would do: nothing is called, no key is needed.

    Raises:
        SpecError: an option is wrong, or a prompt fails on some case.
        CacheError: the cache cannot be read.
    """
    return planned(experiment, options, options.pricing(experiment))


def check_plan(plan: Plan, options: RunOptions) -> None:
    """Refuses what a run with these options would refuse once it is to call.

    Raises:
        SpecError: a budget cannot be kept, the run's or the project's.
    """
    if not plan.calls:
        return
    new = (i for i, one in enumerate(plan.statuses) if one == TrialStatus.NEW)
    with ledger_to_read() as ledger:
        options.check_budgets(plan.experiment, ledger.budgets().values(), new)


def planned(
    experiment: Definition,
    options: RunOptions,
    pricing: Pricing,
    note: Callable[[TrialLookup], None] = lambda _: None,
) -> Plan:
    """What a run would do; each trial is looked up, and given to `note`."""
    reads = options.use_cache and not options.refresh
    cache = open_cache(options.cache) if reads else None
    statuses = bytearray()
    cost_range = CostRange(pricing)
    for lookup in chain.from_iterable(look_up(options.requests(experiment), cache)):
        statuses.append(lookup.status)
        if lookup.status is TrialStatus.CACHED:
            cost_range.learn(lookup)
        elif lookup.owns and not options.offline:
            cost_range.add(lookup)
        note(lookup)
    most = Spend(
        cost_range.cost_usd.high,
        cost_range.input_tokens.high + cost_range.output_tokens.high,
    )
    return Plan(
        experiment,
        bytes(statuses),
        calls=cost_range.calls,
        budget_notes=tuple(_shortages(most)) if cost_range.calls else (),
        input_tokens=cost_range.input_tokens,
        output_tokens=cost_range.output_tokens,
        cost_usd=cost_range.cost_usd,
        unpriced=cost_range.unpriced,
        free=cost_range.free,
        counting=cost_range.counting,
        not_counted=dict(cost_range.not_counted),
        least_s=_least_s(options, cost_range),
    )


def _shortages(most: Spend) -> Iterator[str]:
    """The budgets of the project that leave less than calls take at most."""
    with ledger_to_read() as ledger:
        statuses = ledger.budget_statuses(time.time())
    for status in statuses:
        limits, left = status.limits, status.left
        for limit, rest, wanted, written in (
            (limits.usd, left.usd, most.usd, dollars),
            (limits.tokens, left.tokens, most.tokens, in_tokens),
        ):
            if wanted > rest:
                yield (
                    f"the project's budget of {written(limit)} a {status.period} "
                    f"leaves {written(rest)}: the run may stop there"
                )


def cost_in_words(cost_usd: Range, unpriced: Sequence[str], free: Sequence[str]) -> str:
    """What calls cost, at least and at most, or why that is unknown; `free` are the
    models on this machine without a price."""
    low, high = cost_usd
    if low != low:
        if not unpriced:
            return "no known price (models on this machine are assumed to be free)"
        return f"not known: no price for {', '.join(unpriced)}"
    beside = without(free)
    if math.isinf(high):
        return f"{dollars(low)} or more{beside} (max_tokens is not set)"
    return (f"{dollars(low)} to {dollars(high)}" if high else dollars(0)) + beside


def without(free: Sequence[str]) -> str:
    """A note that a cost leaves out these models; empty without any."""
    return f", without {', '.join(free)} (no known price)" if free else ""


def _least_s(options: RunOptions, cost_range: CostRange) -> float:
    """How long the calls take at least, each model within its limits."""
    now = time.monotonic()
    own = Limiter(now)
    own.bound(options.rpm, options.tpm, now)
    waits = [0.0]
    loop = running_loop()
    for served, load in cost_range.loads.items():
        waits.append(own.least_s(*load, now))
        pool = loop.limiters.known(*served) if loop is not None else None
        waits.append(pool.limiter.servers_least_s(*load, now) if pool else 0.0)
    return max(waits)
