"""Options that several commands have."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from promptlab.errors import a_number
from promptlab.paths import user_path


def number_from(low: int) -> Callable[[str], float]:
    """Reads an option that is a number; the parser of `typer.Option`."""

    def read(text: str) -> float:
        try:
            number = float(text)
        except ValueError:
            number = float("nan")
        if not number >= low:
            raise typer.BadParameter(f"expected {a_number(low)}, got {text!r}")
        return number

    return read


def whole_from(low: int) -> Callable[[str], int]:
    """Reads an option that is a whole number; the parser of `typer.Option`."""

    def read(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = low - 1
        if number < low:
            expected = a_number(low, whole=True)
            raise typer.BadParameter(f"expected {expected}, got {text!r}")
        return number

    return read


Archive = Annotated[
    Path, typer.Argument(parser=user_path, help="A .jsonl or .jsonl.gz file.")
]
ConfigFile = Annotated[
    Path,
    typer.Argument(
        parser=user_path, help="The experiment: a YAML file; - is standard input."
    ),
]
Limit = Annotated[
    str | None,
    typer.Option(
        "--limit",
        metavar="N|A-B",
        envvar="PROMPTLAB_LIMIT",
        help="Only the first N cases, or the A-th to the B-th.",
    ),
]
Only = Annotated[
    list[str] | None,
    typer.Option(
        "--only",
        metavar="NAME=VALUE",
        envvar="PROMPTLAB_ONLY",
        help="Only this value of a parameter; may be given again.",
    ),
]
Var = Annotated[
    list[str] | None,
    typer.Option(
        "--var",
        metavar="FIELD=VALUE",
        envvar="PROMPTLAB_VAR",
        help="Set an input in every case; may be given again.",
    ),
]
Repeats = Annotated[
    int | None,
    typer.Option(
        "--repeats",
        metavar="N",
        parser=whole_from(1),
        envvar="PROMPTLAB_REPEATS",
        help="How often each variant is asked about each case.",
    ),
]
BaseUrl = Annotated[
    str | None,
    typer.Option(
        "--base-url",
        metavar="URL",
        envvar="PROMPTLAB_BASE_URL",
        help="Where requests are sent.",
    ),
]
ApiKeyEnv = Annotated[
    list[str] | None,
    typer.Option(
        "--api-key-env",
        metavar="NAME",
        envvar="PROMPTLAB_API_KEY_ENV",
        help="The environment variable that holds the key, or URL=NAME, that of one "
        "server; may be given again.",
    ),
]
AllowInsecure = Annotated[
    bool,
    typer.Option(
        "--allow-insecure",
        envvar="PROMPTLAB_ALLOW_INSECURE",
        help="Send keys and prompts over http:// to other machines, unencrypted.",
    ),
]
EnvFile = Annotated[
    Path | None,
    typer.Option(
        "--env-file",
        metavar="FILE",
        parser=user_path,
        envvar="PROMPTLAB_ENV_FILE",
        help="Read environment variables from this file instead of .env.",
    ),
]
Cache = Annotated[
    Path | None,
    typer.Option(
        "--cache",
        metavar="FOLDER",
        parser=user_path,
        envvar="PROMPTLAB_CACHE",
        help="The folder of the cache, instead of the config's or the project's.",
    ),
]
NoCache = Annotated[
    bool,
    typer.Option(
        "--no-cache",
        envvar="PROMPTLAB_NO_CACHE",
        help="Read nothing from the cache and store nothing in it.",
    ),
]
Refresh = Annotated[
    bool,
    typer.Option(
        "--refresh",
        envvar="PROMPTLAB_REFRESH",
        help="Ask everything anew, and store the new answers.",
    ),
]
Offline = Annotated[
    bool,
    typer.Option(
        "--offline",
        envvar="PROMPTLAB_OFFLINE",
        help="Make no call: what is not cached fails.",
    ),
]
Json = Annotated[
    bool,
    typer.Option(
        "--json", envvar="PROMPTLAB_JSON", help="Print one JSON object instead of text."
    ),
]
Output = Annotated[
    list[Path] | None,
    typer.Option(
        "-o",
        "--output",
        metavar="FILE",
        parser=user_path,
        envvar="PROMPTLAB_OUTPUT",
        help="Write the table: .csv .xlsx .jsonl .parquet; may be given again.",
    ),
]
# A variable that was set long ago must not agree to what cannot be undone: what removes
# or replaces something has no variable.
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask first.")]
PaidBy = Annotated[
    str | None,
    typer.Option(
        "--experiment",
        metavar="NAME",
        envvar="PROMPTLAB_EXPERIMENT",
        help="Only the answers that this experiment paid for.",
    ),
]
