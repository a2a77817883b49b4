"""Applying scorers: to results, and what changed since they were scored before."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any

import numpy as np

from promptlab.errors import SpecError, did_you_mean
from promptlab.execution.engine import Engine
from promptlab.execution.options import RunOptions
from promptlab.results.flags import FLAGS
from promptlab.results.results import Results
from promptlab.results.schema import EXPLANATION
from promptlab.results.scores import ScoreColumn
from promptlab.scoring.checks import case_checks
from promptlab.scoring.judge import together
from promptlab.scoring.judgements import Judging
from promptlab.scoring.named import made
from promptlab.scoring.rows import Rows
from promptlab.scoring.scorer import Scorer, Scores
from promptlab.spec.dataset import CHECKS, REPLY_COLUMNS, RESULT_COLUMNS
from promptlab.spec.definition import Definition

MADE = ("inputs", "json", "messages", "record", "table", "tool_calls")
"""Arguments of a scorer that are no columns of the table."""

SUMMARY = ("trials", "answered", "failed", *FLAGS, "prompt_cache_hit")
"""What a summary counts."""


def checked_scorers(given: Iterable[Any], definition: Definition) -> tuple[Scorer, ...]:
    """The scorers of an experiment, and `passed` where its cases have checks.

    Raises:
        SpecError: one is wrong, or needs what no row has, or two have one name.
    """
    scorers = [made(one) for one in given]
    dataset = definition.dataset
    if CHECKS in dataset.metadata:
        checks = case_checks(dataset)
        if all(scorer.name != checks.name for scorer in scorers):
            scorers.append(checks)
    columns = (
        *("model", "prompt", *definition.grid.parameters, *dataset.fields),
        *(("expected",) if dataset.has_expected else ()),
        *(*dataset.metadata, *RESULT_COLUMNS, *REPLY_COLUMNS),
    )
    names: set[str] = set()
    for scorer in scorers:
        _check_needs(scorer, columns, dataset.name)
        if scorer.fits is not None:
            scorer.fits(definition)
        if scorer.name in columns or scorer.name in SUMMARY:
            where = "table" if scorer.name in columns else "summary"
            raise SpecError(
                f"score {scorer.name!r}: the {where} has another column of this name; "
                "name= gives the scorer another"
            )
        if scorer.name in names:
            raise SpecError(
                f"two scorers are called {scorer.name!r}; name= gives one another name"
            )
        names |= {scorer.name, f"{scorer.name}{EXPLANATION}"}
    return tuple(scorers)


def score(
    results: Results,
    given: Sequence[Any] = (),
    options: Mapping[str, Any] | None = None,
    engine: Engine | None = None,
) -> Results:
    """The results with the scores of these scorers, or of the experiment's own; judges
    are asked through an engine, by default one with these options."""
    if len(given) == 1 and isinstance(given[0], (list, tuple)):
        given = given[0]
    scorers: Sequence[Scorer] = results.experiment.scorers
    if given:
        own = {scorer.name for scorer in map(made, given)}
        scorers = [
            scorer
            for scorer in checked_scorers(given, results.experiment)
            if scorer.name in own
        ]
    if not scorers:
        raise SpecError(
            "the experiment has no scorers; give some, such as "
            "results.score(scorers.exact())"
        )
    places = np.flatnonzero(results.table["output"].notna()).tolist()
    columns: dict[str, ScoreColumn] = {}
    name = results.experiment.name
    with closing(Judging(engine, name, RunOptions(**(options or {})))) as judging:
        rows = Rows(
            results.table.iloc[places],
            results.experiment.dataset.fields,
            lambda place: results[places[place]],
            judging,
            judging.vectors,
        )
        for scorer in scorers:
            before = judging.cost_usd
            scores = scorer.evaluate(rows)
            usd = judging.cost_usd - before if scorer.judges else math.nan
            for key, column in _columns(scorer, scores, places, len(results)).items():
                judges = scores.judges.get(key, scorer.judges)
                columns[f"{scorer.name}_{key}" if key else scorer.name] = replace(
                    column,
                    judged_by=together(judges),
                    judging_usd=usd * len(judges) / max(len(scorer.judges), 1),
                    note=scores.notes.get(key, ""),
                )
    scored = results.with_scores(columns)
    if judging.calls or judging.cached:
        scored.totals = results.totals.with_judgements(
            judging.calls, judging.cached, judging.billed_usd
        )
    return scored


def _columns(
    scorer: Scorer, scores: Scores, places: Sequence[int], length: int
) -> dict[str, ScoreColumn]:
    """The columns of what a scorer gave the rows at these places: one, called "", or
    one for each member where it gives mappings."""
    keys = dict.fromkeys(
        key for value in scores.values if isinstance(value, dict) for key in value
    )
    if not keys:
        pairs = list(zip(scores.values, scores.explanations, strict=True))
        return {"": _column(scorer, pairs, places, length)}
    columns = {}
    for key in keys:
        pairs = [
            value.get(key, (None, None)) if isinstance(value, dict) else (None, why)
            for value, why in zip(scores.values, scores.explanations, strict=True)
        ]
        columns[key] = _column(scorer, pairs, places, length)
    return columns


def _column(
    scorer: Scorer,
    pairs: Sequence[tuple[Any, str | None]],
    places: Sequence[int],
    length: int,
) -> ScoreColumn:
    values: list[Any] = [None] * length
    explanations: list[str | None] = [None] * length
    for place, (value, explanation) in zip(places, pairs, strict=True):
        values[place], explanations[place] = value, explanation
    kinds = {type(value) for value in values if value is not None}
    threshold, lower = scorer.threshold, scorer.lower_is_better
    if kinds == {bool}:
        threshold, lower = 1.0, False
    return ScoreColumn(
        values,
        explanations if any(explanations) else None,
        threshold=None if str in kinds else threshold,
        lower_is_better=lower,
    )


def _check_needs(scorer: Scorer, columns: Sequence[str], dataset: str) -> None:
    for need in scorer.needs:
        if need in columns or need in MADE:
            continue
        if need == "expected":
            raise SpecError(
                f"scorer {scorer.name!r} needs 'expected', which no case of {dataset} "
                "has; add that column, or say what to compare with: a value, or "
                "another column by to="
            )
        known = sorted({*columns, *MADE})
        raise SpecError(
            f"scorer {scorer.name!r} needs {need!r}, which no row has"
            + (did_you_mean(need, known) or f"; valid names: {', '.join(known)}")
        )
