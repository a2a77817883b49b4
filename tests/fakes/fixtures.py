"""Fixtures: a fake model, a small experiment, a cache."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import keyring
import pytest
from keyring.backend import KeyringBackend

import promptlab as pl
from fakes.experiments import capitals
from promptlab.testing import FakeClient


@pytest.fixture(autouse=True)
def clean_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The state of a project of its own, in a working directory of its own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path / ".promptlab"


@pytest.fixture
def use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[KeyringBackend], None]]:
    """Puts a keyring in the place of the system's, for the time of a test."""
    monkeypatch.setenv("TEST_KEYRING", str(tmp_path / "keyring.json"))
    before = keyring.get_keyring()
    yield keyring.set_keyring
    keyring.set_keyring(before)


@pytest.fixture
def client() -> FakeClient:
    return FakeClient()


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[pl.ResponseCache]:
    cache = pl.ResponseCache(tmp_path / ".promptlab" / "cache")
    yield cache
    cache.close()


@pytest.fixture
def experiment() -> pl.Experiment:
    """Two temperatures × four cities: eight trials."""
    return capitals()
