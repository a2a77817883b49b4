"""The command on forecasts: what a run would cost, from a few answers it buys."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from promptlab.cli.experiments import FAILED, INTERRUPTED
from promptlab.cli.options import (
    ConfigFile,
    Json,
    Limit,
    Only,
    Repeats,
    Var,
    Yes,
    number,
    with_run_options,
)
from promptlab.cli.printing import WRONG, echo_err, fail, print_forecast
from promptlab.cli.selection import load_config, options_of, selected

if TYPE_CHECKING:
    from promptlab.planning.pilot import Pilot


@with_run_options
def forecast(
    config: ConfigFile,
    pilot: Annotated[
        int,
        typer.Option(
            metavar="N",
            parser=number(0, whole=True),
            help="Pilot answers per variant (0: use cached ones only).",
        ),
    ] = 2,
    level: Annotated[
        float,
        typer.Option(
            metavar="SHARE", help="Confidence level of the interval, from 0 to 1."
        ),
    ] = 0.9,
    seed: Annotated[
        int, typer.Option(metavar="N", help="Seed for choosing pilot cases.")
    ] = 0,
    repeats: Repeats = None,
    limit: Limit = None,
    only: Only = None,
    var: Var = None,
    yes: Yes = False,
    json: Json = False,
    **options: Any,
) -> None:
    """Say what a run would cost, from a few answers that it buys and keeps.

    Examples:
      promptlab forecast experiment.yaml
      promptlab forecast experiment.yaml --pilot 5 --yes
    """
    from promptlab.planning.forecast import forecast as forecast_of
    from promptlab.planning.pilot import choose

    loaded = load_config(config, var)
    experiment = selected(loaded.experiment, repeats, limit, only)
    chosen_options = replace(options_of(loaded, options), progress=not json)
    chosen = choose(experiment, chosen_options, pilot, seed=seed)
    _confirm(chosen, yes)
    found = forecast_of(experiment, chosen, level=level)
    print_forecast(found, json=json)
    if found.status == "interrupted":
        sys.exit(INTERRUPTED)
    if found.status == "stopped" and not found.calls:
        sys.exit(WRONG)
    if found.status == "stopped" or found.failed:
        sys.exit(FAILED)


def _confirm(pilot: Pilot, yes: bool) -> None:
    """Says what a pilot costs, and asks whether to buy it, where it costs anything."""
    if not pilot.calls:
        return
    echo_err(f"the pilot: {pilot}")
    try:
        if yes or pilot.costs_nothing or typer.confirm("Make these calls?", err=True):
            return
    except typer.Abort:  # nobody is there to answer
        echo_err("")
        fail("no call was made; --yes makes them without asking")
    echo_err("no call was made")
    raise typer.Exit
