"""Leaks: a key is in nothing that a notebook shows or saves, verbose tracebacks too."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from execution.kernels import TESTS, Kernel
from execution.planted import KEY, finds, gossip, places
from fakes.servers import ToldServer
from nbclient import NotebookClient
from nbconvert import HTMLExporter

BEGIN = """
    %xmode Verbose
    import asyncio, logging
    import promptlab as pl
    from fakes.experiments import capitals
    from execution.planted import planted_key
    from promptlab.execution.options import RunOptions
    from promptlab.secret import Secret

    logging.basicConfig(level=logging.DEBUG)
    logging.getLogger("matplotlib").setLevel(logging.INFO)  # else a megabyte on fonts
    url = "http://api.openai.com/v1"
    options = {
        "base_url": url, "allow_insecure": True, "max_attempts": 1,
        "prices": {"*": {"input": 1, "output": 1}},
    }
    experiment = capitals(11, temperature=[0], top_p=[1, 0.5])
    request = pl.Request(url, {"model": "m", "messages": [{"content": "city 0"}]})

    def gives():
        raise OSError("the vault is closed")
"""
SHOWN = (
    "results = experiment.run(**options); results",
    "assert results.totals.answered == 6, results",
    "results.table",
    "results.errors",
    "results.messages",
    "experiment.plan(**options)",
    "experiment",
    "pl.find_run()",
    "handle = capitals(11, name='started').start(**options); handle.result()",
    "handle",
    "(await capitals(11, name='awaited').arun(**options)).summary()",
    "pl.compare(results, by='top_p')",
    "pl.explore(results)",
    "pl.rate(results, by='top_p')",
    "pl.plot_tokens(results, by='top_p')",
    "panel = pl.panel(experiment, api_key=planted_key(), refresh=True, **options)",
    "panel.run_button.click(); assert panel.settle(60)",
    "panel",
    "vars(panel)['_options']",
    "talk = pl.playground(['gpt-6-luna'], api_key=planted_key(), **options)",
    "talk.message.value = 'Where is city 10?'; assert talk.settle(60)",
    "talk.run_button.click(); assert talk.settle(60)",
    "talk",
    "pl.login(show=True)",
    "vars(RunOptions(**{'api_key': planted_key(), 'headers': {'X': planted_key()}}))",
    "capitals(1, name='raises').run(api_key=gives, **options).errors",
    "client = pl.OpenAIClient({url: Secret(planted_key())})",
)
RAISING = (
    "pl.login()",
    "experiment.run(api_key=planted_key(), **{**options, 'allow_insecure': False})",
    "experiment.run(api_key_env='NOT_THERE', refresh=True, **options)",
    "experiment.run(api_key=planted_key(), max_concurency=3)",
    "experiment.plan(headers={'Authorization': planted_key()}, timeout_s=-1)",
    "capitals(2).start(timeout_s=-1, api_key=planted_key(), **options)",
    "capitals(2, name='new').start(api_key=planted_key()).result(timeout_s=0)",
    "await capitals(2).arun(api_key=planted_key(), cache='/dev/null/c', **options)",
    "pl.panel(7, api_key=planted_key())",
    "pl.playground([], api_key=planted_key())",
    "await client.complete(request)",
    "await pl.OpenAIClient({url: Secret(gives)}).complete(request)",
    "raise ValueError('and an error of another kind', results, handle, panel)",
)


@pytest.fixture(scope="module")
def server() -> Iterator[ToldServer]:
    with ToldServer().in_thread() as server:
        server.reply = gossip
        yield server


def environment(server: ToldServer) -> dict[str, str]:
    return {
        "http_proxy": server.base_url.removesuffix("/v1"),
        "no_proxy": "",
        "PYTHONASYNCIODEBUG": "1",
    }


def test_a_saved_notebook_holds_no_key(
    server: ToldServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    variables = {
        "OPENAI_API_KEY": KEY,
        "IPYTHONDIR": str(tmp_path / "ipython"),
        "PYTHONPATH": f"{TESTS}{os.pathsep}{TESTS.parent}",
        **environment(server),
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    cells = [textwrap.dedent(BEGIN).strip(), *SHOWN, *RAISING, "await client.close()"]
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(cell) for cell in cells]
    )
    folder = tmp_path / "project"
    folder.mkdir()

    NotebookClient(
        notebook,
        timeout=120,
        allow_errors=True,
        store_widget_state=True,
        resources={"metadata": {"path": str(folder)}},
    ).execute()

    nbformat.write(notebook, folder / "saved.ipynb")
    html, _ = HTMLExporter().from_notebook_node(notebook)
    (folder / "saved.html").write_text(html)
    failed = [cell.source for cell in notebook.cells if _error_of(cell)]
    assert failed == list(RAISING)
    assert "widgets" in notebook.metadata
    assert "[key]" in html
    assert places(KEY, tmp_path) == []


def _error_of(cell: nbformat.NotebookNode) -> str:
    outputs = [o for o in cell.get("outputs", ()) if o.output_type == "error"]
    return "".join(o.evalue for o in outputs)


def test_a_key_that_was_typed_is_in_no_output_and_no_file(
    server: ToldServer, tmp_path: Path
) -> None:
    kernel = Kernel(tmp_path, **environment(server))
    try:
        seen = repr(kernel.end(kernel.begin(BEGIN)))
        begun = kernel.begin(SHOWN[0])
        kernel.question()
        kernel.type(KEY)
        seen += repr(kernel.end(begun))
        for cell in (*SHOWN[1:], *RAISING):
            seen += repr(kernel.end(kernel.begin(cell, may_ask=False)))
    finally:
        kernel.close()

    assert "complete" in seen
    assert not finds(KEY, seen)
    assert places(KEY, tmp_path) == []
