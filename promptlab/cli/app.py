"""The application: its commands, and how errors end it."""

from __future__ import annotations

import os
import signal
import sys
import warnings
from collections.abc import Callable, Mapping
from typing import Annotated, Any, NoReturn

import typer

from promptlab.cli import (
    cache,
    compare,
    experiments,
    forecast,
    help,
    login,
    prices,
    runs,
    score,
    usage,
)
from promptlab.cli.experiments import INTERRUPTED
from promptlab.cli.printing import (
    drop_output,
    echo_err,
    fail,
    nobody_reads,
    show_warning,
    write_what_can_be,
)
from promptlab.errors import PromptlabError

Command = Callable[..., None]

SETTINGS = {
    "help_option_names": ["-h", "--help"],
    "auto_envvar_prefix": "PROMPTLAB",  # of each command, so that names are short
}

COMMANDS: dict[str, Command] = {
    "run": experiments.run,
    "validate": experiments.validate,
    "forecast": forecast.forecast,
    "init": experiments.init,
    "show": runs.show,
    "export": runs.export,
    "score": score.score,
    "compare": compare.compare,
    "prices": prices.prices,
    "schema": experiments.schema,
    "login": login.login,
    "logout": login.logout,
    "serve-offline": experiments.serve_offline,
}
CACHE_COMMANDS: dict[str, Command] = {
    "list": cache.list_,
    "stats": cache.stats,
    "explain": cache.explain,
    "prune": cache.prune,
    "clear": cache.clear,
    "export": cache.export,
    "import": cache.import_,
}
USAGE_COMMANDS: dict[str, Command] = {
    "budget": usage.budget,
    "prune": usage.prune,
    "export": usage.export,
}


MAIN_HELP = """Run prompt experiments: grids of prompts, models and parameters.

Examples:
  promptlab init                        # writes experiment.yaml
  promptlab validate experiment.yaml    # how many calls, at what cost
  promptlab run experiment.yaml -o results.csv
"""
CACHE_HELP = """Look at, share and tidy the answers on disk.

Examples:
  promptlab cache list
  promptlab cache export answers.jsonl.gz --experiment triage
  promptlab cache prune --older-than 90d
"""


def _app(commands: Mapping[str, Command], **options: Any) -> typer.Typer:
    made = typer.Typer(
        cls=help.Group,
        context_settings=SETTINGS,
        add_completion=False,
        pretty_exceptions_enable=False,
        **options,
    )
    for name, command in commands.items():
        made.command(name, cls=help.Command, context_settings=SETTINGS)(command)
    return made


app = _app(
    COMMANDS,
    help=MAIN_HELP,
    no_args_is_help=True,
)
app.add_typer(
    _app(
        CACHE_COMMANDS,
        help=CACHE_HELP,
        no_args_is_help=True,
    ),
    name="cache",
)
app.add_typer(
    _app(USAGE_COMMANDS, invoke_without_command=True, callback=usage.usage),
    name="usage",
)


def main() -> None:
    """Runs the command line, and turns our errors into one line and an exit code."""
    debug = "--debug" in sys.argv or os.environ.get("PROMPTLAB_DEBUG", "0") != "0"
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    warnings.showwarning = show_warning
    write_what_can_be()
    try:
        try:
            app(args=arguments, prog_name="promptlab")
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()
    except PromptlabError as error:
        if debug:
            raise
        fail(str(error))
    except KeyboardInterrupt:
        echo_err("interrupted")
        _end_interrupted()
    except SystemExit as ended:
        if ended.code == INTERRUPTED:
            _end_interrupted()
        raise
    except BrokenPipeError:
        nobody_reads()
    except OSError as error:  # a full disk, most likely
        if debug:
            raise
        drop_output()
        fail(str(error))


def _end_interrupted() -> NoReturn:
    """Ends with 130; in a terminal by the signal of Ctrl-C itself, which shells show as
    130 too, as only then bash ends the loop of paid runs around this one."""
    if os.name == "posix" and sys.stderr is not None and sys.stderr.isatty():
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    sys.exit(INTERRUPTED)


@app.callback(invoke_without_command=True)
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            allow_from_autoenv=False,
            help="Print the version and exit.",
        ),
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of an error.")
    ] = False,
) -> None:
    if version:
        from promptlab import __version__

        print(f"promptlab {__version__}")
        raise typer.Exit
