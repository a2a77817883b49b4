"""The tutorials: that pytest compares what their cells give with what they store.

Their cells themselves are tests, in `notebooks/`.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from tutorials import run

import promptlab as pl

ROOT = Path(pl.__file__).parents[1]
PAGES = sorted((ROOT / "notebooks").glob("*.ipynb"))
IGNORED = {"tags": ["nbval-ignore-output"]}


def cell(printed: str, stored: str, **metadata: object) -> nbformat.NotebookNode:
    """A cell that prints one text, where the notebook holds another."""
    output = nbformat.v4.new_output("stream", name="stdout", text=f"{stored}\n")
    return nbformat.v4.new_code_cell(
        f"print({printed!r})", execution_count=1, outputs=[output], metadata=metadata
    )


def outcomes(folder: Path, *cells: nbformat.NotebookNode) -> str:
    """What becomes of the cells of a notebook under this project's configuration: a
    dot or an F for each."""
    path = folder / "page.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"),
            *("-c", str(ROOT / "pyproject.toml"), f"--rootdir={folder}", str(path)),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    return done.stdout.split()[0]


def test_a_stored_output_that_is_no_longer_true_fails(tmp_path: Path) -> None:
    seen = outcomes(
        tmp_path,
        cell("160 of 160 answered", "160 of 160 answered"),
        cell("160 of 160 answered", "159 of 160 answered"),
        cell("160 of 160 answered", "159 of 160 answered", **IGNORED),
    )

    assert seen == ".F."


def test_times_and_names_that_vary_are_no_difference(tmp_path: Path) -> None:
    bar = "<div style='font-variant-numeric:tabular-nums'><progress value='0'> {}</div>"
    seen = outcomes(
        tmp_path,
        cell("31.3 tok · 38 ms", "31.3 tok · 1.2 s"),
        cell("31.3 tok · 38 ms", "31.4 tok · 38 ms"),
        cell(
            "<p class='promptlab-0123456789ab'>", "<p class='promptlab-ba9876543210'>"
        ),
        cell(bar.format("0/160"), bar.format("160/160")),
        cell("<td>2</td><td>0.011</td></tr>", "<td>2</td><td>0.0123</td></tr>"),
        cell("<td>2</td><td>0.011</td></tr>", "<td>3</td><td>0.011</td></tr>"),
    )

    assert seen == ".F...F"


def test_tutorials_run_in_any_order_and_twice_in_one_project(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "datasets", tmp_path / "datasets")
    folder = tmp_path / "notebooks"
    folder.mkdir()

    for page in (*reversed(PAGES), *PAGES):
        run(Path(shutil.copy(page, folder)), tmp_path / ".promptlab")

    again = nbformat.read(folder / PAGES[0].name, as_version=4)
    assert "0 calls made" in str(again.cells)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_tutorials_show_what_is_so_and_do_not_assert_it(page: Path) -> None:
    cells = nbformat.read(page, as_version=4).cells

    assert not [c.source for c in cells if re.search(r"^\s*assert\b", c.source, re.M)]
