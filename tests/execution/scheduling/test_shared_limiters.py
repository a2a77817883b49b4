"""Shared limiters: who shares the limits of a server, and what the next run knows."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Hashable
from dataclasses import replace

from fakes.experiments import capitals
from fakes.refusals import BAD_REQUEST

import promptlab as pl
from promptlab.execution.caller import STALE_S
from promptlab.execution.loop import background_loop
from promptlab.execution.scheduling.limiter import FIRST_WINDOW
from promptlab.execution.scheduling.pool import (
    KEEP_S,
    ModelSlots,
    RunConcurrency,
    SharedLimiters,
)
from promptlab.execution.scheduling.queue import Queue
from promptlab.models.client import Client
from promptlab.models.openai import OpenAIClient
from promptlab.secret import ApiKey, Secret
from promptlab.store.cache import Entry
from promptlab.testing import (
    PATIENCE_S,
    FakeClient,
    echo,
    failure,
    response,
    wait_until,
)

from .simulated import simulate

URL = "https://api.example.test/v1"
KEY = "sk-test-0123456789"


def client(key: ApiKey = KEY, **headers: str) -> OpenAIClient:
    return OpenAIClient({URL: Secret(key)}, headers={URL: headers})


def same_pool(one: Client, other: Client, *models: str) -> bool:
    """Whether two clients share the limits of the models; of one, if it is one."""
    first, last = models[0], models[-1]

    async def main() -> bool:
        pools = SharedLimiters()
        return pools.of(one, URL, first) is pools.of(other, URL, last)

    return simulate(main)


def rotating() -> str:
    return KEY


def test_limits_are_shared_by_key_endpoint_and_model() -> None:
    assert same_pool(client(), client(), "m")
    assert same_pool(client(rotating), client(rotating), "m")
    assert not same_pool(client(), client("sk-test-9876543210"), "m")
    assert not same_pool(client(), client(**{"OpenAI-Project": "p"}), "m")
    assert not same_pool(client(), client(), "m", "n")


def test_own_clients_share_only_with_themselves() -> None:
    one, other = FakeClient(), FakeClient()

    assert same_pool(one, one, "m")
    assert not same_pool(one, other, "m")


def test_a_client_that_cannot_be_referred_to_weakly_shares_with_nobody() -> None:
    class Slotted:
        __slots__ = ("base_url",)

        async def complete(self, request: pl.Request) -> pl.Response:
            return response("")

        async def close(self) -> None:
            return None

    assert not same_pool(slotted := Slotted(), slotted, "m")


def test_a_client_that_is_gone_is_not_kept_alive() -> None:
    async def main() -> int:
        pools = SharedLimiters()
        own = FakeClient()
        pools.of(own, URL, "m")
        gone = weakref.ref(own)
        del own
        gc.collect()
        assert gone() is None
        pools.of(client(), URL, "m")
        return len(pools)

    assert simulate(main) == 1


def test_pools_that_no_run_uses_are_dropped_after_an_hour() -> None:
    async def main() -> list[bool]:
        pools, kept = SharedLimiters(), []
        for rest_s in (0.9 * KEEP_S, 1.1 * KEEP_S):
            pool = pools.of(client(), URL, "m")
            await asyncio.sleep(rest_s)
            kept.append(pools.of(client(), URL, "m") is pool)
        return kept

    assert simulate(main) == [True, False]


def test_a_pool_that_a_run_uses_for_hours_is_kept() -> None:
    async def main() -> bool:
        pools = SharedLimiters()
        pool = pools.of(client(), URL, "m")
        ModelSlots("m", RunConcurrency(1), pool, Queue())
        await asyncio.sleep(2 * KEEP_S)
        return pools.of(client(), URL, "m") is pool

    assert simulate(main)


def test_of_several_keys_what_the_one_used_last_has_learnt_is_known() -> None:
    async def main() -> list[bool]:
        pools = SharedLimiters()
        one = pools.of(client(), URL, "m")
        await asyncio.sleep(1)
        other = pools.of(client("sk-test-9876543210"), URL, "m")
        known = [pools.known(URL, "m") is other]
        await asyncio.sleep(1)
        ModelSlots("m", RunConcurrency(1), one, Queue())
        return [*known, pools.known(URL, "m") is one]

    assert simulate(main) == [True, True]


def test_the_key_can_be_read_off_nothing_that_is_kept() -> None:
    identity: Hashable = client(**{"X-Api-Key": KEY}).identity(URL, b"salt")

    assert KEY not in repr(identity)
    assert identity != client(**{"X-Api-Key": KEY}).identity(URL, b"other salt")


# What the next run knows.


def telling(remaining: int) -> FakeClient:
    """A model whose server allows 60 calls a minute, and says that so many are left."""
    headers = {
        "x-ratelimit-limit-requests": "60",
        "x-ratelimit-remaining-requests": str(remaining),
    }
    return FakeClient(lambda asked: replace(response(echo(asked)), headers=headers))


def test_the_next_run_does_not_begin_with_a_burst_over_the_limit() -> None:
    model = telling(remaining=0)
    capitals(1).run(client=model)

    handle = capitals(20, name="next").start(client=model)
    wait_until(lambda: "requests per minute of fake" in handle.progress.waiting)
    handle.cancel()

    assert handle.result(PATIENCE_S).totals.calls <= 1


def test_an_own_limit_is_charged_for_what_an_answer_took_beyond_its_estimate() -> None:
    usage = pl.Usage(input_tokens=10, output_tokens=60_000)
    model = FakeClient(lambda asked: replace(response(echo(asked)), usage=usage))

    handle = capitals(20).start(client=model, tpm=6_000, max_concurrency=1)
    waits = "tokens per minute of fake"
    wait_until(lambda: model.calls > 1 or waits in handle.progress.waiting)
    handle.cancel()

    assert handle.result(PATIENCE_S).totals.calls == 1


def test_a_run_learns_from_one_that_goes_on_beside_it() -> None:
    model = telling(remaining=0)
    model.held = lambda asked: asked.repeat == 0

    one = capitals(1, temperature=[0], repeats=2).start(client=model)
    model.wait_for_calls(2)  # one of them is held
    other = capitals(20, name="other").start(client=model)
    wait_until(lambda: "requests per minute of fake" in other.progress.waiting)
    other.cancel()
    model.release_all()

    assert one.result(PATIENCE_S).totals.answered == 2
    assert other.result(PATIENCE_S).totals.calls <= 1


def test_a_run_through_another_client_is_not_held_back() -> None:
    capitals(1).run(client=telling(remaining=0))

    results = capitals(20).start(client=telling(remaining=60)).result(PATIENCE_S)

    assert results.totals.answered == 40


def test_time_left_minds_the_limits(experiment: pl.Experiment) -> None:
    model = telling(remaining=0)

    handle = capitals(100).start(client=model, max_concurrency=8)
    wait_until(lambda: bool(handle.progress.waiting))
    left_s = handle.progress.left_s
    handle.cancel()
    handle.result(PATIENCE_S)

    assert left_s is not None
    assert left_s > 150  # of 200 calls some 190 are left, one a second


def test_prompt_or_answer_is_charged_beforehand_whichever_may_be_longer() -> None:
    prompt = "{{city}}".ljust(300, ".")  # some 100 tokens
    model = FakeClient(held=lambda asked: True)

    handle = capitals(20, prompt=[prompt], temperature=[0], max_tokens=[100]).start(
        client=model, tpm=1_000
    )
    wait_until(lambda: "tokens per minute of fake" in handle.progress.waiting)
    model.wait_for_calls(10)
    calls = model.calls
    handle.cancel()
    model.release_all()
    handle.result(PATIENCE_S)

    assert calls == 10


def test_wrong_requests_leave_a_server_as_many_calls_as_before() -> None:
    model = FakeClient(lambda asked: BAD_REQUEST)
    model.base_url = "http://wrong.test/v1"

    results = capitals(40).run(client=model)
    pool = background_loop().limiters.known(model.base_url, "fake")

    assert results.totals.failed == 80
    assert pool is not None
    assert pool.limiter.window == FIRST_WINDOW


def test_a_wait_that_was_too_long_for_one_run_holds_up_no_later_one() -> None:
    model = FakeClient(lambda asked: failure(503, retry_after_s=3600))
    experiment = capitals(2)

    failed = experiment.run(client=model, max_wait_s=1)
    model.answer = echo
    later = experiment.run(client=model)

    assert (failed.totals.failed, later.totals.answered) == (4, 4)


def test_an_answer_that_came_meanwhile_takes_nothing_of_an_own_limit(
    cache: pl.ResponseCache,
) -> None:
    experiment = capitals(2, temperature=[0], model=["a", "b"])
    asked = FakeClient()
    experiment.run(client=asked, use_cache=False, record=False)
    elsewhere = next(r for r in asked.requests if r.model == "b")
    model = FakeClient(held=lambda request: True)

    handle = experiment.start(client=model, cache=cache, rpm=1, max_concurrency=1)
    model.wait_for_calls(1)  # of model a; that to b waits for its place
    cache.add([Entry.of(elsewhere, response("Here."), "another")])
    wait_until(lambda: handle.progress.elapsed_s > 2 * STALE_S)
    model.release_all()
    wait_until(
        lambda: model.calls > 1 or handle.progress.waiting.count("per minute") > 1
    )
    handle.cancel()
    handle.result(PATIENCE_S)

    assert [request.model for request in model.requests] == ["a", "b"]
    assert model.requests[1] != elsewhere
