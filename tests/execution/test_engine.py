"""The engine alone: cache, budget, limits and retries, without a run."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import pytest
from fakes.refusals import BUSY

import promptlab as pl
from promptlab.testing import FakeClient, failure, response

T = TypeVar("T")

PRICE = {"fake": {"input": 1.0, "output": 2.0}}
"""US dollars a million tokens, made up."""


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(coroutine)


def hello(name: str, client: FakeClient, **more: Any) -> pl.Request:
    body = {
        "model": "fake",
        "messages": [{"role": "user", "content": f"Hello {name}"}],
        "max_tokens": 10,
        **more,
    }
    return pl.Request(client.base_url, body)


async def asked(request: pl.Request, **options: Any) -> Any:
    async with pl.Engine(**options) as engine:
        return await engine.ask(request)


def test_a_request_is_answered_and_kept(client: FakeClient) -> None:
    request = hello("Ada", client)

    first = run(asked(request, client=client))
    second = run(asked(request, client=client))

    assert first.output == second.output
    assert (first.cached, second.cached) == (False, True)
    assert second.response.document == first.response.document
    assert client.calls == 1


def test_calls_are_entered_in_the_ledger_under_the_name_of_the_engine(
    client: FakeClient,
) -> None:
    async def main() -> None:
        async with pl.Engine("judge", client=client, prices=PRICE) as engine:
            await engine.ask(hello("Ada", client))

    run(main())

    table = pl.usage(by="experiment")
    assert table["experiment"].tolist() == ["judge"]
    assert table["requests"].tolist() == [1]


def test_a_failed_call_is_a_reply_with_an_error(client: FakeClient) -> None:
    client.answer = lambda request: failure(400)

    reply = run(asked(hello("Ada", client), client=client))

    assert reply.output is None
    assert reply.error is not None
    assert reply.error.status == 400


def test_a_call_is_made_again_where_that_helps() -> None:
    client = FakeClient([BUSY, response("at last")])

    reply = run(asked(hello("Ada", client), client=client))

    assert reply.output == "at last"
    assert reply.response.attempts == 2


def test_the_same_request_side_by_side_is_one_call(client: FakeClient) -> None:
    async def main() -> list[Any]:
        async with pl.Engine(client=client) as engine:
            same = hello("Ada", client)
            return await asyncio.gather(*(engine.ask(same) for _ in range(5)))

    replies = run(main())

    assert client.calls == 1
    assert sorted(reply.cached for reply in replies) == [False, *[True] * 4]
    assert len({reply.response.body for reply in replies}) == 1


def test_what_a_budget_has_no_room_for_is_not_asked(client: FakeClient) -> None:
    async def main() -> list[Any]:
        async with pl.Engine(client=client, budget_tokens=500) as engine:
            big = hello("Bob", client, max_tokens=1000)
            return [await engine.ask(big), await engine.ask(hello("Ada", client))]

    too_much, fits = run(main())

    assert too_much.error.kind == "not_asked"
    assert "budget" in too_much.error.message
    assert fits.output is not None


def test_a_budget_in_dollars_needs_a_price(client: FakeClient) -> None:
    client.base_url = "https://api.example.test/v1"

    with pytest.raises(pl.SpecError, match="no price is known for 'fake'"):
        run(asked(hello("Ada", client), client=client, budget_usd=1))


def test_offline_answers_from_the_cache_alone(client: FakeClient) -> None:
    run(asked(hello("Ada", client), client=client))

    kept = run(asked(hello("Ada", client), client=client, offline=True))
    missing = run(asked(hello("Bob", client), client=client, offline=True))

    assert kept.cached
    assert missing.error.kind == "not_cached"
    assert client.calls == 1


def test_without_a_cache_the_whole_answer_is_given_and_nothing_kept(
    client: FakeClient, tmp_path: Path
) -> None:
    request = hello("Ada", client)

    replies = [run(asked(request, client=client, use_cache=False)) for _ in range(2)]

    assert client.calls == 2
    assert all(reply.response.document["choices"] for reply in replies)
    assert not (tmp_path / ".promptlab" / "cache").exists()


def test_many_requests_are_asked_side_by_side(client: FakeClient) -> None:
    names = [f"guest {number}" for number in range(50)]
    replies: list[Any] = []

    async def main() -> None:
        async with pl.Engine(client=client, max_concurrency=8) as engine:
            await engine.ask(hello(names[0], client))
            requests = (hello(name, client) for name in names)
            await engine.ask_all(requests, replies.append)

    run(main())

    said = {r.request.body["messages"][0]["content"]: r.output for r in replies}
    assert len(said) == 50
    assert client.calls == 50
    assert sum(reply.cached for reply in replies) == 1


def test_a_wrong_key_ends_what_is_asked_side_by_side(client: FakeClient) -> None:
    client.answer = lambda request: failure(401)
    replies: list[Any] = []

    async def main() -> pl.Engine:
        async with pl.Engine(client=client, max_concurrency=2) as engine:
            requests = (hello(str(number), client) for number in range(50))
            await engine.ask_all(requests, replies.append)
            return engine

    engine = run(main())

    assert engine.status == "stopped"
    assert "check the API key" in engine.reason
    assert client.calls <= 4
    assert all(reply.error.status == 401 for reply in replies)


def test_a_body_goes_where_the_options_send_its_model() -> None:
    engine = pl.Engine(base_url="https://api.example.test/v1")
    body = {"model": "m", "messages": [{"role": "user", "content": "Hello"}]}

    assert engine.request(body).base_url == "https://api.example.test/v1"
    assert pl.Engine().request(body).base_url == "https://api.openai.com/v1"
    offline = pl.Engine().request({**body, "model": "offline/small"})
    assert offline.base_url.startswith("offline://")


def test_long_prompts_to_several_models_do_not_wait_for_one_another(
    client: FakeClient,
) -> None:
    shared = "The same long beginning. " * 400
    replies: list[pl.Reply] = []

    async def main() -> None:
        async with pl.Engine(client=client, max_concurrency=4) as engine:
            requests = [
                hello(f"{shared}{number}", client, model=model)
                for number in range(3)
                for model in ("one", "other")
            ]
            await asyncio.wait_for(engine.ask_all(requests, replies.append), 60)

    run(main())

    assert (
        sorted(reply.request.model for reply in replies) == ["one"] * 3 + ["other"] * 3
    )
    assert all(reply.error is None for reply in replies)


def test_many_requests_that_are_all_cached_need_no_call(
    client: FakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    requests = [hello(str(number), client) for number in range(3)]
    replies: list[pl.Reply] = []

    async def main() -> None:
        async with pl.Engine(client=client) as engine:
            await engine.ask_all(requests, replies.append)
        async with pl.Engine(client=client) as engine:
            await engine.ask_all(requests, replies.append)

    run(main())

    assert [reply.cached for reply in replies] == [False] * 3 + [True] * 3
    assert client.calls == 3
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_each_call_of_an_engine_is_handed_to_on_reply(client: FakeClient) -> None:
    handed: list[pl.Reply] = []

    run(asked(hello("Ada", client), client=client, on_reply=handed.append))
    run(asked(hello("Ada", client), client=client, on_reply=handed.append))  # cached
    client.answer = lambda request: failure(400)
    run(asked(hello("Bob", client), client=client, on_reply=handed.append))

    assert [reply.error and reply.error.status for reply in handed] == [None, 400]


def test_the_signature_of_an_engine_names_the_options() -> None:
    named = inspect.signature(pl.Engine).parameters

    assert list(named)[:2] == ["name", "options"]
    assert {"budget_usd", "max_concurrency", "cache"} <= set(named)


def test_an_engine_that_is_not_open_says_how_to_open_it(client: FakeClient) -> None:
    with pytest.raises(pl.PromptlabError, match="is not open"):
        run(pl.Engine(client=client).ask(hello("Ada", client)))


def test_a_cancelled_engine_gives_up_a_call_in_flight_at_the_second_time() -> None:
    def held(_: pl.Request) -> bool:
        engine.cancel()
        engine.cancel()
        return True

    client = FakeClient(held=held)
    engine = pl.Engine(client=client)

    async def main() -> Any:
        async with engine:
            return await engine.ask(hello("Ada", client))

    reply = run(main())

    assert reply.error.kind == "not_asked"
    assert engine.status == "interrupted"
