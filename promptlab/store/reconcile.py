"""Reconciling: the ledger beside what the organisation's own numbers say.

OpenAI tells an organisation's usage and costs for each day to an admin key. They hold
the calls of everybody in it, come minutes to hours late, and are made of other parts
than ours: here both are laid side by side, and nothing in the ledger is changed.
"""

from __future__ import annotations

import math
import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from operator import add
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import orjson

from promptlab.errors import CredentialsError, PromptlabError, SpecError
from promptlab.formats import dollars
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

COUNTS = ("requests", "input_tokens", "cached_input_tokens", "output_tokens")
THEIR_COUNTS = (
    *("num_model_requests", "input_tokens", "input_cached_tokens"),
    "output_tokens",
)
"""The same, as the usage endpoint names them."""

NUMBERS = (*COUNTS, "cost_usd")

SAME_USD, SAME_SHARE = 0.005, 0.001
"""Costs that differ by no more than half a cent, or a thousandth, agree: bills are in
cents, and a million fractions of one add up to rounding."""

DECIMALS = 12
"""Of a difference in dollars: far below the price of a token, and above what adding up
fractions leaves behind."""

SNAPSHOT = re.compile(r"(.+?)-(?:\d{4}-\d{2}-\d{2}|\d{4})")
"""The name of a snapshot: its model's name, and a date."""

UNNAMED = "(not named)"

UNKNOWN = float("nan")

LARGEST = 2**53
"""Counts above it are no whole numbers any more as floats are."""

Key = tuple[date, str]
"""A day, in UTC, and a model."""
Told = Mapping[Key, tuple[float, ...]]
"""Numbers of each day and model; NaN where one is not known."""


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
    how many of these are `unsettled` (they may have been charged all the same), tokens
    and `cost_usd`; the same with `their_`, unknown where only costs or only
    usage is told; and the `difference_` of each, theirs less ours.

    Raises:
        SpecError: a time or the base URL is not one.
        CredentialsError: there is no admin key, or it is not accepted.
        PromptlabError: the organisation's numbers cannot be had.
        CacheError: the ledger cannot be read.
    """
    base_url = sealed_url(base_url)
    url = _checked(base_url)
    now = time.time()
    first_s = moment_s("since", since, now)
    query: dict[str, Any] = {"start_time": int(first_s // DAY_S) * DAY_S}
    if until is not None:
        last_s = moment_s("until", until, now)
        query["end_time"] = math.ceil(last_s / DAY_S) * DAY_S
    for name, given in (("project_ids", project_ids), ("api_key_ids", api_key_ids)):
        if given is not None:
            query[name] = [given] if isinstance(given, str) else list(given)
    with _admin(url) as sdk:
        used = _used(sdk, query)
        charged = _charged(sdk, query)
    return _compared(_known(url, query), used, charged, _day(now))


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
    left_out = [
        f"{count:,} {'row' if count == 1 else 'rows'} {why} not counted"
        for count, why in (
            (len(over) - len(known), "with a cost that is not known"),
            (len(table) - len(over), "of today"),
        )
        if count
    ]
    said = _verdict(ours, theirs, over, narrowed=narrowed)
    return "; ".join([said, *left_out])


def _verdict(ours: float, theirs: float, rows: pd.DataFrame, *, narrowed: bool) -> str:
    """How two sums stand, and the likely reason."""
    more = dollars(abs(theirs - ours))
    if not _same_usd(ours, theirs) and theirs > ours:
        return (
            f"the organisation was charged {more} more than this ledger knows "
            f"({dollars(theirs)}, not {dollars(ours)}): "
            + (
                "these projects or keys made other calls, answers were charged that "
                "never came, or prices differ"
                if narrowed
                else "other projects and people are in its numbers, unless they are "
                "narrowed to your projects or keys"
            )
            + _open(int(rows["unsettled"].sum()))
        )
    if not _same_usd(ours, theirs):
        return (
            f"this ledger knows of {more} more than the organisation was charged "
            f"({dollars(ours)}, not {dollars(theirs)}): its numbers are late or "
            "discounted, or these calls were another organisation's or project's"
        )
    if odd := int((rows["agreement"] != "agree").sum()):
        return (
            f"the sums agree at {dollars(theirs)}, though {odd:,} of {len(rows):,} "
            "rows do not"
        )
    return f"the ledger and the organisation agree: {dollars(theirs)}"


def _open(unsettled: int) -> str:
    """That some of our calls may be among what was charged."""
    return f"; {maybe_charged(unsettled)}" if unsettled else ""


# Theirs.


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


def _used(sdk: openai.OpenAI, query: Mapping[str, Any]) -> Told:
    """Their counts."""
    endpoint = sdk.admin.organization.usage.with_raw_response.completions
    asked = {**query, "group_by": ["model"], "limit": USAGE_DAYS}
    return _summed(sdk, endpoint, asked, _read_usage)


def _charged(sdk: openai.OpenAI, query: Mapping[str, Any]) -> Told:
    """Their costs, in US dollars. A line item is a model and what of it was charged:
    `gpt-6-astra, input_tokens`."""
    endpoint = sdk.admin.organization.usage.with_raw_response.costs
    asked = {**query, "group_by": ["line_item"], "limit": COSTS_DAYS}
    return _summed(sdk, endpoint, asked, _read_cost)


def _read_usage(result: Any) -> tuple[str, tuple[float, ...]]:
    counts = tuple(_count(result.get(name)) for name in THEIR_COUNTS)
    return _name(result.get("model")), counts


def _read_cost(result: Any) -> tuple[str, tuple[float, ...]]:
    item = _name(result.get("line_item"))
    return _name(item.partition(",")[0]), (_usd(result.get("amount")),)


Endpoint = Callable[..., Any]
Reading = Callable[[Any], tuple[str, tuple[float, ...]]]


def _summed(
    sdk: openai.OpenAI, endpoint: Endpoint, query: Mapping[str, Any], read: Reading
) -> Told:
    """The numbers on all pages, by day and model."""
    told: dict[Key, tuple[float, ...]] = {}
    for page in _pages(sdk, endpoint, {**query, "bucket_width": "1d"}):
        try:
            for bucket in page["data"]:
                day = _day(bucket["start_time"])
                for result in bucket["results"]:
                    model, numbers = read(result)
                    _add(told, (day, model), numbers)
        except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError):
            raise _unreadable(sdk) from None
    return told


def _pages(
    sdk: openai.OpenAI, endpoint: Endpoint, query: Mapping[str, Any]
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
    sdk: openai.OpenAI, endpoint: Endpoint, query: Mapping[str, Any]
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


def _name(value: Any) -> str:
    return (value or "").strip() or UNNAMED


def _count(value: Any) -> float:
    """A count, which may be missing."""
    if value is None:
        return UNKNOWN
    if not 0 <= value <= LARGEST:
        raise ValueError(f"{value!r} is no count")
    return float(int(value))


def _usd(amount: Any) -> float:
    """An amount of money; unknown in any other currency."""
    if not amount or (amount.get("currency") or "usd").lower() != "usd":
        return UNKNOWN
    value = amount.get("value")
    return UNKNOWN if value is None else float(value)


# Ours.


def _known(url: str, query: Mapping[str, Any]) -> Told:
    """Our numbers of the calls to a base URL; how many attempts failed, and how many of
    these may have been charged all the same."""
    import pandas as pd

    end_s = query.get("end_time")
    table = usage(
        datetime.fromtimestamp(query["start_time"], UTC),
        ("day", "base_url", "snapshot", "model"),
        until=None if end_s is None else datetime.fromtimestamp(end_s, UTC),
    )
    told: dict[Key, tuple[float, ...]] = {}
    called = table[(table["base_url"] == url) & (table["requests"] > 0)]
    for row in called.to_dict("records"):
        snapshot = row["snapshot"]
        model = snapshot if isinstance(snapshot, str) else row["model"]
        numbers = [UNKNOWN if row[n] is pd.NA else float(row[n]) for n in NUMBERS]
        numbers[0] -= row["errors"]
        failed = float(row["errors"]), float(row["unsettled"])
        _add(told, (row["day"].date(), model), (*numbers, *failed))
    return told


# Both.


def _compared(ours: Told, used: Told, charged: Told, today: date) -> pd.DataFrame:
    """The table."""
    import pandas as pd

    together = _together({*ours, *used, *charged})
    ours, used, charged = (_merged(told, together) for told in (ours, used, charged))
    rows = []
    for key in sorted({*ours, *used, *charged}):
        *mine, errors, unsettled = ours.get(key, (0.0,) * (len(NUMBERS) + 2))
        theirs = _theirs(key, used, charged)
        difference = [round(b - a, DECIMALS) for a, b in zip(mine, theirs, strict=True)]
        day, model = key
        about = day, model, _agreement(mine, theirs), day < today
        failed = errors, unsettled
        rows.append((*about, mine[0], *failed, *mine[1:], *theirs, *difference))
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS)


COLUMNS: dict[str, Any] = {
    "day": "datetime64[s]",
    "model": "str",
    "agreement": "str",
    "complete": "bool",
    "requests": "Int64",
    "errors": "Int64",
    "unsettled": "Int64",
    **{
        f"{whose}{name}": "float64" if name == "cost_usd" else "Int64"
        for whose in ("", "their_", "difference_")
        for name in NUMBERS
    },
}
"""The columns of the table, in order, and what they hold."""


def _theirs(key: Key, used: Told, charged: Told) -> list[float]:
    """Their numbers: where they tell one kind only, the other is not known yet."""
    if key not in used and key not in charged:
        return [0.0] * len(NUMBERS)
    counts = used.get(key, (UNKNOWN,) * len(COUNTS))
    return [*counts, *charged.get(key, (UNKNOWN,))]


def _agreement(ours: Sequence[float], theirs: Sequence[float]) -> str:
    """What the numbers of a row say: they agree if what both sides know is the same."""
    if not ours[0] and _any(theirs):
        return "theirs only"
    if ours[0] and not _any(theirs):
        return "ours only"
    *counts, (cost, their_cost) = zip(ours, theirs, strict=True)
    same = [a == b for a, b in counts if not math.isnan(b)]
    if not math.isnan(cost - their_cost):
        same.append(_same_usd(cost, their_cost))
    return "agree" if same and all(same) else "differs"


def _any(numbers: Sequence[float]) -> bool:
    """Whether any is known not to be 0."""
    return any(number and not math.isnan(number) for number in numbers)


def _same_usd(a: float, b: float) -> bool:
    return abs(a - b) <= max(SAME_USD, SAME_SHARE * max(a, b))


def _together(keys: set[Key]) -> dict[Key, str]:
    """Under which name those are compared that one side tells by snapshot and the other
    by model: under that of the snapshot if it is the only one that day, else all of
    them under the model's, whose costs cannot be told apart."""
    snapshots: dict[Key, list[str]] = defaultdict(list)
    for day, name in keys:
        if found := SNAPSHOT.fullmatch(name):
            snapshots[day, found[1]].append(name)
    together: dict[Key, str] = {}
    for (day, model), dated in snapshots.items():
        if (day, model) in keys:
            name = dated[0] if len(dated) == 1 else model
            together |= {(day, one): name for one in (model, *dated)}
    return together


def _merged(told: Told, together: Mapping[Key, str]) -> Told:
    merged: dict[Key, tuple[float, ...]] = {}
    for (day, model), numbers in told.items():
        _add(merged, (day, together.get((day, model), model)), numbers)
    return merged


def _add(
    told: dict[Key, tuple[float, ...]], key: Key, numbers: tuple[float, ...]
) -> None:
    """Adds numbers to those of a key; what is not known makes the sum unknown."""
    so_far = told.get(key)
    told[key] = numbers if so_far is None else tuple(map(add, so_far, numbers))


def _day(moment: float) -> date:
    return datetime.fromtimestamp(moment, UTC).date()
