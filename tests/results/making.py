"""Results as the runner makes them, from outcomes that a test writes down."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import promptlab as pl
from promptlab.results.columns import OutcomeColumns
from promptlab.spec.response import ReplySummary

Outcome = str | pl.Failure | None
"""An answer, a failure, or None for a trial that was not asked."""

FAILURE = pl.Failure(
    kind="status",
    status=429,
    code="rate_limit_exceeded",
    message="Slow\ndown",
    attempts=6,
    request_id="req_1",
)


RECEIVED_S = 1_790_000_000.0


def head(
    output: str,
    finish_reason: str = "stop",
    tokens: Sequence[int | None] = (10, None, 5, 0, None),
    latency_s: float = 0.25,
    *,
    model: str | None = "m-2026-11-01",
    service_tier: str | None = None,
    received_s: float = RECEIVED_S,
) -> ReplySummary:
    """What the cache says of an answer."""
    times = (latency_s, received_s)
    return ReplySummary(
        output, finish_reason, *tokens, *times, model, service_tier, attempts=1
    )


def experiment(
    dataset: Any = ({"t": "a"}, {"t": "b"}), *, repeats: int = 1, **grid: Any
) -> pl.Experiment:
    """One model, one prompt, two cases, or as said."""
    parameters = {"model": ["m"], "prompt": {"plain": "{{t}}"}, **grid}
    return pl.Experiment("letters", grid=parameters, dataset=dataset, repeats=repeats)


def results(
    experiment: pl.Experiment,
    outcomes: Sequence[Outcome] | None = None,
    *,
    finish_reason: str = "stop",
    cached: Sequence[int] = (),
    **more: Any,
) -> pl.Results:
    """What a run gave; each answer took 10 + 5 tokens and a quarter of a second."""
    answers = OutcomeColumns(len(experiment))
    outcomes = ["yes"] * len(experiment) if outcomes is None else outcomes
    for index, outcome in enumerate(outcomes):
        if isinstance(outcome, pl.Failure):
            answers.fail(index, outcome)
        elif outcome is not None:
            answers.put(
                *(index, [head(outcome, finish_reason)], f"key{index}"),
                paid=[index not in cached],
            )
    return pl.Results(experiment, answers, **more)
