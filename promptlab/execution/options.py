"""RunOptions: how an experiment is run, as opposed to what is asked.

Each option is declared once, as a field of `RunOptions`. From there come the arguments
of `Experiment.run` and its like, the keys under `run:` in a config file, its JSON
Schema, and the options and environment variables of the command line.
"""

from __future__ import annotations

import inspect
import math
import numbers
import os
import textwrap
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from inspect import Parameter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict, TypeVar, Unpack

from promptlab.errors import (
    PromptlabWarning,
    SpecError,
    a_number,
    brief,
    did_you_mean,
)
from promptlab.models.client import Client
from promptlab.models.credentials import (
    Credentials,
    Headers,
    Key,
    Variables,
    check_transport,
    environment,
    is_safe,
)
from promptlab.models.openai import OpenAIClient
from promptlab.models.routes import base_url_for
from promptlab.money.budget import BudgetLimits, check_bounded, uncounted
from promptlab.money.prices import Prices, PricesOption, is_free, prices_in_force
from promptlab.secret import ApiKey, Secret, sealed
from promptlab.spec.address import canonical_url
from promptlab.spec.definition import Definition
from promptlab.spec.request import most_output
from promptlab.spec.requests import Requests
from promptlab.store.wire_names import known_names

if TYPE_CHECKING:
    from promptlab.execution.hooks import Event, Reply
    from promptlab.execution.progress import Progress
    from promptlab.results.costs import Pricing
    from promptlab.results.record import Record
    from promptlab.store.cache import ResponseCache

    ProgressOption = bool | Literal["auto"] | Callable[[Progress], None]

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


class RunOptionsDict(TypedDict, total=False):
    """The options of a run as keyword arguments, for type checkers; they are explained
    in `RunOptions`."""

    base_url: str | None
    api_key: ApiKey | Mapping[str, ApiKey] | None
    api_key_env: str | Mapping[str, str] | None
    env_file: str | Path | None
    headers: Headers | None
    client: Client | None
    allow_insecure: bool
    max_concurrency: int
    rpm: float | None
    tpm: float | None
    leader_first: bool
    timeout_s: float
    max_attempts: int
    max_wait_s: float
    cache: ResponseCache | str | os.PathLike[str] | None
    use_cache: bool
    refresh: bool
    offline: bool
    record: bool
    prices: PricesOption | None
    budget_usd: float | None
    budget_tokens: float | None
    progress: ProgressOption
    on_reply: Callable[[Reply], object] | None
    on_record: Callable[[Record], object] | None
    on_event: Callable[[Event], object] | None


@dataclass(frozen=True, kw_only=True)
class Option:
    """What an option means, which values it takes, and where it can be given."""

    name: str = ""
    default: Any = None
    annotation: str = ""
    """Its type in Python, as the source has it."""
    type: Any = None
    """Its type in files and on the command line, where Python takes more."""
    help: str
    """Its meaning, with the unit; the first sentence stands alone."""
    minimum: float | None = None
    above: float | None = None
    """A lower bound that is not allowed itself."""
    whole: bool = False
    """Whether a fraction is refused."""
    finite: bool = False
    not_in_file: str = ""
    """Why a config file cannot hold it, and what to do; empty if it can."""
    not_a_flag: str = ""
    """Why the command line has no option for it; empty if it has."""

    @property
    def summary(self) -> str:
        """The first sentence of its meaning."""
        return self.help.partition(". ")[0].removesuffix(".") + "."

    def check(self, value: Any) -> None:
        """Raises `SpecError` where `value` is of the wrong type or out of bounds."""
        if value is None and self.default is None:
            return
        if self.type is bool and not isinstance(value, bool):
            raise SpecError(f"{self.name}: expected True or False, got {brief(value)}")
        if self.type in (int, float) and not self._takes(value):
            raise SpecError(f"{self.name}: expected {self.number}, got {brief(value)}")

    @property
    def number(self) -> str:
        """The number that is expected, in words."""
        low = self.minimum if self.above is None else self.above
        whole = self.whole or self.type is int
        return a_number(int(low or 0), whole=whole, above=self.above is not None)

    def _takes(self, value: Any) -> bool:
        kind: Any = numbers.Integral if self.type is int else numbers.Real
        return (
            isinstance(value, kind)
            and not isinstance(value, bool)
            and (self.minimum is None or value >= self.minimum)
            and (self.above is None or value > self.above)
            and not (self.finite and math.isinf(value))
            and not (self.whole and value % 1)
        )


SIMPLE = {"bool": bool, "int": int, "float": float, "str": str}

FOR_ONE_RUN = "it is for one run; pass --{flag}, or {name}= in Python"
IN_PYTHON = "it is a Python object, and can only be given in Python"


def option(default: T, help: str, *, shown: bool = True, **rest: Any) -> T:
    """A field of `RunOptions` and what there is to say of it."""
    declared = Option(default=default, help=help, **rest)
    made: Any = field(default=default, repr=shown, metadata={"option": declared})
    return made  # type: ignore[no-any-return]


@dataclass(frozen=True, init=False)
class RunOptions:
    """The options of `run`, `arun`, `start`, `plan` and `forecast`, checked. None of
    them changes a key but `base_url`.

    Raises:
        SpecError: there is no such option, or its value is not one.
    """

    base_url: str | None = option(
        None,
        "The server that requests are sent to. Else $OPENAI_BASE_URL, else OpenAI; "
        "models whose names begin with offline/ are answered in the process unless it "
        "is given.",
    )
    api_key: Secret | Mapping[str, Secret] | None = option(
        None,
        "The API key, or a function that returns it, which may be async. Else the "
        "environment, the keyring, the .env file. A grid of several servers: "
        "{base_url: key}.",
        shown=False,
        not_in_file="a key does not belong in a file; set OPENAI_API_KEY, or name "
        "another variable in run.api_key_env",
        not_a_flag="a key does not belong in the history of a shell",
    )
    api_key_env: str | Mapping[str, str] | None = option(
        None,
        "The environment variable that holds the API key. Several servers: {base_url: "
        "variable}. Else it is OPENAI_API_KEY, which is sent to OpenAI, to "
        "$OPENAI_BASE_URL or to a server on this machine, and to no other.",
        type=str | dict[str, str],
    )
    env_file: str | Path | None = option(
        None,
        "A file of environment variables. Else .env, if it exists.",
        type=Path,
    )
    headers: Headers | None = option(
        None,
        "Further headers of every request. Several servers: {base_url: headers}; those "
        "that may hold a key are given for each.",
        type=dict[str, str | dict[str, str]],
        shown=False,
    )
    client: Client | None = option(
        None,
        "The client that answers instead: an SDKClient, or one of your own.",
        not_in_file=IN_PYTHON,
        not_a_flag=IN_PYTHON,
    )
    allow_insecure: bool = option(
        False,
        "Send keys and prompts over http:// to other machines, unencrypted.",
        not_in_file="a file cannot allow that; if you trust the server, pass "
        "--allow-insecure, or allow_insecure=True in Python",
    )
    max_concurrency: int = option(
        32,
        "The most calls in flight at once. A run starts with fewer and adapts.",
        minimum=1,
    )
    rpm: float | None = option(
        None,
        "The most requests per minute, of each model. It applies beside the server's "
        "own limit.",
        above=0,
    )
    tpm: float | None = option(
        None,
        "The most tokens per minute, of each model. It applies beside the server's own "
        "limit. A call counts with what it sends or may be answered, whichever is "
        "more, as servers charge it; what it takes beyond that, from its answer on.",
        above=0,
    )
    leader_first: bool = option(
        True,
        "Of calls that share the first 1,024 tokens, send one before the others. Then "
        "the provider's prompt cache serves the others; without it all are sent in the "
        "order of trials.",
    )
    timeout_s: float = option(
        600.0, "The longest one call may take, in seconds.", above=0
    )
    max_attempts: int = option(
        6,
        "The most attempts of one call, the first included. Refusals for the rate "
        "(429) do not count: such a call is repeated as long as max_wait_s allows.",
        minimum=1,
    )
    max_wait_s: float = option(
        300.0,
        "The longest a call may wait between its attempts in all, in seconds. A server "
        "that lets the next call start only after longer than this ends the run.",
        minimum=0,
    )
    cache: ResponseCache | str | os.PathLike[str] | None = option(
        None,
        "The folder of the cache. Else cache in .promptlab or $PROMPTLAB_HOME; in "
        "Python it may be a ResponseCache.",
        type=Path,
    )
    use_cache: bool = option(
        True,
        "Read answers from the cache, and store new ones in it.",
        not_in_file=FOR_ONE_RUN.format(flag="no-cache", name="use_cache"),
    )
    refresh: bool = option(
        False,
        "Ask everything again, and store the new answers in place of the old.",
        not_in_file=FOR_ONE_RUN.format(flag="refresh", name="refresh"),
    )
    offline: bool = option(
        False,
        "Make no call: what is not cached fails.",
        not_in_file=FOR_ONE_RUN.format(flag="offline", name="offline"),
    )
    record: bool = option(
        True,
        "Record the run in .promptlab/runs.",
        not_in_file=FOR_ONE_RUN.format(flag="no-record", name="record"),
    )
    prices: PricesOption | None = option(
        None,
        "A TOML file of own prices, which win over list prices. Else prices.toml, if "
        "it exists. In Python and in a config also the prices themselves, by model or "
        "pattern: input, output, cached_input, cache_write, in US dollars per million "
        "tokens, valid_from, long_from and long, and rates of batch, flex, priority, "
        "fast.",
        type=str | dict[str, dict[str, Any]],
    )
    budget_usd: float | None = option(
        None,
        "The most this run may spend, in US dollars. The worst case of each call, all "
        "of max_tokens, is reserved before it is sent; a run that reaches it stops, "
        "and goes on where it stopped when it is run again.",
        minimum=0,
        finite=True,
    )
    budget_tokens: float | None = option(
        None,
        "The most tokens this run may take, of input and output together.",
        minimum=0,
        finite=True,
        whole=True,
    )
    progress: ProgressOption = option(
        "auto",
        "Whether progress is shown; a function is called with each Progress.",
        not_in_file="it is about the screen; pass --quiet, or progress=False in Python",
        not_a_flag="--quiet is for that",
    )
    on_reply: Callable[[Reply], object] | None = option(
        None,
        "A function that is called with the Reply of each call, as it comes. It is "
        "called in the thread of the run, so it should be quick.",
        shown=False,
        not_in_file=IN_PYTHON,
        not_a_flag=IN_PYTHON,
    )
    on_record: Callable[[Record], object] | None = option(
        None,
        "A function that is called with the Record of each trial that was asked, as it "
        "is settled. It is called in the thread of the run, so it should be quick.",
        shown=False,
        not_in_file=IN_PYTHON,
        not_a_flag=IN_PYTHON,
    )
    on_event: Callable[[Event], object] | None = option(
        None,
        "A function that is called with each Event: start, failed attempt, end.",
        shown=False,
        not_in_file=IN_PYTHON,
        not_a_flag=IN_PYTHON,
    )

    def __init__(self, **options: Unpack[RunOptionsDict]) -> None:
        given = sealed(options)
        for name in given:
            if name not in OPTIONS:
                hint = did_you_mean(name, OPTIONS)
                valid = hint or f"; valid names: {', '.join(OPTIONS)}"
                raise SpecError(f"no option {name!r}{valid}")
        for name, declared in OPTIONS.items():
            value = given.get(name, declared.default)
            declared.check(value)
            object.__setattr__(self, name, value)
        self._check()

    def _check(self) -> None:
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

    @cached_property
    def variables(self) -> Variables:
        """The environment, with what the `.env` file adds."""
        return environment(self.env_file)

    @property
    def limits(self) -> BudgetLimits:
        """What this run may spend."""
        given = self.budget_usd, self.budget_tokens
        return BudgetLimits(*(math.inf if limit is None else limit for limit in given))

    def base_url_for(self, model: str) -> str:
        """The base URL that requests to a model are keyed with and sent to."""
        if self.client is not None:
            return canonical_url(self.client.base_url)
        return base_url_for(model, self.base_url, self.variables)

    @cached_property
    def prices_in_force(self) -> Prices:
        """The prices of calls."""
        return prices_in_force(self.prices)

    @cached_property
    def pricing(self) -> Callable[[Definition], Pricing]:
        """The prices of an experiment's answers, made once. It warns of a name in
        `prices=` that seems to be mistyped; `prices.toml` is for all models."""
        return lru_cache(maxsize=1)(self._pricing)

    @cached_property
    def requests(self) -> Callable[[Definition], Requests]:
        """An experiment's requests under these options, made once."""
        return lru_cache(maxsize=1)(self._requests)

    def _pricing(self, experiment: Definition) -> Pricing:
        if isinstance(self.prices, Mapping):
            asked = {variant.model for variant in experiment.effective_variants}
            if said := self.prices_in_force.misnamed(sorted(asked)):
                warnings.warn(said, PromptlabWarning, stacklevel=1)  # once a process
        from promptlab.results.costs import Pricing  # brings numpy

        models = [level.value for level in experiment.grid.levels("model")]
        routes = {model: self.base_url_for(model) for model in models}
        return Pricing(experiment, self.prices_in_force, routes)

    def _requests(self, experiment: Definition) -> Requests:
        return Requests(experiment, self.base_url_for, known_names())

    def check_budgets(
        self,
        experiment: Definition,
        of_project: Iterable[BudgetLimits],
        trials: Iterable[int],
    ) -> None:
        """Refuses, if there is a budget, trials that it cannot be kept for, and warns
        of models that it does not count.

        Raises:
            SpecError: dollars are limited and a price is not known, or an answer may
                have any length.
        """
        limits = [self.limits, *of_project]
        if not any(of.any for of in limits):
            return
        pricing = self.pricing(experiment)
        each, variants = experiment.repeats, experiment.effective_variants
        free = []
        for place in sorted({trial // each % len(variants) for trial in trials}):
            context = pricing.context_now(place)
            price = pricing.prices.price(context)
            given = most_output(variants[place].parameters)
            check_bounded(limits, price, context, given)
            if is_free(price, context):
                free.append(context.model)
        if free and any(math.isfinite(of.usd) for of in limits):
            own = math.isfinite(self.limits.usd)
            warnings.warn(uncounted(free, own=own), PromptlabWarning, stacklevel=2)

    def keys(self, base_urls: Sequence[str]) -> dict[str, Key]:
        """The key of each server that may be called, or why there is none. It may take
        until the user has unlocked a keyring.

        Raises:
            SpecError: which server a key is for is not clear.
        """
        if self.client is not None or self.offline:
            return {}
        credentials = self._credentials(base_urls)
        credentials.check()
        return {
            base_url: credentials.key(base_url)
            for base_url in credentials.base_urls
            if is_safe(base_url) or self.allow_insecure
        }

    def opened_client(
        self, base_urls: Sequence[str], keys: Mapping[str, Key]
    ) -> Client:
        """The client that the run calls; made in the loop that uses it.

        Raises:
            CredentialsError: a key is missing, or would travel in clear text.
        """
        if self.client is not None:
            return self.client
        credentials = self._credentials(base_urls)
        for base_url in credentials.base_urls:
            check_transport(base_url, allow_insecure=self.allow_insecure)
        return OpenAIClient(
            {base_url: keys[base_url].found for base_url in credentials.base_urls},
            headers={url: credentials.headers_to(url) for url in credentials.base_urls},
            timeout_s=self.timeout_s,
        )

    def _credentials(self, base_urls: Sequence[str]) -> Credentials:
        return Credentials(
            variables=self.variables,
            base_urls=base_urls,
            api_key=self.api_key,
            api_key_env=self.api_key_env,
            headers=self.headers or {},
        )


def _check_client(client: object) -> None:
    """Raises a `SpecError` if `client` is no client, such as one of the SDK."""
    if not (
        isinstance(getattr(client, "base_url", None), str)
        and callable(getattr(client, "complete", None))
    ):
        found = repr(client) if isinstance(client, type) else type(client).__name__
        raise SpecError(
            "client=: expected a client, such as pl.SDKClient(openai.AsyncOpenAI(...)) "
            f"or pl.OpenAIClient({{base_url: key}}), got {found}"
        )


OPTIONS: dict[str, Option] = {
    name: replace(
        made.metadata["option"],
        name=name,
        annotation=RunOptionsDict.__annotations__[name].__forward_arg__,
        type=made.metadata["option"].type
        or SIMPLE.get(made.type.removesuffix(" | None")),
    )
    for name, made in RunOptions.__dataclass_fields__.items()
}
"""Every option by its name."""


class _Source(str):
    """An annotation that is shown as it is written, without quotes."""

    __repr__ = str.__str__


def with_run_options(function: F) -> F:
    """Shows every option in the signature and the docstring of a function that takes
    `**options`: completion, hover and `help()` go by these."""
    signature = inspect.signature(function)
    own = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
    named = [
        Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=o.default,
            annotation=o.annotation,
        )
        for name, o in OPTIONS.items()
    ]
    shown = [p.replace(annotation=_shown(p.annotation)) for p in (*own, *named)]
    function.__dict__["__signature__"] = signature.replace(
        parameters=shown, return_annotation=_shown(signature.return_annotation)
    )
    lines = [
        textwrap.fill(
            f"{name}: {o.help}", 88, initial_indent="    ", subsequent_indent="        "
        )
        for name, o in OPTIONS.items()
    ]
    said = inspect.cleandoc(function.__doc__ or "")
    function.__doc__ = "\n".join([said, "", "Options:", *lines])
    return function


def _shown(annotation: Any) -> Any:
    return _Source(annotation) if isinstance(annotation, str) else annotation


with_run_options(RunOptions.__init__)
