"""Lanes: the trials that wait for one model, and its calls that are in flight."""

from __future__ import annotations

import asyncio
import time
from collections import deque

from promptlab.execution.limiter import Limiter
from promptlab.execution.progress import duration


class Gate:
    """Keeps the calls in flight, over all lanes, within the limit that the user set."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.in_flight = 0
        self.lanes: deque[Lane] = deque()

    @property
    def has_room(self) -> bool:
        """Whether one more call may be in flight."""
        return self.in_flight < self.limit

    def admit(self) -> None:
        """Lets calls that wait start, as far as there is room and the limits allow."""
        for lane in self.lanes:
            lane.admit()
        self.lanes.rotate(-1)  # so that no lane always comes first

    def close(self) -> None:
        """Lets go of what would wake it up later."""
        for lane in self.lanes:
            lane.close()


class Lane:
    """The way to one model at one server: who waits, who is in flight."""

    def __init__(self, model: str, gate: Gate, limiter: Limiter) -> None:
        self.model = model
        self.limiter = limiter
        self.waiting: deque[int] = deque()
        """The indexes of the trials that no worker has begun."""
        self.in_flight = 0
        self.answered = False
        """Whether any call has been answered."""
        self._gate = gate
        self._at_door: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._alarm: asyncio.TimerHandle | None = None
        self._retrying: list[float] = []
        gate.lanes.append(self)

    @property
    def left(self) -> int:
        """How many trials have no outcome yet: not begun, held back or in flight."""
        begun = self.in_flight + len(self._at_door) + len(self._retrying)
        return len(self.waiting) + begun

    async def enter(self, tokens: int) -> None:
        """Returns when a call of so many tokens may be sent; `leave` must follow."""
        place = asyncio.get_running_loop().create_future()
        self._at_door.append((tokens, place))
        self.admit()
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self.leave()  # the place came at the very moment of giving up
            raise

    def leave(self) -> None:
        """Gives the place of a call to the next."""
        self.in_flight -= 1
        self._gate.in_flight -= 1
        self._gate.admit()

    async def rest(self, wait_s: float) -> None:
        """Waits before the next attempt of a call."""
        until = time.monotonic() + wait_s
        self._retrying.append(until)
        try:
            await asyncio.sleep(wait_s)
        finally:
            self._retrying.remove(until)

    def admit(self) -> None:
        """Lets calls start in the order they came, until there is no room or the
        limiter says to wait; then it comes back by itself."""
        while self._at_door and self._gate.has_room and self._has_room:
            tokens, place = self._at_door[0]
            if not place.done():  # else its worker has given up
                wait_s = self.limiter.admit(tokens, time.monotonic())
                if wait_s > 0:
                    self._come_back(wait_s)
                    return
                self.in_flight += 1
                self._gate.in_flight += 1
                place.set_result(None)
            self._at_door.popleft()

    def held_back(self, now: float) -> str:
        """What holds this model's calls back, how many and for how long; empty if
        nothing does, or only single calls before their next attempt."""
        if (alarm := self._alarm) is not None:
            reason, held = self.limiter.reason, len(self._at_door)
            left_s = alarm.when() - now  # both are time.monotonic()
        elif self._retrying and not self.in_flight:
            reason, held = "the next attempt", len(self._retrying)
            left_s = min(self._retrying, default=now) - now  # others' threads may ask
        else:
            return ""
        calls = "1 call" if held == 1 else f"{held:,} calls"
        when = f", the next in {duration(left_s)}" if left_s >= 1 else ""
        return f"{reason} of {self.model} ({calls}{when})"

    def close(self) -> None:
        """Lets go of what would wake it up later."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    @property
    def _has_room(self) -> bool:
        return self.in_flight < int(self.limiter.window)

    def _come_back(self, wait_s: float) -> None:
        self.close()
        self._alarm = asyncio.get_running_loop().call_later(wait_s, self._on_alarm)

    def _on_alarm(self) -> None:
        self._alarm = None
        self.admit()
