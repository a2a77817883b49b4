"""What the notebooks are tested with: an empty cache for each, nobody's key, and tokens
that are estimated, as on a machine that has no files of encodings."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest

collect_ignore = ["conftest.py"]  # of doctests: tests/ has one of the same name

HOMES = pytest.StashKey[Path]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None]:
    """The first cell of a notebook starts its kernel, which takes the environment."""
    with pytest.MonkeyPatch.context() as patched:
        for name in [name for name in os.environ if name.startswith("OPENAI_")]:
            patched.delenv(name)
        home = _homes(item.config) / item.path.stem
        patched.setenv("PROMPTLAB_HOME", str(home))
        patched.setenv("TIKTOKEN_CACHE_DIR", str(home / "none"))
        return (yield)


def _homes(config: pytest.Config) -> Path:
    """A folder that is gone at the end."""
    if HOMES not in config.stash:
        folder = tempfile.TemporaryDirectory()
        config.add_cleanup(folder.cleanup)
        config.stash[HOMES] = Path(folder.name)
    return config.stash[HOMES]
