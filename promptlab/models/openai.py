"""The client of OpenAI-compatible servers, the offline model among them.

It sends through aiohttp what the openai SDK would send: the SDK gives the address, the
authentication and the headers; its typed calls, which cost many times the sending
itself, are left out (`make bench`).
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import ssl
import time
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import orjson

from promptlab.errors import CallError, Failure, PromptlabError, SpecError
from promptlab.models.client import close_now, closed
from promptlab.models.credentials import UNUSED
from promptlab.models.failures import (
    connection_failed,
    explained,
    no_answer,
    unexpected,
    unreachable,
)
from promptlab.models.key_prompt import forget
from promptlab.models.redaction import redacted, secrets_in
from promptlab.models.replies import Reply, read_reply
from promptlab.models.routes import proxy_for, proxy_named
from promptlab.secret import ApiKey, Hidden, Secret, secret_of
from promptlab.spec.address import OFFLINE_SCHEME, canonical_url
from promptlab.spec.request import Request
from promptlab.spec.response import Response

if TYPE_CHECKING:
    import aiohttp

    from promptlab.offline import OfflineServer

LARGEST_REPLY = 64_000_000
"""Bytes; no answer is so long, but a few kilobytes can be compressed from it."""

SDK_HEADERS = ("Accept", "Content-Type", "User-Agent")

CONNECT_S = 30.0
"""How long a connection may take to open; the SDK's 5 s are short when it is busy."""


class OpenAIClient:
    """Calls OpenAI-compatible servers, the offline model among them.

    `keys` has the API key of each base URL that it may send to, or a function that
    gives it; `headers` the further headers of each; `ca_file` (PEM) certificates of a
    private authority. Use it within one event loop.

    As a context manager it closes its connections at the end, in whichever loop they
    were opened: `with pl.OpenAIClient({url: key}) as client: experiment.run(...)`.
    """

    def __init__(
        self,
        keys: Mapping[str, Secret | ApiKey],
        *,
        headers: Mapping[str, Mapping[str, str]] | None = None,
        timeout_s: float = 600.0,
        ca_file: str | os.PathLike[str] | None = None,
    ) -> None:
        if ca_file is not None and not Path(ca_file).is_file():
            raise SpecError(f"ca_file={os.fspath(ca_file)!r} is no file")
        self._ca_file = ca_file
        keys = secrets = {url: secret_of(key) for url, key in keys.items()}
        self._secrets = {canonical_url(url): secret for url, secret in secrets.items()}
        self.base_url = next(iter(self._secrets))
        self._headers = {
            canonical_url(base_url): {n: Hidden(value) for n, value in own.items()}
            for base_url, own in (headers or {}).items()
        }
        self._timeout_s = timeout_s
        self._endpoints: dict[str, _Endpoint] = {}
        self._server: OfflineServer | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._opening = asyncio.Lock()

    async def complete(self, request: Request) -> Response:
        """The answer to one call, made once; raises `CallError`."""
        import aiohttp

        endpoint = self._endpoints.get(request.base_url)
        if endpoint is None:
            endpoint = await self._opened(request.base_url)
        key = await endpoint.secret.reveal()
        secrets = [key, *endpoint.own_secrets]
        started = time.perf_counter()
        try:
            body = orjson.dumps(request.body)
            # The timeouts of aiohttp itself cost three times as much.
            async with asyncio.timeout(self._timeout_s):
                reply = await endpoint.post(request.endpoint, body, key)
            reply = reply.without(secrets)
            return read_reply(*reply, time.perf_counter() - started, request.endpoint)
        except TimeoutError:
            failure = no_answer(self._timeout_s)
        except aiohttp.ClientHttpProxyError as error:
            failure = unreachable(request.base_url, f"it says {error.status}", secrets)
        except aiohttp.ClientConnectorError as error:
            certificate = getattr(error, "certificate_error", None)
            failure = unreachable(
                request.base_url, certificate or error.os_error, secrets
            )
        except (aiohttp.ClientError, OSError) as error:
            failure = connection_failed(error, secrets)
        except CallError as error:
            failure = explained(error.failure, request, secrets)
        except Exception as error:
            failure = unexpected(error, secrets)
        except BaseException as error:  # it is given up
            raise error.with_traceback(None) from None
        if failure.status == 401:
            forget(request.base_url)
        # Raised here, it has no cause: the frames below hold the headers as sent.
        raise CallError(failure)

    def identity(self, base_url: str, salt: bytes) -> Hashable:
        """Equal for clients whose calls there count against the same limits: those with
        the same key and headers. It says neither."""
        headers = orjson.dumps(sorted(self._headers.get(base_url, {}).items()))
        digest = hashlib.blake2b(headers, key=salt).digest()
        return self._secrets[base_url].digest(salt), digest

    async def close(self) -> None:
        """Closes the connections, and the offline model if it was started; from any
        event loop."""
        await closed(self._loop, self._close())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        close_now(self._loop, self._close())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _close(self) -> None:
        for endpoint in self._endpoints.values():
            await endpoint.session.close()
        self._endpoints.clear()
        if self._server is not None:
            await self._server.stop()
            self._server = None

    async def _opened(self, base_url: str) -> _Endpoint:
        async with self._opening:
            self._loop = asyncio.get_running_loop()
            if base_url not in self._endpoints:
                self._endpoints[base_url] = await self._endpoint(base_url)
        return self._endpoints[base_url]

    async def _endpoint(self, base_url: str) -> _Endpoint:
        import aiohttp

        address = base_url
        if base_url.startswith(OFFLINE_SCHEME):
            address = await self._offline_address()
        secret, extra = self._secrets[base_url], self._headers.get(base_url, {})
        # Importing the SDK takes most of a second: other runs go on meanwhile.
        headers = await asyncio.to_thread(_sdk_headers, address, extra)
        if (proxy := proxy_for(address)) and not proxy.startswith(
            ("http://", "https://")
        ):
            said = f"{proxy_named(address)} is of a kind that is not supported"
            hint = "name an http:// proxy, or use pl.SDKClient with httpx2[socks]"
            raise CallError(Failure(kind="unreachable", message=f"{said}; {hint}"))
        trusted = await asyncio.to_thread(_trusted, self._ca_file)
        session = aiohttp.ClientSession(
            # The runner keeps count of connections.
            connector=aiohttp.TCPConnector(limit=0, ssl=trusted),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=headers,
        )
        own = any(name.lower() == "authorization" for name in headers)
        own_secrets = secrets_in(extra)
        return _Endpoint(session, address, proxy, secret, own, own_secrets)

    async def _offline_address(self) -> str:
        from promptlab.offline import OfflineServer

        self._server = OfflineServer()
        await self._server.start()
        return self._server.base_url

    def __repr__(self) -> str:
        return f"OpenAIClient({self.base_url!r})"


@dataclass(frozen=True)
class _Endpoint:
    """Where requests to a base URL go, and through what."""

    session: aiohttp.ClientSession
    """Sends every request with the headers of this endpoint."""
    address: str
    """The base URL that is really asked."""
    proxy: str | None = field(repr=False)
    """It may hold a password."""
    secret: Secret
    own_authorization: bool
    """Whether the user's own headers say how to authenticate."""
    own_secrets: Sequence[str] = field(repr=False)
    """The keys in those headers."""

    async def post(self, endpoint: str, body: bytes, key: Hidden) -> Reply:
        """The reply to a body, as it came."""
        own = {"Authorization": Hidden(f"Bearer {key}")}
        async with self.session.post(
            self.address + endpoint,
            data=body,
            headers={} if self.own_authorization else own,
            proxy=self.proxy,
            allow_redirects=False,
        ) as reply:
            return Reply(reply.status, reply.headers, await _whole(reply))


async def _whole(reply: aiohttp.ClientResponse) -> bytes:
    """The body of a reply, as long as an answer may be once it is decompressed."""
    length = reply.content_length
    plain = "Content-Encoding" not in reply.headers
    if plain and length is not None and length <= LARGEST_REPLY:
        return await reply.read()
    parts = []
    left = LARGEST_REPLY
    async for part in reply.content.iter_any():
        parts.append(part)
        left -= len(part)
        if left < 0:
            raise CallError(
                Failure(
                    kind="invalid_reply",
                    message=f"the reply is larger than {LARGEST_REPLY // 10**6} MB",
                )
            )
    return b"".join(parts)


def _trusted(ca_file: str | os.PathLike[str] | None) -> ssl.SSLContext:
    """The authorities that are trusted: the system's, or those of SSL_CERT_FILE; and
    those in a file."""
    context = ssl.create_default_context()
    if ca_file is not None:
        context.load_verify_locations(ca_file)
    return context


def _sdk_headers(address: str, extra: Mapping[str, str]) -> dict[str, str]:
    """The headers that the SDK sends of its own, and `extra`.

    Left out are the key, those that describe this machine (X-Stainless-...), and those
    that it takes from the environment, as not every server may see them.
    """
    import httpx2
    import openai

    try:
        with openai.OpenAI(
            api_key=UNUSED,
            base_url=address,
            default_headers=extra,
            max_retries=0,
            http_client=httpx2.Client(trust_env=False),  # proxies are not its business
        ) as sdk:
            given: dict[str, Any] = dict(sdk.default_headers)
    except openai.OpenAIError as error:
        said = redacted(str(error), *secrets_in(extra))
    else:
        names = {name.lower() for name in (*SDK_HEADERS, *extra)}
        return {name: value for name, value in given.items() if name.lower() in names}
    raise PromptlabError(f"the openai SDK refuses: {said}")
