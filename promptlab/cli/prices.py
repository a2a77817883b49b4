"""The command on prices."""

from __future__ import annotations

from typing import Annotated

import typer

from promptlab.cli.options import Json
from promptlab.cli.printing import echo, prices_plain, print_json, print_prices


def prices(
    pattern: Annotated[
        str, typer.Argument(help="A model, or a pattern such as 'gpt-6*'.")
    ] = "*",
    provider: Annotated[
        str | None,
        typer.Option(
            "--provider",
            metavar="NAME",
            help="Whose list prices; OpenAI's if not given.",
        ),
    ] = None,
    tier: Annotated[
        str | None,
        typer.Option(
            "--tier",
            metavar="NAME",
            help="Prices of this tier: batch, flex, priority.",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Show the prices in force: those of prices.toml, and list prices.

    Examples:
      promptlab prices 'gpt-6*'
      promptlab prices gpt-6-luna --tier batch
    """
    from promptlab.money import price_table

    found = price_table.prices(pattern, provider, tier=tier)
    if json:
        print_json(prices_plain(found))
        return
    ends = [f", {of}" for of in found["provider"].fillna("")]
    sources = [s.removesuffix(e) for s, e in zip(found["source"], ends, strict=True)]
    shown = found.assign(source=sources)
    same = [name for name in ("provider", "source") if shown[name].nunique() == 1]
    same = [name for name in same if shown[name].notna().all()]
    common = f" ({', '.join(shown[name].iloc[0] for name in same)})" if same else ""
    echo(f"US dollars per million tokens{common}")
    if found["long_from"].notna().any():
        echo("with more input than 'long from' a call costs more")
    print_prices(shown.drop(columns=same))
