"""The table: one tidy row for each trial, built column by column.

What a trial asked for follows from its index, so those columns are taken from the
grid and the dataset in bulk; what came back is moved over from the answers' lists,
each of which is let go as soon as its column stands.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from promptlab.results.answers import Answers
from promptlab.spec.experiment import Experiment

TEXT = pd.StringDtype("pyarrow", na_value=np.nan)
TOKENS = ("input_tokens", "cached_input_tokens", "output_tokens", "reasoning_tokens")
FINISH_REASONS = ("stop", "length", "content_filter", "tool_calls", "function_call")


def build_table(experiment: Experiment, answers: Answers) -> pd.DataFrame:
    """The table of the trials that have an outcome; empties `answers`."""
    rows = np.asarray(answers.done, dtype=np.int64)
    whole = len(rows) == len(answers)
    columns = trial_columns(experiment, rows)

    def taken(name: str) -> list[Any]:
        values: list[Any] = getattr(answers, name)
        setattr(answers, name, [])
        return values if whole else [values[row] for row in rows]

    for name in ("output", "finish_reason", *TOKENS, "latency_s"):
        columns[name] = column(name, taken(name))
    columns["cached"] = np.frombuffer(bytes(answers.cached), dtype=bool)[rows]
    columns["error"] = _errors(answers, rows)
    columns["key"] = column("key", taken("key"))
    return pd.DataFrame(columns, copy=False)


def trial_columns(experiment: Experiment, rows: np.ndarray) -> dict[str, Any]:
    """What the trials of these indexes ask for: trial, parameters, case, repeat."""
    rest, repeat = np.divmod(rows, experiment.repeats)
    case, question = np.divmod(rest, len(experiment.questions))
    return {
        "trial": rows,
        **_parameters(experiment, question),
        **_case_columns(experiment, case),
        "repeat": repeat,
    }


def column(name: str, values: Sequence[Any]) -> Any:
    """The values of one column, in the type that the table has it in."""
    if name in ("trial", "repeat"):
        return np.asarray(values, dtype=np.int64)
    if name in ("output", "error", "key"):
        return texts(values)
    if name == "finish_reason":
        return _reasons(values)
    if name in TOKENS:
        return whole_numbers(values)
    if name == "latency_s":
        return _floats(values)
    if name == "cached":
        return np.asarray(values, dtype=bool)
    return _taken(values, np.arange(len(values)))


def _parameters(experiment: Experiment, question: np.ndarray) -> dict[str, Any]:
    labels = [q.labels for q in experiment.questions]
    return {
        name: _taken([label.get(name) for label in labels], question)
        for name in experiment.grid.parameters
    }


def _case_columns(experiment: Experiment, case: np.ndarray) -> dict[str, Any]:
    dataset = experiment.dataset
    columns = {"case": _taken([c.id for c in dataset], case)}
    for field in dataset.fields:
        columns[field] = _taken([c.inputs.get(field) for c in dataset], case)
    if dataset.has_expected:
        columns["expected"] = _taken([c.expected for c in dataset], case)
    return columns


def _taken(values: Sequence[Any], at: np.ndarray) -> Any:
    """One value for each row: texts as categories in the order they first appear,
    numbers as numbers with room for "not sent", anything else as it is."""
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {str}:
        return categories(values, at)
    if kinds == {bool}:
        return pd.array(values, dtype="boolean").take(at)
    if kinds == {int}:
        return whole_numbers(values).take(at)
    if kinds <= {int, float}:
        return np.asarray(_floats(values), dtype="float64")[at]
    objects = np.empty(len(values), dtype=object)
    objects[:] = values
    return pd.array(objects[at], dtype=object)


def categories(values: Sequence[str | None], at: np.ndarray) -> pd.Categorical:
    """Texts, each kept once however many rows hold it."""
    places: dict[str, int] = {}
    codes = [
        -1 if value is None else places.setdefault(value, len(places))
        for value in values
    ]
    index = pd.Index(texts(list(places)))
    return pd.Categorical.from_codes(np.asarray(codes, dtype=np.int64)[at], index)


def texts(values: Sequence[str | None]) -> Any:
    """A column of texts, kept by Arrow."""
    chunk = pa.array(values, pa.large_string())
    return pd.array(pa.chunked_array([chunk]), dtype=TEXT)


def whole_numbers(values: Sequence[int | None]) -> Any:
    """A column of whole numbers with room for missing ones."""
    chunk = pa.array(values, pa.int64())
    return pd.arrays.IntegerArray(
        chunk.fill_null(0).to_numpy(zero_copy_only=False).copy(),
        chunk.is_null().to_numpy(zero_copy_only=False),
    )


def _floats(values: Sequence[float | None]) -> Any:
    return pa.array(values, pa.float64()).to_numpy(zero_copy_only=False)


def _reasons(values: Sequence[str | None]) -> pd.Categorical:
    codes = {reason: code for code, reason in enumerate(FINISH_REASONS)}
    coded = [
        -1 if value is None else codes.setdefault(value, len(codes)) for value in values
    ]
    return pd.Categorical.from_codes(coded, pd.Index(texts(list(codes))))


def _errors(answers: Answers, rows: np.ndarray) -> Any:
    failures = answers.failures
    if not failures:
        return texts([None] * len(rows))
    return texts(
        [failures[row].summary if row in failures else None for row in rows.tolist()]
    )
