"""Takeover: what earlier versions kept in `.promptlab` is there, once."""

from __future__ import annotations

import fcntl
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import orjson
import pytest

import promptlab as pl
from promptlab.errors import UnknownRun
from promptlab.money.budget import Spend
from promptlab.store.database import Database
from promptlab.store.ledger import CallRow, Ledger
from promptlab.testing import FakeClient

DAY_S = 86_400
NOW = 1_795_000_000.0

OLD_LEDGER = """
CREATE TABLE calls (
    at REAL NOT NULL, run TEXT, experiment TEXT NOT NULL,
    base_url TEXT NOT NULL, model TEXT NOT NULL, snapshot TEXT, service_tier TEXT,
    input_tokens INTEGER, cached_input_tokens INTEGER, cache_write_tokens INTEGER,
    output_tokens INTEGER, reasoning_tokens INTEGER,
    cost_usd REAL, prompt_cache_saved_usd REAL, price TEXT,
    latency_s REAL, attempt INTEGER NOT NULL,
    error TEXT, status INTEGER, request_id TEXT,
    took_usd REAL NOT NULL, took_tokens REAL NOT NULL
);
CREATE TABLE hits (
    at REAL NOT NULL, run TEXT, experiment TEXT NOT NULL, base_url TEXT NOT NULL,
    model TEXT NOT NULL, trials INTEGER NOT NULL, saved_usd REAL
);
CREATE TABLE spent (day INTEGER PRIMARY KEY, usd REAL NOT NULL, tokens REAL NOT NULL);
CREATE TABLE reserved (
    id INTEGER PRIMARY KEY, day INTEGER NOT NULL, usd REAL NOT NULL,
    tokens REAL NOT NULL
);
CREATE TABLE posted (daybook TEXT PRIMARY KEY, lines INTEGER NOT NULL);
CREATE TABLE budgets (period TEXT PRIMARY KEY, usd REAL, tokens REAL);
CREATE TABLE limits (
    base_url TEXT NOT NULL, model TEXT NOT NULL, at REAL NOT NULL,
    limit_requests REAL, remaining_requests REAL,
    limit_tokens REAL, remaining_tokens REAL, PRIMARY KEY (base_url, model)
);
INSERT INTO calls (at, experiment, base_url, model, attempt, took_usd, took_tokens)
    VALUES (1795000000.0, 'e', 'https://x.test', 'old', 1, 1.5, 10);
INSERT INTO hits VALUES (1795000000.0, 'r', 'e', 'https://x.test', 'old', 3, 0.5);
INSERT INTO spent VALUES (20775, 1.5, 10);
INSERT INTO reserved VALUES (7, 20775, 2, 20), (9, 20775, 4, 40);
INSERT INTO budgets VALUES ('day', 100, NULL);
INSERT INTO limits VALUES ('https://x.test', 'old', 1795000000.0, 60, 30, NULL, NULL);
PRAGMA user_version = 1;
"""
BOOK = "usage-0123.daybook"
LINE = CallRow(NOW, "r", "e", "https://x.test", "m")


@pytest.fixture
def home(clean_home: Path) -> Path:
    """A folder as an earlier version left it."""
    clean_home.mkdir()
    with closing(sqlite3.connect(clean_home / "usage.sqlite")) as old:
        old.execute("PRAGMA journal_mode = WAL")
        old.executescript(OLD_LEDGER)
    return clean_home


@pytest.fixture
def ledger(home: Path) -> Iterator[Ledger]:
    with closing(Ledger()) as ledger:
        yield ledger


def over(usd: float, *rest: int | None) -> list[object]:
    """A line of a daybook of a call that is over."""
    return [*LINE, *Spend(usd, 10), *rest]


def write(home: Path, *lines: object, cut: bytes = b"") -> Path:
    path = home / BOOK
    path.write_bytes(b"".join(orjson.dumps(one) + b"\n" for one in lines) + cut)
    return path


def taken() -> list[tuple[object, ...]]:
    """The calls of the daybook, as they are now."""
    with closing(Ledger()) as ledger:
        sql = "SELECT took_usd, error FROM calls WHERE model = 'm' ORDER BY took_usd"
        return ledger.rows(sql)


def test_the_ledger_of_an_earlier_version_is_taken_over(ledger: Ledger) -> None:
    (status,) = ledger.budget_statuses(NOW)
    assert (status.limits.usd, status.spent.usd, status.reserved.usd) == (100, 1.5, 6)
    (row,) = pl.usage(by="model").to_dict("records")
    assert (row["model"], row["requests"], row["cached"]) == ("old", 1, 3)
    assert pl.headroom()["left"].tolist() == [0.5]


def test_it_is_taken_over_once_and_left_as_it_was(home: Path) -> None:
    before = (home / "usage.sqlite").read_bytes()

    for _ in range(2):
        Ledger().close()

    assert len(pl.usage(by="run")) == 2
    assert pl.usage(by=None)["requests"].tolist() == [1]
    assert (home / "usage.sqlite").read_bytes() == before


def test_what_was_reserved_then_counts_until_the_day_after(ledger: Ledger) -> None:
    held = [ledger.budget_statuses(NOW + days * DAY_S)[0].reserved for days in (1, 2)]

    assert [amount.usd for amount in held] == [6, 0]


def test_the_daybook_of_a_killed_process_is_entered_but_for_a_cut_off_line(
    home: Path,
) -> None:
    write(home, over(1.5), over(2.0), cut=b'[1795000000.0,"r"')

    assert taken() == [(1.5, None), (2.0, None)]
    with closing(Ledger()) as ledger:
        assert ledger.budget_statuses(NOW)[0].spent.usd == 1.5 + 3.5


def test_what_the_ledger_had_of_a_daybook_is_not_entered_again(home: Path) -> None:
    write(home, over(1.0, 0, None), over(2.0, 1, None), over(4.0, 2, None))
    with closing(sqlite3.connect(home / "usage.sqlite")) as old, old:
        old.execute("INSERT INTO posted VALUES (?, 2)", (BOOK,))

    assert taken() == [(4.0, None)]


def test_a_call_without_an_outcome_stays_reserved_and_is_shown_as_unsettled(
    home: Path,
) -> None:
    sent = [{"sent": n, "call": [NOW, "r", "e", "u", "m", 1]} for n in (0, 1)]
    write(home, *sent, over(0.5, 0, 7))

    assert taken() == [(0, "killed"), (0.5, None)]
    with closing(Ledger()) as ledger:
        (status,) = ledger.budget_statuses(NOW)
    assert (status.spent.usd, status.reserved.usd) == (1.5 + 0.5, 4)
    assert pl.usage(by=None)["unsettled"].tolist() == [1]


def test_the_daybook_of_a_run_that_goes_on_is_left_to_it(home: Path) -> None:
    path = write(home, over(1.0))

    with path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert taken() == []


WRONG = [
    ["x", *over(1.0)[1:]],
    [-1.0, *over(1.0)[1:]],
    [1e300, *over(1.0)[1:]],
    [*over(1.0)[:-1], "many"],
    [*over(1.0)[:-1], -5],
    [*over(1.0)[:-1], 2**63],
    over(1.0, 0, "a reservation"),  # type: ignore[arg-type]
    over(1.0, 0, 0, 1),
    {"sent": 1, "call": ["x"]},
    {"sent": 1, "call": [NOW, "r", "e", "u", "m", "first"]},
    {"sent": "1", "call": []},
    [1, 2],
    7,
    None,
]


@pytest.mark.parametrize("wrong", WRONG, ids=lambda line: orjson.dumps(line).decode())
def test_a_line_of_wrong_types_is_named_and_costs_no_other(
    home: Path, wrong: object
) -> None:
    path = write(home, over(1.5, 0, None), wrong, over(1.5, 1, None))
    content = path.read_bytes()
    path.write_bytes(content.replace(b"\n", b"\n{not JSON\n", 1))

    with pytest.warns(pl.PromptlabWarning, match="2 damaged lines left out"):
        assert taken() == [(1.5, None), (1.5, None)]


def test_a_folder_that_can_only_be_read_is_read_all_the_same(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.chmod(0o500)
    try:
        with closing(Database.to_read()) as database:
            assert database.rows("SELECT model FROM calls") == [("old",)]
    finally:
        home.chmod(0o700)


# Recorded runs.

EXPERIMENT = pl.Experiment(
    "old", grid=pl.Grid(model=["fake"], prompt=["Hi {{x}}"]), dataset=[{"x": "a"}]
)


def write_run(home: Path, name: str, content: object) -> None:
    (home / "runs" / name).mkdir(parents=True)
    if not isinstance(content, bytes):
        content = orjson.dumps(content)
    (home / "runs" / name / "run.json").write_bytes(content)


def old_run(name: str, **more: object) -> dict[str, object]:
    """A record as version 1 wrote it."""
    return {
        "name": name,
        "experiment": "0123",
        "experiment_name": "old",
        "dataset_digest": "4567",
        "routes": {"fake": "https://fake.test/v1"},
        "cache": "",
        "started_s": NOW,
        "variants": 1,
        "prices": [],
        "versions": {"python": "3.11.7"},
        "status": "complete",
        "reason": "",
        "wire_names": [["https://fake.test/v1", "fake", "max_tokens"]],
        "totals": {"trials": 1, "answered": 0, "failed": 1, "calls": 1},
        "answered": "",
        "asked": "",
        "failures": [["0", {"kind": "timeout", "message": "no answer"}]],
        "format": 1,
        **more,
    }


def test_runs_of_an_earlier_version_are_there(clean_home: Path) -> None:
    write_run(clean_home, "20261118-120000-old-ab12", old_run("x"))
    (clean_home / "runs" / "experiments").mkdir()
    definition = orjson.dumps(EXPERIMENT.to_plain())
    (clean_home / "runs" / "experiments" / "0123.json").write_bytes(definition)

    (row,) = pl.recorded_runs().to_dict("records")
    record = pl.find_run("old")
    results = record.load_results()

    assert row["run"] == record.name == "20261118-120000-old-ab12"
    assert (row["status"], row["trials"], row["failed"]) == ("complete", 1, 1)
    assert record.versions == {"python": "3.11.7"}
    assert results.failures[0].message == "no answer"


def test_what_the_answers_of_such_a_run_were_is_known(
    clean_home: Path, cache: pl.ResponseCache
) -> None:
    run = EXPERIMENT.run(client=FakeClient(), cache=cache)
    with closing(Database()) as database:
        ((answers,),) = database.rows("SELECT answers FROM runs")
        ((definition,),) = database.rows("SELECT definition FROM experiments")
    for file in clean_home.glob("promptlab*"):
        file.unlink()
    told = {
        "routes": {"fake": FakeClient.base_url},
        "cache": str(cache.directory),
        "answered": "0",
        "asked": "0",
        "failures": [],
    }
    write_run(clean_home, "before", old_run("before", **told))
    (clean_home / "runs" / "before" / "answers.parquet").write_bytes(answers)
    (clean_home / "runs" / "experiments").mkdir()
    (clean_home / "runs" / "experiments" / "0123.json").write_bytes(definition)
    EXPERIMENT.run(client=FakeClient(lambda asked: "new"), cache=cache, refresh=True)

    loaded = pl.find_run("before").load_results()

    assert loaded.table["output"].tolist() == run.table["output"].tolist()


def test_a_run_that_was_killed_then_ended_early(clean_home: Path) -> None:
    write_run(clean_home, "a", old_run("a", status="running", answered=None))

    assert pl.find_run().state == "ended early"


def test_runs_that_cannot_be_read_are_listed_all_the_same(clean_home: Path) -> None:
    contents = {
        "a": b"{",
        "b": b"[]",
        "c": {"name": "c"},
        "d": old_run("d", totals={"calls": "many"}),
        "e": old_run("e", new=1),
    }
    for name, content in contents.items():
        write_run(clean_home, name, content)
    write_run(clean_home, "f", old_run("f", format=99, new={"of": "it"}))
    write_run(clean_home, "g", old_run("g"))

    listed = pl.recorded_runs().set_index("run")

    assert listed["status"].to_dict() == {
        **dict.fromkeys("abcdef", "unreadable"),
        "g": "complete",
    }
    assert listed["note"].loc[list("abcde")].str.contains("damaged").all()
    assert "newer promptlab (format 99" in listed["note"]["f"]
    assert pl.find_run().name == "g"
    with pytest.raises(UnknownRun, match="run 'c': its record is damaged"):
        pl.find_run("c").load_results()


# Marks and votes.

MARK = {
    "changed_s": NOW,
    "experiment": "letters",
    "by": ["prompt"],
    "case": "c1",
    "repeat": 0,
    "parameters": {"model": "m"},
}
VOTE = {
    "experiment": "triage",
    "pair": "p1",
    "by": "prompt",
    "parameters": {},
    "case": "1",
    "repeat": 0,
    "left": "plain",
    "right": "steps",
    "choice": "left",
    "rater": "Ana",
    "seed": 7,
    "when_s": NOW,
}


def write_lines(home: Path, name: str, *lines: object, cut: bytes = b"") -> None:
    (home / name).parent.mkdir(parents=True)
    content = b"".join(orjson.dumps(line) + b"\n" for line in lines)
    (home / name).write_bytes(content + cut)


def test_marks_of_an_earlier_version_are_there(clean_home: Path) -> None:
    changes = [{"note": "look"}, {"pinned": True}, {"note": ""}, {"kind": "star"}]
    write_lines(clean_home, "marks/letters.jsonl", *(MARK | one for one in changes))

    (row,) = pl.marks().to_dict("records")

    assert (row["experiment"], row["by"], row["case"]) == ("letters", "prompt", "c1")
    assert (row["pinned"], row["mark"], row["note"]) == (True, "star", "")


def test_votes_of_an_earlier_version_are_there_but_for_those_taken_back(
    clean_home: Path,
) -> None:
    undo = {"experiment": "triage", "pair": "p2", "rater": "Ana"}
    lines = [VOTE, VOTE | {"pair": "p2"}, VOTE | {"pair": "p3", "choice": "tie"}]
    write_lines(clean_home, "votes/triage.jsonl", *lines, {"undo": undo, "when_s": 1})

    assert pl.votes("triage")["choice"].tolist() == ["plain", "tie"]


@pytest.mark.parametrize(
    "torn",
    [b'{"experiment": "letters", "by": ["pr', b"\0\0\0", b"[1]", b"null", b"\xff\xfe"],
    ids=["cut off", "zeros", "list", "null", "bytes"],
)
def test_a_damaged_line_is_left_out_with_a_warning_and_spoils_no_other(
    clean_home: Path, torn: bytes
) -> None:
    write_lines(clean_home, "votes/triage.jsonl", VOTE, cut=torn + b"\n")

    with pytest.warns(pl.PromptlabWarning, match=r"triage\.jsonl: 1 damaged line"):
        assert len(pl.votes("triage")) == 1
