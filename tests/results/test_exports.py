"""Exports: what a file keeps, what it makes harmless, and what it refuses."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import openpyxl
import orjson
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import promptlab as pl
from promptlab.errors import ExportError
from promptlab.results.exports import write

from .making import FAILURE, experiment, results

ENDINGS = [".csv", ".xlsx", ".jsonl", ".parquet"]
FORMULAS = [
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    " =1",
    "\x00=1",
    "＝1",
    "＋1",
    "－1",
    "＠1",
    '=HYPERLINK("http://evil.example","x")',
    "=cmd|' /C calc'!A0",
]

INSIDE = [
    "x;=1",
    "x\n=1",
    "x\r\n@A1",
    "x\t +1;-1",
    "x\n- 1+cmd|' /C calc'!A0",
    "x;'=1;''",
    "'\n'=1",
    "x;\n=1",
    "x\n＝1",
]
"""Formulas where another separator than the comma takes a text apart."""

texts = st.text(
    st.characters(exclude_categories=["Cs"]), max_size=20
) | st.sampled_from(
    [
        *FORMULAS,
        *INSIDE,
        "'",
        "'=1",
        "''=1",
        "",
        "a\rb",
        "a\r\nb",
        'a"b,c',
        "\ufeffx",
        "nan",
        "🌍",
    ]
)
inputs = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), texts)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3)
    ),
    max_leaves=4,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("exports")


def table_of(
    outputs: list[str], values: list[Any], *, more: bool = False
) -> pl.Results:
    """Results with these outputs and inputs, one case for each."""
    asked = experiment(
        [{"t": "a", "u": value, "expected": value} for value in values],
        temperature=[0, 0.5] if more else [None],
        stop=[None, ["\n"]] if more else [None],
    )
    share = len(asked) // len(outputs)
    return results(asked, [output for output in outputs for _ in range(share)])


@pytest.mark.filterwarnings("ignore::promptlab.PromptlabWarning")
@pytest.mark.parametrize("ending", [".jsonl", ".parquet"])
@given(
    rows=st.lists(st.tuples(texts, inputs), min_size=1, max_size=5), more=st.booleans()
)
@example(rows=[("", 2**63), ("\0", -1)], more=True)
@example(rows=[("a", 2**60), ("b", 0.5)], more=False)
@example(rows=[("a", None), ("b", None)], more=False)
@example(rows=[("a", [1]), ("b", {"c": None})], more=False)
def test_jsonl_and_parquet_give_the_table_as_it_was(
    folder: Path, ending: str, rows: list[tuple[str, Any]], more: bool
) -> None:
    made = table_of([output for output, _ in rows], [v for _, v in rows], more=more)

    read = pl.read_results(made.to(folder / f"table{ending}"))

    pd.testing.assert_frame_equal(read, made.table)


@pytest.mark.parametrize("ending", [".jsonl", ".parquet"])
def test_failures_and_missing_trials_survive_too(tmp_path: Path, ending: str) -> None:
    made = results(experiment(repeats=2), ["a", FAILURE, None, "d"], cached=[0])

    read = pl.read_results(made.to(tmp_path / f"table{ending}"))

    pd.testing.assert_frame_equal(read, made.table)


LOOKS = ["001", "1", "-1", "1e5", "1.50", "0.5", "True", "FALSE", "2024-01-01"]
LOOKS += ["nan", "NA", "None", "null", "inf", "1_000", "１", "#N/A", "1,5", "0x1F"]
"""TextColumn that a reader may take for something else."""

scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), texts
) | st.floats(allow_nan=False, allow_infinity=False)
columns = st.one_of(
    *(
        st.lists(values, min_size=1, max_size=4)
        for values in (
            st.sampled_from(LOOKS),
            st.sampled_from(LOOKS) | texts,
            st.integers(-(2**63), 2**64 - 1) | st.none(),
            st.floats(allow_nan=False, allow_infinity=False) | st.none(),
            st.booleans() | st.none(),
            scalars,
        )
    )
)


def held(values: list[Any], change: Any) -> list[Any]:
    """The values with their texts as a format can hold them."""
    return [change(v) if isinstance(v, str) else v for v in values]


@pytest.mark.filterwarnings("ignore::promptlab.PromptlabWarning")
@given(values=columns, more=st.booleans())
@example(values=["1", "2"], more=True)
@example(values=["1", None], more=False)
@example(values=["", None], more=False)
@example(values=["True", "False"], more=False)
@example(values=["1", 1, 1.0, True, None], more=False)
@example(values=[None, None], more=False)
@example(values=[2**63, -(10**15), 0.1 + 0.2], more=False)
def test_csv_gives_the_table_as_it_was_but_for_nul(
    folder: Path, values: list[Any], more: bool
) -> None:
    values = held(values, lambda text: text.replace("\0", "\ufffd"))
    made = table_of([str(value) for value in values], values, more=more)

    read = pl.read_results(made.to(folder / "table.csv"))

    pd.testing.assert_frame_equal(read, made.table)


@pytest.mark.parametrize("ending", ENDINGS)
def test_texts_that_look_like_something_else_stay_texts(
    tmp_path: Path, ending: str
) -> None:
    rows = [{"id": text, "t": text, "expected": text} for text in LOOKS]
    made = results(experiment(rows), LOOKS)

    read = pl.read_results(made.to(tmp_path / f"table{ending}"))

    pd.testing.assert_frame_equal(read, made.table)


EXCEL_TEXTS = ["_x0041_", "_x005F_", "_x0041_x0042_", "__x000D_x000A_", "\x07", " a "]


@pytest.mark.filterwarnings("ignore::promptlab.PromptlabWarning")
@given(outputs=st.lists(texts | st.sampled_from([*LOOKS, *EXCEL_TEXTS]), min_size=1))
@example(outputs=[*FORMULAS, *EXCEL_TEXTS, *LOOKS, "\0", "\ufffe", "a\rb", "a\r\nb"])
def test_excel_gives_back_every_text_but_the_empty_one(
    folder: Path, outputs: list[str]
) -> None:
    ids = {text or "x": None for text in outputs}
    asked = experiment([{"id": i, "t": "a", "u": i, "expected": i} for i in ids])
    made = results(asked, [outputs[n % len(outputs)] for n in range(len(ids))])

    read = pl.read_results(made.to(folder / "table.xlsx"))

    kept = made.table
    kept["output"] = kept["output"].where(kept["output"] != "")
    pd.testing.assert_frame_equal(read, kept)


@pytest.mark.parametrize(
    ("values", "read_as"),
    [
        ([True, None, False], [True, None, False]),
        ([1, None, 3], [1, None, 3]),
        ([0.5, None, 2.0], [0.5, None, 2.0]),
        ([1.0, 2.0], [1, 2]),
        ([10**15, -(10**15) + 1], [str(10**15), -(10**15) + 1]),
        (["1", 1, True], ["1", 1, True]),
        ([["a"], {"b": 1}, None], ['["a"]', '{"b":1}', None]),
    ],
    ids=repr,
)
@pytest.mark.filterwarnings("ignore::promptlab.PromptlabWarning")
def test_excel_gives_back_what_its_cells_can_hold(
    tmp_path: Path, values: list[Any], read_as: list[Any]
) -> None:
    made = table_of(["a"] * len(values), values)

    read = pl.read_results(made.to(tmp_path / "table.xlsx"))

    back = [None if pd.isna(v) else v for v in read["u"].astype(object)]
    assert back == read_as
    assert list(map(type, back)) == list(map(type, read_as))


@pytest.mark.filterwarnings("ignore::promptlab.PromptlabWarning")
def test_csv_that_another_program_wrote_anew_keeps_texts_that_are_no_numbers(
    tmp_path: Path,
) -> None:
    rows = [
        {"id": "001", "t": "1", "u": "1", "v": "007", "expected": "1e5"},
        {"id": "002", "t": "2.5", "u": "2, 3", "v": "10", "expected": "2"},
    ]
    made = results(experiment(rows), ["=1", "12"], cached=[1])
    path = made.to(tmp_path / "table.csv")
    with path.open(encoding="utf-8-sig", newline="") as file:
        cells = list(csv.reader(file))
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        csv.writer(file).writerows(cells)

    read = pl.read_results(path)

    pd.testing.assert_frame_equal(read.drop(columns="t"), made.table.drop(columns="t"))
    assert read["t"].tolist() == [1, 2.5]


def test_csv_that_a_spreadsheet_spelt_its_own_way_is_read(tmp_path: Path) -> None:
    made = results(experiment(), ["a", FAILURE], cached=[0])
    path = made.to(tmp_path / "table.csv")
    text = path.read_text("utf-8-sig").replace('"', "").replace("True", "TRUE")
    path.write_text(text.replace(",10,", ",10.0,").replace("False", "FALSE"))

    read = pl.read_results(path)

    assert read["cached"].tolist() == [True, False]
    assert read["input_tokens"].tolist()[0] == 10
    assert read["input_tokens"].dtype == made.table["input_tokens"].dtype


def runs_as_formula(text: str) -> bool:
    """Whether a spreadsheet may run a cell: OWASP, "CSV Injection"."""
    return text.lstrip(" \n\0")[:1] in tuple("=+-@\t\r＝＋－＠")


@pytest.mark.filterwarnings("ignore::promptlab.PromptlabWarning")
def test_no_text_of_a_csv_runs_as_a_formula(tmp_path: Path) -> None:
    asked = experiment(
        [{"t": f, "=1": f, "list": [f], "expected": f, "id": f} for f in FORMULAS],
        prompt={"=1": "{{t}}"},
        stop=[["=1"], "=1"],
    )
    made = results(asked, [f for f in FORMULAS for _ in range(2)])

    path = made.to(tmp_path / "table.csv")

    with path.open(encoding="utf-8-sig", newline="") as file:
        cells = [cell for row in csv.reader(file) for cell in row if cell]
    assert any(cell.startswith("'=") for cell in cells)
    assert not [cell for cell in cells if runs_as_formula(cell)]


@pytest.mark.parametrize("separator", [";", "\t"])
@pytest.mark.parametrize("text", INSIDE)
def test_no_part_of_a_text_runs_as_a_formula_where_others_separate_cells(
    tmp_path: Path, text: str, separator: str
) -> None:
    made = results(experiment([{"t": "a"}]), [text])

    path = made.to(tmp_path / "table.csv")

    lines = path.read_text("utf-8-sig").splitlines()
    cells = [cell for row in csv.reader(lines, delimiter=separator) for cell in row]
    assert not [cell for cell in cells if runs_as_formula(cell)]
    assert pl.read_results(path)["output"].tolist() == [text]


def test_lists_that_people_write_stay_as_they_are(tmp_path: Path) -> None:
    text = "Three steps:\n- look; - think\n+ act\n  - again"
    made = results(experiment([{"t": "a"}]), [text])

    assert text in made.to(tmp_path / "table.csv").read_text("utf-8-sig")


def test_excel_is_shown_that_a_csv_is_utf_8(tmp_path: Path) -> None:
    made = results(experiment([{"t": "Grüße"}]), ["für 5 €"])

    path = made.to(tmp_path / "table.csv")

    assert path.read_bytes().startswith(b'\xef\xbb\xbf"trial"')
    assert pd.read_csv(path)["output"].tolist() == ["für 5 €"]
    assert pl.read_results(path)["trial"].tolist() == [0]


ODD = "a\0b\x07\x0b\x1a\x85\u2028\ufeff\ufffe\uffff\U0001f30d"


@pytest.mark.parametrize("ending", ENDINGS)
def test_odd_characters_come_back_and_nul_is_replaced_in_csv(
    tmp_path: Path, ending: str
) -> None:
    table = pd.DataFrame({"output": [ODD], f"in {ODD}": [ODD], "list": [[ODD]]})

    path = write(table, tmp_path / f"table{ending}")

    kept = ODD.replace("\0", "\ufffd") if ending == ".csv" else ODD
    read = pl.read_results(path)
    assert read["output"].tolist() == [kept]
    assert read[f"in {kept}"].tolist() == [kept]
    packed = read["list"][0]
    assert (orjson.loads(packed) if isinstance(packed, str) else packed) == [ODD]
    assert ending != ".csv" or b"\0" not in path.read_bytes()


@pytest.mark.parametrize("ending", [".csv", ".jsonl", ".parquet"])
def test_half_a_character_is_told(tmp_path: Path, ending: str) -> None:
    table = pd.DataFrame({"note": pd.Series(["a\ud800"], dtype=object)})

    with pytest.raises(ExportError, match=rf"table{ending} cannot hold a value"):
        write(table, tmp_path / f"table{ending}")

    assert not list(tmp_path.iterdir())


@pytest.mark.filterwarnings("ignore::promptlab.PromptlabWarning")
def test_no_cell_of_a_workbook_is_a_formula(tmp_path: Path) -> None:
    made = results(experiment([{"t": f, "=1": f} for f in FORMULAS]), FORMULAS)

    path = made.to(tmp_path / "table.xlsx")

    sheet = openpyxl.load_workbook(path).active
    cells = [cell for row in sheet.iter_rows() for cell in row]
    assert {cell.data_type for cell in cells} <= {"s", "n", "b"}
    assert not [
        c for c in cells if c.data_type == "s" and runs_as_formula(str(c.value))
    ]


@pytest.mark.parametrize("letter", ["x", "é", "🌍"])
def test_excel_cuts_a_text_where_a_cell_ends(tmp_path: Path, letter: str) -> None:
    made = results(experiment([{"t": "a"}]), ["a" + letter * 40_000])

    with pytest.warns(pl.PromptlabWarning, match="^1 string was cut: a cell in Excel"):
        path = made.to(tmp_path / "table.xlsx")
    read = pl.read_results(path)

    units = len(letter.encode("utf-16-le")) // 2
    assert read["output"].tolist() == ["a" + letter * (32_766 // units)]


def test_excel_says_how_many_texts_it_cut(tmp_path: Path) -> None:
    whole, cut = "x" * 32_767, "=" + "x" * 32_766
    made = results(experiment([{"t": t} for t in "abc"]), [whole, cut, cut])

    with pytest.warns(pl.PromptlabWarning, match="^2 strings were cut: .* 32,767 char"):
        made.to(tmp_path / "table.xlsx")


@pytest.mark.filterwarnings("ignore::promptlab.PromptlabWarning")
@pytest.mark.parametrize("ending", [".csv", ".xlsx"])
def test_lists_and_objects_are_json_for_people(tmp_path: Path, ending: str) -> None:
    made = results(experiment([{"t": "a", "u": ["x", {"y": 1}]}]))

    read = pl.read_results(made.to(tmp_path / f"table{ending}"))

    assert read["u"].tolist() == ['["x",{"y":1}]']


@pytest.mark.parametrize("ending", [".csv", ".xlsx", ".parquet"])
def test_a_table_without_rows_keeps_its_columns(tmp_path: Path, ending: str) -> None:
    made = results(experiment(), [None, None])

    read = pl.read_results(made.to(tmp_path / f"table{ending}"))

    assert len(read) == 0
    assert list(read) == list(made.table)


def test_a_jsonl_without_rows_is_empty(tmp_path: Path) -> None:
    made = results(experiment(), [None, None])

    assert len(pl.read_results(made.to(tmp_path / "table.jsonl"))) == 0


@pytest.mark.parametrize("ending", ENDINGS)
def test_folders_are_made_and_the_path_comes_back(tmp_path: Path, ending: str) -> None:
    path = tmp_path / "out" / "deep" / f"table{ending.upper()}"

    assert results(experiment()).to(str(path)) == path
    assert len(pl.read_results(path)) == 2


@pytest.mark.parametrize("name", ["table.txt", "table", "table.csv.gz"])
def test_an_unknown_ending_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ExportError, match=r"results are written as \.csv, \.jsonl"):
        results(experiment()).to(tmp_path / name)
    with pytest.raises(ExportError, match=r"results are written as \.csv, \.jsonl"):
        pl.read_results(tmp_path / name)


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_place_that_cannot_be_written_is_told(tmp_path: Path, ending: str) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / f"folder{ending}").mkdir()

    for path in (tmp_path / "file" / f"a{ending}", tmp_path / f"folder{ending}"):
        with pytest.raises(ExportError, match="cannot be written: ") as caught:
            results(experiment()).to(path)
        assert str(caught.value).startswith(str(path))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", f"folder{ending}"]


# In a process of its own: the limit holds for all that a process writes, and what is
# printed when memory is tidied up is seen there.
FULL_DISK = """
    import resource, sys
    from promptlab.errors import ExportError
    from results.making import experiment, results

    outputs = ["".join(chr(33 + (i * j) % 9000) for j in range(400)) for i in range(90)]
    made = results(experiment(repeats=45), outputs)
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    for path in sys.argv[1:]:
        try:
            made.to(path)
        except ExportError as error:
            print(error)
"""


def test_a_full_disk_leaves_the_old_file_and_no_half_of_a_new_one(
    tmp_path: Path,
) -> None:
    paths = [tmp_path / f"table{ending}" for ending in ENDINGS]
    for path in paths:
        path.write_text("old")
    tests = Path(__file__).parents[1]

    child = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(FULL_DISK), *map(str, paths)],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": f"{tests}{os.pathsep}{tests.parent}"},
    )

    assert child.stderr == ""
    for path, told in zip(paths, child.stdout.splitlines(), strict=True):
        assert told.startswith(f"{path} cannot be written: ")
        assert path.read_text() == "old"
    assert sorted(tmp_path.iterdir()) == sorted(paths)


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("content", [b"", b"\x00\xff\xfe", b"not a table"], ids=repr)
def test_a_file_that_is_no_export_is_refused_in_one_line(
    tmp_path: Path, ending: str, content: bytes
) -> None:
    path = tmp_path / f"other{ending}"
    path.write_bytes(content)
    if ending == ".jsonl" and not content:
        return  # a table without rows
    if ending == ".csv" and content == b"not a table":
        return  # a table of one column

    with pytest.raises(ExportError) as caught:
        pl.read_results(path)

    assert str(caught.value).startswith(str(path))
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_file_that_is_not_there_is_told(tmp_path: Path, ending: str) -> None:
    with pytest.raises(ExportError, match="cannot be read: No such file"):
        pl.read_results(tmp_path / f"none{ending}")


def test_a_jsonl_with_a_damaged_line_says_which(tmp_path: Path) -> None:
    path = results(experiment()).to(tmp_path / "table.jsonl")
    path.write_bytes(path.read_bytes() + b'{"trial": 2')

    with pytest.raises(ExportError, match="line 3 is not a row of an exported table"):
        pl.read_results(path)


@pytest.mark.parametrize("damage", ["1,2", '"a"b' + "," * 16, '"'])
def test_a_csv_with_a_damaged_line_says_which(tmp_path: Path, damage: str) -> None:
    path = results(experiment(), ["two\nlines", "b"]).to(tmp_path / "table.csv")
    path.write_text(f"{path.read_text('utf-8')}\n\n{damage}", "utf-8")

    with pytest.raises(ExportError, match=r"line \d is not a row of \d+ cells"):
        pl.read_results(path)


def test_a_workbook_may_have_more_in_it(tmp_path: Path) -> None:
    made = results(experiment())
    path = made.to(tmp_path / "table.xlsx")
    book = openpyxl.load_workbook(path)
    book.create_sheet("notes").append(["mine"])
    book["results"].append([])
    book["results"].cell(row=2, column=made.table.shape[1] + 2, value="good")
    book.save(path)

    pd.testing.assert_frame_equal(pl.read_results(path), made.table)
