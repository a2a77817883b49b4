"""usage --reconcile: the ledger beside the organisation's numbers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime

import pytest
from fakes.servers import ToldServer
from store.organization import ADMIN_KEY, Organization, moment

from promptlab.money.budget import Spend
from promptlab.store.ledger import CallRow, Ledger, LedgerEntry
from tests.cli.conftest import CommandLine

SINCE = ("--since", "2025-11-20")


@pytest.fixture
def organization() -> Organization:
    return Organization()


@pytest.fixture
def server(
    organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ToldServer]:
    """Tells of an organisation to which this ledger's one call belongs."""
    monkeypatch.setenv("OPENAI_ADMIN_KEY", ADMIN_KEY)
    server = ToldServer()
    server.reply = organization
    with server.in_thread(), closing(Ledger()) as ledger:
        line = CallRow(
            *(moment("2025-11-21"), "run", "e", server.base_url, "astra"),
            input_tokens=100,
            cached_input_tokens=20,
            output_tokens=10,
            cost_usd=0.5,
        )
        ledger.enter([LedgerEntry(line, Spend())])
        yield server


def test_it_prints_a_table_and_what_that_says(
    promptlab: CommandLine, server: ToldServer, organization: Organization
) -> None:
    organization.use("2025-11-21", "astra", 3)
    organization.charge("2025-11-21", "astra, input_tokens", 1.7)
    organization.use("2025-11-22", "luna")

    done = promptlab("usage", "--reconcile", *SINCE, "--server", server.base_url)

    *_, astra, luna, said = done.stdout.splitlines()
    assert done.code == 0
    assert " ".join(astra.split()) == (
        "2025-11-21 astra differs 1 3 100 300 10 30 $0.50 $1.70 +$1.20"
    )
    assert " ".join(luna.split()) == (
        "2025-11-22 luna theirs only 0 1 0 100 0 10 $0.00 – –"
    )
    assert said.startswith("the organisation was charged $1.20 more than this ledger")


def test_today_is_so_far(
    promptlab: CommandLine, server: ToldServer, organization: Organization
) -> None:
    organization.use(datetime.now(UTC).strftime("%Y-%m-%d 23:59"), "astra")

    done = promptlab("usage", "--reconcile", "--server", server.base_url)

    assert " so far  astra  theirs only" in done.stdout
    assert "nothing to conclude yet" in done.stdout


def test_it_prints_json(
    promptlab: CommandLine, server: ToldServer, organization: Organization
) -> None:
    organization.use("2025-11-21", "astra")

    done = promptlab(
        *("usage", "--reconcile", *SINCE, "--server", server.base_url, "--json")
    )

    (row,) = done.json["reconcile"]
    assert (row["day"], row["model"]) == ("2025-11-21T00:00:00", "astra")
    assert (row["requests"], row["their_requests"]) == (1, 1)
    assert (row["cost_usd"], row["their_cost_usd"]) == (0.5, None)
    assert row["complete"] is True
    assert "unknown cost" in done.json["conclusion"]


def test_it_is_narrowed_to_a_project(
    promptlab: CommandLine, server: ToldServer, organization: Organization
) -> None:
    for project in ("ours", "another"):
        organization.use("2025-11-21", "astra", project=project)
        organization.charge("2025-11-21", "astra, input", 0.5, project=project)

    done = promptlab(
        *("usage", "--reconcile", *SINCE, "--server", server.base_url),
        *("--project-id", "ours"),
    )

    assert done.stdout.splitlines()[-1].endswith("organisation agree: $0.50")


def test_a_wrong_key_is_one_line_on_standard_error(
    promptlab: CommandLine, server: ToldServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_ADMIN_KEY", "sk-ordinary0123456789")

    done = promptlab("usage", "--reconcile", "--server", server.base_url)

    assert (done.code, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    assert "only an admin key (sk-admin-...)" in done.stderr
    assert "sk-ordinary" not in done.stderr


def test_without_a_key_it_says_what_to_set(promptlab: CommandLine) -> None:
    done = promptlab("usage", "--reconcile")

    assert done.code == 1
    assert "no admin key: set OPENAI_ADMIN_KEY" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("--reconcile", "--by", "model"),
        ("--project-id", "proj_1"),
        ("--api-key-id", "key_1"),
        ("--server", "http://127.0.0.1:9/v1"),
    ],
    ids=" ".join,
)
def test_options_that_would_do_nothing_are_refused(
    promptlab: CommandLine, arguments: tuple[str, ...]
) -> None:
    done = promptlab("usage", *arguments)

    assert done.code == 2
    assert "--reconcile" in done.stderr


def test_the_environment_may_name_a_project_for_later(
    promptlab: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROMPTLAB_PROJECT_ID", "proj_1")

    assert promptlab("usage").code == 0
