"""What repeats have in common."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from promptlab.stats.stability import (
    agreement,
    outcomes,
    pass_at_k,
    pass_hat_k,
    repeat_deviation,
)

OUTPUTS = [["a", "a", "a"], ["a", "b", "a"], ["b", "b", "b"], ["a", "b", "c"]]
PARSED = [["1", "1", "1"], ["1", "1", "1"], ["2", "2", "2"], ["1", "2", "3"]]


def test_total_agreement_of_outputs_and_of_parsed_answers() -> None:
    raw, parsed = agreement(OUTPUTS), agreement(PARSED)

    assert raw.all_equal.mean() == 0.5
    assert parsed.all_equal.mean() == 0.75
    assert raw.pairwise == pytest.approx([1, 1 / 3, 1, 0])
    assert raw.pairwise.mean() == pytest.approx(0.58333333)
    assert raw.entropy[[0, 3]] == pytest.approx([0, 1])
    assert 0 < raw.entropy[1] < 1


def test_missing_outputs_are_left_out_and_one_alone_agrees_with_nothing() -> None:
    found = agreement([["a", None, "a"], ["a", None, None]])

    assert found.pairwise == pytest.approx([1, np.nan], nan_ok=True)
    assert found.repeats.tolist() == [2, 1]


@pytest.mark.parametrize("k", [1, 2, 3, 5])
@pytest.mark.parametrize("successes", [0, 1, 3, 5])
def test_pass_at_k_and_pass_hat_k_count_all_draws(successes: int, k: int) -> None:
    draws = list(combinations([True] * successes + [False] * (5 - successes), k))

    assert pass_at_k(successes, 5, k) == pytest.approx(np.mean([any(d) for d in draws]))
    assert pass_hat_k(successes, 5, k) == pytest.approx(
        np.mean([all(d) for d in draws])
    )


def test_more_draws_than_repeats_are_unknown_and_less_than_one_no_draw() -> None:
    assert np.isnan(pass_at_k([1, 2], [2, 2], 3)).all()
    assert pass_hat_k(500, 1_000, 1) == 0.5
    with pytest.raises(ValueError, match="expected k >= 1, got 0"):
        pass_at_k(1, 2, 0)


def test_cases_are_right_always_sometimes_or_never() -> None:
    found = outcomes([[1, 1, np.nan], [1, 0, 1], [0, 0, 0], [np.nan] * 3])

    assert found == pytest.approx((1 / 3, 1 / 3, 1 / 3, 3))
    assert outcomes([[0.7, 0.9]], threshold=0.7).always == 1
    assert outcomes([[np.nan]]).cases == 0


def test_the_deviation_between_repeats_is_that_within_cases() -> None:
    scores = [[0.1, 0.3], [0.5, 0.5], [0.9, np.nan]]

    assert repeat_deviation(scores) == pytest.approx(np.sqrt(0.02 / 2))
    assert np.isnan(repeat_deviation([[1.0], [0.0]]))
