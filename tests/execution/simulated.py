"""Simulated time and servers: lanes as runs use them, and minutes that take no time."""

from __future__ import annotations

import asyncio
import random
import selectors
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from promptlab.execution.lanes import Gate, Lane, Pool
from promptlab.execution.queues import Queue
from promptlab.offline.errors import ApiError
from promptlab.offline.limits import Bucket, Limits

T = TypeVar("T")


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


@dataclass
class SimulatedServer:
    """Admits calls as the offline server does: from buckets that are full at first."""

    rpm: int | None = None
    tpm: int | None = None
    latency_s: float = 1.0
    burst_s: float = 60.0
    """How many seconds' worth the buckets hold."""
    tells: bool = True
    """Whether its replies have x-ratelimit headers."""
    charges: float = 1.0
    """Tokens that it charges, for each that a call is reckoned with."""
    stall_s: float = 0.0
    """How long calls on their way are held up, every 3 s."""
    calls: int = 0
    refused: int = 0

    def __post_init__(self) -> None:
        self._dice = random.Random(1)
        limits = {"requests": self.rpm, "tokens": self.tpm}
        self._limits = Limits(
            tuple(
                Bucket(kind, per_minute, self.burst_s)
                for kind, per_minute in limits.items()
                if per_minute is not None
            )
        )

    async def reply(self, tokens: int) -> Mapping[str, str]:
        """The headers of the answer; raises `ApiError` if the call is refused."""
        self.calls += 1
        held_s = max(0.0, self.stall_s - now() % 3)
        await asyncio.sleep(held_s + 0.02 * self._dice.random())  # on the way
        try:
            self._limits.draw("m", round(tokens * self.charges), now())
        except ApiError:
            self.refused += 1
            raise
        headers = self._limits.headers()
        await asyncio.sleep(self.latency_s * self._dice.uniform(0.7, 1.3))
        return headers if self.tells else {}

    def ideal_s(self, tokens: Iterable[int]) -> float:
        """How long these calls take if every one starts as soon as the limits allow."""
        asked = list(tokens)
        amounts = {"requests": len(asked), "tokens": sum(asked) * self.charges}
        waits = [
            (amounts[bucket.kind] - bucket.capacity) * 60 / bucket.per_minute
            for bucket in self._limits.buckets
        ]
        return max(0.0, *waits) + self.latency_s


@dataclass
class SimulatedRun:
    """A run's calls to one model: so many tokens each."""

    tokens: Sequence[int]
    max_concurrency: int = 32
    rpm: float | None = None
    tpm: float | None = None
    ended_s: float = float("nan")
    in_flight_max: int = 0

    async def ask(self, server: SimulatedServer, pool: Pool) -> None:
        """Makes all calls, as workers of a run make them."""
        gate = Gate(self.max_concurrency, rpm=self.rpm, tpm=self.tpm)
        queue = Queue()
        for index in range(len(self.tokens)):
            queue.put(index)
        lane = Lane("m", gate, pool, queue)
        async with asyncio.TaskGroup() as workers:
            for _ in range(min(len(self.tokens), self.max_concurrency)):
                workers.create_task(self._work(lane, server))
        gate.close()
        self.ended_s = now()

    async def _work(self, lane: Lane, server: SimulatedServer) -> None:
        while (index := await lane.queue.take()) is not None:
            while not await self._attempt(self.tokens[index], lane, server):
                pass

    async def _attempt(self, tokens: int, lane: Lane, server: SimulatedServer) -> bool:
        sent = await lane.enter(tokens)
        self.in_flight_max = max(self.in_flight_max, lane.gate.in_flight)
        limiter = lane.limiter
        try:
            headers = await server.reply(tokens)
        except ApiError as error:
            told = error.headers if server.tells else {}
            limiter.give_back(sent)
            limiter.learn(told, sent, now())
            limiter.refused(now())
            wait_s = float(error.headers["retry-after-ms"]) / 1000
            limiter.pause(wait_s * random.Random(wait_s).uniform(1, 1.1), "", now())
            return False
        else:
            limiter.learn(headers, sent, now())
            limiter.answered(now())
            return True
        finally:
            lane.leave()


def simulated(server: SimulatedServer, *processes: Sequence[SimulatedRun]) -> float:
    """The seconds that some runs take that begin together, those of one process with
    one pool."""

    async def main() -> float:
        async with asyncio.TaskGroup() as runs:
            for process in processes:
                pool = Pool()
                for run in process:
                    runs.create_task(run.ask(server, pool))
        return now()

    return simulate(main)
