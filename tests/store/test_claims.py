"""Claims: what one process asks, no other one asks as well."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from fakes.experiments import capitals
from fakes.refusals import BAD_REQUEST

import promptlab as pl
from promptlab.store.claims import Claims, ClaimsOfCaches
from promptlab.testing import FakeClient, echo, last_text, wait_until

OTHER = """
    import sys
    from pathlib import Path
    from promptlab.store.claims import Claims

    claims = Claims(Path(sys.argv[1]))
    print(*(claims.take(key) for key in sys.argv[2:]), flush=True)
    sys.stdin.readline()
"""


@contextmanager
def other_process(folder: Path, *keys: str) -> Iterator[list[str]]:
    """Another process that asks the requests of those keys; whether it may."""
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(OTHER), str(folder), *keys],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    with process:
        yield process.stdout.readline().split()
        process.kill()


def keys_of(experiment: pl.Experiment) -> list[str]:
    """The keys of its requests, as a fake client is asked them."""
    answered = FakeClient()
    experiment.run(client=answered, use_cache=False, record=False)
    return [request.key for request in answered.requests]


def test_a_claim_keeps_other_processes_out_until_it_is_given_back(
    tmp_path: Path,
) -> None:
    key, other = "0" * 64, "1" * 64
    with closing(Claims(tmp_path)) as claims:
        assert claims.take(key)
        with other_process(tmp_path, key, other) as may:
            assert may == ["False", "True"]
            assert not claims.take(other)
        assert claims.take(other)  # the process is gone
        claims.give_back(key)
        with other_process(tmp_path, key) as may:
            assert may == ["True"]


def test_claims_hold_until_the_last_run_on_a_cache_has_left(tmp_path: Path) -> None:
    key, runs = "0" * 64, ClaimsOfCaches()
    first, last = runs.join(tmp_path), runs.join(tmp_path)
    assert last.take(key)

    runs.leave(first)
    with other_process(tmp_path, key) as may:
        assert may == ["False"]
    runs.leave(last)
    with other_process(tmp_path, key) as may:
        assert may == ["True"]


def test_what_failed_may_be_asked_elsewhere_while_the_run_goes_on(
    cache: pl.ResponseCache,
) -> None:
    experiment = capitals(2, temperature=[0])
    keys = keys_of(experiment)
    client = FakeClient(
        lambda asked: BAD_REQUEST if asked.key == keys[0] else echo(asked),
        held=lambda asked: asked.key == keys[1],
    )

    handle = experiment.start(client=client, cache=cache, progress=False)
    wait_until(lambda: handle.progress.failed == 1 and client.calls == 2)
    with other_process(cache.directory, *keys) as may:
        assert may == ["True", "False"]
    client.release_all()

    assert handle.result().totals.answered == 1


def test_where_nothing_can_be_claimed_all_may_be_asked(tmp_path: Path) -> None:
    with closing(Claims(tmp_path / "missing")) as claims:
        assert claims.take("0" * 64)
        claims.give_back("0" * 64)


def test_a_run_goes_on_elsewhere_and_waits_in_the_end(cache: pl.ResponseCache) -> None:
    experiment = capitals(5, temperature=[0])
    keys = keys_of(experiment)
    client = FakeClient()

    with other_process(cache.directory, *keys[:2]):
        handle = experiment.start(client=client, cache=cache, progress=False)
        client.wait_for_calls(3)
        wait_until(lambda: "another process" in handle.progress.waiting)
        asked_meanwhile = client.calls
    results = handle.result()

    assert asked_meanwhile == 3
    assert handle.progress.waiting == ""
    assert (results.totals.answered, results.totals.calls) == (5, 5)
    assert sorted(r.key for r in client.requests) == sorted(keys)


@pytest.mark.parametrize("options", [{"refresh": True}, {"use_cache": False}], ids=str)
def test_who_wants_answers_of_their_own_waits_for_nobody(
    cache: pl.ResponseCache, options: dict[str, bool]
) -> None:
    experiment = capitals(2, temperature=[0])

    with other_process(cache.directory, *keys_of(experiment)):
        results = experiment.run(client=FakeClient(), cache=cache, **options)

    assert results.totals.calls == 2


def test_a_process_that_stands_still_is_not_waited_for_without_an_end(
    cache: pl.ResponseCache,
) -> None:
    experiment = capitals(2, temperature=[0])

    with other_process(cache.directory, *keys_of(experiment)):
        results = experiment.run(
            client=FakeClient(), cache=cache, timeout_s=0.1, max_wait_s=0.1
        )

    assert results.totals.calls == 2


def test_a_later_turn_that_another_process_asks_is_waited_for(
    cache: pl.ResponseCache,
) -> None:
    turns = [{"role": "user", "content": text} for text in ("{{city}}?", "Why?")]
    experiment = capitals(1, prompt={"talk": pl.Prompt(turns)}, temperature=[0])
    _, second = keys_of(experiment)
    client = FakeClient()

    with other_process(cache.directory, second):
        handle = experiment.start(client=client, cache=cache, progress=False)
        client.wait_for_calls(1)
        wait_until(lambda: len(cache) == 1)
        asked_meanwhile = client.calls
    results = handle.result()

    assert (asked_meanwhile, client.calls) == (1, 2)
    assert last_text(client.requests[1]) == "Why?"
    assert results.table["cached"].tolist() == [False]


def test_a_run_that_waits_for_another_process_can_be_ended_at_once(
    cache: pl.ResponseCache,
) -> None:
    experiment = capitals(2, temperature=[0])
    client = FakeClient()

    with other_process(cache.directory, *keys_of(experiment)):
        handle = experiment.start(client=client, cache=cache, progress=False)
        wait_until(lambda: "another process" in handle.progress.waiting)
        handle.cancel()
        results = handle.result()

    assert (results.status, client.calls) == ("interrupted", 0)


def test_those_behind_a_leader_that_another_process_asks_wait_for_it(
    cache: pl.ResponseCache,
) -> None:
    long = "word " * 1500
    experiment = capitals(4, prompt=[long + "{{city}}?"], temperature=[0])
    keys = keys_of(experiment)
    client = FakeClient()

    with other_process(cache.directory, keys[0]):
        handle = experiment.start(client=client, cache=cache, progress=False)
        wait_until(lambda: "another process" in handle.progress.waiting)
        asked_meanwhile = client.calls
    results = handle.result()

    assert asked_meanwhile == 0
    assert client.requests[0].key == keys[0]
    assert results.totals.calls == 4
