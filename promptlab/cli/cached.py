"""Commands on the cache: list, stats, explain, prune, clear, export, import."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from promptlab.cli.options import (
    BaseUrl,
    ConfigFile,
    EnvFile,
    Json,
    Limit,
    Only,
    PaidBy,
    Var,
    Yes,
)
from promptlab.cli.printing import complain, day, print_json, print_table, size, tell
from promptlab.cli.selection import load_config, options_of, selected

if TYPE_CHECKING:
    from promptlab.execution.cache import ResponseCache
    from promptlab.files import Config


def list_(json: Json = False) -> None:
    """List what is cached, by the experiment that paid for it."""
    rows: dict[str, dict[str, Any]] = {}
    for _, paid_by, stored_s, length in _cache().catalogue():
        row = rows.setdefault(
            paid_by,
            {"experiment": paid_by, "answers": 0, "bytes": 0, "from_s": stored_s},
        )
        row["answers"] += 1
        row["bytes"] += length
        row["from_s"] = min(row["from_s"], stored_s)
        row["to_s"] = max(row.get("to_s", stored_s), stored_s)
    if json:
        print_json(list(rows.values()))
        return
    if not rows:
        tell("the cache is empty")
        return
    print_table(
        ["experiment", "answers", "size", "first", "last"],
        [
            [
                r["experiment"] or "–",
                f"{r['answers']:,}",
                size(r["bytes"]),
                day(r["from_s"]),
                day(r["to_s"]),
            ]
            for r in rows.values()
        ],
    )


def stats(json: Json = False) -> None:
    """Say where the cache is and how large."""
    cache = _cache()
    plain = {
        "directory": str(cache.directory),
        "answers": len(cache),
        "bytes_on_disk": cache.size_bytes(),
    }
    if json:
        print_json(plain)
    else:
        tell(
            f"{plain['answers']:,} answers, {size(cache.size_bytes())} on disk, "
            f"in {cache.directory}"
        )


def explain(
    config: ConfigFile,
    trial: Annotated[
        int,
        typer.Option("--trial", min=0, envvar="PROMPTLAB_TRIAL", help="Its number."),
    ] = 0,
    limit: Limit = None,
    only: Only = None,
    var: Var = None,
    base_url: BaseUrl = None,
    env_file: EnvFile = None,
) -> None:
    """Say why a trial hits or misses the cache."""
    from promptlab.execution.settings import Settings

    loaded = load_config(config, var)
    experiment = selected(loaded.experiment, None, limit, only)
    if trial >= len(experiment):
        complain(f"there is no trial {trial}: the experiment has {len(experiment):,}")
    chosen = experiment.trials[trial]
    settings = Settings.of(options_of(loaded, base_url=base_url, env_file=env_file))
    tell(chosen)
    tell(_cache(loaded).explain(chosen.first_request(settings.route)))


def prune(
    older_than: Annotated[
        str | None,
        typer.Option(
            "--older-than",
            metavar="AGE",
            envvar="PROMPTLAB_OLDER_THAN",
            help="Such as 12h, 30d or 2w.",
        ),
    ] = None,
    experiment: PaidBy = None,
    yes: Yes = False,
) -> None:
    """Remove answers by age or by the experiment that paid for them."""
    if older_than is None and experiment is None:
        complain("say what to remove: --older-than 30d, --experiment NAME, or both")
    age_s = _age(older_than) if older_than else None
    what = " and ".join(
        filter(
            None,
            [
                f"older than {older_than}" if older_than else "",
                f"paid for by {experiment!r}" if experiment else "",
            ],
        )
    )
    _confirm(f"Remove the answers {what}? They would have to be paid for again.", yes)
    removed = _cache().prune(older_than_s=age_s, experiment=experiment)
    tell(f"removed {removed:,} answers")


def clear(yes: Yes = False) -> None:
    """Remove all answers."""
    cache = _cache()
    _confirm(
        f"Remove all {len(cache):,} answers from {cache.directory}? They would have to "
        "be paid for again.",
        yes,
    )
    tell(f"removed {cache.clear():,} answers")


def export(
    path: Annotated[Path, typer.Argument(help="A .jsonl or .jsonl.gz file.")],
    experiment: PaidBy = None,
) -> None:
    """Write answers to a file that others can import."""
    from promptlab.execution.archive import export_archive

    count = export_archive(_cache(), path, experiment=experiment)
    tell(f"wrote {count:,} answers to {path}")


def import_(
    path: Annotated[Path, typer.Argument(help="A .jsonl or .jsonl.gz file.")],
) -> None:
    """Add the answers of an exported file."""
    from promptlab.execution.archive import import_archive

    added, known = import_archive(_cache(), path)
    tell(f"added {added:,} answers; {known:,} were there already")


# What the commands are made of.


def _cache(config: Config | None = None) -> ResponseCache:
    from promptlab.execution.cache import open_cache

    return open_cache(config.options.get("cache") if config else None)


def _confirm(question: str, yes: bool) -> None:
    if not yes and not typer.confirm(question):
        tell("nothing was removed")
        raise typer.Exit


def _age(text: str) -> float:
    units = {"m": 60, "h": 3600, "d": 86400, "w": 604800}
    number, unit = text[:-1], text[-1:]
    if unit not in units or not number.isdigit():
        raise typer.BadParameter(
            f"--older-than takes an age such as 12h, 30d or 2w, not {text!r}"
        )
    return int(number) * units[unit]
