"""Login: keys put into the system's keyring, and taken out of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from promptlab.errors import CredentialsError, SpecError
from promptlab.models import key_prompt, keyrings
from promptlab.models.credentials import (
    KEY_NAME,
    Credentials,
    Variables,
    environment,
)
from promptlab.models.routes import base_url_for
from promptlab.secret import Hidden, sealed_url
from promptlab.spec.address import is_loopback


@dataclass(frozen=True, repr=False)
class KeyInUse:
    """Where the key for a server comes from now; the key itself is not in it."""

    base_url: str
    source: str
    """Where it comes from; empty if there is none."""
    ending: str
    """Its last four characters; empty where it is too short to show any."""
    note: str = ""
    """What was done; or, where there is no key, what would do."""

    def __repr__(self) -> str:
        ending = f" (…{self.ending})" if self.ending else ""
        use = f"in use for {self.base_url}: {self.source}{ending}{self._doubt}"
        return "; ".join(filter(None, (self.note, use if self.source else "")))

    @property
    def _doubt(self) -> str:
        """That what was found may not be a key; empty where it looks like one."""
        if not self.ending and not is_loopback(self.base_url):
            return ", which is short for a key: is it one?"
        return ", which looks like a placeholder" if self.ending.endswith(">") else ""


def login(
    base_url: str | None = None,
    *,
    show: bool = False,
    env_file: str | Path | None = None,
) -> KeyInUse:
    """Asks for the API key of a server and stores it in the system's keyring. The
    result says which source is in use; with `show` nothing else is done.

    Nothing is stored if nothing is typed. Without a base URL the server is that of
    $OPENAI_BASE_URL, else OpenAI. Where standard input is neither a terminal nor a
    notebook's, the key is its first line.

    Raises:
        CredentialsError: there is no keyring, or it is locked or broken; nobody can be
            asked; what was typed is not a key; the server is on this machine.
        SpecError: the base URL is not valid.
    """
    base_url = sealed_url(base_url)
    variables = environment(env_file)
    hint = "call pl.login() and it asks for it"
    base_url = _server(base_url, variables, "login", hint)
    if show:
        return _in_use(base_url, variables)
    if is_loopback(base_url):
        raise CredentialsError(
            f"{base_url} is on this machine, and is not looked up in the keyring; name "
            "the variable of its key in api_key_env=, if it needs one"
        )
    _check_keyring(base_url)  # before anyone types
    try:
        key = key_prompt.read_key(f"API key for {base_url} (not shown): ")
    except (NotImplementedError, EOFError):
        key = None
    if not key:
        raise CredentialsError(
            "no key was typed, so none is stored; `python -m promptlab login` in a "
            "terminal asks for one"
        )
    keyrings.store(base_url, key)
    return replace(_in_use(base_url, variables), note="stored in the keyring")


def logout(
    base_url: str | None = None, *, env_file: str | Path | None = None
) -> KeyInUse:
    """Removes the API key of a server from the system's keyring, and forgets one that
    was typed in this session. The result says which source is in use now.

    Raises:
        CredentialsError: there is no keyring, or it is locked or broken.
        SpecError: the base URL is not valid.
    """
    base_url = sealed_url(base_url)
    variables = environment(env_file)
    hint = "name the server, and its key is removed"
    base_url = _server(base_url, variables, "logout", hint)
    forgotten = key_prompt.forget(base_url)
    _check_keyring(base_url)
    removed = keyrings.remove(base_url)
    done = "the key was removed" if removed or forgotten else "there was no key"
    now = _in_use(base_url, variables)
    return replace(now, note="; ".join(filter(None, (done, now.note))))


def _server(
    base_url: str | None, variables: Variables, function: str, hint: str
) -> str:
    """The base URL that is given, else the one in use; refuses what may be a key."""
    given = base_url is None or isinstance(base_url, str)
    if not given or isinstance(base_url, Hidden):
        raise SpecError(
            f"the first argument of {function} is a base URL, such as "
            f"'https://api.openai.com/v1', and not the key; {hint}"
        )
    return base_url_for("", base_url, variables)


def _check_keyring(base_url: str) -> None:
    try:
        keyrings.stored(base_url)
    except CredentialsError as error:
        raise CredentialsError(
            f"{error}; a key can also be in the environment or in .env, as "
            f"{KEY_NAME} or what api_key_env= names"
        ) from None


def _in_use(base_url: str, variables: Variables) -> KeyInUse:
    key = Credentials(variables=variables, base_urls=[base_url]).key(base_url)
    if key.secret is None:
        return KeyInUse(base_url, "", "", note=key.said)
    return KeyInUse(base_url, key.said, key.secret.ending)
