"""The one seam to a model: a `Client` answers requests, and everything else is ours."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Protocol

from promptlab.errors import PromptlabError
from promptlab.spec.request import Request
from promptlab.spec.response import Response


class Client(Protocol):
    """What the runner needs of a model: answers to requests, one at a time or many.

    A client may make several calls for one request, as an agent does. Its response then
    says in `calls` how many there were, in `usage` what they took together, and in
    `reported_cost_usd` what they cost, where their prices differ. The ledger enters
    that in one line, and budgets count it. A budget reserves for one call until a
    response says more, and from then on for as much more.
    """

    base_url: str
    """Where it sends requests, as far as the grid does not say; part of the key."""

    async def complete(self, request: Request) -> Response:
        """The answer to one call, made once.

        Raises:
            CallError: there is none; its failure says why.
        """

    async def close(self) -> None:
        """Lets go of connections."""


async def closed(
    loop: asyncio.AbstractEventLoop | None, closing: Coroutine[Any, Any, None]
) -> None:
    """Closes connections in the loop where they were opened, if that still runs."""
    if loop is None or loop is asyncio.get_running_loop() or not loop.is_running():
        await closing
    else:
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(closing, loop))


def close_now(
    loop: asyncio.AbstractEventLoop | None, closing: Coroutine[Any, Any, None]
) -> None:
    """As `closed`, for code outside of event loops, or in another one."""
    try:
        here = asyncio.get_running_loop()
    except RuntimeError:
        here = None
    if loop is None or not loop.is_running():
        closing.close()
    elif loop is here:
        closing.close()
        raise PromptlabError("in an event loop, use `async with`, not `with`")
    else:
        asyncio.run_coroutine_threadsafe(closing, loop).result()
