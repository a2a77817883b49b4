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
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from promptlab.formats import counted, dollars
from promptlab.secret import sealed_url
from promptlab.spec.address import OPENAI_URL
from promptlab.spec.usage import DAY_S
from promptlab.store.organization import (
    COUNTS,
    Row,
    checked_url,
    day_of,
    usage_and_costs,
)
from promptlab.store.usage import maybe_charged, moment_s, usage

if TYPE_CHECKING:
    import pandas as pd

NUMBERS = [*COUNTS, "cost_usd"]

SAME_USD, SAME_SHARE = 0.005, 0.001
"""Costs that differ by no more than half a cent, or a thousandth, agree: bills are in
cents, and a million fractions of one add up to rounding."""

DECIMALS = 12
"""Of a difference in dollars: far below the price of a token, and above what adding up
fractions leaves behind."""

SNAPSHOT = re.compile(r"(.+?)-(?:\d{4}-\d{2}-\d{2}|\d{4})")
"""The name of a snapshot: its model's name, and a date."""

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
    base_url = sealed_url(base_url)  # also out of sight of a traceback's locals
    url = checked_url(base_url)
    now = time.time()
    first_s = moment_s("since", since, now)
    query: dict[str, Any] = {"start_time": int(first_s // DAY_S) * DAY_S}
    if until is not None:
        last_s = moment_s("until", until, now)
        query["end_time"] = math.ceil(last_s / DAY_S) * DAY_S
    ids = {"project_ids": project_ids, "api_key_ids": api_key_ids}
    narrowed = {
        name: [given] if isinstance(given, str) else list(given)
        for name, given in ids.items()
        if given is not None
    }
    used, charged = usage_and_costs(url, query | narrowed)
    return _compared(_ours(url, query), used, charged, day_of(now))


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


def _tolerance_usd(a: float, b: float) -> float:
    return max(SAME_USD, SAME_SHARE * max(a, b))
