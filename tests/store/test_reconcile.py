"""Reconciling: the ledger beside the organisation's numbers, and no key in sight."""

from __future__ import annotations

import io
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson
import pandas as pd
import pytest
from fakes.servers import Reply, ToldServer, error
from rich.console import Console
from rich.traceback import Traceback

import promptlab as pl
from promptlab.errors import CredentialsError
from promptlab.money.budget import Spend
from promptlab.store.ledger import CallRow, Ledger, LedgerEntry
from promptlab.store.reconcile import conclusion
from store.organization import ADMIN_KEY, Organization, moment

SINCE = "2025-11-20"
SNAPSHOT = "astra-2025-09-01"


@pytest.fixture
def organization() -> Organization:
    return Organization()


@pytest.fixture
def server(organization: Organization) -> Iterator[ToldServer]:
    server = ToldServer()
    server.reply = organization
    with server.in_thread():
        yield server


@pytest.fixture
def admin_key(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("OPENAI_ADMIN_KEY", ADMIN_KEY)
    return ADMIN_KEY


Reconcile = Callable[..., pd.DataFrame]


@pytest.fixture
def reconcile(server: ToldServer, admin_key: str) -> Reconcile:
    """Reconciles with the organisation, since 20 November 2025."""

    def run(since: str = SINCE, **options: Any) -> pd.DataFrame:
        return pl.reconcile(since, base_url=server.base_url, **options)

    return run


Call = Callable[..., None]


@pytest.fixture
def call(server: ToldServer) -> Call:
    """Enters a call to the server in the ledger."""

    def enter(when: str, model: str = "astra", **more: Any) -> None:
        tokens = {"input_tokens": 100, "cached_input_tokens": 20, "output_tokens": 10}
        parts: dict[str, Any] = {"base_url": server.base_url, "cost_usd": 0.5, **tokens}
        line = CallRow(
            moment(when), "run", "e", model=model, **(parts | {"snapshot": None} | more)
        )
        with closing(Ledger()) as ledger:
            ledger.enter([LedgerEntry(line, Spend())])

    return enter


def rows(table: pd.DataFrame, *columns: str) -> list[tuple[Any, ...]]:
    return list(table[list(columns)].itertuples(index=False, name=None))


# What is compared.


def test_days_and_models_that_say_the_same_agree(
    organization: Organization, reconcile: Reconcile, call: Call
) -> None:
    for when in ("2025-11-21 10:00", "2025-11-21 23:59", "2025-11-22 00:00"):
        call(when)
    organization.use("2025-11-21", "astra", 2)
    organization.use("2025-11-22", "astra", 1)
    organization.charge("2025-11-21", "astra, input_tokens", 0.9)
    organization.charge("2025-11-21", "astra, output_tokens", 0.1)
    organization.charge("2025-11-22", "astra, input_tokens", 0.5)

    table = reconcile()

    assert rows(table, "model", "agreement", "requests", "their_requests") == [
        ("astra", "agree", 2, 2),
        ("astra", "agree", 1, 1),
    ]
    assert table["day"].dt.strftime("%d").tolist() == ["21", "22"]
    assert table["their_input_tokens"].tolist() == [200, 100]
    assert table["their_cached_input_tokens"].tolist() == [40, 20]
    assert table["their_output_tokens"].tolist() == [20, 10]
    assert table["their_cost_usd"].tolist() == pytest.approx([1.0, 0.5])
    assert table["difference_input_tokens"].tolist() == [0, 0]
    assert conclusion(table) == "the ledger and the organisation agree: $1.50"


DAY, INPUT = "2025-11-21", "astra, input_tokens"
NO_CALL = {"requests": 0, "cost_usd": 0.0}

# Our calls of a day, their models and line items of it, and what a row then says.
COMPARED: dict[str, tuple[list[Any], list[Any], list[Any], dict[str, Any]]] = {
    "differences are theirs less ours": (
        *([{}], [("astra", 3)], [(INPUT, 1.7)]),
        {
            "agreement": "differs",
            "difference_requests": 2,
            "difference_input_tokens": 200,
            "difference_cached_input_tokens": 40,
            "difference_output_tokens": 20,
            "difference_cost_usd": 1.2,
        },
    ),
    "ours only": (
        *([{}], [], []),
        {"agreement": "ours only", "their_requests": 0, "difference_cost_usd": -0.5},
    ),
    "theirs only": (
        *([], [("astra", 1)], [(INPUT, 0.5)]),
        {"agreement": "theirs only", **NO_CALL, "difference_cost_usd": 0.5},
    ),
    **{
        f"costs agree up to half a cent: {usd}": (
            *([{}], [("astra", 1)], [(INPUT, usd)]),
            {"agreement": agreement},
        )
        for usd, agreement in (
            *((0.5049, "agree"), (0.4951, "agree")),
            *((0.506, "differs"), (0.494, "differs")),
        )
    },
    "fractions leave no difference": (
        *([{"cost_usd": 0.1}] * 3, [("astra", 3)], [(INPUT, 0.3)]),
        {"difference_cost_usd": 0.0},
    ),
    **{
        f"one token makes a difference: {name}": (
            *([{}], [("astra", 1, tokens)], [(INPUT, 0.5)]),
            {"agreement": "differs", f"difference_{name}": 1},
        )
        for name, tokens in {
            "input_tokens": (101, 20, 10),
            "cached_input_tokens": (100, 21, 10),
            "output_tokens": (100, 20, 11),
        }.items()
    },
    "costs that are not there yet are unknown": (  # and the rest is compared
        *([{}], [("astra", 1)], []),
        {"agreement": "agree", "their_cost_usd": None, "difference_cost_usd": None},
    ),
    "a charge without calls has a row of its own": (
        *([], [], [("web search tool calls", 0.3)]),
        {
            "model": "web search tool calls",
            "agreement": "theirs only",
            "their_cost_usd": 0.3,
            "their_requests": None,
        },
    ),
    "a call without a price makes our cost unknown": (
        *([{}, {"cost_usd": None}], [("astra", 2)], [(INPUT, 1.0)]),
        {"cost_usd": None, "difference_cost_usd": None},
    ),
    "failed attempts are no requests": (
        *([{}, {"error": "timeout"}], [("astra", 1)], []),
        {"requests": 1, "errors": 1, "their_requests": 1, "agreement": "agree"},
    ),
    "a failed attempt that nobody charged agrees": (
        *([{"error": "timeout"}], [], []),
        {"requests": 0, "errors": 1, "their_requests": 0, "agreement": "agree"},
    ),
    "one that was charged is theirs only": (
        *([{"error": "timeout"}], [("astra", 1)], []),
        {"requests": 0, "errors": 1, "their_requests": 1, "agreement": "theirs only"},
    ),
}


@pytest.mark.parametrize(
    ("calls", "used", "charged", "expected"), COMPARED.values(), ids=COMPARED
)
def test_a_row_compares_both_sides(
    organization: Organization,
    reconcile: Reconcile,
    call: Call,
    calls: list[dict[str, Any]],
    used: list[tuple[Any, ...]],
    charged: list[tuple[str, float]],
    expected: dict[str, Any],
) -> None:
    nothing = dict.fromkeys(
        ("input_tokens", "cached_input_tokens", "output_tokens", "cost_usd")
    )
    for more in calls:
        call(DAY, **(nothing if "error" in more else {}), **more)
    for model, requests, *tokens in used:
        organization.use(DAY, model, requests, tokens=[*tokens, (100, 20, 10)][0])
    for item, usd in charged:
        organization.charge(DAY, item, usd)

    (row,) = reconcile().to_dict("records")

    assert {n: None if pd.isna(row[n]) else row[n] for n in expected} == {
        n: pytest.approx(v) if isinstance(v, float) else v for n, v in expected.items()
    }


def test_models_that_one_side_knows_have_rows_of_their_own(
    organization: Organization, reconcile: Reconcile, call: Call
) -> None:
    call(DAY, "luna")
    organization.use(DAY, "astra")

    assert rows(reconcile(), "model", "agreement", "requests", "their_requests") == [
        ("astra", "theirs only", 0, 1),
        ("luna", "ours only", 1, 0),
    ]


def test_calls_to_other_servers_are_not_ours_here(
    reconcile: Reconcile, call: Call
) -> None:
    call("2025-11-21", base_url="http://127.0.0.1:1/v1")

    assert reconcile().empty


def test_what_the_cache_gave_is_no_request(
    server: ToldServer, reconcile: Reconcile
) -> None:
    from promptlab.store.ledger import CacheHits

    when = moment("2025-11-21")
    with closing(Ledger()) as ledger:
        ledger.enter_hits(
            [CacheHits(when, "run", "e", server.base_url, "astra", 5, 2.5)]
        )

    assert reconcile().empty


def test_what_may_have_been_charged_is_a_reason_for_a_higher_bill(
    organization: Organization, reconcile: Reconcile, call: Call
) -> None:
    call(DAY)
    for refused in ({"error": "timeout"}, {"error": "400", "status": 400}):
        call(DAY, cost_usd=None, **refused)
    organization.use("2025-11-21", "astra", 2)
    organization.charge("2025-11-21", "astra, input_tokens", 1.0)

    table = reconcile()

    assert rows(table, "errors", "unsettled") == [(2, 1)]
    assert "1 failed call may still have been charged" in conclusion(table)


def test_days_are_whole(
    organization: Organization, reconcile: Reconcile, call: Call
) -> None:
    for day in ("2025-11-20", "2025-11-21", "2025-11-22", "2025-11-23"):
        call(f"{day} 01:00")
        organization.use(f"{day} 01:00", "astra")

    table = reconcile("2025-11-21 12:00", until="2025-11-22 00:30")

    assert table["day"].dt.day.tolist() == [21, 22]
    assert table["agreement"].tolist() == ["agree", "agree"]


def test_until_midnight_is_without_the_day_that_begins(
    organization: Organization, reconcile: Reconcile, call: Call
) -> None:
    call("2025-11-22 00:00")
    organization.use("2025-11-22", "astra")

    assert reconcile(until="2025-11-22").empty


def test_an_empty_ledger_shows_what_the_organisation_did(
    organization: Organization, reconcile: Reconcile, tmp_path: Path
) -> None:
    organization.use("2025-11-21", "astra", 4)
    organization.charge("2025-11-21", "astra, input_tokens", 2.0)

    table = reconcile()

    assert rows(table, "agreement", "requests", "cost_usd") == [("theirs only", 0, 0)]
    assert not (tmp_path / ".promptlab").exists()


def test_nothing_at_all_is_an_empty_table_with_its_columns(
    reconcile: Reconcile,
) -> None:
    table = reconcile()

    assert table.empty
    assert list(table)[:4] == ["day", "model", "agreement", "complete"]
    assert conclusion(table).startswith("nothing to compare")


# Snapshots.


def test_a_model_is_the_snapshot_that_answered(
    organization: Organization, reconcile: Reconcile, call: Call
) -> None:
    call("2025-11-21", snapshot=SNAPSHOT)
    call("2025-11-21", snapshot="astra-2025-11-01")
    organization.use("2025-11-21", SNAPSHOT)
    organization.use("2025-11-21", "astra-2025-11-01")
    organization.charge("2025-11-21", f"{SNAPSHOT}, input", 0.5)
    organization.charge("2025-11-21", "astra-2025-11-01, input", 0.5)

    assert rows(reconcile(), "model", "agreement", "requests") == [
        (SNAPSHOT, "agree", 1),
        ("astra-2025-11-01", "agree", 1),
    ]


def test_a_model_meets_its_only_snapshot_of_the_day(
    organization: Organization, reconcile: Reconcile, call: Call
) -> None:
    call("2025-11-21", snapshot=None)
    call("2025-11-21", snapshot=SNAPSHOT)
    organization.use("2025-11-21", SNAPSHOT, 2)
    organization.charge("2025-11-21", "astra, input_tokens", 1.0)

    (row,) = reconcile().to_dict("records")

    assert (row["model"], row["agreement"]) == (SNAPSHOT, "agree")
    assert row["difference_cost_usd"] == pytest.approx(0)


def test_snapshots_whose_costs_are_told_together_are_compared_together(
    organization: Organization, reconcile: Reconcile, call: Call
) -> None:
    call("2025-11-21", snapshot=SNAPSHOT)
    call("2025-11-21", snapshot="astra-2025-11-01")
    organization.use("2025-11-21", SNAPSHOT)
    organization.use("2025-11-21", "astra-2025-11-01")
    organization.charge("2025-11-21", "astra, input_tokens", 1.0)

    assert rows(reconcile(), "model", "agreement", "requests", "their_requests") == [
        ("astra", "agree", 2, 2)
    ]


def test_models_with_alike_names_stay_apart(
    organization: Organization, reconcile: Reconcile
) -> None:
    for model in ("astra", "astra-mini", "astra-mini-2025-09-01"):
        organization.use("2025-11-21", model)

    assert reconcile()["model"].tolist() == ["astra", "astra-mini-2025-09-01"]


# How it asks.


def test_all_pages_are_read(
    organization: Organization, reconcile: Reconcile, server: ToldServer, call: Call
) -> None:
    organization.page_days = 2
    for day in ("2025-11-20", "2025-11-22", "2025-11-24", "2025-11-26"):
        call(day)
        organization.use(day, "astra")
        organization.charge(day, "astra, input_tokens", 0.5)

    table = reconcile()

    assert table["day"].dt.day.tolist() == [20, 22, 24, 26]
    assert set(table["agreement"]) == {"agree"}
    assert table["their_cost_usd"].tolist() == [0.5] * 4
    assert len(server.received) == 8  # four pages of two days, twice


def test_a_year_is_read_in_the_largest_pages_there_are(
    organization: Organization, reconcile: Reconcile, server: ToldServer
) -> None:
    organization.page_days = 1_000
    for day in ("2024-11-20", "2025-11-20"):
        organization.use(day, "astra")
        organization.charge(day, "astra, input_tokens", 0.5)

    table = reconcile("2024-11-20")

    assert len(table) == 2
    paths = [received.path.rpartition("/")[2] for received in server.received]
    assert paths == ["completions"] * 12 + ["costs"] * 3  # 366 days by 31, by 180


def test_it_is_narrowed_to_projects(
    organization: Organization, reconcile: Reconcile, call: Call
) -> None:
    call("2025-11-21")
    for project, requests in (("ours", 1), ("another", 7)):
        organization.use("2025-11-21", "astra", requests, project=project)
        item = "astra, input_tokens"
        organization.charge("2025-11-21", item, 0.5 * requests, project=project)

    assert reconcile()["their_requests"].tolist() == [8]
    assert reconcile(project_ids="ours")["agreement"].tolist() == ["agree"]
    assert reconcile(project_ids=["ours", "another"])["their_requests"].tolist() == [8]


def test_keys_are_named_to_both_endpoints(
    reconcile: Reconcile, server: ToldServer
) -> None:
    reconcile(api_key_ids=["key_1", "key_2"])

    for received in server.received:
        (named,) = [v for n, v in received.query.items() if "api_key_ids" in n]
        assert named == ["key_1", "key_2"]


def test_today_is_not_complete(
    organization: Organization, reconcile: Reconcile
) -> None:
    tomorrow = pd.Timestamp.now("UTC").floor("D") + pd.Timedelta(days=1)
    organization.use("2025-11-21", "astra")
    organization.use(tomorrow.strftime("%Y-%m-%d"), "astra")

    assert reconcile()["complete"].tolist() == [True, False]


# What it concludes.


def table_of(*costs: tuple[float, float], complete: bool = True) -> pd.DataFrame:
    """A table with our and their costs."""
    return pd.DataFrame(
        {
            "agreement": ["agree" if a == b else "differs" for a, b in costs],
            "complete": complete,
            "unsettled": 0,
            "cost_usd": [a for a, _ in costs],
            "their_cost_usd": [b for _, b in costs],
            "difference_cost_usd": [b - a for a, b in costs],
        }
    )


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (table_of((1.8, 3.0)), "was charged $1.20 more than this ledger has"),
        (table_of((1.8, 3.0)), "($3.00, not $1.80): other projects and people"),
        (
            table_of((3.0, 1.8)),
            "was charged $1.20 less than this ledger has ($1.80, not",
        ),
        (table_of((1.0, 2.0), (2.0, 1.0)), "agree at $3.00, though 2 of 2 rows do"),
        (table_of((1.0, 1.0)), "the ledger and the organisation agree: $1.00"),
        (table_of((1.0, float("nan")), (1.0, 1.0)), "$1.00, though 1 of 2 rows do not"),
        (table_of((1.0, 2.0), complete=False), "nothing to conclude yet: today"),
        (table_of((1.0, float("nan"))), "1 row with an unknown cost not counted"),
    ],
)
def test_it_concludes_in_one_line(table: pd.DataFrame, said: str) -> None:
    assert said in conclusion(table)
    assert "\n" not in conclusion(table)


def test_today_is_left_out_of_the_conclusion() -> None:
    table = pd.concat([table_of((1, 1)), table_of((5, 0), complete=False)])

    assert conclusion(table) == (
        "the ledger and the organisation agree: $1.00; 1 row of today not counted"
    )


def test_other_projects_are_no_reason_where_it_is_narrowed() -> None:
    said = conclusion(table_of((1.0, 2.0)), narrowed=True)

    assert "other projects and people" not in said
    assert "prices differ" in said


# What goes wrong.


def test_without_an_admin_key_nothing_is_asked(
    server: ToldServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-ordinary0123456789")

    with pytest.raises(CredentialsError, match="no admin key: set OPENAI_ADMIN_KEY"):
        pl.reconcile(SINCE, base_url=server.base_url)

    assert server.received == []


def test_the_key_may_stand_in_a_file(server: ToldServer) -> None:
    Path(".env").write_text(f"OPENAI_ADMIN_KEY={ADMIN_KEY}\n")

    assert pl.reconcile(SINCE, base_url=server.base_url).empty
    assert len(server.received) == 2


def test_only_the_admin_key_is_sent(
    reconcile: Reconcile, server: ToldServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-ordinary0123456789")

    reconcile()

    sent = {received.headers["authorization"] for received in server.received}
    assert sent == {f"Bearer {ADMIN_KEY}"}


@pytest.mark.parametrize(
    ("key", "status"),
    [("sk-ordinary0123456789", 403), ("sk-admin-wrong0123456789", 401)],
)
def test_a_wrong_key_is_said_in_one_line(
    reconcile: Reconcile, monkeypatch: pytest.MonkeyPatch, key: str, status: int
) -> None:
    monkeypatch.setenv("OPENAI_ADMIN_KEY", key)

    with pytest.raises(CredentialsError, match="only an admin key") as raised:
        reconcile()

    assert f"({status})" in str(raised.value)
    assert key not in shown(raised.value)


def shown(error: BaseException) -> str:
    """All that a traceback shows of the package and below, with local variables."""
    frames = error.__traceback__
    while frames is not None and frames.tb_frame.f_code.co_filename == __file__:
        frames = frames.tb_next  # the tests know the key
    assert frames is not None
    error.__traceback__ = frames
    parts = type(error), error, frames
    trace = Traceback.from_exception(*parts, show_locals=True, locals_max_string=None)
    screen = io.StringIO()
    Console(file=screen, width=300).print(trace)
    assert "locals" in screen.getvalue()
    return screen.getvalue() + "".join(traceback.format_exception(error))


def refusing(key: str) -> Reply:
    return error(400, message=f"you sent {key}, and that is too much")


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (refusing(ADMIN_KEY), "does not give its usage \\(400\\): you sent \\[key\\]"),
        (error(404), "does not give its usage \\(404\\)"),
        (Reply(body=b"<html>"), "not with an organisation's usage"),
        (Reply(body=b"[]"), "not with an organisation's usage"),
        (Reply(body=b"{}"), "not with an organisation's usage"),
        (Reply(body=b'{"data": [{"start_time": 0}]}'), "not with an organisation's"),
        (Reply(body=b'{"data": [], "has_more": true}'), "not with an organisation's"),
        (Reply(status=302, headers={"location": "http://127.0.0.1:1"}), "302"),
    ],
    ids=["400", "404", "html", "list", "empty", "bucket", "cursor", "redirect"],
)
def test_what_goes_wrong_is_said_in_one_line_without_the_key(
    reconcile: Reconcile, server: ToldServer, reply: Reply, said: str
) -> None:
    server.reply = lambda received: reply

    with pytest.raises(pl.PromptlabError, match=said) as raised:
        reconcile()

    assert ADMIN_KEY not in shown(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "result",
    [
        {"model": 5, "num_model_requests": 1},
        {"model": "m", "num_model_requests": "many"},
        {"model": "m", "num_model_requests": 1e300},
        "m",
        None,
    ],
    ids=repr,
)
def test_results_that_are_none_are_refused(
    reconcile: Reconcile, server: ToldServer, result: Any
) -> None:
    bucket = {"start_time": int(moment("2025-11-21")), "results": [result]}
    page = Reply(body=orjson.dumps({"data": [bucket], "has_more": False}))
    server.reply = lambda received: page

    with pytest.raises(pl.PromptlabError, match="not with an organisation's usage"):
        reconcile()


def test_pages_that_lead_in_a_circle_end(
    reconcile: Reconcile, server: ToldServer
) -> None:
    page = Reply(body=b'{"data": [], "has_more": true, "next_page": "again"}')
    server.reply = lambda received: page

    with pytest.raises(pl.PromptlabError, match="not with an organisation's usage"):
        reconcile()

    assert len(server.received) == 2


def test_another_currency_is_not_taken_for_dollars(
    reconcile: Reconcile, server: ToldServer
) -> None:
    amount = {"value": 5, "currency": "eur"}
    result = {"line_item": "astra, input_tokens", "amount": amount, "model": "astra"}
    bucket = {"start_time": int(moment("2025-11-21")), "results": [result]}
    page = Reply(body=orjson.dumps({"data": [bucket], "has_more": False}))
    server.reply = lambda received: page

    assert reconcile()["their_cost_usd"].isna().all()


def test_a_server_that_is_not_there_is_said_to_be(admin_key: str) -> None:
    with pytest.raises(pl.PromptlabError, match="no connection to http") as raised:
        pl.reconcile(SINCE, base_url="http://127.0.0.1:9/v1")

    assert ADMIN_KEY not in shown(raised.value)


@pytest.mark.parametrize("key", [f"{ADMIN_KEY}é", f"{ADMIN_KEY}\nx", f"{ADMIN_KEY} x"])
def test_a_key_that_cannot_be_one_is_not_sent(
    reconcile: Reconcile, server: ToldServer, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setenv("OPENAI_ADMIN_KEY", key)

    with pytest.raises(CredentialsError, match="characters that no key") as raised:
        reconcile()

    assert ADMIN_KEY not in shown(raised.value)
    assert server.received == []


@pytest.mark.parametrize(
    ("base_url", "said"),
    [
        ("http://proxy.test/v1", "is not encrypted: the admin key"),
        ("offline://1", "belongs to no organisation"),
        ("api.openai.com", "is not a URL"),
    ],
)
def test_the_key_is_sent_nowhere_that_it_must_not_go(
    admin_key: str, base_url: str, said: str
) -> None:
    with pytest.raises(pl.PromptlabError, match=said):
        pl.reconcile(SINCE, base_url=base_url)


def test_nothing_that_is_kept_holds_the_key(
    organization: Organization, reconcile: Reconcile, call: Call, tmp_path: Path
) -> None:
    call("2025-11-21")
    organization.use("2025-11-21", "astra")

    table = reconcile()

    kept = [file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()]
    assert kept
    assert not any(ADMIN_KEY.encode() in content for content in kept)
    assert ADMIN_KEY not in table.to_csv() + repr(table.attrs)
