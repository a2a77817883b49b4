"""Stages: the rows of results as the cases of a later experiment."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from promptlab.errors import SpecError, did_you_mean
from promptlab.formats import plain_text, shortened
from promptlab.results.schema import Role, Schema
from promptlab.results.table import plain_values
from promptlab.spec.dataset import CHECKS, RESULT_COLUMNS, Dataset
from promptlab.spec.stage import Source, Stage

if TYPE_CHECKING:
    import pandas as pd

OF_CASE: tuple[Role, ...] = ("input", "expected", "metadata")
"""The roles of the columns that keep their names."""

LINK = ("case", "trial", "key", "model")
"""The columns that say which answer a case came from."""

TAKEN = (*RESULT_COLUMNS, "model", "prompt", "system")
"""Names that no column of a dataset can have."""

LONGEST = 40
"""Characters of a label in an id."""


@dataclass(frozen=True, kw_only=True)
class Names:
    """Which columns of a table a later experiment has, and what they are there."""

    new: Mapping[str, str]
    """By the name in the table, the name there."""
    metadata: tuple[str, ...]
    """Those that no prompt sees, by the name there."""
    carried: tuple[str, ...]
    """Those that prompts may leave unused, by the name there."""
    run: str
    """The name of the column with the name of the run."""

    @classmethod
    def of(
        cls,
        table: pd.DataFrame,
        rename: Mapping[str, str],
        others: Iterable[str],
        prefix: str,
    ) -> Names:
        """What `rename` says comes first; `others`, which are of a trial, have the
        prefix; what is of the case keeps its name, with the prefix where that is taken.

        Raises:
            SpecError: the table has no such column, or two would have one name.
        """
        schema = Schema.of(table)
        others = list(others)
        _check_there([*rename, *others], schema)
        own = [name for name in schema.names(*OF_CASE) if name not in rename]
        run = f"{prefix}_run"
        new = {"output": f"{prefix}_output", **rename}
        new |= {n: f"{prefix}_{n}" for n in others if n not in (*rename, *own)}
        _check_distinct({**new, "run": run})
        linked = [
            name
            for name in schema.metadata
            if f"{prefix}_trial" in own and name.startswith(f"{prefix}_")
        ]
        for name in own:
            free = f"{prefix}_{name}" if name in (CHECKS, *linked) else name
            while free in (*new.values(), run, *TAKEN):
                free = f"{prefix}_{free}"
            new[name] = free
        inputs = [n for n in own if schema.roles[n] == "input"]
        seen = ("output", *rename, *inputs)
        special = ("id", "expected")
        return cls(
            new=new,
            metadata=tuple(
                to for n, to in new.items() if n not in seen and to not in special
            ),
            carried=tuple(new[name] for name in inputs),
            run=run,
        )


def later_dataset(
    table: pd.DataFrame,
    names: Names,
    *,
    by: Sequence[str],
    apart: Sequence[str],
    run: str | None,
    case: str,
    name: str,
    folder: Path | None,
    stages: tuple[Stage, ...],
) -> Dataset:
    """A case for each row, or for each group of rows that are alike in `by`, where the
    columns of trials are lists; `apart` names those that tell the rows of a case
    apart, `case` that with the case of the first stage."""
    columns = {new: plain_values(table[old]) for old, new in names.new.items()}
    places = _groups(table, by or ["trial"])
    if by:
        alike = {*Schema.of(table).names(*OF_CASE), *by}
        scalar = {new for old, new in names.new.items() if old in alike}
        columns = {
            new: [
                values[at[0]] if new in scalar else [values[place] for place in at]
                for at in places
            ]
            for new, values in columns.items()
        }
    first = table.iloc[[at[0] for at in places]]
    columns = {"id": _ids(first, by or apart), **columns}
    metadata = list(names.metadata)
    if run is not None:
        columns[names.run] = [run] * len(first)
        metadata.append(names.run)
    rows = [
        dict(zip(columns, row, strict=True))
        for row in zip(*columns.values(), strict=True)
    ]
    return Dataset(
        rows,
        name=name,
        metadata=metadata,
        folder=folder,
        source=Source(stages, names.carried, names.new[case]),
    )


def groups_of(by: str | Sequence[str], apart: Sequence[str]) -> list[str]:
    """The columns that answers are put together by; none if each is a case.

    Raises:
        SpecError: the case is not among them, or one is not of a trial.
    """
    groups = [by] if isinstance(by, str) else list(by)
    valid = ("case", *apart)
    if groups and ("case" not in groups or not set(groups) <= set(valid)):
        raise SpecError(
            f"to_dataset: by: expected 'case', or a list of it and others of "
            f"{', '.join(valid)}; got {by!r}"
        )
    return groups


def _check_there(given: Sequence[str], schema: Schema) -> None:
    for name in given:
        if name not in schema.roles:
            raise SpecError(
                f"to_dataset: the table has no column {name!r}"
                + (
                    did_you_mean(name, schema.roles)
                    or f"; valid names: {', '.join(schema.roles)}"
                )
            )


def _check_distinct(new: Mapping[str, str]) -> None:
    for old, name in new.items():
        if name in TAKEN:
            raise SpecError(
                f"to_dataset: {old!r} cannot become {name!r}, the name of a column of "
                f"the results; another would do, such as {name}_before"
            )
        if [*new.values()].count(name) > 1:
            raise SpecError(f"to_dataset: two columns would be called {name!r}")


def _ids(table: pd.DataFrame, columns: Sequence[str]) -> list[str]:
    """A different id for each row: that of its case, with what these columns have and
    with its trial where that is needed to tell rows apart."""
    ids = [str(case) for case in plain_values(table["case"])]
    if _distinct(ids):
        return ids
    parts = [
        [shortened(plain_text(value), LONGEST) for value in plain_values(table[name])]
        for name in columns
        if name != "case"
    ]
    ids = [" · ".join(filter(None, row)) for row in zip(ids, *parts, strict=True)]
    if _distinct(ids):
        return ids
    return [
        f"{id} · trial {trial}"
        for id, trial in zip(ids, table["trial"].tolist(), strict=True)
    ]


def _distinct(ids: Sequence[str]) -> bool:
    return len(set(ids)) == len(ids)


def _groups(table: pd.DataFrame, by: Sequence[str]) -> list[list[int]]:
    """The positions of the rows that are alike in these columns, as they first come."""
    keys = zip(*(plain_values(table[name]) for name in by), strict=True)
    groups: dict[Any, list[int]] = {}
    for place, key in enumerate(keys):
        groups.setdefault(key, []).append(place)
    return list(groups.values())
