"""Keyrings: keys that the system keeps, through the optional package `keyring`.

The entry of a server is under the service `promptlab` and its base URL. A keyring may
have to be unlocked by the user, or may never answer: it is called in a thread of its
own, with a timeout.
"""

from __future__ import annotations

import threading
import warnings
from concurrent.futures import Future
from typing import Any

from promptlab.errors import CredentialsError, PromptlabWarning
from promptlab.secret import Hidden, Secret

SERVICE = "promptlab"

PATIENCE_S = 30.0
"""How long an answer may take: someone may have to type a password."""

_unanswered: list[Future[Any]] = []
"""Calls that the keyring did not answer in time."""


def look_up(
    base_url: str, *, patience_s: float = PATIENCE_S
) -> tuple[Secret | None, str]:
    """The key of a server, None if there is none; and what is wrong with the keyring,
    empty if it works."""
    try:
        key = call("get_password", base_url, patience_s=patience_s)
    except CredentialsError as error:
        return None, str(error)
    return (Secret(key) if key else None), ""


def store(base_url: str, key: Hidden) -> None:
    """Stores the key of a server, in place of the one before.

    Raises:
        CredentialsError: it cannot be kept.
    """
    call("set_password", base_url, key)
    if call("get_password", base_url) != key:
        raise CredentialsError("the keyring of this machine keeps nothing")


def call(
    function: str, base_url: str, *values: Hidden, patience_s: float = PATIENCE_S
) -> Any:
    """The result of a function of the package `keyring` for a server. Warns if there is
    none in time.

    Raises:
        CredentialsError: there is no keyring, or it is locked, broken or silent.
    """
    _unanswered[:] = [answer for answer in _unanswered if not answer.done()]
    if _unanswered:  # else each run would wait for it again
        raise CredentialsError("the keyring has not answered so far")
    answer: Future[tuple[Any, str]] = Future()
    threading.Thread(
        target=lambda: answer.set_result(_answer(function, base_url, *values)),
        daemon=True,
    ).start()
    try:
        found, problem = answer.result(patience_s)
    except BaseException as error:
        _unanswered.append(answer)
        if not isinstance(error, TimeoutError):
            raise
        found = None
        problem = (
            f"the keyring did not answer within {patience_s:g} s; to turn it off, set "
            "PYTHON_KEYRING_BACKEND=keyring.backends.null.Keyring"
        )
        warnings.warn(problem, PromptlabWarning, stacklevel=3)
    if problem:
        raise CredentialsError(problem)
    return found


def _answer(function: str, base_url: str, *values: Hidden) -> tuple[Any, str]:
    """The result, or what went wrong: errors of a keyring may hold the key."""
    try:
        import keyring
        import keyring.errors
    except ImportError:
        return None, (
            "the package keyring is not installed: pip install -e '.[keyring]' in "
            "promptlab's folder"
        )
    try:
        found = getattr(keyring, function)(SERVICE, base_url, *map(str, values))
        return Hidden(found) if isinstance(found, str) else found, ""
    except keyring.errors.NoKeyringError:
        return None, "this machine has no keyring"
    except (keyring.errors.KeyringLocked, keyring.errors.InitError):
        return None, "the keyring is locked"
    except BaseException as error:  # a backend may raise whatever its library does
        return None, f"the keyring does not work: {type(error).__name__}"
