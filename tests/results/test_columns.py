"""Answers: outcomes as they come, of trials and of conversations."""

from __future__ import annotations

import pytest

from promptlab.results.columns import OutcomeColumns, ranges

from .making import FAILURE, head


def test_outcomes_are_counted() -> None:
    answers = OutcomeColumns(5)

    answers.put(0, [head("yes")], "k", paid=[True])
    answers.put(3, [head("cut", "length")], "l")
    answers.fail(1, FAILURE)

    assert answers.counts() == {"answered": 2, "cached": 1, "failed": 1}
    assert len(answers) == 5


def test_a_server_that_makes_up_finish_reasons_is_borne() -> None:
    answers = OutcomeColumns(1000)

    for index in range(1000):
        answers.put(index, [head("a", f"r{index}")], "k")

    assert answers.counts()["answered"] == 1000


@pytest.mark.parametrize(
    ("indexes", "brief"),
    [([], ""), ([3], "3"), ([0, 1, 2, 7], "0-2,7"), ([1, 3, 4, 9], "1,3-4,9")],
    ids=str,
)
def test_ranges_say_indexes_briefly(indexes: list[int], brief: str) -> None:
    assert ranges(indexes) == brief


def test_asked_are_the_answers_that_were_paid_for() -> None:
    answers = OutcomeColumns(4)
    answers.put(0, [head("new")], "k", paid=[True])
    answers.put(1, [head("cached")], "l")
    answers.put(3, [head("a"), head("b")], "m", paid=[False, True])
    answers.fail(2, FAILURE)

    assert answers.asked.tolist() == [0, 3]
