"""Datasets: every format, and every mistake with its line."""

from __future__ import annotations

import datetime
import gzip
import json
import re
import warnings
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from openpyxl import Workbook

import promptlab as pl
from promptlab.errors import DatasetError

from .conftest import BASE, Load, Write

ROWS = [
    {"id": "1", "text": "a, b; c", "expected": "x"},
    {"id": "2", "text": 'two\nlines and "quotes"', "expected": "y"},
    {"id": "3", "text": "Grüße 🌍", "expected": None},
]
CSV = (
    "id,text,expected\r\n"
    '1,"a, b; c",x\r\n'
    '2,"two\nlines and ""quotes""",y\r\n'
    "\r\n"
    "3,Grüße 🌍,\r\n"
)


def texts(dataset: pl.Dataset) -> list[tuple[str, Any, Any]]:
    return [(case.id, case.inputs["text"], case.expected or None) for case in dataset]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("cases.csv", CSV),
        ("cases.CSV", b"\xef\xbb\xbf" + CSV.encode()),
        ("cases.csv", re.sub(r",(?! )", ";", CSV)),
        ("cases.csv", re.sub(r",(?! )", "\t", CSV)),
        ("cases.tsv", re.sub(r",(?! )", "\t", CSV)),
        ("cases.jsonl", "\n\n".join(json.dumps(row) for row in ROWS)),
        ("cases.ndjson", "\r\n".join(json.dumps(row) for row in ROWS)),
        ("cases.json", json.dumps(ROWS, indent=2)),
        ("cases.yaml", json.dumps(ROWS, ensure_ascii=False)),
        (
            "cases.yml",
            "- {id: 1, text: 'a, b; c', expected: x}\n"
            "- id: 2\n"
            "  text: |-\n"
            "    two\n"
            '    lines and "quotes"\n'
            "  expected: y\n"
            "- id: 3\n"
            "  text: Grüße 🌍\n",
        ),
    ],
    ids=[
        "csv",
        "csv with byte order mark",
        "csv with semicolons",
        "csv with tabs",
        "tsv",
        "jsonl",
        "ndjson",
        "json",
        "yaml of json",
        "yaml",
    ],
)
def test_every_format_holds_the_same_cases(
    write: Write, name: str, content: str | bytes
) -> None:
    dataset = pl.Dataset.from_file(write(name, content))

    assert texts(dataset) == texts(pl.Dataset(ROWS))


def test_parquet_holds_the_same_cases(tmp_path: Path) -> None:
    pd.DataFrame(ROWS).to_parquet(tmp_path / "cases.parquet")

    dataset = pl.Dataset.from_file(tmp_path / "cases.parquet")

    assert texts(dataset) == texts(pl.Dataset(ROWS))


def test_csv_holds_texts_only(write: Write) -> None:
    (case,) = pl.Dataset.from_file(write("cases.csv", "a,b,c\n1,no,\n"))

    assert case.inputs == {"a": "1", "b": "no", "c": ""}


def test_a_blank_cell_is_missing_where_its_column_has_values(write: Write) -> None:
    content = "a,b,expected\n1,,\n , ,yes\n3,,\n"

    dataset = pl.Dataset.from_file(write("cases.csv", content))

    assert [case.inputs for case in dataset] == [
        {"a": "1", "b": ""},
        {"a": None, "b": " "},
        {"a": "3", "b": ""},
    ]
    assert [case.expected for case in dataset] == [None, "yes", None]


def test_nothing_is_expected_where_no_cell_says_so(write: Write) -> None:
    dataset = pl.Dataset.from_file(write("cases.csv", "a,expected\n1,\n2,\n"))

    assert not dataset.has_expected


@pytest.mark.parametrize(
    ("content", "note"),
    [
        ("q,e\na,b\n,\n , \n", "2 blank rows are left out"),
        ("q,e\n,,,\na,b\n", "1 blank row is left out"),
        (
            ",q,e\n0,a,b\n",
            "column 1 has no name and is left out: it looks like the index",
        ),
        ("q,e,,\na,b,,\n", ""),
        ("sep=;\nq;e\na;b\n", ""),
        ('q, e\n"a",  "b"\n', ""),
        ("\u200bq,e\ufeff\na,b\n", ""),
    ],
    ids=[
        *("blank rows", "a blank row on top", "an index", "blank columns", "sep"),
        *("blanks before quotes", "names with characters that nobody sees"),
    ],
)
def test_what_a_spreadsheet_leaves_in_a_csv_is_no_case(
    write: Write, content: str, note: str
) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        (case,) = pl.Dataset.from_file(write("cases.csv", content))

    assert case.inputs == {"q": "a", "e": "b"}
    said = " ".join(str(warning.message) for warning in caught)
    assert note in said
    assert bool(note) == bool(said)


@pytest.mark.parametrize(
    ("content", "inputs"),
    [
        ('"Rating (1; 2; 3)",b\ngood,c\n', {"Rating (1; 2; 3)": "good", "b": "c"}),
        ('"one\ntwo; three";b\nx;y\n', {"one\ntwo; three": "x", "b": "y"}),
        ('q, e\n"a, b", "c, d"\n', {"q": "a, b", "e": "c, d"}),
        ('q,e\n x,"He said, ""so"""\n', {"q": " x", "e": 'He said, "so"'}),
        (f"q\n{'x' * 200_000}\n", {"q": "x" * 200_000}),
    ],
    ids=[
        *("separators in quotes", "lines in quotes", "blanks after commas"),
        *("blanks that belong to a text", "a long text"),
    ],
)
def test_quotes_say_what_a_cell_is(
    write: Write, content: str, inputs: dict[str, str]
) -> None:
    (case,) = pl.Dataset.from_file(write("cases.csv", content))

    assert case.inputs == inputs


@pytest.mark.parametrize("name", ["cases.jsonl", "cases.json", "cases.yaml"])
def test_numbers_keep_every_digit_and_nan_is_missing(write: Write, name: str) -> None:
    row = '{"n": 123456789012345678901, "m": 18446744073709551615, "x": %s}'
    row %= ".nan" if name == "cases.yaml" else "NaN"
    content = row if name == "cases.jsonl" else f"[{row}]"

    (case,) = pl.Dataset.from_file(write(name, content))

    assert case.inputs == {"n": "123456789012345678901", "m": 2**64 - 1, "x": None}


def test_a_workbook_holds_cases_with_their_types(tmp_path: Path) -> None:
    book = Workbook()
    assert book.active is not None
    for row in [
        ["id", " text ", None, "n", "on", "expected"],
        ["a", "two\nlines", None, 1, datetime.datetime(2026, 11, 28), 0.5],
        [None, None, None, None, None, " "],
        ["b", None, None, 2, datetime.datetime(2026, 11, 28, 9, 30), None],
    ]:
        book.active.append(row)
    book.save(tmp_path / "cases.xlsx")

    with pytest.warns(pl.PromptlabWarning, match="1 blank row is left out"):
        dataset = pl.Dataset.from_file(tmp_path / "cases.xlsx")

    assert dataset.to_plain() == [
        {"id": "a", "text": "two\nlines", "n": 1, "on": "2026-11-28", "expected": 0.5},
        {"id": "b", "text": None, "n": 2, "on": "2026-11-28T09:30:00"},
    ]


@pytest.mark.parametrize("name", ["c.csv", "c.jsonl", "c.json", "c.yaml"])
def test_a_packed_file_holds_what_is_in_it(write: Write, name: str) -> None:
    content = {
        "c.csv": "t\na\n",
        "c.jsonl": '{"t": "a"}\n',
        "c.json": '[{"t": "a"}]',
        "c.yaml": "- t: a\n",
    }[name]

    path = write(f"{name}.gz", gzip.compress(content.encode()))

    assert [case.inputs for case in pl.Dataset.from_file(path)] == [{"t": "a"}]


def test_json_and_yaml_keep_types(write: Write) -> None:
    row = {"n": 1, "x": 0.5, "yes": True, "no": None, "list": ["a", {"b": 2}]}

    for name in ("cases.jsonl", "cases.yaml"):
        (case,) = pl.Dataset.from_file(
            write(name, json.dumps([row] if name == "cases.yaml" else row))
        )
        assert case.inputs == row


def test_another_encoding_is_read_when_it_is_said(write: Write, load: Load) -> None:
    write("cases.csv", "t\nGrüße\n".encode("cp1252"))

    said = "dataset: {file: cases.csv, encoding: cp1252}"
    config = load(BASE.replace("dataset:\n  - {t: a}", said))

    assert config.experiment.dataset[0].inputs == {"t": "Grüße"}


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf_16_is_read_without_being_named(write: Write, encoding: str) -> None:
    path = write("cases.csv", "t\tu\nGrüße 日本\tb\n".encode(encoding))

    (case,) = pl.Dataset.from_file(path)

    assert case.inputs == {"t": "Grüße 日本", "u": "b"}


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8", "utf-8-sig"])
def test_a_byte_order_mark_is_no_part_of_the_first_name(
    write: Write, encoding: str
) -> None:
    content = (
        "\ufefft\na\n".encode("utf-8")
        if encoding != "utf-16"
        else "t\na\n".encode("utf-16")
    )

    dataset = pl.Dataset.from_file(write("cases.csv", content), encoding=encoding)

    assert dataset.fields == ("t",)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("c.csv", "", " is empty; its first line names the columns"),
        ("c.csv", "a,b\n1,2\n1,2,3\n", ", line 3: 3 fields, but the header has 2; put"),
        ("c.csv", 'a,b\n"1\n1",2\n1\n', ", line 4: 1 fields, but the header has 2"),
        ("c.csv", "a,a\n1,2\n", ", line 1: duplicate column 'a'"),
        ("c.csv", "\n\na, a\n1,2\n", ", line 3: duplicate column 'a'"),
        ("c.csv", "a,,c\n1,2,3\n", ", line 1: column 2 has no name; give it one"),
        ("c.csv", ",a\nx,1\ny,2\n", ", line 1: column 1 has no name; give it one"),
        ("c.csv", "sep=;\na;b\n1\n", ", line 3: 1 fields, but the header has 2"),
        ("c.csv", "\n , \n\n", " is empty; its first line names the columns"),
        ("c.csv", 'a,b\n1,"{\\"x\\":1}"\n', "double each quote in it"),
        ("c.tsv", 'a\tb\n"Plush" toy\tyes\n', "double each quote in it"),
        ("c.csv", 'a\n1\n"2', ", line 3: unexpected end of data"),
        ("c.csv", 'a\n1\n"2"3\n', ", line 3: ',' expected after '\"'"),
        ("c.csv", b"a\n1\n\xff\n", ", line 3: byte 0xff is not utf-8 text; save"),
        ("c.csv", b"\xef\xbb\xbfa\n1\n\xff\n", ", line 3: byte 0xff is not utf-8 text"),
        ("c.jsonl", '{"a": 1}\n\n{"a": \n', ", line 3: not valid JSON: "),
        ("c.jsonl", '{"a": 1}\n[1]\n', ", line 2: expected an object, got [1]"),
        (
            "c.jsonl",
            '{"a": 1, "a": 2}\n',
            ", line 1: not valid JSON: duplicate key 'a'",
        ),
        ("c.jsonl", '{"a": {"b": 1, "b": 2}}\n', "duplicate key 'b'"),
        ("c.jsonl", '[\n {"a": 1}\n]\n', "one JSON document; name the file .json"),
        ("c.jsonl", '\n{\n "a": 1\n}\n', "one JSON document; put [ ] around it and"),
        ("c.jsonl", '{"a": 1}\n{"a":\n2}\n', ", line 2: an object goes over several"),
        ("c.json", '{"a": 1}\n{"a": 2}\n', "that is JSONL; name the file .jsonl"),
        ("c.json", '[{"a": 1, "a": 2}]', ": not valid JSON: duplicate key 'a'"),
        ("c.json", "[" * 100_000, ": not valid JSON: "),
        ("c.jsonl", b'{"a": 1}\n{"a": "\xe9"}\n', ", line 2: byte 0xe9 is not utf-8"),
        ("c.json", '[\n{"a": 1},\n{"a" 1}]', ", line 3: not valid JSON: "),
        ("c.json", '{"a": 1}', ": expected a list of cases, got {'a': 1}"),
        ("c.yaml", "- a: 1\n- {a: 1\n", ", line 3: not valid YAML: "),
        ("c.yaml", "- a: 1\n- a: 1\n  a: 2\n", ", line 3: not valid YAML: "),
        ("c.yaml", "a: 1\n", ": expected a list of cases, got {'a': 1}"),
        ("c.yaml", "", " is empty"),
        ("c.parquet", "no", " cannot be read: "),
        ("c.xlsx", "no", " cannot be read: "),
        ("c.csv.gz", "no", " cannot be read: Not a gzipped file"),
        ("c.jsonl.gz", gzip.compress(b"{}", mtime=0)[:-9], " cannot be read: "),
        ("c.parquet.gz", gzip.compress(b"no", mtime=0), ": expected a .csv, .tsv"),
        ("c.txt", "a\n1\n", ": expected a .csv, .tsv, .jsonl"),
        ("c", "a\n1\n", "got 'one without an ending'"),
    ],
)
def test_a_mistake_in_a_dataset_is_one_line_that_says_where(
    write: Write, name: str, content: str | bytes, said: str
) -> None:
    path = write(name, content)

    with pytest.raises(DatasetError) as caught:
        pl.Dataset.from_file(path)

    assert str(caught.value).startswith(str(path))
    assert said in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_dataset_that_is_not_there_is_told(tmp_path: Path) -> None:
    for name in ("none.csv", "none.yaml", "none.parquet"):
        with pytest.raises(DatasetError, match=f"{name} cannot be read: No such file"):
            pl.Dataset.from_file(tmp_path / name)


@pytest.mark.parametrize("encoding", ["latin-one", "undefined", "a\0b", "hex"])
def test_an_encoding_that_is_none_is_told(write: Write, encoding: str) -> None:
    with pytest.raises(DatasetError, match="unknown encoding "):
        pl.Dataset.from_file(write("c.csv", "a\n1\n"), encoding=encoding)


def test_standard_input_that_is_not_there_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.stdin", None)

    with pytest.raises(DatasetError, match="not available here; name a file"):
        pl.Dataset.from_file("-")


def test_large_yaml_is_told_to_be_slow_before_it_is_read(write: Write) -> None:
    path = write("cases.yaml", f"- t: {'a' * 1_000_000}\n")

    with pytest.warns(pl.PromptlabWarning, match=r"1\.0 MB of YAML .* in a JSONL file"):
        dataset = pl.Dataset.from_file(path)

    assert len(dataset[0].inputs["t"]) == 1_000_000
