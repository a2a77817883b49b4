"""promptfoo's `__expected` column, as the checks of a case."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import promptlab as pl
from promptlab.testing import FakeClient


def checks(folder: Path, cell: str, city: str = "Rome") -> Any:
    """What a cell under `__expected` becomes."""
    path = folder / "cases.csv"
    quoted = cell.replace('"', '""')
    path.write_text(f'city,__expected\n{city},"{quoted}"\n')
    return pl.Dataset.from_file(path)[0].metadata["checks"]


@pytest.mark.parametrize(
    ("cell", "check"),
    [
        ("Paris", {"exact": "Paris"}),
        ("Answer: B", {"exact": "Answer: B"}),
        ("contains", {"exact": "contains"}),
        ("equals: Paris", {"equals": {"value": "Paris"}}),
        ("icontains:{{city}}!", {"icontains": {"value": "Rome!"}}),
        ("not-contains: sorry", {"not-contains": {"value": "sorry"}}),
        ('contains-any: a, "b, c"', {"contains-any": ["a", "b, c"]}),
        ("regex: ^a$", {"regex": {"pattern": "^a$"}}),
        ("is-json", "is-json"),
        ('is-json: {"type": "object"}', {"is-json": {"schema": {"type": "object"}}}),
        ("latency(1500)", {"latency": {"threshold": 1.5}}),
        (
            "levenshtein(3): Rome",
            {"levenshtein": {"value": "Rome", "distance": True, "threshold": 3.0}},
        ),
    ],
    ids=str,
)
def test_a_cell_is_a_check(tmp_path: Path, cell: str, check: Any) -> None:
    assert checks(tmp_path, cell) == [check]


@pytest.mark.parametrize(
    ("cell", "problem"),
    [
        ("javascript: output.length < 3", "'javascript' is not supported; score it by"),
        ("levenshtein: Rome", r"levenshtein needs a limit, such as levenshtein\(5\)"),
        ("is-json: {", "row 1: __expected: unexpected end of data"),
    ],
    ids=["javascript", "levenshtein", "json"],
)
def test_what_cannot_be_a_check_is_refused_with_its_row(
    tmp_path: Path, cell: str, problem: str
) -> None:
    with pytest.raises(pl.SpecError, match=problem):
        checks(tmp_path, cell)


def test_several_columns_are_several_checks_and_no_inputs(tmp_path: Path) -> None:
    path = tmp_path / "cases.csv"
    path.write_text(
        "city,__expected1,__expected2\nRome,contains: a,\nBonn,x,icontains: A\n"
    )

    results = pl.Experiment(
        "e", grid={"model": ["m"], "prompt": ["{{city}}"]}, dataset=path
    ).run(client=FakeClient("a"))

    assert results.experiment.dataset.fields == ("city",)
    assert results.table["passed"].tolist() == [1.0, 0.0]
    assert results.table["passed_explanation"][1] == "1 of 2; failed: exact: x"
