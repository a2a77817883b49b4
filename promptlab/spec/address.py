"""Addresses: base URLs in the one form that is part of the key, and where they lead."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit, urlunsplit

from promptlab.errors import SpecError

OPENAI_URL = "https://api.openai.com/v1"

AT = re.compile("@|%40|\uff20|\ufe6b")
"""What may stand after a password, as it is, escaped, or as a look-alike."""

CHAT = "/chat/completions"
"""The endpoint of chat completions, after a base URL."""

EMBEDDINGS = "/embeddings"
"""That of embeddings."""

OFFLINE_SCHEME = "offline://"
"""What the address of the offline model begins with, as it stands in a key."""


def canonical_url(base_url: str) -> str:
    """A base URL in the one form that is part of the key; the endpoint's path, which
    examples for curl end in, is left out.

    Raises:
        SpecError: it is neither an absolute http or https URL nor the offline model's
            `offline://VERSION`, or it holds a password.
    """
    if problem := _problem(base_url):
        raise SpecError(problem)
    parts = urlsplit(base_url.strip())
    host, port = parts.hostname or "", parts.port
    if parts.scheme == "offline":  # the offline model, by its version
        return f"offline://{host}"
    host = f"[{host}]" if ":" in host else host
    if port and port != {"http": 80, "https": 443}[parts.scheme]:
        host += f":{port}"
    path = parts.path.rstrip("/").removesuffix(CHAT)
    return urlunsplit((parts.scheme, host, path.rstrip("/"), "", ""))


def _problem(base_url: object) -> str:
    """Why a string is not a base URL; empty if it is one. Nothing is raised where a
    variable holds what may be a key, as tracebacks show those."""
    if not isinstance(base_url, str):
        kind = type(base_url).__name__
        return f"base_url: expected a string such as {OPENAI_URL!r}, got {kind}"
    shown = _shown(base_url)
    try:
        parts = urlsplit(base_url.strip())
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        why = f": {error}" if shown else ""  # it repeats parts
        return f"base_url {shown}is not a URL{why}"
    if parts.username or parts.password:
        return (
            "base_url holds a user name or password; give the key as an environment "
            "variable instead"
        )
    if parts.scheme == "offline" and host:
        return ""
    if parts.scheme not in ("http", "https") or not host:
        full = _with_scheme(base_url.strip()) if shown else ""
        hint = f"did you mean {full!r}?" if full else f"it looks like {OPENAI_URL!r}"
        return f"base_url {shown}is not a URL; {hint}"
    if parts.query or parts.fragment:
        return f"base_url {shown}cannot hold a query or a fragment"
    return ""


def _with_scheme(address: str) -> str:
    """An address such as `localhost:8000`, with the scheme that it lacks; empty where
    it is something else."""
    if "://" in address or not re.match(r"[\w-]+(\.[\w-]+)+|\w+:\d|localhost", address):
        return ""
    return f"{'http' if is_loopback(f'//{address}') else 'https'}://{address}"


LONGEST = 20
"""Characters between dots, slashes and colons that are a name's; more may be a key."""


def _shown(base_url: str) -> str:
    """A URL as a message shows it, without its query and fragment; nothing of what may
    be a key, or hold a password."""
    if AT.search(base_url):
        return ""
    text = re.split(r"[?#]", base_url, maxsplit=1)[0]
    named = all(len(part) <= LONGEST for part in re.split("[./:]", text))
    return f"{text!r} " if "://" in text or (named and "sk-" not in text) else ""


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
