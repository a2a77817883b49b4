"""The tables in the terminal: the criteria, and the numbers that they come from."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from statistics import median

from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.criteria import Bound, Criterion, Taken
from benchmarks.notebook import Compared, Watched
from benchmarks.sitting import Command, Work

COLOURS = {"pass": "green", "near": "yellow", "fail": "red"}
COLUMNS = (
    *("peer", "work", "wall s"),
    "CPU µs\na trial",
    "memory KB\na trial",
    "calls",
    "in flight\nmost, mean",
    "process s\nwall, CPU",
)
ACTS = ("opening", "scroll", "last_row", "word", "failed")
COMPARISON_COLUMNS = (
    *("comparison", "act", "wall s"),
    "CPU s\nof the kernel",
    "CPU s\nof the page",
    "sent KB",
)
PROGRESS_COLUMNS = ("runs", "progress", "wall s", "CPU s", "calls/s")


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
    """A table for each kind of work that was measured."""
    for kind, columns, rows in (
        (Work | Command, COLUMNS, _work_rows),
        (Compared, COMPARISON_COLUMNS, _comparison_rows),
        (Watched, PROGRESS_COLUMNS, _progress_rows),
    ):
        work = [one for one in taken.measurements if isinstance(one, kind)]
        if work:
            _show_medians(console, columns, chain(*(rows(taken, one) for one in work)))


def _show_medians(
    console: Console, columns: Sequence[str], rows: Iterable[Sequence[str]]
) -> None:
    table = Table(
        title="Medians of this sitting",
        caption="Seconds hold for this machine and hour only; compare ratios.",
        box=box.SIMPLE_HEAD,
    )
    for name in columns[:2]:
        table.add_column(name)
    for name in columns[2:]:
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    console.print(table)


def _work_rows(taken: Taken, work: Work | Command) -> Iterator[list[str]]:
    yield [work.peer, str(work), *_numbers(taken, work)]


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


def _comparison_rows(taken: Taken, work: Compared) -> Iterator[list[str]]:
    def middle(*path: str) -> float:
        return median(taken.of(work, *path))

    for act in ACTS:
        yield [
            str(work),
            act.replace("_", " "),
            *(f"{middle(act, n):.2f}" for n in ("s", "kernel_cpu_s", "page_cpu_s")),
            _short(middle(act, "bytes") / 1000),
        ]


def _progress_rows(taken: Taken, work: Watched) -> Iterator[list[str]]:
    for how in ("silent", "shown"):
        runs = [run for runs in taken.of(work, how) for run in runs]
        wall_s, cpu_s = (median(run[n] for run in runs) for n in ("wall_s", "cpu_s"))
        yield [
            str(work),
            how,
            f"{wall_s:.2f}",
            f"{cpu_s:.3f}",
            _short(work.trials / wall_s),
        ]


def _bound(bound: Bound | None) -> str:
    return "" if bound is None else f"{bound.sign} {_short(bound.limit)}"


def _short(number: float) -> str:
    """Three digits that matter, and whole numbers whole."""
    if number == int(number) or abs(number) >= 100:
        return f"{number:,.0f}"
    return f"{number:.3g}"
