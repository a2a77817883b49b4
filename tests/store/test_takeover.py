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
from promptlab.money.budget import Spend
from promptlab.store.database import Database
from promptlab.store.ledger import CallRow, Ledger

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

    with pytest.warns(pl.PromptlabWarning, match=r"2 lines of .* were damaged"):
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
