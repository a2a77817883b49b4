"""The command on forecasts: what a run would cost, from a few answers it buys."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from promptlab.cli.experiments import FAILED, INTERRUPTED
from promptlab.cli.options import (
    AllowInsecure,
    ApiKeyEnv,
    BaseUrl,
    Cache,
    ConfigFile,
    EnvFile,
    Json,
    Limit,
    Only,
    Repeats,
    Var,
    Yes,
    whole_from,
)
from promptlab.cli.printing import WRONG, complain, print_forecast, say
from promptlab.cli.selection import load_config, options_of, selected

if TYPE_CHECKING:
    from promptlab.planning.pilot import Pilot


def forecast(
    config: ConfigFile,
    pilot: Annotated[
        int,
        typer.Option(
            "--pilot",
            metavar="N",
            parser=whole_from(0),
            envvar="PROMPTLAB_PILOT",
            help="Answers of each variant that it goes by; 0: those that are there.",
        ),
    ] = 2,
    level: Annotated[
        float,
        typer.Option(
            "--level",
            envvar="PROMPTLAB_LEVEL",
            help="How often the interval shall hold what a run then pays.",
        ),
    ] = 0.9,
    seed: Annotated[
        int,
        typer.Option("--seed", envvar="PROMPTLAB_SEED", help="Deals other cases."),
    ] = 0,
    repeats: Repeats = None,
    limit: Limit = None,
    only: Only = None,
    var: Var = None,
    cache: Cache = None,
    env_file: EnvFile = None,
    base_url: BaseUrl = None,
    api_key_env: ApiKeyEnv = None,
    allow_insecure: AllowInsecure = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Say what a run would cost, from a few answers that it buys and keeps."""
    from promptlab.planning.pilot import choose

    loaded = load_config(config, var)
    experiment = selected(loaded.experiment, repeats, limit, only)
    options = options_of(
        loaded,
        base_url=base_url,
        api_key_env=api_key_env,
        allow_insecure=allow_insecure or None,
        env_file=env_file,
        cache=cache,
    )
    _confirm(choose(experiment, pilot, seed=seed, **options), yes)
    told = experiment.forecast(
        pilot, level=level, seed=seed, progress=not json, **options
    )
    print_forecast(told, json=json)
    if told.status == "interrupted":
        sys.exit(INTERRUPTED)
    if told.status == "stopped" and not told.calls:
        sys.exit(WRONG)
    if told.status == "stopped" or told.failed:
        sys.exit(FAILED)


def _confirm(pilot: Pilot, yes: bool) -> None:
    """Says what a pilot costs, and asks whether to buy it, where it costs anything."""
    if not pilot.calls:
        return
    say(f"the pilot: {pilot}")
    try:
        if yes or pilot.costs_nothing or typer.confirm("Make these calls?", err=True):
            return
    except typer.Abort:  # nobody is there to answer
        say("")
        complain("no call was made; --yes makes them without asking")
    say("no call was made")
    raise typer.Exit
