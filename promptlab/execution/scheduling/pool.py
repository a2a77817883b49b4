"""Pools: the calls that wait for one model, those in flight, and its limits.

A run has a `RunConcurrency`, as many calls in flight as the user allows, and
`ModelSlots` for each model that it asks. The slots of several runs that ask the same
model with the same key lead to one `SharedLimiter`, which keeps to the limits of the
server; it stays for later runs.
"""

from __future__ import annotations

import asyncio
import math
import os
import random
import weakref
from collections import deque
from collections.abc import Hashable

from promptlab.execution.scheduling.limiter import Limiter, Permit
from promptlab.execution.scheduling.queue import Queue
from promptlab.formats import duration
from promptlab.models.client import Client
from promptlab.models.openai import OpenAIClient

KEEP_S = 3600.0
"""How long a limiter is kept that no run uses."""


class WaitTooLongError(Exception):
    """A server lets the next call start only after more than `max_wait_s`. Its text
    says what it asked for."""


class RunConcurrency:
    """Keeps the calls in flight, over all models, within the user's limit."""

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
        """The user's own limits a minute, for each model."""
        self.max_wait_s = max_wait_s
        """The longest that a server may let the next call wait."""
        self.in_flight = 0
        self.members: deque[ModelSlots] = deque()

    @property
    def has_room(self) -> bool:
        """Whether one more call may be in flight."""
        return self.in_flight < self.limit

    def dispatch(self) -> None:
        """Lets calls that wait start, as far as there is room and the limits allow."""
        for slots in self.members:
            slots.shared.dispatch()
        self.members.rotate(-1)  # so that no model always comes first

    def close(self) -> None:
        """Leaves the limits to others."""
        for slots in self.members:
            slots.shared.leave(slots)


class SharedLimiter:
    """What one key may ask of one model at one server, for all runs."""

    def __init__(self, dice: random.Random | None = None) -> None:
        self.limiter = Limiter(_now(), dice)
        self.members: deque[ModelSlots] = deque()
        """Those whose run goes on; the first is the next to send a call."""
        self.in_flight = 0
        self.answered = False
        """Whether any call has been answered, of any run."""
        self.used_at = _now()
        """When a run last joined or left."""
        self._alarm: asyncio.TimerHandle | None = None
        self._left = asyncio.Event()

    @property
    def has_room(self) -> bool:
        """Whether the server bears one more call."""
        return self.limiter.has_room(self.in_flight)

    @property
    def opens_at(self) -> float | None:
        """When the limits let the next call start; None if nothing waits for it."""
        return None if self._alarm is None else self._alarm.when()

    def join(self, slots: ModelSlots) -> None:
        """Adds those of a run. Of the users' own limits the lowest hold."""
        self.members.append(slots)
        self.used_at = _now()
        self._set_bounds()

    def leave(self, slots: ModelSlots) -> None:
        """Removes those of a run; the others go on."""
        self.members.remove(slots)
        self.used_at = _now()
        if self.members:
            self._set_bounds()
        self.dispatch()

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

    def dispatch(self) -> None:
        """Lets calls start, a call of each run in turn, until there is no room or the
        limits say to wait; then it comes back by itself."""
        self._cancel_timer()
        while self.has_room and (slots := self._next()) is not None:
            wait_s = self.limiter.wait_s(slots.wanted, _now())
            if wait_s > slots.gate.max_wait_s and slots.turns_away():
                continue
            if wait_s > 0:
                loop = asyncio.get_running_loop()
                self._alarm = loop.call_later(wait_s, self.dispatch)
                return
            slots.grant(self.limiter.take(slots.wanted, _now()))
            self.members.remove(slots)
            self.members.append(slots)

    def _next(self) -> ModelSlots | None:
        return next((slots for slots in self.members if slots.is_ready), None)

    def _cancel_timer(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def _set_bounds(self) -> None:
        gates = [slots.gate for slots in self.members]
        self.limiter.widen(sum(gate.limit for gate in gates), _now())
        self.limiter.bound(
            min((gate.rpm for gate in gates if gate.rpm), default=None),
            min((gate.tpm for gate in gates if gate.tpm), default=None),
            _now(),
        )


class ModelSlots:
    """The way of a run to one model at one server: who waits, who is in flight."""

    def __init__(
        self, model: str, gate: RunConcurrency, shared: SharedLimiter, queue: Queue
    ) -> None:
        self.model = model
        self.gate = gate
        self.shared = shared
        self.queue = queue
        """The trials that no worker has begun."""
        self.in_flight = 0
        self.answered = False
        """Whether any call has been answered."""
        self._at_door: deque[tuple[float, asyncio.Future[Permit]]] = deque()
        self._sent = 0
        self._tokens = 0.0
        self._retrying: list[float] = []
        gate.members.append(self)
        shared.join(self)

    @property
    def limiter(self) -> Limiter:
        """What the model bears."""
        return self.shared.limiter

    @property
    def left(self) -> int:
        """How many trials have no outcome yet: not begun, held back or in flight."""
        begun = self.in_flight + len(self._at_door) + len(self._retrying)
        return self.queue.left + begun

    def least_s(self, now: float) -> float:
        """How long the trials that are left take at least within the limits, if each
        run of those that share them sends its part."""
        own = self.left
        calls = sum(min(own, slots.left) for slots in list(self.shared.members))
        each = self._tokens / self._sent if self._sent else 0.0
        unsent = max(0, calls - self.shared.in_flight)
        return self.limiter.least_s(unsent, unsent * each, now)

    async def enter(self, tokens: float, *, again: bool = False) -> Permit:
        """Returns when a call of so many tokens may be sent; `leave` must follow. One
        that was sent before comes first.

        Raises:
            WaitTooLongError: the server lets none start for too long.
        """
        permit: asyncio.Future[Permit] = asyncio.get_running_loop().create_future()
        if again:
            self._at_door.appendleft((tokens, permit))
        else:
            self._at_door.append((tokens, permit))
        self.shared.dispatch()
        try:
            return await permit
        except asyncio.CancelledError:
            if permit.done() and not permit.cancelled() and not permit.exception():
                self.limiter.withdraw(permit.result())
                self.leave()  # the permit came at the very moment of giving up
            else:
                self.shared.dispatch()  # others may have waited behind it
            raise

    def leave(self) -> None:
        """Gives the permit of a call to the next."""
        self.in_flight -= 1
        self.gate.in_flight -= 1
        self.shared.let_go()
        self.gate.dispatch()

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

    def grant(self, given: Permit) -> None:
        """Lets the first call that waits start."""
        tokens, permit = self._at_door.popleft()
        self._sent += 1
        self._tokens += tokens
        self.in_flight += 1
        self.gate.in_flight += 1
        self.shared.in_flight += 1
        permit.set_result(given)

    def turns_away(self) -> bool:
        """Gives up the calls that wait, if it is the server that lets none start for
        too long, and no call in flight may bring better news; whether it did."""
        most_s = self.gate.max_wait_s
        wait_s, said = self.limiter.servers_wait(self.wanted, _now())
        if self.shared.in_flight or wait_s <= most_s:
            return False
        error = WaitTooLongError(
            f"the server lets the next call to {self.model} start in "
            f"{duration(wait_s)} ({said}), and max_wait_s is {most_s:g}"
        )
        for _, permit in self._at_door:
            if not permit.done():
                permit.set_exception(error)
        self._at_door.clear()
        return True

    @property
    def notes(self) -> list[str]:
        """What was learnt of the server that the user should know."""
        return [f"{self.model}: {note}" for note in self.limiter.notes]

    def wait_reason(self, now: float) -> str:
        """What holds this model's calls back, how many and for how long; empty if
        nothing does, or only single calls before their next attempt."""
        opens_at, held = self.shared.opens_at, len(self._at_door)
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


class SharedLimiters:
    """The limiters by key, server and model: runs that ask alike share one, and the
    next run begins with what the last one learnt."""

    def __init__(self) -> None:
        self._limiters: dict[tuple[Hashable, str, str], SharedLimiter] = {}
        self._salt = os.urandom(16)

    def of(self, client: Client, base_url: str, model: str) -> SharedLimiter:
        """The limiter of all who ask that model there with the same key, or through the
        same client of their own. Called on the loop."""
        self._drop_unused()
        key = self._identity(client, base_url), base_url, model
        if key not in self._limiters:
            self._limiters[key] = SharedLimiter()
        return self._limiters[key]

    def known(self, base_url: str, model: str) -> SharedLimiter | None:
        """The limiter of that model there that was used last, whoever asked; None if
        none was. Called from any thread."""
        found = [
            one
            for (_, url, name), one in list(self._limiters.items())
            if (url, name) == (base_url, model)
        ]
        return max(found, key=lambda one: one.used_at, default=None)

    def __len__(self) -> int:
        return len(self._limiters)

    def _identity(self, client: Client, base_url: str) -> Hashable:
        if isinstance(client, OpenAIClient):
            return client.identity(base_url, self._salt)
        try:
            return _Owner(client)
        except TypeError:  # it cannot be referred to weakly: it shares with nobody
            return object()

    def _drop_unused(self) -> None:
        oldest = asyncio.get_running_loop().time() - KEEP_S
        for key, one in list(self._limiters.items()):
            owner = key[0]
            gone = isinstance(owner, _Owner) and owner.is_gone
            if not one.members and (gone or one.used_at < oldest):
                del self._limiters[key]


class _Owner:
    """A client of the user's, by identity; it is not kept alive."""

    def __init__(self, client: Client) -> None:
        self._id = id(client)
        self._client = weakref.ref(client)

    @property
    def is_gone(self) -> bool:
        return self._client() is None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, _Owner):
            return False
        return self is other or (not self.is_gone and self._client() is other._client())

    def __hash__(self) -> int:
        return hash(self._id)


def _now() -> float:
    return asyncio.get_running_loop().time()
