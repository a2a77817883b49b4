"""python -m benchmarks: measures promptlab beside its peers, says what holds."""

import argparse
import json
import os
import platform
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from rich.console import Console
from rich.status import Status

from benchmarks import notebook, peers, server
from benchmarks.criteria import (
    FULL,
    QUICK,
    Criterion,
    Measurable,
    Scenario,
    Sizes,
    Taken,
    scenarios,
)
from benchmarks.notebook import Compared, MissingError, Watched
from benchmarks.report import show_criteria, show_measurements
from benchmarks.sitting import Sitting, WorkFailedError

PACKAGES = (
    "aiohttp",
    "anywidget",
    "diskcache",
    "httpx2",
    "ipykernel",
    "ipywidgets",
    "jupyterlab",
    "numpy",
    "openai",
    "orjson",
    "pandas",
    "promptlab-notebook",
    "uvloop",
)


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    console = Console()
    console.width = max(console.width, 100)  # also where the output is a file
    chosen = [
        scenario
        for scenario in scenarios(options.sizes)
        if scenario.name in options.only
    ]
    environment = _environment()
    taken, failures, missing = _take(
        chosen, options.peers, options.repetitions, console
    )
    environment["load_after"] = os.getloadavg()

    criteria = [
        criterion
        for scenario in chosen
        if set(scenario.work) <= taken.measurements.keys()
        for criterion in scenario.judge(taken)
    ]
    show_measurements(console, taken)
    if criteria:
        show_criteria(console, criteria)
    if missing:
        console.print(f"[yellow]comparison, progress[/] are left out: {missing}")
    for work, failure in failures.items():
        console.print(
            f"[red]{work.peer}: {work}[/] failed:\n{failure}", highlight=False
        )
    if options.json:
        document = _document(environment, taken, criteria, failures)
        options.json.write_text(json.dumps(document, indent=2) + "\n")
    held = all(criterion.verdict != "fail" for criterion in criteria)
    return 0 if held and not failures else 1


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    names = [scenario.name for scenario in scenarios(Sizes())]
    parser.add_argument(
        "--only",
        type=_some_of(names),
        default=names,
        metavar="SCENARIO,…",
        help=f"only these scenarios, of {', '.join(names)}",
    )
    parser.add_argument(
        "--peers",
        type=_some_of(peers.NAMES),
        default=peers.NAMES,
        metavar="PEER,…",
        help=f"only these peers, of {', '.join(peers.NAMES)}; a scenario that needs "
        "others too is measured but not judged",
    )
    parser.add_argument(
        "--repetitions", type=int, metavar="N", help="3, or 1 with --quick"
    )
    size = parser.add_mutually_exclusive_group()
    size.add_argument(
        "--quick",
        dest="sizes",
        action="store_const",
        const=QUICK,
        default=Sizes(),
        help="small sizes, once: to see that it works, not how fast",
    )
    size.add_argument(
        "--full",
        dest="sizes",
        action="store_const",
        const=FULL,
        help="also plan 1,000,008 trials",
    )
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write all numbers to this file"
    )
    options = parser.parse_args(arguments)
    options.repetitions = options.repetitions or (1 if options.sizes is QUICK else 3)
    return options


def _some_of(names: Sequence[str]):
    def parse(text: str) -> list[str]:
        chosen = text.split(",")
        if unknown := set(chosen) - set(names):
            raise argparse.ArgumentTypeError(
                f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(names)}"
            )
        return chosen

    return parse


def _take(
    chosen: Sequence[Scenario],
    peer_names: Sequence[str],
    repetitions: int,
    console: Console,
) -> tuple[Taken, dict[Measurable, WorkFailedError], str]:
    """The measurements of all work that never failed, the failures of the rest, and
    what is missing where no browser is."""
    work = dict.fromkeys(
        work for scenario in chosen for work in scenario.work if work.peer in peer_names
    )
    shown = [one for one in work if isinstance(one, Compared | Watched)]
    others = [one for one in work if one not in shown]
    with (
        tempfile.TemporaryDirectory(prefix="benchmarks-") as directory,
        server.running() as mock_server,
        console.status("") as status,
    ):
        sitting = Sitting(mock_server, Path(directory))
        done, failures = _go_round(others, sitting.measure, repetitions, status)
        if not shown:
            return Taken(done), failures, ""
        status.update("starting JupyterLab")
        try:  # after the others: an open browser takes its share
            with notebook.running(mock_server) as notebooks:
                seen = _go_round(shown, notebooks.measure, repetitions, status)
        except MissingError as missing:
            return Taken(done), failures, str(missing)
        except WorkFailedError as failure:
            return Taken(done), failures | dict.fromkeys(shown, failure), ""
    return Taken(done | seen[0]), failures | seen[1], ""


def _go_round(
    work: Sequence[Measurable],
    measure: Callable[[Measurable], dict],
    repetitions: int,
    status: Status,
) -> tuple[dict[Measurable, list[dict]], dict[Measurable, WorkFailedError]]:
    """Measures all work in turn, again and again; what never failed, and the rest."""
    measurements: dict[Measurable, list[dict]] = {one: [] for one in work}
    failures: dict[Measurable, WorkFailedError] = {}
    for repetition in range(1, repetitions + 1):
        for one in work:
            if one in failures:
                continue
            status.update(f"{repetition}/{repetitions} {one.peer}: {one}")
            try:
                measurements[one].append(measure(one))
            except WorkFailedError as failure:
                failures[one] = failure
    done = {one: found for one, found in measurements.items() if one not in failures}
    return done, failures


def _environment() -> dict:
    return {
        "python": platform.python_version(),
        "system": platform.platform(),
        "cores": os.cpu_count(),
        "packages": {name: _version(name) for name in PACKAGES},
        "load_before": os.getloadavg(),
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _document(
    environment: dict,
    taken: Taken,
    criteria: Sequence[Criterion],
    failures: dict[Measurable, WorkFailedError],
) -> dict:
    """Everything measured, as JSON."""
    return {
        "environment": environment,
        "criteria": [
            asdict(criterion) | {"value": criterion.value, "verdict": criterion.verdict}
            for criterion in criteria
        ],
        "measurements": [
            {"work": asdict(work), "repetitions": measurements}
            for work, measurements in taken.measurements.items()
        ],
        "failures": [
            {"work": asdict(work), "failure": str(failure)}
            for work, failure in failures.items()
        ],
    }


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("interrupted")
