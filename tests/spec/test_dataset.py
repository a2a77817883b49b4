"""Datasets: the rows they take, what becomes of values, and what is refused."""

from __future__ import annotations

import datetime
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import promptlab as pl
from promptlab.errors import DatasetError


def test_ids_are_numbers_from_1_where_there_are_none() -> None:
    dataset = pl.Dataset([{"text": "a"}, {"text": "b"}])

    assert [case.id for case in dataset] == ["1", "2"]


def test_id_and_expected_are_no_inputs() -> None:
    (case,) = pl.Dataset([{"id": 7, "text": "a", "expected": "b"}])

    assert case == pl.Case("7", {"text": "a"}, "b")


def test_fields_come_in_the_order_they_first_appear() -> None:
    dataset = pl.Dataset([{"b": 1}, {"c": 2, "a": 3}])

    assert dataset.fields == ("b", "c", "a")


def test_cases_make_a_dataset_too() -> None:
    cases = [pl.Case("x", {"text": "a"}), pl.Case("y", {"text": "b"}, "c")]

    assert list(pl.Dataset(cases)) == cases


def test_a_dataframe_gives_its_rows() -> None:
    frame = pd.DataFrame(
        {"id": ["a", "b"], "n": [1, 2], "x": [0.5, np.nan], "t": ["u", None]}
    )

    assert pl.Dataset(frame).to_plain() == [
        {"id": "a", "n": 1, "x": 0.5, "t": "u"},
        {"id": "b", "n": 2, "x": None, "t": None},
    ]


def test_a_whole_number_beside_a_gap_stays_whole() -> None:
    frame = pd.DataFrame({"n": [1, None], "x": [1.0, 2.0], "y": [0.5, None]})

    assert pl.Dataset(frame).to_plain() == [
        {"id": "1", "n": 1, "x": 1.0, "y": 0.5},
        {"id": "2", "n": None, "x": 2.0, "y": None},
    ]
    assert type(pl.Dataset(frame)[0].inputs["n"]) is int
    assert type(pl.Dataset(frame)[0].inputs["x"]) is float


def test_two_columns_of_one_name_are_refused() -> None:
    with pytest.raises(DatasetError, match="duplicate column 'q'"):
        pl.Dataset(pd.DataFrame([["a", "b"]], columns=["q", "q"]))


class Rows:
    """Gives its rows one by one, and pandas all of them, as Hugging Face's datasets."""

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter([{"t": "a", "n": [1]}])

    def to_pandas(self) -> pd.DataFrame:
        raise AssertionError


class Columns:
    """Gives its columns one by one, and pandas all of them, as libraries of frames."""

    columns = ("t", "n")

    def __iter__(self) -> Iterator[list[Any]]:
        return iter([["a"], [[1]]])

    def to_pandas(self) -> pd.DataFrame:
        return pd.DataFrame({"t": ["a"], "n": [[1]]})


class Dicts(Columns):
    """Gives dicts too, as a frame of polars."""

    def to_dicts(self) -> list[dict[str, Any]]:
        return [{"t": "a", "n": [1]}]

    def to_pandas(self) -> pd.DataFrame:
        raise AssertionError


@pytest.mark.parametrize(
    "rows",
    [Rows(), Columns(), Dicts(), pa.table({"t": ["a"], "n": [[1]]})],
    ids=lambda rows: type(rows).__name__,
)
def test_datasets_of_other_libraries_give_their_rows(rows: Any) -> None:
    assert pl.Dataset(rows).to_plain() == [{"id": "1", "t": "a", "n": [1]}]


def test_of_several_datasets_one_is_to_be_taken() -> None:
    with pytest.raises(DatasetError, match="take one of its parts: 'train', 'test'"):
        pl.Dataset({"train": Rows(), "test": Rows()})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (np.float64(0.5), 0.5),
        (np.float32(0.5), 0.5),
        (np.int64(3), 3),
        (np.array([1, 2]), [1, 2]),
        (float("nan"), None),
        (pd.NA, None),
        (pd.NaT, None),
        (pd.Timestamp("2026-11-23"), "2026-11-23T00:00:00"),
        (datetime.date(2026, 11, 23), "2026-11-23"),
        (("a", ["b"]), ["a", ["b"]]),
        ({"k": {"n": np.float64(1.5)}}, {"k": {"n": 1.5}}),
        (True, True),
        (2**64 - 1, 2**64 - 1),
        (2**64, "18446744073709551616"),
        (-(2**63) - 1, "-9223372036854775809"),
    ],
    ids=repr,
)
def test_values_become_json_values(given: Any, kept: Any) -> None:
    (case,) = pl.Dataset([{"value": given}])

    assert case.inputs["value"] == kept
    assert type(case.inputs["value"]) is type(kept)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([], "has no cases"),
        (["a"], "row 1: expected a mapping, got str"),
        ("a", "a list of dicts, a DataFrame or a file, got str"),
        ({"text": "a"}, "a list of dicts, a DataFrame or a file, got dict"),
        (5, "a list of dicts, a DataFrame or a file, got int"),
        ([{"id": 1}, {"id": "1"}], "id '1' is used twice, in rows 1 and 2"),
        ([{"id": "a"}, {"t": "b"}], "row 2 has no id"),
        ([{"id": ""}], "row 1 has no id"),
        (
            [{"t": "a"}, {"id": "a"}],
            "row 2 has an id, but the rows before it have none",
        ),
        ([{1: "a"}], "row 1: expected a string as a column's name, got 1"),
        ([{"": "a"}], "row 1: expected a string as a column's name, got ''"),
        ([{"t": b"a"}], "row 1, column 't': a bytes is not a JSON value"),
        ([{"t": "\ud800"}], "row 1, column 't': the text is not valid Unicode"),
        ([{"t": 10**5000}], "row 1, column 't': the number is too large"),
    ],
)
def test_what_is_no_dataset_is_refused(rows: Any, said: str) -> None:
    with pytest.raises(DatasetError) as caught:
        pl.Dataset(rows, name="tickets")

    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("column", "said"),
    [
        ("output", "'output', the name of a column of the results"),
        ("model", "'model', the name of a column of the results"),
        ("model", "; dataset.rename({'model': 'model_text'}) gives it another, or in "),
        ("model", "in a config: {file: ..., rename: {model: model_text}}"),
        ("Expected", "column 'Expected'; did you mean 'expected'?"),
        ("ID", "column 'ID'; did you mean 'id'?"),
    ],
)
@pytest.mark.parametrize("metadata", [False, True])
def test_a_column_that_the_table_has_is_refused_before_anything_is_asked(
    column: str, said: str, metadata: bool
) -> None:
    rows = [{"t": "a", column: "b"}]
    dataset = pl.Dataset(rows, metadata=[column] if metadata else [])

    with pytest.raises(DatasetError) as caught:
        pl.Experiment("e", grid={"model": ["m"], "prompt": ["{{t}}"]}, dataset=dataset)

    assert said in str(caught.value)


def test_rename_gives_columns_other_names() -> None:
    rows = [{"ID": "x", "prompt": "a", "Answer": "b", "split": "test"}]
    dataset = pl.Dataset(rows, name="runs", metadata=["split"])

    names = {"ID": "id", "prompt": "t", "Answer": "expected", "split": "part"}
    renamed = dataset.rename(names)

    assert list(renamed) == [pl.Case("x", {"t": "a"}, "b", {"part": "test"})]
    assert renamed.name == "runs"
    assert dataset.rename({}) == dataset
    assert pl.Dataset([{"id": "x", "t": "a"}]).rename({"id": "key_no"}).to_plain() == [
        {"id": "1", "key_no": "x", "t": "a"}
    ]
    swapped = pl.Dataset([{"a": 1, "b": 2}]).rename({"a": "b", "b": "a"})
    assert swapped.to_plain() == [{"id": "1", "b": 1, "a": 2}]


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ({"promt": "t"}, "has no column 'promt'; did you mean 'prompt'?"),
        ({"x": "t"}, "has no column 'x'; it has prompt, text, expected"),
        ({"prompt": "text"}, "two columns would be called 'text'"),
        ({"prompt": "t", "text": "t"}, "two columns would be called 't'"),
        ({"prompt": "expected"}, "two columns would be called 'expected'"),
    ],
)
def test_what_cannot_be_renamed_is_told(names: dict[str, str], said: str) -> None:
    dataset = pl.Dataset([{"prompt": "a", "text": "b", "expected": "c"}])

    with pytest.raises(DatasetError) as caught:
        dataset.rename(names)

    assert said in str(caught.value)


def test_metadata_is_carried_along_and_is_no_input() -> None:
    rows = [{"t": "a", "source": "web", "n": 1}, {"t": "b", "source": None, "n": 2}]
    dataset = pl.Dataset(rows, metadata=["source", "n"])

    assert dataset.fields == ("t",)
    assert dataset.metadata == ("source", "n")
    assert dataset[0] == pl.Case("1", {"t": "a"}, None, {"source": "web", "n": 1})
    assert pl.Dataset(dataset.to_plain(), metadata=dataset.metadata) == dataset
    assert pl.Dataset(list(dataset)) == dataset
    assert dataset[1:].metadata == ("source", "n")
    assert dataset.with_inputs(n=3).metadata == ("source",)
    assert [case.inputs["n"] for case in dataset.with_inputs(n=3)] == [3, 3]


@pytest.mark.parametrize("name", ["id", "expected", "sorce"])
def test_metadata_that_is_none_is_refused(name: str) -> None:
    rows = [{"id": "1", "t": "a", "expected": "b", "source": "web"}]

    with pytest.raises(DatasetError, match=f"'{name}'"):
        pl.Dataset(rows, metadata=[name])


def test_a_prompt_does_not_see_metadata_and_nobody_is_warned_of_it() -> None:
    dataset = pl.Dataset([{"t": "a", "source": "web"}], metadata=["source"])
    grid = {"model": ["m"], "prompt": ["{{t}}"]}

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made = pl.Experiment("e", grid=grid, dataset=dataset)
    with pytest.raises(pl.SpecError, match="has as metadata, which no prompt sees"):
        pl.Experiment("e", grid=grid | {"prompt": ["{{source}}"]}, dataset=dataset)
    with pytest.raises(DatasetError, match="'source' is a parameter of the grid"):
        pl.Experiment("e", grid=grid | {"source": ["a"]}, dataset=dataset)

    assert pl.Experiment.from_plain(made.to_plain()).dataset == dataset


def test_a_value_that_nests_without_end_is_refused() -> None:
    value: list[Any] = []
    value.append(value)

    with pytest.raises(DatasetError, match="column 'v': nested more than 100 deep"):
        pl.Dataset([{"v": value}])


def test_a_slice_is_a_dataset_of_the_same_name() -> None:
    dataset = pl.Dataset([{"t": "a"}, {"t": "b"}, {"t": "c"}], name="letters")

    assert [case.id for case in dataset[1:]] == ["2", "3"]
    assert dataset[1:].name == "letters"


def test_with_inputs_sets_them_in_every_case() -> None:
    dataset = pl.Dataset([{"id": "a", "t": 1, "expected": "e"}, {"id": "b", "t": 2}])

    assert dataset.with_inputs(lang="en", self="x").to_plain() == [
        {"id": "a", "t": 1, "lang": "en", "self": "x", "expected": "e"},
        {"id": "b", "t": 2, "lang": "en", "self": "x"},
    ]


def test_the_digest_tells_datasets_apart() -> None:
    dataset = pl.Dataset([{"t": "a"}], name="one")

    assert dataset.digest == pl.Dataset([{"t": "a"}], name="two").digest
    assert dataset.digest != pl.Dataset([{"t": "b"}]).digest
    assert dataset.digest != pl.Dataset([{"t": "a", "expected": "x"}]).digest


def test_to_plain_makes_the_same_dataset() -> None:
    dataset = pl.Dataset([{"t": "a", "expected": ["x"]}, {"t": None}])

    assert pl.Dataset(dataset.to_plain()) == dataset


def test_from_file_reads_the_cases(tmp_path: Path) -> None:
    (tmp_path / "cases.csv").write_text("id,text\n1,a\n")

    dataset = pl.Dataset.from_file(tmp_path / "cases.csv")

    assert dataset.name == "cases.csv"
    assert dataset.to_plain() == [{"id": "1", "text": "a"}]


def test_repr_says_name_size_and_fields() -> None:
    dataset = pl.Dataset([{"t": "a", "u": 1}], name="letters")

    assert repr(dataset) == "Dataset('letters': 1 case; t, u)"
