"""Checks: scorers made of others, and those that one case has of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Unpack

import orjson

from promptlab.errors import DatasetError, SpecError
from promptlab.formats import plain_text, shortened
from promptlab.results.record import Score
from promptlab.scoring import pairwise, structured, text  # noqa: F401 - they register
from promptlab.scoring.named import Measured, Named, made, named
from promptlab.scoring.rows import Rows
from promptlab.scoring.scorer import Scorer, Scores
from promptlab.spec.dataset import CHECKS, Dataset

Combine = Callable[[Sequence[Scorer], Sequence[Any], Sequence[str | None]], Any]
"""A score from the values and explanations that some scorers gave for one row."""


@named(Named, "not")
def not_(scorer: Any, **options: Unpack[Named]) -> Scorer:
    """Right where another scorer is wrong, and the other way round."""
    inner = made(scorer)

    def combine(
        scorers: Sequence[Scorer], values: Sequence[Any], why: Sequence[str | None]
    ) -> Score:
        passed = _verdict(inner, values[0])
        return Score(None if passed is None else not passed, why[0])

    return _combined([inner], combine, f"not_{inner.name}")


@named(Named)
def all_of(*scorers: Any, **options: Unpack[Named]) -> Scorer:
    """Whether all of some scorers are right."""

    def combine(
        scorers: Sequence[Scorer], values: Sequence[Any], why: Sequence[str | None]
    ) -> Score:
        passed = [_verdict(s, v) for s, v in zip(scorers, values, strict=True)]
        right = False if False in passed else None if None in passed else True
        return Score(right, _failed(scorers, passed, why))

    return _combined(_several("all_of", scorers), combine)


@named(Named)
def any_of(*scorers: Any, **options: Unpack[Named]) -> Scorer:
    """Whether any of some scorers is right."""

    def combine(
        scorers: Sequence[Scorer], values: Sequence[Any], why: Sequence[str | None]
    ) -> Score:
        passed = [_verdict(s, v) for s, v in zip(scorers, values, strict=True)]
        right = True if True in passed else None if None in passed else False
        return Score(right, None if right else _failed(scorers, passed, why))

    return _combined(_several("any_of", scorers), combine)


@named(Measured)
def weighted(*scorers: Any, **options: Unpack[Measured]) -> Scorer:
    """The mean of some scorers, each counted by its `weight`."""
    return _combined(_several("weighted", scorers), _weighted_mean)


def case_checks(dataset: Dataset) -> Scorer:
    """The scorer `passed`: whether all checks of its own case, those in the column
    `checks`, are right for a row. A check of weight 0 is noted, and need not be.

    Raises:
        DatasetError: a check of a case is not valid.
    """

    def evaluate(rows: Rows) -> Scores:
        parts: dict[bytes, tuple[list[int], Any]] = {}
        for place, given in enumerate(rows.column(CHECKS)):
            for check in listed(given):
                places, _ = parts.setdefault(orjson.dumps(check), ([], check))
                places.append(place)
        outcomes: list[list[tuple[Scorer, Any, str | None]]] = [
            [] for _ in range(len(rows))
        ]
        for places, check in parts.values():
            scorer = replace(made(check), name=_described(check))
            scores = scorer.evaluate(rows.take(places))
            for place, *outcome in zip(places, *_own(scores), strict=True):
                outcomes[place].append((scorer, *outcome))
        passed = Scores()
        for outcome in outcomes:
            passed.add(_passed(outcome))
        return passed

    needs = "output", CHECKS
    return _asking(
        _scorers_of_cases(dataset),
        Scorer(name="passed", evaluate=evaluate, needs=needs),
    )


def _passed(outcomes: Sequence[tuple[Scorer, Any, str | None]]) -> Score | None:
    """Whether a row is right, from what its checks gave."""
    if not outcomes:
        return None
    scorers, values, why = zip(*outcomes, strict=True)
    verdicts = [_verdict(s, v) for s, v in zip(scorers, values, strict=True)]
    count = [v for s, v in zip(scorers, verdicts, strict=True) if s.weight]
    right = False if False in count else None if None in count else True
    return Score(right, _failed(scorers, verdicts, why))


def listed(given: Any) -> list[Any]:
    """The checks of one case: a list of scorers as a config writes them, also as JSON;
    or a mapping of them."""
    if isinstance(given, str) and given.lstrip().startswith(("[", "{")):
        try:
            given = orjson.loads(given)
        except orjson.JSONDecodeError as error:
            raise SpecError(f"not valid JSON: {error}") from None
    if given is None:
        return []
    if isinstance(given, Mapping):
        return [{name: value} for name, value in given.items()]
    return list(given) if isinstance(given, (list, tuple)) else [given]


def _scorers_of_cases(dataset: Dataset) -> Iterator[Scorer]:
    """The checks of the cases, each once."""
    seen: set[bytes] = set()
    for case in dataset:
        try:
            for check in listed(case.metadata.get(CHECKS)):
                written = orjson.dumps(check, default=str)
                if written not in seen:
                    seen.add(written)
                    yield made(check)
        except SpecError as error:
            raise DatasetError(
                f"{dataset.name}, case {case.id!r}, checks: {error}"
            ) from None


def _combined(scorers: Sequence[Scorer], combine: Combine, name: str = "") -> Scorer:
    """A scorer that combines what others give for each row."""

    def evaluate(rows: Rows) -> Scores:
        given = [_own(scorer.evaluate(rows)) for scorer in scorers]
        values_of, why_of = zip(*given, strict=True)
        combined = Scores()
        for values, why in zip(
            zip(*values_of, strict=True), zip(*why_of, strict=True), strict=True
        ):
            try:
                result = combine(scorers, values, why)
            except SpecError as error:
                combined.miss(str(error))
            else:
                combined.add(result)
        return combined

    needs = tuple(dict.fromkeys(name for s in scorers for name in s.needs))
    return _asking(scorers, Scorer(name=name, evaluate=evaluate, needs=needs))


def _asking(scorers: Iterable[Scorer], combined: Scorer) -> Scorer:
    """A scorer that asks the models that all of these ask."""
    scorers = list(scorers)
    return replace(
        combined,
        judges=tuple(judge for s in scorers for judge in s.judges),
        embeds=tuple(model for s in scorers for model in s.embeds),
    )


def _own(scores: Scores) -> tuple[list[Any], list[str | None]]:
    """Values and explanations; of mappings that have a score under the scorer's own
    name, as of a panel, that one."""
    pairs = [
        value[""] if isinstance(value, dict) and "" in value else (value, why)
        for value, why in zip(scores.values, scores.explanations, strict=True)
    ]
    return [value for value, _ in pairs], [why for _, why in pairs]


def _several(name: str, scorers: Sequence[Any]) -> list[Scorer]:
    if not scorers:
        raise SpecError(
            f"{name} takes one scorer or more, such as {name}(exact(), ...)"
        )
    return [made(scorer) for scorer in scorers]


def _verdict(scorer: Scorer, value: Any) -> bool | None:
    passed = scorer.passes(value)
    if passed is None and value is not None:
        raise SpecError(
            f"{scorer.name} gives {value!r}: a threshold= says what is right"
        )
    return passed


def _failed(
    scorers: Sequence[Scorer],
    passed: Sequence[bool | None],
    why: Sequence[str | None],
) -> str | None:
    """Which scorers were not right, and why."""
    failed = [
        scorer.name + (f" ({reason})" if reason else "")
        for scorer, right, reason in zip(scorers, passed, why, strict=True)
        if right is not True
    ]
    if not failed:
        return None
    return (
        f"{len(scorers) - len(failed)} of {len(scorers)}; failed: {'; '.join(failed)}"
    )


def _described(check: Any) -> str:
    """A check as a config writes it, for an explanation."""
    if isinstance(check, Mapping) and len(check) == 1:
        ((name, value),) = check.items()
        return shortened(f"{name}: {plain_text(value)}", 80)
    return shortened(plain_text(check), 80)


def _weighted_mean(
    scorers: Sequence[Scorer], values: Sequence[Any], why: Sequence[str | None]
) -> Score:
    for scorer, value, reason in zip(scorers, values, why, strict=True):
        if value is None:
            return Score(None, f"{scorer.name}: {reason or 'missing'}")
        if not isinstance(value, (bool, int, float)):
            raise SpecError(f"{scorer.name} gives no number, but {value!r}")
    total = sum(scorer.weight for scorer in scorers)
    if not total:
        return Score(None, "all weights are 0")
    mean = sum(s.weight * v for s, v in zip(scorers, values, strict=True)) / total
    passed = [
        scorer.passes(v) is not False for scorer, v in zip(scorers, values, strict=True)
    ]
    return Score(mean, _failed(scorers, passed, why))
