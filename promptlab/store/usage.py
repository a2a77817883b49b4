"""Usage: the project's ledger, summed over time, models, experiments."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Sequence
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from promptlab.errors import GATEWAY_TIMEOUTS, SpecError, brief, did_you_mean
from promptlab.money.budget import BudgetLimits, check_amount
from promptlab.store.ledger import PERIODS, CallRow, Ledger, ledger_to_read

if TYPE_CHECKING:
    import pandas as pd

SPANS_S = {"m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}

TIMES = {
    "hour": "strftime('%Y-%m-%d %H:00', at, 'unixepoch')",
    "day": "date(at, 'unixepoch')",
    "week": "date(at, 'unixepoch', '-6 days', 'weekday 1')",
    "month": "date(at, 'unixepoch', 'start of month')",
}
"""What time can be grouped by, in UTC as providers count; weeks from Monday."""

NAMES = ("model", "experiment", "run", "base_url", "snapshot", "service_tier", "error")
"""What else can be grouped by."""

SYNONYMS = {"server": "base_url", "date": "day"}
"""Other words for them."""

SUMS = {
    "requests": "SUM(requests)",
    "errors": "SUM(error IS NOT NULL)",
    "rate_limited": "SUM(status IS 429)",
    "unsettled": "SUM(unsettled)",
    **{
        name: f"CASE WHEN SUM(answered AND {name} IS NULL) THEN NULL "
        f"ELSE COALESCE(SUM({name}), 0) END"
        for name in (
            *("input_tokens", "cached_input_tokens"),
            *("output_tokens", "reasoning_tokens"),
        )
    },
    "cost_usd": "CASE WHEN SUM(unpriced) THEN NULL ELSE TOTAL(cost_usd) END",
    "unpriced": "SUM(unpriced)",
    "prompt_cache_saved_usd": (
        "CASE WHEN SUM(answered AND prompt_cache_saved_usd IS NULL) THEN NULL"
        " ELSE TOTAL(prompt_cache_saved_usd) END"
    ),
    "cached": "SUM(trials)",
    "saved_usd": "CASE WHEN SUM(unvalued) THEN NULL ELSE TOTAL(saved_usd) END",
    "mean_latency_s": "AVG(latency_s)",
}
"""The numbers of a group; tokens and money are unknown where any of them is."""

LINES = f"""
    SELECT at, run, experiment, base_url, model, snapshot, service_tier, error, status,
        1 AS requests, input_tokens, cached_input_tokens, output_tokens,
        reasoning_tokens, cost_usd, prompt_cache_saved_usd, latency_s,
        error IS NULL AS answered, error IS NULL AND cost_usd IS NULL AS unpriced,
        error IS NOT NULL AND error != 'unreachable'
            AND (COALESCE(status, 0) < 300 OR status IN {GATEWAY_TIMEOUTS})
            AS unsettled,
        0 AS trials, NULL AS saved_usd, 0 AS unvalued
    FROM calls WHERE at >= :since AND at < :until
    UNION ALL
    SELECT at, run, experiment, base_url, model, NULL, NULL, NULL, NULL,
        0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, 0, 0,
        trials, saved_usd, saved_usd IS NULL
    FROM hits WHERE at >= :since AND at < :until
"""


def usage(
    since: str | date | timedelta | None = None,
    by: str | Sequence[str] | None = ("day", "model"),
    *,
    until: str | date | timedelta | None = None,
) -> pd.DataFrame:
    """Sum the calls of this project: a row for each group, in order.

    `since` and `until` are a time span before now (`"7d"`; m, h, d, w; a timedelta), a
    date or a time, in UTC unless it has another time zone; by default all is counted.
    `by` names `hour`, `day`, `week` or `month`, and `model`, `experiment`, `run`,
    `base_url`, `snapshot`, `service_tier` or `error`; None gives one row for all.

    The columns after those: `requests` sent, each attempt of a call that was retried
    among them (the `totals.calls` of a run count a call once); of these the `errors`,
    the `rate_limited` (429), and the `unsettled`, which failed without a refusal (a
    timeout, a gateway's too, a lost connection, an answer that broke off or cannot be
    read, a process that was killed while it waited) and may still have been charged;
    tokens, NA if a server did not report them; `cost_usd` of the answered calls at list
    or own prices, NaN if the price of any is unknown, and how many are
    `unpriced`; `prompt_cache_saved_usd`, by the provider's prompt cache; `cached`
    trials that were answered without a call of their own, from the response cache or
    with an equal trial of their run, and `saved_usd`, what those had cost;
    `mean_latency_s` of the answered calls.

    Raises:
        SpecError: `by` or a time is not valid.
        CacheError: the ledger cannot be read.
    """
    import pandas as pd

    groups = _groups(by)
    columns = [f"{_expression(name)} AS g{n}" for n, name in enumerate(groups)]
    columns += [f"{sql} AS {name}" for name, sql in SUMS.items()]
    keys = ", ".join(f"g{n}" for n in range(len(groups)))
    sql = f"SELECT {', '.join(columns)} FROM ({LINES})"
    sql += f" GROUP BY {keys} ORDER BY {keys}" if keys else " HAVING COUNT(*)"
    now = time.time()
    span = {
        "since": 0.0 if since is None else moment_s("since", since, now),
        "until": float("inf") if until is None else moment_s("until", until, now),
    }
    table = pd.DataFrame(_rows(sql, span), columns=[*groups, *SUMS])
    for name in groups:
        kind: Any = "datetime64[s]" if name in TIMES else "str"
        table[name] = table[name].astype(kind)
    return table.astype({name: _kind(name) for name in SUMS})


def maybe_charged(unsettled: int) -> str:
    """A note that failed calls, which are in no sum of what was paid, may be in what
    the provider charges."""
    calls = "1 failed call" if unsettled == 1 else f"{unsettled:,} failed calls"
    return f"{calls} may still have been charged"


def headroom() -> pd.DataFrame:
    """The rate limits in each server's last reply, and how much was left of them: a row
    for each `base_url` and `model`, with the time `at` (UTC), the limits per minute,
    what remained of them, and `left`, the smaller share of the two."""
    import pandas as pd

    columns = ["base_url", "model", "at", *LIMITS]
    rows = _rows(f"SELECT {', '.join(columns)} FROM limits ORDER BY at DESC")
    table = pd.DataFrame(rows, columns=columns)
    table = table.astype(dict.fromkeys(LIMITS, "float64"))
    table["at"] = pd.to_datetime(table["at"].astype("float64"), unit="s").dt.floor("s")
    shares = [table[f"remaining_{of}"] / table[f"limit_{of}"] for of in COUNTED]
    table["left"] = pd.concat(shares, axis=1).min(axis=1)
    return table


COUNTED = ("requests", "tokens")
LIMITS = tuple(f"{what}_{of}" for of in COUNTED for what in ("limit", "remaining"))


def set_budget(
    period: str, *, usd: float | None = None, tokens: float | None = None
) -> None:
    """Set what all runs of this project together may spend in a `"day"` or a `"month"`
    (UTC), in US dollars or in tokens; without either, the budget of that period is
    removed. Running experiments keep to it too, from their next answer on, in other
    processes as well.

    Raises:
        SpecError: the period is not valid, or an amount is not a finite number >= 0, or
            tokens are not an integer.
        CacheError: the ledger cannot be written.
    """
    check_period(period)
    check_amount("usd", usd)
    check_amount("tokens", tokens, whole=True)
    given = {"usd": usd, "tokens": tokens}
    limits = BudgetLimits(**{n: float(v) for n, v in given.items() if v is not None})
    with closing(Ledger()) as ledger:
        ledger.set_budget(period, limits)


def check_period(period: object) -> None:
    """Raises `SpecError` if the period is neither `day` nor `month`."""
    if period not in PERIODS:
        raise SpecError(f"a budget's period: expected 'day' or 'month', got {period!r}")


def budgets() -> pd.DataFrame:
    """The budgets of this project: a row for each `period`, with the amounts in `usd`
    and `tokens` (NaN without limit), those `spent_`, those `reserved_` for calls in
    flight, and those `left_`."""
    import pandas as pd

    units = ("usd", "tokens")
    columns = [f"{of}{unit}" for unit in units for of in ("", "spent_", "reserved_")]
    rows = []
    with ledger_to_read() as ledger:
        for s in ledger.budget_statuses(time.time()):
            amounts = s.limits, s.spent, s.reserved
            rows.append([s.period, *(getattr(a, u) for u in units for a in amounts)])
    table = pd.DataFrame(rows, columns=["period", *columns])
    table = table.astype(dict.fromkeys(columns, "float64"))
    for n, unit in enumerate(units):
        limit = table[unit] = table[unit].where(table[unit] < float("inf"))
        left = limit - table[f"spent_{unit}"] - table[f"reserved_{unit}"]
        table.insert(4 * n + 4, f"left_{unit}", left)
    return table


def export_lines(since_s: float = 0.0) -> pd.DataFrame:
    """The rows of the ledger since a moment, in seconds since 1970: one for each call
    or failed attempt, `at` as a time in UTC."""
    import pandas as pd

    sql = f"SELECT {', '.join(CallRow._fields)} FROM calls WHERE at >= ? ORDER BY at"
    table = pd.DataFrame(_rows(sql, [since_s]), columns=list(CallRow._fields))
    table["at"] = pd.to_datetime(table["at"].astype("float64"), unit="s")
    for name, kind in EXPORTED.items():
        table[name] = table[name].astype(kind)
    return table


EXPORTED: dict[str, Any] = (
    dict.fromkeys(("run", "experiment", "base_url", "model", "snapshot"), "str")
    | dict.fromkeys(("service_tier", "price", "error", "request_id"), "str")
    | {name: "Int64" for name in CallRow._fields if name.endswith("_tokens")}
    | {"attempt": "int64", "status": "Int64", "latency_s": "float64"}
    | dict.fromkeys(("cost_usd", "prompt_cache_saved_usd"), "float64")
)


def prune(before_s: float) -> int:
    """Removes what is older than a moment, in seconds since 1970, from the ledger;
    returns how many rows that were."""
    with ledger_to_read() as ledger:
        return ledger.prune(before_s, time.time())


def moment_s(name: str, given: str | date | timedelta, now: float) -> float:
    """A moment in seconds since 1970: a time span before now, a date or a time, in UTC
    unless it has another time zone.

    Raises:
        SpecError: it is neither.
    """
    wrong = SpecError(
        f"{name}: expected a time span before now such as '30m', '12h', '7d' or '2w', "
        f"or a date such as '2026-11-01', got {given!r}"
    )
    if isinstance(given, str):
        if span := re.fullmatch(r"(\d+(?:\.\d+)?)([mhdw])", given.strip()):
            return now - float(span[1]) * SPANS_S[span[2]]
        try:
            given = datetime.fromisoformat(given.strip())
        except ValueError:
            raise wrong from None
    if given != given:  # pandas' NaT
        raise wrong
    if isinstance(given, timedelta):
        return now - given.total_seconds()
    if not isinstance(given, date):
        raise wrong
    if not isinstance(given, datetime):
        given = datetime(given.year, given.month, given.day)
    return (given if given.tzinfo else given.replace(tzinfo=UTC)).timestamp()


def _groups(by: object) -> list[str]:
    """The names that `by` holds, each once."""
    several = by if isinstance(by, Iterable) else [by]
    names = [by] if isinstance(by, str) else [] if by is None else list(several)
    if not all(isinstance(name, str) for name in names):
        raise SpecError(
            f"by: expected names such as 'day' or ['day', 'model'], got {brief(by)}"
        )
    return list(dict.fromkeys(names))


def _expression(name: str) -> str:
    if name in TIMES:
        return TIMES[name]
    if name in NAMES:
        return name
    valid = [*TIMES, *NAMES]
    meant = SYNONYMS.get(name, name)
    hint = did_you_mean(meant, valid) or f"; valid names: {', '.join(valid)}"
    raise SpecError(f"by: usage cannot be grouped by {name!r}{hint}")


def _kind(name: str) -> str:
    if name.endswith("_tokens"):
        return "Int64"
    return "float64" if name.endswith(("_usd", "_s")) else "int64"


def _rows(sql: str, values: Any = ()) -> list[tuple[Any, ...]]:
    """The rows of a query of the ledger."""
    with ledger_to_read() as ledger:
        return ledger.rows(sql, values)
