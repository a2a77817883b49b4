"""Hooks: what a run tells those who want to know, and what it logs."""

from __future__ import annotations

import logging

import pytest
from fakes.experiments import capitals
from fakes.refusals import BUSY

import promptlab as pl
from promptlab.testing import FakeClient, failure, response


def test_each_call_is_told_with_its_reply(
    client: FakeClient, experiment: pl.Experiment
) -> None:
    replies: list[pl.Reply] = []

    experiment.run(client=client, on_reply=replies.append)
    experiment.run(client=client, on_reply=replies.append)  # all cached: no call

    assert len(replies) == client.calls == 8
    assert all(reply.response.document["choices"] for reply in replies)
    assert {reply.request.key for reply in replies} == {
        request.key for request in client.requests
    }


def test_a_failed_call_is_told_with_its_failure(client: FakeClient) -> None:
    client.answer = lambda request: failure(400)
    replies: list[pl.Reply] = []

    capitals(1, temperature=[0]).run(client=client, on_reply=replies.append)

    assert [reply.error.status for reply in replies if reply.error] == [400]


def test_records_are_told_as_the_results_have_them(
    client: FakeClient, experiment: pl.Experiment
) -> None:
    records: list[pl.Record] = []

    results = experiment.run(client=client, on_record=records.append)

    told = sorted(records, key=lambda record: record.trial.index)
    for record, row in zip(told, results, strict=True):
        assert record.trial.index == row.trial.index
        for name in vars(row):
            if name not in ("trial", "read"):
                assert getattr(record, name) == getattr(row, name), name


def test_records_of_failed_trials_are_told(client: FakeClient) -> None:
    client.answer = lambda request: failure(400)
    records: list[pl.Record] = []

    results = capitals(1, temperature=[0]).run(client=client, on_record=records.append)

    assert records[0].error == results[0].error
    assert records[0].output is None
    assert records[0].turns == results[0].turns


def test_events_tell_the_start_each_failed_attempt_and_the_end() -> None:
    events: list[pl.Event] = []
    client = FakeClient([BUSY, response("at last")])

    capitals(1, temperature=[0]).run(client=client, on_event=events.append)

    assert [event.kind for event in events] == ["started", "attempt_failed", "ended"]
    assert {event.name for event in events} == {"capitals"}
    assert events[1].failure.status == 429
    assert events[2].message == (
        "complete: 1 answered (0 cached), 0 failed, 1 call made"
    )


@pytest.mark.parametrize("hook", ["on_reply", "on_record", "on_event"])
def test_a_hook_that_fails_is_called_once_and_the_run_goes_on(
    client: FakeClient, experiment: pl.Experiment, hook: str
) -> None:
    called = []

    def fail(told: object) -> None:
        called.append(told)
        raise ValueError("no")

    with pytest.warns(pl.PromptlabWarning, match=f"{hook} raised ValueError: no"):
        results = experiment.run(client=client, **{hook: fail})

    assert len(called) == 1
    assert results.totals.answered == 8


def test_the_log_says_what_happened_without_any_text_of_prompts_or_answers(
    client: FakeClient, experiment: pl.Experiment, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="promptlab"):
        experiment.run(client=client)

    said = [record.getMessage() for record in caplog.records]
    assert said == [
        "capitals: 2 variants × 4 cases × 1 repeat = 8 trials",
        "capitals: complete: 8 answered (0 cached), 0 failed, 8 calls made",
    ]


def test_failed_attempts_are_logged_for_those_who_debug(
    caplog: pytest.LogCaptureFixture,
) -> None:
    client = FakeClient([BUSY, response("at last")])

    with caplog.at_level(logging.DEBUG, logger="promptlab"):
        capitals(1, temperature=[0]).run(client=client)

    attempts = [r.getMessage() for r in caplog.records if r.levelname == "DEBUG"]
    assert attempts == [
        "capitals: attempt 1 of a call to fake failed: 429 rate_limit_exceeded"
    ]
