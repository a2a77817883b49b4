"""The client protocol: the only way to a model, which callers may implement."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Protocol

from promptlab.errors import PromptlabError
from promptlab.spec.request import Request
from promptlab.spec.response import Response


class Client(Protocol):
    """Answers requests, one at a time or many concurrently.

    A client may make several calls for one request, as an agent does. Its response then
    has their number in `calls`, their tokens together in `usage`, and what they cost in
    `reported_cost_usd`, if their prices differ. The ledger enters that in one row, and
    budgets count it. A budget reserves for one call until a response has more, and from
    then on for as many.
    """

    base_url: str
    """Where it sends requests, unless the grid has a `base_url`; part of the key."""

    async def complete(self, request: Request) -> Response:
        """The answer to one call, without retries.

        Raises:
            CallError: there is no answer; its failure says why.
        """

    async def close(self) -> None:
        """Closes connections."""


async def closed(
    loop: asyncio.AbstractEventLoop | None, closing: Coroutine[Any, Any, None]
) -> None:
    """Closes connections in the event loop that opened them, if it still runs."""
    if loop is None or loop is asyncio.get_running_loop() or not loop.is_running():
        await closing
    else:
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(closing, loop))


def close_now(
    loop: asyncio.AbstractEventLoop | None, closing: Coroutine[Any, Any, None]
) -> None:
    """Like `closed`, for code outside of event loops or in another one."""
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
