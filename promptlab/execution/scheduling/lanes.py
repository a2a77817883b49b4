"""Lanes: the trials that wait for one model, and its calls that are in flight.

A run has a gate, as many calls in flight as the user allows, and a lane for each model
that it asks. Lanes of several runs that ask the same model with the same key lead to
one pool, which keeps to the limits of the server.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections import deque

from promptlab.execution.scheduling.limiter import Limiter, Place
from promptlab.execution.scheduling.queue import Queue
from promptlab.formats import duration


class WaitTooLongError(Exception):
    """A server lets the next call start only after more than `max_wait_s`. Its text
    says what it asked for."""


class Gate:
    """Keeps the calls in flight, over all lanes, within the limit that the user set."""

    def __init__(
        self,
        limit: int,
        *,
        rpm: float | None = None,
        tpm: float | None = None,
        max_wait_s: float = math.inf,
    ) -> None:
        self.limit = limit
        self.rpm, self.tpm = rpm, tpm
        """The user's own limits a minute, for each lane."""
        self.max_wait_s = max_wait_s
        """The longest that a server may let the next call wait."""
        self.in_flight = 0
        self.lanes: deque[Lane] = deque()

    @property
    def has_room(self) -> bool:
        """Whether one more call may be in flight."""
        return self.in_flight < self.limit

    def admit(self) -> None:
        """Lets calls that wait start, as far as there is room and the limits allow."""
        for lane in self.lanes:
            lane.pool.admit()
        self.lanes.rotate(-1)  # so that no lane always comes first

    def close(self) -> None:
        """Leaves the pools to others."""
        for lane in self.lanes:
            lane.pool.leave(lane)


class Pool:
    """What one key may ask of one model at one server, for the lanes of all runs."""

    def __init__(self, dice: random.Random | None = None) -> None:
        self.limiter = Limiter(_now(), dice)
        self.lanes: deque[Lane] = deque()
        """Those whose run goes on; the first is the next to send a call."""
        self.in_flight = 0
        self.answered = False
        """Whether any call has been answered, of any run."""
        self.used_at = _now()
        """When a lane last joined or left."""
        self._alarm: asyncio.TimerHandle | None = None
        self._left = asyncio.Event()

    @property
    def has_room(self) -> bool:
        """Whether the server bears one more call."""
        return self.limiter.has_room(self.in_flight)

    @property
    def opens_at(self) -> float | None:
        """When the limits let the next call start; None where nothing waits for it."""
        return None if self._alarm is None else self._alarm.when()

    def join(self, lane: Lane) -> None:
        """Adds a lane. Of the users' own limits the lowest hold."""
        self.lanes.append(lane)
        self.used_at = _now()
        self._set_bounds()

    def leave(self, lane: Lane) -> None:
        """Removes a lane; the others go on."""
        self.lanes.remove(lane)
        self.used_at = _now()
        if self.lanes:
            self._set_bounds()
        self.admit()

    async def has_answered(self) -> bool:
        """Whether any call has been answered, or one of those in flight will be."""
        while not self.answered and self.in_flight:
            self._left.clear()
            await self._left.wait()
        return self.answered

    def let_go(self) -> None:
        """Takes note that a call is in flight no longer."""
        self.in_flight -= 1
        self._left.set()

    def admit(self) -> None:
        """Lets calls start, a call of each lane in turn, until there is no room or the
        limits say to wait; then it comes back by itself."""
        self._hush()
        while self.has_room and (lane := self._next()) is not None:
            wait_s = self.limiter.wait_s(lane.wanted, _now())
            if wait_s > lane.gate.max_wait_s and lane.turns_away():
                continue
            if wait_s > 0:
                loop = asyncio.get_running_loop()
                self._alarm = loop.call_later(wait_s, self.admit)
                return
            lane.let_in(self.limiter.take(lane.wanted, _now()))
            self.lanes.remove(lane)
            self.lanes.append(lane)

    def _next(self) -> Lane | None:
        return next((lane for lane in self.lanes if lane.is_ready), None)

    def _hush(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def _set_bounds(self) -> None:
        gates = [lane.gate for lane in self.lanes]
        self.limiter.widen(sum(gate.limit for gate in gates), _now())
        self.limiter.bound(
            min((gate.rpm for gate in gates if gate.rpm), default=None),
            min((gate.tpm for gate in gates if gate.tpm), default=None),
            _now(),
        )


class Lane:
    """The way of a run to one model at one server: who waits, who is in flight."""

    def __init__(self, model: str, gate: Gate, pool: Pool, queue: Queue) -> None:
        self.model = model
        self.gate = gate
        self.pool = pool
        self.queue = queue
        """The trials that no worker has begun."""
        self.in_flight = 0
        self.answered = False
        """Whether any call has been answered."""
        self._at_door: deque[tuple[float, asyncio.Future[Place]]] = deque()
        self._sent = 0
        self._tokens = 0.0
        self._retrying: list[float] = []
        gate.lanes.append(self)
        pool.join(self)

    @property
    def limiter(self) -> Limiter:
        """What the model bears."""
        return self.pool.limiter

    @property
    def left(self) -> int:
        """How many trials have no outcome yet: not begun, held back or in flight."""
        begun = self.in_flight + len(self._at_door) + len(self._retrying)
        return self.queue.left + begun

    def least_s(self, now: float) -> float:
        """How long the trials that are left take at least within the limits, if each
        lane of the pool sends its share."""
        own = self.left
        calls = sum(min(own, lane.left) for lane in list(self.pool.lanes))
        each = self._tokens / self._sent if self._sent else 0.0
        unsent = max(0, calls - self.pool.in_flight)
        return self.limiter.least_s(unsent, unsent * each, now)

    async def enter(self, tokens: float, *, again: bool = False) -> Place:
        """Returns when a call of so many tokens may be sent; `leave` must follow. One
        that was sent before comes first.

        Raises:
            WaitTooLongError: the server lets none start for too long.
        """
        place: asyncio.Future[Place] = asyncio.get_running_loop().create_future()
        if again:
            self._at_door.appendleft((tokens, place))
        else:
            self._at_door.append((tokens, place))
        self.pool.admit()
        try:
            return await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled() and not place.exception():
                self.limiter.withdraw(place.result())
                self.leave()  # the place came at the very moment of giving up
            else:
                self.pool.admit()  # others may have waited behind it
            raise

    def leave(self) -> None:
        """Gives the place of a call to the next."""
        self.in_flight -= 1
        self.gate.in_flight -= 1
        self.pool.let_go()
        self.gate.admit()

    async def rest(self, wait_s: float) -> None:
        """Waits before the next attempt of a call."""
        until = _now() + wait_s
        self._retrying.append(until)
        try:
            await asyncio.sleep(wait_s)
        finally:
            self._retrying.remove(until)

    @property
    def is_ready(self) -> bool:
        """Whether a call waits that the user's limit lets go."""
        while self._at_door and self._at_door[0][1].done():
            self._at_door.popleft()  # its worker has given up
        return bool(self._at_door) and self.gate.has_room

    @property
    def wanted(self) -> float:
        """The tokens of the first call that waits."""
        return self._at_door[0][0]

    def let_in(self, given: Place) -> None:
        """Lets the first call that waits start."""
        tokens, place = self._at_door.popleft()
        self._sent += 1
        self._tokens += tokens
        self.in_flight += 1
        self.gate.in_flight += 1
        self.pool.in_flight += 1
        place.set_result(given)

    def turns_away(self) -> bool:
        """Gives up the calls that wait, if it is the server that lets none start for
        too long, and no call in flight may bring better news; whether it did."""
        most_s = self.gate.max_wait_s
        wait_s, said = self.limiter.servers_wait(self.wanted, _now())
        if self.pool.in_flight or wait_s <= most_s:
            return False
        error = WaitTooLongError(
            f"the server lets the next call to {self.model} start in "
            f"{duration(wait_s)} ({said}), and max_wait_s is {most_s:g}"
        )
        for _, place in self._at_door:
            if not place.done():
                place.set_exception(error)
        self._at_door.clear()
        return True

    @property
    def notes(self) -> list[str]:
        """What was learnt of the server that the user should know."""
        return [f"{self.model}: {note}" for note in self.limiter.notes]

    def held_back(self, now: float) -> str:
        """What holds this model's calls back, how many and for how long; empty if
        nothing does, or only single calls before their next attempt."""
        opens_at, held = self.pool.opens_at, len(self._at_door)
        if opens_at is not None and held:
            reason, left_s = self.limiter.reason, opens_at - now
        elif self._retrying and not self.in_flight:
            reason, held = "the next attempt", len(self._retrying)
            left_s = min(self._retrying, default=now) - now  # others' threads may ask
        elif self.queue.elsewhere and not self.in_flight:
            reason, held = "another process that asks the same", self.queue.elsewhere
            left_s = 0.0
        else:
            return ""
        calls = "1 call" if held == 1 else f"{held:,} calls"
        when = f", the next in {duration(left_s)}" if left_s >= 1 else ""
        return f"{reason} of {self.model} ({calls}{when})"


def _now() -> float:
    return asyncio.get_running_loop().time()
