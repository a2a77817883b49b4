"""Debounce: answers to the newest of questions that come faster than answers."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

Question = TypeVar("Question")
Answer = TypeVar("Answer")

PAUSE_S = 0.12
"""How long a question waits for a newer one, as while someone types."""


class Debouncer(Generic[Question, Answer]):
    """Answers the newest question in a thread, which ends when none is left.

    A question that is overtaken before it is begun is never answered; an answer that
    is overtaken is dropped.
    """

    def __init__(
        self, answer: Callable[[Question], Answer], show: Callable[[Answer], None]
    ) -> None:
        """Answers with `answer`, and hands the answers to `show`; neither may raise."""
        self._answer = answer
        self._show = show
        self._changed = threading.Condition()
        self._waiting: list[Question] = []
        self._working = False

    def ask(self, question: Question) -> None:
        """Asks a question; returns at once."""
        with self._changed:
            self._waiting[:] = [question]
            self._changed.notify_all()
            if not self._working:
                self._working = True
                threading.Thread(target=self._work, daemon=True).start()

    def settle(self, timeout_s: float | None = None) -> bool:
        """Waits until the newest question has been answered; True if it was within so
        many seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._working, timeout_s)

    def _work(self) -> None:
        while (question := self._next()) is not None:
            answer = self._answer(question[0])
            with self._changed:
                overtaken = bool(self._waiting)
            if not overtaken:
                self._show(answer)

    def _next(self) -> list[Question] | None:
        """The newest question, once none has come for a while; None at the end."""
        with self._changed:
            while self._waiting:
                question = self._waiting[0]
                self._changed.wait(PAUSE_S)
                if self._waiting[0] is question:
                    self._waiting.clear()
                    return [question]
            self._working = False
            self._changed.notify_all()
            return None
