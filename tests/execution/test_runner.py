"""Runs: what is asked, what is not asked again, and what a failure means."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import openai
import pandas as pd
import pytest
from fakes.experiments import capitals, outcomes
from fakes.refusals import (
    BAD_REQUEST,
    BUSY,
    NO_SUCH_MODEL,
    OUT_OF_QUOTA,
    UNAUTHORIZED,
    UNSUPPORTED,
)
from pandas.testing import assert_frame_equal

import promptlab as pl
from promptlab.errors import CallError, CredentialsError
from promptlab.execution.progress import Progress
from promptlab.execution.scheduling.limiter import FIRST_WINDOW
from promptlab.spec.request import Request
from promptlab.testing import (
    PATIENCE_S,
    FakeClient,
    Outcome,
    echo,
    failure,
    last_text,
    response,
    wait_until,
)

DATASETS = Path(__file__).parents[2] / "datasets"


def about(city: int) -> str:
    return f"Where is city {city}?"


def failing(outcome: Outcome, *cities: int) -> FakeClient:
    """Answers, but about some cities."""
    texts = {about(city) for city in cities}
    return FakeClient(
        lambda asked: outcome if last_text(asked) in texts else echo(asked)
    )


# Nothing is paid for twice.


def test_second_run_calls_nothing_and_gives_the_same_table(
    experiment: pl.Experiment,
) -> None:
    first, second = FakeClient(), FakeClient()

    paid = experiment.run(client=first)
    again = experiment.run(client=second)

    assert (first.calls, second.calls) == (8, 0)
    assert_frame_equal(outcomes(paid), outcomes(again))
    assert not paid.table["cached"].any()
    assert again.table["cached"].all()


def test_two_more_repeats_pay_for_two_more_per_case() -> None:
    capitals(repeats=3).run(client=FakeClient())
    more, again = FakeClient(), FakeClient()

    results = capitals(repeats=5).run(client=more)
    capitals(repeats=5).run(client=again)

    assert (more.calls, again.calls) == (2 * 8, 0)
    assert {request.repeat for request in more.requests} == {3, 4}
    assert results.table["cached"].sum() == 3 * 8


def test_one_more_row_pays_for_one_row(client: FakeClient) -> None:
    capitals(4).run(client=FakeClient())

    capitals(5).run(client=client)

    assert [last_text(request) for request in client.requests] == [about(4)] * 2


def test_another_name_of_the_experiment_pays_for_nothing(client: FakeClient) -> None:
    capitals(name="capitals").run(client=FakeClient())

    capitals(name="the same under another name").run(client=client)

    assert client.calls == 0


def test_rows_that_ask_the_same_are_asked_once(client: FakeClient) -> None:
    experiment = pl.Experiment(
        "duplicates",
        grid=pl.Grid(model=["fake"], prompt=["Where is {{city}}?"]),
        dataset=[{"city": "Bern"}, {"city": "Lima"}, {"city": "Bern"}],
    )

    results = experiment.run(client=client)

    assert client.calls == 2
    assert results.table["output"][0] == results.table["output"][2]
    assert results.table["cached"].tolist() == [False, False, True]


def test_variants_that_became_the_same_are_asked_once(client: FakeClient) -> None:
    with pytest.warns(pl.PromptlabWarning, match="3 variants became the same"):
        experiment = capitals(model=["gpt-6-sol"], temperature=[0, 0.3, 0.7, 1])

    results = experiment.run(client=client)

    assert client.calls == len(results) == 4
    assert not any("temperature" in request.body for request in client.requests)


def test_a_prefix_that_conversations_share_is_paid_once(client: FakeClient) -> None:
    experiment = pl.Experiment("talk", grid=conversations(), dataset=[{}])

    results = experiment.run(client=client, max_concurrency=1)

    turns = Counter(last_text(request) for request in client.requests)
    assert turns == {"Name a city.": 1, "Why that one?": 1, "Another?": 1}
    assert results.totals.calls == experiment.plan(client=client, use_cache=False).calls


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"refresh": True}, id="refresh"),
        pytest.param({"use_cache": False}, id="without a cache"),
    ],
)
@pytest.mark.parametrize("max_concurrency", [1, 8])
def test_a_shared_prefix_is_paid_once_also_where_the_cache_is_not_read(
    client: FakeClient, options: dict[str, bool], max_concurrency: int
) -> None:
    experiment = pl.Experiment("talk", grid=conversations(), dataset=[{}])

    experiment.run(client=client, max_concurrency=max_concurrency, **options)

    assert client.calls == 3


def test_after_a_refresh_the_next_run_calls_nothing() -> None:
    experiment = pl.Experiment("talk", grid=conversations(), dataset=[{}])
    numbers = iter(range(1000))
    whimsical = FakeClient(lambda request: f"answer {next(numbers)}")
    again = FakeClient()

    renewed = experiment.run(client=whimsical, refresh=True, max_concurrency=1)
    results = experiment.run(client=again)

    assert again.calls == 0
    assert_frame_equal(outcomes(renewed), outcomes(results))


def conversations() -> pl.Grid:
    """Two conversations that begin alike."""
    turns = {"why": "Why that one?", "more": "Another?"}
    return pl.Grid(
        model=["fake"],
        prompt={
            name: pl.Prompt(
                [
                    {"role": "user", "content": "Name a city."},
                    {"role": "user", "content": last},
                ]
            )
            for name, last in turns.items()
        },
    )


def test_a_conversation_that_was_paid_for_in_part_is_not_cached() -> None:
    experiment = pl.Experiment("talk", grid=conversations(), dataset=[{}])
    experiment.only(prompt="why").run(client=FakeClient())
    client = FakeClient()

    results = experiment.run(client=client)

    assert client.calls == 1  # the first turn is known
    assert results.table["cached"].tolist() == [True, False]
    assert (results.totals.cached, results.totals.calls) == (1, 1)


def test_replies_feed_the_next_turn(client: FakeClient) -> None:
    experiment = pl.Experiment("talk", grid=conversations(), dataset=[{}])

    results = experiment.only(prompt="why").run(client=client)

    first, second = (request.body["messages"] for request in client.requests)
    reply = {"role": "assistant", "content": "fake at default says Name a city. (0)"}
    assert second == [*first, reply, {"role": "user", "content": "Why that one?"}]
    (record,) = results
    assert record.output == "fake at default says Why that one? (0)"
    assert (record.usage.input_tokens, record.latency_s) == (20, 0.5)
    assert results.totals.calls == 2


def test_a_conversation_that_fails_keeps_the_turns_that_were_answered() -> None:
    experiment = pl.Experiment("talk", grid=conversations(), dataset=[{}])
    broken = FakeClient(
        lambda asked: echo(asked) if last_text(asked) == "Name a city." else BAD_REQUEST
    )
    client = FakeClient()

    results = experiment.run(client=broken)
    experiment.run(client=client)

    assert results.totals.failed == 2
    assert [last_text(request) for request in client.requests] == [
        "Why that one?",
        "Another?",
    ]


@pytest.mark.parametrize("max_concurrency", [1, 8])
def test_two_runs_at_once_on_one_cache_ask_identical_requests_once(
    experiment: pl.Experiment, max_concurrency: int
) -> None:
    client = FakeClient(held=lambda request: True)

    one = experiment.start(client=client, max_concurrency=max_concurrency)
    client.wait_for_calls(max_concurrency)
    other = experiment.start(client=client, max_concurrency=max_concurrency)
    client.release_all()
    found = [handle.result(PATIENCE_S) for handle in (one, other)]

    assert client.calls == 8
    assert_frame_equal(*map(outcomes, found))
    assert sum(results.totals.cached for results in found) == 8


def test_a_run_asks_itself_what_another_run_failed_to_get(
    experiment: pl.Experiment,
) -> None:
    experiment = experiment.limit(1).only(temperature=0)
    broken = FakeClient(lambda request: BAD_REQUEST, held=lambda request: True)
    client = FakeClient()

    failed = experiment.start(client=broken)
    broken.wait_for_calls(1)
    answered = experiment.start(client=client)
    broken.release()

    assert failed.result(PATIENCE_S).totals.failed == 1
    assert answered.result(PATIENCE_S).totals.answered == 1


def test_prompts_that_take_long_to_render_hold_up_no_other_run() -> None:
    loops = "{% for i in range(50000) %}{% endfor %}{{city}}"
    client = FakeClient()

    rendering = capitals(5_000, prompt=[loops]).start(client=client)
    other = capitals(1).start(client=client).result(PATIENCE_S)

    assert other.totals.answered == 2
    assert not rendering.done
    rendering.cancel()
    assert rendering.result(PATIENCE_S).totals.answered == 0


def test_a_prompt_that_loops_is_asked_like_any_other() -> None:
    loops = "{% for letter in city[:4] %}{{letter}}.{% endfor %}"
    client = FakeClient()

    results = capitals(2, prompt=[loops]).run(client=client, progress=False)

    assert results.totals.answered == 4
    assert {last_text(request) for request in client.requests} == {"c.i.t.y."}


# What is read, and what is not.


def test_refresh_asks_everything_anew_and_keeps_the_new_answers(
    experiment: pl.Experiment,
) -> None:
    experiment.run(client=FakeClient())
    changed = FakeClient(lambda request: "a new answer")

    renewed = experiment.run(client=changed, refresh=True)
    again = experiment.run(client=FakeClient())

    assert changed.calls == 8
    assert not renewed.table["cached"].any()
    assert set(again.table["output"]) == {"a new answer"}
    assert again.table["cached"].all()


def test_without_a_cache_nothing_is_read_and_nothing_is_kept(
    experiment: pl.Experiment, client: FakeClient, cache: pl.ResponseCache
) -> None:
    experiment.limit(1).run(client=FakeClient())
    stored = len(cache)

    results = experiment.run(client=client, use_cache=False)

    assert client.calls == results.totals.answered == 8
    assert len(cache) == stored


def test_offline_makes_no_call_and_names_each_trial_it_misses(
    experiment: pl.Experiment, client: FakeClient
) -> None:
    experiment.limit(1).run(client=FakeClient())

    results = experiment.run(client=client, offline=True)

    assert client.calls == 0
    assert results.totals.cached == 2
    assert results.status == "complete"
    assert set(results.failures) == {2, 3, 4, 5, 6, 7}
    assert results.failures[2].message == (
        "the trial is not in the cache, and offline makes no calls"
    )
    assert results.errors.loc[0, ["trial", "temperature", "case"]].tolist() == [
        *(2, 0.0, "2")
    ]


def test_a_million_misses_share_one_failure(experiment: pl.Experiment) -> None:
    results = experiment.run(offline=True)

    assert len({id(failure) for failure in results.failures.values()}) == 1


def test_offline_needs_no_key(experiment: pl.Experiment) -> None:
    results = experiment.run(offline=True)

    assert set(results.errors["kind"]) == {"not_cached"}


def test_offline_misses_every_duplicate(client: FakeClient) -> None:
    experiment = pl.Experiment(
        "duplicates",
        grid=pl.Grid(model=["fake"], prompt=["Where is {{city}}?"]),
        dataset=[{"city": "Bern"}, {"city": "Bern"}],
    )

    results = experiment.run(client=client, offline=True)

    assert set(results.failures) == {0, 1}


def test_only_wanted_trials_are_asked_and_others_looked_up(
    experiment: pl.Experiment,
) -> None:
    broken = failing(BAD_REQUEST, 1, 2)
    client = FakeClient()

    failed = experiment.run(client=broken)
    retried = experiment.run(client=client, only_trials=failed.failures)

    assert sorted(failed.failures) == [2, 3, 4, 5]
    assert Counter(map(last_text, client.requests)) == {about(1): 2, about(2): 2}
    assert retried.totals.answered == 8
    assert retried.totals.cached == 4


def test_trials_that_are_not_wanted_and_not_cached_have_no_row(
    experiment: pl.Experiment, client: FakeClient
) -> None:
    results = experiment.run(client=client, only_trials=[3])

    assert client.calls == 1
    assert results.table["trial"].tolist() == [3]
    assert results.totals.missing == 7


def test_a_wanted_duplicate_is_asked(client: FakeClient) -> None:
    experiment = pl.Experiment(
        "duplicates",
        grid=pl.Grid(model=["fake"], prompt=["Where is {{city}}?"]),
        dataset=[{"city": "Bern"}, {"city": "Lima"}, {"city": "Bern"}],
    )

    results = experiment.run(client=client, only_trials=[2])

    assert client.calls == 1
    assert 2 in results.table["trial"].tolist()


def test_a_trial_that_equals_a_failed_one_has_failed_too() -> None:
    client = FakeClient(lambda request: BAD_REQUEST)
    experiment = pl.Experiment(
        "duplicates",
        grid=pl.Grid(model=["fake"], prompt=["Where is {{city}}?"]),
        dataset=[{"city": "Bern"}, {"city": "Bern"}],
    )

    results = experiment.run(client=client)

    assert client.calls == 1
    assert sorted(results.failures) == [0, 1]


def test_a_wanted_trial_and_its_wanted_duplicate_are_one_call(
    client: FakeClient,
) -> None:
    experiment = capitals(1, temperature=[0], prompt=["Where is {{city}}?"])
    experiment = pl.Experiment(
        "duplicates",
        grid=experiment.grid,
        dataset=[{"city": "Bern"}, {"city": "Lima"}, {"city": "Bern"}],
    )

    results = experiment.run(client=client, only_trials=[0, 2])

    assert client.calls == 1
    assert results.table["trial"].tolist() == [0, 2]
    assert results.table["cached"].tolist() == [False, True]


# What a failure means.


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("a bug in the client"),
        ValueError(""),
        TimeoutError(),
        OSError(5, "Input/output error"),
        MemoryError(),
        RecursionError("too deep"),
        StopAsyncIteration(),
        ExceptionGroup("several", [ValueError("one")]),
        asyncio.CancelledError(),
        SystemExit("no key in the keyring"),
        KeyboardInterrupt(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_any_exception_in_one_call_is_that_trials_error(error: BaseException) -> None:
    client = failing(error, 1)

    results = capitals(12).start(client=client).result(PATIENCE_S)

    assert results.status == "complete"
    assert sorted(results.failures) == [2, 3]
    assert {f.kind for f in results.failures.values()} == {type(error).__name__}
    assert results.totals.answered == 22
    assert results.table["error"].notna().sum() == 2


def test_headers_of_a_client_that_are_numbers_lose_no_answer() -> None:
    told = replace(response("Bern"), headers={"x-ratelimit-limit-requests": 100})  # type: ignore[dict-item]

    results = capitals(1, temperature=[0]).run(client=FakeClient(lambda request: told))

    assert results.table["output"].tolist() == ["Bern"]


def test_a_model_whose_server_says_to_come_back_in_an_hour_is_not_asked_on() -> None:
    later = failure(429, "rate_limit_exceeded", retry_after_s=3600.0)
    client = FakeClient(lambda request: later)

    results = capitals(20).run(client=client, max_concurrency=1)

    assert client.calls == 1
    assert results.totals.failed == 40
    assert "max_wait_s is 300" in results.failures[0].message


@pytest.mark.parametrize(
    "given",
    [
        None,
        "Bern",
        replace(response("Bern"), output=None),  # type: ignore[arg-type]
        replace(response("Bern"), usage={"input_tokens": 1}),  # type: ignore[arg-type]
        replace(response("Bern"), usage=pl.Usage(input_tokens=-1)),
        replace(response("Bern"), usage=pl.Usage(output_tokens=2**60)),
        replace(response("Bern"), latency_s=float("nan")),
        replace(response("Bern"), body="Bern"),  # type: ignore[arg-type]
        replace(response("Bern"), headers=None),  # type: ignore[arg-type]
    ],
    ids=[
        *("nothing", "a text", "output", "usage", "negative", "too many", "nan"),
        *("body", "headers"),
    ],
)
def test_a_client_that_gives_no_response_fails_its_trials(
    given: Any, cache: pl.ResponseCache
) -> None:
    class Careless(FakeClient):
        async def complete(self, request: Request) -> pl.Response:
            answer = await super().complete(request)
            return given if last_text(request) == about(1) else answer  # type: ignore[no-any-return]

    results = capitals(3).run(client=Careless(), cache=cache)

    assert sorted(results.failures) == [2, 3]
    assert results.failures[2].summary.startswith("invalid_reply: the client gave ")
    assert len(cache) == results.totals.answered == 4


def test_failures_keep_neither_headers_nor_endless_texts() -> None:
    long = failure(
        400, "x" * 9_000, message="y" * 9_000, headers={"set-cookie": "secret"}
    )

    results = capitals(2).run(client=FakeClient(lambda request: long))

    kept = results.failures[0]
    assert kept.headers == {}
    assert len(kept.message) == len(kept.code or "") == 2_000


UNREACHABLE = pl.Failure(
    kind="unreachable", message="no connection to there", retry_after_s=0.001
)


def test_a_server_that_is_not_there_is_given_up_after_a_few_attempts() -> None:
    client = FakeClient(lambda request: UNREACHABLE)

    results = capitals(100).run(client=client, max_concurrency=2)

    assert client.calls <= 2 * 3
    assert len(results.failures) == results.totals.failed == 200
    assert {f.kind for f in results.failures.values()} == {"unreachable", "refused"}


def test_a_server_that_has_answered_is_waited_for() -> None:
    texts = iter(["ok", *[None] * 4])
    client = FakeClient(lambda request: next(texts, "ok") or UNREACHABLE)

    results = capitals(2).run(client=client, max_concurrency=1)

    assert results.totals.answered == 4
    assert client.calls == 4 + 4


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (
            UNAUTHORIZED,
            "401 invalid_api_key: Incorrect API key provided; check the API key and "
            "that it belongs to this server",
        ),
        (
            OUT_OF_QUOTA,
            "429 insufficient_quota: You exceeded your current quota; no further call "
            "can succeed until the account has credit",
        ),
        (
            failure(403, message="Country not supported"),
            "403: Country not supported; the key may not use this model or server",
        ),
    ],
    ids=["401", "quota", "403"],
)
def test_what_no_call_can_survive_stops_the_run_at_once_with_one_line(
    failure: Outcome, reason: str
) -> None:
    client = FakeClient(lambda request: failure)

    results = capitals(100).run(client=client, max_concurrency=4)

    assert results.status == "stopped"
    assert results.reason == reason
    assert client.calls <= 4
    assert results.totals.missing == 200 - len(results)
    assert results.headline.endswith(f"stopped: {reason}")


FORBIDDEN = failure(403, message="Sorry, you have been blocked")


def test_a_forbidden_prompt_among_others_fails_alone_at_each_run() -> None:
    experiment = capitals(12, temperature=[0])
    client = failing(FORBIDDEN, 2)

    runs = [experiment.run(client=client, max_concurrency=1) for _ in range(3)]

    for results in runs:
        assert results.status == "complete"
        assert (results.totals.answered, results.totals.failed) == (11, 1)
    assert client.calls == 12 + 1 + 1


def test_a_prompt_that_is_forbidden_before_others_are_answered_fails_alone() -> None:
    client = failing(FORBIDDEN, 3)
    client.held = lambda request: last_text(request) != about(3)

    handle = capitals(12, temperature=[0]).start(client=client, max_concurrency=4)
    client.wait_for_calls(4)
    client.release_all()
    results = handle.result(PATIENCE_S)

    assert results.status == "complete"
    assert (results.totals.answered, results.totals.failed) == (11, 1)


def test_a_key_that_is_forbidden_everything_stops_once_none_is_in_flight() -> None:
    client = FakeClient(lambda request: FORBIDDEN)
    client.held = lambda request: last_text(request) != about(3)

    handle = capitals(100, temperature=[0]).start(client=client, max_concurrency=4)
    client.wait_for_calls(4)
    client.release_all()
    results = handle.result(PATIENCE_S)

    assert results.status == "stopped"
    assert client.calls == results.totals.failed == 4


def test_what_is_out_of_credit_says_403_and_stops_though_others_were_answered() -> None:
    spent = failure(403, message="Your team has used all available credits")

    results = capitals(50).run(client=failing(spent, 9), max_concurrency=1)

    assert results.status == "stopped"
    assert results.totals.answered > 0


def test_what_was_answered_before_a_stop_is_kept_and_the_rest_asked_later() -> None:
    experiment = capitals(50)
    poor = FakeClient([*["an answer"] * 10, *[OUT_OF_QUOTA] * 90])
    client = FakeClient()

    stopped = experiment.run(client=poor, max_concurrency=1)
    finished = experiment.run(client=client)

    assert (stopped.totals.answered, stopped.totals.failed) == (10, 1)
    assert poor.calls == 11
    assert client.calls == 90
    assert (finished.status, finished.totals.answered) == ("complete", 100)


def test_calls_in_flight_when_a_run_is_stopped_are_kept() -> None:
    experiment = capitals(3, temperature=[0])
    client = failing(OUT_OF_QUOTA, 0, 1)
    client.held = lambda request: True

    handle = experiment.start(client=client)
    client.wait_for_calls(3)
    client.release(2)
    wait_until(lambda: handle.progress.state == "finishing")
    client.release()
    results = handle.result(PATIENCE_S)

    assert results.status == "stopped"
    assert results.totals.answered == 1
    assert experiment.plan(client=client).counts["cached"] == 1


def test_a_model_that_is_not_there_fails_alone() -> None:
    client = FakeClient(
        lambda asked: NO_SUCH_MODEL if asked.model == "gone" else echo(asked)
    )

    results = capitals(50, model=["gone", "fake"]).run(client=client, max_concurrency=4)

    by_model = results.table.groupby("model", observed=True)["error"]
    assert by_model.count().to_dict() == {"gone": 100, "fake": 0}
    assert Counter(r.model for r in client.requests)["gone"] <= 4
    assert results.status == "complete"
    kinds = Counter(results.errors["kind"])
    assert kinds["refused"] >= 96
    (message,) = {f.message for f in results.failures.values() if f.kind == "refused"}
    assert message == (
        "not asked, as the same was refused before: The model does not exist"
    )


@pytest.mark.parametrize("max_concurrency", [1, 8])
def test_a_parameter_that_is_refused_fails_its_variant_alone(
    max_concurrency: int,
) -> None:
    client = FakeClient(
        lambda asked: UNSUPPORTED if asked.body["temperature"] == 1 else echo(asked)
    )

    results = capitals(100).run(client=client, max_concurrency=max_concurrency)

    refused = sum(request.body["temperature"] == 1 for request in client.requests)
    assert refused <= max_concurrency
    failed = results.table.groupby("temperature")["error"].count()
    assert failed.to_dict() == {0: 0, 1: 100}


def test_calls_in_flight_at_the_first_refusal_are_the_last_of_their_variant() -> None:
    client = FakeClient(lambda asked: UNSUPPORTED, held=lambda request: True)

    handle = capitals(100, temperature=[1]).start(client=client, max_concurrency=8)
    client.wait_for_calls(8)
    client.release_all()
    results = handle.result(PATIENCE_S)

    assert client.calls == 8
    assert results.totals.failed == 100


@pytest.mark.parametrize(
    "failure",
    [BAD_REQUEST, failure(422), UNSUPPORTED, NO_SUCH_MODEL, UNAUTHORIZED],
    ids=lambda failure: str(failure.status),
)
def test_a_refusal_for_good_is_never_asked_again(failure: Outcome) -> None:
    client = FakeClient(lambda request: failure)

    results = capitals(1, temperature=[0]).run(client=client)

    assert client.calls == 1
    assert results.errors["attempts"].tolist() == [1]


def test_a_retried_call_is_one_record_and_counted_once(
    cache: pl.ResponseCache,
) -> None:
    client = FakeClient([BUSY, BUSY])

    results = capitals(1, temperature=[0]).run(client=client)

    assert client.calls == 3
    assert len(results) == 1
    assert (results.totals.answered, results.totals.calls) == (1, 1)
    (entry,) = cache.entries()
    assert entry.response.attempts == 3


def test_a_call_is_made_at_most_max_attempts_times() -> None:
    client = FakeClient(lambda request: failure(500, "server_error"))

    results = capitals(1, temperature=[0]).run(client=client, max_attempts=3)

    assert client.calls == 3
    assert results.errors["attempts"].tolist() == [3]
    assert results.table["error"][0] == (
        "500 server_error: refused with 500 (3 attempts)"
    )


def test_a_refusal_for_the_rate_is_no_attempt() -> None:
    client = FakeClient([BUSY] * 3)

    results = capitals(1, temperature=[0]).run(client=client, max_attempts=1)

    assert client.calls == 4
    assert results.totals.answered == 1


def test_the_waits_of_a_call_are_summed_and_then_it_and_its_like_fail() -> None:
    slow = failure(429, "rate_limit_exceeded", retry_after_s=0.05)
    client = FakeClient(lambda request: slow)

    results = capitals(10).run(client=client, max_wait_s=0.2, max_concurrency=1)

    assert client.calls <= 4  # each waits 0.05 s or more
    assert results.totals.failed == 20
    assert "max_wait_s is 0.2" in results.failures[0].message
    assert {f.kind for f in results.failures.values()} == {"status", "refused"}


def test_waits_that_a_broken_server_asks_for_are_summed_for_each_call() -> None:
    client = FakeClient(lambda request: failure(503, retry_after_s=0.05))

    results = capitals(1, temperature=[0]).run(
        client=client, max_wait_s=0.2, max_attempts=40
    )

    assert client.calls <= 5
    assert "max_wait_s is 0.2 for all of them" in results.failures[0].message


def test_calls_that_wait_for_their_place_do_not_go_out_once_the_run_is_stopped() -> (
    None
):
    client = FakeClient(lambda request: UNAUTHORIZED, held=lambda request: True)

    handle = capitals(40).start(client=client, max_concurrency=40)
    client.wait_for_calls(FIRST_WINDOW)
    client.release_all()
    results = handle.result(PATIENCE_S)

    assert results.status == "stopped"
    assert client.calls == FIRST_WINDOW


def told_limits(limit: str, remaining: str, reset: str, what: str) -> FakeClient:
    headers = {
        f"x-ratelimit-limit-{what}": limit,
        f"x-ratelimit-remaining-{what}": remaining,
        f"x-ratelimit-reset-{what}": reset,
    }
    return FakeClient(lambda asked: replace(response(echo(asked)), headers=headers))


@pytest.mark.parametrize(
    ("limit", "reset", "what", "wait"),
    [
        ("1", "30d", "requests", "h"),
        ("1", "1h", "project-tokens", "1 h"),
        ("100", "100h", "requests", "1 h"),
    ],
    ids=["a month", "an hour", "a limit per day"],
)
def test_a_run_that_a_server_lets_wait_too_long_stops_and_says_what_it_asked(
    limit: str, reset: str, what: str, wait: str
) -> None:
    client = told_limits(limit, "0", reset, what)

    results = capitals(20).run(client=client, max_concurrency=2, max_wait_s=300)

    assert results.status == "stopped"
    assert 1 <= results.totals.answered == client.calls <= 2
    assert results.totals.failed == 0
    assert f"x-ratelimit-reset-{what}: {reset}" in results.reason
    assert f"{wait} " in results.reason
    assert results.reason.endswith("max_wait_s is 300")
    assert capitals(1).run(client=FakeClient()).status == "complete"


def test_what_other_models_are_asked_goes_on_when_one_lets_wait_too_long() -> None:
    slow = told_limits("1", "0", "30d", "requests")
    client = FakeClient(
        lambda asked: slow.answer(asked) if asked.model == "slow" else echo(asked)
    )

    results = capitals(20, model=["slow", "quick"]).run(
        client=client, max_concurrency=2
    )

    assert results.status == "stopped"
    assert results.table["model"].value_counts()["quick"] == 40
    assert "call to slow" in results.reason


@pytest.mark.parametrize("limit", ["1e-9", "many", "0.5"])
def test_a_limit_that_cannot_be_is_ignored_and_shown(limit: str) -> None:
    seen: list[Progress] = []
    client = told_limits(limit, "0", "1s", "tokens")

    results = capitals(20).run(client=client, progress=seen.append)

    assert results.totals.answered == 40
    assert f"ignored x-ratelimit-limit-tokens: {limit}" in seen[-1].line


def test_a_retry_after_that_is_a_date_is_ignored_and_shown() -> None:
    seen: list[Progress] = []
    dated = failure(429, retry_after_s=1_790_000_000.0)

    results = capitals(1).run(client=FakeClient([dated]), progress=seen.append)

    assert results.totals.answered == 2
    assert "ignored Retry-After" in seen[-1].line


def test_a_cap_on_calls_at_once_is_found_and_said() -> None:
    class Narrow(FakeClient):
        """Bears two calls at once, and says to come back in a minute."""

        async def complete(self, request: Request) -> pl.Response:
            if self.in_flight >= 2:
                self.requests.append(request)
                raise CallError(failure(429, retry_after_s=60.0))
            return await super().complete(request)

    client, seen = Narrow(held=lambda request: True), list[Progress]()

    handle = capitals(20).start(client=client, max_concurrency=8, progress=seen.append)
    wait_until(lambda: client.calls > 2)
    client.release_all()
    results = handle.result(PATIENCE_S)

    assert results.totals.answered == 40
    assert client.calls - 40 <= 10
    assert "fake: at most" in seen[-1].line


def test_a_wait_longer_than_max_wait_is_not_waited_for() -> None:
    client = FakeClient(lambda request: failure(429, retry_after_s=3600.0))

    results = capitals(1, temperature=[0]).run(client=client, max_wait_s=60)

    assert client.calls == 1
    assert "max_wait_s is 60" in results.table["error"][0]


def test_failed_trials_are_asked_again_by_the_next_run(client: FakeClient) -> None:
    capitals().run(client=failing(BAD_REQUEST, 1))

    results = capitals().run(client=client)

    assert client.calls == 2
    assert results.totals.failed == 0


# How much at once.


def test_max_concurrency_is_reached_and_never_exceeded() -> None:
    client = FakeClient(held=lambda request: True)

    handle = capitals(12).start(client=client, max_concurrency=6)
    for asked in (6, 12, 18, 24):
        client.wait_for_calls(asked)
        assert client.in_flight == 6
        client.release()
    handle.result(PATIENCE_S)

    assert client.in_flight_max == 6
    assert client.calls == 24


def test_all_models_together_keep_to_max_concurrency() -> None:
    client = FakeClient(held=lambda request: True)

    handle = capitals(4, model=["a", "b", "c"]).start(client=client, max_concurrency=4)
    for asked in range(4, 25, 4):
        client.wait_for_calls(asked)
        client.release()
    handle.result(PATIENCE_S)

    assert client.in_flight_max == 4


# Ending early, and going on.


def test_a_cancelled_run_keeps_what_arrives_and_starts_nothing_new() -> None:
    experiment = capitals(50)
    client = FakeClient(held=lambda request: client.calls > 10)

    handle = experiment.start(client=client, max_concurrency=4)
    client.wait_for_calls(14)
    handle.cancel()
    wait_until(lambda: handle.progress.state == "finishing")
    client.release()
    results = handle.result(PATIENCE_S)

    assert client.calls == 14
    assert results.status == "interrupted"
    assert results.totals.answered == len(results) == 14
    assert results.totals.missing == 86


def test_a_second_cancel_does_not_wait_for_calls_in_flight() -> None:
    client = FakeClient(held=lambda request: client.calls > 10)

    handle = capitals(50).start(client=client, max_concurrency=4)
    client.wait_for_calls(14)
    handle.cancel()
    handle.cancel()
    results = handle.result(timeout_s=4)

    assert results.status == "interrupted"
    assert results.totals.answered == 10
    assert client.in_flight == 0


def test_the_run_after_an_interruption_asks_only_for_the_rest() -> None:
    experiment = capitals(50)
    interrupted = FakeClient(held=lambda request: interrupted.calls > 10)
    client = FakeClient()

    handle = experiment.start(client=interrupted, max_concurrency=4)
    interrupted.wait_for_calls(14)
    handle.cancel()
    handle.cancel()
    stored = handle.result(PATIENCE_S).totals.answered
    results = experiment.run(client=client)
    uninterrupted = experiment.run(client=FakeClient(), use_cache=False)

    assert client.calls == 100 - stored
    assert_frame_equal(outcomes(results), outcomes(uninterrupted))


def test_a_cancelled_call_is_asked_by_the_run_that_waited_for_it() -> None:
    experiment = capitals(1, temperature=[0])
    client = FakeClient(held=lambda request: client.calls == 1)

    one = experiment.start(client=client)
    client.wait_for_calls(1)
    other = experiment.start(client=client)
    one.cancel()
    one.cancel()

    assert one.result(PATIENCE_S).totals.answered == 0
    assert other.result(PATIENCE_S).totals.answered == 1
    assert client.calls == 2


def test_a_run_that_waits_between_attempts_can_be_cancelled_at_once() -> None:
    client = FakeClient(lambda request: failure(429, retry_after_s=60.0))

    handle = capitals(1, temperature=[0]).start(client=client)
    client.wait_for_calls(1)
    client.wait_until_idle()
    handle.cancel()
    results = handle.result(timeout_s=4)

    assert (results.status, results.totals.missing) == ("interrupted", 1)


def test_cancelling_a_run_that_is_over_changes_nothing(
    experiment: pl.Experiment, client: FakeClient
) -> None:
    handle = experiment.start(client=client)
    results = handle.result(PATIENCE_S)

    handle.cancel()
    experiment.run(client=client)  # by now the loop has seen it

    assert results.status == "complete"
    assert handle.progress.state == "complete"


# Progress.


def test_progress_never_goes_back_and_ends_finished() -> None:
    seen: list[Progress] = []
    client = FakeClient([BUSY, BAD_REQUEST])

    capitals(200).run(client=client, progress=seen.append)

    for field in ("answered", "failed", "cached", "calls", "elapsed_s", "done"):
        values = [getattr(progress, field) for progress in seen]
        assert values == sorted(values), field
    assert [progress.finished for progress in seen] == [False] * (len(seen) - 1) + [
        True
    ]
    last = seen[-1]
    assert (last.done, last.trials, last.in_flight) == (400, 400, 0)
    assert (last.state, last.failed, last.calls) == ("complete", 1, 399)


def test_progress_says_what_a_run_waits_for() -> None:
    client = FakeClient(lambda request: failure(429, retry_after_s=60.0))

    handle = capitals(1, temperature=[0]).start(client=client)
    client.wait_for_calls(1)
    client.wait_until_idle()
    wait_until(lambda: handle.progress.waiting != "")
    line = handle.progress.line
    handle.cancel()
    handle.result(PATIENCE_S)

    assert "waiting for Retry-After of fake (1 call, the next in 1 min" in line


def test_a_progress_function_that_fails_does_not_cost_the_results(
    experiment: pl.Experiment, client: FakeClient
) -> None:
    def broken(progress: Progress) -> None:
        raise ValueError("a bug in the notebook")

    with pytest.warns(pl.PromptlabWarning, match="a bug in the notebook"):
        results = experiment.run(client=client, progress=broken)

    assert results.totals.answered == client.calls == 8


def test_an_exit_in_a_progress_function_ends_neither_the_run_nor_the_next_one(
    experiment: pl.Experiment, client: FakeClient
) -> None:
    def leaving(progress: Progress) -> None:
        raise SystemExit("enough")

    with pytest.warns(pl.PromptlabWarning, match="enough"):
        results = experiment.run(client=client, progress=leaving)
    again = experiment.run(client=client)

    assert results.totals.answered == again.totals.cached == 8


def test_a_progress_function_cannot_wait_for_another_run(
    experiment: pl.Experiment, client: FakeClient
) -> None:
    def impatient(progress: Progress) -> None:
        capitals(1, name="inner").run(client=FakeClient())

    with pytest.warns(pl.PromptlabWarning, match=r"use `await experiment.arun\(\)`"):
        results = experiment.run(client=client, progress=impatient)

    assert results.totals.answered == 8


# What it costs.


def test_a_run_knows_what_it_paid_while_it_goes_on_and_afterwards() -> None:
    prices = {"fake": {"input": 1, "output": 10}}
    each_usd = (10 * 1 + 5 * 10) / 1e6
    seen: list[Progress] = []

    results = capitals(4).run(client=FakeClient(), prices=prices, progress=seen.append)
    again = capitals(5).run(client=FakeClient(), prices=prices)

    assert seen[-1].billed_usd == pytest.approx(8 * each_usd)
    assert (seen[-1].input_tokens, seen[-1].output_tokens) == (80, 40)
    assert results.totals.billed_usd == pytest.approx(8 * each_usd)
    assert again.totals.cost_usd == pytest.approx(10 * each_usd)
    assert again.totals.billed_usd == pytest.approx(2 * each_usd)


def test_a_model_without_a_price_is_named_once(experiment: pl.Experiment) -> None:
    client = FakeClient()
    client.base_url = "https://elsewhere.test/v1"

    with pytest.warns(pl.PromptlabWarning) as caught:
        results = experiment.run(client=client)

    assert [str(warning.message) for warning in caught] == [
        "no price is known for 'fake', so the cost is NaN; give one, in US dollars for "
        "a million tokens, in prices.toml, in a config (run: prices:) or as "
        'prices={\'fake\': {"input": ..., "output": ...}}'
    ]
    assert caught[0].filename == __file__
    assert results.table["cost_usd"].isna().all()


# Conversations.


def test_every_reply_of_a_conversation_can_be_read() -> None:
    talk = pl.Experiment(
        "talk",
        grid={
            "model": ["fake"],
            "prompt": {
                "two": [
                    {"role": "user", "content": "Where is {{city}}?"},
                    {"role": "user", "content": "And how large?"},
                ]
            },
        },
        dataset=[{"city": "Bern"}],
    )

    paid = talk.run(client=FakeClient(last_text))
    again = talk.run(client=FakeClient())

    assert paid[0].messages == again[0].messages
    assert [m["content"] for m in paid[0].messages] == [
        *("Where is Bern?", "Where is Bern?"),
        *("And how large?", "And how large?"),
    ]
    table = paid.messages
    assert table["role"].tolist() == ["user", "assistant"] * 2
    assert table["turn"].tolist() == [0, 0, 1, 1]
    assert set(table["case"]) == {"1"}


def test_a_conversation_that_breaks_off_shows_what_was_said() -> None:
    talk = pl.Experiment(
        "talk",
        grid={
            "model": ["fake"],
            "prompt": {
                "two": [
                    {"role": "user", "content": "{{t}}"},
                    {"role": "user", "content": "two"},
                ]
            },
        },
        dataset=[{"t": "one"}],
    )
    client = FakeClient(
        lambda asked: BAD_REQUEST if last_text(asked) == "two" else "ok"
    )

    (record,) = talk.run(client=client, prices={"fake": {"input": 1, "output": 0}})

    assert [m["content"] for m in record.messages] == ["one", "ok", "two"]
    assert record.error is not None
    assert record.billed_usd == pytest.approx(10 / 1e6)


# Before the first call.


def test_a_missing_key_is_told_before_any_call(experiment: pl.Experiment) -> None:
    with pytest.raises(CredentialsError, match=r"set OPENAI_API_KEY .* or pass"):
        experiment.run()


def test_a_run_that_is_all_cached_needs_no_key(experiment: pl.Experiment) -> None:
    client = FakeClient()
    client.base_url = "https://api.openai.com/v1"
    prices = {"fake": {"input": 1, "output": 1}}
    experiment.run(client=client, prices=prices)

    results = experiment.run(prices=prices)

    assert results.totals.cached == 8


@pytest.mark.parametrize(
    "url",
    ["http://192.168.1.7:8000/v1", "http://example.com/v1", "http://[2001:db8::1]/"],
)
def test_keys_and_prompts_do_not_travel_in_clear_text(
    experiment: pl.Experiment, url: str
) -> None:
    with pytest.raises(CredentialsError, match="not encrypted"):
        experiment.run(base_url=url, api_key="sk-test-0123456789")


def test_an_unknown_option_is_named(experiment: pl.Experiment) -> None:
    with pytest.raises(pl.SpecError, match="did you mean 'max_concurrency'"):
        experiment.run(max_concurency=3)
    with pytest.raises(pl.SpecError, match="did you mean 'tpm'"):
        experiment.run(tokens_per_minute=3)


@pytest.mark.parametrize(
    "given",
    [5, pl.OpenAIClient, openai.AsyncOpenAI(api_key="x", base_url="http://[::1]/v1")],
    ids=["number", "class", "client of the SDK"],
)
def test_what_is_no_client_is_refused_with_what_would_do(
    experiment: pl.Experiment, given: Any
) -> None:
    for ask in (experiment.run, experiment.plan):
        with pytest.raises(pl.SpecError, match=r"expected a client.*SDKClient\(openai"):
            ask(client=given)


def test_a_template_that_fails_on_some_case_is_told_before_any_call(
    client: FakeClient,
) -> None:
    experiment = pl.Experiment(
        "division",
        grid=pl.Grid(model=["fake"], prompt=["{{ 10 // number }}"]),
        dataset=[{"number": 1}, {"number": 0}],
    )

    with pytest.raises(pl.SpecError, match="case '2'"):
        experiment.run(client=client)

    assert client.calls == 0


# The plan.


def test_the_plan_says_what_the_run_then_does(client: FakeClient) -> None:
    capitals(2, repeats=2).run(client=FakeClient())
    experiment = capitals(4, repeats=2)

    plan = experiment.plan(client=client)
    results = experiment.run(client=client)

    assert plan.counts == {"cached": 8, "new": 8, "duplicate": 0}
    assert plan.calls == client.calls == results.totals.calls == 8


@pytest.mark.parametrize("second", [["", "more"], ["more", ""]], ids=["short", "long"])
def test_a_call_that_conversations_of_unlike_length_share_is_planned_once(
    second: list[str], client: FakeClient
) -> None:
    turns = [{"role": "user", "content": text} for text in ("same", "{{then}}")]
    talk = pl.Experiment(
        "unlike",
        grid=pl.Grid(model=["fake"], prompt={"turns": turns}),
        dataset=[{"then": text} for text in second],
    )

    plan = talk.plan(client=client)
    results = talk.run(client=client)

    assert plan.calls == results.totals.calls == client.calls == 2


def test_what_a_run_takes_lies_within_what_the_plan_says(
    cache: pl.ResponseCache,
) -> None:
    prices = {"offline/*": {"input": 1, "output": 4}}
    for folder in ("support_tickets", "virtual_assistant", "content_creation"):
        path = DATASETS / folder / "experiment.yaml"
        experiment = pl.load_experiment(path).limit(6)

        plan = experiment.plan(cache=cache, prices=prices)
        results = experiment.run(cache=cache, prices=prices)

        table = results.table
        assert plan.calls == results.totals.calls
        sent, given = table["input_tokens"].sum(), table["output_tokens"].sum()
        assert plan.input_tokens.low <= sent <= plan.input_tokens.high
        assert plan.output_tokens.low <= given <= plan.output_tokens.high
        assert plan.cost_usd.low <= results.totals.billed_usd <= plan.cost_usd.high


def test_what_is_cached_or_a_duplicate_costs_nothing_in_the_plan() -> None:
    options: dict[str, Any] = {"prices": {"fake": {"input": 1, "output": 1}}}
    one = capitals(1, temperature=[0], max_tokens=[10])
    whole = capitals(2, temperature=[0], max_tokens=[10])

    before = whole.plan(client=FakeClient(), **options)
    one.run(client=FakeClient(), **options)
    after = whole.plan(client=FakeClient(), **options)
    whole.run(client=FakeClient(), **options)

    assert (before.calls, after.calls) == (2, 1)
    assert after.cost_usd.high <= before.cost_usd.high / 2  # the answer taught counting
    assert whole.plan(client=FakeClient(), **options).cost_usd == (0, 0)


def test_without_max_tokens_the_most_is_not_bounded_and_the_plan_says_so() -> None:
    plan = capitals(1).plan(
        client=FakeClient(), prices={"fake": {"input": 1, "output": 1}}
    )

    assert math.isinf(plan.cost_usd.high)
    assert plan.headline.endswith("or more (max_tokens is not set)")


def test_an_unknown_price_leaves_the_cost_of_the_plan_unknown() -> None:
    plan = capitals(1, max_tokens=[5]).plan(client=FakeClient())

    assert math.isnan(plan.cost_usd.low)
    assert "$" not in plan.headline


OWN_PRICES = '[[price]]\nmodel = "fake"\ninput = 1\noutput = 10\n'


def test_prices_toml_in_the_working_directory_prices_plan_progress_and_results(
    tmp_path: Path,
) -> None:
    (tmp_path / "prices.toml").write_text(OWN_PRICES)
    seen: list[Progress] = []
    one = capitals(1, temperature=[0], max_tokens=[5])

    plan = one.plan(client=FakeClient())
    results = one.run(client=FakeClient(), progress=seen.append)

    each_usd = (10 * 1 + 5 * 10) / 1e6
    assert plan.cost_usd.low <= each_usd <= plan.cost_usd.high
    assert seen[-1].billed_usd == pytest.approx(each_usd)
    assert results.totals.billed_usd == pytest.approx(each_usd)
    (record,) = results
    assert record.price is not None
    assert record.price.source == "prices.toml"


def test_prices_may_be_the_path_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "other.toml"
    path.write_text(OWN_PRICES)

    for prices in (path, "other.toml"):
        results = capitals(1).run(client=FakeClient(), prices=prices, use_cache=False)

        assert results.totals.billed_usd == pytest.approx(2 * 60 / 1e6)


def test_a_wrong_table_of_prices_raises_before_the_first_call(tmp_path: Path) -> None:
    (tmp_path / "prices.toml").write_text(OWN_PRICES + "outputs = 1\n")
    client = FakeClient()

    for act in (capitals(1).plan, capitals(1).run, capitals(1).start):
        with pytest.raises(
            pl.SpecError, match=r"prices.toml, line 5: .*unknown key 'outputs'"
        ):
            act(client=client)

    assert client.calls == 0


def test_a_retried_call_is_paid_for_once() -> None:
    client = FakeClient([BUSY, BUSY, BUSY])
    seen: list[Progress] = []

    results = capitals(1, temperature=[0]).run(
        client=client, prices={"fake": {"input": 1, "output": 10}}, progress=seen.append
    )

    assert client.calls == 4
    assert len(results) == results.totals.calls == 1
    assert results.totals.billed_usd == pytest.approx(60 / 1e6)
    assert seen[-1].billed_usd == pytest.approx(60 / 1e6)


@pytest.mark.parametrize(("served", "rate"), [("default", 1), ("batch", 0.5)])
def test_the_tier_of_the_reply_decides_on_the_price(served: str, rate: float) -> None:
    prices = {
        "fake": {"input": 1, "output": 1, "batch": {"input": 0.5, "output": 0.5}}
        | {"flex": {"input": 9, "output": 9}}
    }
    answered = replace(response("yes"), service_tier=served)
    client = FakeClient(lambda request: answered)
    seen: list[Progress] = []

    results = capitals(1, temperature=[0], service_tier=["flex"]).run(
        client=client, prices=prices, progress=seen.append
    )

    assert client.requests[0].body["service_tier"] == "flex"
    assert results.prices[["tier", "input"]].values.tolist() == [[served, rate]]
    assert results.totals.cost_usd == pytest.approx(rate * 15 / 1e6)
    assert seen[-1].billed_usd == pytest.approx(rate * 15 / 1e6)


def test_results_are_in_the_order_of_trials_whatever_came_first(
    experiment: pl.Experiment,
) -> None:
    client = FakeClient(held=lambda request: client.calls == 1)

    handle = experiment.start(client=client)
    client.wait_for_calls(8)
    client.release_all()
    table: pd.DataFrame = handle.result(PATIENCE_S).table

    assert table["trial"].tolist() == list(range(8))
    assert table["output"][0] == "fake at 0 says Where is city 0? (0)"
