"""The client that sends through a user's client of the openai SDK, for what only the
SDK supports: Azure, custom transports."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Self

from promptlab.errors import CallError, SpecError
from promptlab.models.client import close_now, closed
from promptlab.models.failures import (
    connection_failed,
    explained,
    no_answer,
    unexpected,
    unreachable,
)
from promptlab.models.redaction import secrets_in
from promptlab.models.replies import Reply, read_reply
from promptlab.secret import Hidden
from promptlab.spec.request import Request
from promptlab.spec.response import Response

if TYPE_CHECKING:
    import openai


class SDKClient:
    """Calls through a client of the openai SDK that you have set up.

    The SDK's own retries are turned off for these calls: the runner retries and counts.
    The SDK client stays yours to close; used as a context manager, this closes it, in
    the event loop that used it.

    Raises:
        SpecError: it is not an asynchronous client.
    """

    def __init__(self, sdk: openai.AsyncOpenAI) -> None:
        import openai

        if not isinstance(sdk, openai.AsyncOpenAI):
            given = type(sdk).__name__
            name = f"Async{given}" if isinstance(sdk, openai.OpenAI) else "AsyncOpenAI"
            raise SpecError(f"SDKClient takes an openai.{name}, not the {given} given")
        self._loop: asyncio.AbstractEventLoop | None = None
        self.base_url = str(sdk.base_url)
        self._sdk = sdk.with_options(max_retries=0)

    async def complete(self, request: Request) -> Response:
        """The answer to one call, made once; raises `CallError`."""
        import httpx2
        import openai

        self._loop = asyncio.get_running_loop()
        started = time.perf_counter()
        try:
            reply = (await self._post(request)).without(self._secrets)
            return read_reply(*reply, time.perf_counter() - started, request.endpoint)
        except openai.APITimeoutError:
            failure = no_answer(None)
        except (openai.APIConnectionError, httpx2.HTTPError) as error:
            cause = error.__cause__ or error
            if isinstance(cause, httpx2.ConnectError):
                failure = unreachable(request.base_url, cause, self._secrets)
            else:
                failure = connection_failed(cause, self._secrets)
        except CallError as error:
            failure = explained(error.failure, request, self._secrets)
        except Exception as error:
            failure = unexpected(error, self._secrets)
        except BaseException as error:
            raise error.with_traceback(None) from None
        raise CallError(failure)  # as in `OpenAIClient`

    async def _post(self, request: Request) -> Reply:
        """The reply to a request, as it came."""
        import httpx2
        import openai

        try:
            reply: httpx2.Response = await self._sdk.post(
                request.endpoint,
                body=request.body,
                cast_to=httpx2.Response,
                options={"follow_redirects": False},
            )
        except openai.APIStatusError as error:
            reply = error.response
        return Reply(reply.status_code, reply.headers, reply.content)

    @property
    def _secrets(self) -> list[str]:
        """The key as last sent, as where a function gives it, it may change; and those
        in headers."""
        headers = {
            name: value
            for name, value in self._sdk.default_headers.items()
            if isinstance(value, str)
        }
        return [Hidden(self._sdk.api_key), *secrets_in(headers)]

    async def close(self) -> None:
        """Does nothing: the SDK client is yours to close."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        close_now(self._loop, self._sdk.close())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await closed(self._loop, self._sdk.close())

    def __repr__(self) -> str:
        return f"SDKClient({self.base_url!r})"
