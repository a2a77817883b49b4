"""Leaks: a key is in nothing that a run leaves behind or shows.

What else shows outputs is in `notebook/test_leaks.py` and `cli/test_leaks.py`.
"""

from __future__ import annotations

import _thread
import asyncio
import copy
import logging
import pickle
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import httpx2
import keyring
import openai
import pytest
from fakes.experiments import capitals
from fakes.servers import Received, Reply, ToldServer, answer, error
from models.vaults import FileKeyring

import promptlab as pl
from execution.planted import (
    KEY,
    OPENAI,
    PRICES,
    contents,
    finds,
    gossip,
    places,
    received_key,
    seen_in,
)
from promptlab.execution.loop import background_loop
from promptlab.execution.options import RunOptions
from promptlab.execution.progress import Progress
from promptlab.secret import Secret
from promptlab.testing import wait_until

CITIES = 11


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ToldServer]:
    """A proxy for servers on other machines, which answers for them itself."""
    with ToldServer().in_thread() as server:
        server.reply = gossip
        monkeypatch.setenv("http_proxy", server.base_url.removesuffix("/v1"))
        monkeypatch.delenv("no_proxy", raising=False)
        yield server


@pytest.fixture
def vault(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[FileKeyring]:
    file = tmp_path_factory.mktemp("vault") / "keyring.json"
    monkeypatch.setenv("TEST_KEYRING", str(file))
    before, vault = keyring.get_keyring(), FileKeyring()
    keyring.set_keyring(vault)
    yield vault
    keyring.set_keyring(before)


async def give_later() -> str:
    return KEY


def sdk_client(key: Any = KEY) -> openai.AsyncOpenAI:
    """A client of the SDK that keeps no connection open."""
    no_reuse = httpx2.Limits(max_keepalive_connections=0)
    http = openai.DefaultAsyncHttpx2Client(limits=no_reuse)
    return openai.AsyncOpenAI(api_key=key, base_url=OPENAI, http_client=http)


Plant = Callable[[], dict[str, Any]]


@pytest.fixture(
    params=[
        *("argument", "function", "async function", "environment", "own variable"),
        *("env file", "keyring", "header", "authorization header"),
        *("SDKClient", "SDKClient, a function"),
    ]
)
def plant(
    request: pytest.FixtureRequest,
    vault: FileKeyring,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> Plant:
    """Puts the key where it comes from; gives the options of a run that takes it."""

    def planted() -> dict[str, Any]:
        options: dict[str, Any] = {"base_url": OPENAI}
        match request.param:
            case "argument":
                return {**options, "api_key": KEY}
            case "function":
                return {**options, "api_key": lambda: KEY}
            case "async function":
                return {**options, "api_key": give_later}
            case "environment":
                monkeypatch.setenv("OPENAI_API_KEY", KEY)
            case "own variable":
                monkeypatch.setenv("OWN_KEY", KEY)
                return {**options, "api_key_env": "OWN_KEY"}
            case "env file":
                file = tmp_path_factory.mktemp("env") / "keys.env"
                file.write_text(f"OPENAI_API_KEY={KEY}\n")
                return {**options, "env_file": file}
            case "keyring":
                vault.set_password("promptlab", OPENAI, KEY)
            case "header":
                headers = {"X-Own-Key": KEY}
                return {**options, "headers": headers, "api_key": "not-the-key"}
            case "authorization header":
                headers = {"Authorization": f"Bearer {KEY}"}
                return {**options, "headers": headers, "api_key": "not-the-key"}
            case "SDKClient":
                return {"client": pl.SDKClient(sdk_client())}
            case _:
                return {"client": pl.SDKClient(sdk_client(give_later))}
        return options

    return planted


@pytest.mark.filterwarnings("default")
def test_a_run_leaves_the_key_in_no_file_and_shows_it_nowhere(
    server: ToldServer,
    plant: Plant,
    clean_home: Path,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    recwarn: pytest.WarningsRecorder,
) -> None:
    # httpcore, below the SDK, writes the headers of replies as they come.
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.INFO, logger="httpcore2")
    experiment, shown = capitals(CITIES, temperature=[0]), []
    options = plant()
    given = {"allow_insecure": True} if "base_url" in options else {}
    given |= {"max_attempts": 1, "prices": PRICES, **options}

    background_loop().loop.set_debug(True)
    try:
        handle = experiment.start(
            **given, progress=lambda p: shown.append(f"{p!r} {p.line} {p.facts}")
        )
        results = handle.result()
    finally:
        background_loop().loop.set_debug(False)
    again = experiment.run(**given)

    assert results.totals.answered == 3
    assert {received_key(r) for r in server.received} == {KEY}
    assert "The key is [key]." in results.table["output"].tolist()
    for name in ("t.csv", "t.xlsx", "t.jsonl", "t.parquet"):
        results.to(name)
    usage = pl.usage()
    for found in (handle, results, again, experiment.plan(**given), usage):
        shown += [repr(found), str(found), *_html(found)]
    for found in (results.table, results.errors, results.summary(), results.messages):
        shown += [found.to_csv(), found.to_json(default_handler=repr), *_html(found)]
    shown += [repr(list(results)), repr(results.failures), repr(vars(results))]
    shown += [repr(pl.find_run()), repr(vars(pl.find_run()))]
    shown += ["".join(capfd.readouterr()), caplog.text, *map(str, recwarn)]
    for record in caplog.records:
        shown.append(f"{record.args!r} {record.__dict__!r}")
    assert [text for text in shown if finds(KEY, text)] == []
    names = {Path(place).name for place, _ in contents(clean_home.parent)}
    assert {"cache.db", "promptlab.sqlite", "t.csv", "t.xlsx", "t.parquet"} <= names
    assert places(KEY, clean_home.parent) == []


def _html(found: Any) -> list[str]:
    return [found._repr_html_()] if hasattr(found, "_repr_html_") else []


def test_an_answer_is_kept_as_received_but_for_the_key(server: ToldServer) -> None:
    reply = answer(f"Here: {KEY}, and sk-example-0123456789abcdef.")
    server.reply = lambda received: reply

    results = capitals(1, temperature=[0]).run(
        base_url=server.base_url, api_key=KEY, prices=PRICES
    )

    (record,) = results
    kept = pl.ResponseCache().get(record.key or "")
    assert kept is not None
    assert kept.body == reply.body.replace(KEY.encode(), b"[key]")
    assert record.output == "Here: [key], and sk-example-0123456789abcdef."


@pytest.mark.parametrize(
    ("sign", "written"),
    [("/", rb"\/"), ("+", rb"\u002B"), ("+", rb"\u002b"), ("&", rb"\u0026")],
)
def test_a_key_is_found_in_the_ways_that_servers_write_it(
    server: ToldServer, sign: str, written: bytes
) -> None:
    key = f"a{sign}key{sign}with{sign}signs{sign}0123456789"
    body = answer(key).body.replace(sign.encode(), written)
    server.reply = lambda received: Reply(body=body)

    (record,) = capitals(1, temperature=[0]).run(
        base_url=server.base_url, api_key=key, prices=PRICES
    )

    assert record.output == "[key]"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Cookie", f"session={KEY}; lang=de"),
        ("Authorization", f'Token token="{KEY}", nonce="abcdefgh1"'),
    ],
)
def test_every_part_of_a_header_that_may_be_a_key_is_taken_out(
    server: ToldServer, name: str, value: str
) -> None:
    server.reply = lambda received: error(400, message=f"bad session {KEY}")

    (record,) = capitals(1, temperature=[0]).run(
        base_url=server.base_url, headers={name: value}, prices=PRICES
    )

    assert KEY not in str(record.error)


@pytest.mark.parametrize(
    "base_url", [f"https://host/v1?api_key={KEY}", f"https://u:{KEY}@host:x/v1"]
)
def test_a_base_url_that_is_refused_is_not_shown_with_its_key(base_url: str) -> None:
    with pytest.raises(pl.SpecError) as caught:
        capitals(1).run(base_url=base_url)

    assert KEY not in str(caught.value)


@pytest.mark.parametrize("placeholder", ["ollama", "not-needed", "lm-studio"])
def test_a_placeholder_may_be_a_word_of_the_answer(
    server: ToldServer, placeholder: str
) -> None:
    server.reply = lambda received: answer(f"It is {placeholder}.")

    (record,) = capitals(1, temperature=[0]).run(
        base_url=server.base_url, api_key=placeholder, prices=PRICES
    )

    assert record.output == f"It is {placeholder}."


# Objects.


def test_what_holds_a_key_neither_shows_nor_pickles_it(
    server: ToldServer, plant: Plant, clean_home: Path
) -> None:
    options = plant()
    run_options = RunOptions(**options)
    experiment = capitals(1, temperature=[0])
    handle = experiment.start(
        **{"allow_insecure": True, "prices": PRICES, "max_attempts": 1, **options}
    )
    client = (
        run_options.opened_client(
            run_options.requests(experiment),
            run_options.keys(run_options.requests(experiment)),
        )
        if "client" in options
        else pl.OpenAIClient({OPENAI: Secret(KEY)})
    )
    results = handle.result()
    held = [run_options, client, handle, results, Secret(KEY), run_options.variables]

    for thing in held:
        shown = f"{thing!r} {thing} {getattr(thing, '__dict__', '')!r}"
        assert not finds(KEY, shown), type(thing)
    for thing in (run_options, client, handle, results, Secret(KEY)):
        assert not finds(KEY, _pickled(thing)), type(thing)
    assert copy.deepcopy(Secret(KEY)).ending == KEY[-4:]
    values = [repr(getattr(run_options, field.name)) for field in fields(run_options)]
    assert not finds(KEY, " ".join(values))


def _pickled(thing: object) -> bytes:
    try:
        return pickle.dumps(thing)
    except Exception as error:  # most cannot be pickled, and say why
        return f"{error!r}".encode()


# Tracebacks. The key is taken by an expression, so that no variable of a test has it.


def key() -> str:
    return KEY


def run(**options: Any) -> Any:
    """A run of one trial, which is to raise."""
    given = {"allow_insecure": True, "prices": PRICES, "base_url": OPENAI, **options}
    return capitals(1, temperature=[0]).run(**given)


def start(**options: Any) -> Any:
    given = {"allow_insecure": True, "prices": PRICES, "base_url": OPENAI, **options}
    handle = capitals(1, temperature=[0]).start(**given)
    try:
        return handle.result(timeout_s=0)
    finally:  # it would go on, and ask the server of the next test
        handle.cancel()
        wait_until(lambda: handle.done)


def arun(**options: Any) -> Any:
    given = {"prices": PRICES, "base_url": OPENAI, **options}
    return asyncio.run(capitals(1, temperature=[0]).arun(**given))


RAISING: dict[str, Callable[[], Any]] = {
    "an unknown option": lambda: run(api_key=key(), max_concurency=1),
    "a wrong value": lambda: run(api_key=key(), timeout_s=-1),
    "a header that is wrong": lambda: run(headers={"X-Key": key()}, timeout_s=-1),
    "bytes for a key": lambda: run(api_key=key().encode()),
    "clear text": lambda: run(api_key=key(), allow_insecure=False),
    "clear text, awaited": lambda: arun(api_key=key()),
    "no key": lambda: run(api_key_env="NO_SUCH_KEY"),
    "two servers": lambda: capitals(1, base_url=[OPENAI, "http://b.test/v1"]).run(
        api_key=key()
    ),
    "no such env file": lambda: run(api_key=key(), env_file="missing.env"),
    "no cache": lambda: run(api_key=key(), cache="/dev/null/cache"),
    "it takes too long": lambda: start(api_key=key()),
    "a plan": lambda: capitals(1).plan(api_key=key(), max_attempts=0),
    "the function": lambda: pl.RunOptions(api_key=key(), max_attempts=0),
    "a panel": lambda: pl.panel(7, api_key=key()),
    "a playground": lambda: pl.playground([], api_key=key()),
    "a key for a URL": lambda: run(base_url=key()),
    "a key for a URL, planned": lambda: capitals(1).plan(base_url=key()),
    "a key for a URL, forecast": lambda: capitals(1).forecast(base_url=key()),
    "a key for a URL, reconciled": lambda: pl.reconcile(base_url=key()),
    "a key for a URL, awaited": lambda: arun(base_url=key()),
    "login with the key": lambda: pl.login(key()),
    "login with the key as a base URL": lambda: pl.login(base_url=key(), show=True),
    "login with the key in bytes": lambda: pl.login(key().encode()),
    "logout with the key": lambda: pl.logout(key()),
    "an interrupt": lambda: run(api_key=key(), progress=interrupt_twice()),
}


RAISED = (pl.PromptlabError, AttributeError, TimeoutError, KeyboardInterrupt)


def interrupt_twice() -> Callable[[Progress], None]:
    """Presses Ctrl-C while a call is under way, and again while the run ends."""
    states = ["running", "finishing"]

    def press(progress: Progress) -> None:
        if progress.in_flight and states[:1] == [progress.state]:
            states.pop(0)
            _thread.interrupt_main()

    return press


@pytest.mark.parametrize("raising", RAISING.values(), ids=RAISING)
@pytest.mark.parametrize("set_too", [False, True], ids=["given", "in the environment"])
def test_a_traceback_shows_no_key(
    server: ToldServer,
    monkeypatch: pytest.MonkeyPatch,
    raising: Callable[[], Any],
    set_too: bool,
) -> None:
    server.reply = lambda received: Reply(body=answer().body, after_s=0.2)
    monkeypatch.setenv("SOMEONE_ELSES_TOKEN", KEY)
    if set_too:
        monkeypatch.setenv("OPENAI_API_KEY", KEY)

    with pytest.raises(RAISED) as caught:
        raising()

    assert_hidden(caught.value, within="promptlab")


def assert_hidden(error: BaseException, *shown: str, within: str) -> None:
    """That a verbose traceback, which comes from such a place, shows no key, nor do
    these strings."""
    seen = list(seen_in(error, but_for=__file__))
    assert [text for text in (*seen, *shown) if finds(KEY, text)] == []
    assert any(within in text for text in seen)


def test_a_key_in_place_of_the_url_in_the_environment_is_not_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", KEY)

    with pytest.raises(pl.SpecError, match="base_url is not a URL") as caught:
        capitals(1).plan()

    assert_hidden(caught.value, within="promptlab")


Server = Callable[[Received], Reply]
BROKEN: dict[str, Server] = {
    "401": lambda received: error(401, message=f"wrong: {received_key(received)}"),
    "dropped": lambda received: Reply(instead="drop"),
    "broken off": lambda received: Reply(body=KEY.encode(), instead="break off"),
    "silent": lambda received: Reply(instead="nothing"),
    "no HTTP": lambda received: Reply(body=b"x", headers={"content-encoding": "gzip"}),
    "gossip": lambda received: error(400, {KEY: KEY, "x": KEY}, message=KEY),
    "given up": lambda received: Reply(instead="nothing"),
}


@pytest.mark.parametrize("broken", BROKEN)
@pytest.mark.parametrize("way", ["OpenAIClient", "SDKClient", "own header"])
def test_a_call_that_fails_or_is_given_up_shows_no_key(
    server: ToldServer, way: str, broken: str
) -> None:
    server.reply = BROKEN[broken]
    late_s, given_up_s = (60.0, 0.3) if broken == "given up" else (0.3, 60.0)

    async def call() -> object:
        client: Any
        if way == "SDKClient":
            client = pl.SDKClient(sdk_client(key()).with_options(timeout=late_s))
        elif way == "own header":
            headers = {OPENAI: {"X-Own-Key": key()}}
            secret = {OPENAI: Secret("not-the-key")}
            client = pl.OpenAIClient(secret, timeout_s=late_s, headers=headers)
        else:
            client = pl.OpenAIClient({OPENAI: Secret(key())}, timeout_s=late_s)
        return await asyncio.wait_for(asked(client), given_up_s)

    with pytest.raises((pl.PromptlabError, TimeoutError)) as caught:
        asyncio.run(call())

    assert_hidden(caught.value, within="complete")


@pytest.mark.parametrize(
    "options",
    [
        lambda: {"api_key": f"{key()}\n{key()}"},
        lambda: {"api_key": lambda: f"{key()} {key()}"},
        lambda: {"api_key": key(), "headers": {"X-Key": f"{key()}\r\n{key()}"}},
        lambda: {"api_key": key(), "headers": {"X\nKey": key()}},
        lambda: {"api_key": lambda: key().encode()},
    ],
    ids=["a key", "of a function", "a header", "its name", "bytes of a function"],
)
def test_what_cannot_be_sent_is_not_shown(
    server: ToldServer, options: Callable[[], dict[str, Any]]
) -> None:
    given = options()
    secrets = {OPENAI: Secret(given["api_key"])}
    client = pl.OpenAIClient(secrets, headers={OPENAI: given.get("headers", {})})

    results = capitals(2, temperature=[0]).run(
        base_url=OPENAI, allow_insecure=True, prices=PRICES, **given
    )
    with pytest.raises(pl.PromptlabError) as caught:
        asyncio.run(asked(client))

    shown = results.reason, repr(results.failures), repr(list(results))
    assert_hidden(caught.value, *shown, within="complete")
    assert server.received == []
    assert results.totals.answered == 0


async def asked(client: pl.Client) -> object:
    try:
        return await client.complete(pl.Request(OPENAI, {"model": "m", "messages": []}))
    finally:
        await client.close()
