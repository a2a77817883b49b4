"""The table: one tidy row for each trial, built column by column.

What a trial asked for follows from its index, so those columns are taken from the
grid and the dataset in bulk; what came back is taken over from the answers' columns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, cast

import numpy as np
import pandas as pd
import pyarrow as pa

from promptlab.results.columns import UNKNOWN, OutcomeColumns, TextColumn
from promptlab.results.costs import CostBreakdown, Pricing, price_calls
from promptlab.results.schema import Schema
from promptlab.spec.dataset import REPLY_COLUMNS
from promptlab.spec.definition import Definition

TEXT = pd.StringDtype("pyarrow", na_value=np.nan)
TOKENS = ("input_tokens", "cached_input_tokens", "output_tokens", "reasoning_tokens")
FRACTIONS = ("temperature", "top_p")
COUNTS = ("max_tokens", "max_completion_tokens")
FINISH_REASONS = ("stop", "length", "content_filter", "tool_calls", "function_call")


def build_table(pricing: Pricing, answers: OutcomeColumns) -> pd.DataFrame:
    """The table of the trials that have an outcome."""
    return priced_table(pricing, answers)[0]


def priced_table(
    pricing: Pricing, answers: OutcomeColumns
) -> tuple[pd.DataFrame, CostBreakdown]:
    """The table, and what its rows were priced with."""
    experiment = pricing.experiment
    done = np.frombuffer(answers.answered, dtype=bool).copy()
    done[list(answers.failures)] = True
    rows = np.flatnonzero(done)
    columns = trial_columns(experiment, rows)
    columns["output"] = _packed(answers.output, rows)
    for name in REPLY_COLUMNS:
        if name in answers.beside:
            free = f"reply_{name}" if name in columns else name
            columns[free] = _packed(answers.beside[name], rows)
    columns["finish_reason"] = _coded_reasons(answers, rows)
    for name in TOKENS:
        counts = np.frombuffer(getattr(answers, name), dtype=np.int64)[rows]
        columns[name] = pd.arrays.IntegerArray(counts, counts == UNKNOWN)
    columns["latency_s"] = np.frombuffer(answers.latency_s)[rows]
    breakdown = price_calls(pricing, answers, rows)
    columns["cost_usd"] = breakdown.cost_usd
    columns["billed_usd"] = breakdown.billed_usd
    columns["cached"] = np.frombuffer(answers.cached, dtype=bool)[rows]
    columns["error"] = _errors(answers, rows)
    columns["key"] = _packed(answers.key, rows)
    table = pd.DataFrame(columns, copy=False)
    table.attrs = Schema.of_run(experiment, columns).attributes()
    return table, breakdown


def trial_columns(experiment: Definition, rows: np.ndarray) -> dict[str, Any]:
    """What the trials of these indexes ask for: trial, parameters, case, repeat."""
    rest, repeat = np.divmod(rows, experiment.repeats)
    case, variant = np.divmod(rest, len(experiment.effective_variants))
    return {
        "trial": rows,
        **_parameters(experiment, variant),
        **_case_columns(experiment, case),
        "repeat": repeat,
    }


def plain(value: Any) -> Any:
    """A table's value as Python's own, None if it is missing."""
    if isinstance(value, (str, list, dict)):
        return value
    if isinstance(value, np.ndarray):
        return value.tolist()
    if value is None or value is pd.NA or value != value:
        return None
    return cast(Any, value).item() if hasattr(value, "item") else value


def plain_values(values: pd.Series[Any]) -> list[Any]:
    """A column as Python's own values, None where one is missing."""
    return [
        None if missing else plain(value)
        for value, missing in zip(
            values.astype(object).tolist(), values.isna(), strict=True
        )
    ]


def column(name: str, values: Sequence[Any]) -> Any:
    """The values of one column, in the type that the table has it in."""
    if name.removeprefix("reply_") in REPLY_COLUMNS:
        if all(isinstance(v, (str, type(None))) for v in values):
            return texts(values)
    elif make := MAKERS.get(name):
        return make(values)
    return _taken(name, values, np.arange(len(values)))


def typed(values: Sequence[Any]) -> Any:
    """A column of whatever these values are."""
    return _taken("", values, np.arange(len(values)))


def _parameters(experiment: Definition, variant: np.ndarray) -> dict[str, Any]:
    labels = [q.labels for q in experiment.effective_variants]
    return {
        name: _taken(name, [label.get(name) for label in labels], variant)
        for name in experiment.grid.parameters
    }


def _case_columns(experiment: Definition, case: np.ndarray) -> dict[str, Any]:
    dataset = experiment.dataset
    columns = {"case": _taken("case", [c.id for c in dataset], case)}
    for field in dataset.fields:
        columns[field] = _taken(field, [c.inputs.get(field) for c in dataset], case)
    if dataset.has_expected:
        columns["expected"] = _taken("expected", [c.expected for c in dataset], case)
    for name in dataset.metadata:
        columns[name] = _taken(name, [c.metadata.get(name) for c in dataset], case)
    return columns


def _taken(name: str, values: Sequence[Any], at: np.ndarray) -> Any:
    """One value for each row: strings as categories in the order they first appear,
    numbers as numbers with room for missing ones, anything else as it is."""
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {int, float} and (float in kinds or name in FRACTIONS):
        if _fit(values, bits=53):
            return np.asarray(_floats(values), dtype="float64")[at]
    elif kinds == {int} or (not kinds and name in COUNTS):
        if _fit(values, bits=63):
            return whole_numbers(values).take(at)
    elif kinds == {bool}:
        return pd.array(values, dtype="boolean").take(at)
    elif kinds <= {str}:
        return categories(values, at)
    objects = np.empty(len(values), dtype=object)
    objects[:] = values
    return pd.array(objects[at], dtype=object)


def _fit(values: Sequence[Any], bits: int) -> bool:
    """Whether a column of so many bits holds the integers among them exactly."""
    return all(v.bit_length() <= bits for v in values if isinstance(v, int))


def categories(values: Sequence[str | None], at: np.ndarray) -> pd.Categorical:
    """Strings, each kept once however many rows hold it."""
    numbers: dict[str, int] = {}
    codes = [
        -1 if value is None else numbers.setdefault(value, len(numbers))
        for value in values
    ]
    index = pd.Index(texts(list(numbers)))
    return pd.Categorical.from_codes(np.asarray(codes, dtype=np.int64)[at], index)


def texts(values: Sequence[str | None]) -> Any:
    """A column of strings, kept by Arrow."""
    chunk = pa.array(values, pa.large_string())
    return pd.array(pa.chunked_array([chunk]), dtype=TEXT)


def whole_numbers(values: Sequence[int | None]) -> Any:
    """A column of integers with room for missing ones."""
    chunk = pa.array(values, pa.int64())
    return pd.arrays.IntegerArray(
        chunk.fill_null(0).to_numpy(zero_copy_only=False).copy(),
        chunk.is_null().to_numpy(zero_copy_only=False),
    )


def _floats(values: Sequence[float | None]) -> Any:
    return pa.array(values, pa.float64()).to_numpy(zero_copy_only=False)


def _packed(column: TextColumn, rows: np.ndarray) -> Any:
    packed = column.packed()
    return pd.array(
        packed if len(rows) == len(packed) else packed.take(rows), dtype=TEXT
    )


def _coded_reasons(answers: OutcomeColumns, rows: np.ndarray) -> pd.Categorical:
    reasons = list(answers.finish_reasons)
    coded = _reasons(reasons)
    codes = coded.codes[np.frombuffer(answers.finish_reason, dtype=np.uint8)[rows]]
    return pd.Categorical.from_codes(codes, coded.categories)


def _reasons(values: Sequence[str | None]) -> pd.Categorical:
    codes = {reason: code for code, reason in enumerate(FINISH_REASONS)}
    coded = [
        -1 if value is None else codes.setdefault(value, len(codes)) for value in values
    ]
    return pd.Categorical.from_codes(coded, pd.Index(texts(list(codes))))


def _errors(answers: OutcomeColumns, rows: np.ndarray) -> Any:
    failures = dict(answers.failures)  # a run may be adding to them
    if not failures:
        return texts([None] * len(rows))
    return texts(
        [failures[row].summary if row in failures else None for row in rows.tolist()]
    )


MAKERS: dict[str, Callable[[Sequence[Any]], Any]] = {
    **dict.fromkeys(("trial", "repeat"), partial(np.asarray, dtype=np.int64)),
    **dict.fromkeys(("output", "error", "key"), texts),
    "finish_reason": _reasons,
    **dict.fromkeys(TOKENS, whole_numbers),
    **dict.fromkeys(("latency_s", "cost_usd", "billed_usd"), _floats),
    "cached": partial(np.asarray, dtype=bool),
}
"""What makes the columns that every table has."""
