"""RunOptions: how an experiment is run, as opposed to what is asked."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from promptlab.errors import PromptlabWarning, SpecError, did_you_mean
from promptlab.execution.progress import Progress
from promptlab.models.client import Client, OpenAIClient
from promptlab.models.credentials import (
    Credentials,
    Headers,
    Key,
    Variables,
    check_transport,
    environment,
    is_safe,
)
from promptlab.models.routes import route
from promptlab.money.budget import Limits, check_amount
from promptlab.money.price_file import PricesOption, prices_in_force
from promptlab.money.prices import Prices
from promptlab.results.costs import Pricing
from promptlab.secret import Secret, sealed
from promptlab.spec.address import canonical_url
from promptlab.spec.experiment import Experiment, Requests
from promptlab.store.cache import ResponseCache
from promptlab.store.wire_names import known_names

ProgressOption = bool | Literal["auto"] | Callable[[Progress], None]


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """The options of `run`, `arun`, `start` and `plan`. None of them changes a key but
    `base_url`."""

    base_url: str | None = None
    """Where to send requests; else $OPENAI_BASE_URL, else OpenAI. Models whose names
    begin with `offline/` are answered in the process unless it is given."""
    api_key: Secret | Mapping[str, Secret] | None = field(default=None, repr=False)
    """The key, or a function that gives it (it may be async); else the environment, the
    keyring, the `.env` file. A grid of several servers: `{base_url: key}`."""
    api_key_env: str | Mapping[str, str] | None = None
    """The environment variable that holds the key, or `{base_url: variable}`. Else it
    is OPENAI_API_KEY, which is sent to OpenAI, to $OPENAI_BASE_URL or to a server on
    this machine, and to no other."""
    env_file: str | Path | None = None
    """A file of environment variables; else `.env`, where there is one."""
    headers: Headers | None = field(default=None, repr=False)
    """Further headers of every request, or `{base_url: headers}`. Where requests go to
    several servers, those that may hold a key are given for each."""
    client: Client | None = None
    """What answers instead: an `SDKClient`, or a client of your own."""
    allow_insecure: bool = False
    """Whether http:// may be used to other machines."""

    max_concurrency: int = 32
    """The most calls in flight at once. The runner starts with fewer and adapts."""
    rpm: float | None = None
    """Requests per minute: an own limit for each model, beside the server's."""
    tpm: float | None = None
    """Tokens per minute: an own limit for each model, beside the server's. A call
    counts with what it sends or may be answered, whichever is more, as servers charge
    it; what it takes beyond that, from its answer on."""
    leader_first: bool = True
    """Of calls whose prompts share their first 1,024 tokens or more, one is sent first
    and the others when it is answered, so that the provider's prompt cache serves them;
    False sends all of them in the order of trials."""
    timeout_s: float = 600.0
    """How long one call may take."""
    max_attempts: int = 6
    """How often a call is made at most, the first time included. Refusals for the rate
    (429) do not count: such a call is made again as long as `max_wait_s` allows."""
    max_wait_s: float = 300.0
    """How long a call may wait between its attempts, all in all, in seconds. A server
    that lets the next call start only after longer than this ends the run."""

    cache: ResponseCache | str | os.PathLike[str] | None = None
    """The cache or its folder; else `cache` in `.promptlab` or $PROMPTLAB_HOME."""
    use_cache: bool = True
    """False reads nothing from the cache and stores nothing in it."""
    refresh: bool = False
    """True asks everything anew, and stores the new answers in place of the old."""
    offline: bool = False
    """True makes no call: what is not cached fails."""
    record: bool = True
    """Whether the run leaves a record in `.promptlab/runs`."""

    prices: PricesOption | None = None
    """Own prices, over the list prices: a mapping as `Prices.of` takes it, or a TOML
    file of them; else `prices.toml`, where there is one."""

    budget_usd: float | None = None
    """The most that this run may spend, in US dollars. The worst case of each call,
    all of max_tokens, is reserved before it is sent; a run that reaches it stops, and
    goes on where it stopped when it is run again."""
    budget_tokens: float | None = None
    """The most tokens that this run may take, of input and output together."""

    progress: ProgressOption = "auto"
    """Where progress is shown: False nowhere, a function gets each `Progress`."""

    def __post_init__(self) -> None:
        _positive(self, "max_concurrency", "max_attempts", whole=True)
        _positive(self, "timeout_s")
        _positive(self, "rpm", "tpm", optional=True)
        check_amount("budget_usd", self.budget_usd)
        check_amount("budget_tokens", self.budget_tokens, whole=True)
        if self.max_wait_s < 0:
            raise SpecError(
                f"max_wait_s: expected a number >= 0, got {self.max_wait_s!r}"
            )
        if self.offline and (self.refresh or not self.use_cache):
            raise SpecError(
                "offline=True answers from the cache alone; it goes with neither "
                "refresh=True nor use_cache=False"
            )
        given = self.api_key
        for secret in given.values() if isinstance(given, Mapping) else [given]:
            if secret is not None:
                secret.check()
        if self.client is not None:
            _check_client(self.client)
            if self.base_url is not None:
                raise SpecError("base_url= and client= exclude each other")

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> RunOptions:
        """RunOptions from keyword arguments; an unknown one is a `SpecError`."""
        known = [f.name for f in fields(cls)]
        for name in options:
            if name not in known:
                raise SpecError(
                    f"no option {name!r}"
                    + (did_you_mean(name, known) or f"; there are {', '.join(known)}")
                )
        return cls(**sealed(dict(options)))

    @cached_property
    def variables(self) -> Variables:
        """The environment, with what the `.env` file adds."""
        return environment(self.env_file)

    @property
    def limits(self) -> Limits:
        """What this run may spend."""
        given = self.budget_usd, self.budget_tokens
        return Limits(*(math.inf if limit is None else limit for limit in given))

    def route(self, model: str) -> str:
        """The base URL that requests to a model are keyed with and sent to."""
        if self.client is not None:
            return canonical_url(self.client.base_url)
        return route(model, self.base_url, self.variables)

    @cached_property
    def prices_in_force(self) -> Prices:
        """The prices that calls are reckoned with."""
        return prices_in_force(self.prices)

    def pricing(self, experiment: Experiment) -> Pricing:
        """The prices that the experiment's answers are reckoned with. It warns of a
        name in `prices=` that seems to be mistyped; `prices.toml` is for all models."""
        if isinstance(self.prices, Mapping):
            asked = {variant.model for variant in experiment.effective_variants}
            if said := self.prices_in_force.misnamed(sorted(asked)):
                warnings.warn(said, PromptlabWarning, stacklevel=1)  # once a process
        models = [level.value for level in experiment.grid.levels("model")]
        routes = {model: self.route(model) for model in models}
        return Pricing(experiment, self.prices_in_force, routes)

    def requests(self, experiment: Experiment) -> Requests:
        """The experiment's requests under these options."""
        return Requests(experiment, self.route, known_names())

    def keys(self, requests: Requests) -> dict[str, Key]:
        """The key of each server that may be called, or why there is none. It may take
        until the user has unlocked a keyring.

        Raises:
            SpecError: it cannot be told whose key was given.
        """
        if self.client is not None or self.offline:
            return {}
        credentials = self._credentials(requests)
        credentials.check()
        return {
            base_url: credentials.key(base_url)
            for base_url in credentials.base_urls
            if is_safe(base_url) or self.allow_insecure
        }

    def opened_client(self, requests: Requests, keys: Mapping[str, Key]) -> Client:
        """The client that the run calls; made in the loop that uses it.

        Raises:
            CredentialsError: a key is missing, or would travel in clear text.
        """
        if self.client is not None:
            return self.client
        credentials = self._credentials(requests)
        for base_url in credentials.base_urls:
            check_transport(base_url, allow_insecure=self.allow_insecure)
        return OpenAIClient(
            {base_url: keys[base_url].found for base_url in credentials.base_urls},
            headers={url: credentials.headers_to(url) for url in credentials.base_urls},
            timeout_s=self.timeout_s,
        )

    def _credentials(self, requests: Requests) -> Credentials:
        return Credentials(
            variables=self.variables,
            base_urls=list(dict.fromkeys(url for url, _ in requests.destinations())),
            api_key=self.api_key,
            api_key_env=self.api_key_env,
            headers=self.headers or {},
        )


def _check_client(client: object) -> None:
    """Raises a `SpecError` where `client` is none, such as a client of the SDK."""
    if not (
        isinstance(getattr(client, "base_url", None), str)
        and callable(getattr(client, "complete", None))
    ):
        found = repr(client) if isinstance(client, type) else type(client).__name__
        raise SpecError(
            "client=: expected a client, such as pl.SDKClient(openai.AsyncOpenAI(...)) "
            f"or pl.OpenAIClient({{base_url: key}}), got {found}"
        )


def _positive(
    options: RunOptions,
    *names: str,
    whole: bool = False,
    optional: bool = False,
) -> None:
    for name in names:
        value = getattr(options, name)
        if optional and value is None:
            continue
        kinds = (int,) if whole else (int, float)
        number = isinstance(value, kinds) and not isinstance(value, bool)
        if not number or not value > 0:
            kind = "an integer >= 1" if whole else "a number > 0"
            raise SpecError(f"{name}: expected {kind}, got {value!r}")
