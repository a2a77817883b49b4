"""Printing: results on standard output as tables or JSON, messages on the other."""

from __future__ import annotations

import codecs
import io
import os
import re
import shutil
import sys
import textwrap
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from rich.cells import cell_len

from promptlab.execution.progress import printable
from promptlab.formats import counted, dollars, seconds

if TYPE_CHECKING:
    import pandas as pd

    from promptlab.planning.forecast import Forecast
    from promptlab.planning.plan import Plan
    from promptlab.results.results import Results
    from promptlab.results.runs import RunRecord

WRONG = 1
"""The exit code of a wrong config, or when nothing could run."""

NUMBER = re.compile(r"[+−-]?<?\$?[\d.,]+(e[+-]?\d+)?([kMGB%]| m?s)?|–")
"""A number as tables show it, such as `1,024`, `12.3k`, `$0.0034`, `8 ms`; or none."""


def print_plan(plan: Plan, *, json: bool) -> None:
    """What a run would do."""
    experiment = plan.experiment
    if json:
        print_json(
            {
                "name": experiment.name,
                "variants": len(experiment.effective_variants),
                "cases": len(experiment.dataset),
                "repeats": experiment.repeats,
                "trials": len(experiment),
                **{s: plan.counts[s] for s in ("cached", "new", "duplicate")},
                "calls": plan.calls,
                "input_tokens": list(plan.input_tokens),
                "output_tokens": list(plan.output_tokens),
                "counting": dict(plan.counting),
                "cost_usd": list(plan.cost_usd),
                "unpriced": list(plan.unpriced),
                "free": list(plan.free),
                "budget_notes": list(plan.budget_notes),
                "least_s": plan.least_s,
                "warnings": list(experiment.warnings),
            }
        )
        return
    tell(f"{experiment.name}: {experiment.size}")
    rows = [
        [
            name,
            str(len(experiment.grid.levels(name))),
            ", ".join(brief(level.label) for level in experiment.grid.levels(name)),
        ]
        for name in experiment.grid.parameters
    ]
    print_table(["parameter", "values", ""], rows)
    inputs = ", ".join(experiment.dataset.fields) or "none"
    tell(f"inputs of {experiment.dataset.name}: {inputs}")
    tell(f"a run now has {plan.headline}")
    if plan.calls:
        tell(f"tokens: {plan.tokens} ({plan.counted})")
        tell(f"cost: {plan.cost}")
    for note in plan.budget_notes:
        tell(f"note: {note}")


def print_forecast(forecast: Forecast, *, json: bool) -> None:
    """What a run would cost."""
    if json:
        print_json(
            {
                "name": forecast.experiment.name,
                "calls_left": forecast.plan.calls,
                "cost_usd": forecast.cost_usd,
                "low": forecast.low,
                "high": forecast.high,
                "level": forecast.level,
                "worst_case": forecast.worst_case,
                "known_usd": forecast.known_usd,
                "input_tokens": forecast.input_tokens._asdict(),
                "output_tokens": forecast.output_tokens._asdict(),
                "pilot": {
                    "status": forecast.status,
                    "calls": forecast.calls,
                    "failed": forecast.failed,
                    "billed_usd": forecast.billed_usd,
                },
                "notes": list(forecast.notes),
            }
        )
        return
    calls = forecast.plan.calls
    tell(f"a run now: {counted(calls, 'call')} to make")
    tell(f"cost: {forecast.cost}")
    if calls:
        if forecast.worst_case < float("inf"):
            tell(f"at most: {dollars(forecast.worst_case)}")
        tell(f"tokens: {forecast.tokens}")
    for note in forecast.notes:
        tell(f"note: {note}")


def print_results(
    results: Results, targets: Sequence[Path], *, told: bool = False
) -> None:
    """What a run gave, and where it was written; why it was stopped is `told` on
    standard error."""
    tell(results.outcome if told else results.headline)
    if results.price_note:
        tell(results.price_note)
    _print_summary(results.summary())
    if results.latency_note:
        tell(results.latency_note)
    if (known := results.prices.dropna(subset="input")).size:
        tell("prices, in US dollars for a million tokens:")
        print_prices(known)
    if results.failures:
        _print_failures(results)
    for target in targets:
        tell(f"wrote {target}")
    if results.run:
        tell(f"recorded as {results.run}")


PRICE_HEADS = {
    "cached_input": "cached",
    "cache_write": "written",
    "long_from": "long from",
    "as_of": "as of",
}


def print_prices(prices: pd.DataFrame) -> None:
    """Prices, one line each, without columns that say nothing."""
    shown = prices.dropna(axis="columns", how="all")
    heads = [PRICE_HEADS.get(str(name), str(name)) for name in shown]
    rows = [[_price(value) for value in row] for row in shown.itertuples(index=False)]
    print_table(heads, rows)


def prices_plain(prices: pd.DataFrame) -> list[dict[str, Any]]:
    """Prices for JSON, null where a table does not say."""
    table = prices.assign(as_of=prices["as_of"].dt.strftime("%Y-%m-%d"))
    rows = table.astype(object).where(table.notna(), None).to_dict("records")
    return [{str(name): value for name, value in row.items()} for row in rows]


def _price(value: Any) -> str:
    if hasattr(value, "date") and value == value:
        return f"{value:%Y-%m-%d}"
    if isinstance(value, float) and value == value:
        return f"{value:g}"
    return _cell(value)


def _print_failures(results: Results) -> None:
    groups: dict[tuple[object, ...], list[int]] = {}
    for trial, failure in sorted(results.failures.items()):
        sort = failure.kind, failure.status, failure.code
        groups.setdefault(sort, []).append(trial)
    tell("failed:")
    for trials in list(groups.values())[:5]:
        rest = "".join(f", {trial}" for trial in trials[1:5])
        which = f"{results.experiment.trials[trials[0]]}{rest}"
        first = results.failures[trials[0]].summary
        tell(f"  {len(trials):,} × {first}")
        tell(f"      {which}{', …' if len(trials) > 5 else ''}")
    if len(groups) > 5:
        tell(f"  and {len(groups) - 5} other kinds")


def result_plain(results: Results, targets: Sequence[Path]) -> dict[str, Any]:
    """The totals and the first failures, for JSON."""
    return {
        "name": results.experiment.name,
        "status": results.status,
        "reason": results.reason,
        **asdict(results.totals),
        "run": results.run,
        "output": [str(target) for target in targets],
        "prices": prices_plain(results.prices),
        "errors": [
            {"trial": trial, "error": failure.summary}
            for trial, failure in sorted(results.failures.items())[:100]
        ],
    }


def print_runs(records: Sequence[RunRecord], *, json: bool) -> None:
    """A line for each run."""
    if json:
        print_json(
            [
                {
                    "run": r.name,
                    "experiment": r.experiment_name,
                    "status": r.state,
                    "started_s": r.started_s,
                    "variants": r.variants or None,
                    **r.totals,
                    "note": r.problem or r.reason,
                }
                for r in records
            ]
        )
        return
    if not records:
        tell("no run is recorded")
        return
    print_table(
        ["run", "status", "variants", "trials", "answered", "failed", "calls", "cost"],
        [
            [
                r.name,
                r.state,
                f"{r.variants:,}" if r.variants else "–",
                *(
                    f"{r.totals[n]:,}" if n in r.totals else "–"
                    for n in ("trials", "answered", "failed", "calls")
                ),
                _money(r.totals.get("cost_usd")),
            ]
            for r in records
        ],
    )
    for record in records:
        if record.problem:
            tell(f"{record.name}: {record.problem}")


def _money(usd: float | None) -> str:
    return "–" if usd is None or usd != usd else dollars(usd)


HEADS = {
    "mean_input_tokens": "tokens in",
    "mean_output_tokens": "tokens out",
    "mean_latency_s": "latency",
    "sped_up": "sped up",
    "mean_cost_usd": "cost",
}
SHOWN_IF_ANY = (
    *("failed", "truncated", "withheld", "refused", "empty", "cached", "sped_up"),
)
"""Counts that are left out of a summary where all of them are 0."""


def _print_summary(summary: pd.DataFrame) -> None:
    """The summary as a table, without what says nothing."""
    if summary.empty:
        return
    table = summary.reset_index().drop(columns=["answered", "all"], errors="ignore")
    silent = [name for name in SHOWN_IF_ANY if not table[name].any()]
    unknown = [name for name in HEADS if table[name].isna().all()]
    table = table.drop(columns={*silent, *unknown})
    heads = [HEADS.get(str(column), str(column)) for column in table]
    written = [WRITTEN.get(str(column), _cell) for column in table]
    rows = [
        [write(value) for write, value in zip(written, row, strict=True)]
        for row in table.itertuples(index=False)
    ]
    print_table(heads, rows)


WRITTEN: dict[str, Callable[[Any], str]] = {
    "mean_latency_s": seconds,
    "mean_cost_usd": dollars,
}
"""How the numbers of a column with a unit are written."""


def _cell(value: Any) -> str:
    if is_unknown(value):
        return "–"
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"
    return brief(value) if isinstance(value, str) else f"{value}"


def is_unknown(value: Any) -> bool:
    """Whether a value of a table is none: None, NA or NaN."""
    return value is None or type(value).__name__ == "NAType" or value != value


def print_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table; columns of numbers are set to the right, long heads are broken."""
    columns = [
        _column(printable(head), [printable(row[n]) for row in rows])
        for n, head in enumerate(heads)
    ]
    width = sum(cell_len(column[0]) for column in columns)
    seen = sys.stdout is not None and sys.stdout.isatty()
    room = shutil.get_terminal_size().columns if seen else 200
    gap = "  " if width + 2 * (len(heads) - 1) <= room else " "
    for line in zip(*columns, strict=True):
        if text := gap.join(line).rstrip():
            tell(text)


def _column(head: str, cells: Sequence[str]) -> list[str]:
    """A column's lines, all of one width: head, rule, cells."""
    widest = max(map(cell_len, cells), default=0)
    broken = head if cell_len(head) <= widest else head.replace("_", "_ ")
    parts = textwrap.wrap(broken, max(widest, 7), break_long_words=False)
    lines = (
        ["", "", *parts][-2:] if len(parts) <= 2 else [parts[0], " ".join(parts[1:])]
    )
    width = max(map(cell_len, [*lines, *cells]))
    right = bool(cells) and all(map(_numeric, cells))
    return [
        *(_set(line, width, right=right) for line in lines),
        "─" * width,
        *(_set(cell, width, right=right) for cell in cells),
    ]


def _set(text: str, width: int, *, right: bool) -> str:
    blank = " " * (width - cell_len(text))
    return blank + text if right else text + blank


def _numeric(cell: str) -> bool:
    return NUMBER.fullmatch(cell) is not None


def print_json(plain: Any) -> None:
    """One JSON value, indented; in ASCII where standard output is not UTF-8."""
    import json

    import orjson

    text = orjson.dumps(plain, option=orjson.OPT_INDENT_2).decode()
    if not (getattr(sys.stdout, "encoding", None) or "utf").lower().startswith("utf"):
        text = json.dumps(json.loads(text), indent=2)
    _put(text)


PLAINER = str.maketrans(
    {
        **dict.fromkeys("─━═–—‐−", "-"),
        **dict.fromkeys("│┃║", "|"),
        **dict.fromkeys("╭╮╰╯┌┐└┘├┤┬┴┼╸╺", "+"),
        "×": "x",
        "…": "...",
        "·": "*",
        "→": "->",
        "≤": "<=",
        "≥": ">=",
        "✓": "v",
        "±": "+-",
        "µ": "u",
        **dict.fromkeys("‘’", "'"),
        **dict.fromkeys("“”„", '"'),
    }
)
"""What stands in ASCII for the signs that we write."""


def write_what_can_be() -> None:
    """Lets both streams write something else for what their code page does not have,
    as that of a pipe on Windows, instead of ending in an error."""
    codecs.register_error("promptlab.plainer", _plainer)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="promptlab.plainer")


def _plainer(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    given = error.object[error.start : error.end]
    return "".join(_in_ascii(letter) for letter in given), error.end


def _in_ascii(letter: str) -> str:
    plainer = letter.translate(PLAINER)
    return plainer if plainer.isascii() else "?"


def size(count: float) -> str:
    """A number of bytes in words: `23.0 KB`."""
    for unit in ("B", "KB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"


def day(moment_s: float) -> str:
    """A time since 1970 in words, in local time."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(moment_s))


def brief(value: object) -> str:
    """A value in one line of at most 40 characters."""
    text = " ".join(printable(str(value)).split())
    return text if len(text) <= 40 else text[:39] + "…"


def tell(text: object) -> None:
    """A line, or several, on standard output."""
    _put(printable(str(text)))


def _put(text: str) -> None:
    try:
        print(text)
    except BrokenPipeError:
        nobody_reads()


def nobody_reads() -> NoReturn:
    """Ends quietly: the reader of a pipe has seen enough."""
    drop_output()
    sys.exit(0)


def drop_output() -> None:
    """Sends what is still to be written to standard output nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def say(text: str) -> None:
    """A line on standard error, if anyone reads that."""
    with suppress(OSError):
        print(printable(text), file=sys.stderr, flush=True)


def complain(text: str) -> NoReturn:
    """One line on standard error, and exit code 1."""
    say(f"promptlab: {text}")
    sys.exit(WRONG)


def show_warning(message: Any, *_: Any, **__: Any) -> None:
    """A warning in one line, without the code that gave it."""
    say(f"note: {message}")
