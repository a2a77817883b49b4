"""The card of results: what a notebook shows for them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import orjson

from promptlab.errors import Failure
from promptlab.formats import dollars, seconds
from promptlab.render.markup import card, escaped, folded, quiet, table
from promptlab.results.flags import FLAGS
from promptlab.results.schema import Schema
from promptlab.results.table import plain
from promptlab.spec.dataset import REPLY_COLUMNS

if TYPE_CHECKING:
    import pandas as pd

    from promptlab.spec.definition import Definition

GROUPS = 12
FAILURES = 5
ROWS = 10
INPUTS = 2
"""Rows of the summary, kinds of failure, rows of the table, and the most inputs that
are shown among its columns."""


WIDE = 40
"""From so many characters on, a text gets room to be read in few lines."""


def results_html(
    experiment: Definition,
    headline: str,
    table: pd.DataFrame,
    *,
    varying: Sequence[str],
    summary: pd.DataFrame | None,
    latency_note: str,
    failures: Mapping[int, Failure],
    prices: pd.DataFrame,
) -> str:
    """The totals, the means of what varies, failures by their kind, first rows, and
    the prices that the costs were priced with.

    `summary` is None where nothing varies.
    """
    shown = _telling_columns(experiment, table, varying, failed=bool(failures))
    return card(
        escaped(experiment.name),
        escaped(headline, 600),
        "" if summary is None else _summary(summary, varying, latency_note),
        _failures(failures.values()),
        _rows(table, shown),
        _prices(prices),
    )


def _summary(summary: pd.DataFrame, names: Sequence[str], note: str) -> str:
    """Means for each combination of what varies."""
    # Grouping keeps the order of the table: the first cases have all variants.
    found = summary.reset_index()
    columns = {
        "trials": "trials",
        "failed": "failed",
        "truncated": "cut off",
        "withheld": "withheld",
        "refused": "refused",
        "empty": "empty",
        "mean_output_tokens": "tokens out",
        "mean_latency_s": "latency",
        "sped_up": "sped up",
        "mean_cost_usd": "cost",
    }
    for name in ("failed", *FLAGS, "sped_up", "mean_cost_usd"):
        if not found[name].fillna(0).any():
            del columns[name]
    rest = len(found) - GROUPS
    rows = [
        [
            *(_text(plain(row[name])) for name in names),
            *(_number(name, plain(row[name])) for name in columns),
        ]
        for _, row in found.head(GROUPS).iterrows()
    ]
    head = [*(escaped(name, 60) for name in names), *columns.values()]
    made = table(head, rows, numbers=range(len(names), len(head)))
    more = f"<p>and {rest:,} more in <code>.summary()</code></p>" if rest > 0 else ""
    return made + more + (f"<p>{quiet(escaped(note))}</p>" if note else "")


def _failures(failures: Iterable[Failure]) -> str:
    """How often each kind of failure came, the most frequent first."""
    kinds = Counter(failure.summary for failure in failures)
    if not kinds:
        return ""
    rows = [
        [f"{number:,}", escaped(said, 300)]
        for said, number in kinds.most_common(FAILURES)
    ]
    rest = len(kinds) - FAILURES
    more = f"<p>and {rest:,} other kinds in <code>.errors</code></p>"
    return table(["failed", "why"], rows, numbers=[0]) + more * (rest > 0)


def _rows(found: pd.DataFrame, columns: list[str]) -> str:
    shown = found[columns].head(ROWS)
    rest = len(found) - len(shown)
    made = table(
        [escaped(str(name), 60) for name in shown],
        [[_text(plain(v)) for v in row] for row in shown.itertuples(index=False)],
        numbers=list(_numeric(shown)),
    )
    more = f"<p>and {rest:,} more rows in <code>.table</code></p>" if rest else ""
    return made + more


def _prices(prices: pd.DataFrame) -> str:
    """The prices, folded; nothing where none is known."""
    known = prices.dropna(subset="input").dropna(axis="columns", how="all")
    if known.empty:
        return ""
    dated = known.assign(as_of=known["as_of"].dt.date) if "as_of" in known else known
    rows = [
        [
            f"{value:g}" if isinstance(value, float) else _text(plain(value))
            for value in row
        ]
        for row in dated.head(GROUPS).itertuples(index=False)
    ]
    head = [escaped(str(name)).replace("_", " ") for name in known]
    numbers = [n for n, kind in enumerate(known.dtypes) if kind.kind in "iuf"]
    said = "prices, in US dollars for a million tokens"
    return folded(said, table(head, rows, numbers=numbers))


def _telling_columns(
    experiment: Definition, table: pd.DataFrame, varying: Sequence[str], *, failed: bool
) -> list[str]:
    """The columns worth showing: parameters that vary, inputs if they are few, and
    what is not the same throughout."""
    schema, dataset = Schema.of(table), experiment.dataset
    columns = [*varying, "case"]
    columns += dataset.fields if len(dataset.fields) <= INPUTS else ()
    columns += ["expected"] if dataset.has_expected else []
    columns += ["repeat"] if experiment.repeats > 1 else []
    beside = (schema.reply_column(name) for name in REPLY_COLUMNS)
    columns += ["output", *(name for name in beside if name is not None)]
    columns += ["finish_reason"] if table["finish_reason"].ne("stop").any() else []
    columns += ["output_tokens", "latency_s"]
    columns += ["cached"] if table["cached"].nunique() > 1 else []
    return columns + (["error"] if failed else [])


def _numeric(shown: pd.DataFrame) -> Iterator[int]:
    for place, name in enumerate(shown):
        if name in ("output_tokens", "latency_s"):
            yield place


def _number(name: str, value: Any) -> str:
    if value is None:
        return "–"
    if name == "mean_cost_usd":
        return dollars(value)
    if name == "mean_latency_s":
        return seconds(value)
    if isinstance(value, float) and value < 100:
        return f"{value:.3g}"
    return f"{value:,.0f}"


def _text(value: Any) -> str:
    """A value of the table; lists and objects as JSON."""
    if value is None:
        return quiet("–")
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, (list, dict)):
        return escaped(orjson.dumps(value).decode())
    text = str(value)
    if len(text) <= WIDE:
        return escaped(text)
    return f"<div style='min-width:10em'>{escaped(text)}</div>"
