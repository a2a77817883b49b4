"""Fixtures: one server for the folder, clients of it, and a short way to ask."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import openai
import pytest
from openai.types.chat import ChatCompletion

from promptlab.offline import Faults, OfflineServer

Ask = Callable[..., str]
Hello = Callable[..., ChatCompletion]
ClientOf = Callable[..., AbstractContextManager[openai.OpenAI]]
Faulty = Callable[[Faults], AbstractContextManager[tuple[OfflineServer, openai.OpenAI]]]


@contextmanager
def _client_of(
    server: OfflineServer, *, api_key: str = "offline"
) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(
        base_url=server.base_url, api_key=api_key, max_retries=0
    ) as client:
        yield client


@contextmanager
def _faulty(faults: Faults) -> Iterator[tuple[OfflineServer, openai.OpenAI]]:
    with OfflineServer(faults).in_thread() as server, _client_of(server) as client:
        yield server, client


def _hello(client: openai.OpenAI, **parameters: Any) -> ChatCompletion:
    greeting = {"role": "user", "content": "Hello"}
    request = {"model": "offline/small", "messages": [greeting], **parameters}
    return client.chat.completions.create(**request)


@pytest.fixture(scope="package")
def client_of() -> ClientOf:
    """The official client of a server, without retries of its own."""
    return _client_of


@pytest.fixture(scope="package")
def faulty() -> Faulty:
    """Starts a server with faults, and a client of it."""
    return _faulty


@pytest.fixture(scope="package")
def hello() -> Hello:
    """Sends any chat request."""
    return _hello


@pytest.fixture(scope="package")
def server() -> Iterator[OfflineServer]:
    with OfflineServer().in_thread() as server:
        yield server


@pytest.fixture(scope="package")
def client(server: OfflineServer) -> Iterator[openai.OpenAI]:
    with _client_of(server) as client:
        yield client


@pytest.fixture(scope="package")
def ask(client: openai.OpenAI) -> Ask:
    """Asks a question, or a conversation, at temperature 0; the text answered."""

    def ask(*turns: str, system: str | None = None, **parameters: Any) -> str:
        roles = ("user", "assistant")
        messages = [{"role": "system", "content": system}] if system else []
        messages += [
            {"role": roles[at % 2], "content": turn} for at, turn in enumerate(turns)
        ]
        reply = client.chat.completions.create(
            **{
                "model": "offline/large",
                "temperature": 0,
                "messages": messages,
                **parameters,
            }
        )
        return reply.choices[0].message.content or ""

    return ask
