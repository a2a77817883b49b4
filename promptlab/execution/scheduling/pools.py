"""Pools of a process: what was learnt of each server, for all runs that ask it."""

from __future__ import annotations

import asyncio
import os
import weakref
from collections.abc import Hashable

from promptlab.execution.scheduling.lanes import Pool
from promptlab.models.client import Client
from promptlab.models.openai import OpenAIClient

KEEP_S = 3600.0
"""How long a pool is kept that no run uses."""


class Pools:
    """The pools by key, server and model: runs that ask alike share one, and the next
    run begins with what the last one learnt."""

    def __init__(self) -> None:
        self._pools: dict[tuple[Hashable, str, str], Pool] = {}
        self._salt = os.urandom(16)

    def of(self, client: Client, base_url: str, model: str) -> Pool:
        """The pool of all who ask that model there with the same key, or through the
        same client of their own. Called on the loop."""
        self._drop_unused()
        place = self._identity(client, base_url), base_url, model
        if place not in self._pools:
            self._pools[place] = Pool()
        return self._pools[place]

    def known(self, base_url: str, model: str) -> Pool | None:
        """The pool of that model there that was used last, whoever asked; None where
        none was. Called from any thread."""
        found = [
            pool
            for (_, url, name), pool in list(self._pools.items())
            if (url, name) == (base_url, model)
        ]
        return max(found, key=lambda pool: pool.used_at, default=None)

    def __len__(self) -> int:
        return len(self._pools)

    def _identity(self, client: Client, base_url: str) -> Hashable:
        if isinstance(client, OpenAIClient):
            return client.identity(base_url, self._salt)
        try:
            return _Owner(client)
        except TypeError:  # it cannot be referred to weakly: it shares with nobody
            return object()

    def _drop_unused(self) -> None:
        oldest = asyncio.get_running_loop().time() - KEEP_S
        for place, pool in list(self._pools.items()):
            owner = place[0]
            gone = isinstance(owner, _Owner) and owner.is_gone
            if not pool.lanes and (gone or pool.used_at < oldest):
                del self._pools[place]


class _Owner:
    """A client of the user's, by identity; it is not kept alive."""

    def __init__(self, client: Client) -> None:
        self._id = id(client)
        self._client = weakref.ref(client)

    @property
    def is_gone(self) -> bool:
        return self._client() is None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, _Owner):
            return False
        return self is other or (not self.is_gone and self._client() is other._client())

    def __hash__(self) -> int:
        return hash(self._id)
