"""The pilot: the trials that a forecast asks first, and the answers that it goes by."""

from __future__ import annotations

import math
import time
from array import array
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
Places = NDArray[np.int64]


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
        """What these cost at list price; NaN where it is not known."""
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
    """Notes of each answered trial what its calls took, and of all others how many of
    their calls are left; what equals an earlier trial is left out."""

    def __init__(self, pricing: Pricing) -> None:
        self._experiment = pricing.experiment
        self._pricing = pricing
        self._now_s = time.time()
        variants = len(pricing.experiment.effective_variants)
        free = [self._is_free(variant) for variant in range(variants)]
        self._free = [] if all(free) else free
        """Of each variant, whether its calls cost nothing beside those of others."""
        self._variant, self._case = array("q"), array("q")
        self._call_of, self._turn = array("q"), array("q")
        self._taken = {name: array("d") for name in ("usd", "input", "output")}
        self._seen: set[int] = set()
        self._left: dict[tuple[int, int], int] = {}
        self.open = np.zeros(variants, dtype=np.int64)
        """Of each variant, the trials that still have calls to make."""
        self.usd = 0.0
        """What the cached answers cost, each call once; NaN where a price or
        its tokens are not known."""

    def note(self, lookup: TrialLookup) -> None:
        """Notes one trial."""
        rest = lookup.trial // self._experiment.repeats
        case, variant = divmod(rest, len(self.open))
        if lookup.status is TrialStatus.CACHED:
            self._note_answer(lookup, variant, case)
        elif asks := lookup.asks:
            self.open[variant] += 1
            for turn in asks:
                at = variant, turn
                self._left[at] = self._left.get(at, 0) + 1
            for turn in lookup.owns[: -len(asks)]:
                self.usd += self._usd(variant, lookup.heads[turn])

    @property
    def variants(self) -> Places:
        """The variant of each answered trial."""
        return np.asarray(self._variant)

    @property
    def cases(self) -> Places:
        """The case of each answered trial."""
        return np.asarray(self._case)

    @property
    def answers(self) -> Places:
        """How many trials are answered: cases × variants."""
        shape = len(self._experiment.dataset), len(self._experiment.effective_variants)
        places = self.cases * shape[1] + self.variants
        return np.bincount(places, minlength=shape[0] * shape[1]).reshape(shape)

    def took(self, what: str) -> Numbers:
        """What each answered trial took: `usd`, `input` or `output` tokens.

        Where some calls of a variant's other trials need not be made, as they are
        shared with earlier ones, each call counts as much as it is still to be made, so
        that the mean of a variant, times its open trials, is what these will take. NaN
        where such a call has no answer in any trial.
        """
        variants, turns = len(self.open), 1 + max(self._turn, default=0)
        call_of, turn = np.asarray(self._call_of), np.asarray(self._turn)
        place = self.variants[call_of] * turns + turn
        answered = np.bincount(place, minlength=variants * turns)
        weights = self._weights(answered.reshape(variants, turns).astype(float))
        amounts = np.asarray(self._taken[what]) * weights.ravel()[place]
        sums = np.bincount(call_of, amounts, len(self._variant)).astype(float)
        lacking = np.flatnonzero(np.isinf(weights).any(axis=1))
        sums[np.isin(self.variants, lacking)] = np.nan
        return sums

    def _weights(self, answered: Numbers) -> Numbers:
        """How much a call counts, by variant and turn: 1 where every open trial makes
        such a call and every answered one has made it; infinite where none has."""
        left = np.zeros_like(answered)
        for at, count in self._left.items():
            left[at] = count
        open_ = self.open[:, None]
        trials = np.bincount(self.variants, minlength=len(self.open))[:, None]
        with np.errstate(divide="ignore", invalid="ignore"):
            weights = left / open_ * trials / answered
        weights[left == 0] = 0
        return np.where(open_ > 0, weights, 1.0)

    def _note_answer(self, lookup: TrialLookup, variant: int, case: int) -> None:
        identity = int(lookup.key[:15], 16)
        if identity in self._seen:
            return
        self._seen.add(identity)
        place = len(self._variant)
        self._variant.append(variant)
        self._case.append(case)
        for turn, head in enumerate(lookup.heads):
            self._call_of.append(place)
            self._turn.append(turn)
            self._taken["usd"].append(self._usd_today(variant, head))
            self._taken["input"].append(_number(head.input_tokens))
            self._taken["output"].append(_number(head.output_tokens))
            if turn in lookup.owns:
                self.usd += self._usd(variant, head)

    def _usd_today(self, variant: int, head: ReplySummary) -> float:
        """What a call like an answered one would cost now."""
        return self._usd(variant, head._replace(received_s=self._now_s))

    def _usd(self, variant: int, head: ReplySummary) -> float:
        """What an answered call cost; NaN where that is not known."""
        if self._free and self._free[variant] and head.reported_cost_usd is None:
            return 0.0
        return self._pricing.call_usd(variant, head)

    def _is_free(self, variant: int) -> bool:
        context = self._pricing.context_now(variant)
        return is_free(self._pricing.prices.price(context), context)


def _number(tokens: int | None) -> float:
    return float("nan") if tokens is None else float(tokens)
