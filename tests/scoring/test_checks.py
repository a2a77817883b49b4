"""Scorers made of others, and the checks of one case."""

from __future__ import annotations

from typing import Any

import pytest

import promptlab as pl
from promptlab import scorers
from promptlab.results.record import Score
from promptlab.scoring.checks import case_checks

from .given import rows, score, scores, value


def unclear(output: str) -> None:
    return None


@pytest.mark.parametrize(
    ("scorer", "right"),
    [
        (scorers.not_(scorers.contains("a")), False),
        (scorers.not_("exact"), True),
        (scorers.all_of(scorers.contains("a"), {"contains": "b"}), True),
        (scorers.all_of(scorers.contains("a"), {"contains": "x"}), False),
        (scorers.any_of(scorers.contains("x"), {"contains": "b"}), True),
        (scorers.any_of(scorers.contains("x"), {"contains": "y"}), False),
        (scorers.not_(unclear), None),
        (scorers.all_of({"contains": "a"}, unclear), None),
        (scorers.all_of({"contains": "x"}, unclear), False),
        (scorers.any_of({"contains": "a"}, unclear), True),
        (scorers.any_of({"contains": "x"}, unclear), None),
        (scorers.all_of(scorers.length(threshold=3)), False),
        (scorers.not_(scorers.length(threshold=3)), True),
    ],
    ids=range(13),
)
def test_scorers_are_made_of_others(scorer: scorers.Scorer, right: bool | None) -> None:
    assert value(scorer, "a b", "c") is right


def test_what_failed_is_named() -> None:
    both = scorers.all_of({"contains_all": ["a", "x"]}, {"contains": "b"})

    assert score(both, "a b") == Score(
        False, "1 of 2; failed: contains_all (missing: 'x')"
    )


def test_a_number_without_a_threshold_is_neither_right_nor_wrong() -> None:
    found = score(scorers.all_of(scorers.length()), "a")

    assert found == Score(None, "length gives 1: a threshold= says what is right")


def test_weights_decide_how_much_a_scorer_counts() -> None:
    total = scorers.weighted(
        scorers.contains("a", weight=3), scorers.contains("x"), threshold=0.7
    )

    assert value(total, "a") == 0.75
    assert total.passes(0.75) is True


def test_a_missing_part_makes_the_weighted_mean_missing() -> None:
    total = scorers.weighted({"contains": "a"}, unclear)

    assert score(total, "a") == Score(None, "unclear: missing")


def test_a_composite_needs_at_least_one_scorer() -> None:
    with pytest.raises(pl.SpecError, match=r"all_of takes one scorer or more"):
        scorers.all_of()


CHECKS: list[Any] = [
    [{"contains": "a"}, {"not-contains": "b"}],
    [{"contains": "x"}, "exact"],
    None,
    {"icontains": "A"},
    '[{"contains": "a"}]',
    [{"contains": {"value": "x", "weight": 0}}, {"contains": "a"}],
]


def test_each_row_is_scored_by_the_checks_of_its_own_case() -> None:
    table = rows(["a"] * 6, expected=["a"] * 6, checks=CHECKS)
    cases = [{"id": str(n), "checks": checks} for n, checks in enumerate(CHECKS)]

    found = scores(case_checks(pl.Dataset(cases, metadata=["checks"])), table)

    assert [s.value for s in found] == [True, False, None, True, True, True]
    assert found[1].explanation == "1 of 2; failed: contains: x"
    assert found[5].explanation == (
        '1 of 2; failed: contains: {"value":"x","weight":0}'
    )


def test_wrong_checks_are_refused_with_their_case() -> None:
    dataset = pl.Dataset(
        [{"id": "a", "checks": [{"contians": "x"}]}], name="d", metadata=["checks"]
    )

    with pytest.raises(
        pl.SpecError, match="d, case 'a', checks: no scorer is called 'contians'; did"
    ):
        case_checks(dataset)
