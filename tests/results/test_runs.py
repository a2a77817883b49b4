"""Run records: a run can be looked at again, however it ended."""

from __future__ import annotations

import os
import signal
import sqlite3
import stat
import subprocess
import sys
import textwrap
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from fakes.experiments import capitals
from fakes.refusals import BAD_REQUEST, OUT_OF_QUOTA
from pandas.testing import assert_frame_equal

import promptlab as pl
from promptlab.errors import UnknownRun
from promptlab.results.runs import RunRecord, last_run_of
from promptlab.store.archive import export_archive, import_archive
from promptlab.store.database import Database
from promptlab.testing import PATIENCE_S, FakeClient, echo, failure, last_text, response


def change(clean_home: Path, sql: str, *values: object) -> None:
    """Changes the database as somebody else would who can write to it."""
    with closing(sqlite3.connect(clean_home / "promptlab.sqlite")) as file, file:
        file.execute(sql, values)


def half_broken() -> FakeClient:
    return FakeClient(
        lambda asked: (
            BAD_REQUEST if last_text(asked) == "Where is city 1?" else echo(asked)
        )
    )


def test_a_run_leaves_a_record_of_what_it_was(experiment: pl.Experiment) -> None:
    results = experiment.run(client=FakeClient())

    record = pl.find_run()
    assert record.name == results.run
    assert record.experiment_name == "capitals"
    assert record.dataset_digest == experiment.dataset.digest
    assert record.status == "complete"
    assert record.routes == {"fake": "http://localhost/v1"}
    assert {"python", "openai", "pandas"} <= record.versions.keys()
    assert record.totals["calls"] == 8


def test_recorded_results_are_those_of_the_run(experiment: pl.Experiment) -> None:
    experiment.limit(1).run(client=FakeClient())

    results = experiment.run(client=half_broken())
    loaded = pl.find_run(results.run).load_results()

    assert_frame_equal(results.table, loaded.table)
    assert loaded.table["cached"].tolist() == [True] * 2 + [False] * 6
    assert loaded.failures == results.failures
    assert repr(loaded.totals) == repr(results.totals)  # costs are NaN
    assert loaded.headline == results.headline


def test_recorded_results_cost_what_they_did_whatever_the_prices_are_now(
    experiment: pl.Experiment, tmp_path: Path
) -> None:
    prices = {"fake": {"input": 1, "output": 10, "valid_from": "2026-01-01"}}
    results = experiment.run(client=FakeClient(), prices=prices)
    (tmp_path / "prices.toml").write_text(
        '[[price]]\nmodel = "fake"\ninput = 9\noutput = 9\n'
    )

    loaded = pl.find_run(results.run).load_results()

    assert loaded.totals.billed_usd == pytest.approx(8 * 60 / 1e6)
    assert_frame_equal(results.table, loaded.table)
    assert_frame_equal(results.prices, loaded.prices)
    assert loaded[0].price == results[0].price


def test_a_record_keeps_its_failures_when_a_later_run_succeeds(
    experiment: pl.Experiment,
) -> None:
    failed = experiment.run(client=half_broken())
    experiment.run(client=FakeClient())

    loaded = pl.find_run(failed.run).load_results()

    assert_frame_equal(failed.table, loaded.table)
    assert loaded.totals.failed == 2


def test_duplicates_and_conversations_are_loaded_too() -> None:
    turns = ["Name a city.", "Another?"]
    experiment = pl.Experiment(
        "talk",
        grid=pl.Grid(
            model=["fake"],
            prompt=[
                "Where is {{city}}?",
                pl.Prompt([{"role": "user", "content": turn} for turn in turns]),
            ],
        ),
        dataset=[{"city": "Bern"}, {"city": "Bern"}],
        repeats=2,
    )

    results = experiment.run(client=FakeClient())
    loaded = pl.find_run(results.run).load_results()

    assert_frame_equal(results.table, loaded.table)


def test_a_stopped_run_is_recorded_with_its_reason(experiment: pl.Experiment) -> None:
    poor = FakeClient(["an answer", *[OUT_OF_QUOTA] * 9])

    results = experiment.run(client=poor, max_concurrency=1)
    loaded = pl.find_run(results.run).load_results()

    assert loaded.status == "stopped"
    assert loaded.reason == results.reason
    assert_frame_equal(results.table, loaded.table)


def test_a_record_does_not_change_when_a_later_run_answers_more(
    experiment: pl.Experiment,
) -> None:
    experiment.only(temperature=0).limit(1).run(client=FakeClient())
    poor = FakeClient(["an answer", *[OUT_OF_QUOTA] * 9])
    stopped = experiment.run(client=poor, max_concurrency=1)
    experiment.run(client=FakeClient())

    loaded = pl.find_run(stopped.run).load_results()

    assert_frame_equal(stopped.table, loaded.table)
    assert loaded.headline == stopped.headline


def test_an_answer_of_a_stopped_run_that_was_pruned_since_is_a_failure(
    experiment: pl.Experiment, cache: pl.ResponseCache
) -> None:
    poor = FakeClient(["an answer", *[OUT_OF_QUOTA] * 9])
    stopped = experiment.run(client=poor, max_concurrency=1, cache=cache)
    cache.clear()

    with pytest.warns(pl.PromptlabWarning, match="1 answer of run .* no longer kept"):
        loaded = pl.find_run(stopped.run).load_results()

    assert loaded.table["trial"].tolist() == stopped.table["trial"].tolist()
    assert loaded.totals.answered == 0
    assert "this run's answer is no longer kept" in set(loaded.errors["message"])


def test_a_run_without_a_cache_says_why_its_answers_are_gone(
    experiment: pl.Experiment,
) -> None:
    results = experiment.run(client=FakeClient(), use_cache=False)

    loaded = pl.find_run(results.run).load_results()

    assert set(loaded.errors["message"]) == {"not kept: the run did not use the cache"}


def test_a_record_of_before_it_said_what_was_answered_is_read(
    experiment: pl.Experiment, clean_home: Path
) -> None:
    results = experiment.run(client=half_broken())
    change(clean_home, "UPDATE runs SET answered = NULL")

    loaded = pl.find_run().load_results()

    assert_frame_equal(results.table, loaded.table)


def test_many_different_failures_do_not_swell_a_record(clean_home: Path) -> None:
    count = 0

    def refused(asked: pl.Request) -> pl.Failure:
        nonlocal count
        count += 1
        return (
            failure(503 if count % 2 else 500, request_id=f"req_{count}")
            if (count % 50)
            else replace(BAD_REQUEST, message="x" * 100_000)
        )

    experiment = capitals(1_000, temperature=[0], repeats=3)
    results = experiment.run(
        client=FakeClient(refused), max_attempts=1, max_concurrency=1, use_cache=False
    )
    record = pl.find_run()

    assert record.failed == frozenset(range(3_000))
    assert len(orjson.dumps(record.failures)) < 100_000
    loaded = record.load_results()
    assert loaded.totals == results.totals
    first, last = loaded.failures[0], loaded.failures[2_998]
    assert first == results.failures[0]
    assert (last.kind, last.status, last.request_id) == ("status", 503, None)
    assert last.message == "one of many, such as: refused with 503"
    assert len(max(f.message for f in loaded.failures.values())) == 2_000


def test_an_answer_that_was_pruned_since_is_a_failure(
    experiment: pl.Experiment, cache: pl.ResponseCache
) -> None:
    results = experiment.run(client=FakeClient(), cache=cache)
    cache.clear()

    with pytest.warns(pl.PromptlabWarning, match="8 answers of run .* no longer kept"):
        loaded = pl.find_run(results.run).load_results()

    messages = set(loaded.errors["message"])
    assert messages == {"this run's answer is no longer kept"}


# What is asked later changes nothing.


def versions(experiment: pl.Experiment, **options: Any) -> list[pl.Results]:
    """Three runs of one experiment that give other answers each time."""
    return [
        experiment.run(
            client=FakeClient(
                lambda asked, n=number: f"answer {n} to {last_text(asked)}"
            ),
            refresh=True,
            **options,
        )
        for number in range(3)
    ]


def test_runs_keep_their_answers_when_later_ones_refresh_them(
    experiment: pl.Experiment,
) -> None:
    runs = versions(experiment)

    for results in runs:
        loaded = pl.find_run(results.run).load_results()
        assert_frame_equal(results.table, loaded.table)
        assert loaded.headline == results.headline


def test_runs_tell_answers_apart_that_were_received_at_different_moments(
    experiment: pl.Experiment,
) -> None:
    moments = iter(range(1_790_000_000, 1_790_000_100))
    client = FakeClient(
        lambda asked: replace(response("the same"), received_s=float(next(moments)))
    )
    first = experiment.run(client=client)
    experiment.run(client=client, refresh=True)
    cache = pl.ResponseCache()

    cache.prune(replaced=True)

    with pytest.warns(pl.PromptlabWarning, match="8 answers"):
        loaded = pl.find_run(first.run).load_results()
    assert loaded.totals.failed == 8


def test_conversations_keep_every_reply_when_later_runs_refresh_them() -> None:
    turns = [{"role": "user", "content": turn} for turn in ("A city?", "Another?")]
    talk = pl.Experiment(
        "talk",
        grid=pl.Grid(model=["fake"], prompt={"talk": pl.Prompt(turns)}),
        dataset=[{"id": "a"}, {"id": "b"}],
        repeats=2,
    )
    failing = FakeClient(
        lambda asked: (
            BAD_REQUEST
            if last_text(asked) == "Another?" and asked.repeat
            else echo(asked)
        )
    )
    broken = talk.run(client=failing)
    runs = [broken, *versions(talk)]

    for results in runs:
        loaded = pl.find_run(results.run).load_results()
        assert_frame_equal(results.table, loaded.table)
        assert_frame_equal(results.messages, loaded.messages)


def test_a_run_that_went_on_from_a_cache_says_again_what_it_paid_itself() -> None:
    turns = [{"role": "user", "content": turn} for turn in ("A city?", "Another?")]
    grid = {"model": ["fake"], "prompt": {"talk": pl.Prompt(turns)}}
    price = {"fake": {"input": 1, "output": 10}}
    one, two = (
        pl.Experiment("talk", grid=pl.Grid(**grid), dataset=[{"id": "a"}], repeats=n)
        for n in (1, 2)
    )
    one.run(client=FakeClient(["Bern", BAD_REQUEST]), prices=price)

    results = two.run(client=FakeClient(), prices=price)
    loaded = pl.find_run(results.run).load_results()

    assert results.totals.calls == 3
    assert_frame_equal(results.table, loaded.table)


def test_answers_that_come_back_by_an_import_are_the_runs_again(
    experiment: pl.Experiment, cache: pl.ResponseCache, tmp_path: Path
) -> None:
    results = experiment.run(client=FakeClient(), cache=cache)
    export_archive(cache, tmp_path / "answers.jsonl")
    cache.clear()
    import_archive(cache, tmp_path / "answers.jsonl")

    loaded = pl.find_run(results.run).load_results()

    assert_frame_equal(results.table, loaded.table)


def test_answers_of_others_under_the_same_keys_are_not_taken_for_the_runs(
    experiment: pl.Experiment, cache: pl.ResponseCache
) -> None:
    results = experiment.run(client=FakeClient(), cache=cache)
    cache.clear()
    experiment.run(client=FakeClient(lambda asked: "another"), cache=cache)

    with pytest.warns(pl.PromptlabWarning, match="8 answers"):
        loaded = pl.find_run(results.run).load_results()

    assert loaded.totals.answered == 0


def test_what_a_refresh_replaced_is_not_served_counted_or_exported(
    experiment: pl.Experiment, cache: pl.ResponseCache, tmp_path: Path
) -> None:
    *_, last = versions(experiment, cache=cache)

    again = experiment.run(client=FakeClient(), cache=cache, record=False)

    assert again.totals.calls == 0
    assert again.table["output"].tolist() == last.table["output"].tolist()
    assert len(cache) == 8
    assert cache.replaced_count() == 16
    assert export_archive(cache, tmp_path / "answers.jsonl") == 8
    assert cache.prune(replaced=True) == 16
    assert len(cache) == 8


def test_clearing_and_pruning_remove_replaced_answers_too(
    experiment: pl.Experiment, cache: pl.ResponseCache
) -> None:
    versions(experiment, cache=cache)
    assert cache.prune(experiment="capitals") == 24
    versions(experiment, cache=cache)

    assert cache.clear() == 24
    assert cache.replaced_count() == 0


# Which run.


def test_runs_are_listed_the_latest_first() -> None:
    runs = [capitals(n).run(client=FakeClient()).run for n in (1, 2, 3)]

    listed = pl.recorded_runs()

    assert sorted(listed["run"]) == sorted(filter(None, runs))
    assert listed["started"].is_monotonic_decreasing
    assert pl.find_run().name == runs[-1]


def test_the_table_of_runs_says_what_each_was_and_took(
    experiment: pl.Experiment,
) -> None:
    experiment.run(client=half_broken(), prices={"fake": {"input": 1, "output": 10}})

    (row,) = pl.recorded_runs().to_dict("records")

    assert row["experiment"] == "capitals"
    assert row["status"] == "complete"
    assert (row["variants"], row["trials"]) == (2, 8)
    assert (row["answered"], row["failed"]) == (6, 2)
    assert row["cost_usd"] == row["billed_usd"] == pytest.approx(6 * 60 / 1e6)
    assert "capitals" in repr(pl.find_run())


def test_without_runs_the_table_has_its_columns_and_no_row() -> None:
    listed = pl.recorded_runs()

    assert len(listed) == 0
    assert {"started", "run", "experiment", "status", "cost_usd"} <= set(listed)


def test_a_run_is_found_by_its_name_its_beginning_or_its_experiment() -> None:
    run = capitals(name="triage").run(client=FakeClient()).run
    assert run is not None

    assert pl.find_run(run).name == run
    assert pl.find_run(run[:-2]).name == run
    assert pl.find_run("triage").name == run


def test_of_several_runs_of_an_experiment_the_latest_is_found() -> None:
    runs = [capitals(name="triage").run(client=FakeClient()).run for _ in range(3)]

    assert pl.find_run("triage").name == runs[-1]


def test_an_ambiguous_beginning_is_told() -> None:
    for _ in range(2):
        capitals(name="triage").run(client=FakeClient())

    with pytest.raises(UnknownRun, match="2 runs"):
        pl.find_run("2")


def test_an_unknown_run_is_told_with_one_that_is_there(
    experiment: pl.Experiment,
) -> None:
    with pytest.raises(UnknownRun, match="no run is recorded"):
        pl.find_run()
    run = experiment.run(client=FakeClient()).run

    with pytest.raises(UnknownRun, match=f"no run 'x'; the latest is '{run}'"):
        pl.find_run("x")


def test_the_last_run_of_an_experiment_is_of_just_that_experiment() -> None:
    run = capitals(2).run(client=FakeClient()).run
    capitals(3).run(client=FakeClient())

    found = last_run_of(capitals(2))

    assert found is not None
    assert found.name == run
    assert last_run_of(capitals(4)) is None


# What may go wrong.


KILLED = """
    import os, signal
    from fakes.experiments import capitals
    from promptlab.testing import FakeClient, echo

    def answer(request):
        if client.calls > 5:
            os.kill(os.getpid(), signal.SIGKILL)
        return echo(request)

    client = FakeClient(answer)
    capitals().run(client=client, max_concurrency=1)
"""


def test_a_killed_run_is_shown_as_interrupted(experiment: pl.Experiment) -> None:
    tests = Path(__file__).parents[1]
    child = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(KILLED)],
        timeout=PATIENCE_S,
        env={**os.environ, "PYTHONPATH": f"{tests}{os.pathsep}{tests.parent}"},
    )

    loaded = pl.find_run().load_results()

    assert child.returncode == -signal.SIGKILL
    assert pl.find_run().state == "ended early"
    assert loaded.status == "interrupted"
    assert loaded.totals.answered == 5
    assert loaded.totals.missing == 3


def test_a_run_is_running_while_it_goes_on(
    experiment: pl.Experiment, clean_home: Path
) -> None:
    client = FakeClient(held=lambda request: True)
    handle = experiment.start(client=client)
    client.wait_for_calls(1)

    record = pl.find_run()
    during = record.state, record.load_results().status
    client.release_all()
    handle.result()

    assert during == ("running", "running")
    assert pl.find_run().state == "complete"
    assert not list((clean_home / "alive").iterdir())


def test_a_run_that_was_let_go_ended_early(
    experiment: pl.Experiment, clean_home: Path
) -> None:
    routes = {"fake": "https://fake.test/v1"}
    record = RunRecord.begin(experiment, routes, "")
    assert record is not None
    before = pl.find_run().state

    record.release()

    assert (before, pl.find_run().state) == ("running", "ended early")


def test_a_run_that_failed_ended_early(
    experiment: pl.Experiment, clean_home: Path
) -> None:
    limits = "BEFORE INSERT ON limits BEGIN SELECT RAISE(ABORT, 'no more room'); END"

    def answer(request: pl.Request) -> pl.Response:
        change(clean_home, f"CREATE TRIGGER IF NOT EXISTS full {limits}")
        return replace(response("x"), headers={"x-ratelimit-limit-requests": "60"})

    with pytest.raises(pl.PromptlabWarning, match="no more room"):  # all are errors
        experiment.run(client=FakeClient(answer))

    assert pl.find_run().state == "ended early"


def test_a_run_whose_answers_are_lost_still_knows_which_trials_it_asked(
    experiment: pl.Experiment, clean_home: Path
) -> None:
    experiment.limit(1).run(client=FakeClient())
    run = experiment.run(client=FakeClient()).run
    assert run is not None

    change(clean_home, "UPDATE runs SET answers = NULL WHERE name = ?", run)
    loaded = pl.find_run(run).load_results()

    assert loaded.table["cached"].tolist() == [True] * 2 + [False] * 6


def test_where_there_are_no_locks_it_is_not_known_whether_a_run_goes_on(
    experiment: pl.Experiment, clean_home: Path
) -> None:
    experiment.run(client=FakeClient())
    change(clean_home, "UPDATE runs SET status = 'running', process = NULL")

    assert pl.find_run().state == "ended early or running"


def test_a_record_that_cannot_be_written_is_only_a_warning(
    experiment: pl.Experiment, clean_home: Path
) -> None:
    experiment.run(client=FakeClient(), record=False)
    full = "BEFORE INSERT ON runs BEGIN SELECT RAISE(ABORT, 'disk is full'); END"
    change(clean_home, f"CREATE TRIGGER full {full}")

    with pytest.warns(pl.PromptlabWarning, match=r"could not save .* disk is full"):
        results = experiment.run(client=FakeClient())

    assert results.totals.answered == 8
    assert results.run is None
    assert not list((clean_home / "alive").iterdir())


def test_a_record_of_a_newer_version_is_listed_and_says_so(
    experiment: pl.Experiment, clean_home: Path
) -> None:
    run = experiment.run(client=FakeClient()).run
    change(clean_home, "UPDATE runs SET format = 99, totals = 'of another kind'")

    (row,) = pl.recorded_runs().to_dict("records")

    assert (row["run"], row["status"]) == (run, "unreadable")
    assert row["experiment"] == "capitals"
    assert "newer promptlab (format 99" in row["note"]
    with pytest.raises(UnknownRun, match="upgrade to read it"):
        pl.find_run().load_results()


def test_a_damaged_record_is_listed_as_unreadable(
    experiment: pl.Experiment, clean_home: Path
) -> None:
    run = experiment.run(client=FakeClient()).run
    change(clean_home, "UPDATE runs SET totals = '{'")

    (row,) = pl.recorded_runs().to_dict("records")

    assert (row["run"], row["status"]) == (run, "unreadable")
    assert "damaged" in row["note"]


def test_a_lost_definition_is_told(experiment: pl.Experiment, clean_home: Path) -> None:
    experiment.run(client=FakeClient())
    change(clean_home, "DELETE FROM experiments")

    with pytest.raises(UnknownRun, match="is lost"):
        pl.find_run().load_results()


def test_records_are_the_users_alone_and_not_for_git(
    experiment: pl.Experiment, clean_home: Path
) -> None:
    experiment.run(client=FakeClient())

    for path in clean_home.glob("promptlab*"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    assert (clean_home / ".gitignore").read_text() == "*\n"


def test_a_definition_is_kept_once_for_all_its_runs(
    experiment: pl.Experiment, clean_home: Path
) -> None:
    for _ in range(3):
        experiment.run(client=FakeClient())

    with closing(Database()) as database:
        ((kept,),) = database.rows("SELECT definition FROM experiments")
    assert orjson.loads(kept)["name"] == "capitals"


def test_a_run_can_do_without_a_record(experiment: pl.Experiment) -> None:
    results = experiment.run(client=FakeClient(), record=False)

    assert results.run is None
    assert len(pl.recorded_runs()) == 0
