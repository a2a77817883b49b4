"""The order of calls: what a provider's prompt cache makes of it."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from fakes.experiments import outcomes
from fakes.refusals import BAD_REQUEST
from pandas.testing import assert_frame_equal

import promptlab as pl
from promptlab import testing as fakes
from promptlab.execution.scheduling.queue import (
    PATIENCE_S,
    Queue,
    release_stalled_followers,
)
from promptlab.spec.request import Request
from promptlab.testing import FakeClient, Outcome, echo, last_text

from .simulated import simulate

VARIANTS = {
    "team": "Which team should answer?",
    "tone": "Is the customer angry?",
    "language": "In which language is it?",
    "topic": "What is it about?",
}


class CachingProvider(FakeClient):
    """A model behind a prompt cache as OpenAI describes its own: of prompts from 1,024
    tokens on, their beginning in steps of 128, once a call has been answered.

    A word is a token. Calls take some turns of the loop, so that many are under way.
    """

    def __init__(self, answer: Callable[[Request], Outcome] = echo) -> None:
        super().__init__(answer)
        self._kept: set[tuple[str, ...]] = set()

    async def complete(self, request: Request) -> pl.Response:
        body = request.body
        spoken = " ".join(f"{m['role']} {m['content']}" for m in body["messages"])
        words = f"{body['model']} {body.get('tools')} {spoken}".split()
        beginnings = [tuple(words[:size]) for size in range(1024, len(words) + 1, 128)]
        read = [len(words) for words in beginnings if words in self._kept]
        for _ in range(50):
            await asyncio.sleep(0)
        reply = await super().complete(request)
        self._kept.update(beginnings)
        usage = pl.Usage(
            input_tokens=len(words),
            cached_input_tokens=max(read, default=0),
            output_tokens=5,
        )
        return replace(reply, usage=usage)


def text(words: int, about: object) -> str:
    """So many words, others for each subject."""
    return " ".join(f"{about}-word-{number}" for number in range(words))


def on_documents(cases: int = 6, words: int = 1500, **grid: Any) -> pl.Experiment:
    """A long document, then one of several questions about it."""
    prompts = {name: f"{{{{document}}}}\n\n{asked}" for name, asked in VARIANTS.items()}
    return pl.Experiment(
        "documents",
        grid={"model": ["fake"], "prompt": prompts, **grid},
        dataset=[{"document": text(words, case)} for case in range(cases)],
    )


def with_examples(cases: int = 20, **grid: Any) -> pl.Experiment:
    """Many examples, then a short case."""
    prompts = {
        name: f"{text(1200, name)}\n\n{{{{ticket}}}}" for name in ("mail", "chat")
    }
    return pl.Experiment(
        "examples",
        grid={"model": ["fake"], "prompt": prompts, **grid},
        dataset=[{"ticket": text(40, f"ticket-{case}")} for case in range(cases)],
    )


def run(
    experiment: pl.Experiment, client: FakeClient | None = None, **options: Any
) -> pl.Results:
    handle = experiment.start(client=client or CachingProvider(), **options)
    return handle.result(fakes.PATIENCE_S)


def shares_read(results: pl.Results) -> list[float]:
    """Of each trial, the share of the prompt that came from the provider's cache."""
    table = results.table
    return (table["cached_input_tokens"] / table["input_tokens"]).tolist()


# What it saves.


def test_of_the_questions_about_a_document_all_but_one_read_it_from_the_cache() -> None:
    shares = shares_read(run(on_documents()))

    assert len([share for share in shares if share > 0.9]) == 6 * 3
    assert shares.count(0) == 6


def test_of_all_cases_of_a_prompt_with_examples_all_but_one_read_them() -> None:
    shares = shares_read(run(with_examples()))

    assert len([share for share in shares if share > 0.9]) == 2 * 19
    assert shares.count(0) == 2


def test_repeats_and_temperatures_read_the_whole_prompt_of_their_case() -> None:
    experiment = pl.Experiment(
        "both",
        grid={
            "model": ["fake"],
            "system": [text(1200, "rules")],
            "prompt": ["{{document}}"],
            "temperature": [0, 1],
        },
        dataset=[{"document": text(1500, case)} for case in range(3)],
        repeats=2,
    )

    shares = shares_read(run(experiment))

    assert shares.count(0) == 1  # the first of all
    assert len([share for share in shares if 0.4 < share < 0.5]) == 2  # system alone
    assert len([share for share in shares if share > 0.9]) == 3 * 3


def test_turned_off_calls_that_begin_alike_go_at_once_and_read_less() -> None:
    led, not_led = (
        run(on_documents(), leader_first=first, use_cache=False)
        for first in (True, False)
    )

    read = [shares_read(results) for results in (led, not_led)]
    assert sum(read[0]) / 24 > 0.6
    assert sum(read[1]) / 24 < 0.3
    answers = [outcomes(results)[["case", "output"]] for results in (led, not_led)]
    assert_frame_equal(*answers)


def test_what_is_asked_is_the_same_in_either_order() -> None:
    clients = [FakeClient(), FakeClient()]

    for client, first in zip(clients, (True, False), strict=True):
        run(with_examples(), client, leader_first=first, use_cache=False)

    asked = [Counter(request.key for request in c.requests) for c in clients]
    assert asked[0] == asked[1]


# What it costs.


def test_short_prompts_wait_for_nobody() -> None:
    client = FakeClient(held=lambda request: True)

    handle = on_documents(words=100).start(client=client, max_concurrency=16)
    client.wait_for_calls(16)
    asked = [last_text(request) for request in client.requests]
    client.release_all()
    handle.result(fakes.PATIENCE_S)

    assert len(set(asked)) == 16
    assert {request.split("-")[0] for request in asked} == {"0", "1", "2", "3"}


def test_while_leaders_are_waited_for_others_go_on() -> None:
    client = FakeClient(held=lambda request: True)

    handle = on_documents(cases=10).start(client=client, max_concurrency=8)
    client.wait_for_calls(8)
    leaders = [last_text(request).split("-")[0] for request in client.requests]
    client.release(1)
    client.wait_for_calls(9)
    next_one = last_text(client.requests[8]).split("-")[0]
    client.release_all()
    handle.result(fakes.PATIENCE_S)

    assert sorted(leaders) == list("01234567")
    assert next_one == leaders[0]  # case by case, so that a broken run is balanced


def test_each_variant_leads_as_often_as_the_others() -> None:
    results = run(on_documents(cases=8, temperature=[0, 1]))

    table = results.table
    led = table[table["cached_input_tokens"] == 0]
    assert led["prompt"].value_counts().to_dict() == dict.fromkeys(VARIANTS, 2)


def test_prompts_that_begin_alike_with_other_tools_are_not_alike() -> None:
    tools = [
        [{"type": "function", "function": {"name": name, "parameters": {}}}]
        for name in ("search", "order")
    ]
    client = FakeClient(held=lambda request: True)

    handle = on_documents(cases=1, tools=tools).start(client=client)
    client.wait_for_calls(2)
    asked = [
        request.body["tools"][0]["function"]["name"] for request in client.requests
    ]
    client.release_all()
    handle.result(fakes.PATIENCE_S)

    assert sorted(asked) == ["order", "search"]


def test_models_do_not_wait_for_each_other() -> None:
    client = FakeClient(held=lambda request: True)

    handle = on_documents(cases=1, model=["a", "b"]).start(client=client)
    client.wait_for_calls(2)
    asked = {request.model for request in client.requests}
    client.release_all()
    handle.result(fakes.PATIENCE_S)

    assert asked == {"a", "b"}


# When something goes wrong.


def failing_first(count: int) -> FakeClient:
    """Refuses the first calls, and holds all of them."""
    client = FakeClient(held=lambda request: True)
    client.answer = lambda request: (
        BAD_REQUEST if client.requests.index(request) < count else echo(request)
    )
    return client


def test_after_a_leader_that_failed_the_next_one_leads() -> None:
    client = failing_first(1)

    handle = on_documents(cases=1).start(client=client)
    for calls in (1, 2):
        client.wait_for_calls(calls)
        assert client.in_flight == 1
        client.release()
    client.wait_for_calls(4)
    in_flight = client.in_flight
    client.release_all()

    assert in_flight == 2
    assert handle.result(fakes.PATIENCE_S).totals.failed == 1


def test_after_two_leaders_that_failed_the_others_go_at_once() -> None:
    client = failing_first(2)

    handle = on_documents(cases=1).start(client=client)
    for calls in (1, 2):
        client.wait_for_calls(calls)
        client.release()
    client.wait_for_calls(4)
    client.release_all()

    assert handle.result(fakes.PATIENCE_S).totals.failed == 2


def test_a_run_that_is_ended_does_not_wait_for_those_behind_a_leader() -> None:
    client = FakeClient(held=lambda request: True)
    experiment = on_documents(cases=1)

    handle = experiment.start(client=client)
    client.wait_for_calls(1)
    handle.cancel()
    client.release()
    ended = handle.result(fakes.PATIENCE_S)
    rest = run(experiment, FakeClient())

    assert (ended.status, ended.totals.answered) == ("interrupted", 1)
    assert (rest.totals.answered, rest.totals.calls) == (4, 3)


def test_of_what_is_cached_nobody_leads() -> None:
    experiment = on_documents(cases=2)
    run(experiment.only(prompt="team"), FakeClient())
    client = FakeClient(held=lambda request: True)

    handle = experiment.start(client=client)
    client.wait_for_calls(2)
    assert client.in_flight == 2
    client.release_all()

    assert handle.result(fakes.PATIENCE_S).totals.calls == 6


def test_a_conversation_lets_others_go_after_its_first_reply() -> None:
    turns = [
        {"role": "user", "content": "{{document}}"},
        {"role": "user", "content": "And why?"},
    ]
    experiment = pl.Experiment(
        "talk",
        grid={"model": ["fake"], "prompt": {"a": turns}, "temperature": [0, 1]},
        dataset=[{"document": text(1500, "a")}],
    )
    client = FakeClient(held=lambda request: True)

    handle = experiment.start(client=client)
    client.wait_for_calls(1)
    client.release()
    client.wait_for_calls(3)
    asked = sorted(len(request.body["messages"]) for request in client.requests[1:])
    client.release_all()

    assert asked == [1, 3]
    assert handle.result(fakes.PATIENCE_S).totals.answered == 2


def test_duplicates_of_a_leader_take_its_answer() -> None:
    document = {"document": text(1500, "a")}
    experiment = pl.Experiment(
        "twice",
        grid={"model": ["fake"], "prompt": {"a": "{{document}}", "b": "{{document}}!"}},
        dataset=[document, document],
    )
    client = FakeClient()

    results = run(experiment, client)

    assert client.calls == 2
    assert results.totals.answered == 4


def test_nobody_waits_for_ever_for_a_leader_that_is_not_answered() -> None:
    async def main() -> tuple[bool, bool]:
        queue, sent = Queue(), set[int]()
        queue.put(0)
        queue.put(1, behind=0)
        watching = asyncio.create_task(
            release_stalled_followers([queue], sent.__contains__)
        )
        assert await queue.take() == 0
        next_one = asyncio.create_task(queue.take())
        await asyncio.sleep(10 * PATIENCE_S)
        before = next_one.done()  # the leader has not been sent
        sent.add(0)
        await asyncio.sleep(PATIENCE_S + 3)
        watching.cancel()
        return before, next_one.done()

    assert simulate(main) == (False, True)


@pytest.mark.parametrize("seed", range(5))
def test_a_queue_gives_every_trial_once_whatever_becomes_of_leaders(seed: int) -> None:
    dice = random.Random(seed)

    async def main() -> tuple[list[int], set[int]]:
        queue, given = Queue(), []
        for index in range(300):
            behind = dice.randrange(index) if index and dice.random() < 0.6 else None
            queue.put(index, behind)

        async def worker() -> None:
            while (index := await queue.take()) is not None:
                given.append(index)
                await asyncio.sleep(dice.random())
                queue.let_go(index, succeeded=dice.random() < 0.7)

        listed = set(queue)
        assert queue.left == 300
        await asyncio.gather(*(worker() for _ in range(7)))
        assert queue.left == 0
        return given, listed

    given, listed = simulate(main)

    assert sorted(given) == list(range(300))
    assert listed == set(range(300))
