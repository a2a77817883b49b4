"""Wire names: what servers want `max_tokens` to be called, if they have named it.

A server that refuses a parameter and names the one that it takes is asked again with
that one. The name is kept, as the name is part of the body and so of the key: a
plan looks answers up under the name that they were asked with.
"""

from __future__ import annotations

import os
from contextlib import suppress

import orjson

from promptlab.errors import CacheError
from promptlab.spec.capabilities import NEW_NAME, OLD_NAME, WireNames
from promptlab.store.home import home, ignore_in_git, private_folder

FILE = "wire_names.json"


def known_names() -> WireNames:
    """The names that this project has learned, by base URL and model."""
    try:
        lines = orjson.loads((home() / FILE).read_bytes())
        return {
            (str(base_url), str(model)): name
            for base_url, model, name in lines
            if name in (OLD_NAME, NEW_NAME)
        }
    except (OSError, ValueError, TypeError):
        return {}


def keep_name(base_url: str, model: str, name: str) -> None:
    """Keeps the name that a server wants; if nothing can be written, it is learned
    again."""
    names = {**known_names(), (base_url, model): name}
    lines = [[*served, name] for served, name in names.items()]
    with suppress(OSError, CacheError):
        folder = private_folder(home())
        ignore_in_git(folder)
        draft = folder / f"{FILE}.{os.getpid()}.tmp"
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(orjson.dumps(lines))
        draft.replace(folder / FILE)
