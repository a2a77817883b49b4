"""Lanes: whose call is next, where several runs share what a server bears."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

import pytest

from promptlab.execution.scheduling.pool import (
    ModelSlots,
    RunConcurrency,
    SharedLimiter,
)
from promptlab.execution.scheduling.queue import Queue

from .simulated import now, simulate


class Punctual(random.Random):
    """Dice that add nothing to a pause."""

    def random(self) -> float:
        return 0.0


PUNCTUAL = Punctual()


class Sender:
    """A run that sends its calls as soon as it may; they stay in flight."""

    def __init__(
        self,
        name: str,
        *pools: SharedLimiter,
        tokens: Sequence[int] = (0,) * 10,
        at_once: int = 20,
        rpm: float | None = None,
        tpm: float | None = None,
    ) -> None:
        self.gate = RunConcurrency(at_once, rpm=rpm, tpm=tpm)
        self.members = [ModelSlots(name, self.gate, pool, Queue()) for pool in pools]
        self.sent_at: list[float] = []
        self.sent_by: list[ModelSlots] = []
        self.calls = [
            asyncio.create_task(self._send(slots, size))
            for size in tokens
            for slots in self.members
        ]

    async def _send(self, slots: ModelSlots, tokens: int) -> ModelSlots:
        await slots.enter(tokens)
        self.sent_at.append(now())
        self.sent_by.append(slots)
        return slots

    async def give_up(self, *calls: asyncio.Task[ModelSlots]) -> None:
        """Gives up calls that wait."""
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)

    async def end(self) -> None:
        """Gives up what waits and ends what is in flight."""
        waiting = [call for call in self.calls if not call.done()]
        await self.give_up(*waiting)
        for call in self.calls:
            if not call.cancelled():
                call.result().leave()
        self.gate.close()


async def settled() -> None:
    """Returns when all that can be sent now has been sent."""
    await asyncio.sleep(0.001)


def test_runs_take_turns_at_a_limit_however_many_calls_each_has_waiting() -> None:
    async def main() -> None:
        pool = SharedLimiter()
        many = Sender("many", pool, rpm=1)
        few = Sender("few", pool, tokens=[0] * 2)
        await asyncio.sleep(60 * 5 + 1)

        assert many.sent_at == pytest.approx([0, 120, 240, 300])
        assert few.sent_at == pytest.approx([60, 180])

    simulate(main)


def test_a_large_call_is_not_overtaken_for_ever_by_small_ones_of_another_run() -> None:
    async def main() -> None:
        pool = SharedLimiter()
        small = Sender("small", pool, tokens=[20] * 10, tpm=60)
        large = Sender("large", pool, tokens=[60])
        await asyncio.sleep(81)

        assert small.sent_at == pytest.approx([0, 0, 0, 80])
        assert large.sent_at == pytest.approx([60])

    simulate(main)


def test_when_a_run_ends_those_behind_its_calls_go_on_at_once() -> None:
    async def main() -> None:
        pool = SharedLimiter()
        large = Sender("large", pool, tokens=[60, 60], tpm=60)
        small = Sender("small", pool, tokens=[30, 30], tpm=60)
        await asyncio.sleep(70)
        assert small.sent_at == pytest.approx([30])
        assert large.sent_at == [0]  # the next waits for 60, and 40 are there

        await large.end()
        await settled()

        assert small.sent_at == pytest.approx([30, 70], abs=0.01)

    simulate(main)


def test_a_call_that_is_given_up_holds_up_nobody() -> None:
    async def main() -> None:
        pool = SharedLimiter()
        sender = Sender("m", pool, tokens=[60, 60, 30], tpm=60)
        await asyncio.sleep(40)

        await sender.give_up(sender.calls[1])
        await settled()

        assert sender.sent_at == pytest.approx([0, 40], abs=0.01)

    simulate(main)


def test_a_place_that_came_at_the_moment_of_giving_up_is_given_back() -> None:
    async def main() -> float:
        slots = ModelSlots("m", RunConcurrency(1, rpm=60), SharedLimiter(), Queue())
        await slots.enter(0)
        call = asyncio.ensure_future(slots.enter(0))
        await asyncio.sleep(0)
        slots.leave()  # the other call has its place, and has not noticed
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        return slots.limiter.least_s(59, 0, now())

    assert simulate(main) == pytest.approx(0)


def test_a_place_that_one_run_leaves_is_taken_by_the_other() -> None:
    async def main() -> None:
        pool = SharedLimiter()
        one = Sender("one", pool, tokens=[0], at_once=1)
        other = Sender("other", pool, tokens=[0], at_once=1)
        await settled()
        for _ in range(100):
            pool.limiter.failed(pool.limiter.take(0, now()), {}, now())
        third = Sender("third", pool, tokens=[0], at_once=1)
        await settled()
        assert (len(one.sent_at), len(other.sent_at)) == (1, 1)

        await one.end()
        await settled()
        assert third.sent_at == []  # the window is one, and the other's call has it
        await other.end()
        await settled()
        assert len(third.sent_at) == 1

    simulate(main)


def test_a_pause_holds_all_runs_and_ends_for_all() -> None:
    async def main() -> None:
        pool = SharedLimiter(PUNCTUAL)
        pool.limiter.pause(30, "Retry-After", now())
        one, other = (Sender(name, pool, tokens=[0]) for name in ("one", "other"))
        await settled()
        pool.limiter.pause(50, "Retry-After", now())

        assert one.members[0].wait_reason(now()) == (
            "Retry-After of one (1 call, the next in 30 s)"
        )
        assert other.members[0].wait_reason(now()).startswith("Retry-After of other")
        await asyncio.sleep(60)
        assert one.sent_at == other.sent_at == pytest.approx([50], abs=0.01)

    simulate(main)


def test_of_the_limits_of_two_runs_the_lower_holds_while_both_go_on() -> None:
    async def main() -> None:
        pool = SharedLimiter()
        strict = Sender("strict", pool, rpm=1)
        lenient = Sender("lenient", pool, rpm=60, tokens=[0] * 4)
        await asyncio.sleep(121)
        both = sorted(strict.sent_at + lenient.sent_at)
        await strict.end()
        await asyncio.sleep(5)

        assert both == pytest.approx([0, 60, 120])
        assert lenient.sent_at[1:] == pytest.approx([122, 123, 124], abs=1.01)

    simulate(main)


def test_each_run_keeps_to_its_own_max_concurrency() -> None:
    async def main() -> None:
        pool = SharedLimiter()
        one, other = Sender("one", pool, at_once=2), Sender("other", pool, at_once=3)
        await settled()
        assert (len(one.sent_at), len(other.sent_at)) == (2, 3)

        one.members[0].leave()
        await settled()
        assert (len(one.sent_at), len(other.sent_at)) == (3, 3)

    simulate(main)


def test_the_models_of_a_run_take_turns_within_max_concurrency() -> None:
    async def main() -> None:
        run = Sender("m", SharedLimiter(), SharedLimiter(), tokens=[0] * 5, at_once=1)
        await settled()
        for place in range(6):
            run.sent_by[place].leave()
            await settled()

        first, second = run.members
        assert run.sent_by[1:] == [first, second] * 3

    simulate(main)


def test_what_is_left_is_reckoned_with_the_share_that_other_runs_take() -> None:
    async def main() -> None:
        pool = SharedLimiter()
        large = Sender("large", pool, tokens=[0] * 100, at_once=1, rpm=60)
        small = Sender("small", pool, tokens=[0] * 30, at_once=1)
        pool.limiter.take(0, now())
        await settled()

        alone_s = small.members[0].least_s(now())
        assert large.members[0].least_s(now()) > alone_s
        await large.end()
        assert small.members[0].least_s(now()) < alone_s

    simulate(main)


def test_a_call_that_waits_and_is_given_up_leaves_every_place_to_others() -> None:
    async def main() -> tuple[int, int, int]:
        gate, pool = RunConcurrency(1), SharedLimiter()
        slots = ModelSlots("m", gate, pool, Queue())
        await slots.enter(0)
        waiting = asyncio.ensure_future(slots.enter(0))
        await settled()
        waiting.cancel()
        slots.leave()  # as its place comes
        await asyncio.gather(waiting, return_exceptions=True)
        return slots.in_flight, gate.in_flight, pool.in_flight

    assert simulate(main) == (0, 0, 0)


def test_a_place_that_comes_as_its_call_is_given_up_is_free_in_lane_gate_and_pool() -> (
    None
):
    async def main() -> list[int]:
        gate, pool = RunConcurrency(1), SharedLimiter()
        slots = ModelSlots("m", gate, pool, Queue())
        await slots.enter(0)
        call = asyncio.ensure_future(slots.enter(0))
        await settled()
        slots.leave()  # it has its place, and has not noticed
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        freed = [slots.in_flight, gate.in_flight, pool.in_flight]
        await slots.enter(0)  # there is room again
        return freed

    assert simulate(main) == [0, 0, 0]


def test_a_call_that_was_sent_before_comes_before_those_that_were_not() -> None:
    async def main() -> list[str]:
        slots = ModelSlots("m", RunConcurrency(1), SharedLimiter(), Queue())
        came: list[str] = []

        async def enter(name: str, *, again: bool = False) -> None:
            await slots.enter(0, again=again)
            came.append(name)

        await slots.enter(0)
        calls = [asyncio.create_task(enter("new"))]
        await settled()
        calls.append(asyncio.create_task(enter("refused before", again=True)))
        for _ in calls:
            await settled()
            slots.leave()
        await asyncio.gather(*calls)
        return came

    assert simulate(main) == ["refused before", "new"]


def test_calls_that_wait_too_long_for_a_server_are_told_what_it_asked() -> None:
    async def main() -> list[str]:
        pool = SharedLimiter()
        slots = ModelSlots("m", RunConcurrency(2, max_wait_s=300), pool, Queue())
        place = await slots.enter(0)
        told = {
            "x-ratelimit-limit-requests": "10",
            "x-ratelimit-remaining-requests": "0",
            "x-ratelimit-reset-requests": "24h",
        }
        calls = [asyncio.create_task(slots.enter(0)) for _ in range(2)]
        await settled()
        calls[0].result()
        pool.limiter.answered(place, told, now())
        slots.leave()
        pool.limiter.answered(calls[0].result(), told, now())
        slots.leave()
        await settled()
        return [str(calls[1].exception())]

    (said,) = simulate(main)
    assert said.startswith("the server lets the next call to m start in 2 h ")
    assert "x-ratelimit-reset-requests: 24h" in said
    assert said.endswith("and max_wait_s is 300")


def test_own_limits_may_let_a_call_wait_for_any_time() -> None:
    async def main() -> float:
        slots = ModelSlots(
            "m", RunConcurrency(2, rpm=0.1, max_wait_s=300), SharedLimiter(), Queue()
        )
        for _ in range(2):
            await slots.enter(0)
            slots.leave()
        return now()

    assert simulate(main) == pytest.approx(600)
