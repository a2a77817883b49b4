"""Archives: what leaves a cache comes into another one unchanged, or not at all."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from fakes.experiments import capitals, outcomes
from pandas.testing import assert_frame_equal

import promptlab as pl
from promptlab.errors import CacheError
from promptlab.store.archive import export_archive, import_archive
from promptlab.testing import FakeClient, response


@pytest.fixture
def other(tmp_path: Path) -> pl.ResponseCache:
    """Somebody else's cache."""
    return pl.ResponseCache(tmp_path / "elsewhere")


@pytest.fixture
def paid(cache: pl.ResponseCache) -> pl.Results:
    """A run whose answers are in the cache."""
    return capitals().run(client=FakeClient(), cache=cache)


@pytest.fixture
def archive(paid: pl.Results, cache: pl.ResponseCache, tmp_path: Path) -> Path:
    path = tmp_path / "answers.jsonl"
    export_archive(cache, path)
    return path


def changed(path: Path, line: int, change: Callable[[dict[str, Any]], Any]) -> None:
    """Rewrites one line of an archive, the first being 1."""
    lines = path.read_bytes().splitlines()
    plain = orjson.loads(lines[line - 1])
    lines[line - 1] = orjson.dumps(change(plain))
    path.write_bytes(b"\n".join(lines) + b"\n")


# There and back.


@pytest.mark.parametrize("name", ["answers.jsonl", "new folder/answers.jsonl.gz"])
def test_an_archive_replays_offline_on_another_cache(
    paid: pl.Results,
    cache: pl.ResponseCache,
    other: pl.ResponseCache,
    tmp_path: Path,
    name: str,
) -> None:
    client = FakeClient()

    written = export_archive(cache, tmp_path / name)
    counts = import_archive(other, tmp_path / name)
    replayed = capitals().run(client=client, cache=other, offline=True)

    assert written == 8
    assert counts == (8, 0, ())
    assert client.calls == 0
    assert_frame_equal(outcomes(paid), outcomes(replayed))
    assert list(other.entries()) == list(cache.entries())


def test_a_name_that_ends_in_gz_is_compressed(
    paid: pl.Results, cache: pl.ResponseCache, tmp_path: Path
) -> None:
    export_archive(cache, tmp_path / "answers.jsonl.gz")

    with gzip.open(tmp_path / "answers.jsonl.gz") as file:
        assert len(file.readlines()) == 8


def test_what_is_there_already_stays(
    archive: Path, cache: pl.ResponseCache, other: pl.ResponseCache
) -> None:
    capitals(2).run(client=FakeClient(lambda asked: "mine"), cache=other)

    assert import_archive(other, archive) == (4, 4, ())
    assert import_archive(other, archive) == (0, 8, ())
    table = capitals().run(client=FakeClient(), cache=other).table
    assert (table["output"] == "mine").sum() == 4


def test_only_the_answers_that_an_experiment_paid_for(
    paid: pl.Results, cache: pl.ResponseCache, tmp_path: Path
) -> None:
    capitals(5, name="another").run(client=FakeClient(), cache=cache)

    count = export_archive(cache, tmp_path / "a.jsonl", experiment="another")

    assert count == 2


def test_an_archive_holds_no_key_and_no_header(archive: Path) -> None:
    lines = archive.read_bytes().splitlines()
    names = {name for line in lines for name in orjson.loads(line)}

    assert names == {
        "experiment",
        "request",
        "latency_s",
        "attempts",
        "received_s",
        "body",
    }


def test_an_archive_appears_whole_or_not_at_all(
    paid: pl.Results, cache: pl.ResponseCache, tmp_path: Path
) -> None:
    (tmp_path / "in the way").write_text("a file")

    with pytest.raises(CacheError, match="cannot be written"):
        export_archive(cache, tmp_path / "in the way" / "answers.jsonl")

    assert {file.name for file in tmp_path.iterdir()} == {".promptlab", "in the way"}


# Tampered with.


def test_the_table_shows_what_the_body_says(
    archive: Path, other: pl.ResponseCache
) -> None:
    body = response("changed by hand", "length").body.decode()
    changed(archive, 1, lambda plain: plain | {"body": body})

    import_archive(other, archive)
    record = capitals().run(client=FakeClient(), cache=other, offline=True)[0]

    assert (record.output, record.finish_reason) == ("changed by hand", "length")


def test_a_changed_request_is_another_request(
    archive: Path, other: pl.ResponseCache
) -> None:
    def hotter(plain: dict[str, Any]) -> dict[str, Any]:
        plain["request"]["body"]["temperature"] = 0.5
        return plain

    changed(archive, 1, hotter)

    import_archive(other, archive)
    results = capitals().run(client=FakeClient(), cache=other, offline=True)

    assert list(results.failures) == [0]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda plain: [], id="a list"),
        pytest.param(lambda plain: {}, id="nothing in it"),
        pytest.param(lambda plain: plain | {"body": "<html>"}, id="a web page"),
        pytest.param(lambda plain: plain | {"body": "{}"}, id="no choices"),
        pytest.param(lambda plain: plain | {"body": {"choices": []}}, id="an object"),
        pytest.param(lambda plain: plain | {"body": None}, id="no body"),
        pytest.param(lambda plain: plain | {"latency_s": None}, id="no latency"),
        pytest.param(lambda plain: plain | {"attempts": "many"}, id="words"),
        pytest.param(lambda plain: plain | {"request": "GET /"}, id="a request line"),
        pytest.param(
            lambda plain: plain | {"request": plain["request"] | {"schema": 99}},
            id="another schema",
        ),
        pytest.param(
            lambda plain: plain | {"request": plain["request"] | {"base_url": 5}},
            id="a number for a URL",
        ),
        pytest.param(
            lambda plain: plain | {"request": plain["request"] | {"body": None}},
            id="no request body",
        ),
        pytest.param(
            lambda plain: plain | {"request": plain["request"] | {"repeat": "x"}},
            id="a word for a repeat",
        ),
        pytest.param(lambda plain: plain | {"received_s": -5}, id="before 1970"),
        pytest.param(lambda plain: plain | {"received_s": "nan"}, id="no moment"),
        pytest.param(lambda plain: plain | {"received_s": 1e15}, id="far too late"),
        pytest.param(lambda plain: plain | {"latency_s": "inf"}, id="for ever"),
        pytest.param(lambda plain: plain | {"attempts": "9" * 30}, id="too many"),
        pytest.param(lambda plain: plain | {"reported_cost_usd": -1}, id="a gift"),
        pytest.param(
            lambda plain: plain | {"reported_cost_usd": "1"}, id="a price tag"
        ),
    ],
)
def test_a_line_that_is_no_answer_is_refused_by_its_number(
    archive: Path, other: pl.ResponseCache, change: Callable[[dict[str, Any]], Any]
) -> None:
    changed(archive, 3, change)

    added, known, refused = import_archive(other, archive)

    assert (added, known) == (7, 0)
    assert [line.number for line in refused] == [3]
    assert len(list(other.entries())) == 7


def test_another_schema_is_named(archive: Path, other: pl.ResponseCache) -> None:
    changed(
        archive, 1, lambda plain: plain | {"request": plain["request"] | {"schema": 99}}
    )

    (line,) = import_archive(other, archive).refused

    assert "schema 99, ours is 1" in line.reason


@pytest.mark.parametrize("garbage", [b"garbage", b"", b"\xff\xfe", b'{"half": '])
def test_a_line_that_is_not_json_is_refused_by_its_number(
    archive: Path, other: pl.ResponseCache, garbage: bytes
) -> None:
    lines = archive.read_bytes().splitlines(keepends=True)
    archive.write_bytes(b"".join([*lines[:4], garbage + b"\n", *lines[4:]]))

    added, _, refused = import_archive(other, archive)

    assert added == 8
    assert [line.number for line in refused] == [5]


def test_a_file_without_an_answer_is_an_error_that_names_its_first_line(
    other: pl.ResponseCache, tmp_path: Path
) -> None:
    (tmp_path / "a.jsonl").write_text('{"a": 1}\n{}\n')

    with pytest.raises(CacheError, match=r"a\.jsonl, line 1 is not a cached answer"):
        import_archive(other, tmp_path / "a.jsonl")


def test_what_a_server_said_that_an_answer_cost_comes_along(
    cache: pl.ResponseCache, other: pl.ResponseCache, tmp_path: Path
) -> None:
    client = FakeClient(lambda asked: replace(response("hi"), reported_cost_usd=0.25))
    paid = capitals().run(client=client, cache=cache)
    export_archive(cache, tmp_path / "answers.jsonl")

    import_archive(other, tmp_path / "answers.jsonl")

    replayed = capitals().run(client=FakeClient(), cache=other, offline=True)
    assert replayed.totals.cost_usd == paid.totals.cost_usd == 2.0


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda content: content[: len(content) // 2], id="cut short"),
        pytest.param(
            lambda content: content[:40] + bytes(20) + content[60:], id="overwritten"
        ),
        pytest.param(lambda content: b"not compressed", id="not compressed"),
        pytest.param(lambda content: content[:-8] + bytes(8), id="a wrong checksum"),
    ],
)
def test_a_damaged_gz_file_is_refused(
    paid: pl.Results,
    cache: pl.ResponseCache,
    other: pl.ResponseCache,
    tmp_path: Path,
    damage: Callable[[bytes], bytes],
) -> None:
    path = tmp_path / "answers.jsonl.gz"
    export_archive(cache, path)
    path.write_bytes(damage(path.read_bytes()))

    with pytest.raises(CacheError, match=r"answers\.jsonl\.gz"):
        import_archive(other, path)


def test_a_file_that_is_not_there_is_told(
    other: pl.ResponseCache, tmp_path: Path
) -> None:
    with pytest.raises(CacheError, match=r"nowhere\.jsonl cannot be read: No such"):
        import_archive(other, tmp_path / "nowhere.jsonl")


def test_an_archive_keeps_attempts_and_costs_even_of_nothing(
    cache: pl.ResponseCache, other: pl.ResponseCache, tmp_path: Path
) -> None:
    said = replace(response("Here."), attempts=3, reported_cost_usd=0.0)
    client = FakeClient(lambda asked: said)
    results = capitals(1, temperature=[0]).run(client=client, cache=cache)
    (key,) = results.table["key"]

    export_archive(cache, tmp_path / "answers.jsonl")
    import_archive(other, tmp_path / "answers.jsonl")

    head = other.head(key)
    assert head is not None
    assert head == cache.head(key)
    assert (head.attempts, head.reported_cost_usd) == (3, 0.0)
