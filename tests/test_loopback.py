"""The tutorials and all views reach this machine alone, seen from inside a kernel."""

from __future__ import annotations

import ipaddress
import json
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
TUTORIALS = sorted(NOTEBOOKS.glob("*.ipynb"))
WITHIN_S = 300

WATCH = """
import sys
reached_ = []
def watch_(event, args):
    if event in ("socket.connect", "socket.sendto"):
        reached_.append(args[1])
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
        reached_.append(args[:1])
sys.addaudithook(watch_)
"""
TELL = """
import json
print(json.dumps(["" if isinstance(a, (str, bytes)) else a[0] for a in reached_]))
"""
"""Of each address its host; none where it is a path of this machine."""

VIEWS = """
import promptlab as pl
experiment_ = pl.Experiment(
    "views",
    grid=pl.Grid(model=["offline/small"], prompt={"a": "Hi {{n}}", "b": "{{n}}?"}),
    dataset=[{"n": "one"}, {"n": "two"}],
)
panel_ = pl.panel(experiment_)
play_ = pl.playground(["offline/small", "offline/large"], prompt="Hi")
for view_, button_ in ((panel_, panel_.run_button), (play_, play_.run_button)):
    assert view_.settle(60)
    button_.click()
    assert view_.settle(60)
explorer_ = pl.explore(panel_.results)
explorer_.open_trials(0, 0)
[panel_, play_, explorer_, pl.rate(panel_.results, by="prompt"),
 pl.compare(panel_.results, by="prompt")]
"""
AWAY = "sys.audit('socket.connect', None, ('192.0.2.1', 80))"
"""What a connection to another machine is told as, without one."""


@pytest.fixture(autouse=True)
def own_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PROMPTLAB_HOME", str(tmp_path))
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path / "none"))
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


def reached(*cells: nbformat.NotebookNode) -> list[str]:
    """The hosts that some cells connect to or look up, in one kernel."""
    watch, tell = (nbformat.v4.new_code_cell(text) for text in (WATCH, TELL))
    notebook = nbformat.v4.new_notebook(cells=[watch, *cells, tell])
    folder = {"metadata": {"path": str(NOTEBOOKS)}}
    NotebookClient(notebook, timeout=WITHIN_S, resources=folder).execute()
    hosts: list[str] = json.loads(tell.outputs[0].text)
    return hosts


def elsewhere(hosts: list[str]) -> list[str]:
    return [host for host in hosts if not is_here(host)]


def is_here(host: str | None) -> bool:
    if host in ("", None, "localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
def test_a_tutorial_reaches_no_other_machine(path: Path) -> None:
    cells = nbformat.read(path, as_version=4).cells

    hosts = reached(*cells)

    assert "127.0.0.1" in hosts
    assert elsewhere(hosts) == []


def test_the_views_reach_no_other_machine() -> None:
    hosts = reached(nbformat.v4.new_code_cell(VIEWS))

    assert "127.0.0.1" in hosts
    assert elsewhere(hosts) == []


def test_a_connection_to_another_machine_is_found_out() -> None:
    assert elsewhere(reached(nbformat.v4.new_code_cell(AWAY))) == ["192.0.2.1"]
