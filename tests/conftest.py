"""What all tests share: a project of their own, and nobody's key."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "promptlab", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("promptlab")

collect_ignore = ["conftest.py"]  # of doctests: notebooks/ has one of the same name


def pytest_configure() -> None:
    """Lets Ctrl-C reach the children of tests: in a job in the background of a script
    it is ignored, and children would inherit that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


ENCODINGS = Path(os.environ.get("TIKTOKEN_CACHE_DIR") or "none")
"""Where the files of tiktoken's encodings are, if they are."""


@pytest.fixture(autouse=True)
def own_project(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("OPENAI_")]:
        monkeypatch.delenv(name)
    # Nobody's keyring either: one that a test sets comes before what this names.
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
    monkeypatch.setenv("PROMPTLAB_HOME", str(tmp_path / ".promptlab"))


@pytest.fixture(autouse=True)
def no_encodings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Where tiktoken looks for its files, and there are none: what is counted must not
    depend on the machine."""
    folder = tmp_path / ".encodings"
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(folder))
    return folder


@pytest.fixture
def encodings() -> Path:
    """The folder of tiktoken's own files; skips the test where they are missing."""
    o200k_base = "fb374d419588a4632f3f557e76b4b70aebbca790"
    if not (ENCODINGS / o200k_base).is_file():
        pytest.skip("no file of o200k_base in $TIKTOKEN_CACHE_DIR: see .ci/run")
    return ENCODINGS.absolute()
