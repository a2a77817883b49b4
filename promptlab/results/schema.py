"""Schema: what each column of a table of trials is, a parameter, an input, a score.

The roles are kept in `table.attrs["promptlab"]`, which pandas carries through sorting,
selecting and inserting columns, and Parquet keeps. In a table that has lost them, such
as a CSV file read by another program, they are worked out by name.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, get_args

from promptlab.spec.dataset import REPLY_COLUMNS, RESULT_COLUMNS
from promptlab.spec.parameters import KNOWN
from promptlab.spec.wordings import WORDING

if TYPE_CHECKING:
    import pandas as pd

    from promptlab.spec.definition import Definition

Role = Literal[
    "trial",
    "parameter",
    "wording",
    "case",
    "input",
    "expected",
    "metadata",
    "repeat",
    "outcome",
    "score",
    "explanation",
]

ATTRIBUTE = "promptlab"
"""The name in `DataFrame.attrs`."""

EXPLANATION = "_explanation"
"""The ending of the column that explains a score."""

BY_NAME: dict[str, Role] = {
    **dict.fromkeys(RESULT_COLUMNS, "outcome"),
    **dict.fromkeys(("model", "prompt", "system"), "parameter"),
    "trial": "trial",
    "case": "case",
    "expected": "expected",
    "repeat": "repeat",
}
"""The names that no other column of a run can have, and what they are."""

LOWER_IS_BETTER = (
    *("latency_s", "cost_usd", "billed_usd"),
    *("input_tokens", "output_tokens", "reasoning_tokens"),
)
"""What a run measures of which less is better."""

AFTER: dict[str, Role] = {
    "trial": "parameter",
    "case": "input",
    "expected": "metadata",
    "repeat": "score",
    "output": "score",
}
"""What follows these columns, which a run has in this order."""


@dataclass(frozen=True)
class Schema:
    """The role of each column, by name, in the order of the table."""

    roles: Mapping[str, Role]
    note: str = ""
    """Which roles are doubtful, as the table does not say them; empty if none is."""
    lower: frozenset[str] = frozenset()
    """The scores of which less is better."""

    @classmethod
    def of(cls, table: pd.DataFrame) -> Schema:
        """The schema of any table: as it says, or worked out.

        Columns that were added to the table of a run are scores, or parameters by their
        names. In a table that says nothing names come first; for those that could be
        anything the order of columns decides, if it is that of a run, and what the
        columns hold if not.
        """
        names = [str(name) for name in table]
        recorded = _recorded(table.attrs.get(ATTRIBUTE))
        if not recorded:
            return _worked_out(table, names)
        if len(recorded) == len(names):  # as of `DataFrame.rename`
            for name, old in zip(names, list(recorded), strict=True):
                if name not in recorded and old not in names:
                    recorded[name] = recorded[old]
        added = [name for name in names if name not in recorded]
        roles = _in_order(names, recorded | _added(added, names))
        return cls(roles, lower=_recorded_lower(table.attrs[ATTRIBUTE]))

    @classmethod
    def of_run(cls, experiment: Definition, columns: Iterable[str]) -> Schema:
        """The schema of the table of an experiment."""
        dataset = experiment.dataset
        ours: dict[str, Role] = {
            **dict.fromkeys(experiment.grid.parameters, "parameter"),
            **dict.fromkeys(experiment.grid.nested, "wording"),
            **dict.fromkeys(dataset.fields, "input"),
            **dict.fromkeys(dataset.metadata, "metadata"),
        }
        return cls({n: ours.get(n) or BY_NAME.get(n, "outcome") for n in columns})

    def with_scores(
        self, columns: Collection[str], lower: Collection[str] = ()
    ) -> Schema:
        """The schema of the table with these columns of scores and explanations; of
        those in `lower`, less is better."""
        kept = self.lower.difference(columns).union(lower)
        return Schema({**self.roles, **_added(columns, columns)}, lower=kept)

    def names(self, *roles: Role) -> tuple[str, ...]:
        """The columns of some roles, in the order of the table."""
        return tuple(name for name, role in self.roles.items() if role in roles)

    @cached_property
    def parameters(self) -> tuple[str, ...]:
        """What the grid varies or fixes, and which wording of its prompt it is."""
        return self.names("parameter", "wording")

    @cached_property
    def wordings(self) -> tuple[str, ...]:
        """The column of the wordings of prompts, if they have several."""
        return self.names("wording")

    @cached_property
    def inputs(self) -> tuple[str, ...]:
        """What prompts see of a case."""
        return self.names("input")

    @cached_property
    def metadata(self) -> tuple[str, ...]:
        """What is carried along of a case."""
        return self.names("metadata")

    @cached_property
    def scores(self) -> tuple[str, ...]:
        """How good the outputs are."""
        return self.names("score")

    def lower_is_better(self, name: str) -> bool:
        """Whether less is better of a column: as its scorer says, and of what a run
        costs and takes."""
        if self.roles.get(name) == "outcome":
            return name in LOWER_IS_BETTER
        return name in self.lower

    def reply_column(self, name: str) -> str | None:
        """The column of what replies say beside their output, `tool_calls`, `refusal`
        or `reasoning`; None if no reply does. It is `reply_<name>` where an input or a
        parameter has that name."""
        for column in (name, f"reply_{name}"):
            if self.roles.get(column) == "outcome":
                return column
        return None

    def attributes(self) -> dict[Hashable | None, Any]:
        """The roles as `DataFrame.attrs` keeps them."""
        kept: dict[str, Any] = {"roles": dict(self.roles)}
        if self.lower:
            kept["lower_is_better"] = sorted(self.lower)
        return {ATTRIBUTE: kept}


def _recorded(attribute: Any) -> dict[str, Role]:
    """The roles in the attribute of a table; empty where it has none."""
    roles = attribute.get("roles") if isinstance(attribute, Mapping) else None
    if not isinstance(roles, Mapping):
        return {}
    return {str(n): role for n, role in roles.items() if role in get_args(Role)}


def _recorded_lower(attribute: Mapping[str, Any]) -> frozenset[str]:
    """The names in the attribute of a table of which less is better."""
    names = attribute.get("lower_is_better")
    return frozenset(map(str, names)) if isinstance(names, list) else frozenset()


def _added(added: Iterable[str], names: Collection[str]) -> dict[str, Role]:
    """What columns are that were added to the table of a run."""
    roles: dict[str, Role] = {}
    for name in added:
        if name.endswith(EXPLANATION) and name.removesuffix(EXPLANATION) in names:
            roles[name] = "explanation"
        else:
            roles[name] = "parameter" if name in KNOWN else "score"
    return roles


def _worked_out(table: pd.DataFrame, names: Sequence[str]) -> Schema:
    """The schema of a table that says nothing of its columns."""
    roles = {name: BY_NAME[name] for name in names if name in BY_NAME}
    open_names = [name for name in names if name not in roles]
    anchors = [names.index(name) for name in AFTER if name in names]
    if anchors == sorted(anchors):
        basis, guessed = "order", _by_position(names)
        doubtful = [n for n, role in guessed.items() if role == "parameter"]
    else:
        basis, guessed = "content", _by_content(table, open_names, names)
        doubtful = [n for n, role in guessed.items() if role != "outcome"]
    found = ", ".join(f"{n!r} {guessed[n]}" for n in doubtful if n not in KNOWN)
    note = f"the table does not say what its columns are; taken by {basis}: {found}"
    return Schema(_in_order(names, roles | guessed), note if found else "")


def _by_position(names: Sequence[str]) -> dict[str, Role]:
    """What stands between the columns of a run, in their order."""
    roles: dict[str, Role] = {}
    here: Role = "parameter"
    for name in names:
        here = AFTER.get(name, here)
        if name in BY_NAME:
            continue
        if here != "score":
            nested = here == "parameter" and name == WORDING
            roles[name] = "wording" if nested else here
        elif name.removeprefix("reply_") in REPLY_COLUMNS:
            roles[name] = "outcome"
        else:
            roles |= _added([name], names)
    return roles


def _by_content(
    table: pd.DataFrame, open_names: Iterable[str], names: Sequence[str]
) -> dict[str, Role]:
    """Numbers as scores, anything else that is the same for each case as an input."""
    roles: dict[str, Role] = {}
    for name in open_names:
        column = table.iloc[:, names.index(name)]
        if name.removeprefix("reply_") in REPLY_COLUMNS:
            roles[name] = "outcome"
        elif column.dtype.kind in "biuf" or not _same_for_each_case(table, column):
            roles |= _added([name], names)
        else:
            roles[name] = "input"
    return roles


def _same_for_each_case(table: pd.DataFrame, column: pd.Series[Any]) -> bool:
    if "case" not in table:
        return False
    pairs = table[["case"]].assign(value=column.astype(str))
    return len(pairs.drop_duplicates()) == table["case"].nunique(dropna=False)


def _in_order(names: Sequence[str], roles: Mapping[str, Role]) -> dict[str, Role]:
    return {name: roles[name] for name in names}
