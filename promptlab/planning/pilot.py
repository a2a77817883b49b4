"""The pilot: the trials that a forecast asks first, and the answers it is based on."""

from __future__ import annotations

import math
import time
from array import array
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from promptlab.errors import SpecError
from promptlab.execution.options import RunOptions
from promptlab.formats import counted
from promptlab.money.estimate import Range
from promptlab.money.prices import is_free
from promptlab.planning.cost_range import CostRange
from promptlab.planning.plan import Plan, cost_in_words, planned
from promptlab.results.costs import Pricing
from promptlab.spec.definition import Definition
from promptlab.spec.response import ReplySummary
from promptlab.stats.designs import deal
from promptlab.store.lookup import TrialLookup, TrialStatus

Numbers = NDArray[np.float64]
Indexes = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Pilot:
    """The trials that a forecast asks first, and what they may cost."""

    trials: tuple[int, ...]
    """Their indexes."""
    cost: CostRange
    """What their calls take, at least and at most."""
    plan: Plan
    """What a run would do before the pilot."""
    observed: ObservedCosts = field(repr=False)
    """The answers that are cached before it."""
    options: RunOptions = field(repr=False)

    @property
    def calls(self) -> int:
        """The calls that they make if all go well."""
        return self.cost.calls

    @property
    def cost_usd(self) -> Range:
        """What these cost at list price; NaN if that is unknown."""
        return self.cost.cost_usd

    @property
    def costs_nothing(self) -> bool:
        """Whether the calls cost nothing, as far as prices are known."""
        unknown = math.isnan(self.cost_usd.low)
        return not self.calls or (unknown and not self.cost.unpriced)

    def __str__(self) -> str:
        trials, calls = counted(len(self.trials), "trial"), counted(self.calls, "call")
        cost = cost_in_words(self.cost_usd, self.cost.unpriced, self.cost.free)
        return f"{trials}, {calls}; cost: {cost}"


def choose(
    experiment: Definition, options: RunOptions, pilot: int = 2, *, seed: int = 0
) -> Pilot:
    """The trials that a forecast asks; nothing is called. `forecast` takes it in place
    of the number of answers.

    Raises:
        SpecError: an option is wrong, or a prompt fails on some case.
        CacheError: the cache cannot be read.
    """
    _check_options(options)
    pricing = options.pricing(experiment)
    plan, observed = look_up_costs(experiment, options)
    trials = choose_pilot_trials(plan, observed, pilot, seed)
    cost = CostRange(pricing)
    for trial in trials:
        turns = experiment.trials[trial].turns
        owns = range(len(turns))
        cost.add(TrialLookup(trial, TrialStatus.NEW, "", turns=turns, owns=owns))
    return Pilot(
        trials=tuple(trials),
        cost=cost,
        plan=plan,
        observed=observed,
        options=options,
    )


def _check_options(options: RunOptions) -> None:
    """Refuses options with which a pilot's answers would not stay in the cache."""
    if options.refresh or options.offline or not options.use_cache:
        raise SpecError(
            "a forecast buys answers and keeps them in the cache, so refresh=True, "
            "offline=True and use_cache=False are not possible; pilot=0 buys nothing"
        )


def look_up_costs(
    experiment: Definition, options: RunOptions
) -> tuple[Plan, ObservedCosts]:
    """What a run would do now, and what the cached answers took."""
    pricing = options.pricing(experiment)
    observed = ObservedCosts(pricing)
    return planned(experiment, options, pricing, observed.note), observed


def choose_pilot_trials(
    plan: Plan, observed: ObservedCosts, pilot: int, seed: int
) -> list[int]:
    """The indexes of the trials that give so many answers to each variant that has
    calls left to make."""
    if isinstance(pilot, bool) or not isinstance(pilot, int) or pilot < 0 or pilot == 1:
        raise SpecError(
            "pilot: expected an integer >= 2 (answers for each variant) or 0 (cached "
            f"answers only), got {pilot!r}"
        )
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise SpecError(f"seed: expected an integer >= 0, got {seed!r}")
    answers = observed.answers
    cases, variants = answers.shape
    repeats = plan.experiment.repeats
    statuses = np.frombuffer(plan.statuses, dtype=np.uint8)
    new = (statuses == TrialStatus.NEW).reshape(cases, variants, repeats)
    missing = np.where(observed.open > 0, pilot - answers.sum(axis=0), 0)
    return [
        (case * variants + variant) * repeats + repeat
        for case, variant, repeat in deal(
            new, answers, missing, np.random.default_rng(seed)
        )
    ]


class ObservedCosts:
    """What the calls of answered trials took, and how many calls of the others are
    left; what equals an earlier trial is left out."""

    def __init__(self, pricing: Pricing) -> None:
        self._experiment, self._pricing = pricing.experiment, pricing
        self._now_s = time.time()
        variants = len(pricing.experiment.effective_variants)
        contexts = [pricing.context_now(variant) for variant in range(variants)]
        free = [is_free(pricing.prices.price(one), one) for one in contexts]
        self._free = [] if all(free) else free
        """Of each variant, whether its calls cost nothing beside those of others."""
        self._calls = array("d")
        """Of each answered call, one after the other, the `FIELDS`."""
        self._seen: set[int] = set()
        self._left: Counter[tuple[int, int]] = Counter()
        """By variant and turn, the calls that are left."""
        self.open = np.zeros(variants, dtype=np.int64)
        """Of each variant, the trials that still have calls to make."""
        self.usd = 0.0
        """What the cached answers cost, each call once; NaN if a price or its tokens
        are unknown."""

    def note(self, lookup: TrialLookup) -> None:
        """Notes one trial."""
        rest = lookup.trial // self._experiment.repeats
        case, variant = divmod(rest, len(self.open))
        asks = lookup.asks
        if lookup.status is not TrialStatus.CACHED:
            paid = lookup.owns[: -len(asks)] if asks else ()
            self.open[variant] += bool(asks)
            self._left.update((variant, turn) for turn in asks)
        elif (identity := int(lookup.key[:15], 16)) in self._seen:
            return
        else:
            paid = lookup.owns
            trial = len(self._seen)
            self._seen.add(identity)
            for turn, head in enumerate(lookup.heads):
                # What such a call would cost now, not what it did cost.
                usd = self._usd(variant, head._replace(received_s=self._now_s))
                tokens = _number(head.input_tokens), _number(head.output_tokens)
                self._calls.extend((trial, variant, case, turn, usd, *tokens))
        for turn in paid:
            self.usd += self._usd(variant, lookup.heads[turn])

    @property
    def variants(self) -> Indexes:
        """The variant of each answered trial."""
        return self._of_trials("variant")

    @property
    def cases(self) -> Indexes:
        """The case of each answered trial."""
        return self._of_trials("case")

    @property
    def answers(self) -> Indexes:
        """How many trials are answered: cases × variants."""
        shape = len(self._experiment.dataset), len(self.open)
        cells = self.cases * shape[1] + self.variants
        return np.bincount(cells, minlength=shape[0] * shape[1]).reshape(shape)

    def took(self, what: str) -> Numbers:
        """What each answered trial took: `usd`, `input` or `output` tokens.

        Calls that a variant's other trials need not make, as they share them with
        earlier ones, count as much as they are still to be made: so the mean of a
        variant, times its open trials, is what these will take. NaN if such a call has
        no answer in any trial.
        """
        trial, variant, turn = (
            self._column(name).astype(int) for name in ("trial", "variant", "turn")
        )
        variants, turns = len(self.open), 1 + turn.max(initial=0)
        cell = variant * turns + turn
        answered = np.bincount(cell, minlength=variants * turns)
        weights = self._weights(answered.reshape(variants, turns).astype(float))
        amounts = self._column(what) * weights.ravel()[cell]
        sums = np.bincount(trial, amounts, len(self._seen)).astype(float)
        lacking = np.flatnonzero(np.isinf(weights).any(axis=1))
        sums[np.isin(self.variants, lacking)] = np.nan
        return sums

    def _weights(self, answered: Numbers) -> Numbers:
        """How much a call counts, by variant and turn: 1 if every open trial makes such
        a call and every answered one has made it; infinite if none has."""
        left = np.zeros_like(answered)
        for at, count in self._left.items():
            left[at] = count
        open_ = self.open[:, None]
        trials = np.bincount(self.variants, minlength=len(self.open))[:, None]
        with np.errstate(divide="ignore", invalid="ignore"):
            weights = left / open_ * trials / answered
        weights[left == 0] = 0
        return np.where(open_ > 0, weights, 1.0)

    def _column(self, name: str) -> Numbers:
        return np.asarray(self._calls).reshape(-1, len(FIELDS))[:, FIELDS.index(name)]

    def _of_trials(self, name: str) -> Indexes:
        values: Indexes = self._column(name)[self._column("turn") == 0].astype(int)
        return values

    def _usd(self, variant: int, head: ReplySummary) -> float:
        """What an answered call cost; NaN if that is unknown."""
        if self._free and self._free[variant] and head.reported_cost_usd is None:
            return 0.0
        return self._pricing.call_usd(variant, head)


FIELDS = ("trial", "variant", "case", "turn", "usd", "input", "output")


def _number(tokens: int | None) -> float:
    return math.nan if tokens is None else float(tokens)
