"""The score command, and what scores must reach or show."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from promptlab.cli.options import Json, Output, Threshold, with_run_options
from promptlab.cli.printing import (
    echo,
    echo_err,
    overall,
    print_json,
    print_results,
    result_plain,
)
from promptlab.cli.selection import check_targets, given_options, pair
from promptlab.formats import number as number_text
from promptlab.paths import user_path

if TYPE_CHECKING:
    from promptlab.experiment import Experiment
    from promptlab.files.config import Require
    from promptlab.results.results import Results

BELOW = 4
"""The exit code where a score is below its threshold, or no variant is better."""


@with_run_options
def score(
    name: Annotated[
        str | None,
        typer.Argument(help="The run, or the beginning of its name; else the latest."),
    ] = None,
    scorers: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            parser=user_path,
            help="A YAML file with scorers; else those that the run had.",
        ),
    ] = None,
    output: Output = None,
    threshold: Threshold = None,
    json: Json = False,
    **options: Any,
) -> None:
    """Score a recorded run again, and say what changed. Only judges are asked.

    Exit code: 0, or 4 if a score is not what --threshold says.

    Examples:
      promptlab score
      promptlab score triage-20261124 --scorers scorers.yaml -o scored.csv
      promptlab score --scorers judges.yaml --budget-usd 1
      promptlab score --threshold exact=0.8
    """
    from promptlab.files.config import load_scorers
    from promptlab.results.runs import find_run

    targets = list(output or [])
    check_targets(targets)
    listed = [] if scorers is None else load_scorers(scorers)
    before = find_run(name).load_results()
    results = before.score(*listed, **given_options(options))
    thresholds = _read(threshold)
    for target in targets:
        results.to(target)
    if json:
        print_json(result_plain(results, targets))
    else:
        print_results(results, targets)
        for change in results.changes.head(10).itertuples():
            echo(
                f"  trial {change.trial}: {change.score} "
                f"{change.before} → {change.after}"
            )
        if (rest := len(results.changes) - 10) > 0:
            echo(f"  and {rest:,} more")
    sys.exit(threshold_code(results, thresholds))


def thresholds_of(
    given: Sequence[str] | None, experiment: Experiment
) -> dict[str, float]:
    """The thresholds of the command line.

    Raises:
        SpecError: no scorer of the experiment has that name.
    """
    from promptlab.files.config import check_threshold

    thresholds = _read(given)
    check_threshold(thresholds, experiment)
    return thresholds


def threshold_code(results: Results, thresholds: Mapping[str, float]) -> int:
    """4 if the mean of a score over all trials is not what it must be, else 0; each
    such score is a line on standard error."""
    if not thresholds:
        return 0
    summary = overall(results)
    missed = False
    for name, limit in thresholds.items():
        column = results.score_columns.get(name)
        mean = summary.get(name)
        lower = column is not None and column.lower_is_better
        if mean is not None and (mean <= limit if lower else mean >= limit):
            continue
        missed = True
        if mean is None or mean != mean:
            echo_err(f"threshold: {name} has no score that is a number")
        else:
            side = "above" if lower else "below"
            echo_err(f"threshold: {name} {number_text(mean)} is {side} {limit:g}")
    return BELOW if missed else 0


def require_code(results: Results, require: Require | None) -> int:
    """4 if no variant is better than what is required, else 0; why is a line on
    standard error."""
    if require is None:
        return 0
    from promptlab.analysis.leaderboard import leaderboard

    board = leaderboard(results, require.score, baseline=require.better_than)
    if board.not_better:
        echo_err(f"require: {board.not_better}")
    return BELOW if board.not_better else 0


def _read(given: Sequence[str] | None) -> dict[str, float]:
    thresholds = {}
    for text in given or ():
        name, value = pair("--threshold", text)
        try:
            thresholds[name] = float(value)
        except ValueError:
            raise typer.BadParameter(
                f"--threshold: {name}: expected a number, got {value!r}"
            ) from None
    return thresholds
