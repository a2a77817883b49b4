"""Requests: exactly what goes over the wire, and the key its answer is kept under.

The key is the SHA-256, in hexadecimal, of this JSON in UTF-8:

    {"base_url":B,"body":W,"endpoint":E,"repeat":R,"schema":1}

without white space, the members of every object sorted by name, and every number
that is whole, and less than 2**53 in size, written without a fraction, so that 0 and
0.0 are one; from there on a float stays a float, as it is no exact number. B is the
base URL in lower-case scheme and host without a final slash, W the body that is sent,
with the parameters that the model takes, E the path of the endpoint, which is left out
where it is /chat/completions, and R the index of the repeat. API key,
headers, timeout, retries and concurrency are not part of it. A parameter that was not
given is not in the body.

`tests/spec/golden_keys.json` pins it: a change would make users pay again.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping
from typing import Any

import orjson

from promptlab.errors import SpecError
from promptlab.spec.address import CHAT, EMBEDDINGS, canonical_url

SCHEMA = 1

ENDPOINT = re.compile(r"(/[A-Za-z0-9_-]+([.:][A-Za-z0-9_-]+)*)+")
"""A path after the base URL."""

DEEPEST = 100
"""How deep a value of a request may nest; JSON libraries give up at some 250."""


class Request:
    """One call: where it goes, what is sent, and which repeat it is.

    `endpoint` is the path after the base URL, such as `/embeddings`.

    Raises:
        SpecError: the base URL is not http(s), the endpoint is no path, or the body is
            not JSON.
    """

    __slots__ = (
        *("base_url", "body", "endpoint", "kept", "key", "most_output", "repeat"),
    )

    def __init__(
        self,
        base_url: str,
        body: Mapping[str, Any],
        repeat: int = 0,
        *,
        endpoint: str = CHAT,
    ) -> None:
        self.base_url = canonical_url(base_url)
        self.body: dict[str, Any] = canonical(body)
        self.repeat = repeat
        self.endpoint = _checked_endpoint(endpoint)
        self.key = request_key(self.base_url, self.body, repeat, self.endpoint)
        self.most_output = (
            0.0 if self.endpoint == EMBEDDINGS else most_output(self.body)
        )
        """The most tokens that the answer may have; infinite where nothing bounds it.
        No part of the key."""
        self.kept = True
        """Whether its answer is stored; False if whoever asks stores it in parts. No
        part of the key."""

    @classmethod
    def of_canonical(
        cls,
        base_url: str,
        body: dict[str, Any],
        repeat: int,
        key: str,
        most_output: float,
    ) -> Request:
        """A chat completion whose parts are canonical already, and whose key is known.
        What bounds the answer may have any name in the body."""
        request = cls.__new__(cls)
        request.base_url = base_url
        request.body = body
        request.repeat = repeat
        request.endpoint = CHAT
        request.key = key
        request.most_output = most_output
        request.kept = True
        return request

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Request:
        """The request in a canonical JSON, parsed."""
        return cls(
            plain["base_url"],
            plain["body"],
            plain["repeat"],
            endpoint=plain.get("endpoint", CHAT),
        )

    @property
    def model(self) -> str:
        """The model that is asked."""
        return str(self.body.get("model", ""))

    @property
    def canonical_json(self) -> bytes:
        """What the key is the SHA-256 of."""
        return canonical_json(self.base_url, self.body, self.repeat, self.endpoint)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Request) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def __repr__(self) -> str:
        path = "" if self.endpoint == CHAT else self.endpoint
        return f"Request({self.model!r} at {self.base_url}{path}, key {self.key[:12]}…)"


def _checked_endpoint(endpoint: object) -> str:
    if not isinstance(endpoint, str) or not ENDPOINT.fullmatch(endpoint):
        raise SpecError(
            "endpoint: expected a path after the base URL, such as '/embeddings', got "
            f"{endpoint!r:.60}"
        )
    return endpoint


def most_output(parameters: Mapping[str, Any]) -> float:
    """The most tokens that the answer to a call with these parameters may have, all its
    choices together; infinite where nothing bounds it."""
    names = ("max_tokens", "max_completion_tokens", "max_output_tokens")
    caps = [parameters[name] for name in names if parameters.get(name) is not None]
    n = parameters.get("n")
    return max(map(_count, caps), default=math.inf) * (1 if n is None else _count(n))


def _count(value: Any) -> float:
    """A positive number as it is; whatever else a server may make of is no bound."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if is_number and value > 0 else math.inf


def canonical_json(
    base_url: str, body: dict[str, Any], repeat: int, endpoint: str = CHAT
) -> bytes:
    """The JSON that identifies a request; its parts must be canonical already."""
    parts = {"base_url": base_url, "body": body, "repeat": repeat, "schema": SCHEMA}
    if endpoint != CHAT:
        parts["endpoint"] = endpoint
    return orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)


def request_key(
    base_url: str, body: dict[str, Any], repeat: int, endpoint: str = CHAT
) -> str:
    """The key of a request whose parts are canonical already: 64 hex digits."""
    return hashlib.sha256(canonical_json(base_url, body, repeat, endpoint)).hexdigest()


def canonical(value: Any, depth: int = 0) -> Any:
    """A JSON value in the one form that is sent and hashed.

    Raises:
        SpecError: it is not a JSON value, nests too deep, or holds NaN, an infinity,
            a number beyond 64 bits or a string that is not valid Unicode.
    """
    if depth > DEEPEST:
        raise SpecError(f"a request nests at most {DEEPEST} deep")
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, int):
        if not -(2**63) <= value < 2**64:
            bits = value.bit_length()
            raise SpecError(f"a request cannot hold a number of {bits} bits, but of 64")
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise SpecError(f"a request cannot hold {value!r}")
        whole = value.is_integer() and abs(value) < 2**53
        return int(value) if whole else float(value)  # of numpy's float64 too
    if isinstance(value, Mapping):
        return {_text(n): canonical(item, depth + 1) for n, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [canonical(item, depth + 1) for item in value]
    if hasattr(value, "tolist"):  # numpy scalars and arrays
        return canonical(value.tolist(), depth)
    raise SpecError(
        f"expected a JSON value, got {type(value).__name__} ({value!r:.60})"
    )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise SpecError(f"expected a string as a name in a request, got {value!r}")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise SpecError(f"a string is not valid Unicode: {value!r:.60}") from error
    return value
