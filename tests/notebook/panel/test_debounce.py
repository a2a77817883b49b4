"""Answers to questions that come faster than they can be answered."""

from __future__ import annotations

import threading

from promptlab.notebook.panel.debounce import Debouncer


def test_of_many_questions_at_once_the_newest_is_answered() -> None:
    answered: list[int] = []
    told: list[int] = []
    latest = Debouncer(lambda n: answered.append(n) or n, told.append)

    for number in range(20):
        latest.ask(number)

    assert latest.settle(10)
    assert answered == told == [19]


def test_an_answer_that_was_overtaken_is_dropped() -> None:
    begun, go_on = threading.Event(), threading.Event()
    told: list[str] = []

    def answer(question: str) -> str:
        if question == "first":
            begun.set()
            go_on.wait(10)
        return question

    latest = Debouncer(answer, told.append)
    latest.ask("first")
    assert begun.wait(10)
    latest.ask("second")
    go_on.set()

    assert latest.settle(10)
    assert told == ["second"]


def test_it_answers_again_after_it_had_settled() -> None:
    told: list[int] = []
    latest = Debouncer(lambda n: n, told.append)

    for number in (1, 2):
        latest.ask(number)
        assert latest.settle(10)

    assert told == [1, 2]
