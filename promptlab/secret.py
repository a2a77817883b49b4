"""Secrets: API keys, kept out of every repr, traceback and pickle.

A key is a `Secret` wherever it is held, and a `Hidden` string on its way into a header:
verbose tracebacks show the local variables and the arguments of all functions. Of the
user's own code they show them too: a key that has a name there is seen.
"""

from __future__ import annotations

import asyncio
import contextvars
import hashlib
import inspect
import threading
from collections.abc import Awaitable, Callable, Hashable, Mapping
from contextlib import suppress
from typing import Any, NoReturn

from promptlab.errors import CredentialsError, SpecError

ApiKey = str | Callable[[], str | Awaitable[str]]

SHORTEST_SHOWN = 12
"""Characters of a key of which the last four are shown; of a shorter one, none."""


KEY_S = 60.0
"""How long a function that gives a key may take."""


class Hidden(str):
    """A string that shows itself as `[key]`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'[key]'"

    def __reduce_ex__(self, _: object) -> NoReturn:
        raise TypeError("an API key is not pickled")


class Secret:
    """An API key, or what gives it."""

    __slots__ = ("_source", "_turn")

    def __init__(self, source: ApiKey) -> None:
        self._source = _hidden(source)
        self._turn = asyncio.Lock()

    def check(self) -> None:
        """Raises `SpecError` if it is neither a string nor a function."""
        if not isinstance(self._source, str) and not callable(self._source):
            kind = type(self._source).__name__
            raise SpecError(f"api_key must be a string or a function, got {kind}")

    async def reveal(self, within_s: float = KEY_S) -> Hidden:
        """The key, asked for each time where it comes from a function: that runs in a
        thread, once at a time, as it may wait for a program or a network.

        Raises:
            CredentialsError: no key came, it is not a valid one, or it took too long.
        """
        given, error = self._source, None
        if isinstance(given, Hidden) and given.strip():
            return checked_key(given)
        given = _given(given)
        try:
            if callable(given):
                async with self._turn:
                    given, error = await asyncio.wait_for(_in_thread(given), within_s)
            if inspect.isawaitable(given):
                given = _given(await asyncio.wait_for(given, within_s))
        except TimeoutError:
            late = f"the function given as api_key= gave no key within {within_s:g} s"
            raise CredentialsError(late) from None
        if isinstance(error, Exception):
            raise error
        if error is not None:
            name = type(error).__name__
            raise CredentialsError(f"the function given as api_key= raised {name}")
        if not isinstance(given, str) or not given.strip():
            raise CredentialsError("api_key= gave no key")
        return checked_key(given)

    @property
    def ending(self) -> str:
        """Its last four characters; empty for a short one, or one a function gives."""
        key = self._source
        if not isinstance(key, str) or len(key.strip()) < SHORTEST_SHOWN:
            return ""
        return key.strip()[-4:]

    def digest(self, salt: bytes) -> Hashable:
        """Equal for equal keys under one salt, without saying the key; of a callable,
        itself, or where it has no hash, this secret."""
        key = self._source
        if isinstance(key, str):
            return hashlib.blake2b(key.encode(), key=salt).digest()
        return key if isinstance(key, Hashable) else self

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, _: object) -> Secret:
        return self

    def __repr__(self) -> str:
        return "Secret(…)"


def checked_key(text: str) -> Hidden:
    """The key in a string, without the blanks around it.

    Raises:
        CredentialsError: it holds characters that no key has.
    """
    text = Hidden(text.strip())
    if not text.isascii() or not text.isprintable() or " " in text:
        raise CredentialsError("the API key holds characters that no key has")
    return text


def sealed_url(base_url: Any) -> Any:
    """A base URL; hidden if it is none, as it may be a key that was given in its
    place."""
    if isinstance(base_url, bytes):
        return Hidden()
    no_url = isinstance(base_url, str) and "://" not in base_url
    return Hidden(base_url) if no_url else base_url


def sealed(options: Any) -> dict[str, Any]:
    """The options of a run, with key and headers out of sight; changed in place, as a
    traceback shows the arguments of every function that was called with them."""
    if "base_url" in options:
        options["base_url"] = sealed_url(options["base_url"])
    if isinstance(given := options.get("api_key"), Mapping):
        options["api_key"] = {url: secret_of(key) for url, key in given.items()}
    elif given is not None:
        options["api_key"] = secret_of(given)
    if isinstance(headers := options.get("headers"), Mapping):
        options["headers"] = _hidden(headers)
    sealed_options: dict[str, Any] = options
    return sealed_options


def secret_of(key: Secret | ApiKey) -> Secret:
    """A key, or a function that gives it, out of sight."""
    return key if isinstance(key, Secret) else Secret(key)


async def _in_thread(give: Callable[[], Any]) -> tuple[Any, BaseException | None]:
    """What a function gives or raises, called in a thread that holds up neither the
    event loop nor the end of the process."""
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[tuple[Any, BaseException | None]] = loop.create_future()

    def call() -> None:
        key: Any = None
        raised: BaseException | None = None
        try:
            key = _given(give())
        except BaseException as error:
            raised = error
        with suppress(RuntimeError):  # the loop is closed: nobody waits
            loop.call_soon_threadsafe(settle, key, raised)

    def settle(key: Any, raised: BaseException | None) -> None:
        if not outcome.done():
            outcome.set_result((key, raised))

    run = contextvars.copy_context().run
    threading.Thread(target=run, args=(call,), daemon=True).start()
    return await outcome


def _given(value: Any) -> Any:
    """A key, or what gives one; None for anything else, which could be a key too."""
    known = callable(value) or inspect.isawaitable(value)
    return value if known else _hidden(value) if isinstance(value, str) else None


def _hidden(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _hidden(part) for name, part in value.items()}
    return Hidden(value) if isinstance(value, str) else value
