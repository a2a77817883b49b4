"""The preflight: what no budget can be kept for is refused, before the first call."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable

from promptlab.errors import PromptlabWarning
from promptlab.execution.options import RunOptions
from promptlab.money.budget import BudgetLimits, check_bounded, uncounted
from promptlab.money.prices import is_free
from promptlab.spec.definition import Definition


def check_run(
    experiment: Definition,
    options: RunOptions,
    of_project: Iterable[BudgetLimits],
    trials: Iterable[int],
) -> None:
    """Refuses, where there is a budget, what it cannot be kept for, and warns of models
    that it does not count.

    Raises:
        SpecError: dollars are limited and a price is not known, or an answer may have
            any length.
    """
    limits = [options.limits, *of_project]
    if not any(of.any for of in limits):
        return
    pricing = options.pricing(experiment)
    each, variants = experiment.repeats, experiment.effective_variants
    free = []
    for place in sorted({trial // each % len(variants) for trial in trials}):
        context = pricing.context_now(place)
        price = pricing.prices.price(context)
        check_bounded(limits, price, context, variants[place].parameters)
        if is_free(price, context):
            free.append(context.model)
    if free and any(math.isfinite(of.usd) for of in limits):
        own = math.isfinite(options.limits.usd)
        warnings.warn(uncounted(free, own=own), PromptlabWarning, stacklevel=2)
