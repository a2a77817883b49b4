"""Usage: the ledger summed as asked, unknown where anything of it is unknown."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from fakes.experiments import capitals
from fakes.refusals import BUSY

import promptlab as pl
from promptlab.money.budget import Spend
from promptlab.store.ledger import CallRow, Ledger, LedgerEntry
from promptlab.store.usage import moment_s, prune
from promptlab.testing import FakeClient, Outcome, failure, response


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def line(
    when: str, model: str = "m", cost_usd: float | None = 1.0, **more: object
) -> CallRow:
    return CallRow(
        at(when),
        "run",
        "e",
        "https://x.test",
        model,
        input_tokens=100,
        output_tokens=10,
        cost_usd=cost_usd,
        **more,  # type: ignore[arg-type]
    )


@pytest.fixture
def ledger(clean_home: Path) -> Iterator[Ledger]:
    """Four days in November 2026; the 23rd is a Monday."""
    ledger = Ledger()
    lines = [
        line("2026-11-21 10:00"),
        line("2026-11-22 23:59", "n"),
        line("2026-11-23 00:00", "n", None),
        line("2026-11-23 12:30"),
        line("2026-11-24 08:00", cost_usd=None, error="429 slow_down", status=429),
        line("2026-11-24 08:01", cost_usd=None, error="timeout"),
        line("2026-11-24 08:02", latency_s=2.0),
    ]
    ledger.enter([LedgerEntry(line, Spend()) for line in lines])
    yield ledger
    ledger.close()


@pytest.fixture
def clean_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / ".promptlab"


def test_each_day_and_model_has_a_row(ledger: Ledger) -> None:
    table = pl.usage()

    assert table["day"].dt.day.tolist() == [21, 22, 23, 23, 24]
    assert table["model"].tolist() == ["m", "n", "m", "n", "m"]
    assert table["requests"].tolist() == [1, 1, 1, 1, 3]
    assert table["errors"].tolist() == [0, 0, 0, 0, 2]
    assert table["rate_limited"].tolist() == [0, 0, 0, 0, 1]
    assert table["input_tokens"].tolist() == [100, 100, 100, 100, 300]


def test_the_cost_is_unknown_where_the_price_of_any_call_is(ledger: Ledger) -> None:
    table = pl.usage(by="model").set_index("model")

    assert table.loc["m", "cost_usd"] == 3.0  # failed attempts cost nothing
    assert math.isnan(table.loc["n", "cost_usd"])
    assert table["unpriced"].tolist() == [0, 1]


@pytest.mark.parametrize(
    ("outcome", "unsettled"),
    [
        (pl.Failure(kind="timeout", message="no answer within 600 s"), 1),
        (pl.Failure(kind="connection", message="cut"), 1),
        (pl.Failure(kind="invalid_reply", status=200, message="no JSON"), 1),
        (ValueError("broken"), 1),
        (pl.Failure(kind="unreachable", message="no connection"), 0),
        (failure(400), 0),
        (failure(500), 0),
        (failure(504), 1),
        (failure(524), 1),
        (failure(408), 1),
        (pl.Failure(kind="broken_off", status=502, message="gone"), 1),
        (pl.Failure(kind="broken_off", message="gone"), 1),
    ],
)
def test_failed_calls_that_may_have_been_charged_are_counted(
    outcome: Outcome, unsettled: int
) -> None:
    client = FakeClient([response("fine"), outcome])
    prices = {"fake": {"input": 1, "output": 10}}

    results = capitals(1).run(
        client=client, prices=prices, max_attempts=1, max_concurrency=1
    )

    (row,) = pl.usage().to_dict("records")
    assert (row["requests"], row["errors"], row["unsettled"]) == (2, 1, unsettled)
    assert row["cost_usd"] == pytest.approx(results.totals.billed_usd)
    assert row["cost_usd"] > 0


def test_weeks_begin_on_monday(ledger: Ledger) -> None:
    table = pl.usage(by="week")

    assert table["week"].dt.strftime("%m-%d").tolist() == ["11-16", "11-23"]
    assert table["requests"].tolist() == [2, 5]


@pytest.mark.parametrize(
    ("by", "rows"),
    [
        ("hour", 5),
        ("day", 4),
        ("month", 1),
        (["run", "experiment"], 1),
        ([], 1),
        (None, 1),
    ],
)
def test_it_is_grouped_as_asked(
    ledger: Ledger, by: str | list[str] | None, rows: int
) -> None:
    table = pl.usage(by=by)

    assert len(table) == rows
    assert table["requests"].sum() == 7


@pytest.mark.parametrize(
    ("since", "until", "requests"),
    [
        ("2026-11-23", None, 5),
        (date(2026, 11, 23), date(2026, 11, 24), 2),
        (datetime(2026, 11, 24, 8, 1, tzinfo=UTC), None, 2),
        ("2026-11-24T10:01+02:00", None, 2),
        (pd.Timestamp("2026-11-24 08:01"), None, 2),
        (None, "2026-11-22", 1),
    ],
)
def test_a_span_of_time_is_counted(
    ledger: Ledger,
    since: str | date | None,
    until: str | date | None,
    requests: int,
) -> None:
    assert pl.usage(since, by="model", until=until)["requests"].sum() == requests


@pytest.mark.parametrize(
    ("span", "seconds"),
    [
        ("90m", 5400),
        ("12h", 43_200),
        ("7d", 604_800),
        ("2w", 1_209_600),
        (timedelta(hours=12), 43_200),
        (pd.Timedelta("7D"), 604_800),
    ],
)
def test_a_span_of_time_is_before_now(span: str | timedelta, seconds: float) -> None:
    assert moment_s("since", span, 1e9) == 1e9 - seconds


def test_what_is_no_time_is_refused() -> None:
    with pytest.raises(
        pl.SpecError, match="since: expected a time span before now such as '30m'"
    ):
        pl.usage("last week")
    with pytest.raises(pl.SpecError, match="or a date such as '2026-11-01', got 7"):
        pl.usage(7)  # type: ignore[arg-type]
    with pytest.raises(pl.SpecError, match="got NaT"):
        pl.usage(pd.NaT)  # type: ignore[arg-type]


def test_an_unknown_group_is_refused_with_what_was_meant() -> None:
    with pytest.raises(pl.SpecError, match="did you mean 'model'"):
        pl.usage(by="modle")
    with pytest.raises(pl.SpecError, match="did you mean 'base_url'"):
        pl.usage(by="server")


@pytest.mark.parametrize("by", [5, [5], [["day"]]], ids=str)
def test_what_names_no_group_is_refused(by: Any) -> None:
    with pytest.raises(pl.SpecError, match="by: expected names such as 'day' or"):
        pl.usage(by=by)


def test_a_project_without_calls_has_an_empty_table_and_no_file(
    clean_home: Path,
) -> None:
    table, room, budgets = pl.usage(), pl.headroom(), pl.budgets()

    assert (len(table), len(room), len(budgets)) == (0, 0, 0)
    assert list(table)[:3] == ["day", "model", "requests"]
    assert not clean_home.exists()
    assert prune(0.0) == 0


def test_a_run_is_in_it() -> None:
    client = FakeClient([BUSY])
    prices = {"fake": {"input": 1, "output": 10}}

    results = capitals(3).run(client=client, prices=prices)

    (row,) = pl.usage(since="1h").to_dict("records")
    assert (row["requests"], row["errors"], row["rate_limited"]) == (7, 1, 1)
    assert row["cost_usd"] == pytest.approx(results.totals.billed_usd)
    assert row["day"] == pd.Timestamp.now("UTC").tz_localize(None).floor("D")


def test_totals_and_usage_name_the_same_alike() -> None:
    prices = {"fake": {"input": 1, "output": 10, "cached_input": 0.5}}
    read = pl.Usage(input_tokens=100, cached_input_tokens=80, output_tokens=1)
    client = FakeClient(lambda request: replace(response("x"), usage=read))
    first = capitals(1).run(client=client, prices=prices).totals

    both = capitals(3).run(client=client, prices=prices).totals

    (row,) = pl.usage().to_dict("records")
    assert first.saved_usd == 0
    assert row["saved_usd"] == pytest.approx(both.saved_usd)
    assert both.saved_usd == pytest.approx(2 * (20 + 80 * 0.5 + 10) / 1e6)
    assert row["prompt_cache_saved_usd"] == pytest.approx(
        first.prompt_cache_saved_usd + both.prompt_cache_saved_usd
    )
    assert both.prompt_cache_saved_usd == pytest.approx(4 * 80 * 0.5 / 1e6)


@pytest.mark.parametrize("what", ["requests", "tokens"])
def test_of_a_server_that_tells_one_limit_that_is_known(what: str) -> None:
    headers = {
        f"x-ratelimit-limit-{what}": "100",
        f"x-ratelimit-remaining-{what}": "40",
    }
    told = replace(response("Here."), headers=headers)

    capitals(1, temperature=[0]).run(client=FakeClient(lambda asked: told))

    assert pl.headroom()["left"].tolist() == [0.4]


def test_headroom_is_what_the_server_told_last() -> None:
    told = {
        "x-ratelimit-limit-requests": "500",
        "x-ratelimit-remaining-requests": "100",
        "x-ratelimit-limit-tokens": "40000",
        "x-ratelimit-remaining-tokens": "30000",
    }
    client = FakeClient(lambda request: replace(response("x"), headers=told))

    capitals(1, temperature=[0]).run(client=client)

    (row,) = pl.headroom().to_dict("records")
    assert (row["model"], row["base_url"]) == ("fake", "http://localhost/v1")
    assert (row["limit_requests"], row["remaining_tokens"]) == (500, 30_000)
    assert row["left"] == 0.2


def test_usage_is_plotted_as_it_is(ledger: Ledger) -> None:
    plot = pl.plot_usage(pl.usage(), measure="requests")

    assert plot.table.sum().tolist() == [5.0, 2.0]


def test_tokens_that_a_server_did_not_tell_are_unknown_and_not_zero() -> None:
    told = replace(response("x"), usage=pl.Usage(input_tokens=10, output_tokens=5))
    silent = replace(response("x"), usage=pl.Usage())
    client = FakeClient(lambda r: silent if r.model == "mute" else told)

    capitals(1, model=["fake", "mute"], temperature=[0]).run(
        client=client, prices={"*": {"input": 1, "output": 1}}
    )

    table = pl.usage(by="model").set_index("model")
    assert table["input_tokens"].isna().tolist() == [False, True]
    assert table["cached_input_tokens"].isna().all()  # nor did it say of its cache
    assert table["prompt_cache_saved_usd"].isna().all()
    assert table.loc["fake", "input_tokens"] == 10
    assert pl.plot_usage(pl.usage(), measure="tokens").table.to_numpy().sum() == 15
