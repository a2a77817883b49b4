"""Commands on the ledger: usage, usage budget, usage prune, usage export."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from promptlab.cli.options import Json, Yes, number
from promptlab.cli.printing import (
    echo,
    plain_rows,
    print_frame,
    print_json,
    print_table,
)
from promptlab.formats import UNKNOWN, dollars, thousands
from promptlab.paths import user_path
from promptlab.spec.address import OPENAI_URL

if TYPE_CHECKING:
    import pandas as pd

Since = Annotated[
    str | None,
    typer.Option(
        "--since",
        metavar="SPAN|DATE",
        help="Only calls since then, such as 7d, 12h or 2026-11-01.",
    ),
]


def usage(
    context: typer.Context,
    since: Since = None,
    by: Annotated[
        list[str] | None,
        typer.Option(
            "--by",
            metavar="NAME",
            help="Group by hour, day, week, month, model, experiment, run, base_url, "
            "snapshot, service_tier or error. Repeatable.",
        ),
    ] = None,
    reconcile: Annotated[
        bool,
        typer.Option(
            "--reconcile",
            help="Compare with what the organisation was charged, by day and model; "
            "needs an admin key in OPENAI_ADMIN_KEY.",
        ),
    ] = False,
    project_id: Annotated[
        list[str] | None,
        typer.Option(
            "--project-id",
            metavar="ID",
            help="With --reconcile, only this project of the organisation. Repeatable.",
        ),
    ] = None,
    api_key_id: Annotated[
        list[str] | None,
        typer.Option(
            "--api-key-id",
            metavar="ID",
            help="With --reconcile, only this key of the organisation (key_..., not "
            "the key itself). Repeatable.",
        ),
    ] = None,
    server: Annotated[
        str,
        typer.Option(
            "--server",
            metavar="URL",
            help="With --reconcile, the base URL whose calls are compared.",
        ),
    ] = OPENAI_URL,
    json: Json = False,
) -> None:
    """Sum up this project's calls: requests, tokens, cost, errors, savings.

    Examples:
      promptlab usage --since 7d --by day --by model
      promptlab usage --since 30d --by experiment --json
      promptlab usage --reconcile --since 7d
    """
    if context.invoked_subcommand is not None:
        return
    if reconcile:
        _refuse(context, ["by"], "cannot be used with --reconcile")
        from promptlab.store.reconcile import reconcile as reconciled

        table = reconciled(
            since or "7d",
            project_ids=project_id,
            api_key_ids=api_key_id,
            base_url=server,
        )
        narrowed = bool(project_id or api_key_id)
        _print_reconciled(table, narrowed=narrowed, json=json)
        return
    _refuse(context, ["project_id", "api_key_id", "server"], "needs --reconcile")
    from promptlab.store.usage import budgets, headroom, usage

    groups = by or ["day", "model"]
    table, standing, room = usage(since, groups), budgets(), headroom()
    if json:
        parts = {"usage": table, "budgets": standing, "headroom": room}
        print_json({name: plain_rows(part) for name, part in parts.items()})
        return
    if table.empty:
        echo("no calls in the ledger" + (f" since {since}" if since else ""))
    else:
        _print_usage(table, groups)
    for row in standing.itertuples():
        echo(_budget_line(row))
    if not room.empty:
        _print_headroom(room)


def budget(
    context: typer.Context,
    period: Annotated[
        str | None,
        typer.Argument(
            help="day or month, in UTC. All budgets are shown without it.",
        ),
    ] = None,
    usd: Annotated[
        float | None,
        typer.Option(metavar="USD", parser=number(0), help="The most US dollars."),
    ] = None,
    tokens: Annotated[
        float | None,
        typer.Option(
            metavar="N",
            parser=number(0, whole=True),
            help="The most tokens, of input and output.",
        ),
    ] = None,
    remove: Annotated[
        bool,
        typer.Option("--remove", allow_from_autoenv=False, help="Remove this budget."),
    ] = False,
) -> None:
    """Show or set what all runs together may spend in a day or a month.

    Examples:
      promptlab usage budget
      promptlab usage budget day --usd 20
      promptlab usage budget month --tokens 5000000
      promptlab usage budget day --remove
    """
    from promptlab.store.usage import budgets, check_period, set_budget

    if period is None:
        _refuse(context, ["usd", "tokens", "remove"], "needs a period: day or month")
        _show_budgets(budgets(), "no budget is set")
        return
    check_period(period)
    if remove:
        _refuse(context, ["usd", "tokens"], "cannot be used with --remove")
        if period in set(budgets()["period"]):
            set_budget(period)
            echo(f"the budget for a {period} was removed")
        else:
            echo(f"no budget for a {period} was set")
        return
    if usd is not None or tokens is not None:
        set_budget(period, usd=usd, tokens=tokens)
    table = budgets()
    shown = table[table["period"] == period]
    _show_budgets(shown, f"no budget for a {period} is set")


def _show_budgets(table: pd.DataFrame, none: str) -> None:
    for row in table.itertuples():
        echo(_budget_line(row))
    if table.empty:
        echo(f"{none}; `promptlab usage budget day --usd 20` sets one, for example")


def prune(
    older_than: Annotated[
        str,
        typer.Option(
            "--older-than",
            metavar="SPAN|DATE",
            help="Remove lines older than this, such as 365d or 2026-01-01.",
        ),
    ],
    yes: Yes = False,
) -> None:
    """Remove old lines from the ledger; what was spent this month still counts.

    Examples:
      promptlab usage prune --older-than 365d
    """
    from promptlab.store.usage import moment_s, prune

    before_s = moment_s("--older-than", older_than, time.time())
    if not yes:
        typer.confirm(
            f"Remove all lines older than {older_than}?", abort=True, err=True
        )
    echo(f"{prune(before_s):,} lines removed")


def export(
    file: Annotated[
        Path,
        typer.Argument(
            parser=user_path, help="The file: .csv, .xlsx, .jsonl or .parquet."
        ),
    ],
    since: Since = None,
) -> None:
    """Write the ledger, a row for each call, to a file.

    Examples:
      promptlab usage export calls.csv --since 30d
    """
    from promptlab.results.exports import write
    from promptlab.store.usage import export_lines, moment_s

    since_s = 0.0 if since is None else moment_s("--since", since, time.time())
    table = export_lines(since_s)
    table["at"] = table["at"].dt.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    echo(f"wrote {len(table):,} lines to {write(table, file)}")


def _refuse(context: typer.Context, names: list[str], why: str) -> None:
    """Refuses options that would do nothing; those of the environment may be there for
    another command."""
    for name in names:
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            raise typer.BadParameter(f"--{name.replace('_', '-')} {why}")


def _print_reconciled(table: pd.DataFrame, *, narrowed: bool, json: bool) -> None:
    """The ledger beside the organisation's numbers, and what follows from them."""
    from promptlab.store.reconcile import conclusion

    text = conclusion(table, narrowed=narrowed)
    if json:
        print_json({"reconcile": plain_rows(table), "conclusion": text})
        return
    if not table.empty:
        days = table["day"].dt.strftime("%Y-%m-%d")
        shown = table.assign(
            day=days + table["complete"].map({True: "", False: " so far"})
        )
        print_frame(shown[[*RECONCILED]], RECONCILED, FORMATS)
    echo(text)


RECONCILED = {
    "day": "day",
    "model": "model",
    "agreement": "",
    "requests": "requests",
    "their_requests": "theirs",
    "input_tokens": "tokens in",
    "their_input_tokens": "theirs",
    "output_tokens": "tokens out",
    "their_output_tokens": "theirs",
    "cost_usd": "cost",
    "their_cost_usd": "theirs",
    "difference_cost_usd": "difference",
}
"""The columns that are shown, and their heads."""


def _signed(more_usd: float) -> str:
    return ("+" if more_usd > 0 else "") + dollars(more_usd)


def _print_usage(table: pd.DataFrame, groups: list[str]) -> None:
    names = [n for n in USAGE if n not in SHOWN_IF_ANY or table[n].any()]
    print_frame(table[[*groups, *names]], USAGE, FORMATS)
    echo(_total(table))


USAGE = {
    "requests": "requests",
    "errors": "errors",
    "rate_limited": "429s",
    "input_tokens": "tokens in",
    "cached_input_tokens": "of them cached",
    "output_tokens": "tokens out",
    "cost_usd": "cost",
    "cached": "without a call",
    "saved_usd": "saved",
}
"""The columns of usage after its groups, and their heads."""

SHOWN_IF_ANY = ("errors", "rate_limited", "cached_input_tokens", "cached", "saved_usd")

FORMATS: dict[str, Callable[[Any], str]] = {
    **{name: thousands for name in (*USAGE, *RECONCILED) if name.endswith("_tokens")},
    **{name: dollars for name in (*USAGE, *RECONCILED) if name.endswith("_usd")},
    "difference_cost_usd": _signed,
}
"""How the numbers of a column are written."""


def _total(table: pd.DataFrame) -> str:
    """All of it in one line."""
    from promptlab.store.usage import maybe_charged

    parts = [
        f"{int(table['requests'].sum()):,} requests",
        f"{dollars(table['cost_usd'].sum())} paid",
    ]
    if unpriced := int(table["unpriced"].sum()):
        parts.append(f"{unpriced:,} without a known price")
    if saved := table["saved_usd"].sum():
        parts.append(f"{dollars(saved)} saved by the cache")
    if saved := table["prompt_cache_saved_usd"].sum():
        parts.append(f"{dollars(saved)} by the provider's prompt cache")
    total = "all: " + ", ".join(parts)
    if unsettled := int(table["unsettled"].sum()):
        total += f"; {maybe_charged(unsettled)}"
    return total


def _budget_line(row: Any) -> str:
    """How a budget stands."""
    parts = []
    if row.usd == row.usd:
        parts.append(f"{dollars(row.spent_usd)} of {dollars(row.usd)}")
    if row.tokens == row.tokens:
        spent, limit = thousands(row.spent_tokens), thousands(row.tokens)
        parts.append(f"{spent} of {limit} tokens")
    held = row.reserved_usd if row.usd == row.usd else row.reserved_tokens
    return f"budget of this {row.period} (UTC): {' and '.join(parts)} spent" + (
        ", more reserved for calls in flight or cut off" if held else ""
    )


def _print_headroom(room: pd.DataFrame) -> None:
    rows = [
        [
            row["model"],
            row["base_url"],
            *(
                _of(row[f"remaining_{of}"], row[f"limit_{of}"])
                for of in ("requests", "tokens")
            ),
            f"{row['at']:%Y-%m-%d %H:%M}",
        ]
        for row in room.to_dict("records")
    ]
    echo("last seen rate limits, and what was left of them, per minute:")
    print_table(["model", "server", "requests", "tokens", "seen (UTC)"], rows)


def _of(left: float, limit: float) -> str:
    return UNKNOWN if limit != limit else f"{thousands(left)} of {thousands(limit)}"
