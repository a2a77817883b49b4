"""Calibration: answered calls tell how a server counts, and how surely."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptlab.money.estimate import Estimate
from promptlab.money.tokens import ERROR, ESTIMATE, KEPT, Observations, calibration

PAIRS = st.lists(
    st.tuples(st.integers(1, 10_000), st.integers(1, 10_000)), min_size=1, max_size=60
)


def test_without_an_answer_the_error_is_the_counters_own() -> None:
    found = calibration(ESTIMATE, [])

    assert (found.least(135), found.most(100)) == (100, 135)
    assert str(found) == "estimated, ± 35 %"


@pytest.mark.parametrize("calls", [1, 3, 24, 99])
def test_a_server_that_always_counts_alike_is_soon_believed(calls: int) -> None:
    found = calibration(ESTIMATE, [(100, 120), (1000, 1200)] * calls)

    assert found.factor == pytest.approx(1.2)
    assert found.error == pytest.approx(ERROR / math.sqrt(2 * calls + 1))


def test_one_answer_in_ten_may_be_out_of_the_way() -> None:
    usual, odd = [(1000, 1000 + n) for n in range(19)], (10, 100)

    found = calibration(ESTIMATE, [*usual, odd])

    assert found.error < 0.02 + ERROR / math.sqrt(21)


def test_texts_that_the_estimate_gets_unlike_wrong_widen_it() -> None:
    alike = calibration(ESTIMATE, [(100, 110)] * 50)
    unlike = calibration(ESTIMATE, [(100, 80), (100, 140)] * 25)

    assert unlike.factor == pytest.approx(alike.factor)
    assert unlike.error == pytest.approx(alike.error + 30 / 110)


@given(PAIRS)
def test_the_sum_of_what_was_seen_is_met_and_lies_within(
    pairs: list[tuple[int, int]],
) -> None:
    counted = sum(ours for ours, _ in pairs)
    tokens = sum(theirs for _, theirs in pairs)

    found = calibration(ESTIMATE, pairs)

    assert found.factor * counted == pytest.approx(tokens)
    assert found.least(counted) <= tokens <= found.most(counted)


def test_of_many_answers_some_are_looked_at_from_first_to_last() -> None:
    observed = Observations(ESTIMATE)
    looked_at = []

    for number in range(20 * KEPT):
        if observed.wants_next():
            looked_at.append(number)
            observed.add(100, 100 + number)  # the server counts ever more

    assert len(looked_at) < 4 * KEPT
    assert KEPT // 2 <= observed.calibration.calls <= KEPT
    assert observed.calibration.factor == pytest.approx(1 + 10 * KEPT / 100, rel=0.05)


def test_it_says_how_it_is_known() -> None:
    found = calibration(ESTIMATE, [(100, 104)] * 3)

    assert str(found) == "estimated and corrected by 3 answers, ± 18 %"
    assert "corrected by 1 answer," in str(calibration(ESTIMATE, [(100, 104)]))


def test_tools_count_in_full_only_once_a_server_has_told() -> None:
    estimate = Estimate(most_output=10, tool_tokens=50)
    estimate.add([47], [])

    unknown = estimate.input_tokens(calibration(ESTIMATE, []))
    known = estimate.input_tokens(calibration(ESTIMATE, [(100, 80)] * 1_000_000))

    assert unknown == pytest.approx((50 / 1.35, 100 * 1.35))
    assert known == pytest.approx((80, 80), rel=1e-3)
