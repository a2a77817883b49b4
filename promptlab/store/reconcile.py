"""Reconciling: the ledger beside the organisation's own usage and costs.

OpenAI gives an organisation's usage and costs of each day to an admin key. They cover
the calls of everybody in it and come minutes to hours late. The ledger is not changed.
"""

from __future__ import annotations

import math
import re
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from promptlab.errors import CredentialsError, PromptlabError, SpecError
from promptlab.formats import counted, dollars
from promptlab.models.credentials import environment, is_safe
from promptlab.models.failures import refusal
from promptlab.models.redaction import redacted
from promptlab.secret import Hidden, checked_key, sealed_url
from promptlab.spec.address import (
    OFFLINE_SCHEME,
    OPENAI_URL,
    canonical_url,
    is_loopback,
)
from promptlab.spec.usage import DAY_S
from promptlab.store.usage import maybe_charged, moment_s, usage

if TYPE_CHECKING:
    import openai
    import pandas as pd

ADMIN_KEY = "OPENAI_ADMIN_KEY"
MAKE_ONE = (
    "only an admin key (sk-admin-...) reads an organisation's usage, and an owner of "
    "the organisation makes one"
)
TIMEOUT_S = 60.0

USAGE = ("/organization/usage/completions", "model", 31)
COSTS = ("/organization/costs", "line_item", 180)
"""Path, what to group by, and the most days on a page (OpenAI's API reference)."""

COUNTS = {
    "requests": "num_model_requests",
    "input_tokens": "input_tokens",
    "cached_input_tokens": "input_cached_tokens",
    "output_tokens": "output_tokens",
}
"""Our counts, and what the usage endpoint calls them."""

NUMBERS = [*COUNTS, "cost_usd"]

SAME_USD, SAME_SHARE = 0.005, 0.001
"""Costs that differ by no more than half a cent, or a thousandth, agree: bills are in
cents, and a million fractions of one add up to rounding."""

LESS = (
    "its numbers are late or discounted, or these calls were another organisation's or "
    "project's"
)
MORE = (
    "other projects and people are in its numbers, unless they are narrowed to your "
    "projects or keys"
)
NARROWED = (
    "these projects or keys made other calls, answers were charged that never came, or "
    "prices differ"
)
"""Why the organisation's costs may be less or more than ours."""

SNAPSHOT = re.compile(r"(.+?)-(?:\d{4}-\d{2}-\d{2}|\d{4})")
"""The name of a snapshot: its model's name, and a date."""

COLUMNS: dict[str, Any] = {
    "day": "datetime64[s]",
    **dict.fromkeys(("model", "agreement"), "str"),
    "complete": "bool",
    **dict.fromkeys(("requests", "errors", "unsettled"), "Int64"),
    **{
        f"{whose}{name}": "float64" if name == "cost_usd" else "Int64"
        for whose in ("", "their_", "difference_")
        for name in NUMBERS
    },
}
"""The columns of the table, in order, and their types."""


def reconcile(
    since: str | date | timedelta = "7d",
    *,
    until: str | date | timedelta | None = None,
    project_ids: str | Sequence[str] | None = None,
    api_key_ids: str | Sequence[str] | None = None,
    base_url: str = OPENAI_URL,
) -> pd.DataFrame:
    """Compare this project's ledger with what its organisation was charged: a row for
    each `day` (UTC) and `model`.

    It asks OpenAI with the admin key in $OPENAI_ADMIN_KEY, or in `.env`. Days are
    whole: from that of `since` to that of `until`, as in `usage`. `project_ids` and
    `api_key_ids` narrow the organisation's side; ours are all calls to `base_url`.

    A model is the snapshot that answered, if both sides name snapshots. `agreement` is
    `agree`, `differs`, `ours only` or `theirs only`; `complete` says whether the day is
    over. Then our answered `requests`, `errors` (attempts that failed), how many of
    these are `unsettled` (they may still have been charged), tokens and `cost_usd`; the
    same with `their_`, missing if only costs or only usage are known; and the
    `difference_` of each, theirs minus ours.

    Raises:
        SpecError: a time or the base URL is not valid.
        CredentialsError: there is no admin key, or it is not accepted.
        PromptlabError: the organisation's numbers cannot be read.
        CacheError: the ledger cannot be read.
    """
    base_url = sealed_url(base_url)  # also out of sight of a traceback's locals
    url = canonical_url(base_url)
    if url.startswith(OFFLINE_SCHEME):
        raise SpecError("the offline model belongs to no organisation")
    if not is_safe(url):
        raise CredentialsError(
            f"{url} is not encrypted: the admin key would be readable on the way; "
            "use https"
        )
    now = time.time()
    first_s = moment_s("since", since, now)
    query: dict[str, Any] = {"start_time": int(first_s // DAY_S) * DAY_S}
    if until is not None:
        last_s = moment_s("until", until, now)
        query["end_time"] = math.ceil(last_s / DAY_S) * DAY_S
    ours = _ours(url, **query)
    for name, ids in (("project_ids", project_ids), ("api_key_ids", api_key_ids)):
        if ids is not None:
            query[name] = [ids] if isinstance(ids, str) else list(ids)
    with _client(url) as sdk:
        try:
            used = [_counts(*result) for result in _results(sdk, query, USAGE)]
            charged = [_cost(*result) for result in _results(sdk, query, COSTS)]
        except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError):
            raise PromptlabError(
                f"{url} answers, but not with an organisation's usage; does it end in "
                "the path of the API, such as /v1?"
            ) from None
    return _compared(ours, used, charged, _day(now))


def conclusion(table: pd.DataFrame, *, narrowed: bool = False) -> str:
    """The comparison of a table of `reconcile` in one line: of the days that are over
    and rows whose cost both sides know. `narrowed` says that theirs is of some projects
    or keys only."""
    if table.empty:
        return "nothing to compare: no call is in the ledger, and none was charged"
    over = table[table["complete"]]
    if over.empty:
        return "nothing to conclude yet: today (UTC) is not over, and numbers come late"
    priced = over[over["difference_cost_usd"].notna()]
    ours, theirs = priced[["cost_usd", "their_cost_usd"]].sum().tolist()
    more, amounts = (
        dollars(abs(theirs - ours)),
        f"{dollars(theirs)}, not {dollars(ours)}",
    )
    if abs(theirs - ours) <= max(SAME_USD, SAME_SHARE * max(ours, theirs)):
        line = f"the ledger and the organisation agree: {dollars(theirs)}"
        if odd := int((over["agreement"] != "agree").sum()):
            line = (
                f"the sums agree at {dollars(theirs)}, though {odd:,} of {len(over):,} "
            )
            line += "rows do not"
    else:
        way = "less" if theirs < ours else "more"
        reason = LESS if theirs < ours else NARROWED if narrowed else MORE
        line = f"the organisation was charged {more} {way} than this ledger has"
        line += f" ({amounts}): {reason}"
        if way == "more" and (unsettled := int(over["unsettled"].sum())):
            line += f"; {maybe_charged(unsettled)}"
    for count, why in (
        (len(over) - len(priced), "with an unknown cost"),
        (len(table) - len(over), "of today"),
    ):
        line += f"; {counted(count, 'row')} {why} not counted" if count else ""
    return line


def _compared(
    ours: pd.DataFrame, used: list[Any], charged: list[Any], today: date
) -> pd.DataFrame:
    """Both sides beside each other, a row for each day and model."""
    import numpy as np
    import pandas as pd

    def frame(rows: list[Any], numbers: Iterable[str]) -> pd.DataFrame:
        return pd.DataFrame(rows, columns=["day", "model", *numbers])

    sides = ours, frame(used, COUNTS), frame(charged, ["cost_usd"])
    names = _common_names(pd.concat(side[["day", "model"]] for side in sides))

    def summed(side: pd.DataFrame) -> pd.DataFrame:
        keys = zip(side["day"], side["model"], strict=True)
        side["model"] = [names.get(key, key[1]) for key in keys]
        sums = side.set_index(["day", "model"]).astype("float64")
        return sums.groupby(level=[0, 1]).sum(skipna=False)

    mine, counts, costs = map(summed, sides)
    theirs = counts.join(costs, how="outer")  # either may be missing: not yet known
    rows = mine.index.union(theirs.index)
    mine, theirs = (side.reindex(rows, fill_value=0.0) for side in (mine, theirs))
    # 12 decimals of a dollar: above what adding up fractions leaves behind.
    difference = (theirs - mine[NUMBERS]).round(12)
    table = mine.join(
        [theirs.add_prefix("their_"), difference.add_prefix("difference_")]
    )
    same_usd = SAME_SHARE * np.fmax(mine["cost_usd"], theirs["cost_usd"])
    same = difference.abs().le(0)
    same["cost_usd"] = difference["cost_usd"].abs() <= same_usd.clip(SAME_USD)
    known = difference.notna()
    asked, charged_ = mine["requests"] != 0, theirs.fillna(0).any(axis=1)
    agree = (same | ~known).all(axis=1) & known.any(axis=1)
    table["agreement"] = np.select(
        [asked & ~charged_, ~asked & charged_, agree],
        ["ours only", "theirs only", "agree"],
        "differs",
    )
    table = table.reset_index()
    table["complete"] = table["day"] < today
    return table[list(COLUMNS)].astype(COLUMNS)


def _common_names(calls: pd.DataFrame) -> dict[tuple[date, str], str]:
    """The name to compare under where one side names the snapshot and the other the
    model: the snapshot's if it is the only one that day, else the model's for all of
    them, as their costs cannot be separated."""
    keys = set(calls.itertuples(index=False, name=None))
    snapshots = defaultdict(list)
    for day, name in keys:
        if found := SNAPSHOT.fullmatch(name):
            snapshots[day, found[1]].append(name)
    names: dict[tuple[date, str], str] = {}
    for (day, model), dated in snapshots.items():
        if (day, model) in keys:
            name = dated[0] if len(dated) == 1 else model
            names |= {(day, one): name for one in (model, *dated)}
    return names


def _ours(url: str, start_time: int, end_time: int | None = None) -> pd.DataFrame:
    """Our numbers of the calls to a base URL, with `errors` and `unsettled`."""
    table = usage(
        datetime.fromtimestamp(start_time, UTC),
        ("day", "base_url", "snapshot", "model"),
        until=None if end_time is None else datetime.fromtimestamp(end_time, UTC),
    )
    table = table[(table["base_url"] == url) & (table["requests"] > 0)]
    table["requests"] -= table["errors"]
    table["day"] = table["day"].dt.date
    table["model"] = table["snapshot"].fillna(table["model"])
    return table[["day", "model", *NUMBERS, "errors", "unsettled"]]


def _client(url: str) -> openai.OpenAI:
    """A client of the SDK with the admin key; `CredentialsError` if there is none."""
    import openai

    try:
        key = checked_key(environment().get(ADMIN_KEY, Hidden()))
    except CredentialsError as error:
        raise CredentialsError(f"{ADMIN_KEY}: {error}") from None
    if not key:
        raise CredentialsError(
            f"no admin key: set {ADMIN_KEY} in the environment or in .env; {MAKE_ONE}"
        )
    http = openai.DefaultHttpxClient(
        timeout=TIMEOUT_S, follow_redirects=False, trust_env=not is_loopback(url)
    )
    return openai.OpenAI(api_key=key, base_url=url, http_client=http)


def _results(
    sdk: openai.OpenAI, query: Mapping[str, Any], endpoint: tuple[str, str, int]
) -> Iterator[tuple[date, Any]]:
    """The results on all pages of an endpoint, each with its day; `ValueError` and the
    like if a page is not of this form."""
    path, by, days = endpoint
    query = {**query, "group_by": [by], "limit": days, "bucket_width": "1d"}
    cursors = {None}
    while True:
        page = _page(sdk, path, query)
        for bucket in page["data"]:
            day = _day(bucket["start_time"])
            yield from ((day, result) for result in bucket["results"])
        if not page.get("has_more"):
            return
        if (cursor := page.get("next_page")) in cursors:
            raise ValueError("no next page")
        cursors.add(cursor)
        query["page"] = cursor


def _page(sdk: openai.OpenAI, path: str, query: Mapping[str, Any]) -> Any:
    """One page. What is raised has nothing of the SDK's error in it, whose frames and
    request hold the key."""
    import openai

    url, key = str(sdk.base_url).rstrip("/"), Hidden(sdk.api_key)
    kind: type[BaseException] = PromptlabError
    try:
        return sdk.get(path, cast_to=object, options={"params": dict(query)})
    except KeyboardInterrupt:
        kind, problem = KeyboardInterrupt, ""
    except openai.APIStatusError as error:
        status, reply = error.status_code, error.response
        problem = refusal(status, reply.headers, reply.content).message
        problem = f"{url} does not give its usage ({status}): {problem:.300}"
        if status in (401, 403):
            kind = CredentialsError
            problem = f"{url} does not accept the key in {ADMIN_KEY} ({status})"
    except openai.OpenAIError as error:
        problem = f"no connection to {url}: {error.__cause__ or error}"
    hint = f"; {MAKE_ONE}" if kind is CredentialsError else ""
    raise kind(redacted(problem, key) + hint)


def _counts(day: date, result: Any) -> tuple[date, str, *tuple[float, ...]]:
    """The model of a usage result and its numbers of `COUNTS`; NaN if missing."""
    counts = [result.get(name) for name in COUNTS.values()]
    if not all(count is None or 0 <= count <= 2**53 for count in counts):
        raise ValueError("expected counts")
    return day, _name(result.get("model")), *map(_number, counts)


def _cost(day: date, result: Any) -> tuple[date, str, float]:
    """The model of a costs result and its US dollars; NaN in another currency. A line
    item is a model and what of it was charged: `gpt-6-astra, input_tokens`."""
    amount = result.get("amount") or {}
    in_usd = (amount.get("currency") or "usd").lower() == "usd"
    item, _, _ = _name(result.get("line_item")).partition(",")
    return day, _name(item), _number(amount.get("value") if in_usd else None)


def _name(value: str | None) -> str:
    return (value or "").strip() or "(not named)"


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _day(moment: float) -> date:
    """The day of a time in seconds since 1970, in UTC."""
    return datetime.fromtimestamp(moment, UTC).date()
