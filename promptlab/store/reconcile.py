"""Reconciling: the ledger beside the organisation's own usage and costs.

OpenAI gives an organisation's usage and costs of each day to an admin key. They hold
the calls of everybody in it and come minutes to hours late. Nothing in the ledger is
changed.
"""

from __future__ import annotations

import math
import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import orjson

from promptlab.errors import CredentialsError, PromptlabError, SpecError
from promptlab.formats import counted, dollars
from promptlab.models.credentials import environment
from promptlab.models.redaction import redacted
from promptlab.secret import sealed_url
from promptlab.spec.address import OPENAI_URL, canonical_url, is_loopback
from promptlab.spec.usage import DAY_S
from promptlab.store.usage import maybe_charged, moment_s, usage

if TYPE_CHECKING:
    import openai
    import pandas as pd

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
NUMBERS = [*COUNTS, "cost_usd"]

SAME_USD, SAME_SHARE = 0.005, 0.001
"""Costs that differ by no more than half a cent, or a thousandth, agree: bills are in
cents, and a million fractions of one add up to rounding."""

DECIMALS = 12
"""Of a difference in dollars: far below the price of a token, and above what adding up
fractions leaves behind."""

SNAPSHOT = re.compile(r"(.+?)-(?:\d{4}-\d{2}-\d{2}|\d{4})")
"""The name of a snapshot: its model's name, and a date."""

LARGEST = 2**53
"""Counts above it are not exact as floats."""

COLUMNS: dict[str, Any] = {
    "day": "datetime64[s]",
    "model": "str",
    "agreement": "str",
    "complete": "bool",
    **dict.fromkeys(("requests", "errors", "unsettled"), "Int64"),
    **{
        f"{whose}{name}": "float64" if name == "cost_usd" else "Int64"
        for whose in ("", "their_", "difference_")
        for name in NUMBERS
    },
}
"""The columns of the table, in order, and what they hold."""

Row = tuple[date, str, *tuple[float, ...]]
"""A day in UTC, a model, and numbers; NaN where one is not known."""


def reconcile(
    since: str | date | timedelta = "7d",
    *,
    until: str | date | timedelta | None = None,
    project_ids: str | Sequence[str] | None = None,
    api_key_ids: str | Sequence[str] | None = None,
    base_url: str = OPENAI_URL,
) -> pd.DataFrame:
    """What this project's ledger knows, beside what its organisation was charged: a row
    for each `day` (UTC) and `model`.

    It asks OpenAI with the admin key in $OPENAI_ADMIN_KEY, or in `.env`. Days are
    whole: from that of `since` to that of `until`, as in `usage`. `project_ids` and
    `api_key_ids` narrow the organisation's side; ours are all calls to `base_url`.

    A model is the snapshot that answered, as far as both sides tell snapshots apart.
    `agreement` is `agree`, `differs`, `ours only` or `theirs only`; `complete` whether
    the day is over. Then our answered `requests`, `errors` (attempts that failed),
    how many of these are `unsettled` (they may still have been charged), tokens
    and `cost_usd`; the same with `their_`, unknown where there are only costs or
    only usage; and the `difference_` of each, theirs less ours.

    Raises:
        SpecError: a time or the base URL is not one.
        CredentialsError: there is no admin key, or it is not accepted.
        PromptlabError: the organisation's numbers cannot be had.
        CacheError: the ledger cannot be read.
    """
    url = _checked(sealed_url(base_url))
    now = time.time()
    first_s = moment_s("since", since, now)
    query: dict[str, Any] = {"start_time": int(first_s // DAY_S) * DAY_S}
    if until is not None:
        last_s = moment_s("until", until, now)
        query["end_time"] = math.ceil(last_s / DAY_S) * DAY_S
    ids = {"project_ids": project_ids, "api_key_ids": api_key_ids}
    asked = query | {
        name: [given] if isinstance(given, str) else list(given)
        for name, given in ids.items()
        if given is not None
    }
    with _admin(url) as sdk:
        endpoints = sdk.admin.organization.usage.with_raw_response
        by_model = {**asked, "group_by": ["model"], "limit": USAGE_DAYS}
        used = _read(sdk, endpoints.completions, by_model, _usage_of)
        by_item = {**asked, "group_by": ["line_item"], "limit": COSTS_DAYS}
        charged = _read(sdk, endpoints.costs, by_item, _cost_of)
    return _compared(_ours(url, query), used, charged, _day(now))


def conclusion(table: pd.DataFrame, *, narrowed: bool = False) -> str:
    """What a table of `reconcile` says, in one line: of the days that are over, where
    both sides tell the cost. `narrowed` is whether theirs is of some projects or keys
    only."""
    if table.empty:
        return "nothing to compare: no call is in the ledger, and none was charged"
    over = table[table["complete"]]
    if over.empty:
        return "nothing to conclude yet: today (UTC) is not over, and numbers come late"
    known = over[over["difference_cost_usd"].notna()]
    ours, theirs = (float(known[name].sum()) for name in ("cost_usd", "their_cost_usd"))
    parts = [_verdict(ours, theirs, over, narrowed=narrowed)]
    for count, why in (
        (len(over) - len(known), "with a cost that is not known"),
        (len(table) - len(over), "of today"),
    ):
        if count:
            parts.append(f"{counted(count, 'row')} {why} not counted")
    return "; ".join(parts)


def _verdict(ours: float, theirs: float, rows: pd.DataFrame, *, narrowed: bool) -> str:
    """How two sums stand, and the likely reason."""
    more, unsettled = dollars(abs(theirs - ours)), int(rows["unsettled"].sum())
    if abs(theirs - ours) <= _tolerance_usd(ours, theirs):
        if odd := int((rows["agreement"] != "agree").sum()):
            return (
                f"the sums agree at {dollars(theirs)}, though {odd:,} of {len(rows):,} "
                "rows do not"
            )
        return f"the ledger and the organisation agree: {dollars(theirs)}"
    if theirs < ours:
        return (
            f"this ledger knows of {more} more than the organisation was charged "
            f"({dollars(ours)}, not {dollars(theirs)}): its numbers are late or "
            "discounted, or these calls were another organisation's or project's"
        )
    reason = (
        "other projects and people are in its numbers, unless they are narrowed to "
        "your projects or keys"
    )
    if narrowed:
        reason = (
            "these projects or keys made other calls, answers were charged that never "
            "came, or prices differ"
        )
    return (
        f"the organisation was charged {more} more than this ledger knows "
        f"({dollars(theirs)}, not {dollars(ours)}): {reason}"
        + (f"; {maybe_charged(unsettled)}" if unsettled else "")
    )


def _compared(
    ours: list[Row], used: list[Row], charged: list[Row], today: date
) -> pd.DataFrame:
    """Both sides beside each other, a row for each day and model."""
    import pandas as pd

    names = _common_names((day, model) for day, model, *_ in (*ours, *used, *charged))

    def summed(rows: list[Row], numbers: list[str]) -> pd.DataFrame:
        frame = pd.DataFrame(rows, columns=["day", "model", *numbers])
        keys = zip(frame["day"], frame["model"], strict=True)
        frame["model"] = [names.get(key, key[1]) for key in keys]
        frame = frame.astype(dict.fromkeys(numbers, "float64"))
        return frame.groupby(["day", "model"]).sum(skipna=False)

    mine = summed(ours, [*NUMBERS, "errors", "unsettled"])
    # Where they give usage or costs alone, the other is not known yet.
    theirs = summed(used, COUNTS).join(summed(charged, ["cost_usd"]), how="outer")
    rows = mine.index.union(theirs.index)
    mine, theirs = (side.reindex(rows, fill_value=0.0) for side in (mine, theirs))
    difference = (theirs - mine[NUMBERS]).round(DECIMALS)
    table = mine.join(
        [theirs.add_prefix("their_"), difference.add_prefix("difference_")]
    )
    table["agreement"] = _agreement(mine, theirs)
    table = table.reset_index()
    table["complete"] = table["day"] < today
    return table[list(COLUMNS)].astype(COLUMNS)


def _agreement(mine: pd.DataFrame, theirs: pd.DataFrame) -> pd.Series[str]:
    """What the numbers of each row say: they agree if what both sides know is the
    same."""
    import pandas as pd

    away = (theirs["cost_usd"] - mine["cost_usd"]).abs()
    costs = pd.concat([mine["cost_usd"], theirs["cost_usd"]], axis="columns")
    differs = (theirs[COUNTS] != mine[COUNTS]) & theirs[COUNTS].notna()
    differs["cost_usd"] = away > (SAME_SHARE * costs.max(axis="columns")).clip(SAME_USD)
    known = theirs[COUNTS].notna().any(axis="columns") | away.notna()
    asked, told = mine["requests"] != 0, (theirs.fillna(0) != 0).any(axis="columns")
    agreement = pd.Series("differs", theirs.index, dtype="str")
    agreement[known & ~differs.any(axis="columns")] = "agree"
    agreement[asked & ~told] = "ours only"
    agreement[~asked & told] = "theirs only"
    return agreement


def _common_names(keys: Iterable[tuple[date, str]]) -> dict[tuple[date, str], str]:
    """Under which name those are compared that one side tells by snapshot and the other
    by model: under that of the snapshot if it is the only one that day, else all of
    them under the model's, whose costs cannot be told apart."""
    keys, snapshots = set(keys), defaultdict(list)
    for day, name in keys:
        if found := SNAPSHOT.fullmatch(name):
            snapshots[day, found[1]].append(name)
    names: dict[tuple[date, str], str] = {}
    for (day, model), dated in snapshots.items():
        if (day, model) in keys:
            name = dated[0] if len(dated) == 1 else model
            names |= {(day, one): name for one in (model, *dated)}
    return names


def _ours(url: str, query: Mapping[str, Any]) -> list[Row]:
    """Our numbers of the calls to a base URL, how many attempts failed, and how many of
    these may still have been charged."""
    end_s = query.get("end_time")
    table = usage(
        datetime.fromtimestamp(query["start_time"], UTC),
        ("day", "base_url", "snapshot", "model"),
        until=None if end_s is None else datetime.fromtimestamp(end_s, UTC),
    )
    table = table[(table["base_url"] == url) & (table["requests"] > 0)]
    model = table["snapshot"].fillna(table["model"])
    numbers = table[[*NUMBERS, "errors", "unsettled"]].astype("float64")
    numbers["requests"] -= numbers["errors"]
    rows = zip(table["day"].dt.date, model, *numbers.to_numpy().T, strict=True)
    return list(rows)


def _read(
    sdk: openai.OpenAI,
    endpoint: Callable[..., Any],
    query: Mapping[str, Any],
    row_of: Callable[[Any], tuple[str, *tuple[float, ...]]],
) -> list[Row]:
    """The results on all pages of an endpoint."""
    try:
        return [
            (_day(bucket["start_time"]), *row_of(result))
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


def _day(moment: float) -> date:
    return datetime.fromtimestamp(moment, UTC).date()


def _tolerance_usd(a: float, b: float) -> float:
    return max(SAME_USD, SAME_SHARE * max(a, b))


def _checked(base_url: str) -> str:
    """The base URL, if an admin key may be sent there."""
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
