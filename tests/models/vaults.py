"""Keyrings that tests put in the place of the system's."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import keyring.errors
from keyring.backend import KeyringBackend


class FileKeyring(KeyringBackend):
    """Keeps its entries in the file that $TEST_KEYRING names, for all to read."""

    priority = 1  # type: ignore[assignment]

    @property
    def entries(self) -> dict[str, str]:
        """The keys, by service and user name."""
        file = Path(os.environ["TEST_KEYRING"])
        return json.loads(file.read_text()) if file.exists() else {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.entries.get(f"{service} {username}")

    def set_password(self, service: str, username: str, password: str) -> None:
        self._write({**self.entries, f"{service} {username}": password})

    def delete_password(self, service: str, username: str) -> None:
        entries = self.entries
        del entries[f"{service} {username}"]
        self._write(entries)

    def _write(self, entries: dict[str, str]) -> None:
        Path(os.environ["TEST_KEYRING"]).write_text(json.dumps(entries))


class LockedKeyring(FileKeyring):
    """Nobody types its password."""

    def get_password(self, service: str, username: str) -> str | None:
        raise keyring.errors.KeyringLocked("the key is sk-in-a-message-0123456789")


class BrokenKeyring(FileKeyring):
    """Its library fails, in a way of its own."""

    def get_password(self, service: str, username: str) -> str | None:
        raise OSError("the key is sk-in-a-message-0123456789")


class ForgetfulKeyring(FileKeyring):
    """Takes a key, and keeps nothing."""

    def set_password(self, service: str, username: str, password: str) -> None:
        pass


class SilentKeyring(FileKeyring):
    """Does not answer until it is released."""

    def __init__(self) -> None:
        super().__init__()
        self.released = threading.Event()

    def get_password(self, service: str, username: str) -> str | None:
        self.released.wait()
        return None
