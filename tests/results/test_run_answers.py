"""Run answers: which answers a run had."""

from __future__ import annotations

from promptlab.results.columns import OutcomeColumns
from promptlab.results.run_answers import RunAnswers, checksum

from .making import FAILURE, head


def test_the_calls_of_a_run_are_kept_in_the_order_of_its_trials() -> None:
    answers = OutcomeColumns(5)
    answers.put(4, [head("one"), head("two")], "k", paid=[False, True])
    answers.put(3, [head("né")], "l", paid=[True])
    answers.fail(1, FAILURE, [head("begun")], paid=[True])
    answers.put(0, [head("")], "m")

    had = RunAnswers.of(answers)

    assert had.trial.tolist() == [0, 1, 3, 4, 4]
    assert had.paid.tolist() == [False, True, True, False, True]
    texts = ["", "begun", "né", "one", "two"]
    assert had.checksum.tolist() == [checksum(text) for text in texts]
    assert had.paid_by(4) == [False, True]


def test_a_run_without_answers_has_none() -> None:
    assert RunAnswers.of(OutcomeColumns(3)).trial.tolist() == []


def test_its_answers_come_back_from_the_file() -> None:
    answers = OutcomeColumns(1)
    answers.put(0, [head("yes")], "k")
    had = RunAnswers.of(answers)

    again = RunAnswers.from_bytes(had.to_bytes())

    assert again is not None
    assert again.identities == had.identities
