"""Addresses: base URLs in the one form that is part of the key, and where they lead."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit, urlunsplit

from promptlab.errors import SpecError

OPENAI_URL = "https://api.openai.com/v1"

USER_INFO = re.compile(r"(?<=//).*@")

OFFLINE_SCHEME = "offline://"
"""What the address of the offline model begins with, as it stands in a key."""


def canonical_url(base_url: str) -> str:
    """A base URL in the one form that is part of the key.

    Raises:
        SpecError: it is neither an absolute http or https URL nor the offline model's
            `offline://VERSION`, or it holds a password.
    """
    try:
        parts = urlsplit(base_url.strip())
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise SpecError(
            f"base_url {_shown(base_url)!r} is not a URL: {error}"
        ) from None
    if parts.username or parts.password:
        raise SpecError(
            "base_url holds a user name or password; give the key as an environment "
            "variable instead"
        )
    if parts.scheme == "offline" and host:  # the offline model, by its version
        return f"offline://{host}"
    if parts.scheme not in ("http", "https") or not host:
        raise SpecError(
            f"base_url {_shown(base_url)!r} is not a URL; it looks like {OPENAI_URL!r}"
        )
    if parts.query or parts.fragment:
        raise SpecError(
            f"base_url {_shown(base_url)!r} cannot hold a query or a fragment"
        )
    host = f"[{host}]" if ":" in host else host
    if port and port != {"http": 80, "https": 443}[parts.scheme]:
        host += f":{port}"
    return urlunsplit((parts.scheme, host, parts.path.rstrip("/"), "", ""))


def _shown(base_url: str) -> str:
    """A URL without what may be a key in it: user, password, query and fragment."""
    return re.split(r"[?#]", USER_INFO.sub("", base_url), maxsplit=1)[0]


def is_local(base_url: str) -> bool:
    """Whether a URL leads to this machine, or to the offline model on it."""
    return base_url.startswith(OFFLINE_SCHEME) or is_loopback(base_url)


def is_loopback(base_url: str) -> bool:
    """Whether a URL leads to this machine."""
    host = urlsplit(base_url).hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
