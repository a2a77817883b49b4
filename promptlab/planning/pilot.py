"""The pilot: the trials that a forecast asks first."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from promptlab.errors import SpecError
from promptlab.execution.options import RunOptions
from promptlab.formats import counted
from promptlab.money.estimate import Range
from promptlab.planning.cost_range import CostRange
from promptlab.planning.known import ObservedCosts
from promptlab.planning.plan import Plan, cost_in_words, looked_up_trials, planned
from promptlab.spec.definition import Definition
from promptlab.stats.designs import deal
from promptlab.store.lookup import TrialLookup, TrialStatus


@dataclass(frozen=True)
class Pilot:
    """The trials that a forecast asks first, and what they may cost."""

    trials: frozenset[int]
    """Their indexes."""
    calls: int
    """The calls that they make if all go well."""
    cost_usd: Range
    """What these cost at list price, at least and at most; NaN where it is not
    known."""
    unpriced: tuple[str, ...] = ()
    """The models elsewhere that they ask, and whose price is not known."""
    free: tuple[str, ...] = ()
    """The models on this machine that they ask, and that have no price."""

    @property
    def costs_nothing(self) -> bool:
        """Whether the calls cost nothing, as far as prices are known."""
        return not self.calls or (math.isnan(self.cost_usd.low) and not self.unpriced)

    def __str__(self) -> str:
        trials = counted(len(self.trials), "trial")
        cost = cost_in_words(self.cost_usd, self.unpriced, self.free)
        return f"{trials}, {counted(self.calls, 'call')}; cost: {cost}"


def choose(
    experiment: Definition, pilot: int = 2, *, seed: int = 0, **options: Any
) -> Pilot:
    """The trials that `forecast` would ask; nothing is called.

    Raises:
        SpecError: an option is wrong, or a prompt fails on some case.
        CacheError: the cache cannot be read.
    """
    run_options = pilot_options(options)
    plan, known = looked_up(experiment, run_options)
    trials = choose_pilot_trials(plan, known, pilot, seed)
    cost_range = CostRange(experiment, run_options)
    for trial in trials:
        turns = experiment.trials[trial].turns
        owns = range(len(turns))
        cost_range.add(TrialLookup(trial, TrialStatus.NEW, "", turns=turns, owns=owns))
    return Pilot(
        frozenset(trials),
        cost_range.calls,
        cost_range.cost_usd,
        cost_range.unpriced,
        cost_range.free,
    )


def pilot_options(options: Mapping[str, Any]) -> RunOptions:
    """The options of a pilot, whose answers must stay in the cache."""
    run_options = RunOptions.of(options)
    if run_options.refresh or run_options.offline or not run_options.use_cache:
        raise SpecError(
            "a forecast buys answers and keeps them in the cache, so it goes with none "
            "of refresh=True, offline=True and use_cache=False; leave them out: with "
            "pilot=0 nothing is bought"
        )
    return run_options


def looked_up(
    experiment: Definition, options: RunOptions
) -> tuple[Plan, ObservedCosts]:
    """What a run would do now, and what is known of what it takes."""
    known = ObservedCosts(experiment, options.pricing(experiment))
    lookups = known.noting(looked_up_trials(experiment, options))
    return planned(experiment, options, lookups), known


def choose_pilot_trials(
    plan: Plan, known: ObservedCosts, pilot: int, seed: int
) -> list[int]:
    """The indexes of the trials that give so many answers to each variant that has
    calls left to make."""
    if isinstance(pilot, bool) or not isinstance(pilot, int) or pilot < 0 or pilot == 1:
        raise SpecError(
            "pilot, how many answers of each variant there shall be: expected "
            f"an integer >= 2, or 0 to go by what is there, got {pilot!r}"
        )
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise SpecError(f"seed: expected an integer >= 0, got {seed!r}")
    answers = known.answers
    cases, variants = answers.shape
    repeats = plan.experiment.repeats
    statuses = np.frombuffer(plan.statuses, dtype=np.uint8)
    new = (statuses == TrialStatus.NEW).reshape(cases, variants, repeats)
    missing = np.where(known.open > 0, pilot - answers.sum(axis=0), 0)
    return [
        (case * variants + variant) * repeats + repeat
        for case, variant, repeat in deal(
            new, answers, missing, np.random.default_rng(seed)
        )
    ]
