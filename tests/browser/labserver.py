"""A JupyterLab server for tests: on loopback, with a home of its own."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import promptlab

STARTS_WITHIN_S = 60
IDLE_S = 600
"""After that long without anything to do the server ends itself: a pytest that was
killed cannot end it."""

NOT_PASSED_ON = ("JUPYTER", "PYTEST_", "OPENAI_", "PROMPTLAB_")

PAGE = {
    "disabledExtensions": {
        "@jupyterlab/apputils-extension:announcements": True,
        "@jupyterlab/extensionmanager-extension": True,
    }
}
"""No news, no look for updates: nothing leaves this machine."""

SETTINGS = {
    "notebook-extension/tracker": {"windowingMode": "none"},  # all cells are in the DOM
    "docmanager-extension/plugin": {"autosave": False},
}

DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""Reaches 127.0.0.1 whatever the proxy variables say."""


@dataclass(frozen=True)
class LabServer:
    """A running server."""

    url: str
    """Without a slash at its end."""
    token: str
    root: Path
    """The folder of the notebooks."""
    settings: Path
    """Where it keeps what a user sets, such as the theme."""

    def ask(self, method: str, path: str) -> Any:
        """The answer of the server's REST API."""
        request = urllib.request.Request(
            f"{self.url}/api/{path}",
            method=method,
            headers={"Authorization": f"token {self.token}"},
        )
        with DIRECT.open(request, timeout=10) as reply:
            return json.loads(reply.read() or b"null")

    def reset(self) -> None:
        """Ends all kernels; what a user has set since the start is forgotten."""
        for session in self.ask("GET", "sessions"):
            self.ask("DELETE", f"sessions/{session['id']}")
        for kernel in self.ask("GET", "kernels"):
            self.ask("DELETE", f"kernels/{kernel['id']}")
        _write_settings(self.settings)


@contextmanager
def lab_server(folder: Path) -> Iterator[LabServer]:
    """A server that keeps everything in `folder`; its kernels import the promptlab
    that is under test."""
    places = {
        name: folder / name
        for name in ("config", "data", "runtime", "settings", "workspaces", "home")
    }
    root = folder / "notebooks"
    for place in (*places.values(), root):
        place.mkdir(parents=True)
    pages = places["config"] / "labconfig"
    pages.mkdir()
    (pages / "page_config.json").write_text(json.dumps(PAGE))
    _write_settings(places["settings"])
    token = secrets.token_hex(16)
    log = folder / "server.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"),
                "--ServerApp.ip=127.0.0.1",
                "--ServerApp.port=0",
                f"--IdentityProvider.token={token}",
                f"--ServerApp.root_dir={root}",
                f"--ServerApp.shutdown_no_activity_timeout={IDLE_S}",
                f"--MappingKernelManager.cull_idle_timeout={IDLE_S // 2}",
                "--LabApp.expose_app_in_browser=True",
                "--LabApp.extension_manager=readonly",
            ],
            cwd=root,
            env=_environment(places),
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        url = _url_of(process, places["runtime"], log)
        server = LabServer(url, token, root, places["settings"])
        yield server
        with suppress(OSError):
            server.reset()
            server.ask("POST", "shutdown")
    finally:
        _end(process)


def _environment(places: dict[str, Path]) -> dict[str, str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(NOT_PASSED_ON)
    }
    checkout = str(Path(promptlab.__file__).parents[1])
    path = os.pathsep.join(filter(None, (checkout, kept.get("PYTHONPATH"))))
    return kept | {
        "HOME": str(places["home"]),
        "IPYTHONDIR": str(places["home"] / ".ipython"),
        "JUPYTER_CONFIG_DIR": str(places["config"]),
        "JUPYTER_DATA_DIR": str(places["data"]),
        "JUPYTER_RUNTIME_DIR": str(places["runtime"]),
        "JUPYTERLAB_SETTINGS_DIR": str(places["settings"]),
        "JUPYTERLAB_WORKSPACES_DIR": str(places["workspaces"]),
        "JUPYTER_PREFER_ENV_PATH": "1",  # not the widgets of the user's ~/.local
        "MPLCONFIGDIR": str(places["home"] / "matplotlib"),
        "PYTHONPATH": path,
    }


def _write_settings(folder: Path) -> None:
    for old in folder.rglob("*.jupyterlab-settings"):
        old.unlink()
    for name, values in SETTINGS.items():
        file = folder / "@jupyterlab" / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(values))


def _url_of(process: subprocess.Popen[bytes], runtime: Path, log: Path) -> str:
    """Where the server listens: it chooses a port, and writes it down."""
    file = runtime / f"jpserver-{process.pid}.json"
    until = time.monotonic() + STARTS_WITHIN_S
    while time.monotonic() < until:
        with suppress(OSError, ValueError):
            url: str = json.loads(file.read_text())["url"]
            return url.rstrip("/")
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=0.1)
            break
    raise RuntimeError(f"JupyterLab did not start:\n{log.read_text()[-3000:]}")


def _end(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # a session of its own: it and its own
        process.wait()
