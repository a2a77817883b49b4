"""Commands on recorded runs: show, export."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from promptlab.cli.options import Json, Output
from promptlab.cli.printing import (
    echo,
    fail,
    print_json,
    print_results,
    print_runs,
    result_plain,
)
from promptlab.cli.selection import check_targets

Run = Annotated[
    str | None,
    typer.Argument(help="The run, or the beginning of its name; else the latest."),
]


def show(
    name: Run = None,
    list_: Annotated[
        bool,
        typer.Option("--list", "-l", envvar="PROMPTLAB_LIST", help="List all runs."),
    ] = False,
    json: Json = False,
) -> None:
    """Show a recorded run: its totals, a summary, its failures.

    Examples:
      promptlab show
      promptlab show --list
      promptlab show triage-20261124 --json
    """
    from promptlab.results.runs import find_run, run_records

    if list_:
        print_runs(run_records(), json=json)
        return
    record = find_run(name)
    results = record.load_results()
    if json:
        print_json(result_plain(results, []))
        return
    started = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(record.started_s))
    echo(f"{record.name}, started {started}")
    print_results(results, [])


def export(
    output: Output,
    name: Run = None,
) -> None:
    """Write the table of a recorded run to files.

    Examples:
      promptlab export -o results.csv
      promptlab export triage-20261124 -o results.parquet -o results.xlsx
    """
    from promptlab.results.runs import find_run

    if not output:
        fail("name a file to write with -o, such as -o results.csv")
    check_targets(output)
    results = find_run(name).load_results()
    for target in output:
        echo(f"wrote {results.to(target)}")
