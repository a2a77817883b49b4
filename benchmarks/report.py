"""The tables in the terminal: the criteria, and the numbers that they come from."""

from collections.abc import Iterable
from statistics import median

from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.criteria import Bound, Criterion, Taken
from benchmarks.sitting import Command, Work

COLOURS = {"pass": "green", "near": "yellow", "fail": "red"}


def show_criteria(console: Console, criteria: Iterable[Criterion]) -> None:
    table = Table(
        title="Criteria",
        caption="pass: the aim is reached; near: only what must hold; fail: not even.",
        box=box.SIMPLE_HEAD,
    )
    table.add_column("scenario")
    table.add_column("promptlab's")
    for name in ("measured", "range", "must", "aim", "bare client"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for criterion in criteria:
        low, high = min(criterion.values), max(criterion.values)
        table.add_row(
            criterion.scenario,
            criterion.name,
            f"{_short(criterion.value)} {criterion.unit}".strip(),
            "" if len(criterion.values) == 1 else f"{_short(low)} … {_short(high)}",
            _bound(criterion.must),
            _bound(criterion.aim),
            "" if criterion.bare is None else _short(criterion.bare),
            f"[{COLOURS[criterion.verdict]}]{criterion.verdict}[/]",
        )
    console.print(table)


def show_measurements(console: Console, taken: Taken) -> None:
    table = Table(
        title="Medians of this sitting",
        caption="Seconds hold for this machine and hour only; compare ratios.",
        box=box.SIMPLE_HEAD,
    )
    table.add_column("peer")
    table.add_column("work")
    for name in (
        "wall s",
        "CPU µs\na trial",
        "memory KB\na trial",
        "calls",
        "in flight\nmost, mean",
        "process s\nwall, CPU",
    ):
        table.add_column(name, justify="right", no_wrap=True)
    for work in taken.measurements:
        table.add_row(work.peer, str(work), *_numbers(taken, work))
    console.print(table)


def _numbers(taken: Taken, work: Work | Command) -> list[str]:
    def middle(*path: str) -> float:
        return median(taken.of(work, *path))

    process = f"{middle('process_wall_s'):.2f}, {middle('process_cpu_s'):.2f}"
    if isinstance(work, Command):
        return [""] * 5 + [process]
    in_flight = ""
    if calls := middle("server", "calls"):
        most = max(taken.of(work, "server", "in_flight_max"))
        in_flight = f"{most}, {middle('server', 'in_flight_mean'):.1f}"
    return [
        f"{middle('wall_s'):.2f}",
        _short(middle("cpu_s") / work.trials * 1e6),
        _short(middle("rss_growth_bytes") / work.trials / 1000),
        _short(calls),
        in_flight,
        process,
    ]


def _bound(bound: Bound | None) -> str:
    return "" if bound is None else f"{bound.sign} {_short(bound.limit)}"


def _short(number: float) -> str:
    """Three digits that matter, and whole numbers whole."""
    if number == int(number) or abs(number) >= 100:
        return f"{number:,.0f}"
    return f"{number:.3g}"
