"""Simulated time and servers: minutes that take no time."""

from __future__ import annotations

import asyncio
import json
import random
import selectors
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeVar

from promptlab.execution.scheduling.pool import (
    ModelSlots,
    RunConcurrency,
    SharedLimiter,
)
from promptlab.execution.scheduling.queue import Queue
from promptlab.execution.scheduling.retries import Backoff
from promptlab.offline.server.errors import ApiError
from promptlab.offline.server.limits import Bucket, Limits

T = TypeVar("T")

ON_THE_WAY_S = 0.02
"""How long a call takes to reach a server, at most."""


class JumpingSelector(selectors.SelectSelector):
    """Does not wait: time jumps to when the next thing is due."""

    now_s = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        ready = super().select(0)
        if not ready:
            assert timeout is not None, "nothing is due: this would wait for ever"
            self.now_s += timeout
        return ready


class SimulatedLoop(asyncio.SelectorEventLoop):
    """An event loop whose time is simulated."""

    def __init__(self) -> None:
        self._clock = JumpingSelector()
        super().__init__(self._clock)

    def time(self) -> float:
        return self._clock.now_s


def simulate(main: Callable[[], Awaitable[T]]) -> T:
    """What `main` gives, on a loop with simulated time, which starts at 0."""

    async def awaited() -> T:
        return await main()

    with asyncio.Runner(loop_factory=SimulatedLoop) as runner:
        return runner.run(awaited())


def now() -> float:
    return asyncio.get_running_loop().time()


class RefusedError(Exception):
    """A 429: what its headers say, and when the server says to come back."""

    def __init__(self, headers: Mapping[str, str], retry_after_s: float) -> None:
        super().__init__()
        self.headers = headers
        self.retry_after_s = retry_after_s


class Rule(Protocol):
    """What a server admits."""

    def dispatch(self, tokens: float) -> None:
        """Takes a call in, or raises `RefusedError`."""

    def done(self) -> None:
        """Notes that a call that was taken in has been answered."""

    def headers(self) -> Mapping[str, str]:
        """What is left, as replies tell it."""

    def ideal_s(self, tokens: Sequence[float], latency_s: float) -> float:
        """How long such calls take if every one starts as soon as it is let."""


class Buckets:
    """Admits calls as the offline server does: from buckets that are full at first."""

    def __init__(
        self, rpm: int | None = None, tpm: int | None = None, burst_s: float = 60.0
    ) -> None:
        limits = {"requests": rpm, "tokens": tpm}
        self._limits = Limits(
            tuple(
                Bucket(kind, per_minute, burst_s)
                for kind, per_minute in limits.items()
                if per_minute is not None
            )
        )

    def dispatch(self, tokens: float) -> None:
        try:
            self._limits.draw("m", round(tokens), now())
        except ApiError as error:
            asked_s = float(error.headers["retry-after-ms"]) / 1000
            raise RefusedError(error.headers, asked_s) from None

    def done(self) -> None:
        pass

    def headers(self) -> Mapping[str, str]:
        return self._limits.headers()

    def ideal_s(self, tokens: Sequence[float], latency_s: float) -> float:
        amounts = {"requests": len(tokens), "tokens": sum(tokens)}
        waits = [
            (amounts[bucket.kind] - bucket.capacity) * 60 / bucket.per_minute
            for bucket in self._limits.buckets
        ]
        return max(0.0, *waits) + latency_s


class Window:
    """Admits so many calls in each minute by the clock or, `sliding`, in any minute."""

    def __init__(self, per_minute: int, *, sliding: bool = False) -> None:
        self.per_minute = per_minute
        self.sliding = sliding
        self._admitted: deque[float] = deque()

    def dispatch(self, tokens: float) -> None:
        begun_s = now() - 60 if self.sliding else now() // 60 * 60
        while self._admitted and self._admitted[0] <= begun_s:
            self._admitted.popleft()
        if len(self._admitted) >= self.per_minute:
            raise RefusedError(self.headers(), self._reset_s)
        self._admitted.append(now())

    def done(self) -> None:
        pass

    @property
    def _reset_s(self) -> float:
        if self.sliding:
            return self._admitted[0] + 60 - now() if self._admitted else 0.0
        return 60 - now() % 60

    def headers(self) -> Mapping[str, str]:
        return {
            "x-ratelimit-limit-requests": str(self.per_minute),
            "x-ratelimit-remaining-requests": str(
                self.per_minute - len(self._admitted)
            ),
        }

    def ideal_s(self, tokens: Sequence[float], latency_s: float) -> float:
        return (len(tokens) - 1) // self.per_minute * 60 + latency_s


class Places:
    """Admits so many calls at once, and says to come back in a minute."""

    def __init__(self, places: int) -> None:
        self.places = places
        self._taken = 0

    def dispatch(self, tokens: float) -> None:
        if self._taken >= self.places:
            raise RefusedError({}, 60.0)
        self._taken += 1

    def done(self) -> None:
        self._taken -= 1

    def headers(self) -> Mapping[str, str]:
        return {}

    def ideal_s(self, tokens: Sequence[float], latency_s: float) -> float:
        return len(tokens) * latency_s / self.places


class Moody:
    """Refuses a share of the calls, whatever is asked of it, and says to come back
    after so many seconds."""

    def __init__(self, share: float, asked_s: float = 0.0, seed: int = 2) -> None:
        self.share = share
        self.asked_s = asked_s
        self._dice = random.Random(seed)

    def dispatch(self, tokens: float) -> None:
        if self._dice.random() < self.share:
            raise RefusedError({}, self.asked_s)

    def done(self) -> None:
        pass

    def headers(self) -> Mapping[str, str]:
        return {}

    def ideal_s(self, tokens: Sequence[float], latency_s: float) -> float:
        return len(tokens) * latency_s / 32


@dataclass
class SimulatedServer:
    """A server that admits what its rule does."""

    rule: Rule
    latency_s: float = 1.0
    tells: bool = True
    """Whether its answers have x-ratelimit headers."""
    explains: bool = True
    """Whether its refusals have them."""
    asks: bool = True
    """Whether its refusals say when to come back."""
    charges: float = 1.0
    """Tokens that it charges, for each that a call was estimated with."""
    stall_s: float = 0.0
    """How long calls on their way are held up, every 3 s."""
    came: list[tuple[float, bool]] = field(default_factory=list)
    """When each call came, and whether it was admitted."""

    def __post_init__(self) -> None:
        self._dice = random.Random(1)

    async def reply(self, tokens: int) -> Mapping[str, str]:
        """The headers of the answer; raises `RefusedError`."""
        held_s = max(0.0, self.stall_s - now() % 3)
        await asyncio.sleep(held_s + ON_THE_WAY_S * self._dice.random())
        try:
            self.rule.dispatch(tokens * self.charges)
        except RefusedError as refusal:
            self.came.append((now(), False))
            raise RefusedError(
                refusal.headers if self.explains else {},
                refusal.retry_after_s if self.asks else 0.0,
            ) from None
        self.came.append((now(), True))
        headers = self.rule.headers()
        await asyncio.sleep(self.latency_s * self._dice.uniform(0.7, 1.3))
        self.rule.done()
        return headers if self.tells else {}

    @property
    def calls(self) -> int:
        return len(self.came)

    @property
    def refused(self) -> int:
        return self.calls - sum(admitted for _, admitted in self.came)

    def share_refused(self, since_s: float = 0.0) -> float:
        """Of the calls that came later than that."""
        came = [admitted for at, admitted in self.came if at > since_s]
        return 1 - sum(came) / len(came) if came else 0.0

    def ideal_s(self, tokens: Iterable[int]) -> float:
        """How long these calls take if every one starts as soon as it is let."""
        charged = [size * self.charges for size in tokens]
        return self.rule.ideal_s(charged, self.latency_s)


@dataclass
class SimulatedRun:
    """A run's calls to one model: so many tokens each."""

    tokens: Sequence[int]
    max_concurrency: int = 32
    rpm: float | None = None
    tpm: float | None = None
    ended_s: float = float("nan")
    in_flight_max: int = 0
    waited_s: float = 0.0
    """The longest that a call waited between its attempts, all in all."""
    slowest_s: float = 0.0
    """The longest that a call took, from when it was next to its answer."""
    dice: random.Random = field(default_factory=lambda: random.Random(3))

    async def ask(self, server: SimulatedServer, pool: SharedLimiter) -> None:
        """Makes all calls, as workers of a run make them."""
        gate = RunConcurrency(self.max_concurrency, rpm=self.rpm, tpm=self.tpm)
        queue = Queue()
        for index in range(len(self.tokens)):
            queue.put(index)
        slots = ModelSlots("m", gate, pool, queue)
        async with asyncio.TaskGroup() as workers:
            for _ in range(min(len(self.tokens), self.max_concurrency)):
                workers.create_task(self._work(slots, server))
        gate.close()
        self.ended_s = now()

    async def _work(self, slots: ModelSlots, server: SimulatedServer) -> None:
        while (index := await slots.queue.take()) is not None:
            began_s, waits_s = now(), [0.0]
            while (wait_s := await self._attempt(index, slots, server, waits_s)) != 0:
                waits_s.append(wait_s)
            self.waited_s = max(self.waited_s, sum(waits_s))
            self.slowest_s = max(self.slowest_s, now() - began_s)

    async def _attempt(
        self,
        index: int,
        slots: ModelSlots,
        server: SimulatedServer,
        waits_s: Sequence[float],
    ) -> float:
        """Makes a call; nothing if it was answered, else how long it has to wait, or a
        very short while."""
        tokens = self.tokens[index]
        place = await slots.enter(tokens, again=len(waits_s) > 1)
        self.in_flight_max = max(self.in_flight_max, slots.gate.in_flight)
        limiter = slots.limiter
        try:
            headers = await server.reply(tokens)
        except RefusedError as refusal:
            asked_s = refusal.retry_after_s or None
            wait_s = limiter.refused(place, refusal.headers, asked_s, now())
            if wait_s is not None:
                return wait_s or 1e-9
        else:
            limiter.answered(place, headers, now())
            return 0.0
        finally:
            slots.leave()
        wait_s = (asked_s or 0.0) + Backoff().wait_s(0, self.dice)
        await slots.rest(wait_s)
        return wait_s or 1e-9


def simulated(server: SimulatedServer, *processes: Sequence[SimulatedRun]) -> float:
    """The seconds that some runs take that begin together, those of one process with
    one pool."""

    async def main() -> float:
        async with asyncio.TaskGroup() as runs:
            for number, process in enumerate(processes):
                pool = SharedLimiter(random.Random(number))
                for run in process:
                    runs.create_task(run.ask(server, pool))
        return now()

    return simulate(main)


def unlimited_s(server: SimulatedServer, calls: int, at_once: int) -> float:
    """The seconds that so many calls take where each refused one alone waits as long as
    the server asks, and the others go on."""
    left = iter(range(calls))

    async def work() -> None:
        for _ in left:
            while not await answered():
                pass

    async def answered() -> bool:
        try:
            await server.reply(100)
        except RefusedError as refusal:
            await asyncio.sleep(refusal.retry_after_s)
            return False
        return True

    async def main() -> float:
        async with asyncio.TaskGroup() as workers:
            for _ in range(at_once):
                workers.create_task(work())
        return now()

    return simulate(main)


@dataclass(frozen=True)
class Kind:
    """A kind of server, and what a run that is measured asks of it."""

    rule: Callable[[int], Rule]
    limit: int = 60
    windows: int = 20
    """For so many minutes there are calls; at a cap, so many hundred."""
    tells: bool = True
    explains: bool = True
    asks: bool = True


def _kinds() -> dict[str, Kind]:
    rules: dict[str, Callable[[int], Rule]] = {
        "fixed window": Window,
        "sliding window": lambda limit: Window(limit, sliding=True),
        "token bucket": Buckets,
        "small bucket": lambda limit: Buckets(limit, burst_s=3),
    }
    told = {
        "told by all replies": Kind(Window, tells=True, explains=True),
        "told by answers": Kind(Window, tells=True, explains=False),
        "told by Retry-After": Kind(Window, tells=False, explains=False),
        "not told": Kind(Window, tells=False, explains=False, asks=False),
    }
    kinds = {
        f"{rule}, {how}": replace(kind, rule=rules[rule])
        for rule in rules
        for how, kind in told.items()
    }
    many = {
        f"{rule}, 600 a minute, {how}": replace(
            kind, rule=rules[rule], limit=600, windows=15
        )
        for rule in ("fixed window", "token bucket")
        for how, kind in told.items()
    }
    caps = {
        f"{cap} at once, {how}": replace(told[how], rule=Places, limit=cap, windows=5)
        for cap in (2, 10)
        for how in ("told by Retry-After", "not told")
    }
    return kinds | many | caps


KINDS = _kinds()


def measured(name: str) -> dict[str, float]:
    """What a run makes of a server of that kind: the share of its calls refused after
    the first window (a minute; at a cap, two seconds), its time as a multiple of the
    ideal, and the longest that a call waited between its attempts, in seconds."""
    kind = KINDS[name]
    server = SimulatedServer(
        kind.rule(kind.limit), tells=kind.tells, explains=kind.explains, asks=kind.asks
    )
    count = 100 * kind.windows if kind.rule is Places else kind.limit * kind.windows
    run = SimulatedRun([100] * count, 64)
    took_s = simulated(server, [run])
    return {
        "refused": server.share_refused(2 if kind.rule is Places else 60),
        "time": took_s / server.ideal_s(run.tokens),
        "waited_s": run.waited_s,
    }


if __name__ == "__main__":
    print(json.dumps({name: measured(name) for name in KINDS}))
