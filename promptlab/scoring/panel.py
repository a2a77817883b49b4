"""Panels: several models that judge by one rubric, and how far they agree."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from promptlab.errors import SpecError, brief
from promptlab.formats import coefficient_text, counted
from promptlab.results.record import Score
from promptlab.scoring.judge import PASS, Judge, most_or_mean
from promptlab.scoring.rows import Rows
from promptlab.scoring.scorer import Evaluate, Scores
from promptlab.stats.agreement import krippendorff_interval

MAJORITY = 0.5
"""The least share of passing repeats that is right."""

MOST_DRAWN = 4_000_000
"""How many numbers are drawn at most for an interval."""


def models(given: str | Sequence[str]) -> list[str]:
    """The models of a judge, one or more.

    Raises:
        SpecError: it is a list of one, or with a name twice.
    """
    if not isinstance(given, (list, tuple)):
        return [given]  # type: ignore[list-item]  # checked where a judge is made
    named = [str(one) for one in given]
    if len(named) < 2 or len(set(named)) < len(named):
        raise SpecError(
            f"model: expected the name of a model, or two or more different ones, got "
            f"{brief(named)}"
        )
    return list(given)


def by_panel(judges: Sequence[Judge]) -> Evaluate:
    """Asks several judges about each row: what most say, and what each says."""

    def evaluate(rows: Rows) -> Scores:
        given = [rows.judged(judge) for judge in judges]
        scores = Scores()
        for verdicts in zip(*given, strict=True):
            row: dict[str, Score] = {}
            for name in judges[0].names:
                said = {
                    judge.model: verdict[name]
                    for judge, verdict in zip(judges, verdicts, strict=True)
                }
                row[_key(judges[0], name)] = verdict_of(judges[0], said)
                row |= {_key(judges[0], name, model): s for model, s in said.items()}
            scores.add(row)
        cases = rows.column("case") if "case" in rows else list(range(len(rows)))
        for name in judges[0].names:
            each = [[verdict[name] for verdict in of] for of in given]
            scores.notes[_key(judges[0], name)] = _agreement(judges[0], each, cases)
            for judge in judges:
                scores.judges[_key(judge, name, judge.model)] = (judge,)
        return scores

    return evaluate


def verdict_of(judge: Judge, said: Mapping[str, Score]) -> Score:
    """What a panel says, from what each model said: of pass and fail, and of labels,
    what most say, missing if they are split; of numbers the mean."""
    verdicts = list(said.values())
    if judge.verdicts == PASS:
        verdicts = [
            Score(None if s.value is None else _passes(s), s.explanation)
            for s in verdicts
        ]
    words = [_word(judge, verdict) for verdict in verdicts]
    listed = ", ".join(f"{m}: {w}" for m, w in zip(said, words, strict=True))
    combined = most_or_mean(verdicts)
    value, why = combined.value, combined.explanation
    if judge.verdicts == PASS and value is not None:
        value = None if value == MAJORITY else float(value) > MAJORITY
        why = next((s.explanation for s in verdicts if s.value is value), None)
    if value is None and any(s.value is not None for s in verdicts):
        why = "the judges are split"
    return Score(value, f"[{listed}] {why or ''}".strip())


def _key(judge: Judge, name: str, model: str = "") -> str:
    """What a column is called beside the scorer's own name."""
    return "_".join(filter(None, (name if judge.criteria else "", model)))


def _passes(verdict: Score) -> bool:
    return isinstance(verdict.value, (bool, int, float)) and verdict.value >= MAJORITY


def _word(judge: Judge, verdict: Score) -> str:
    if verdict.value is None:
        return "no verdict"
    if judge.verdicts == PASS:
        return "pass" if verdict.value else "fail"
    if isinstance(verdict.value, str):
        return verdict.value
    return f"{float(verdict.value):g}"


def _agreement(
    judge: Judge, given: Sequence[Sequence[Score]], cases: Sequence[object]
) -> str:
    """How far the judges agree, in words."""
    values = {s.value for of in given for s in of if s.value is not None}
    labels = any(isinstance(value, str) for value in values)
    codes = {value: n for n, value in enumerate(sorted(values, key=str))}

    def number(score: Score) -> float:
        if score.value is None:
            return math.nan
        return float(codes[score.value] if labels else score.value)

    ratings = [[number(score) for score in of] for of in given]
    nominal = labels or values <= {0, 1}
    places: dict[object, int] = {}
    found = krippendorff_interval(
        ratings,
        "nominal" if nominal else "interval",
        [places.setdefault(str(case), len(places)) for case in cases],
        resamples=max(100, min(2_000, MOST_DRAWN // max(len(cases), 1))),
    )
    alpha = coefficient_text("α", *found)
    return f"{counted(len(given), 'judge')}, who agree with each other by {alpha}"
