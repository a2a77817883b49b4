"""Login: keys put into the system's keyring, and taken out of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from promptlab.errors import CredentialsError, SpecError
from promptlab.models import key_prompt, keyrings
from promptlab.models.credentials import (
    KEY_NAME,
    Credentials,
    Key,
    Variables,
    environment,
)
from promptlab.models.routes import base_url_for
from promptlab.secret import Hidden, sealed_url
from promptlab.spec.address import is_loopback


def login(
    base_url: str | None = None,
    *,
    show: bool = False,
    env_file: str | Path | None = None,
) -> Key:
    """Ask for the API key of a server and store it in the system's keyring. The result
    names the source in use; with `show` nothing else is done.

    Nothing is stored if nothing is typed. Without a base URL the server is that of
    $OPENAI_BASE_URL, else OpenAI. If standard input is neither a terminal nor a
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
    _has_key(base_url)  # fails before anyone types
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


def logout(base_url: str | None = None, *, env_file: str | Path | None = None) -> Key:
    """Remove the API key of a server from the system's keyring, and forget one that was
    typed in this session. The result names the source in use now.

    Raises:
        CredentialsError: there is no keyring, or it is locked or broken.
        SpecError: the base URL is not valid.
    """
    base_url = sealed_url(base_url)
    variables = environment(env_file)
    hint = "name the server, and its key is removed"
    base_url = _server(base_url, variables, "logout", hint)
    forgotten = key_prompt.forget(base_url)
    if stored := _has_key(base_url):
        keyrings.call("delete_password", base_url)
    done = "the key was removed" if stored or forgotten else "there was no key"
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


def _has_key(base_url: str) -> bool:
    """Whether the keyring has a key; `CredentialsError` if it does not work."""
    secret, problem = keyrings.look_up(base_url)
    if problem:
        raise CredentialsError(
            f"{problem}; a key can also be in the environment or in .env, as "
            f"{KEY_NAME} or what api_key_env= names"
        )
    return secret is not None


def _in_use(base_url: str, variables: Variables) -> Key:
    return Credentials(variables=variables, base_urls=[base_url]).key(base_url)
