"""Options that several commands have; those of a run are made from `RunOptions`."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from promptlab.errors import SpecError
from promptlab.execution.options import OPTIONS, Option
from promptlab.paths import user_path

Command = TypeVar("Command", bound=Callable[..., None])


def number(low: int, *, whole: bool = False) -> Callable[[str], float]:
    """Reads an option that is a number; the parser of `typer.Option`."""
    return _number(Option(help="", type=float, minimum=low, whole=whole, finite=True))


def _number(option: Option) -> Callable[[str], float]:
    def read(text: str) -> float:
        try:
            value: float = option.type(text)
            option.check(value)
        except (ValueError, SpecError):
            problem = f"expected {option.number}, got {text!r}"
            raise typer.BadParameter(problem) from None
        return int(value) if option.whole else value

    return read


METAVARS = {
    "base_url": "URL",
    "api_key_env": "NAME|URL=NAME",
    "env_file": "FILE",
    "headers": "NAME=VALUE",
    "timeout_s": "SECONDS",
    "max_wait_s": "SECONDS",
    "cache": "FOLDER",
    "prices": "FILE",
    "budget_usd": "USD",
}
"""What stands for a value; N for others."""

REPEATABLE = ("api_key_env", "headers")


def run_option(name: str) -> Any:
    """The command line's option for an option of a run, named and explained alike."""
    option = OPTIONS[name]
    flag = "--" + name.replace("_", "-")
    if option.type is bool:
        off = "/--no-" + name.removeprefix("use_").replace("_", "-")
        return typer.Option(flag + off if option.default else flag, help=option.summary)
    short = ["-j"] if name == "max_concurrency" else []
    parser: Any = user_path if METAVARS.get(name) in ("FILE", "FOLDER") else None
    if option.type in (int, float):
        parser = _number(option)
    more = " Repeatable." if name in REPEATABLE else ""
    if parser and option.default is not None:
        more = f" Default: {option.default:g}."
    return typer.Option(
        *(flag, *short),
        metavar=METAVARS.get(name, "N"),
        parser=parser,
        help=option.summary + more,
    )


FLAGS = [name for name, option in OPTIONS.items() if not option.not_a_flag]


def with_run_options(command: Command) -> Command:
    """Gives a command that takes `**options` an option for each option of a run."""
    signature = inspect.signature(command, eval_str=True)
    own = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
    flags = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=None,
            annotation=Annotated[_type(name), _grouped(run_option(name))],
        )
        for name in FLAGS
    ]
    command.__dict__["__signature__"] = signature.replace(parameters=[*own, *flags])
    return command


def _type(name: str) -> Any:
    if name in REPEATABLE:
        return list[str] | None
    return (bool if OPTIONS[name].type is bool else str) | None


def _grouped(option: Any) -> Any:
    option.rich_help_panel = "Options of the run"
    return option


Archive = Annotated[
    Path,
    typer.Argument(parser=user_path, help="A .jsonl or .jsonl.gz file."),
]
ConfigFile = Annotated[
    Path,
    typer.Argument(
        parser=user_path,
        help="The experiment: a YAML file; - is standard input.",
    ),
]
Limit = Annotated[
    str | None,
    typer.Option(
        metavar="N|A-B", help="Only the first N cases, or the A-th to the B-th."
    ),
]
Only = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=VALUE", help="Only this value of a parameter. Repeatable."
    ),
]
Var = Annotated[
    list[str] | None,
    typer.Option(metavar="FIELD=VALUE", help="Set an input in every case. Repeatable."),
]
Repeats = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        parser=number(1, whole=True),
        help="How often each variant is asked about each case.",
    ),
]
BaseUrl = Annotated[str | None, run_option("base_url")]
EnvFile = Annotated[Path | None, run_option("env_file")]
Cache = Annotated[Path | None, run_option("cache")]
Json = Annotated[
    bool, typer.Option("--json", help="Print one JSON object instead of text.")
]
Output = Annotated[
    list[Path] | None,
    typer.Option(
        *("-o", "--output"),
        metavar="FILE",
        parser=user_path,
        help="Write the table: .csv .xlsx .jsonl .parquet. Repeatable.",
    ),
]
Threshold = Annotated[
    list[str] | None,
    typer.Option(
        metavar="SCORE=NUMBER",
        help="What the mean of a score must reach; else the exit code is 4. "
        "Repeatable.",
    ),
]
# A variable that was set long ago must not agree to what cannot be undone: what removes
# or replaces something has no variable.
Yes = Annotated[
    bool,
    typer.Option("--yes", "-y", allow_from_autoenv=False, help="Do not ask first."),
]
PaidBy = Annotated[
    str | None,
    typer.Option(
        "--experiment",
        metavar="NAME",
        help="Only the answers that this experiment paid for.",
    ),
]
