"""Designs: cases dealt to variants so that few answers tell much."""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from promptlab.stats.designs import deal


def dealt(
    cases: int, variants: int, wanted: int, repeats: int = 1, seed: int = 0
) -> list[tuple[int, int, int]]:
    return deal(
        np.ones((cases, variants, repeats), dtype=bool),
        np.zeros((cases, variants), dtype=np.int64),
        np.full(variants, wanted),
        np.random.default_rng(seed),
    )


@given(st.integers(1, 30), st.integers(1, 12), st.integers(1, 5), st.integers(0, 99))
def test_each_case_is_used_about_equally_often(
    cases: int, variants: int, wanted: int, seed: int
) -> None:
    found = dealt(cases, variants, wanted, seed=seed)

    used = Counter(case for case, _, _ in found)
    of_variant = Counter(variant for _, variant, _ in found)
    assert len(set(found)) == len(found)
    assert set(of_variant.values()) == {min(wanted, cases)}
    if wanted <= cases:
        assert max(used.values()) - min(used[case] for case in range(cases)) <= 1


def test_variants_get_different_cases() -> None:
    cases = [case for case, _, _ in dealt(cases=200, variants=72, wanted=2)]

    assert len(set(cases)) == 144


def test_repeats_come_when_a_variant_has_been_asked_all_cases() -> None:
    found = dealt(cases=3, variants=1, wanted=5, repeats=2)

    assert sorted(found)[:5] == sorted(found)
    assert Counter(case for case, _, _ in found[:3]) == {0: 1, 1: 1, 2: 1}
    assert [repeat for _, _, repeat in found] == [0, 0, 0, 1, 1]


def test_a_seed_deals_the_same_and_another_does_not() -> None:
    assert dealt(50, 4, 2) == dealt(50, 4, 2)
    assert dealt(50, 4, 2) != dealt(50, 4, 2, seed=1)


def test_what_is_not_open_is_not_dealt_and_who_needs_none_gets_none() -> None:
    open_ = np.ones((4, 3, 1), dtype=bool)
    open_[:3, 0] = False
    none = np.zeros((4, 3), dtype=np.int64)

    found = deal(open_, none, np.array([2, 0, 2]), np.random.default_rng(0))

    assert [variant for _, variant, _ in found] == [0, 2, 2]
    assert found[0] == (3, 0, 0)


def test_cases_with_answers_come_last() -> None:
    answers = np.zeros((4, 2), dtype=np.int64)
    answers[:2, 0] = 1  # the first variant has been asked the first two cases

    found = deal(
        np.ones((4, 2, 1), dtype=bool), answers, np.array([0, 2]),
        np.random.default_rng(0),
    )  # fmt: skip

    assert {case for case, _, _ in found} == {2, 3}
