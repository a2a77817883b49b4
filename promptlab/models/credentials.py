"""Credentials: which API key and headers go to a server, and where they come from.

A key belongs to a server. The sources are, in this order, `api_key=`, the environment,
the keyring's entry for the base URL, the `.env` file, and what was typed in.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from promptlab.errors import CredentialsError, SpecError
from promptlab.models import key_prompt, keyrings
from promptlab.models.redaction import authenticates
from promptlab.models.routes import base_url_for
from promptlab.paths import user_path
from promptlab.secret import Hidden, Secret
from promptlab.spec.address import OFFLINE_SCHEME, canonical_url, is_local, is_loopback

T = TypeVar("T")

KEY_NAME, URL_NAME = "OPENAI_API_KEY", "OPENAI_BASE_URL"
"""The variables of OpenAI's key, and of the server that it is for instead."""

ACCOUNT = {
    "OpenAI-Organization": "OPENAI_ORG_ID",
    "OpenAI-Project": "OPENAI_PROJECT_ID",
}
"""Headers, and the variables that they come from."""

HEADERS_NAME = "OPENAI_CUSTOM_HEADERS"
"""The variable of further headers: lines of `name: value`, as the SDK reads it."""

Headers = Mapping[str, str | Mapping[str, str]]
"""Values of headers by name, for all servers, or headers by base URL."""

UNUSED = "unused"
"""What is sent as the key to a server that needs none."""

TYPED, NOT_NEEDED = "typed in, for this session", "no key is needed"


class Variables(Mapping[str, str]):
    """The environment variables, over those of a `.env` file. Keys are among them, so
    no value is shown."""

    def __init__(self, environment: Mapping[str, str], file: Mapping[str, str]) -> None:
        self._environment = {name: Hidden(v) for name, v in environment.items()}
        self._file = {name: Hidden(value) for name, value in file.items()}

    def parts(self) -> tuple[Variables, Variables]:
        """Those of the environment alone, and those of the file alone."""
        return Variables(self._environment, {}), Variables({}, self._file)

    def secret(self, name: str) -> Secret | None:
        """The key in a variable; None if it is not there, or blank."""
        return Secret(self[name]) if self.get(name, "").strip() else None

    def send_to(self, base_url: str) -> bool:
        """Whether they name the base URL as the one for requests."""
        try:
            return canonical_url(self.get(URL_NAME, "")) == base_url
        except SpecError:
            return False

    def __getitem__(self, name: str) -> Hidden:
        known = self._environment if name in self._environment else self._file
        return known[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._file | self._environment)

    def __len__(self) -> int:
        return len(self._file | self._environment)

    def __repr__(self) -> str:
        return f"Variables({len(self)} names)"


def environment(env_file: str | Path | None = None) -> Variables:
    """The environment variables, over those of a `.env` file; nothing is set.

    The file is the one given, or `.env` in the working directory if there is one.

    Raises:
        SpecError: the file given cannot be read.
    """
    from dotenv import dotenv_values

    path = user_path(env_file or ".env")
    if env_file is None and not path.is_file():
        return Variables(os.environ, {})
    try:
        with path.open(encoding="utf-8") as file:
            values = dotenv_values(stream=file, interpolate=False)
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise SpecError(f"env file {path} cannot be read: {reason}") from None
    return Variables(
        os.environ, {name: v for name, v in values.items() if v is not None}
    )


@dataclass(frozen=True, repr=False)
class Key:
    """The API key for a server, and where it comes from."""

    base_url: str
    secret: Secret | None = field(repr=False)
    source: str
    """Where it comes from; empty if not found."""
    note: str = ""
    """If there is no key, what was looked at and how to give one; after `pl.login` and
    `pl.logout`, what was done."""

    @property
    def found(self) -> Secret:
        """The key; raises `CredentialsError` if there is none."""
        if self.secret is None:
            raise CredentialsError(self.note)
        return self.secret

    def __repr__(self) -> str:
        if self.secret is None:
            return self.note
        use = f"in use for {self.base_url}: {self.source}"
        if ending := self.secret.ending:
            use += f" (…{ending})"
        if ending.endswith(">"):
            use += ", which looks like a placeholder"
        elif not ending and not is_loopback(self.base_url):
            use += ", which is short for a key: is it one?"
        return f"{self.note}; {use}" if self.note else use


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """The sources that API keys and headers are looked up in."""

    variables: Variables
    base_urls: Collection[str]
    """Where requests go."""
    api_key: Secret | Mapping[str, Secret] | None = None
    """The key that was given, or that of each base URL."""
    api_key_env: str | Mapping[str, str] | None = None
    """The variable that was named, or that of each base URL."""
    headers: Headers = field(default_factory=dict, repr=False)
    """Further ones that were given."""

    def check(self) -> None:
        """Raises `SpecError` if it is not clear which server a given key is for."""
        if len(servers := self._elsewhere) < 2:
            return
        where = f"requests go to {' and '.join(servers)}"
        for name in filter(authenticates, self._for_all):
            raise SpecError(
                f"the header {name!r} may hold a key, and {where}: give headers="
                f"{{base_url: {{{name!r}: ...}}}} for each"
            )
        for option in ("api_key", "api_key_env"):
            if isinstance(getattr(self, option), (Secret, str)):
                raise SpecError(
                    f"{option}= is for one server, and {where}: give {option}="
                    "{base_url: ...} for each"
                )

    def key(self, base_url: str) -> Key:
        """The key for a base URL: of the first source that has one."""
        for secret, source in self._sources(base_url):
            if secret is not None:
                return Key(base_url, secret, source)
        return Key(base_url, None, "", note=source)

    def headers_to(self, base_url: str) -> dict[str, str]:
        """The further headers of requests to a base URL. Those that may hold a key go
        where a key would."""
        openais = self._is_openais(base_url) or self.variables.send_to(base_url)
        given = {
            name: value
            for name, value in self._for_all.items()
            if self._is_meant(base_url) or not authenticates(name)
        }
        for url, own in self.headers.items():
            if not isinstance(own, str) and canonical_url(url) == base_url:
                given |= own
        return {**(self._account if openais else {}), **given}

    def _sources(self, base_url: str) -> Iterator[tuple[Secret | None, str]]:
        """The key of each source, in order, and its name; last, None and what to do if
        none has one.

        A server on this machine needs no key unless a variable is named for it, and is
        not looked up in the keyring, which someone might have to unlock for it.
        """
        if base_url.startswith(OFFLINE_SCHEME):
            yield Secret(UNUSED), NOT_NEEDED
        yield _entry(self.api_key, base_url, self._is_meant(base_url)), "api_key="
        named = _entry(self.api_key_env, base_url, self._is_meant(base_url))
        name = named or KEY_NAME
        environment, file = self.variables.parts()
        where = ""
        if named or self._is_openais(base_url) or environment.send_to(base_url):
            where = "in the environment or in .env"
            yield environment.secret(name), f"{name} in the environment"
        problem = ""
        if not is_loopback(base_url):
            stored, problem = keyrings.look_up(base_url)
            yield stored, "the keyring"
        # A file may be part of someone else's project: the base URL in it gets the key
        # in it, and none from elsewhere.
        if where or file.send_to(base_url):
            where = where or f"in the .env file, where {URL_NAME} is"
            yield file.secret(name), f"{name} in the .env file"
        yield key_prompt.typed(base_url), TYPED
        if is_loopback(base_url) and not named:
            yield Secret(UNUSED), NOT_NEEDED
        yield None, self._advice(base_url, name, where, problem)

    def _advice(self, base_url: str, name: str, where: str, problem: str) -> str:
        """The message if there is no key. The variable is only for that server if
        `where` says where it belongs."""
        ways = f"set {name} {where}"
        if not where:
            ways = f"{name} is sent to OpenAI alone; name another in api_key_env="
        usual = base_url == base_url_for("", None, self.variables)
        python = "pl.login()" if usual else f"pl.login({base_url!r})"
        option = "" if usual else f" --base-url {base_url}"
        return (
            f"no API key for {base_url}: {ways}, or pass api_key=, or store one with "
            f"{python} or `python -m promptlab login{option}`"
            f"{f' ({problem})' if problem else ''}; to try without one, use the model "
            "'offline/small'"
        )

    def _is_meant(self, base_url: str) -> bool:
        """Whether a key given without a base URL is for this one: if others are called,
        servers on this machine do not get it."""
        return not self._elsewhere or not is_local(base_url)

    @property
    def _account(self) -> dict[str, str]:
        """The headers in the environment, for OpenAI's server or the one instead."""
        lines = self.variables.get(HEADERS_NAME, "").splitlines()
        pairs = [line.split(":", 1) for line in lines if ":" in line]
        pairs += [[name, self.variables.get(of, "")] for name, of in ACCOUNT.items()]
        return {
            name.strip(): Hidden(value.strip())
            for name, value in pairs
            if value.strip() and name.strip().lower() != "authorization"
        }

    @property
    def _for_all(self) -> dict[str, str]:
        """The headers that were given without a base URL."""
        return {n: value for n, value in self.headers.items() if isinstance(value, str)}

    def _is_openais(self, base_url: str) -> bool:
        """Whether $OPENAI_API_KEY is for it: OpenAI's server, or one on this machine if
        no other is called."""
        if is_loopback(base_url):
            return not self._elsewhere
        return f".{urlsplit(base_url).hostname}".endswith(".openai.com")

    @property
    def _elsewhere(self) -> list[str]:
        """The base URLs on other machines, one for each machine."""
        hosts = {urlsplit(u).netloc: u for u in self.base_urls if not is_local(u)}
        return sorted(hosts.values())


def asked(key: Key) -> Key:
    """The same with the key that the user types; unchanged if nothing is typed.

    Raises:
        CredentialsError: what was typed is not a key.
    """
    secret = key_prompt.ask(key.base_url)
    return key if secret is None else replace(key, secret=secret, source=TYPED, note="")


def _entry(given: T | Mapping[str, T] | None, base_url: str, meant: bool) -> T | None:
    """What was given for a base URL."""
    if isinstance(given, Mapping):
        return {canonical_url(url): one for url, one in given.items()}.get(base_url)
    return given if meant else None


OWNERS = {
    "ANTHROPIC CLAUDE": "anthropic.com claude.com",
    "AWS AMAZON BEDROCK": "amazonaws.com api.aws",
    "AZURE AZUREAI": "azure.com azure-api.net microsoft.com",
    "CEREBRAS": "cerebras.ai",
    "CLOUDFLARE": "cloudflare.com",
    "COHERE": "cohere.com cohere.ai",
    "DATABRICKS": "databricks.com azuredatabricks.net",
    "DEEPSEEK": "deepseek.com",
    "DIGITALOCEAN": "digitalocean.com do-ai.run",
    "DOCKER DOCKERHUB": "docker.com docker.io",
    "FIREWORKS": "fireworks.ai",
    "GITHUB GH": "github.com github.ai githubcopilot.com azure.com",
    "GITLAB CI_JOB": "gitlab.com",
    "GOOGLE GEMINI GCP GCLOUD VERTEX": "googleapis.com google.com",
    "GROQ": "groq.com",
    "HF HUGGINGFACE HUGGINGFACEHUB HUGGING_FACE": (
        "huggingface.co huggingface.cloud hf.co hf.space"
    ),
    "MISTRAL": "mistral.ai",
    "NPM NODE_AUTH PYPI TWINE UV_PUBLISH": "",
    "NVIDIA NGC": "nvidia.com",
    "OPENAI": "openai.com openai.azure.com",
    "OPENROUTER": "openrouter.ai",
    "PERPLEXITY PPLX": "perplexity.ai",
    "PG PGPASSWORD POSTGRES MYSQL REDIS DATABASE": "",
    "REPLICATE": "replicate.com",
    "SLACK": "slack.com",
    "STRIPE": "stripe.com",
    "TOGETHER TOGETHERAI": "together.ai together.xyz",
    "VERCEL": "vercel.com vercel.sh",
    "WANDB": "wandb.ai",
    "XAI": "x.ai",
}
"""How the names of variables begin that plainly hold the key of one service, and its
hosts; none if the service has no API of models."""


def check_foreign(
    named: str | Mapping[str, str] | None,
    base_urls: Iterable[str],
    variables: Variables,
) -> None:
    """Refuses to let a file alone decide that the key of one service goes to another.

    Servers on this machine may get any, and OpenAI's key goes to $OPENAI_BASE_URL too,
    if that is set in the environment.

    Raises:
        CredentialsError: the variable `named` for one of the base URLs is such a key.
    """
    for base_url in base_urls:
        variable = _entry(named, base_url, meant=True)
        if variable is None or is_local(base_url):
            continue
        name, host = f"{variable.upper()}_", urlsplit(base_url).hostname or ""
        if name.startswith("OPENAI_") and variables.parts()[0].send_to(base_url):
            continue
        for beginnings, hosts in OWNERS.items():
            if not any(name.startswith(f"{one}_") for one in beginnings.split()):
                continue
            if any(f".{host}".endswith(f".{own}") for own in hosts.split()):
                break
            raise CredentialsError(
                f"{variable} is not sent to {host} because a file says so: by its name "
                f"it is a key for {[*hosts.split(), 'something else'][0]}; if it is "
                f"meant, say so yourself: --api-key-env {variable}, or api_key_env= in "
                "Python"
            )


def check_transport(base_url: str, *, allow_insecure: bool) -> None:
    """Refuses to send keys and prompts in clear text over a network.

    Raises:
        CredentialsError: the URL is http, not on this machine, and not allowed.
    """
    if is_safe(base_url) or allow_insecure:
        return
    raise CredentialsError(
        f"{base_url} is not encrypted: key and prompts would be readable on the way; "
        "use https, or pass allow_insecure=True (--allow-insecure) for a server you "
        "trust"
    )


def is_safe(base_url: str) -> bool:
    """Whether nothing is sent in clear text over a network."""
    return urlsplit(base_url).scheme != "http" or is_loopback(base_url)
