"""Runs side by side: the tables of several as one, with a column that names each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from promptlab.errors import SpecError
from promptlab.notebook.trial_table import Records, TrialTable
from promptlab.results.record import Record
from promptlab.results.results import Results
from promptlab.results.schema import Role, Schema

RUN = "run"
"""The column that names each run."""

ORDINALS = ("first", "second")


@dataclass(frozen=True, eq=False)
class Joined:
    """The records of several tables, one after the other."""

    parts: Sequence[Records]
    starts: np.ndarray
    """The position of the first record of each."""

    def __getitem__(self, position: int) -> Record:
        part = int(np.searchsorted(self.starts, position, side="right")) - 1
        return self.parts[part][int(position - self.starts[part])]


def run_names(runs: Sequence[Any]) -> list[str]:
    """What two runs are called: by their records, if both have one of their own."""
    names = [run.run if isinstance(run, Results) else None for run in runs]
    if None in names or len(set(names)) < len(names):
        return [*ORDINALS]
    return [str(name) for name in names]


def side_by_side(runs: Mapping[str, Results | pd.DataFrame]) -> TrialTable:
    """The trials of several runs as one table, with the parameter `run` before all
    others.

    Raises:
        SpecError: it is not of two runs or more, a table has no such columns, or has a
            column `run` of its own.
    """
    if len(runs) < 2:
        raise SpecError(f"compare: expected two runs or more, got {len(runs)}")
    tables = {str(name): TrialTable.of(given) for name, given in runs.items()}
    for name, trials in tables.items():
        if RUN in trials.table:
            raise SpecError(
                f"compare: the table of {name!r} has a column {RUN!r} already; "
                "rename it"
            )
    schemas = [trials.schema for trials in tables.values()]
    roles: dict[str, Role] = {}
    for schema in reversed(schemas):  # the first says what a column is
        roles |= schema.roles
    named: list[dict[str, Any]] = [
        {RUN: [name] * len(trials.table)} for name, trials in tables.items()
    ]
    parts = [
        trials.table.assign(**column)
        for trials, column in zip(tables.values(), named, strict=True)
    ]
    table = pd.concat(parts, ignore_index=True)
    lower = frozenset().union(*(schema.lower for schema in schemas))
    table.attrs = Schema({**roles, RUN: "parameter"}, lower=lower).attributes()
    starts = np.cumsum([0, *(len(part) for part in parts)])[:-1]
    records = [trials.results for trials in tables.values()]
    known = [one for one in records if one is not None]
    scorers = {k: v for t in reversed(tables.values()) for k, v in t.scorers.items()}
    return TrialTable(
        table,
        results=Joined(known, starts) if len(known) == len(records) else None,
        scorers=scorers,
    )
