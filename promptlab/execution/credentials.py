"""Credentials: where API keys come from, and where they may go."""

from __future__ import annotations

import hashlib
import inspect
import os
from collections.abc import Awaitable, Callable, Hashable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from promptlab.errors import CredentialsError, SpecError
from promptlab.spec.address import is_loopback

ApiKey = str | Callable[[], str | Awaitable[str]]


class Secret:
    """An API key, or what gives it; its text stays out of every repr and traceback."""

    __slots__ = ("_source",)

    def __init__(self, source: ApiKey) -> None:
        self._source = source

    async def reveal(self) -> str:
        """The key, asked for anew each time where it comes from a callable.

        Raises:
            CredentialsError: the callable gave no text.
        """
        key = self._source if isinstance(self._source, str) else self._source()
        if inspect.isawaitable(key):
            key = await key
        if not isinstance(key, str) or not key.strip():
            raise CredentialsError("api_key= gave no key")
        if not key.strip().isascii() or not key.strip().isprintable():
            raise CredentialsError("the API key holds characters that no key has")
        return key.strip()

    def sealed(self, salt: bytes) -> Hashable:
        """Equal for equal keys under one salt, without saying the key; of a callable,
        itself."""
        if isinstance(self._source, str):
            return hashlib.blake2b(self._source.encode(), key=salt).digest()
        return self._source

    def __repr__(self) -> str:
        return "Secret(…)"


def environment(env_file: str | Path | None = None) -> dict[str, str]:
    """The environment variables, over those of a `.env` file; nothing is set.

    The file is the one given, or `.env` in the working directory if there is one.

    Raises:
        SpecError: the file given cannot be read.
    """
    from dotenv import dotenv_values

    path = Path(env_file or ".env")
    if env_file is None and not path.is_file():
        return dict(os.environ)
    try:
        with path.open(encoding="utf-8") as file:
            values = dotenv_values(stream=file, interpolate=False)
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise SpecError(f"env file {path} cannot be read: {reason}") from error
    return {n: v for n, v in values.items() if v is not None} | dict(os.environ)


def find_key(
    api_key: ApiKey | None,
    variables: Mapping[str, str],
    base_url: str,
    name: str = "OPENAI_API_KEY",
) -> Secret:
    """The key for a base URL: the one given, else from the environment.

    A server on this machine needs none.

    Raises:
        CredentialsError: there is none.
    """
    if api_key is not None:
        return Secret(api_key)
    if found := variables.get(name, "").strip():
        return Secret(found)
    if is_loopback(base_url):
        return Secret("none-needed")
    raise CredentialsError(
        f"no API key for {base_url}: set {name} in the environment or in .env, or pass "
        "api_key=; to try without one, use the model 'offline/small'"
    )


def check_transport(base_url: str, *, allow_insecure: bool) -> None:
    """Refuses to send keys and prompts in clear text over a network.

    Raises:
        CredentialsError: the URL is http, not on this machine, and not allowed.
    """
    if urlsplit(base_url).scheme != "http" or is_loopback(base_url) or allow_insecure:
        return
    raise CredentialsError(
        f"{base_url} is not encrypted: key and prompts would be readable on the way; "
        "use https, or pass allow_insecure=True for a server you trust"
    )
