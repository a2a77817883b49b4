"""Commands on the cache: list, stats, explain, prune, clear, export, import."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from promptlab.cli.options import (
    Archive,
    BaseUrl,
    Cache,
    ConfigFile,
    EnvFile,
    Json,
    Limit,
    Only,
    PaidBy,
    Repeats,
    Var,
    Yes,
    number,
)
from promptlab.cli.printing import day, echo, fail, print_json, print_table, size
from promptlab.cli.selection import load_config, merged, selected
from promptlab.formats import counted

if TYPE_CHECKING:
    from promptlab.store.cache import ResponseCache


def list_(cache: Cache = None, json: Json = False) -> None:
    """List what is cached, by the experiment that paid for it.

    Examples:
      promptlab cache list
    """
    rows: dict[str, dict[str, Any]] = {}
    for _, paid_by, stored_s, length in _existing(cache).catalogue():
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
        echo("the cache is empty")
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


def stats(cache: Cache = None, json: Json = False) -> None:
    """Say where the cache is and how large.

    Examples:
      promptlab cache stats --json
    """
    opened = _existing(cache)
    plain = {
        "directory": str(opened.directory),
        "answers": len(opened),
        "replaced": opened.replaced_count(),
        "bytes_on_disk": opened.size_bytes(),
    }
    if json:
        print_json(plain)
    else:
        echo(
            f"{counted(len(opened), 'answer')}, {size(opened.size_bytes())} on disk, "
            f"in {opened.directory}"
        )
        if replaced := plain["replaced"]:
            echo(
                f"{replaced:,} more that a refresh replaced, kept for recorded runs; "
                "prune --replaced removes them"
            )


def explain(
    config: ConfigFile,
    trial: Annotated[
        int,
        typer.Option(
            "--trial",
            metavar="N",
            parser=number(0, whole=True),
            help="Trial number.",
        ),
    ] = 0,
    repeats: Repeats = None,
    limit: Limit = None,
    only: Only = None,
    var: Var = None,
    base_url: BaseUrl = None,
    env_file: EnvFile = None,
    cache: Cache = None,
) -> None:
    """Say why a trial hits or misses the cache.

    Examples:
      promptlab cache explain experiment.yaml --trial 7
    """
    from promptlab.execution.options import RunOptions
    from promptlab.store.explain import explain as explain_request
    from promptlab.store.wire_names import known_names

    loaded = load_config(config, var)
    experiment = selected(loaded.experiment, repeats, limit, only)
    if trial >= len(experiment):
        fail(f"no trial {trial}; the last is {len(experiment) - 1}")
    chosen = experiment.trials[trial]
    given = {"base_url": base_url, "env_file": env_file, "cache": cache}
    run_options = RunOptions(**merged(loaded, given))
    echo(chosen)
    request = chosen.first_request(run_options.base_url_for, known_names())
    echo(explain_request(request, run_options.cache))


def prune(
    older_than: Annotated[
        str | None,
        typer.Option(
            "--older-than",
            metavar="AGE",
            help="Only answers older than this, such as 12h, 30d or 2w.",
        ),
    ] = None,
    experiment: PaidBy = None,
    replaced: Annotated[
        bool,
        typer.Option(
            "--replaced",
            help="Only answers that --refresh has replaced.",
        ),
    ] = False,
    cache: Cache = None,
    yes: Yes = False,
) -> None:
    """Remove answers by age or by the experiment that paid for them.

    Examples:
      promptlab cache prune --older-than 90d
      promptlab cache prune --experiment triage --yes
    """
    if older_than is None and experiment is None and not replaced:
        fail(
            "say what to remove: --older-than 30d, --experiment NAME, --replaced, or "
            "several of them"
        )
    age_s = _age(older_than) if older_than else None
    opened = _existing(cache)
    what = " and ".join(
        filter(
            None,
            [
                f"older than {older_than}" if older_than else "",
                f"paid for by {experiment!r}" if experiment else "",
                "replaced by a refresh" if replaced else "",
            ],
        )
    )
    loss = (
        "Recorded runs that had them can no longer show them."
        if replaced
        else "They would have to be paid for again."
    )
    _confirm(f"Remove the answers {what}? {loss}", yes)
    removed = opened.prune(older_than_s=age_s, experiment=experiment, replaced=replaced)
    echo(f"removed {counted(removed, 'answer')}")


def clear(cache: Cache = None, yes: Yes = False) -> None:
    """Remove all answers.

    Examples:
      promptlab cache clear
    """
    opened = _existing(cache)
    _confirm(
        f"Remove all {len(opened):,} answers from {opened.directory}? They would have "
        "to be paid for again.",
        yes,
    )
    echo(f"removed {counted(opened.clear(), 'answer')}")


def export(
    path: Archive,
    experiment: PaidBy = None,
    cache: Cache = None,
) -> None:
    """Write answers to a file that others can import.

    Examples:
      promptlab cache export answers.jsonl.gz
    """
    from promptlab.store.archive import export_archive

    if not path.name.endswith((".jsonl", ".jsonl.gz")):
        fail(f"{path}: answers are written as .jsonl or .jsonl.gz")
    count = export_archive(_existing(cache), path, experiment=experiment)
    echo(f"wrote {count:,} answers to {path}")


def import_(
    path: Archive,
    cache: Cache = None,
) -> None:
    """Add the answers of an exported file.

    Examples:
      promptlab cache import answers.jsonl.gz
    """
    from promptlab.store.archive import import_archive
    from promptlab.store.cache import open_cache

    imported = import_archive(open_cache(cache), path)
    echo(imported.summary)
    if imported.refused:
        raise typer.Exit(1)


# What the commands are made of.


def _existing(folder: Path | None) -> ResponseCache:
    """The cache in a folder, which is not made one; or the project's own."""
    from promptlab.store.cache import open_cache

    if folder is not None and not (folder / "cache.db").is_file():
        fail(f"no cache in {folder}")
    return open_cache(folder)


def _confirm(question: str, yes: bool) -> None:
    try:
        if yes or typer.confirm(question):
            return
    except typer.Abort:  # nobody is there to answer
        print()
        fail("nothing was removed; --yes removes without asking")
    echo("nothing was removed")
    raise typer.Exit


def _age(text: str) -> float:
    from promptlab.store.usage import SPANS_S

    number, unit = text[:-1], text[-1:]
    if unit not in SPANS_S or not number.isdigit():
        raise typer.BadParameter(
            f"--older-than: expected an age such as 12h, 30d or 2w, got {text!r}"
        )
    return int(number) * SPANS_S[unit]
