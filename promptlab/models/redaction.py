"""Redaction: API keys removed from replies and error messages."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import orjson

from promptlab.secret import Hidden

SECRET = re.compile(r"\b(?:sk|gsk|xai|pplx|hf)[-_][A-Za-z0-9_*.\-]{8,}|Bearer\s+\S+")
"""What looks like an API key, as servers repeat it in their errors."""

SURROGATE = re.compile("[\ud800-\udfff]")
"""Half of a pair, which is no character."""

USER_INFO = re.compile(r"(?<=://)[^\s'\"]+@")
"""The name and password in a URL, a proxy's for one."""

SHORTEST_SECRET = 8
"""Characters; what is shorter is a placeholder such as `ollama`, and may be a word of
the message."""

SHORTEST_IN_ANSWERS = 16
"""Characters of a key that is searched for in answers."""

SECRET_HEADER = re.compile("auth|cookie|key|passw|secret|token", re.IGNORECASE)
"""What the names of headers contain whose values are keys."""

WORD = re.compile(r"[^\s;,]+")
"""A part of a header's value."""

ESCAPED = re.compile(rb"\\(?:u00([2-7][0-9a-fA-F])|.)", re.DOTALL)
"""An escape in JSON; of one that stands for an ASCII character, its code."""

REDACTED = "[key]"


def redacted(text: str, *secrets: str) -> str:
    """The string without API keys: those given, and whatever looks like one."""
    for secret in secrets:
        if len(secret) >= SHORTEST_SECRET:
            text = text.replace(secret, REDACTED)
    text = USER_INFO.sub(f"{REDACTED}@", SURROGATE.sub("\ufffd", text))
    return SECRET.sub(REDACTED, text)


def without_keys(body: bytes, secrets: Iterable[str]) -> bytes:
    """A body without those keys, however its JSON escapes them; the same bytes if it
    contains none of them."""
    forms = {
        form
        for secret in secrets
        for form in (secret.encode(), orjson.dumps(secret)[1:-1])
    }
    plain = body
    if rb"\u00" in body or rb"\/" in body:
        plain = ESCAPED.sub(_unescaped, body)
    found = sorted((form for form in forms if form in plain), key=len, reverse=True)
    for form in found:
        plain = plain.replace(form, REDACTED.encode())
    return plain if found else body


def authenticates(header: str) -> bool:
    """Whether a header authenticates, by its name."""
    return SECRET_HEADER.search(header) is not None


def secrets_in(headers: Mapping[str, str]) -> list[str]:
    """The parts of headers that authenticate: a cookie, for one, has several. The
    longest come first, as one may be part of another."""
    parts = {
        part
        for name, value in headers.items()
        if authenticates(name)
        for word in WORD.findall(value)
        for part in (word, word.partition("=")[2].strip('"'))
    }
    return [Hidden(part) for part in sorted(parts, key=len, reverse=True)]


def _unescaped(escape: re.Match[bytes]) -> bytes:
    """An escape written as short as JSON allows."""
    if escape[1] is None:
        return b"/" if escape[0] == rb"\/" else escape[0]
    return orjson.dumps(chr(int(escape[1], 16)))[1:-1]
