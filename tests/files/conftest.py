"""Files beside a config, and the config."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from promptlab.files.config import Config, load_config

BASE = """\
name: letters
dataset:
  - {t: a}
grid:
  model: [m]
  prompt: {plain: "{{t}}"}
  temperature: [0, 1]
"""

Write = Callable[..., Path]
Load = Callable[[str], Config]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a file beside the config, and gives its path."""

    def write(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


@pytest.fixture
def load(write: Write) -> Load:
    """Loads a config file of this text."""
    return lambda text: load_config(write("experiment.yaml", text))
