"""Commands on the ledger: usage, usage budget, usage prune, usage export."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from promptlab.cli.options import Json, Yes, number
from promptlab.cli.printing import echo, is_unknown, print_json, print_table
from promptlab.formats import dollars, thousands
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
        print_json({name: _plain(part) for name, part in parts.items()})
        return
    if table.empty:
        echo("no call is in the ledger" + (f" since {since}" if since else ""))
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
            echo(f"there is no budget for a {period} any more")
        else:
            echo(f"there was no budget for a {period}")
        return
    if usd is not None or tokens is not None:
        set_budget(period, usd=usd, tokens=tokens)
    table = budgets()
    shown = table[table["period"] == period]
    _show_budgets(shown, f"there is no budget for a {period}")


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
    """The ledger beside the organisation's numbers, and what that says."""
    from promptlab.store.reconcile import conclusion

    said = conclusion(table, narrowed=narrowed)
    if json:
        known = table.astype(object).where(table.notna(), None)
        print_json({"reconcile": _plain(known), "conclusion": said})
        return
    if not table.empty:
        print_table(
            ["day", "model", "", *RECONCILED.values(), "difference"],
            [_reconciled(row) for row in table.to_dict("records")],
        )
    echo(said)


RECONCILED = {
    "requests": "requests",
    "their_requests": "theirs",
    "input_tokens": "tokens in",
    "their_input_tokens": "theirs",
    "output_tokens": "tokens out",
    "their_output_tokens": "theirs",
    "cost_usd": "cost",
    "their_cost_usd": "theirs",
}
"""The columns that are shown, and their heads."""


def _reconciled(row: dict[Any, Any]) -> list[str]:
    day = f"{row['day']:%Y-%m-%d}" + ("" if row["complete"] else " so far")
    return [
        *(day, row["model"], row["agreement"]),
        *(_amount(name, row[name]) for name in RECONCILED),
        _signed(row["difference_cost_usd"]),
    ]


def _signed(more_usd: float) -> str:
    sign = "−" if more_usd < 0 else "+" if more_usd > 0 else ""
    return sign + dollars(abs(more_usd))


def _amount(name: str, value: Any) -> str:
    if name.endswith("_usd"):
        return dollars(value)
    if not isinstance(value, int):
        return "–"
    return f"{value:,}" if name.endswith("requests") else thousands(value)


def _print_usage(table: pd.DataFrame, groups: list[str]) -> None:
    shown: dict[str, Callable[[Any], str]] = {
        "requests": lambda v: f"{v:,}",
        "errors": lambda v: f"{v:,}",
        "rate_limited": lambda v: f"{v:,}",
        "input_tokens": thousands,
        "cached_input_tokens": thousands,
        "output_tokens": thousands,
        "cost_usd": dollars,
        "cached": lambda v: f"{v:,}",
        "saved_usd": dollars,
    }
    optional = ("errors", "rate_limited", "cached_input_tokens", "cached", "saved_usd")
    names = [n for n in shown if n not in optional or table[n].any()]
    rows = [
        [
            *(_group(row[name]) for name in groups),
            *(_told(row[name], shown[name]) for name in names),
        ]
        for row in table.to_dict("records")
    ]
    print_table([*groups, *(HEADS.get(name, name) for name in names)], rows)
    echo(_total(table))


HEADS = {
    "rate_limited": "429s",
    "input_tokens": "tokens in",
    "cached_input_tokens": "of them cached",
    "output_tokens": "tokens out",
    "cost_usd": "cost",
    "cached": "without a call",
    "saved_usd": "saved",
}


def _told(value: Any, written: Callable[[Any], str]) -> str:
    return "–" if is_unknown(value) else written(value)


def _group(value: Any) -> str:
    if hasattr(value, "strftime"):
        return f"{value:%Y-%m-%d %H:%M}".removesuffix(" 00:00")
    return "–" if value is None or value != value else str(value)


def _total(table: pd.DataFrame) -> str:
    """All of it in one line."""
    from promptlab.store.usage import maybe_charged

    parts = [
        f"{int(table['requests'].sum()):,} requests",
        f"{dollars(table['cost_usd'].sum())} paid",
    ]
    if unpriced := int(table["unpriced"].sum()):
        parts.append(f"no price is known for {unpriced:,}")
    if saved := table["saved_usd"].sum():
        parts.append(f"{dollars(saved)} saved by the cache")
    if saved := table["prompt_cache_saved_usd"].sum():
        parts.append(f"{dollars(saved)} by the provider's prompt cache")
    said = "all: " + ", ".join(parts)
    if unsettled := int(table["unsettled"].sum()):
        said += f"; {maybe_charged(unsettled)}"
    return said


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
    return "–" if limit != limit else f"{thousands(left)} of {thousands(limit)}"


def _plain(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows as JSON values: times as texts, None for what is unknown."""
    return [
        {str(name): _json_value(value) for name, value in row.items()}
        for row in table.to_dict("records")
    ]


def _json_value(value: Any) -> Any:
    if is_unknown(value):
        return None
    return value.isoformat() if hasattr(value, "isoformat") else value
