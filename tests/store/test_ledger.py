"""The ledger: every call is entered, once, durably, and without what was said."""

from __future__ import annotations

import os
import signal
import sqlite3
import stat
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from fakes.experiments import capitals
from fakes.refusals import BUSY

import promptlab as pl
from promptlab.errors import CacheError
from promptlab.money.budget import BudgetLimits, Spend
from promptlab.offline import Faults, OfflineServer
from promptlab.store.database import Database
from promptlab.store.ledger import CacheHits, CallRow, Ledger, LedgerEntry
from promptlab.store.usage import export_lines
from promptlab.testing import PATIENCE_S, FakeClient, failure, response, wait_until

PRICES = {"fake": {"input": 1, "cached_input": 0.1, "cache_write": 2, "output": 10}}
NOW = 1_795_000_000.0
"""In November 2026."""


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = Ledger(Database(tmp_path / "promptlab.sqlite"))
    yield ledger
    ledger.close()


def line(at: float = NOW, **more: object) -> CallRow:
    parts = {"run": "r", "experiment": "e", "base_url": "https://x.test", "model": "m"}
    return CallRow(at, **{**parts, **more})  # type: ignore[arg-type]


def entered(usd: float, at: float = NOW, reservation: int | None = None) -> LedgerEntry:
    return LedgerEntry(line(at), Spend(usd, 10), reservation)


def test_a_line_has_what_a_call_took() -> None:
    usage = pl.Usage(
        input_tokens=2_006,
        cached_input_tokens=1_920,
        cache_write_tokens=20,
        output_tokens=5,
        reasoning_tokens=2,
    )
    told = replace(response("x"), usage=usage, service_tier="flex", request_id="req_1")

    results = capitals(1, temperature=[0]).run(
        client=FakeClient(lambda request: told), prices=PRICES
    )

    (row,) = export_lines().to_dict("records")
    assert row["run"] == results.run
    assert (row["experiment"], row["model"]) == ("capitals", "fake")
    assert (row["snapshot"], row["service_tier"]) == ("fake-2026-11-01", "flex")
    assert row["base_url"] == "http://localhost/v1"
    assert [row[f"{kind}_tokens"] for kind in ("input", "output", "reasoning")] == [
        *(2_006, 5, 2),
    ]
    assert (row["cached_input_tokens"], row["cache_write_tokens"]) == (1_920, 20)
    cost_usd = (66 * 1 + 1_920 * 0.1 + 20 * 2 + 5 * 10) / 1e6
    assert row["cost_usd"] == pytest.approx(cost_usd)
    assert row["cost_usd"] == pytest.approx(results.totals.billed_usd)
    saved_usd = (1_920 * 0.9 - 20 * 1) / 1e6
    assert row["prompt_cache_saved_usd"] == pytest.approx(saved_usd)
    assert (row["price"], row["attempt"], row["status"]) == ("own prices", 1, 200)
    assert (row["latency_s"], row["request_id"]) == (0.25, "req_1")
    assert row["error"] != row["error"]


def test_a_retried_call_is_answered_once_and_its_failures_are_entered_too() -> None:
    client = FakeClient([BUSY, failure(500, "server_error"), "Here."])

    capitals(1, temperature=[0]).run(client=client, prices=PRICES)

    lines = export_lines()
    assert lines["error"].fillna("").tolist() == [
        "429 rate_limit_exceeded",
        "500 server_error",
        "",
    ]
    assert lines["attempt"].tolist() == [1, 2, 3]
    assert lines["cost_usd"].notna().tolist() == [False, False, True]


def test_an_unknown_price_is_no_cost_rather_than_zero() -> None:
    capitals(1).run(client=FakeClient())

    assert export_lines()["cost_usd"].isna().all()


def test_calls_are_entered_without_a_cache_and_without_a_record() -> None:
    results = capitals(3).run(client=FakeClient(), use_cache=False, record=False)

    assert len(export_lines()) == results.totals.calls == 6


def test_what_was_said_is_not_in_it(clean_home: Path) -> None:
    client = FakeClient(
        lambda request: (
            failure(400, message="You said: Where is city 0?")
            if "city 0" in str(request.body)
            else "an answer of its own"
        )
    )

    capitals(4).run(client=client, record=False)

    for file in clean_home.glob("promptlab*"):
        content = file.read_bytes()
        for text in (b"Where is", b"city 0", b"an answer of its own"):
            assert text not in content


def test_it_is_the_users_alone(clean_home: Path) -> None:
    capitals(1).run(client=FakeClient())

    file = clean_home / "promptlab.sqlite"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_what_the_cache_gave_is_entered_by_model() -> None:
    experiment = capitals(3, model=["fake", "other"], temperature=[0])
    experiment.run(client=FakeClient(), prices=PRICES)
    experiment.run(client=FakeClient(), prices=PRICES)

    table = pl.usage(by="model").set_index("model")

    assert table["requests"].tolist() == [3, 3]
    assert table["cached"].tolist() == [3, 3]
    assert table.loc["fake", "saved_usd"] == pytest.approx(3 * (10 + 50) / 1e6)
    assert table["saved_usd"].isna().tolist() == [False, True]


CHILD = """
    import sys
    from fakes.experiments import capitals

    experiment = capitals(200, model=["offline/small"], prompt=[sys.argv[2]])
    print("ready", flush=True)
    sys.stdin.readline()
    experiment.run(base_url=sys.argv[1], max_concurrency=16, progress=False)
"""


def child(base_url: str, prompt: str) -> subprocess.Popen[str]:
    tests = Path(__file__).parents[1]
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(CHILD), base_url, prompt],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": f"{tests}{os.pathsep}{tests.parent}"},
    )
    assert process.stdout is not None
    assert process.stdin is not None
    assert process.stdout.readline() == "ready\n"
    process.stdin.write("go\n")
    process.stdin.flush()
    return process


def test_after_a_kill_every_answer_in_the_cache_is_in_the_ledger(
    cache: pl.ResponseCache,
) -> None:
    with OfflineServer(Faults(latency_s=0.02)).in_thread() as server:
        process = child(server.base_url, "Where is {{city}}?")
        wait_until(lambda: server.answered >= 60)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate(timeout=PATIENCE_S)

        lines = export_lines()

    answered, killed = lines[lines["error"].isna()], lines[lines["error"].notna()]
    assert 0 < len(cache) <= len(answered) <= server.answered
    assert set(killed["error"]) == {"killed"}
    assert server.calls <= len(answered) + len(killed) <= server.calls + 16
    assert pl.usage(by=None)["unsettled"].tolist() == [len(killed)]


def test_two_processes_lose_no_line() -> None:
    with OfflineServer().in_thread() as server:
        processes = [child(server.base_url, f"{n}: {{{{city}}}}?") for n in (1, 2)]
        for process in processes:
            process.communicate(timeout=PATIENCE_S)

        assert len(export_lines()) == server.answered == 800


def fill(file: Path) -> None:
    """Makes a ledger refuse lines, as a full disk would."""
    with closing(sqlite3.connect(file)) as other:
        other.execute(
            "CREATE TRIGGER full BEFORE INSERT ON calls"
            " BEGIN SELECT RAISE(ABORT, 'disk is full'); END"
        )


def empty(file: Path) -> None:
    with closing(sqlite3.connect(file)) as other:
        other.execute("DROP TRIGGER full")


@pytest.mark.filterwarnings("default")
def test_lines_that_cannot_be_entered_now_are_entered_later(clean_home: Path) -> None:
    capitals(1).run(client=FakeClient())
    file = clean_home / "promptlab.sqlite"
    fill(file)

    with pytest.warns(pl.PromptlabWarning, match="disk is full"):
        results = capitals(8).run(client=FakeClient())
    before = in_flight(file)
    empty(file)

    assert (results.status, results.totals.answered) == ("complete", 16)
    assert before == 14
    assert export_lines()["error"].isna().tolist() == [True] * 16
    assert in_flight(file) == 0


def test_under_a_project_budget_a_full_disk_stops_the_run_and_loses_no_answer(
    clean_home: Path,
) -> None:
    pl.set_budget("day", tokens=1_000_000)
    fill(clean_home / "promptlab.sqlite")
    client = FakeClient()
    experiment = capitals(8, max_tokens=[10])

    with pytest.warns(pl.PromptlabWarning, match="disk is full"):
        results = experiment.run(client=client)
    empty(clean_home / "promptlab.sqlite")
    again = experiment.run(client=client, offline=True)

    assert results.status == "stopped"
    assert "disk is full" in results.reason
    assert again.totals.answered == results.totals.answered == client.calls


def test_what_may_be_charged_without_an_answer_is_on_disk_at_once() -> None:
    late = pl.Failure(kind="timeout", message="no answer within 600 s")
    client = FakeClient(lambda request: late, held=lambda request: client.calls > 1)

    handle = capitals(1).start(client=client, max_attempts=1, progress=False)
    wait_until(lambda: len(export_lines()) == 1)
    client.release_all()
    handle.result()

    assert pl.usage(by="error")["requests"].tolist() == [2]


def in_flight(file: Path) -> int:
    with closing(sqlite3.connect(file)) as other:
        ((count,),) = other.execute("SELECT COUNT(*) FROM in_flight")
    return int(count)


def test_a_run_leaves_nothing_in_flight_and_no_sign_of_life(clean_home: Path) -> None:
    capitals(2).run(client=FakeClient())

    assert in_flight(clean_home / "promptlab.sqlite") == 0
    assert not list((clean_home / "alive").iterdir())


@pytest.mark.parametrize("content", [b"not a database" * 100, b"SQLite format 3\x00"])
def test_a_damaged_ledger_is_named_before_anything_is_paid(
    clean_home: Path, content: bytes
) -> None:
    clean_home.mkdir()
    (clean_home / "promptlab.sqlite").write_bytes(content)
    client = FakeClient()

    with pytest.raises(CacheError, match=r"sqlite cannot be opened.*move it"):
        capitals(1).run(client=client)

    assert client.calls == 0


def test_where_no_ledger_can_be_made_the_run_goes_on_with_a_warning(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("PROMPTLAB_HOME", str(tmp_path / "file" / "home"))

    with pytest.warns(pl.PromptlabWarning, match="are not entered"):
        results = capitals(1).run(client=FakeClient(), use_cache=False, record=False)

    assert results.totals.answered == 2


def test_reservations_count_until_they_are_settled(ledger: Ledger) -> None:
    ledger.set_budget("day", BudgetLimits(usd=10))

    first = ledger.reserve(Spend(6, 0), NOW)
    refused = ledger.reserve(Spend(6, 0), NOW)
    assert isinstance(first, int)
    ledger.enter([entered(1.0, reservation=first)])
    second = ledger.reserve(Spend(6, 0), NOW)

    assert not isinstance(refused, int)
    assert (refused.spent.usd, refused.reserved.usd) == (0, 6)
    assert isinstance(second, int)


def test_what_is_reserved_is_not_left(ledger: Ledger) -> None:
    ledger.set_budget("day", BudgetLimits(usd=10, tokens=100))
    ledger.enter([entered(1.0)])  # and 10 tokens
    ledger.reserve(Spend(6, 40), NOW)

    (status,) = ledger.budget_statuses(NOW)

    assert status.left == Spend(3, 50)


def test_a_reservation_is_given_back(ledger: Ledger) -> None:
    ledger.set_budget("day", BudgetLimits(tokens=10))
    number = ledger.reserve(Spend(0, 10), NOW)
    assert isinstance(number, int)

    ledger.release(number)

    assert isinstance(ledger.reserve(Spend(0, 10), NOW), int)


DAY_S = 86_400


@pytest.mark.parametrize(
    ("period", "before_s", "counts"),
    [
        ("day", 0, True),
        ("day", DAY_S, False),
        ("month", 17 * DAY_S, True),  # the first of November
        ("month", 18 * DAY_S, False),
    ],
)
def test_a_budget_counts_its_own_period(
    ledger: Ledger, period: str, before_s: float, counts: bool
) -> None:
    ledger.enter([entered(3.0, at=NOW - before_s)])
    ledger.set_budget(period, BudgetLimits(usd=10))

    (status,) = ledger.budget_statuses(NOW)

    assert status.spent.usd == (3.0 if counts else 0.0)


def test_lines_are_written_all_or_none(ledger: Ledger) -> None:
    with pytest.raises(CacheError):
        ledger.enter([entered(1), LedgerEntry(line(model=None), Spend(1, 1))])

    assert ledger.rows("SELECT COUNT(*) FROM calls") == [(0,)]
    assert ledger.rows("SELECT COUNT(*) FROM spent") == [(0,)]


def test_pruning_takes_old_lines_away(ledger: Ledger) -> None:
    ledger.enter([entered(1, at=NOW - 40 * DAY_S), entered(1, at=NOW)])
    ledger.enter_hits([CacheHits(NOW - 40 * DAY_S, None, "e", "u", "m", 1, 1.0)])

    gone = ledger.prune(NOW - 30 * DAY_S, NOW)

    assert gone == 1
    assert ledger.rows("SELECT at FROM calls") == [(NOW,)]
    assert ledger.rows("SELECT COUNT(*) FROM hits") == [(0,)]


def test_pruning_all_lines_leaves_what_this_month_s_budgets_count(
    ledger: Ledger,
) -> None:
    for usd, days in ((3.0, 0), (1.0, 17), (2.0, 18)):  # two of November, one not
        ledger.enter([entered(usd, at=NOW - days * DAY_S)])
    for period in ("day", "month"):
        ledger.set_budget(period, BudgetLimits(usd=10))

    gone = ledger.prune(NOW + 1, NOW)

    assert gone == 3
    assert [status.spent.usd for status in ledger.budget_statuses(NOW)] == [3.0, 4.0]
    assert ledger.rows("SELECT SUM(usd) FROM spent") == [(4.0,)]


MIDNIGHT = (NOW // DAY_S + 1) * DAY_S


def test_a_call_in_flight_at_midnight_is_not_spent_twice(ledger: Ledger) -> None:
    ledger.set_budget("day", BudgetLimits(usd=1))
    number = ledger.reserve(Spend(1, 0), MIDNIGHT - 1)
    assert isinstance(number, int)

    refused = ledger.reserve(Spend(1, 0), MIDNIGHT + 1)
    ledger.enter([entered(1.0, at=MIDNIGHT + 2, reservation=number)])
    after = ledger.reserve(Spend(1, 0), MIDNIGHT + 3)

    assert not isinstance(refused, int)
    assert not isinstance(after, int)
    assert after.spent.usd == 1.0


@pytest.mark.parametrize("jump_s", [-3600.0, -DAY_S, -DAY_S * 17, 3600.0])
def test_a_clock_that_jumps_frees_nothing_of_a_budget(
    ledger: Ledger, jump_s: float
) -> None:
    ledger.set_budget("month", BudgetLimits(usd=10))
    ledger.enter([entered(6.0)])
    number = ledger.reserve(Spend(3, 0), NOW)
    assert isinstance(number, int)

    refused = ledger.reserve(Spend(2, 0), NOW + jump_s)
    ledger.enter([entered(3.0, at=NOW + jump_s, reservation=number)])
    refused_again = ledger.reserve(Spend(2, 0), NOW + jump_s)

    assert not isinstance(refused, int)
    assert not isinstance(refused_again, int)
    assert isinstance(ledger.reserve(Spend(1, 0), NOW + jump_s), int)


KILLED = """
    import os, signal, sys
    from pathlib import Path
    from promptlab.money.budget import Spend
    from promptlab.store.database import Database
    from promptlab.store.ledger import CallRow, Ledger, LedgerEntry, SentCall

    ledger = Ledger(Database(Path(sys.argv[1])))
    ledger.begin()
    calls = [(float(sys.argv[2]), "r", "e", "u", "m", n) for n in (1, 2, 3)]
    held = ledger.reserve(Spend(4, 0), calls[0][0])
    first, second, third = ledger.send(
        [SentCall(calls[0], Spend(1, 0)), SentCall(calls[1], Spend(4, 0), held)]
        + [SentCall(calls[2], Spend(8, 0))]
    )
    ledger.reserve(Spend(16, 0), calls[0][0])
    ledger.enter([LedgerEntry(CallRow(*calls[0]), Spend(0.5, 0), first)])
    print("ready", flush=True)
    sys.stdin.readline()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_process_had_sent_counts_at_its_worst_case_and_no_more(
    ledger: Ledger,
) -> None:
    path = ledger.database.path
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(KILLED), str(path), str(NOW)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    ledger.set_budget("day", BudgetLimits(usd=100))

    Ledger(Database(path)).close()
    (before,) = ledger.budget_statuses(NOW)
    process.communicate("go\n", timeout=PATIENCE_S)
    for _ in range(2):
        Ledger(Database(path)).close()
    (after,) = ledger.budget_statuses(NOW)

    assert (before.spent.usd, before.reserved.usd) == (0.5, 4 + 8 + 16)
    assert (after.spent.usd, after.reserved.usd) == (0.5 + 4 + 8, 0)
    assert ledger.rows("SELECT attempt, error FROM calls ORDER BY attempt") == [
        *((1, None), (2, "killed"), (3, "killed")),
    ]
    assert ledger.rows("SELECT COUNT(*) FROM in_flight") == [(0,)]


def test_what_is_reserved_is_not_left_of_a_budget() -> None:
    with closing(Ledger()) as ledger:
        ledger.set_budget("day", BudgetLimits(usd=10, tokens=100))
        ledger.reserve(Spend(6, 40), time.time())

    (row,) = pl.budgets().to_dict("records")

    assert (row["left_usd"], row["left_tokens"]) == (4, 60)
