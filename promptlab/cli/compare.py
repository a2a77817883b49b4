"""The compare command: which variant of a recorded run is better, and how sure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from promptlab.cli.options import Json
from promptlab.cli.printing import echo, plain_number, plain_rows, print_json
from promptlab.cli.runs import Run

if TYPE_CHECKING:
    from promptlab.analysis.leaderboard import Leaderboard
    from promptlab.results.results import Results


def compare(
    name: Run = None,
    score: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="The score; may be left out if there is one."
        ),
    ] = None,
    baseline: Annotated[
        str | None,
        typer.Option(
            metavar="VALUE|NAME=VALUE",
            help="What the others are compared with, such as plain or prompt=plain.",
        ),
    ] = None,
    by: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="A column to compare; else all parameters that vary. Repeatable.",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Say which variant of a recorded run is better, and how sure that is.

    Examples:
      promptlab compare
      promptlab compare triage-20261124 --score exact --baseline plain
      promptlab compare --score exact --by prompt --by model --json
    """
    from promptlab.analysis.leaderboard import leaderboard
    from promptlab.results.runs import find_run

    results = find_run(name).load_results()
    reference = None if baseline is None else _reference(results, baseline)
    board = leaderboard(results, score, by or None, baseline=reference)
    if json:
        print_json(_plain(board))
        return
    for line in repr(board).splitlines():
        echo(line)


def _reference(results: Results, text: str) -> str | dict[str, str]:
    """A value, or the value of a column where the text names one."""
    column, equals, value = text.partition("=")
    return {column: value} if equals and column in results.table else text


def _plain(board: Leaderboard) -> dict[str, Any]:
    return {
        "by": list(board.scores.by),
        "variants": plain_rows(board.table),
        "detectable": plain_number(board.detectable),
        "notes": board.notes,
    }
