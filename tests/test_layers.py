"""The shape of the package: imports point one way, and each package has one home."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import promptlab as pl

ROOT = Path(pl.__file__).parent

ROOTS = {"errors", "formats", "paths", "secret"}
LAYERS = (
    *("render", "files", "spec", "money", "models", "store", "results", "analysis"),
    *(
        "execution",
        "planning",
        "embeddings",
        "scoring",
        "scorers",
        "experiment",
        "config",
        "cli",
    ),
)
"""Each sees the roots and those before it."""

BELOW: dict[str, set[str]] = {
    **dict.fromkeys(ROOTS, ROOTS),
    **{part: ROOTS | set(LAYERS[:place]) for place, part in enumerate(LAYERS)},
    "testing": {"errors", "spec"},
    "stats": set(),
    "offline": set(),
    "__main__": {"cli"},
    "promptlab": set(),
}
BELOW["notebook"] = BELOW["planning"] | {"experiment", "stats"}
BELOW["render"] -= {"paths", "secret"}
BELOW["models"] |= {"offline"}
BELOW["execution"] |= {"stats", "offline"}
BELOW["analysis"] |= {"stats"}
BELOW["planning"] |= {"stats"}
BELOW["results"] |= {"stats"}
BELOW["scoring"] |= {"stats"}
BELOW["cli"] |= {"offline", "promptlab"}
"""What each part may import beside itself, as the package's docstring draws it."""

DOORS = {
    ("execution.progress", "Notebook._stop_button", "notebook"),
    ("results.results", "Results._given_experiment", "experiment"),
    ("results.runs", "RunRecord._made_experiment", "experiment"),
}
"""The only imports that point up: they are made when the door is opened."""

HOMES = {
    "IPython": {"execution.progress", "notebook"},
    "aiohttp": {"models.openai", "offline.server.server"},
    "diskcache": {"store.cache"},
    "anywidget": {"notebook"},
    "dotenv": {"models.credentials"},
    "genai_prices": {"money.list_prices"},
    "httpx2": {"models.openai", "models.sdk"},
    "ipywidgets": {"notebook"},
    "jinja2": {"spec.fields", "spec.sandbox", "spec.template"},
    "jsonpath": {"scoring.jsonpath"},
    "jsonschema": {"scoring.structured"},
    "keyring": {"models.keyrings"},
    "numpy": {
        "embeddings",
        *("scoring.apply", "scoring.similarity", "results.json_answers"),
        *("money.price", "results.columns", "results.costs", "results.flags"),
        *("results.results", "results.table"),
        *("planning.plan", "planning.pilot", "notebook"),
        *("planning.forecast", "results.run_answers", "results.scores"),
        *("store.reconcile", "analysis", "stats"),
    },
    "matplotlib": {"notebook.plots"},
    "openai": {"models.openai", "models.sdk", "store.reconcile"},
    "openpyxl": {"files.spreadsheets", "results.exports"},
    "pandas": {
        "analysis",
        "embeddings.embed",
        "money.price_table",
        *("results.exports", "results.given", "results.json_answers"),
        "results.flags",
        "results.results",
        "results.scores",
        "results.table",
        *("planning.forecast", "planning.plan", "planning.power"),
        "store.reconcile",
        *("results.runs", "store.usage", "notebook"),
    },
    "pyarrow": {
        *(
            "results.columns",
            "results.exports",
            "results.table",
            "files.datasets",
            "notebook",
        ),
        *("results.run_answers", "results.scores"),
    },
    "pydantic": {"files", "spec.schemas"},
    "rapidfuzz": {"scoring.text"},
    "rich": {"cli.printing", "execution.progress"},
    "ruamel": {"files"},
    "sacrebleu": {"scoring.text"},
    "scipy": {"stats"},
    "tiktoken": {"money.tokens"},
    "traitlets": {"notebook"},
    "typer": {"cli"},
}
"""Where each package is at home; orjson, small and fast, is everywhere."""

FACADES = {"__main__", "experiment", "promptlab"}
"""Those that import what they offer; whoever imports them closes no circle."""

HEAVY = (
    *("pandas", "numpy", "scipy", "pyarrow", "openai", "aiohttp"),
    *("matplotlib", "ipywidgets"),
)


@dataclass(frozen=True)
class Import:
    """One import in the package."""

    module: str
    """Where it stands, such as `spec.grid`."""
    target: str
    """What it imports, such as `promptlab.errors` or `openai`."""
    inside: str
    """The function or method that makes it; empty at the top of the module."""
    for_types: bool
    """Whether it is there for type checkers only."""

    @property
    def part(self) -> str:
        return part_of(self.module)

    @property
    def target_module(self) -> str:
        """The module of ours that it imports."""
        return self.target.removeprefix("promptlab.")

    @property
    def target_part(self) -> str:
        """The part of ours that it imports."""
        return part_of(self.target_module)

    @property
    def package(self) -> str:
        return self.target.partition(".")[0]

    def __str__(self) -> str:
        return f"{self.module} {self.inside}: {self.target}"


def part_of(module: str) -> str:
    """The folder, or the file at the top, that a module is in. The file that reads
    configs is a part of its own, as it makes experiments; its neighbours make rows."""
    return "config" if module == "files.config" else module.partition(".")[0]


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    parts = parts[:-1] if parts[-1] == "__init__" else parts
    return ".".join(parts) or "promptlab"


MODULES = {module_of(path): path for path in sorted(ROOT.rglob("*.py"))}


def imports_in(
    module: str, node: ast.AST, inside: str = "", *, for_types: bool = False
) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            for name in child.names:
                yield Import(module, name.name, inside, for_types)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, f"{module}: imports are absolute"
            for name in child.names:
                target = f"{child.module}.{name.name}"
                if target.removeprefix("promptlab.") not in MODULES:
                    target = str(child.module)
                yield Import(module, target, inside, for_types)
        else:
            within, types = inside, for_types
            if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                within = f"{inside}.{child.name}".lstrip(".")
            if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
                types = True
            yield from imports_in(module, child, within, for_types=types)


IMPORTS = [
    found
    for module, path in MODULES.items()
    for found in imports_in(module, ast.parse(path.read_text("utf-8")))
]
AT_RUN_TIME = [found for found in IMPORTS if not found.for_types]
OURS = [found for found in AT_RUN_TIME if found.package == "promptlab"]
OTHERS = [
    found
    for found in AT_RUN_TIME
    if found.package not in {*sys.stdlib_module_names, "promptlab", "orjson"}
]


def points_up(found: Import) -> bool:
    return found.target_part not in BELOW[found.part] | {found.part}


def test_every_part_is_on_the_map() -> None:
    assert {part_of(module) for module in MODULES} == set(BELOW)
    drawn = pl.__doc__ or ""
    for part in set(BELOW) - {"__main__", "config", "promptlab"}:
        assert f"── {part}" in drawn


def test_imports_point_one_way_but_for_the_doors() -> None:
    up = {found for found in OURS if points_up(found)}

    assert {(u.module, u.inside, u.target_part) for u in up} == DOORS


def test_no_imports_make_a_circle_those_for_types_and_in_functions_included() -> None:
    graph: dict[str, set[str]] = {module: set() for module in MODULES}
    for found in IMPORTS:
        if found.package == "promptlab" and found.module not in FACADES:
            graph[found.module].add(found.target_module)

    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" → ".join(error.args[1]))


def test_the_doors_are_one_line_behind_their_import() -> None:
    for module, inside, _ in DOORS:
        owner, _, name = inside.partition(".")
        tree = ast.parse(MODULES[module].read_text("utf-8"))
        (door,) = [
            item
            for node in tree.body
            if isinstance(node, ast.ClassDef) and node.name == owner
            for item in node.body
            if isinstance(item, (ast.FunctionDef, ast.AsyncFunctionDef))
            and item.name == name
        ]
        assert [type(statement) for statement in door.body] == [
            ast.Expr,  # the docstring
            ast.ImportFrom,
            ast.Return,
        ]


def test_every_package_is_at_home() -> None:
    strays = [
        str(found)
        for found in OTHERS
        if not any(
            found.module == home or found.module.startswith(f"{home}.")
            for home in HOMES.get(found.package, ())
        )
    ]

    assert strays == []


def test_no_home_stands_empty() -> None:
    for package, homes in HOMES.items():
        for home in homes:
            assert any(
                found.package == package and f"{found.module}.".startswith(f"{home}.")
                for found in OTHERS
            ), f"{home} does not import {package}"


def test_planning_takes_pandas_only_when_its_table_is_asked_for() -> None:
    planned = [
        found.inside
        for found in OTHERS
        if found.module == "planning.plan" and found.package in ("pandas", "numpy")
    ]

    assert planned == ["Plan.table", "Plan.table"]


def in_a_fresh_interpreter(code: str, folder: Path) -> dict[str, list[str]]:
    """What `code` imports, and what it does to the world outside."""
    script = f"""
import json, sys, threading
touched = []
def hook(event, arguments):
    if event.startswith(("socket.", "subprocess.", "os.mkdir", "os.remove")):
        touched.append(event)
    if event == "open" and set(str(arguments[1])) & set("wax+"):
        touched.append(f"open {{arguments[0]}}")
sys.addaudithook(hook)
try:
    {code}
except SystemExit:
    pass
print()
print(json.dumps({{
    "modules": sorted(sys.modules),
    "touched": touched,
    "threads": [thread.name for thread in threading.enumerate()],
}}))
"""
    done = subprocess.run(
        [sys.executable, "-B", "-c", script],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    seen: dict[str, list[str]] = json.loads(done.stdout.splitlines()[-1])
    return seen


@pytest.mark.parametrize(
    "code",
    [
        "import promptlab",
        "import promptlab; promptlab.Experiment, promptlab.Grid, promptlab.Dataset",
        "from promptlab import Prompt, Request, SpecError, load_experiment",
    ],
    ids=["import", "spec", "files"],
)
def test_importing_is_light_and_does_nothing(tmp_path: Path, code: str) -> None:
    seen = in_a_fresh_interpreter(code, tmp_path)

    assert [name for name in HEAVY if name in seen["modules"]] == []
    assert seen["touched"] == []
    assert seen["threads"] == ["MainThread"]
    assert list(tmp_path.iterdir()) == []


def test_importing_the_package_imports_none_of_its_parts(tmp_path: Path) -> None:
    seen = in_a_fresh_interpreter("import promptlab", tmp_path)

    assert [n for n in seen["modules"] if n.startswith("promptlab.")] == []


def test_help_needs_neither_pandas_nor_openai(tmp_path: Path) -> None:
    code = (
        "import runpy; sys.argv = ['promptlab', '--help']; "
        "runpy.run_module('promptlab', run_name='__main__', alter_sys=True)"
    )

    seen = in_a_fresh_interpreter(code, tmp_path)

    assert "typer" in seen["modules"]
    assert [name for name in HEAVY if name in seen["modules"]] == []
    assert seen["threads"] == ["MainThread"]
    assert list(tmp_path.iterdir()) == []
