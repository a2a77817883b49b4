"""Lanes: the trials that wait for one model, and its calls that are in flight."""

from __future__ import annotations

import asyncio
import time
from collections import deque

from promptlab.execution.limiter import Limiter
from promptlab.execution.progress import duration

NEXT_TRY = "the next attempt"
"""Why a call waits that failed and will be made again."""


class Gate:
    """Keeps the calls in flight, over all lanes, within the limit that the user set."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.in_flight = 0
        self.lanes: deque[Lane] = deque()

    def admit(self) -> None:
        """Lets calls that wait for a place start, as far as there are places."""
        for lane in self.lanes:
            while self.in_flight < self.limit and lane.has_room and lane.admit_one():
                pass
        self.lanes.rotate(-1)  # so that no lane always comes first


class Lane:
    """The way to one model at one server: who waits, who is in flight."""

    def __init__(self, model: str, gate: Gate, limiter: Limiter) -> None:
        self.model = model
        self.limiter = limiter
        self.waiting: deque[int] = deque()
        """The indexes of the trials that no worker has begun."""
        self.in_flight = 0
        self._gate = gate
        self._at_gate: deque[asyncio.Future[None]] = deque()
        self._holds: dict[object, tuple[float, str]] = {}
        gate.lanes.append(self)

    @property
    def left(self) -> int:
        """How many trials have no outcome yet: not begun, held back or in flight."""
        begun = self.in_flight + len(self._at_gate) + len(self._holds)
        return len(self.waiting) + begun

    @property
    def has_room(self) -> bool:
        """Whether the model bears one more call in flight."""
        return self.in_flight < int(self.limiter.window)

    async def enter(self, tokens: int) -> None:
        """Returns when a call of so many tokens may be sent; `leave` must follow."""
        wait_s = self.limiter.reserve(tokens, time.monotonic())
        await self.hold(wait_s, self.limiter.reason)
        while True:
            await self._place()
            paused_s = self.limiter.paused_s(time.monotonic())
            if paused_s <= 0:
                return
            self.leave()
            await self.hold(paused_s, "Retry-After")

    def leave(self) -> None:
        """Gives the place of a call to the next."""
        self.in_flight -= 1
        self._gate.in_flight -= 1
        self._gate.admit()

    async def hold(self, wait_s: float, reason: str) -> None:
        """Waits; meanwhile `held_back` says what for."""
        if wait_s > 0:
            hold = object()
            self._holds[hold] = time.monotonic() + wait_s, reason
            try:
                await asyncio.sleep(wait_s)
            finally:
                del self._holds[hold]

    def admit_one(self) -> bool:
        """Gives a place to the call that has waited longest; False if none waits."""
        while self._at_gate:
            place = self._at_gate.popleft()
            if not place.done():
                self._take()
                place.set_result(None)
                return True
        return False

    def held_back(self, now: float) -> str:
        """What holds this model's calls back, how many and for how long; empty if
        nothing does, or only single calls before their next attempt."""
        holds = self._holds.values()
        limits = [hold for hold in holds if self.in_flight == 0 or hold[1] != NEXT_TRY]
        if not limits:
            return ""
        until, reason = min(limits)
        calls = "1 call" if len(limits) == 1 else f"{len(limits):,} calls"
        soon = until - now < 1
        when = "" if soon else f", the next in {duration(until - now)}"
        return f"{reason} of {self.model} ({calls}{when})"

    async def _place(self) -> None:
        if self.has_room and self._gate.in_flight < self._gate.limit:
            self._take()
            return
        place = asyncio.get_running_loop().create_future()
        self._at_gate.append(place)
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self.leave()  # the place came at the very moment of giving up
            raise

    def _take(self) -> None:
        self.in_flight += 1
        self._gate.in_flight += 1
