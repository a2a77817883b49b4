"""Commands on experiments: run, validate, init, schema, serve-offline."""

from __future__ import annotations

import asyncio
import shlex
import signal
import sys
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer

from promptlab.cli.options import (
    ConfigFile,
    Json,
    Limit,
    Only,
    Output,
    Repeats,
    Threshold,
    Var,
    with_run_options,
)
from promptlab.cli.printing import (
    WRONG,
    echo_err,
    fail,
    print_json,
    print_plan,
    print_results,
    result_plain,
)
from promptlab.cli.score import require_code, threshold_code, thresholds_of
from promptlab.cli.selection import (
    check_models,
    check_targets,
    load_config,
    options_of,
    pair,
    selected,
)
from promptlab.errors import ExportError, did_you_mean
from promptlab.paths import user_path

if TYPE_CHECKING:
    from promptlab.execution.options import RunOptions
    from promptlab.experiment import Experiment
    from promptlab.offline import Faults
    from promptlab.results.results import Results
    from promptlab.results.runs import RunRecord


STARTER = Path(__file__).parents[1] / "starter.yaml"
"""The config file that `init` writes."""

STARTER_NAME = "experiment.yaml"
"""What its comments call it."""

FAILED, INTERRUPTED = 3, 130
"""Exit codes: some trials failed; interrupted by the user."""


@with_run_options
def run(
    config: ConfigFile,
    output: Output = None,
    repeats: Repeats = None,
    limit: Limit = None,
    only: Only = None,
    var: Var = None,
    threshold: Threshold = None,
    retry_errors: Annotated[
        bool,
        typer.Option(
            "--retry-errors",
            help="Ask only for what failed in the last run of this experiment.",
        ),
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Show what a run would do, and make no call."),
    ] = False,
    json: Json = False,
    quiet: Annotated[
        bool, typer.Option("-q", "--quiet", help="Print errors only.")
    ] = False,
    **options: Any,
) -> None:
    """Run an experiment. Answers in the cache are not asked for again.

    Exit code: 0 if all trials are answered, 1 if the config is wrong or nothing could
    run, 2 for a wrong command line, 3 if trials failed or are missing, 4 if a score is
    not what --threshold or the config says or no variant is better than the config
    requires, 130 if it was interrupted.

    Examples:
      promptlab run experiment.yaml
      promptlab run experiment.yaml --limit 10 --budget-usd 0.50 -o results.csv
      promptlab run experiment.yaml --only prompt=terse --only temperature=0
      promptlab run experiment.yaml --retry-errors
    """
    from promptlab.files.config import check_require

    loaded = load_config(config, var)
    experiment = selected(loaded.experiment, repeats, limit, only)
    chosen = options_of(loaded, options)
    targets = [*loaded.output, *(output or [])]
    check_targets(targets, loaded.files)
    check_require(loaded.require, experiment)
    thresholds = {**loaded.threshold, **thresholds_of(threshold, experiment)}
    if dry_run:
        _echo_plan(experiment, chosen, json=json)
        return
    results = _run(experiment, chosen, retry_errors=retry_errors, quiet=quiet or json)
    if targets and not results.totals.answered:
        echo_err(_spared(targets))
        targets = []
    unwritten = _write(results, targets)
    written = [target for target in targets if target not in unwritten]
    if json:
        print_json(result_plain(results, written))
    elif not quiet:
        print_results(results, written, with_reason=results.status != "stopped")
    if unwritten:
        fail(f"{'; '.join(unwritten.values())}; promptlab export -o writes it again")
    if code := _exit_code(results):
        sys.exit(code)
    codes = threshold_code(results, thresholds), require_code(results, loaded.require)
    sys.exit(max(codes))


@with_run_options
def validate(
    config: ConfigFile,
    repeats: Repeats = None,
    limit: Limit = None,
    only: Only = None,
    var: Var = None,
    json: Json = False,
    **options: Any,
) -> None:
    """Check a config file and say what a run would do. No key is needed.

    Examples:
      promptlab validate experiment.yaml
      promptlab validate experiment.yaml --repeats 3 --json
    """
    loaded = load_config(config, var)
    experiment = selected(loaded.experiment, repeats, limit, only)
    check_targets(loaded.output, loaded.files)
    chosen = options_of(loaded, options)
    check_models(experiment, chosen)
    _echo_plan(experiment, chosen, json=json)


def init(
    path: Annotated[
        Path,
        typer.Argument(parser=user_path, help="Where to write it."),
    ] = Path(STARTER_NAME),
    force: Annotated[
        bool,
        typer.Option(
            "--force", allow_from_autoenv=False, help="Replace an existing file."
        ),
    ] = False,
) -> None:
    """Write a commented config file to start from; it runs as it is.

    Examples:
      promptlab init
      promptlab init experiments/first.yaml
    """
    if path.exists() and not force:
        fail(f"{path} exists; choose another name, or pass --force")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        starter = STARTER.read_text("utf-8")
        named = starter.replace(STARTER_NAME, shlex.quote(path.name))
        path.write_bytes(named.encode())
    except OSError as error:
        fail(f"{path} cannot be written: {error.strerror or error}")
    print(f"wrote {path}; run it with: python -m promptlab run {path}")


def schema() -> None:
    """Print the JSON Schema of config files, for editors.

    Examples:
      promptlab schema > experiment.schema.json
    """
    from promptlab.files.config import config_schema

    print_json(config_schema())


def serve_offline(
    port: Annotated[
        int,
        typer.Option(
            metavar="N", min=0, max=65535, help="The port; 0 takes any free one."
        ),
    ] = 8000,
    fault: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE",
            help="A fault to simulate: latency_s=0.5, requests_per_minute=60, "
            "server_errors=0.1 (a share of calls), dropped, html, ... "
            "Repeatable.",
        ),
    ] = None,
) -> None:
    """Serve the offline model on this machine, for any OpenAI client.

    Examples:
      promptlab serve-offline --port 8000
      promptlab serve-offline --fault latency_s=0.5 --fault server_errors=0.1
    """
    from promptlab.offline import OfflineServer

    faults = _faults(fault or [])

    async def serve() -> None:
        try:
            server = OfflineServer(faults=faults, port=port)
            await server.start()
        except OSError as error:
            fail(f"port {port} cannot be used: {error.strerror or error}")
        print(
            f"serving offline/small and offline/large on {server.base_url}", flush=True
        )
        print("stop with Ctrl-C", flush=True)
        try:
            await asyncio.Event().wait()
        finally:
            await server.stop()

    asyncio.run(serve())


def _faults(given: Sequence[str]) -> Faults:
    from promptlab.offline import Faults

    known = [field.name for field in fields(Faults)]
    switches: dict[str, Any] = {}
    for text in given:
        name, value = pair("--fault", text)
        if name not in known:
            hint = did_you_mean(name, known) or f"; valid names: {', '.join(known)}"
            raise typer.BadParameter(f"no fault {name!r}{hint}")
        try:
            switches[name] = orjson.loads(value)
        except orjson.JSONDecodeError:
            raise typer.BadParameter(
                f"{name}: expected a number, got {value!r}"
            ) from None
    try:
        return Faults(**switches)
    except (TypeError, ValueError) as error:
        raise typer.BadParameter(str(error)) from error


def _echo_plan(experiment: Experiment, options: RunOptions, *, json: bool) -> None:
    """What a run would do, unless it would be refused."""
    from promptlab.planning.plan import check_plan
    from promptlab.scoring.planned import plan

    found = plan(experiment, options)
    check_plan(found, options)
    print_plan(found, json=json)


def _run(
    experiment: Experiment,
    options: RunOptions,
    *,
    retry_errors: bool,
    quiet: bool,
) -> Results:
    from promptlab.execution.progress import WithoutReason, display_for
    from promptlab.execution.runner import start

    only_trials = _failed_before(experiment) if retry_errors else None
    if not quiet:
        echo_err(f"{experiment.name}: {experiment.size}")
    progress = False if quiet else WithoutReason(display_for(True))
    handle = start(experiment, replace(options, progress=progress), only_trials)
    if not quiet:
        for line in handle.keys:
            echo_err(f"key: {line}")
    signal.signal(signal.SIGTERM, lambda *_: handle.cancel())
    while True:
        try:
            return handle.result()
        except KeyboardInterrupt:
            handle.cancel()  # what is in flight may arrive; a second time, not


def _spared(targets: Sequence[Path]) -> str:
    """The note for a table without an answer, which replaces no better one."""
    there = [str(target) for target in targets if target.exists()]
    stay = f"{' and '.join(there)} {'is' if len(there) == 1 else 'are'} unchanged"
    return "no trial was answered, so no table is written" + (
        f"; {stay}" if there else ""
    )


def _write(results: Results, targets: Sequence[Path]) -> dict[Path, str]:
    """Writes the table to the files; gives those that cannot be written, and why."""
    unwritten = {}
    for target in targets:
        try:
            results.to(target)
        except ExportError as error:
            unwritten[target] = str(error)
    return unwritten


def _failed_before(experiment: Experiment) -> frozenset[int]:
    """The trials that failed in the last run of just this experiment."""
    from promptlab.results.runs import last_run_of, run_records

    record = last_run_of(experiment)
    if record is None:
        runs = run_records()
        akin = next((r for r in runs if r.experiment_name == experiment.name), None)
        fail(f"--retry-errors: {_no_run_of(experiment, akin)}")
    if record.state != "complete":
        echo_err(
            f"--retry-errors: {record.name} did not ask all of its trials "
            f"({record.state}); leave --retry-errors out to ask the rest"
        )
    elif not record.failed:
        echo_err(f"--retry-errors: nothing failed in {record.name}")
    return record.failed


def _no_run_of(experiment: Experiment, akin: RunRecord | None) -> str:
    name = experiment.name
    if akin is None:
        return f"no run of {name!r} is recorded; run it without --retry-errors"
    return (
        f"the last run of {name!r}, {akin.name}, was of other trials: the config, "
        "--limit, --only, --var or --repeats differ; give them as they were, or leave "
        "--retry-errors out, as what is cached is not asked again"
    )


def _exit_code(results: Results) -> int:
    if results.status == "interrupted":
        return INTERRUPTED
    if not results.totals.answered:
        echo_err(f"nothing could run: {results.reason or _first_failure(results)}")
        return WRONG
    if results.status == "stopped":
        echo_err(f"stopped: {results.reason}")
    return FAILED if results.totals.failed or results.totals.missing else 0


def _first_failure(results: Results) -> str:
    return next((f.summary for f in results.failures.values()), "no trial was asked")
