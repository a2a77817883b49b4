"""The cache: what is kept, what is refused, who may share it, and what is missing."""

from __future__ import annotations

import base64
import os
import pickle
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import diskcache
import orjson
import pytest
from fakes.experiments import capitals, outcomes
from pandas.testing import assert_frame_equal

import promptlab as pl
from promptlab.errors import CacheError
from promptlab.execution.caller import STALE_S
from promptlab.store.archive import export_archive, import_archive
from promptlab.store.cache import Entry
from promptlab.testing import PATIENCE_S, FakeClient, response, wait_until

URL = FakeClient.base_url


def asked(
    text: str = "Where is Bern?", repeat: int = 0, **parameters: object
) -> pl.Request:
    messages = [{"role": "user", "content": text}]
    return pl.Request(
        URL, {"model": "fake", "messages": messages, **parameters}, repeat
    )


def entry(
    request: pl.Request, text: str = "In Europe.", experiment: str = "e"
) -> Entry:
    return Entry.of(request, response(text), experiment)


def row_changed(cache: pl.ResponseCache, sql: str, *values: object) -> None:
    """Changes the database as somebody else would who can write to it."""
    with closing(sqlite3.connect(cache.directory / "cache.db")) as file, file:
        assert file.execute(sql, values).rowcount == 1


class Trap:
    """Leaves a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return os.mkdir, (str(self.path),)


# What is kept.


def test_an_answer_comes_back_as_it_was_received(cache: pl.ResponseCache) -> None:
    stored = entry(asked())

    cache.put([stored])
    found = cache.get(stored.key)

    assert found == stored
    assert found is not None
    assert found.request == asked()
    assert found.response == response("In Europe.")
    assert found.response.model == "fake-2026-11-01"


def pictured(medium: bytes, text: str) -> pl.Request:
    """A request with a medium in it."""
    url = f"data:image/png;base64,{base64.b64encode(medium).decode()}"
    parts = [{"type": "image_url", "image_url": {"url": url}}]
    message = {"role": "user", "content": [{"type": "text", "text": text}, *parts]}
    return pl.Request(URL, {"model": "fake", "messages": [message]})


def test_a_long_text_is_no_medium_and_is_stored_as_fast(
    cache: pl.ResponseCache,
) -> None:
    request = asked("a" * 2**20 + "!")

    cache.put([entry(request)])  # a search from each of the letters would take hours

    found = cache.get(request.key)
    assert found is not None
    assert found.request == request


def test_a_medium_that_many_requests_send_is_kept_once(
    cache: pl.ResponseCache,
) -> None:
    medium = random.Random(0).randbytes(1_000_000)
    requests = [pictured(medium, f"What, {n}?") for n in range(1_000)]

    for start in range(0, 1_000, 100):
        cache.add([entry(request) for request in requests[start : start + 100]])

    assert cache.size_bytes() < 5_000_000
    assert sum(size for *_, size in cache.catalogue()) < 1_000_000
    found = cache.get(requests[7].key)
    assert found is not None
    assert found.request_json == requests[7].canonical_json
    assert found.request == requests[7]


def test_media_leave_the_cache_with_the_last_answer_about_them(
    cache: pl.ResponseCache,
) -> None:
    medium = random.Random(0).randbytes(300_000)
    first, second = pictured(medium, "What?"), pictured(medium, "Who?")
    cache.add([entry(first), entry(second, experiment="other")])

    cache.delete([first.key])
    kept = cache.get(second.key)
    assert kept is not None
    assert kept.request == second
    cache.prune(experiment="other")

    with pytest.raises(CacheError, match="is not in the cache"):
        _ = kept.request


def test_media_travel_in_archives(cache: pl.ResponseCache, tmp_path: Path) -> None:
    request = pictured(random.Random(0).randbytes(9_000), "What?")
    cache.add([entry(request)])
    other = pl.ResponseCache(tmp_path / "other")

    export_archive(cache, tmp_path / "answers.jsonl")
    import_archive(other, tmp_path / "answers.jsonl")

    found = other.get(request.key)
    assert found is not None
    assert found.request == request


def test_an_entry_is_lines_of_json_and_nothing_else(cache: pl.ResponseCache) -> None:
    cache.put([entry(asked())])

    with closing(sqlite3.connect(cache.directory / "cache.db")) as database:
        rows = database.execute("SELECT key, raw, mode, filename, value FROM Cache")
        ((key, raw, mode, filename, value),) = rows.fetchall()

    head, request, body = (orjson.loads(line) for line in value.split(b"\n"))
    assert (key, raw, mode, filename) == (asked().key, 1, 1, None)
    assert head[:2] == ["In Europe.", "stop"]
    assert request["body"]["model"] == "fake"
    assert body["choices"][0]["message"]["content"] == "In Europe."


def test_a_later_answer_takes_the_place_of_an_earlier_one(
    cache: pl.ResponseCache,
) -> None:
    cache.put([entry(asked(), "first")])
    cache.put([entry(asked(), "second")])

    assert len(cache) == 1
    assert cache.heads([asked().key])[asked().key].output == "second"


def test_nothing_is_evicted(cache: pl.ResponseCache) -> None:
    with diskcache.Cache(str(cache.directory)) as bare:
        settings = bare.eviction_policy, bare.cull_limit, bare.size_limit

    assert settings == ("none", 0, 2**62)


def test_folders_and_files_are_the_users_alone(
    cache: pl.ResponseCache, clean_home: Path
) -> None:
    cache.put([entry(asked())])

    for folder in (clean_home, cache.directory):
        assert folder.stat().st_mode & 0o777 == 0o700
    files = list(cache.directory.glob("cache.db*"))
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}


def test_ten_thousand_keys_are_looked_up_at_once(cache: pl.ResponseCache) -> None:
    entries = [entry(asked(str(number))) for number in range(6_000)]
    keys = [*(e.key for e in entries), *(f"{n:064x}" for n in range(6_000))]

    cache.put(entries)

    assert len(cache) == 6_000
    assert cache.heads(keys).keys() == cache.known(keys) == {e.key for e in entries}
    assert [found.key for found in cache.entries()] == [e.key for e in entries]


def test_answers_are_put_all_or_none(cache: pl.ResponseCache) -> None:
    good = entry(asked())
    bad = Entry("k", HEAD, b"", body=None)  # type: ignore[arg-type]

    with pytest.raises(Exception):  # noqa: B017, PT011 - whatever it is
        cache.put([good, bad])

    assert len(cache) == 0


# What is refused.


def test_a_planted_pickle_is_not_run_and_counts_as_missing(
    cache: pl.ResponseCache, experiment: pl.Experiment, tmp_path: Path
) -> None:
    paid = experiment.run(client=FakeClient(), cache=cache)
    trap = pickle.dumps(Trap(tmp_path / "sprung"))
    row_changed(cache, "UPDATE Cache SET mode = 4, value = ? WHERE rowid = 1", trap)
    client = FakeClient()

    with pytest.warns(pl.PromptlabWarning, match="damaged or not ours"):
        plan = experiment.plan(client=client, cache=cache)
    with pytest.warns(pl.PromptlabWarning, match="counts as missing"):
        results = experiment.run(client=client, cache=pl.ResponseCache(cache.directory))
    again = experiment.run(client=FakeClient(), cache=cache)

    assert not (tmp_path / "sprung").exists()
    assert plan.counts["cached"] == 7
    assert client.calls == 1
    assert_frame_equal(outcomes(paid), outcomes(results))
    assert again.table["cached"].all()


@pytest.mark.filterwarnings("ignore::promptlab.errors.PromptlabWarning")
@pytest.mark.parametrize("mode", [0, 2, 3, 4, 5, None])
def test_no_way_of_reading_runs_a_planted_pickle(
    cache: pl.ResponseCache, tmp_path: Path, mode: int | None
) -> None:
    cache.put([entry(asked())])
    trap = pickle.dumps(Trap(tmp_path / "sprung"))
    row_changed(cache, "UPDATE Cache SET mode = ?, value = ?", mode, trap)

    assert cache.get(asked().key) is None
    assert cache.heads([asked().key]) == {}
    assert cache.head(asked().key) is None
    assert cache.known([asked().key]) == set()
    assert list(cache.entries()) == []
    assert pl.explain(asked(), cache).hit is None
    cache.clear()
    assert not (tmp_path / "sprung").exists()


def test_a_pickled_key_is_never_looked_at(
    cache: pl.ResponseCache, tmp_path: Path
) -> None:
    trap = pickle.dumps(Trap(tmp_path / "sprung"))
    row_changed(
        cache,
        "INSERT INTO Cache (key, raw, mode, value) VALUES (?, 0, 4, ?)",
        trap,
        trap,
    )
    cache.put([entry(asked())])

    assert len(cache) == len(list(cache.entries())) == len(cache.catalogue()) == 1
    assert pl.explain(asked("other"), cache).nearest == asked()
    assert not (tmp_path / "sprung").exists()


@pytest.mark.filterwarnings("ignore::promptlab.errors.PromptlabWarning")
def test_a_row_that_points_to_a_file_is_refused(
    cache: pl.ResponseCache, tmp_path: Path
) -> None:
    stored = entry(asked())
    cache.put([stored])
    (tmp_path / "secret").write_bytes(stored.value)
    row_changed(cache, "UPDATE Cache SET filename = ?", str(tmp_path / "secret"))

    assert cache.get(stored.key) is None
    assert cache.heads([stored.key]) == {}
    assert cache.known([stored.key]) == set()


HEAD = entry(asked()).head
PRICES = {"fake": {"input": 10, "cached_input": 1, "output": 10}}


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"no line ends here",
        b"not json\n{}\n{}",
        b"{}\n{}\n{}",
        b'"a text of ten"\n{}\n{}',
        b"[]\n{}\n{}",
        b'["In Europe.", "stop"]\n{}\n{}',
        orjson.dumps([5, *HEAD[1:]]) + b"\n{}\n{}",
        orjson.dumps([*HEAD[:2], "ten", *HEAD[3:]]) + b"\n{}\n{}",
        orjson.dumps([*HEAD[:6], "fast", *HEAD[7:]]) + b"\n{}\n{}",
        orjson.dumps([*HEAD[:2], 2**63, *HEAD[3:]]) + b"\n{}\n{}",
        orjson.dumps([*HEAD[:4], -1, *HEAD[5:]]) + b"\n{}\n{}",
        orjson.dumps([*HEAD[:12], -0.1]) + b"\n{}\n{}",
        orjson.dumps([*HEAD[:13], ["call"], None, None]) + b"\n{}\n{}",
        orjson.dumps([*HEAD, None]) + b"\n{}\n{}",
        b"\xff\xfe\n{}\n{}",
    ],
    ids=lambda value: repr(value[:24]),
)
def test_a_damaged_entry_is_missing_and_overwritten_by_the_next_answer(
    cache: pl.ResponseCache, experiment: pl.Experiment, value: bytes
) -> None:
    paid = experiment.run(client=FakeClient(), cache=cache)
    row_changed(cache, "UPDATE Cache SET value = ? WHERE rowid = 1", value)
    client = FakeClient()

    with pytest.warns(pl.PromptlabWarning, match="counts as missing"):
        results = experiment.run(client=client, cache=cache)
    again = experiment.run(client=FakeClient(), cache=cache)

    assert client.calls == 1
    assert_frame_equal(outcomes(paid), outcomes(results))
    assert again.table["cached"].all()


def test_an_entry_of_twelve_members_is_still_a_hit(
    cache: pl.ResponseCache, experiment: pl.Experiment
) -> None:
    paid = experiment.run(client=FakeClient(), cache=cache)
    for stored in list(cache.entries()):
        value = b"\n".join(
            (orjson.dumps(stored.head[:12]), stored.request_json, stored.body)
        )
        row_changed(
            cache, "UPDATE Cache SET value = ? WHERE key = ?", value, stored.key
        )
    client = FakeClient()

    again = experiment.run(client=client, cache=cache)

    assert client.calls == 0
    assert_frame_equal(outcomes(paid), outcomes(again))


def test_an_entry_whose_parts_exceed_their_whole_is_read_as_they_were_beside_it(
    cache: pl.ResponseCache, experiment: pl.Experiment
) -> None:
    one = experiment.limit(1).only(temperature=0)
    one.run(client=FakeClient(), cache=cache)
    head = [*HEAD[:2], 10, 1000, 5, 20, None, *HEAD[7:]]  # as they once were kept
    row_changed(cache, "UPDATE Cache SET value = ?", orjson.dumps(head) + b"\n{}\n{}")

    (record,) = one.run(client=FakeClient(), cache=cache, prices=PRICES)

    assert record.cached
    assert (record.usage.input_tokens, record.usage.output_tokens) == (1010, 25)
    assert record.cost_usd == pytest.approx((10 * 10 + 1000 + 25 * 10) / 1e6)


BROKEN = {"code": 502, "message": "Provider disconnected"}


def kept_failure(request: pl.Request, **broken: object) -> Entry:
    """An entry as earlier versions kept it, of a reply that is no answer: its document,
    choice or summary are changed."""
    good = entry(request)
    document = orjson.loads(good.body)
    document["choices"][0] |= broken.pop("choice", {})  # type: ignore[call-overload]
    document |= broken.pop("document", {})
    head = good.head._replace(**broken)  # type: ignore[arg-type]
    return replace(good, head=head, body=orjson.dumps(document))


@pytest.mark.parametrize(
    "broken",
    [
        {"finish_reason": "error"},
        {"finish_reason": "abort"},
        {"finish_reason": "insufficient_system_resource"},
        {"output": "", "finish_reason": None, "output_tokens": 0},
        {"choice": {"error": BROKEN}},
        {"document": {"error": BROKEN}},
    ],
    ids=str,
)
def test_a_failure_that_was_kept_as_an_answer_is_missing_and_replaced(
    cache: pl.ResponseCache, broken: dict[str, object]
) -> None:
    request, other = asked(), asked("Where is Rome?")
    cache.put([kept_failure(request, **broken), entry(other)])

    assert list(cache.heads([request.key, other.key])) == [other.key]
    assert cache.get(request.key) is None
    assert request.key not in cache
    assert [kept.key for kept in cache.entries()] == [other.key]

    assert cache.add([entry(request, "anew")]) == {}
    assert cache.heads([request.key])[request.key].output == "anew"


@pytest.mark.parametrize(
    "text", ['{"error": {"code": 502}}', 'say "error"', "", "error"], ids=str
)
def test_an_answer_that_speaks_of_errors_is_a_hit(
    cache: pl.ResponseCache, text: str
) -> None:
    named = {"document": {"error": None}, "choice": {"error": {}}}
    cache.put([entry(asked(), text), kept_failure(asked("b"), **named)])

    assert len(cache.heads([asked().key, asked("b").key])) == 2


def test_what_a_client_of_your_own_gives_is_not_kept_where_the_model_broke_off(
    cache: pl.ResponseCache,
) -> None:
    client = FakeClient(lambda request: response("In Eu", finish_reason="error"))

    results = capitals(1).run(client=client, cache=cache, max_attempts=2)

    assert (results.failures[0].kind, client.calls) == ("broken_off", 4)
    assert len(cache) == 0


def test_a_database_that_is_none_is_told_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "cache.db").write_bytes(b"not a database" * 100)

    with pytest.raises(CacheError, match="if it is damaged, move it away"):
        pl.ResponseCache(tmp_path / "cache")


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(CacheError, match="PROMPTLAB_HOME"):
        pl.ResponseCache(tmp_path / "file" / "cache")


# Who may share it.


WRITER = """
    import sys
    from pathlib import Path
    import promptlab as pl
    from promptlab.store.cache import Entry
    from promptlab.spec.response import Response
    from promptlab.results.record import Usage

    folder, mine, theirs = sys.argv[1:]
    cache = pl.ResponseCache(folder)

    def entry(who, number):
        messages = [{"role": "user", "content": f"{who} {number}"}]
        request = pl.Request("https://x.test", {"model": "m", "messages": messages})
        answer = Response("yes", "stop", Usage(), 0.1, body=b"{}")
        return Entry.of(request, answer, who)

    print("ready", flush=True)
    sys.stdin.readline()
    for number in range(300):
        cache.put([entry(mine, number), entry("both", number)])
        assert cache.get(entry(mine, number).key) is not None
        cache.heads([entry(theirs, n).key for n in range(number)])
    print("done", flush=True)
"""


def test_two_processes_write_and_read_one_cache_and_lose_nothing(
    cache: pl.ResponseCache,
) -> None:
    names = ("one", "other")
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(WRITER), cache.directory, *order],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for order in (names, names[::-1])
    ]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"

    ends = [writer.communicate("go\n", timeout=PATIENCE_S) for writer in writers]

    assert ends == [("done\n", ""), ("done\n", "")]
    assert len(cache) == 3 * 300
    assert len(list(cache.entries())) == 3 * 300


# What is removed.


def test_prune_removes_by_age_by_experiment_or_by_both(
    cache: pl.ResponseCache,
) -> None:
    def aged(text: str, experiment: str, age_s: float) -> Entry:
        answer = replace(response("yes"), received_s=time.time() - age_s)
        return Entry.of(asked(text), answer, experiment)

    cache.put([aged("1", "a", 5), aged("2", "a", 500), aged("3", "b", 500)])

    assert cache.prune(older_than_s=100, experiment="b") == 1
    assert cache.prune(experiment="b") == 0
    assert cache.prune(older_than_s=100) == 1
    assert cache.prune(experiment="a") == 1
    assert len(cache) == 0


def test_delete_removes_some_and_prune_alone_removes_all(
    cache: pl.ResponseCache,
) -> None:
    cache.put([entry(asked(str(number))) for number in range(5)])

    assert cache.delete([asked("1").key, asked("2").key, "unknown"]) == 2
    assert asked("1").key not in cache
    assert asked("3").key in cache
    assert cache.clear() == 3
    assert len(cache) == 0


def test_the_catalogue_says_who_paid_when_and_how_much_it_holds(
    cache: pl.ResponseCache,
) -> None:
    stored = entry(asked(), experiment="triage")
    cache.put([stored])

    assert cache.catalogue() == [
        (stored.key, "triage", 1_790_000_000.0, len(stored.value))
    ]
    assert cache.size_bytes() > len(stored.value)


# Why it is a hit or a miss.


def test_explain_tells_a_hit_and_who_paid(cache: pl.ResponseCache) -> None:
    cache.put([entry(asked(), experiment="triage")])

    explanation = pl.explain(asked(), cache)

    assert explanation.hit is not None
    assert f"key      {asked().key}" in str(explanation)
    assert "cached   yes, paid for by triage" in str(explanation)


@pytest.mark.parametrize(
    ("request_", "difference"),
    [
        (asked(temperature=0.7), "temperature: asked 0.7, stored nothing"),
        (asked(repeat=2), "repeat: asked 2, stored 0"),
        (
            asked("Where is Lima?"),
            "messages[0].content: asked 'Where is Lima?', stored 'Where is Bern?'",
        ),
    ],
    ids=["a parameter", "the repeat", "a text"],
)
def test_explain_tells_what_differs_from_the_nearest(
    cache: pl.ResponseCache, request_: pl.Request, difference: str
) -> None:
    cache.put([entry(asked()), entry(asked("Something else", top_p=1, seed=3))])

    explanation = pl.explain(request_, cache)

    assert explanation.hit is None
    assert explanation.nearest == asked()
    assert [str(found) for found in explanation.differences] == [difference]
    assert f"the nearest is {asked().key}" in str(explanation)


def test_explain_chooses_one_of_several_that_are_equally_near(
    cache: pl.ResponseCache,
) -> None:
    cache.put([entry(asked(temperature=0)), entry(asked(temperature=1))])

    (difference,) = pl.explain(asked(temperature=0.5), cache).differences

    assert difference.field == "temperature"


def test_explain_shows_where_long_texts_part(cache: pl.ResponseCache) -> None:
    cache.put([entry(asked("x" * 5000 + " in Bern " + "y" * 5000))])

    (difference,) = pl.explain(
        asked("x" * 5000 + " in Lima " + "y" * 5000), cache
    ).differences

    assert len(str(difference)) < 250
    assert "Lima" in str(difference)
    assert "Bern" in str(difference)


def test_explain_says_that_the_cache_is_empty(cache: pl.ResponseCache) -> None:
    assert "the cache is empty" in str(pl.explain(asked(), cache))


def test_explain_takes_a_trial_as_a_run_would_send_it(
    cache: pl.ResponseCache, experiment: pl.Experiment
) -> None:
    experiment.run(client=FakeClient(), cache=cache)

    assert pl.explain(experiment.trials[3], cache, base_url=URL).hit is not None
    (difference,) = pl.explain(experiment.trials[3], cache).differences
    assert difference.field == "base_url"


def test_explain_reads_the_env_file_as_a_run_does(
    cache: pl.ResponseCache, experiment: pl.Experiment, tmp_path: Path
) -> None:
    experiment.run(client=FakeClient(), cache=cache)
    (tmp_path / "here.env").write_text(f"OPENAI_BASE_URL={URL}\n")
    (tmp_path / ".env").write_text(f"OPENAI_BASE_URL={URL}\n")

    given = pl.explain(
        experiment.trials[3], cache.directory, env_file=tmp_path / "here.env"
    )
    found = pl.explain(experiment.trials[3], cache)

    assert given.hit is not None
    assert found.hit is not None


# When the disk is full.


class FullDisk(pl.ResponseCache):
    """A cache on a disk that takes so many answers and no more."""

    room = 5

    def add(self, entries: Sequence[Entry]) -> dict[str, list[Any]]:
        if len(self) + len(entries) > self.room:
            raise CacheError("answers cannot be stored: database or disk is full")
        return super().add(entries)


def test_a_full_disk_stops_the_run_and_the_answers_stay_in_the_results(
    tmp_path: Path,
) -> None:
    cache = FullDisk(tmp_path / "full")
    client = FakeClient()

    results = capitals(50).run(client=client, cache=cache, max_concurrency=1)

    assert results.status == "stopped"
    assert results.reason == (
        "answers cannot be stored: database or disk is full; "
        "export these results to keep them"
    )
    assert client.calls == results.totals.answered == 6
    assert results.table["output"].notna().sum() == 6
    assert len(cache) == 5


def test_every_call_in_flight_when_the_disk_fills_up_stays_in_the_results(
    tmp_path: Path,
) -> None:
    client = FakeClient(held=lambda request: True)

    handle = capitals(50).start(
        client=client, cache=FullDisk(tmp_path / "full"), max_concurrency=8
    )
    client.wait_for_calls(8)
    client.release_all()
    results = handle.result(PATIENCE_S)

    assert results.status == "stopped"
    assert results.totals.answered == client.calls


def alone(script: str, *arguments: str, **environ: str) -> list[str]:
    """The lines that a script prints in a process of its own, without complaint."""
    tests = Path(__file__).parents[1]
    child = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), *arguments],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        cwd=tests,
        env={
            **os.environ,
            "PYTHONPATH": f"{tests}{os.pathsep}{tests.parent}",
            **environ,
        },
    )
    assert child.stderr == ""
    return child.stdout.splitlines()


FILLER = """
    import resource, sys
    import promptlab as pl
    from fakes.experiments import capitals
    from promptlab.testing import FakeClient

    cache = pl.ResponseCache(sys.argv[1])
    resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, 150_000))
    import signal
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    client = FakeClient(lambda request: "long " * 1000)
    results = capitals(200).run(client=client, cache=cache, record=False)
    print(results.status, results.reason, sep="|")
    print(client.calls == results.totals.answered > 0)
"""


def test_a_real_limit_on_the_size_of_files_stops_the_run_with_one_clear_line(
    tmp_path: Path,
) -> None:
    status, kept = alone(FILLER, str(tmp_path / "small"))

    assert status.startswith("stopped|answers cannot be stored in ")
    assert status.endswith("; export these results to keep them")
    assert kept == "True"


READ_ONLY = """
    import os, sys
    import promptlab as pl
    from fakes.experiments import capitals
    from promptlab.testing import FakeClient

    cache = pl.ResponseCache(sys.argv[1])
    capitals(2).run(client=FakeClient(), cache=cache, record=False)
    cache.close()
    for file in cache.directory.iterdir():
        file.chmod(0o444)
    cache.directory.chmod(0o555)
    os.environ["PROMPTLAB_HOME"] = f"{cache.directory.parent}/home"
    if os.getuid() == 0:  # whom no permission stops
        os.setuid(65534)
    results = capitals(4).run(client=FakeClient(), cache=cache, record=False)
    print(results.status, results.totals.cached, results.totals.answered, sep="|")
    print(results.reason)
"""


def test_a_cache_that_becomes_read_only_stops_the_run_and_does_not_hang() -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        ended, reason = alone(READ_ONLY, f"{folder}/cache")

    assert ended == "stopped|4|8"
    assert "readonly database; export these results to keep them" in reason


READ_ONLY_HOME = """
    import os, sys, warnings
    from fakes.experiments import capitals
    from promptlab.testing import FakeClient

    os.environ["PROMPTLAB_HOME"] = home = sys.argv[1]
    capitals(2).run(client=FakeClient())
    for folder, _, files in os.walk(home):
        for file in files:
            os.chmod(f"{folder}/{file}", 0o444)
        os.chmod(folder, 0o555)
    if os.getuid() == 0:  # whom no permission stops
        os.setuid(65534)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        print(capitals(2).run(client=FakeClient()).totals.cached)
    for warning in caught:
        print(warning.message)
"""


def test_a_home_that_can_only_be_read_gives_its_answers_and_one_warning() -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        cached, warning = alone(READ_ONLY_HOME, f"{folder}/home")

    assert cached == "4"
    assert warning.startswith("could not save the run's record: ")
    assert "Permission denied; set PROMPTLAB_HOME to a folder that can be" in warning


def removed(folder: Path) -> None:
    shutil.rmtree(folder)


def moved(folder: Path) -> None:
    folder.rename(folder.with_name("elsewhere"))


def made_again(folder: Path) -> None:
    shutil.rmtree(folder)
    pl.ResponseCache(folder).close()


@pytest.mark.parametrize("becomes", [removed, moved, made_again])
def test_a_cache_that_goes_away_during_a_run_stops_it_with_one_clear_line(
    tmp_path: Path, becomes: Callable[[Path], None]
) -> None:
    folder = tmp_path / "home" / "cache"

    def answer(request: pl.Request) -> str:
        if client.calls == 6:
            becomes(folder)
        return "yes"

    client = FakeClient(answer)
    results = capitals(50).run(client=client, cache=folder, max_concurrency=1)

    assert results.status == "stopped"
    assert results.reason == (
        f"answers cannot be stored in {folder}: the folder was removed or moved while "
        "it was in use; export these results to keep them"
    )
    assert client.calls == results.totals.answered == 6


@pytest.mark.filterwarnings("ignore:this run leaves no record")
@pytest.mark.filterwarnings("ignore:the ledger")
def test_a_project_that_is_moved_during_a_run_stops_it(clean_home: Path) -> None:
    def answer(request: pl.Request) -> str:
        if client.calls == 6:
            clean_home.rename(clean_home.with_name("elsewhere"))
        return "yes"

    client = FakeClient(answer)
    with pytest.warns(pl.PromptlabWarning, match="removed or moved"):  # its ledger
        results = capitals(50).run(client=client, max_concurrency=1)

    assert results.status == "stopped"
    assert "removed or moved while it was in use; export" in results.reason
    assert client.calls == results.totals.answered == 6


WRITE = """
    import os, sys
    from fakes.experiments import capitals
    from promptlab.testing import FakeClient

    capitals(2).run(client=FakeClient())
    if sys.argv[1] == "killed":
        os._exit(0)
"""
READ = """
    import os, warnings
    import promptlab as pl
    from promptlab.errors import CacheError
    from fakes.experiments import capitals
    from promptlab.testing import FakeClient

    warnings.simplefilter("ignore")
    home = os.environ["PROMPTLAB_HOME"]
    if os.getuid() == 0:  # whom no permission stops; others may read no modules
        os.environ["PROMPTLAB_HOME"] = f"{home}-of-root"
        capitals(2).run(client=FakeClient()).table
        pl.usage()
        os.setuid(65534)
        os.environ["PROMPTLAB_HOME"] = home
    client = FakeClient()
    results = capitals(2).run(client=client, offline=True)
    print(results.status, results.totals.cached)
    print(capitals(2).run(client=client).totals.cached)
    print(pl.usage(by=None)["requests"].tolist(), len(pl.budgets()))
    for use_cache in (True, False):  # calls are entered with either
        try:
            capitals(3).run(client=client, use_cache=use_cache)
        except CacheError as error:
            print(error)
    print(client.calls)
"""


@pytest.mark.parametrize("ended", ["well", "killed"])
def test_on_a_disk_that_can_only_be_read_what_is_there_is_read(ended: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        home = f"{folder}/home"
        alone(WRITE, ended, PROMPTLAB_HOME=home)
        for path in (Path(folder), *Path(folder).rglob("*")):
            path.chmod(0o555 if path.is_dir() else 0o444)
        run, again, usage, refused, ledger_refused, calls = alone(
            READ, ended, PROMPTLAB_HOME=home
        )

    assert (run, again) == ("complete 4", "4")
    assert usage == "[4] 0"
    assert "can only be read" in refused
    assert "promptlab.sqlite can only be read" in ledger_refused
    assert calls == "0"


NO_LOCKS = """
    import errno, fcntl, warnings
    import promptlab as pl
    from fakes.experiments import capitals
    from promptlab.testing import FakeClient

    def flock(*arguments):  # as a file system without locks
        raise OSError(errno.ENOSYS, "Function not implemented")

    fcntl.flock = flock
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        results = capitals(2).run(client=FakeClient())
    print(results.status, results.totals.calls, pl.usage(by=None)["requests"].tolist())
    print(*(warning.message for warning in said))
"""


def test_without_file_locks_a_run_goes_on_with_a_warning() -> None:
    ended, said = alone(NO_LOCKS)

    assert ended == "complete 4 [4]"
    assert "without file locks" in said
    assert said.count("file locks") == 1


def test_an_answer_once_kept_stays_unless_it_is_replaced(
    cache: pl.ResponseCache,
) -> None:
    cache.add([entry(asked(), "first")])

    there = cache.add([entry(asked(), "second"), entry(asked("Another?"), "new")])

    assert there[asked().key].output == "first"
    assert list(there) == [asked().key]
    assert cache.get(asked().key).response.output == "first"
    cache.put([entry(asked(), "third")])
    assert cache.get(asked().key).response.output == "third"


def conversation() -> pl.Experiment:
    """One trial of two turns."""
    ask = [{"role": "user", "content": text} for text in ("Name a city.", "Why?")]
    return pl.Experiment(
        "talk",
        grid={"model": ["m"], "prompt": {"talk": pl.Prompt(ask)}},
        dataset=[{"id": "1", "n": 1}],
    )


@pytest.mark.filterwarnings("ignore:talk. no prompt uses")
def test_of_two_who_paid_for_one_answer_both_go_on_from_the_first(
    cache: pl.ResponseCache,
) -> None:
    experiment = conversation()
    experiment.run(client=FakeClient(lambda request: "theirs"), cache=cache)
    theirs = {stored.key: stored for stored in cache.entries()}
    cache.clear()

    def mine(request: pl.Request) -> str:
        cache.add([theirs[request.key]])  # they were a little faster
        return "mine"

    results = experiment.run(client=FakeClient(mine), cache=cache)

    assert results.table["output"].tolist() == ["theirs"]
    assert len(cache) == 2
    assert experiment.plan(base_url=FakeClient.base_url, cache=cache).calls == 0


def test_what_another_process_asked_while_a_call_waited_is_not_asked_again(
    cache: pl.ResponseCache,
) -> None:
    experiment = capitals(2, temperature=[0], max_tokens=[50])
    experiment.run(client=FakeClient(lambda request: "theirs"), cache=cache)
    theirs = list(cache.entries())
    cache.clear()
    client = FakeClient(held=lambda request: True)
    prices = {"fake": {"input": 1, "output": 1}}  # made up

    handle = experiment.start(
        client=client,
        cache=cache,
        prices=prices,
        budget_usd=0.000_2,  # for one call at a time
        progress=False,
    )
    client.wait_for_calls(1)
    first = client.requests[0].key
    cache.add([stored for stored in theirs if stored.key != first])
    began = time.monotonic()
    wait_until(lambda: time.monotonic() > began + 2 * STALE_S)
    client.release_all()
    results = handle.result()

    assert client.calls == 1
    assert sorted(results.table["cached"]) == [False, True]
    assert "theirs" in results.table["output"].tolist()
    assert results.totals.calls == 1
