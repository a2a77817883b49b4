"""The documents: what the README shows runs, and nothing it should name is missing."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer
from ruamel.yaml import YAML

import promptlab as pl
from promptlab.cli.app import app
from promptlab.files.config import load_config

ROOT = Path(pl.__file__).parents[1]
README = ROOT / "README.md"
FENCE = re.compile(
    r"(?:<!-- not run: (?P<reason>[^>]+?) -->\s*)?"
    r"^```(?P<kind>\w+)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
SHELLS = ("bash", "console", "sh", "shell")


@dataclass(frozen=True)
class Block:
    """A fenced block of a document."""

    kind: str
    text: str
    line: int
    reason: str | None
    """Why it is not run; None where it is."""


def blocks(*kinds: str) -> list[Block]:
    """The fenced blocks of the README, of some kinds."""
    text = README.read_text()
    return [
        Block(
            found["kind"],
            found["text"],
            text.count("\n", 0, found.start("kind")) + 1,
            found["reason"],
        )
        for found in FENCE.finditer(text)
        if found["kind"] in kinds
    ]


def commands() -> Iterator[str]:
    """The commands in the README's shell blocks that are run."""
    for block in blocks(*SHELLS):
        lines = block.text.splitlines()
        prompts = any(line.startswith("$ ") for line in lines)
        for line in lines:
            if block.reason is None and (not prompts or line.startswith("$ ")):
                command = line.removeprefix("$ ").split(" #")[0].strip()
                if command and not command.startswith("#"):
                    yield command


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the datasets of the repository and the files that texts name."""
    shutil.copytree(
        ROOT / "datasets", tmp_path / "datasets", ignore=shutil.ignore_patterns("out")
    )
    shutil.copytree(
        tmp_path / "datasets" / "support_tickets" / "prompts", tmp_path / "prompts"
    )
    shutil.copy(tmp_path / "datasets" / "support_tickets" / "cases.csv", tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("project")
def test_python_of_the_readme_runs_from_top_to_bottom() -> None:
    shown = blocks("python", "py")
    namespace: dict[str, Any] = {}

    assert shown
    for block in shown:
        if block.reason is None:
            padded = "\n" * block.line + block.text
            exec(compile(padded, str(README), "exec"), namespace)


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("block", blocks("yaml", "yml"), ids=lambda b: f"line {b.line}")
def test_yaml_of_the_readme_is_a_config_that_loads(
    block: Block, tmp_path: Path
) -> None:
    if block.reason is not None:
        pytest.skip(block.reason)
    plain = YAML(typ="safe").load(block.text)

    assert isinstance(plain, dict)
    if "grid" in plain and "dataset" in plain:
        (tmp_path / "config.yaml").write_text(block.text)
        assert load_config(tmp_path / "config.yaml").experiment.plan().calls > 0


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("block", blocks("toml"), ids=lambda b: f"line {b.line}")
def test_toml_of_the_readme_is_a_table_of_prices(block: Block, tmp_path: Path) -> None:
    (tmp_path / "prices.toml").write_text(block.text)

    assert "prices.toml" in set(pl.prices("gpt-6-luna")["source"])


@pytest.mark.usefixtures("project")
def test_commands_of_the_readme_work_one_after_the_other() -> None:
    shown = [shlex.split(line) for line in commands()]
    ours = [words for words in shown if words[0] != "make"]

    assert ours
    for words in ours:
        assert words[:3] == ["python", "-m", "promptlab"]
        done = subprocess.run(
            [sys.executable, *words[1:]], capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, f"{shlex.join(words)}: {done.stderr}"


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md"])
def test_make_targets_that_are_named_are_there(document: str) -> None:
    named = re.findall(r"(?:`|\$ )make ([\w-]+)", (ROOT / document).read_text())
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)

    assert named
    assert set(named) <= set(targets)


def _leaves(command: Any, *names: str) -> Iterator[str]:
    inner = getattr(command, "commands", {})
    if not inner:
        yield " ".join(names)
    for name, one in inner.items():
        yield from _leaves(one, *names, name)


@pytest.mark.parametrize("command", [*_leaves(typer.main.get_command(app))])
def test_every_command_is_in_the_readme(command: str) -> None:
    text = README.read_text()

    assert all(f"`{word}" in text for word in command.split())


def test_changelog_has_an_entry_for_this_version() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()

    assert re.search(rf"^## \[?{re.escape(pl.__version__)}\b", text, re.MULTILINE)


@pytest.mark.parametrize("name", ["starter.yaml", "config.schema.json", "py.typed"])
def test_file_that_is_read_at_run_time_is_in_the_package(name: str) -> None:
    assert (Path(pl.__file__).parent / name).is_file()


def test_wheel_takes_the_package_folder_whole() -> None:
    import tomllib

    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]

    assert build["build"]["targets"]["wheel"] == {"packages": ["promptlab"]}


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md"])
def test_links_to_files_lead_somewhere(document: str) -> None:
    text = (ROOT / document).read_text()
    links = re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", text)

    assert [link for link in links if not (ROOT / link).exists()] == []


def test_contributing_names_no_module_that_is_not_there() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    named = re.findall(r"`(?:promptlab/)?((?:\w+/)*\w+\.py)`", text)

    assert named
    assert [
        name
        for name in named
        if not any((ROOT / top / name).exists() for top in ("", "promptlab"))
    ] == []
