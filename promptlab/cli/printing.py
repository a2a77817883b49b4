"""Printing: results on standard output as tables or JSON, messages on the other."""

from __future__ import annotations

import codecs
import io
import os
import re
import sys
import textwrap
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from rich.cells import cell_len

from promptlab.execution.progress import printable
from promptlab.formats import UNKNOWN, counted, dollars, seconds

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
                "not_counted": dict(plan.not_counted),
                "judgements": [
                    {
                        "model": each.model,
                        "cached": each.cached,
                        "new": each.new,
                        "input_tokens": list(each.input_tokens),
                        "output_tokens": list(each.output_tokens),
                        "cost_usd": list(each.cost_usd),
                    }
                    for each in plan.judging
                ],
                "total_usd": list(plan.total_usd),
                "budget_notes": list(plan.budget_notes),
                "least_s": plan.least_s,
                "warnings": list(experiment.warnings),
            }
        )
        return
    echo(f"{experiment.name}: {experiment.size}")
    rows = [
        [
            name,
            str(len(levels)),
            ", ".join(brief(level.label) for level in levels),
        ]
        for name in experiment.grid.parameters
        if (levels := experiment.grid.used(name))
    ]
    print_table(["parameter", "values", ""], rows)
    inputs = ", ".join(experiment.dataset.fields) or "none"
    echo(f"inputs of {experiment.dataset.name}: {inputs}")
    echo(f"a run now: {plan.headline}")
    if plan.calls:
        echo(f"tokens: {plan.tokens} ({plan.counted})")
        echo(f"cost: {plan.cost}")
    for note in plan.notes:
        echo(f"note: {note}")


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
    echo(f"a run now: {counted(calls, 'call')} to make")
    echo(f"cost: {forecast.cost}")
    if calls:
        if forecast.worst_case < float("inf"):
            echo(f"at most: {dollars(forecast.worst_case)}")
        echo(f"tokens: {forecast.tokens}")
    for note in forecast.notes:
        echo(f"note: {note}")


def print_results(
    results: Results, targets: Sequence[Path], *, with_reason: bool = True
) -> None:
    """What a run gave, and where it was written; without the reason for stopping,
    where standard error has it."""
    echo(results.headline if with_reason else results.outcome)
    if results.price_note:
        echo(results.price_note)
    _print_summary(results.summary_in_words())
    for line in (line for of in results.score_notes.values() for line in of):
        echo(line)
    if results.latency_note:
        echo(results.latency_note)
    if (known := results.prices.dropna(subset="input")).size:
        echo("prices, in US dollars per million tokens:")
        print_prices(known)
    if results.failures:
        _print_failures(results)
    for target in targets:
        echo(f"wrote {target}")
    if results.run:
        echo(f"recorded as {results.run}")


PRICE_HEADS = {
    "cached_input": "cached",
    "cache_write": "written",
    "long_from": "long from",
    "as_of": "as of",
}


def print_prices(prices: pd.DataFrame) -> None:
    """Prices, one line each, without columns that are empty."""
    shown = prices.dropna(axis="columns", how="all")
    numbers = [str(name) for name in shown.select_dtypes("number")]
    print_frame(shown, PRICE_HEADS, dict.fromkeys(numbers, "{:g}".format))


def prices_plain(prices: pd.DataFrame) -> list[dict[str, Any]]:
    """Prices for JSON, null for what is unknown."""
    return plain_rows(prices.assign(as_of=prices["as_of"].dt.strftime("%Y-%m-%d")))


def _print_failures(results: Results) -> None:
    groups: dict[tuple[object, ...], list[int]] = {}
    for trial, failure in sorted(results.failures.items()):
        sort = failure.kind, failure.status, failure.code
        groups.setdefault(sort, []).append(trial)
    echo("failed:")
    for trials in list(groups.values())[:5]:
        rest = "".join(f", {trial}" for trial in trials[1:5])
        which = f"{results.experiment.trials[trials[0]]}{rest}"
        first = results.failures[trials[0]].summary
        echo(f"  {len(trials):,} × {first}")
        echo(f"      {which}{', …' if len(trials) > 5 else ''}")
    if len(groups) > 5:
        echo(f"  and {len(groups) - 5} other kinds")


def result_plain(results: Results, targets: Sequence[Path]) -> dict[str, Any]:
    """The totals and the first failures, for JSON."""
    return {
        "name": results.experiment.name,
        "status": results.status,
        "reason": results.reason,
        **asdict(results.totals),
        "run": results.run,
        "scores": _scores_plain(results),
        "changed": results.change_note or None,
        "output": [str(target) for target in targets],
        "prices": prices_plain(results.prices),
        "errors": [
            {"trial": trial, "error": failure.summary}
            for trial, failure in sorted(results.failures.items())[:100]
        ],
    }


def _scores_plain(results: Results) -> dict[str, Any]:
    """By name, the mean of each score over all trials, its interval, n and missing."""
    if not results.scores or not len(results):
        return {}
    row = overall(results)
    notes = results.score_notes
    ends = {
        "mean": "",
        "low": "_low",
        "high": "_high",
        "n": "_n",
        "missing": "_missing",
    }
    return {
        name: {
            **{word: plain_number(row[f"{name}{end}"]) for word, end in ends.items()},
            **({"notes": notes[name]} if name in notes else {}),
        }
        for name in results.scores
        if name in row
    }


def overall(results: Results) -> dict[str, Any]:
    """The summary of all trials together; NaN where a number is missing."""
    return {str(name): of.iloc[0] for name, of in results.summary(by=[]).items()}


def plain_number(value: float) -> float | int | None:
    """A number for JSON: null if missing, an integer if it is one."""
    if value != value:
        return None
    return int(value) if value == int(value) else float(value)


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
        echo("no recorded runs")
        return
    counts = ("trials", "answered", "failed", "calls")
    print_table(
        ["run", "status", "variants", *counts, "cost"],
        [
            [
                r.name,
                r.state,
                cell(r.variants or None),
                *(cell(r.totals.get(name)) for name in counts),
                dollars(r.totals.get("cost_usd")),
            ]
            for r in records
        ],
    )
    for record in records:
        if record.problem:
            echo(f"{record.name}: {record.problem}")


HEADS = {
    "mean_input_tokens": "tokens in",
    "mean_output_tokens": "tokens out",
    "mean_latency_s": "latency",
    "prompt_cache_hit": "prompt cached",
    "mean_cost_usd": "cost",
}
SHOWN_IF_ANY = (
    *(
        "failed",
        "truncated",
        "withheld",
        "refused",
        "empty",
        "cached",
        "prompt_cache_hit",
    ),
)
"""Counts that are left out of a summary where all of them are 0."""


def _print_summary(summary: pd.DataFrame) -> None:
    """The summary as a table, without what says nothing."""
    if summary.empty:
        return
    table = summary.reset_index().drop(columns=["answered", "all"], errors="ignore")
    silent = [name for name in SHOWN_IF_ANY if not table[name].any()]
    unknown = [name for name in HEADS if table[name].isna().all()]
    print_frame(table.drop(columns={*silent, *unknown}), HEADS, FORMATS)


FORMATS: dict[str, Callable[[Any], str]] = {
    "mean_latency_s": seconds,
    "mean_cost_usd": dollars,
}
"""How the numbers of a column with a unit are written."""


def cell(value: Any) -> str:
    """A value as tables show it; a dash for None, NA and NaN."""
    if _is_unknown(value):
        return UNKNOWN
    if hasattr(value, "strftime"):
        return f"{value:%Y-%m-%d %H:%M}".removesuffix(" 00:00")
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else brief(value)


def _is_unknown(value: Any) -> bool:
    return value is None or type(value).__name__ == "NAType" or value != value


def print_frame(
    frame: pd.DataFrame,
    heads: Mapping[str, str],
    formats: Mapping[str, Callable[[Any], str]],
) -> None:
    """A DataFrame as a table, its columns under other heads and in formats of their
    own."""
    written = [formats.get(str(name), cell) for name in frame]
    rows = [
        [
            UNKNOWN if _is_unknown(value) else write(value)
            for write, value in zip(written, row, strict=True)
        ]
        for row in frame.itertuples(index=False)
    ]
    print_table([heads.get(str(name), str(name)) for name in frame], rows)


def plain_rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a DataFrame for JSON: times as strings, null for what is unknown."""
    return [
        {str(name): _plain(value) for name, value in row.items()}
        for row in frame.to_dict("records")
    ]


def _plain(value: Any) -> Any:
    if _is_unknown(value):
        return None
    return value.isoformat() if hasattr(value, "isoformat") else value


def print_table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table; columns of numbers are set to the right, long heads are broken."""
    from rich.box import Box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    rule = Box("\n".join(["    ", "    ", " ─  ", *["    "] * 5]))
    table = Table(box=rule, show_edge=False, padding=(0, 0, 0, 1), pad_edge=False)
    columns = list(zip(*rows, strict=True)) or [()] * len(heads)
    for head, column in zip(heads, columns, strict=True):
        widest = max((cell_len(printable(cell)) for cell in column), default=0)
        parts = textwrap.wrap(
            head.replace("_", "_ "), max(widest, 7), break_long_words=False
        )
        broken = "\n".join(parts) if cell_len(head) > max(widest, 7) else head
        right = bool(column) and all(NUMBER.fullmatch(cell) for cell in column)
        justify: Any = "right" if right else "left"
        table.add_column(Text(broken), justify=justify, vertical="bottom", no_wrap=True)
    for row in zip(*columns, strict=True):
        table.add_row(*(Text(printable(cell)) for cell in row))
    drawn = io.StringIO()
    Console(file=drawn, width=10_000, color_system=None).print(table)
    for line in drawn.getvalue().splitlines():
        echo(line.rstrip())


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
"""ASCII replacements for the characters that are printed."""


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


def echo(text: object) -> None:
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


def echo_err(text: str) -> None:
    """A line on standard error, if anyone reads that."""
    with suppress(OSError):
        print(printable(text), file=sys.stderr, flush=True)


def fail(text: str) -> NoReturn:
    """One line on standard error, and exit code 1."""
    echo_err(f"promptlab: {text}")
    sys.exit(WRONG)


def show_warning(message: Any, *_: Any, **__: Any) -> None:
    """A warning in one line, without the code that gave it."""
    echo_err(f"note: {message}")
