"""The organisation's own usage and costs, as OpenAI gives them to an admin key."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import orjson

from promptlab.errors import CredentialsError, PromptlabError, SpecError
from promptlab.models.credentials import environment
from promptlab.models.redaction import redacted
from promptlab.spec.address import OPENAI_URL, canonical_url, is_loopback

if TYPE_CHECKING:
    import openai

ADMIN_KEY = "OPENAI_ADMIN_KEY"

USAGE_DAYS, COSTS_DAYS = 31, 180
"""The most days that one page holds (OpenAI, "Usage" in the API reference)."""

TIMEOUT_S = 60.0

THEIR_NAMES = {
    "requests": "num_model_requests",
    "input_tokens": "input_tokens",
    "cached_input_tokens": "input_cached_tokens",
    "output_tokens": "output_tokens",
}
"""Our counts, and what the usage endpoint calls them."""

COUNTS = [*THEIR_NAMES]

LARGEST = 2**53
"""Counts above it are not exact as floats."""

Row = tuple[date, str, *tuple[float, ...]]
"""A day in UTC, a model, and numbers; NaN where one is not known."""


def checked_url(base_url: str) -> str:
    """The base URL, if an admin key may be sent there.

    Raises:
        SpecError: it is not a URL, or the offline model's.
        CredentialsError: it is not encrypted.
    """
    url = canonical_url(base_url)
    scheme = urlsplit(url).scheme
    if scheme == "offline":
        raise SpecError("the offline model belongs to no organisation")
    if scheme == "http" and not is_loopback(url):
        raise CredentialsError(
            f"{url} is not encrypted: the admin key would be readable on the way; "
            "use https"
        )
    return url


def usage_and_costs(url: str, query: Mapping[str, Any]) -> tuple[list[Row], list[Row]]:
    """What the organisation used and what it was charged, by day and model: rows of the
    numbers in `COUNTS`, and of the cost in US dollars.

    Raises:
        CredentialsError: there is no admin key, or it is not accepted.
        PromptlabError: the numbers cannot be had.
    """
    with _admin(url) as sdk:
        endpoints = sdk.admin.organization.usage.with_raw_response
        by_model = {**query, "group_by": ["model"], "limit": USAGE_DAYS}
        used = _read(sdk, endpoints.completions, by_model, _usage_of)
        by_item = {**query, "group_by": ["line_item"], "limit": COSTS_DAYS}
        return used, _read(sdk, endpoints.costs, by_item, _cost_of)


def day_of(moment: float) -> date:
    """The day of a time in seconds since 1970, in UTC."""
    return datetime.fromtimestamp(moment, UTC).date()


def _admin(url: str) -> openai.OpenAI:
    """A client of the SDK that has the admin key.

    Raises:
        CredentialsError: there is none.
    """
    if isinstance(made := _client(url), str):
        raise CredentialsError(made)
    return made


def _client(url: str) -> openai.OpenAI | str:
    """The client, or why there is none: nothing is raised where a variable holds the
    key, as tracebacks may show those."""
    import openai

    key = environment().get(ADMIN_KEY, "").strip()
    if not key:
        return (
            f"no admin key: set {ADMIN_KEY} (sk-admin-...) in the environment or in "
            ".env; an owner of the organisation makes one, and other keys cannot read "
            "its usage"
        )
    if not key.isascii() or not key.isprintable() or " " in key:
        return f"{ADMIN_KEY} holds characters that no key has"
    try:
        return openai.OpenAI(
            api_key="",
            admin_api_key=key,
            base_url=url,
            http_client=openai.DefaultHttpxClient(
                timeout=TIMEOUT_S,
                follow_redirects=False,
                trust_env=not is_loopback(url),
            ),
        )
    except (openai.OpenAIError, ValueError) as error:
        return f"the openai SDK refuses: {redacted(str(error), key)}"


def _pages(
    sdk: openai.OpenAI, endpoint: Callable[..., Any], query: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    """Page after page; each names the next one."""
    cursors: set[str] = set()
    page = _page(sdk, endpoint, query)
    yield page
    while page.get("has_more"):
        cursor = page.get("next_page")
        if not isinstance(cursor, str) or cursor in cursors:
            raise _unreadable(sdk)
        cursors.add(cursor)
        page = _page(sdk, endpoint, {**query, "page": cursor})
        yield page


def _page(
    sdk: openai.OpenAI, endpoint: Callable[..., Any], query: Mapping[str, Any]
) -> dict[str, Any]:
    """One page. What is raised has nothing of the SDK's error in it, whose frames and
    request hold the key."""
    import openai

    problem: BaseException
    try:
        page = orjson.loads(endpoint(**query).content)
        if isinstance(page, dict):
            return page
        problem = _unreadable(sdk)
    except orjson.JSONDecodeError:
        problem = _unreadable(sdk)
    except openai.APIStatusError as error:
        problem = _refused(sdk, error.status_code, error.body)
    except openai.APITimeoutError:
        problem = PromptlabError(f"no answer from {_url(sdk)} within {TIMEOUT_S:g} s")
    except openai.OpenAIError as error:
        said = redacted(str(error.__cause__ or error), sdk.admin_api_key or "")
        problem = PromptlabError(f"no connection to {_url(sdk)}: {said}")
    except KeyboardInterrupt:
        problem = KeyboardInterrupt()
    raise problem


def _refused(sdk: openai.OpenAI, status: int, body: object) -> PromptlabError:
    if status in (401, 403):
        return CredentialsError(
            f"{_url(sdk)} does not accept the key in {ADMIN_KEY} ({status}): only an "
            "admin key (sk-admin-...) of the organisation can read its usage, and an "
            "owner of it makes one"
        )
    if status == 404:
        return PromptlabError(
            f"{_url(sdk)} tells no usage of an organisation (404); OpenAI does, at "
            f"{OPENAI_URL}"
        )
    message = body.get("message") if isinstance(body, dict) else body
    said = redacted(str(message or "no reason given"), sdk.admin_api_key or "")
    return PromptlabError(
        f"{_url(sdk)} does not tell its usage ({status}): {said:.300}"
    )


def _unreadable(sdk: openai.OpenAI) -> PromptlabError:
    return PromptlabError(
        f"{_url(sdk)} answers, but not with an organisation's usage; does it end in "
        "the path of the API, such as /v1?"
    )


def _url(sdk: openai.OpenAI) -> str:
    return str(sdk.base_url).rstrip("/")


def _read(
    sdk: openai.OpenAI,
    endpoint: Callable[..., Any],
    query: Mapping[str, Any],
    row_of: Callable[[Any], tuple[str, *tuple[float, ...]]],
) -> list[Row]:
    """The results on all pages of an endpoint."""
    try:
        return [
            (day_of(bucket["start_time"]), *row_of(result))
            for page in _pages(sdk, endpoint, {**query, "bucket_width": "1d"})
            for bucket in page["data"]
            for result in bucket["results"]
        ]
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError):
        raise _unreadable(sdk) from None


def _usage_of(result: Any) -> tuple[str, *tuple[float, ...]]:
    counts = (_count(result.get(name)) for name in THEIR_NAMES.values())
    return (_name(result.get("model")), *counts)


def _cost_of(result: Any) -> tuple[str, *tuple[float, ...]]:
    """A line item is a model and what of it was charged: `gpt-6-astra, input_tokens`;
    the cost is not known in another currency."""
    amount = result.get("amount") or {}
    dollars = (amount.get("currency") or "usd").lower() == "usd"
    value = amount.get("value") if dollars else None
    item = _name(result.get("line_item"))
    return _name(item.partition(",")[0]), math.nan if value is None else float(value)


def _name(value: Any) -> str:
    return (value or "").strip() or "(not named)"


def _count(value: Any) -> float:
    """A count, which may be missing."""
    if value is None:
        return math.nan
    if not 0 <= value <= LARGEST:
        raise ValueError(f"expected a count, got {value!r}")
    return float(int(value))
