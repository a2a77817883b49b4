"""The user's files: every format, every mistake with its line, a fuzz of configs."""

from __future__ import annotations

import datetime
import gzip
import json
import re
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from openpyxl import Workbook
from ruamel.yaml import YAML

import promptlab as pl
from promptlab.errors import ConfigError, DatasetError
from promptlab.files.config import Config, config_schema, load_config

PACKAGE = Path(pl.__file__).parent
STARTER = (PACKAGE / "starter.yaml").read_text("utf-8")
SHIPPED = sorted((PACKAGE.parent / "datasets").glob("*/experiment.yaml"))

BASE = """\
name: letters
dataset:
  - {t: a}
grid:
  model: [m]
  prompt: {plain: "{{t}}"}
  temperature: [0, 1]
"""

Write = Callable[..., Path]
Load = Callable[[str], Config]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a file beside the config, and gives its path."""

    def write(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


@pytest.fixture
def load(write: Write) -> Load:
    """Loads a config file of this text."""
    return lambda text: load_config(write("experiment.yaml", text))


# Datasets.

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


# Prompts.


def test_a_prompt_file_is_a_text_or_a_list_of_messages(write: Write) -> None:
    messages = [
        {"role": "system", "content": "Be brief"},
        {"role": "user", "content": "{{t}}"},
    ]

    text = pl.Prompt.from_file(write("p.md", "\ufeffHi {{t}}\r\n"))
    several = [
        pl.Prompt.from_file(write("p.json", json.dumps(messages))),
        pl.Prompt.from_file(
            write(
                "p.yaml",
                "- role: system\n  content: Be brief\n- {role: user, content: '{{t}}'}",
            )
        ),
    ]

    assert text.turns({"t": "a"}) == (({"role": "user", "content": "Hi a"},),)
    assert several == [pl.Prompt(messages)] * 2


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("p.md", "a\n{{ t", ": template, line 2: "),
        ("p.md", b"a\n\xff", ", line 2: byte 0xff is not utf-8 text"),
        ("p.yaml", "5", ": expected a string or a list of messages, got 5"),
        ("p.yaml", "role: user", ": expected a string or a list of messages, got {"),
        ("p.yaml", "- {role: user}", ": expected a message with 'role' and"),
        ("p.yaml", "- {role: user, content: [}", ", line 1: not valid YAML"),
        ("p.yaml", "", " is empty"),
    ],
)
def test_a_mistake_in_a_prompt_file_says_where(
    write: Write, name: str, content: str | bytes, said: str
) -> None:
    path = write(name, content)

    with pytest.raises(ConfigError) as caught:
        pl.Prompt.from_file(path)

    assert str(caught.value).startswith(f"{path}{said}")


PROMPTS = {
    "prompts.csv": 'id,text,note\nplain,"Hi {{t}}, you",x\nloud,{{t}}!,y\n',
    "prompts.jsonl": '{"id": "plain", "text": "Hi {{t}}, you"}\n'
    '{"id": "loud", "text": "{{t}}!"}\n',
}


@pytest.mark.parametrize("name", PROMPTS)
def test_the_rows_of_a_table_are_prompts(write: Write, load: Load, name: str) -> None:
    path = write(name, PROMPTS[name])
    expected = {"plain": pl.Prompt("Hi {{t}}, you"), "loud": pl.Prompt("{{t}}!")}
    plain = 'prompt: {plain: "{{t}}"}'

    made = pl.Prompt.all_from_file(path, column="text", name="id")
    config = load(
        BASE.replace(plain, f"prompt: {{file: {name}, column: text, name: id}}")
    )

    assert made == expected
    levels = config.experiment.grid.levels("prompt")
    assert {level.label: level.value for level in levels} == expected
    assert config.files[1:] == (path,)
    assert list(pl.Prompt.all_from_file(path, column="text")) == [
        "prompt_1",
        "prompt_2",
    ]


def test_a_text_that_lines_of_dashes_divide_is_several_prompts(
    write: Write, load: Load
) -> None:
    path = write("prompts.md", "Hi {{t}}\n\nBye\n---\n{{t}}!\n--- \n\n")
    plain = 'prompt: {plain: "{{t}}"}'
    expected = [pl.Prompt("Hi {{t}}\n\nBye"), pl.Prompt("{{t}}!")]

    config = load(BASE.replace(plain, "prompt: {file: prompts.md}"))

    levels = config.experiment.grid.levels("prompt")
    assert [(level.label, level.value) for level in levels] == [
        ("prompt_1", expected[0]),
        ("prompt_2", expected[1]),
    ]
    assert list(pl.Prompt.all_from_file(path).values()) == expected
    assert pl.Prompt.from_file(path).fields == ("t",)  # one prompt, dashes and all


def test_system_messages_may_stand_in_the_rows_of_a_table(
    write: Write, load: Load
) -> None:
    write("systems.csv", "id,text\nbrief,Be brief\nkind,Be kind\n")

    config = load(BASE + "  system: {file: systems.csv, name: id}\n")

    levels = config.experiment.grid.levels("system")
    assert {level.label: level.value for level in levels} == {
        "brief": "Be brief",
        "kind": "Be kind",
    }


@pytest.mark.parametrize(
    ("given", "content", "said"),
    [
        ("column: txt", "id,text\na,b\n", " has no column 'txt'; did you mean 'text'?"),
        ("column: x", "id,text\na,b\n", " has no column 'x'; valid names: id, text"),
        ("name: x", "id,text\na,b\n", " has no column 'x'; valid names: id, text"),
        ("", "id,text\na,b\n", " has several columns; choose one with `column`: id"),
        ("column: text", "id,text\na,\nb,c\n", ", row 1: 'text': expected a string"),
        ("name: id", "id,text\na,b\na,c\n", ", row 2: duplicate name 'a'"),
        ("name: id", "id,text\na,b\n,c\n", ", row 2: no name"),
        ("name: id", "id,text\na,b {{\n", ", a: template, line 1: "),
    ],
)
def test_a_mistake_in_a_table_of_prompts_says_where(
    write: Write, load: Load, given: str, content: str, said: str
) -> None:
    path = write("prompts.csv", content)
    plain = 'prompt: {plain: "{{t}}"}'

    with pytest.raises(ConfigError) as caught:
        load(BASE.replace(plain, f"prompt: {{file: prompts.csv, {given}}}"))

    assert f"{path}{said}" in str(caught.value)


def test_a_text_has_no_columns(write: Write) -> None:
    path = write("prompts.md", "Hi\n---\nBye\n")

    with pytest.raises(ConfigError, match="has no column 'text': it is not a table"):
        pl.Prompt.all_from_file(path, column="text")


# Configs.


def test_a_config_is_an_experiment_and_how_to_run_it(
    tmp_path: Path, load: Load
) -> None:
    config = load(
        BASE
        + "description: A try\nrepeats: 3\n"
        + "exclude: [{temperature: 1}]\n"
        + "capabilities: {m: {temperature: true, max_tokens: limit}}\n"
        + "run: {max_concurrency: 4, cache: shared, env_file: keys.env}\n"
        + "output: [out/a.csv, b.jsonl]\n"
    )

    assert config.description == "A try"
    assert config.experiment.size == "1 variant × 1 case × 3 repeats = 3 trials"
    assert config.experiment.capabilities == {
        "m": {"temperature": True, "max_tokens": "limit"}
    }
    assert config.options == {
        "max_concurrency": 4,
        "cache": tmp_path / "shared",
        "env_file": tmp_path / "keys.env",
    }
    assert config.output == (tmp_path / "out/a.csv", tmp_path / "b.jsonl")


def test_one_output_needs_no_list(tmp_path: Path, load: Load) -> None:
    assert load(BASE + "output: a.csv\n").output == (tmp_path / "a.csv",)


def test_a_config_says_what_python_says(load: Load) -> None:
    loaded = load(BASE + "zip:\n  - seed: [1, 2]\n    top_p: [0.5, 1]\n").experiment

    made = pl.Experiment(
        "letters",
        grid=pl.Grid(
            model=["m"],
            prompt={"plain": "{{t}}"},
            temperature=[0, 1],
            zip=[{"seed": [1, 2], "top_p": [0.5, 1]}],
        ),
        dataset=[{"t": "a"}],
    )
    assert loaded.to_plain() == made.to_plain()


def test_a_config_may_be_json(write: Write) -> None:
    plain = {
        "$schema": "experiment.schema.json",
        "name": "letters",
        "dataset": [{"t": "a"}],
        "grid": {"model": ["m"], "prompt": ["{{t}}"]},
    }

    loaded = pl.load_experiment(write("experiment.json", json.dumps(plain, indent=1)))

    assert loaded.name == "letters"


def test_files_are_relative_to_the_config(
    write: Write, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    write("project/data/cases.csv", "t\na\n")
    write("project/prompts/plain.md", "Hi {{t}}\n")
    write("project/prompts/chat.yaml", "- {role: user, content: '{{t}}?'}\n")
    write("project/prompts/agent.txt", "You route.\n")
    path = write(
        "project/experiment.yaml",
        "name: files\n"
        "dataset: data/cases.csv\n"
        "grid:\n"
        "  model: [m]\n"
        "  prompt:\n"
        "    plain: {file: prompts/plain.md}\n"
        "    chat: {file: prompts/chat.yaml}\n"
        "  system: {none: null, agent: {file: prompts/agent.txt}}\n",
    )
    monkeypatch.chdir(tmp_path)

    loaded = pl.load_experiment(path.relative_to(tmp_path))

    assert [
        (q.labels["prompt"], q.labels["system"], q.prompt.turns({"t": "a"})[0])
        for q in loaded.effective_variants
    ] == [
        ("plain", "none", ({"role": "user", "content": "Hi a"},)),
        (
            "plain",
            "agent",
            (
                {"role": "system", "content": "You route."},
                {"role": "user", "content": "Hi a"},
            ),
        ),
        ("chat", "none", ({"role": "user", "content": "a?"},)),
        (
            "chat",
            "agent",
            (
                {"role": "system", "content": "You route."},
                {"role": "user", "content": "a?"},
            ),
        ),
    ]


def test_prompts_in_a_list_of_files_are_called_after_them(
    write: Write, load: Load
) -> None:
    write("plain.md", "{{t}}")

    config = load(BASE.replace('{plain: "{{t}}"}', "[{file: plain.md}, 'Hi {{t}}']"))

    levels = config.experiment.grid.levels("prompt")
    assert [level.label for level in levels] == ["plain", "prompt_2"]


def test_a_name_after_file_is_a_file_as_in_promptfoo(
    write: Write, load: Load, tmp_path: Path
) -> None:
    write("prompts/plain.md", "Hi {{t}}: {{long}}")
    write("cases.csv", "t\na\n")
    write("long.txt", "a long text")
    text = BASE.replace('{plain: "{{t}}"}', "[file://prompts/plain.md]")

    inline = load(text.replace("{t: a}", "{t: a, long: file://long.txt}"))
    listed = load(
        BASE.replace("\n  - {t: a}", " file://cases.csv")
        + f"  system: [null, file://{tmp_path / 'long.txt'}]\n"
    )

    (first, *_) = inline.experiment.trials
    assert first.variant.labels["prompt"] == "plain"
    assert first.turns[0][0]["content"] == "Hi a: a long text"
    assert [file.name for file in inline.files] == [
        *("experiment.yaml", "long.txt", "plain.md"),
    ]
    assert listed.experiment.dataset.name == "cases.csv"
    assert listed.experiment.grid.levels("system")[1].value == "a long text"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("model: [m]", 'model: ["${M}"]', "grid.model.0: ${M} is not expanded in a"),
        ("[0, 1]", '[0, 1]\n  base_url: ["http://${H}/v1"]', "grid.base_url.0: ${H}"),
        ("[0, 1]", '[0, 1]\n  user: {a: "${U}"}', "grid.user.a: ${U} is not"),
        ("[0, 1]", '[0, 1]\nrun: {base_url: "${B}"}', "run.base_url: ${B} is not"),
        (
            "[0, 1]",
            '[0, 1]\nrun: {headers: {X-Org: "a ${ORG}"}}',
            "run.headers.X-Org: ${ORG} is not expanded in a config; "
            "write the value, or pass headers= to run in Python",
        ),
        (
            "[0, 1]",
            '[0, 1]\nrun: {api_key_env: "${KEY}"}',
            "give the name of the variable, without ${}",
        ),
        ("\n  - {t: a}", ' "${DATA}/a.csv"', "dataset: ${DATA} is not expanded"),
        ("[0, 1]", '[0, 1]\noutput: ["${O}.csv"]', "output.0: ${O} is not expanded"),
    ],
)
def test_a_variable_is_never_taken_as_it_stands(
    load: Load, old: str, new: str, said: str
) -> None:
    with pytest.raises(ConfigError, match=r"experiment\.yaml, line \d+: ") as caught:
        load(BASE.replace(old, new))

    assert said in str(caught.value)


def test_a_prompt_may_hold_what_looks_like_a_variable(load: Load) -> None:
    config = load(BASE.replace("{{t}}", "echo ${HOME} {{t}}"))

    assert config.experiment.trials[0].turns[0][0]["content"] == "echo ${HOME} a"


def test_keys_for_anchors_may_stand_beside_the_others(load: Load) -> None:
    config = load("x-shared: &s {seed: [1, 2]}\n" + BASE + "  <<: *s\n")

    assert len(config.experiment.grid) == 4


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('{plain: "{{t}}"}', "\n    p: Say: this", "put text with a colon in quotes"),
        ("name: letters", 'name: "C:\\data"', "in single quotes, or write / in paths"),
        (
            '"{{t}}"',
            "[{role: develper, content: a}, {role: user, content: '{{t}}'}]",
            "got 'develper'; did you mean 'developer'",
        ),
    ],
)
def test_common_slips_are_told_what_to_write(
    load: Load, old: str, new: str, said: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load(BASE.replace(old, new))

    assert said in str(caught.value)


def test_any_value_may_stand_in_a_file(write: Write, load: Load) -> None:
    write("tools.json", '[{"type": "function"}]')

    config = load(BASE.replace("temperature: [0, 1]", "tools: [{file: tools.json}]"))

    (level,) = config.experiment.grid.levels("tools")
    assert level.value == [{"type": "function"}]


def test_a_config_tells_which_files_it_was_read_from(
    tmp_path: Path, write: Write, load: Load
) -> None:
    write("cases.jsonl", '{"t": "a"}')
    write("p/plain.md", "{{t}}")
    write("system.md", "You route.")
    write("tools.json", '[{"type": "function"}]')

    config = load(
        "name: x\n"
        "dataset: {file: cases.jsonl}\n"
        "grid:\n  model: [m]\n  prompt: {plain: {file: p/plain.md}, terse: 'a'}\n"
        "  tools: [{file: tools.json}]\n"
        "zip: [{system: [null, {file: system.md}], seed: [1, 2]}]\n"
        "run: {env_file: mine.env}\n"
    )

    assert config.files == (
        tmp_path / "experiment.yaml",
        tmp_path / "cases.jsonl",
        tmp_path / "p" / "plain.md",
        tmp_path / "tools.json",
        tmp_path / "system.md",
        tmp_path / "mine.env",
    )
    assert load(BASE).files == (tmp_path / "experiment.yaml",)


def test_a_key_that_nothing_follows_is_as_if_it_were_not_there(load: Load) -> None:
    keys = ("description", "repeats", "zip", "exclude", "capabilities", "run", "output")

    config = load(BASE + "".join(f"{key}:\n" for key in keys))

    assert (config.description, config.options, config.output) == ("", {}, ())
    assert len(config.experiment) == 2


def test_yaml_is_1_2(load: Load) -> None:
    config = load(
        BASE.replace(
            "{t: a}", "{t: no, u: off, v: 2026-11-23, w: 012, x: 1_0, y: ~}"
        ).replace('"{{t}}"', '"{{t}}{{u}}{{v}}{{w}}{{x}}"')
        + "description: yes\n"
    )

    assert config.description == "yes"
    assert config.experiment.dataset[0].inputs == {
        "t": "no",
        "u": "off",
        "v": "2026-11-23",
        "w": 12,
        "x": 10,
        "y": None,
    }


def test_yaml_aliases_and_merges_are_read(load: Load) -> None:
    config = load(
        BASE.replace("[m]", "&models [m, n]")
        + "exclude: [{model: n, temperature: 1}]\n"
        + "capabilities:\n  m: &rules {seed: true}\n  n: {<<: *rules, top_k: false}\n"
    )

    assert config.experiment.capabilities == {
        "m": {"seed": True},
        "n": {"seed": True, "top_k": False},
    }


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("name: letters\n", "", None, "'name' is missing; give the experiment a name"),
        ("dataset:\n  - {t: a}\n", "", None, "'dataset' is missing; name a file"),
        ("name: letters", "nam: letters", 1, "unknown key 'nam'; did you mean 'name'?"),
        ("name: letters", "name: [a]", 1, "name: expected a string, got ['a']"),
        (
            "name: letters",
            f"name: {'a' * 101}",
            1,
            "one line of at most 100 characters",
        ),
        ("name: letters", "name: a\nname: b", 2, "duplicate key"),
        (
            "  - {t: a}",
            "  - {t: a}\n  - b",
            2,
            "the name of a file, or a list of cases",
        ),
        ("dataset:\n  - {t: a}", "dataset: 5", 2, "the name of a file, or a list"),
        ("  - {t: a}", "  - {t: a, id: x}\n  - {t: a, id: x}", 2, "is used twice"),
        ("  - {t: a}", "  - {t: a, output: x}", 2, "cannot be called 'output'"),
        ("{t: a}", "{t: a, temperature: 1}", 2, "is a parameter of the grid"),
        ("  model: [m]", "  model: m", 5, "expected a list of values, got 'm'; write"),
        ("  model: [m]", "  model: []", 5, "model: the list of values is empty"),
        ("  model: [m]\n", "", 4, "a grid needs 'model'; this one has prompt"),
        ("  model: [m]", "  modle: [m]", 4, "a grid needs 'model'; this one has modle"),
        ('"{{t}}"', '"{{u}}"', 6, "prompt 'plain' needs ['u'], which case '1'"),
        ('"{{t}}"', '"{{t"', 6, "prompt 'plain': template, line 1: "),
        ('{plain: "{{t}}"}', "[5]", 6, "a string or a list of messages, got 5"),
        ('{plain: "{{t}}"}', "[{file: none.md}]", 6, "none.md cannot be read"),
        *(
            ('{plain: "{{t}}"}', given, 6, "unknown key 'fle' for 'x.md'; did you mean")
            for given in ("{fle: x.md}", "[{fle: x.md}]", "{plain: {fle: x.md}}")
        ),
        ("[0, 1]", "hot", 7, "grid.temperature: expected a number from 0 to 2, got 'h"),
        ("[0, 1]", "0.5", 7, "a list of values, got 0.5; write [0.5]"),
        ("[0, 1]", "[0, 3]", 7, "temperature: expected a number from 0 to 2, got 3"),
        ("[0, 1]", "[0, .nan]", 7, "temperature: a request cannot hold nan"),
        (
            "[0, 1]",
            f"[0, {'9' * 400}]",
            7,
            "temperature: a request cannot hold a number",
        ),
        (
            "[0, 1]",
            "[0, 1]\n  zip: [{a: [1]}]",
            8,
            "'zip' belongs beside 'grid', not in",
        ),
        (
            "[0, 1]",
            "[0, 1]\n  exclude: [1]",
            8,
            "'exclude' belongs beside 'grid', not in",
        ),
        (
            "[0, 1]",
            "[0, 1]\nrepeats: 0",
            8,
            "repeats: expected an integer >= 1, got 0",
        ),
        (
            "[0, 1]",
            "[0, 1]\nrepeats: two",
            8,
            "repeats: expected an integer >= 1",
        ),
        (
            "[0, 1]",
            "[0, 1]\nexclude:\n  - {modle: m}",
            8,
            "exclude: no parameter 'modle'",
        ),
        ("[0, 1]", "[0, 1]\nzip:\n  - seed: [1]\n    top_p: [0.1, 0.2]", 8, "equally"),
        ("[0, 1]", "[0, 1]\nzip:\n  - seed: [a]\n    top_p: [1]", 9, "seed: expected"),
        ("[0, 1]", "[0, 1]\nzip:\n  - seed: [1]\n    top_p: 1", 10, "a list of values"),
        (
            "[0, 1]",
            "[0, 1]\ncapabilities:\n  n: {a: true}",
            9,
            "no model 'n' in the grid",
        ),
        (
            "[0, 1]",
            "[0, 1]\ncapabilities:\n  m:\n    a: 5",
            10,
            "true, false or a name",
        ),
        ("[0, 1]", "[0, 1]\noutput: 5", 8, "the name of a file, or a list of them"),
        (
            "[0, 1]",
            "[0, 1]\nrun:\n  max_concurency: 5",
            9,
            "unknown key 'run.max_concurency'; did you mean 'max_concurrency'?",
        ),
        (
            "[0, 1]",
            "[0, 1]\nrun:\n  requests_per_minute: 5",
            9,
            "unknown key 'run.requests_per_minute'; did you mean 'rpm'?",
        ),
        (
            "[0, 1]",
            "[0, 1]\nrun:\n  max_concurrency: 0",
            9,
            "an integer >= 1",
        ),
        ("[0, 1]", "[0, 1]\nrun:\n  api_key: sk", 9, "a key does not belong in a file"),
        (
            "[0, 1]",
            "[0, 1]\nfoo: 1",
            8,
            "unknown key 'foo'; valid names: $schema, name",
        ),
        ("[0, 1]", "[0, 1]\ntrue: 1", 8, "expected a string, got True; quote it"),
        ("[0, 1]", "[0, 1]\n? [a]\n: 1", 8, "expected a string, got "),
        ("name: letters", "name: !!python/name:os.system x", 1, "unsupported value"),
        ("name: letters", "name: !mine x", 1, "unsupported value (a YAML tag?)"),
        ("name: letters", "name: *nothing", 1, "not valid YAML: found undefined alias"),
        ("name: letters", "name: [", 3, "not valid YAML"),
        ("name: letters", "name: letters\n\t- a", 2, "with spaces, not tabs"),
        ("name: letters", "name:\n\ta: 1", 2, "with spaces, not tabs"),
        (
            '{plain: "{{t}}"}',
            "[{{t}}]",
            6,
            'put text that begins with {{ in quotes: "{{field}} ..."',
        ),
        (
            '{plain: "{{t}}"}',
            "\n    plain: {{t}}",
            7,
            'put text that begins with {{ in quotes: "{{field}} ..."',
        ),
        (
            '{plain: "{{t}}"}',
            "[Hello {{t}}]",
            6,
            "put text with braces in quotes",
        ),
        (
            *("[0, 1]", "[0, 1]\nrun:\n  budget_usd: '2'", 9),
            "run.budget_usd: expected a number >= 0, got '2'",
        ),
        (
            *("[0, 1]", "[0, 1]\nrun:\n  budget_usd: .inf", 9),
            "run.budget_usd: expected a number >= 0, got inf",
        ),
        (
            *("[0, 1]", "[0, 1]\nrun:\n  budget_tokens: 10.5", 9),
            "run.budget_tokens: expected an integer >= 0, got 10.5",
        ),
        ("[0, 1]", "[0, 1]\nrun: 3", 8, "run: expected a mapping of options, such as"),
        ("[0, 1]", "[0, 1]\nzip: 3", 8, "zip: expected a list of groups, such as [{"),
        ("[0, 1]", "[0, 1]\nexclude: {a: 1}", 8, "exclude: expected a list of what to"),
        ("[0, 1]", "[0, 1, 0]\nzip:", 7, "temperature has 0 twice"),
        ("[0, 1]", "[0, 1]\nfoo:", 8, "unknown key 'foo'; valid names: $schema, name"),
        (
            BASE[BASE.index("  model") :],
            "",
            4,
            "grid: expected a mapping of parameters",
        ),
        ("name: letters", "name: a\n---\nname: b", 2, "not valid YAML"),
        (
            "name: letters",
            "name: a\x07",
            None,
            "not valid YAML: unacceptable character",
        ),
        (BASE, "", None, " is empty"),
        (BASE, "# nothing", None, " is empty"),
        (BASE, "letters", None, "expected a mapping of keys: name, dataset, grid"),
        (BASE, "- letters", None, "expected a mapping of keys: name, dataset, grid"),
    ],
)
def test_a_mistake_in_a_config_is_one_line_that_says_where(
    tmp_path: Path, load: Load, old: str, new: str, line: int | None, said: str
) -> None:
    assert old in BASE

    with pytest.raises(ConfigError) as caught:
        load(BASE.replace(old, new))

    text = str(caught.value)
    path = tmp_path / "experiment.yaml"
    assert said in text
    assert len(text.splitlines()) == 1
    if line is not None:
        assert text.startswith(f"{path}, line {line}: ")
    else:
        assert text.startswith(str(tmp_path))
        assert ", line " not in text


def test_a_parameter_of_a_zip_is_blamed_where_it_stands(load: Load) -> None:
    with pytest.raises(ConfigError, match=r", line 11: seed: expected an integer"):
        load(
            BASE
            + "zip:\n  - {min_p: [1], top_a: [1]}\n"
            + "  - top_p: [1]\n    seed: [a]\n"
        )


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("model: [m]", "it goes under 'grid'"),
        ("temperature: [0]", "it goes under 'grid'"),
        ("max_tokens: [9]", "it goes under 'grid'"),
        ("prompts: [a]", "it is 'prompt', under 'grid'"),
        ("providers: [openai:gpt-6]", "it is 'model', under 'grid'"),
        ("tests: [{vars: {}}]", "it is 'dataset'"),
        ("outputPath: a.csv", "it is 'output'"),
        ("max_concurrency: 4", "it goes under 'run'"),
        ("base_url: https://api.example.com/v1", "it goes under 'run'"),
        ("api_key: sk-secret", "set OPENAI_API_KEY"),
    ],
)
def test_a_key_from_elsewhere_is_shown_its_place(
    load: Load, line: str, hint: str
) -> None:
    with pytest.raises(ConfigError, match=r", line 8: unknown key ") as caught:
        load(BASE + line)

    assert hint in str(caught.value)
    assert "sk-secret" not in str(caught.value)


def test_a_config_that_cannot_be_read_is_told(tmp_path: Path, write: Write) -> None:
    for path in (tmp_path / "none.yaml", tmp_path, write("a.yaml", b"name: \xff")):
        with pytest.raises(ConfigError) as caught:
            load_config(path)
        assert str(caught.value).startswith(str(path))


def test_aliases_of_aliases_do_not_fill_the_memory(load: Load) -> None:
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10)
    )
    started = time.thread_time()

    with pytest.raises(ConfigError, match="more than 2,000,000 values"):
        load(bomb)

    assert time.thread_time() - started < 30


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [*a]",
        "a: &a {b: *a}",
        "a: " + "[" * 60 + "]" * 60,
        "a: " + "[" * 5000 + "]" * 5000,
        "".join(f"{' ' * n}a:\n" for n in range(60)),
    ],
    ids=[
        "list of itself",
        "mapping of itself",
        "60 lists",
        "5000 lists",
        "60 mappings",
    ],
)
def test_what_nests_too_deep_is_refused(load: Load, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(text)

    assert len(str(caught.value).splitlines()) == 1


def test_an_option_that_no_file_may_have_is_refused_with_the_reason(load: Load) -> None:
    with pytest.raises(
        ConfigError, match=r"'run.refresh'; it is for one run; pass --r"
    ):
        load(BASE + "\nrun: {refresh: true}")


def test_the_committed_schema_is_the_one_that_is_printed() -> None:
    committed = json.loads((PACKAGE / "config.schema.json").read_text("utf-8"))

    assert committed == json.loads(json.dumps(config_schema()))


def against_schema(
    plain: Any, schema: dict[str, Any], root: dict[str, Any]
) -> list[str]:
    """The keys of a config that its schema does not have, or that it lacks."""
    if "$ref" in schema:
        schema = root["$defs"][schema["$ref"].rpartition("/")[2]]
    if not isinstance(plain, dict) or "properties" not in schema:
        return []
    known = schema["properties"]
    wrong = [name for name in schema.get("required", []) if name not in plain]
    if schema.get("additionalProperties") is False:
        wrong += [name for name in plain if name not in known]
    for name, value in plain.items():
        if name in known:
            wrong += against_schema(value, known[name], root)
    return wrong


def test_the_schema_refuses_what_the_loader_refuses() -> None:
    schema = config_schema()

    assert against_schema({"nam": 1}, schema, schema) == [
        "name",
        "dataset",
        "grid",
        "nam",
    ]
    assert "tries" in against_schema({"run": {"tries": 1}}, schema, schema)
    assert "prompt" in against_schema({"grid": {"model": ["m"]}}, schema, schema)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.parent.name)
def test_the_configs_that_we_ship_fit_the_schema(path: Path) -> None:
    plain = YAML(typ="safe", pure=True).load(path.read_text("utf-8"))
    schema = config_schema()

    assert against_schema(plain, schema, schema) == []


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.parent.name)
def test_the_configs_that_we_ship_are_as_large_as_they_say(path: Path) -> None:
    said = re.search(r"= (\d+) trials|: (\d+) trials", path.read_text("utf-8"))

    experiment = pl.load_experiment(path)

    assert said is not None
    assert len(experiment) == int(said[1] or said[2])


def test_there_are_configs_that_we_ship() -> None:
    assert len(SHIPPED) == 4


def test_the_starter_loads(load: Load) -> None:
    assert load(STARTER).experiment.name == "first_experiment"


# Whatever stands in a file: it loads, or one line says what is wrong with which file.

pytestmark = pytest.mark.filterwarnings("ignore::promptlab.PromptlabWarning")


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz") / "experiment.yaml"


def loads_or_tells(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    try:
        load_config(path)
    except pl.PromptlabError as error:
        text = str(error)
        assert len(text.splitlines()) == 1, text
        # Or with one of the files beside it, in quotes where it cannot be a name.
        assert text.lstrip("'\"").startswith(str(path.parent)), text


@settings(max_examples=300)
@given(content=st.one_of(st.binary(max_size=200), st.text().map(str.encode)))
@example(content=b"\xef\xbb\xbf")
@example(content=b"\xff\xfen\x00a\x00")
@example(content=b"%YAML 1.1\n---\nname: no")
@example(content=b"%YAML 9.9\n---\nname: no")
@example(content=b"%TAG ! tag:x,2026:\n---\n!a b")
@example(content=b"!!set {a, b}")
@example(content=b"!!omap [a: 1]")
@example(content=b"!!binary aGVsbG8=")
@example(content=b"!!timestamp x")
@example(content=b"!!int x")
@example(content=b"!!float x")
@example(content=b"!!bool x")
@example(content=b"a: 2026-99-99")
@example(content=b"a: 2026-11-23 99:99:99")
@example(content=b"a: &a b\nb: &a c\nc: *a")
@example(content=b"<<: 5")
@example(content=b"<<: [5]")
@example(content=b"? {a: b}\n: c")
@example(content=b"? - a\n: c")
@example(content=b"- " * 2000)
@example(content=b"9" * 5000)
@example(content=b'"\\ud800"')
@example(content=b'{"name": "\\ud800", "dataset": [{}], "grid": {}}')
@example(content=b"a: |9\n x")
@example(content=b"a: 0x_\nb: 0o9\nc: 1e999999\nd: 0b2\ne: 1:2:3")
def test_any_bytes_load_or_are_told(fuzzed: Path, content: bytes) -> None:
    loads_or_tells(fuzzed, content)


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=8),
    st.sampled_from(
        [
            "m",
            "{{t}}",
            "{{",
            "{{t.x}}",
            "user",
            "cases.csv",
            "a\nb.csv",
            "a\0.csv",
            "a.yaml",
        ]
    ),
)
names = st.one_of(
    st.text(max_size=6),
    st.sampled_from(
        [
            *config_schema()["properties"],
            *config_schema()["$defs"]["RunModel"]["properties"],
            *(
                "model",
                "prompt",
                "system",
                "temperature",
                "max_tokens",
                "tools",
                "self",
            ),
            *("file", "encoding", "role", "content", "id", "expected", "t", "output"),
        ]
    ),
)
anything = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(names, inner, max_size=3)
    ),
    max_leaves=6,
)
WHOLE: dict[str, Any] = {
    "name": "letters",
    "description": "",
    "dataset": [{"id": "1", "t": "a", "expected": "b"}, {"id": "2", "t": "b"}],
    "repeats": 2,
    "grid": {
        "model": ["m", "gpt-5"],
        "prompt": {"plain": "{{t}}", "chat": [{"role": "user", "content": "{{t}}"}]},
        "system": [None, "Be brief"],
        "tools": [[{"type": "function"}]],
    },
    "zip": [{"temperature": [0, 1], "max_tokens": [8, 9]}],
    "exclude": [{"model": "m", "temperature": 1}],
    "capabilities": {"m": {"seed": True, "max_tokens": "limit"}},
    "run": {"max_concurrency": 4, "timeout_s": 1.5, "headers": {"a": "b"}},
    "output": ["a.csv"],
}


@st.composite
def changed(draw: st.DrawFn) -> Any:
    """A whole config, something in it replaced, added or taken away."""
    whole = json.loads(json.dumps(WHOLE))
    for _ in range(draw(st.integers(1, 3))):
        owner = whole
        while True:
            places = list(owner) if isinstance(owner, dict) else list(range(len(owner)))
            if not places:
                break
            place = draw(st.sampled_from(places))
            if isinstance(owner[place], (dict, list)) and draw(st.booleans()):
                owner = owner[place]
                continue
            owner[place] = draw(anything)
            break
        if isinstance(owner, dict) and draw(st.booleans()):
            owner[draw(names)] = draw(anything)
        elif owner and draw(st.booleans()):
            del owner[
                draw(st.sampled_from(list(owner) if isinstance(owner, dict) else [0]))
            ]
    return whole


@settings(max_examples=300)
@given(plain=st.one_of(anything, st.dictionaries(names, anything), changed()))
@example(plain={**WHOLE, "grid": {**WHOLE["grid"], "self": [1]}})
@example(plain={**WHOLE, "grid": {**WHOLE["grid"], "zip": [{}]}})
@example(plain={**WHOLE, "dataset": "a\nb.csv"})
@example(plain={**WHOLE, "dataset": "a\0.csv"})
@example(plain={**WHOLE, "dataset": {"file": "experiment.yaml", "encoding": "\0"}})
@example(plain={**WHOLE, "grid": {"model": ["m"], "prompt": [{"file": "a\nb.md"}]}})
@example(plain={**WHOLE, "name": "a\u2028b", "zip": [], "exclude": []})
def test_any_values_load_or_are_told(fuzzed: Path, plain: Any) -> None:
    loads_or_tells(fuzzed, json.dumps(plain, ensure_ascii=False).encode())


@st.composite
def slips(draw: st.DrawFn) -> str:
    """The starter config after a slip of the hand."""
    lines = STARTER.splitlines()
    at = draw(
        st.sampled_from([n for n, line in enumerate(lines) if line.lstrip()[:1] != "#"])
    )
    line = lines[at]
    place = draw(st.integers(0, len(line)))
    word = draw(
        st.one_of(
            st.text(max_size=3),
            st.sampled_from(
                [*":-[]{}#&*!|>'\"%@`,?", ": ", "- ", "{{", "null", "\t", "- -"]
            ),
        )
    )
    new = draw(
        st.sampled_from(
            [
                [],
                [line, line],
                [word],
                ["  " + line],
                [line.strip()],
                [line[:place] + word + line[place:]],
                [line[:place] + line[place + 1 :]],
                [line[:place]],
                [line.partition(": ")[0] + f": {word}"],
                [f"{word}:" + line.partition(":")[2]],
            ]
        )
    )
    return "\n".join([*lines[:at], *new, *lines[at + 1 :]])


@settings(max_examples=300)
@given(text=slips())
def test_a_slip_in_the_starter_loads_or_is_told(fuzzed: Path, text: str) -> None:
    loads_or_tells(fuzzed, text.encode())


def test_own_prices_are_read_and_checked(tmp_path: Path) -> None:
    path = tmp_path / "experiment.yaml"
    text = """\
name: e
dataset: [{t: a}]
grid: {model: [m], prompt: ["{{t}}"]}
run:
  prices:
    m: {input: 0.1, output: 1, valid_from: 2026-11-01, batch: {input: 0, output: 0.5}}
"""
    path.write_text(text)
    config = load_config(path)

    assert config.options["prices"] == {
        "m": {
            "input": 0.1,
            "output": 1,
            "valid_from": "2026-11-01",
            "batch": {"input": 0, "output": 0.5},
        }
    }

    path.write_text(text.replace("output: 1", "out: 1"))
    with pytest.raises(
        ConfigError, match=r"line 6: the price of 'm': unknown key 'out'"
    ):
        load_config(path)


def test_own_prices_may_stand_in_a_file_beside_the_config(
    tmp_path: Path, write: Write, load: Load
) -> None:
    write("p/mine.toml", '[[price]]\nmodel = "m"\ninput = 0.1\noutput = 1\n')
    text = BASE + "run: {prices: p/mine.toml}\n"

    config = load(text)

    assert config.options["prices"] == tmp_path / "p" / "mine.toml"
    assert config.files[-1] == tmp_path / "p" / "mine.toml"

    write("p/mine.toml", '[[price]]\nmodel = "m"\ninput = 0.1\n')
    with pytest.raises(
        ConfigError, match=r"toml, \[\[price\]\] from line 1: the price"
    ):
        load(text)
    with pytest.raises(ConfigError, match=r"yaml, line 8: prices file .*none.toml can"):
        load(BASE + "run: {prices: none.toml}\n")


@pytest.mark.parametrize("wrong", ["3", "[m]", "{m: 3}"])
def test_prices_that_are_none_are_told_with_their_line(load: Load, wrong: str) -> None:
    with pytest.raises(ConfigError, match=r"line \d+: run.prices.*: expected a "):
        load(BASE + f"run:\n  prices: {wrong}\n")


def test_the_variable_of_a_key_is_one_or_that_of_each_server(load: Load) -> None:
    one = load(BASE + "run: {api_key_env: MY_KEY}\n")
    each = load(BASE + "run:\n  api_key_env:\n    https://a.test/v1: A_KEY\n")

    assert one.options["api_key_env"] == "MY_KEY"
    assert each.options["api_key_env"] == {"https://a.test/v1": "A_KEY"}


def test_columns_are_renamed_and_carried_along_as_a_config_says(
    write: Write, load: Load
) -> None:
    write("runs.csv", "prompt,output,split\na,b,test\n")
    text = BASE.replace(
        "dataset:\n  - {t: a}\n",
        "dataset:\n  file: runs.csv\n  rename: {prompt: t, output: before}\n"
        "  metadata: [before, split]\n",
    )

    (case,) = load(text).experiment.dataset

    assert case == pl.Case("1", {"t": "a"}, None, {"before": "b", "split": "test"})


def test_a_column_that_cannot_be_renamed_is_told(write: Write, load: Load) -> None:
    write("runs.csv", "t,n\na,b\n")
    text = BASE.replace(
        "dataset:\n  - {t: a}\n", "dataset: {file: runs.csv, rename: {m: t}}\n"
    )

    with pytest.raises(DatasetError, match=r"^runs.csv has no column 'm'"):
        load(text)
