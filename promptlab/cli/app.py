"""The application: its commands, and how errors end it."""

from __future__ import annotations

import os
import signal
import sys
import warnings
from collections.abc import Callable
from typing import Annotated, NoReturn

import typer

from promptlab.cli import (
    cached,
    experiments,
    forecasts,
    keys,
    prices,
    runs,
    usage,
)
from promptlab.cli.experiments import INTERRUPTED
from promptlab.cli.printing import (
    complain,
    drop_output,
    nobody_reads,
    say,
    show_warning,
    write_what_can_be,
)
from promptlab.errors import PromptlabError

Command = Callable[..., None]

app = typer.Typer(
    help="Prompt experiments: grids, caching, comparison.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
COMMANDS: tuple[Command, ...] = (
    experiments.run,
    experiments.validate,
    forecasts.forecast,
    experiments.init,
    runs.show,
    runs.export,
    prices.prices,
    experiments.schema,
    keys.login,
    keys.logout,
)
for command in COMMANDS:
    app.command()(command)
app.command("serve-offline")(experiments.serve_offline)

cache_app = typer.Typer(
    help="Look at, share and tidy the answers on disk.", no_args_is_help=True
)
CACHE_COMMANDS: tuple[Command, ...] = (
    cached.stats,
    cached.explain,
    cached.prune,
    cached.clear,
    cached.export,
)
cache_app.command("list")(cached.list_)
for command in CACHE_COMMANDS:
    cache_app.command()(command)
cache_app.command("import")(cached.import_)
app.add_typer(cache_app, name="cache")

usage_app = typer.Typer(invoke_without_command=True, callback=usage.usage)
for command in (usage.budget, usage.prune, usage.export):
    usage_app.command()(command)
app.add_typer(usage_app, name="usage")


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
        complain(str(error))
    except KeyboardInterrupt:
        say("interrupted")
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
        complain(str(error))


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
        bool, typer.Option("--version", help="Print the version and exit.")
    ] = False,
    debug: Annotated[
        bool,
        typer.Option(
            "--debug",
            envvar="PROMPTLAB_DEBUG",
            help="Show where an error comes from.",
        ),
    ] = False,
) -> None:
    if version:
        from promptlab import __version__

        print(f"promptlab {__version__}")
        raise typer.Exit
