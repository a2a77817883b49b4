"""Routes: to which base URL the requests for a model go, and through which proxy."""

from __future__ import annotations

import os
from collections.abc import Mapping
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from promptlab.models.redaction import redacted
from promptlab.secret import sealed_url
from promptlab.spec.address import (
    OFFLINE_SCHEME,
    OPENAI_URL,
    canonical_url,
    is_loopback,
)

OFFLINE_PREFIX = "offline/"
"""Models whose names begin so are answered by the offline model, in the process."""


def base_url_for(
    model: str, base_url: str | None = None, variables: Mapping[str, str] | None = None
) -> str:
    """The base URL that requests to a model are keyed with.

    The one given, else the offline model for `offline/...`, else $OPENAI_BASE_URL,
    else OpenAI.
    """
    if base_url is None and model.startswith(OFFLINE_PREFIX):
        return offline_url()
    variables = os.environ if variables is None else variables
    default = sealed_url(variables.get("OPENAI_BASE_URL"))
    return canonical_url(base_url or default or OPENAI_URL)


def offline_url() -> str:
    """The address of the offline model in a cache key.

    Its port changes with every run; its answers change only with its version.
    """
    from promptlab.offline import RESPONDER_VERSION

    return f"{OFFLINE_SCHEME}{RESPONDER_VERSION}"


def proxy_for(address: str) -> str | None:
    """The proxy that the environment names for an address; None without one."""
    parts = urlsplit(address)
    if is_loopback(address) or proxy_bypass(parts.netloc):
        return None
    proxies = getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    return f"http://{proxy}" if proxy and "://" not in proxy else proxy


def proxy_named(address: str) -> str:
    """The proxy for an address without its password, and what names it; empty without
    one."""
    if (proxy := proxy_for(address)) is None:
        return ""
    names = (f"{urlsplit(address).scheme}_proxy", "all_proxy")
    given = (way for name in names for way in (name.upper(), name) if way in os.environ)
    return f"the proxy {redacted(proxy)} ({next(given, 'of the system')})"
