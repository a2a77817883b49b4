"""What all tests share: a project of their own, and nobody's key."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "promptlab", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("promptlab")


@pytest.fixture(autouse=True)
def own_project(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("OPENAI_")]:
        monkeypatch.delenv(name)
    # Nobody's keyring either: one that a test sets comes before what this names.
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
    monkeypatch.setenv("PROMPTLAB_HOME", str(tmp_path / ".promptlab"))
