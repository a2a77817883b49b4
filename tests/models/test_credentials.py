"""Credentials: which key goes to which server, and from where."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes.experiments import capitals
from fakes.servers import ToldServer, error
from keyring.backend import KeyringBackend
from keyring.backends import fail

import promptlab as pl
from models.vaults import (
    BrokenKeyring,
    FileKeyring,
    LockedKeyring,
    SilentKeyring,
)
from promptlab.errors import CredentialsError
from promptlab.models import keyrings
from promptlab.models.credentials import environment
from promptlab.secret import Secret
from promptlab.testing import PATIENCE_S, FakeClient, wait_until

OPENAI = "http://api.openai.com/v1"
ELSEWHERE = "http://api.example.test/v1"
"""Servers on other machines: a proxy on this one answers for them."""

FREELY: dict[str, Any] = {
    "allow_insecure": True,
    "use_cache": False,
    "prices": {"*": {"input": 1, "output": 1}},
}


def key_of(source: str) -> str:
    return f"sk-{source}-0123456789abcdef"


@pytest.fixture
def server() -> Iterator[ToldServer]:
    with ToldServer().in_thread() as server:
        yield server


@pytest.fixture(autouse=True)
def proxy(server: ToldServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", server.base_url.removesuffix("/v1"))
    monkeypatch.delenv("no_proxy", raising=False)


@pytest.fixture
def vault(use: Callable[[KeyringBackend], None]) -> FileKeyring:
    """A keyring with a key for each of two servers."""
    vault = FileKeyring()
    vault.set_password("promptlab", OPENAI, key_of("keyring"))
    vault.set_password("promptlab", ELSEWHERE, key_of("keyring-elsewhere"))
    use(vault)
    return vault


@pytest.fixture
def sent(server: ToldServer) -> Callable[..., set[str]]:
    """Runs one trial with some options, and gives the keys that were sent."""

    def run(base_url: str = OPENAI, **options: Any) -> set[str]:
        before = len(server.received)
        capitals(1, temperature=[0]).run(base_url=base_url, **FREELY, **options)
        received = server.received[before:]
        return {r.headers["authorization"].removeprefix("Bearer ") for r in received}

    return run


Sent = Callable[..., set[str]]


# The order.


def test_the_first_source_that_has_a_key_gives_it(
    sent: Sent, vault: FileKeyring, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text(f"OPENAI_API_KEY={key_of('file')}\n")
    monkeypatch.setenv("OPENAI_API_KEY", key_of("environment"))

    assert sent(api_key=key_of("argument")) == {key_of("argument")}
    assert sent() == {key_of("environment")}
    monkeypatch.delenv("OPENAI_API_KEY")
    assert sent() == {key_of("keyring")}
    vault.delete_password("promptlab", OPENAI)
    assert sent() == {key_of("file")}
    (tmp_path / ".env").unlink()
    with pytest.raises(CredentialsError, match="no API key for http://api"):
        sent()


def test_the_environment_wins_over_a_file_whatever_the_variable(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text(f"OPENAI_BASE_URL={OPENAI}\nOPENAI_ORG_ID=org-1\n")
    monkeypatch.setenv("OPENAI_BASE_URL", ELSEWHERE)

    variables = environment()

    assert variables["OPENAI_BASE_URL"] == ELSEWHERE
    assert variables["OPENAI_ORG_ID"] == "org-1"


@pytest.mark.parametrize("host", ["notopenai.com", "openai.com.example.test"])
def test_a_host_that_is_called_like_openai_gets_no_key_of_it(
    sent: Sent, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", key_of("environment"))

    with pytest.raises(CredentialsError, match=f"no API key for http://{host}"):
        sent(f"http://{host}/v1")


@pytest.mark.parametrize("blank", ["", "  "])
def test_a_blank_variable_is_none(
    sent: Sent, vault: FileKeyring, monkeypatch: pytest.MonkeyPatch, blank: str
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", blank)

    assert sent() == {key_of("keyring")}


def test_a_key_is_read_anew_by_each_run(
    sent: Sent, vault: FileKeyring, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen = []
    for turn in ("first", "second"):
        (tmp_path / ".env").write_text(f"OPENAI_API_KEY={key_of(f'file-{turn}')}\n")
        seen.append(sent(api_key_env="NAMED"))
        vault.set_password("promptlab", OPENAI, key_of(f"keyring-{turn}"))
        seen.append(sent())
        monkeypatch.setenv("OPENAI_API_KEY", key_of(f"environment-{turn}"))
        seen.append(sent())
        monkeypatch.delenv("OPENAI_API_KEY")
        vault.delete_password("promptlab", OPENAI)
        seen.append(sent())
        vault.set_password("promptlab", OPENAI, key_of("keyring"))

    assert seen == [
        {key_of(source)}
        for turn in ("first", "second")
        for source in (
            "keyring",
            f"keyring-{turn}",
            f"environment-{turn}",
            f"file-{turn}",
        )
    ]


# Whose key it is.


def test_openais_key_is_not_sent_to_another_server(
    sent: Sent, server: ToldServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", key_of("environment"))
    (tmp_path / ".env").write_text(f"OPENAI_API_KEY={key_of('file')}\n")

    with pytest.raises(
        CredentialsError, match="OPENAI_API_KEY is sent to OpenAI alone"
    ):
        sent(ELSEWHERE)

    assert server.received == []


def test_a_variable_that_is_named_is_sent_where_requests_go(
    sent: Sent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", key_of("environment"))
    monkeypatch.setenv("THEIR_KEY", key_of("theirs"))

    assert sent(ELSEWHERE, api_key_env="THEIR_KEY") == {key_of("theirs")}
    assert sent(ELSEWHERE, api_key_env="OPENAI_API_KEY") == {key_of("environment")}


def test_openais_variables_may_name_another_server_and_its_key(
    sent: Sent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", f"{ELSEWHERE}/")
    monkeypatch.setenv("OPENAI_API_KEY", key_of("environment"))

    assert sent(None) == {key_of("environment")}


def test_an_env_file_cannot_lead_the_environments_key_elsewhere(
    sent: Sent, server: ToldServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", key_of("environment"))
    (tmp_path / ".env").write_text(f"OPENAI_BASE_URL={ELSEWHERE}\n")

    with pytest.raises(CredentialsError, match=r"in the \.env file, where"):
        sent(None)

    with (tmp_path / ".env").open("a") as file:
        file.write(f"OPENAI_API_KEY={key_of('file')}\n")
    assert sent(None) == {key_of("file")}


def test_the_keyring_has_an_entry_for_each_base_url(
    sent: Sent, vault: FileKeyring
) -> None:
    assert sent(f"{ELSEWHERE}/") == {key_of("keyring-elsewhere")}
    with pytest.raises(CredentialsError, match="no API key") as caught:
        sent("http://api.example.test/v2")
    assert "login --base-url http://api.example.test/v2`" in str(caught.value)


def test_a_server_on_this_machine_is_not_looked_up_in_the_keyring(
    sent: Sent, server: ToldServer, use: Callable[[KeyringBackend], None]
) -> None:
    silent = SilentKeyring()
    use(silent)

    assert sent(server.base_url) == {"unused"}


# Several servers in one grid.


@pytest.fixture
def both(server: ToldServer) -> Callable[..., dict[str, str]]:
    """Asks two servers in one run, and gives the key that each model's was sent."""

    def run(*base_urls: str, **options: Any) -> dict[str, str]:
        models = [f"model-{number}" for number, _ in enumerate(base_urls)]
        pl.Experiment(
            "both",
            grid=pl.Grid(
                prompt=["{{city}}?"],
                zip=[{"model": models, "base_url": list(base_urls)}],
            ),
            dataset=[{"city": "Rome"}],
        ).run(**FREELY, **options)
        return {
            r.body["model"]: r.headers["authorization"].removeprefix("Bearer ")
            for r in server.received
        }

    return run


Both = Callable[..., dict[str, str]]


def test_each_server_gets_its_own_key(
    both: Both, vault: FileKeyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", key_of("environment"))

    keys = both(OPENAI, ELSEWHERE)

    assert keys == {
        "model-0": key_of("environment"),
        "model-1": key_of("keyring-elsewhere"),
    }


def test_keys_and_variables_can_be_given_for_each_server(
    both: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THEIR_KEY", key_of("theirs"))

    keys = both(
        *(OPENAI, ELSEWHERE),
        api_key={f"{OPENAI}/": key_of("ours")},
        api_key_env={ELSEWHERE: "THEIR_KEY"},
    )

    assert keys == {"model-0": key_of("ours"), "model-1": key_of("theirs")}


@pytest.mark.parametrize("option", ["api_key", "api_key_env"])
def test_one_key_for_two_servers_is_refused(
    both: Both, server: ToldServer, option: str
) -> None:
    with pytest.raises(pl.SpecError, match=f"{option}= is for one server"):
        both(OPENAI, ELSEWHERE, **{option: "OPENAI_API_KEY"})

    assert server.received == []


@pytest.mark.parametrize("source", ["argument", "variable", "OPENAI_API_KEY"])
def test_a_server_on_this_machine_does_not_get_the_key_of_one_elsewhere(
    both: Both, server: ToldServer, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", key_of("ours"))
    options = {
        "argument": {"api_key": key_of("ours")},
        "variable": {"api_key_env": "OPENAI_API_KEY"},
        "OPENAI_API_KEY": {},
    }

    keys = both(OPENAI, server.base_url, **options[source])

    assert keys == {"model-0": key_of("ours"), "model-1": "unused"}


# Further headers.


@pytest.fixture
def heard(both: Both, server: ToldServer) -> Callable[..., dict[str, set[str]]]:
    """Asks servers in one run, and gives the names of the headers of each model."""

    def run(*base_urls: str, **options: Any) -> dict[str, set[str]]:
        both(*base_urls, **options)
        return {r.body["model"]: set(r.headers) for r in server.received}

    return run


Heard = Callable[..., dict[str, set[str]]]


def test_a_header_that_may_be_a_key_is_for_one_server(
    heard: Heard, server: ToldServer, vault: FileKeyring
) -> None:
    with pytest.raises(pl.SpecError, match="'X-Api-Key' may hold a key") as caught:
        heard(OPENAI, ELSEWHERE, headers={"X-Api-Key": key_of("header")})

    assert server.received == []
    assert key_of("header") not in str(caught.value)


def test_headers_are_given_for_each_server(heard: Heard, vault: FileKeyring) -> None:
    headers = {
        "X-Title": "mine",
        OPENAI: {"X-Api-Key": key_of("one")},
        ELSEWHERE: {"X-Other-Key": key_of("other")},
    }

    names = heard(OPENAI, ELSEWHERE, headers=headers)

    assert "x-title" in names["model-0"] & names["model-1"]
    assert "x-api-key" in names["model-0"] - names["model-1"]
    assert "x-other-key" in names["model-1"] - names["model-0"]


def test_a_server_on_this_machine_does_not_get_a_header_for_one_elsewhere(
    heard: Heard, server: ToldServer, vault: FileKeyring
) -> None:
    headers = {"X-Api-Key": key_of("header"), "X-Title": "mine"}

    names = heard(OPENAI, server.base_url, headers=headers)

    assert "x-api-key" in names["model-0"] - names["model-1"]
    assert "x-title" in names["model-0"] & names["model-1"]


def test_what_the_environment_says_of_openais_account_goes_to_openai_alone(
    heard: Heard, vault: FileKeyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", key_of("environment"))
    monkeypatch.setenv("OPENAI_ORG_ID", "org-1")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", f"X-Gate: {key_of('gate')}\nX-Y: 1")

    names = heard(OPENAI, ELSEWHERE)

    account = {"openai-organization", "x-gate", "x-y"}
    assert account <= names["model-0"]
    assert not account & names["model-1"]


# A keyring that is of no use.


@pytest.mark.parametrize(
    ("backend", "said"),
    [
        (LockedKeyring, r"\(the keyring is locked\)"),
        (BrokenKeyring, r"\(the keyring does not work: OSError\)"),
        (fail.Keyring, r"\(this machine has no keyring\)"),
    ],
    ids=["locked", "broken", "none"],
)
def test_a_keyring_that_is_of_no_use_is_told_where_no_key_is_found(
    sent: Sent,
    use: Callable[[KeyringBackend], None],
    tmp_path: Path,
    backend: type[KeyringBackend],
    said: str,
) -> None:
    use(backend())

    with pytest.raises(CredentialsError, match=said) as caught:
        sent()
    (tmp_path / ".env").write_text(f"OPENAI_API_KEY={key_of('file')}\n")

    assert "in-a-message" not in str(caught.value)
    assert sent() == {key_of("file")}


def test_without_the_keyring_package_a_missing_key_says_how_to_get_it(
    sent: Sent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)

    with pytest.raises(CredentialsError, match=r"pip install -e '\.\[keyring\]'"):
        sent()


def test_a_keyring_that_does_not_answer_is_given_up(
    use: Callable[[KeyringBackend], None],
) -> None:
    silent = SilentKeyring()
    use(silent)

    with pytest.warns(pl.PromptlabWarning, match="did not answer within 0.05 s"):
        first = keyrings.look_up(OPENAI, patience_s=0.05)
    second = keyrings.look_up(OPENAI, patience_s=PATIENCE_S)  # at once
    silent.released.set()
    wait_until(lambda: keyrings.look_up(OPENAI) == (None, ""))

    assert first[0] is None
    assert "keyring.backends.null.Keyring" in first[1]
    assert second == (None, "the keyring has not answered so far")


def test_a_run_that_needs_no_key_does_not_touch_the_keyring(
    sent: Sent,
    use: Callable[[KeyringBackend], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    use(BrokenKeyring())
    monkeypatch.setenv("OPENAI_API_KEY", key_of("environment"))

    assert sent() == {key_of("environment")}
    assert "keyring" not in str(capitals(1).run(offline=True).headline)


# What is no key.


@pytest.mark.parametrize("given", [b"sk-0123456789abcdef", 7])
def test_what_is_neither_text_nor_function_is_refused_without_being_shown(
    sent: Sent, given: object
) -> None:
    with pytest.raises(pl.SpecError, match="a string or a function, got") as caught:
        sent(api_key=given)

    assert "0123456789" not in str(caught.value)


def test_a_refused_key_ends_the_run_in_one_line(server: ToldServer, sent: Sent) -> None:
    server.reply = lambda received: error(401, message="Incorrect API key provided")

    results = capitals(3).run(base_url=OPENAI, api_key=key_of("argument"), **FREELY)

    assert results.status == "stopped"
    assert key_of("argument") not in results.reason


def test_a_function_that_gives_no_key_in_time_is_an_error() -> None:
    release = threading.Event()

    with pytest.raises(CredentialsError, match=r"gave no key within 0\.05 s"):
        asyncio.run(Secret(lambda: str(release.wait())).reveal(within_s=0.05))
    release.set()


def test_a_function_that_ends_the_process_ends_one_call() -> None:
    with pytest.raises(CredentialsError, match="raised SystemExit"):
        asyncio.run(Secret(lambda: sys.exit("no")).reveal())


def test_an_error_of_the_function_is_told_as_it_is() -> None:
    def give() -> str:
        raise TimeoutError("the vault does not answer")

    with pytest.raises(TimeoutError, match="the vault does not answer"):
        asyncio.run(Secret(give).reveal())


def test_a_function_is_asked_once_at_a_time() -> None:
    keys = (f"sk-{number:020d}" for number in range(50))  # no two may ask at once

    async def ask() -> list[str]:
        secret = Secret(lambda: next(keys))
        return await asyncio.gather(*[secret.reveal() for _ in range(50)])

    assert len(set(asyncio.run(ask()))) == 50


def test_a_function_that_waits_holds_up_no_other_run() -> None:
    release = threading.Event()

    def give() -> str:
        release.wait(30)
        return "sk-0123456789abcdefghij"

    with ToldServer().in_thread() as server:
        waiting = capitals(1).start(base_url=server.base_url, api_key=give)
        other = capitals(1).run(client=FakeClient(), use_cache=False)
        assert not waiting.done
        release.set()
        assert waiting.result(30).totals.answered == 2

    assert other.totals.answered == 2
