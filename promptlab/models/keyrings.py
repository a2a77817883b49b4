"""Keyrings: keys that the system keeps, through the optional package `keyring`.

The entry of a server is under the service `promptlab` and its base URL. A keyring may
have to be unlocked by the user, or never answer where nobody can: it is asked in a
thread of its own, and waited for so long and no longer.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar, cast

from promptlab.errors import CredentialsError, PromptlabWarning
from promptlab.secret import Hidden, Secret

T = TypeVar("T")

SERVICE = "promptlab"

PATIENCE_S = 30.0
"""How long an answer may take: someone may have to type a password."""

NOT_INSTALLED = (
    "the package keyring is not installed: pip install -e '.[keyring]' in promptlab's "
    "folder"
)


def look_up(
    base_url: str, *, patience_s: float = PATIENCE_S
) -> tuple[Secret | None, str]:
    """The key of a server, if there is one, and why it could not be found. Warns where
    the keyring did not answer in time."""
    try:
        return stored(base_url, patience_s=patience_s), ""
    except _NoAnswerError as error:
        warnings.warn(str(error), PromptlabWarning, stacklevel=2)
        return None, str(error)
    except CredentialsError as error:
        return None, str(error)


def stored(base_url: str, *, patience_s: float = PATIENCE_S) -> Secret | None:
    """The key of a server; None if there is none.

    Raises:
        CredentialsError: there is no keyring, or it is locked or broken.
    """

    def secret(keyring: Any) -> Secret | None:
        key = keyring.get_password(SERVICE, base_url)
        return Secret(key) if key else None

    return _asked(secret, patience_s)


def store(base_url: str, key: Hidden) -> None:
    """Keeps the key of a server, in place of the one before.

    Raises:
        CredentialsError: it cannot be kept.
    """

    def kept(keyring: Any) -> bool:
        keyring.set_password(SERVICE, base_url, str(key))
        return bool(keyring.get_password(SERVICE, base_url) == key)

    if not _asked(kept):
        raise CredentialsError("the keyring of this machine keeps nothing")


def remove(base_url: str) -> bool:
    """Removes the key of a server; whether there was one.

    Raises:
        CredentialsError: there is no keyring, or it is locked or broken.
    """

    def removed(keyring: Any) -> bool:
        if keyring.get_password(SERVICE, base_url) is None:
            return False
        keyring.delete_password(SERVICE, base_url)
        return True

    return _asked(removed)


class _NoAnswerError(CredentialsError):
    """The keyring did not answer in time."""


_unanswered: list[Future[Any]] = []
"""Questions that the keyring did not answer in time."""


def _asked(ask: Callable[[Any], T], patience_s: float = PATIENCE_S) -> T:
    """What the keyring answers. Its own errors may hold anything, so they stay here."""
    _unanswered[:] = [answer for answer in _unanswered if not answer.done()]
    if _unanswered:
        raise CredentialsError("the keyring has not answered so far")
    answer: Future[tuple[T | None, str]] = Future()
    threading.Thread(
        target=lambda: answer.set_result(_answer(ask)), daemon=True
    ).start()
    try:
        found, trouble = answer.result(patience_s)
    except BaseException as error:
        _unanswered.append(answer)  # else each run would wait for it again
        if not isinstance(error, TimeoutError):
            raise
        raise _NoAnswerError(
            f"the keyring did not answer within {patience_s:g} s; with "
            "PYTHON_KEYRING_BACKEND=keyring.backends.null.Keyring it is left alone"
        ) from None
    if trouble:
        raise CredentialsError(trouble)
    return cast(T, found)


def _answer(ask: Callable[[Any], T]) -> tuple[T | None, str]:
    """What the keyring answers, or why it does not."""
    try:
        import keyring
        import keyring.errors
    except ImportError:
        return None, NOT_INSTALLED
    try:
        return ask(keyring), ""
    except keyring.errors.NoKeyringError:
        return None, "this machine has no keyring"
    except (keyring.errors.KeyringLocked, keyring.errors.InitError):
        return None, "the keyring is locked"
    except BaseException as error:  # a backend may raise whatever its library does
        return None, f"the keyring does not work: {type(error).__name__}"
