"""Replies: what a server sent, read as the response or the failure that it is."""

from __future__ import annotations

import email.utils
import json
import math
import re
import time
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import orjson

from promptlab.errors import CallError
from promptlab.money.usage import Usage
from promptlab.results.record import Failure, Response
from promptlab.secret import Hidden

SECRET = re.compile(r"\b(?:sk|gsk|xai|pplx|hf)[-_][A-Za-z0-9_*.\-]{8,}|Bearer\s+\S+")
"""What looks like an API key, as servers repeat it in their refusals."""

SURROGATE = re.compile("[\ud800-\udfff]")
"""Half of a pair, which is no character."""

USER_INFO = re.compile(r"(?<=://)[^/\s@'\"]+@")
"""The name and password in a URL, a proxy's for one."""

SHORTEST_SECRET = 8
"""Characters; what is shorter is no key but a placeholder, such as `ollama`, and a word
that a message may need."""

SHORTEST_IN_ANSWERS = 16
"""Characters of a key that is looked for in answers."""

SECRET_HEADER = re.compile("auth|cookie|key|passw|secret|token", re.IGNORECASE)
"""What names of headers hold whose values are keys."""

WORD = re.compile(r"[^\s;,]+")
"""A part of a header's value."""

REDACTED = "[key]"

LONGEST_NAME = 200
"""Characters of a code, a type or a model's name that are read."""

LONGEST_SAYING = 2_000
"""Bytes of a refusal that is not JSON which are read."""


class Reply(NamedTuple):
    """What a server sent."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def without(self, secrets: Iterable[str]) -> Reply:
        """The same reply, without the keys that it was asked with, should the server
        repeat them: an answer is kept on disk, and shown.

        They are looked for as they are, and in an answer only if they are long: what
        is short may be a placeholder, such as `not-needed`, and a word of the answer.
        """
        shortest = SHORTEST_SECRET if self.status >= 300 else SHORTEST_IN_ANSWERS
        headers, body = self.headers, self.body
        for secret in secrets:
            if len(secret) >= shortest:
                for form in _forms(secret):
                    body = body.replace(form.encode(), REDACTED.encode())
            if len(secret) >= SHORTEST_SECRET and any(
                secret in value for value in headers.values()
            ):
                headers = {
                    name.lower(): value.replace(secret, REDACTED)
                    for name, value in headers.items()
                }
        return Reply(self.status, headers, body)


def authenticates(header: str) -> bool:
    """Whether a header is there to authenticate, by its name."""
    return SECRET_HEADER.search(header) is not None


def secrets_in(headers: Mapping[str, str]) -> list[str]:
    """What headers hold that are there to authenticate, part by part: a cookie, for
    one, has several. The longest come first, as one may be part of another."""
    parts = {
        part
        for name, value in headers.items()
        if authenticates(name)
        for word in WORD.findall(value)
        for part in (word, word.partition("=")[2].strip('"'))
    }
    return [Hidden(part) for part in sorted(parts, key=len, reverse=True)]


def _forms(secret: str) -> set[str]:
    """A key as servers write it in JSON: as it is, with slashes escaped, or with the
    characters escaped that mean something in HTML."""
    codes = {c: f"u{ord(c):04x}" for c in "+&<>'"}
    lower = secret.translate({ord(c): f"\\{code}" for c, code in codes.items()})
    upper = secret.translate(
        {ord(c): f"\\{code[0]}{code[1:].upper()}" for c, code in codes.items()}
    )
    return {str(secret), secret.replace("/", r"\/"), lower, upper}


def read_reply(
    status: int, headers: Mapping[str, str], body: bytes, latency_s: float
) -> Response:
    """The response in a reply.

    Raises:
        CallError: the reply is a refusal, or not a chat completion.
    """
    if status >= 300:
        raise CallError(_refusal(status, headers, body))
    document, body = _document(body, headers)
    if isinstance(document.get("error"), (dict, str)) and not document.get("choices"):
        raise CallError(_refusal(status, headers, body))
    choice = _choice(document, headers)
    output, finish_reason = _output(choice, headers)
    return Response(
        output=output,
        finish_reason=finish_reason,
        usage=_usage(document.get("usage")),
        latency_s=latency_s,
        model=_text(document.get("model")),
        service_tier=_text(document.get("service_tier")),
        received_s=time.time(),
        request_id=_text(headers.get("x-request-id")),
        body=body,
        headers=headers,
    )


def redacted(text: str, *secrets: str) -> str:
    """The text without API keys: those given, and whatever looks like one."""
    for secret in secrets:
        if len(secret) >= SHORTEST_SECRET:
            text = text.replace(secret, REDACTED)
    text = USER_INFO.sub(f"{REDACTED}@", SURROGATE.sub("\ufffd", text))
    return SECRET.sub(REDACTED, text)


def _document(body: bytes, headers: Mapping[str, str]) -> tuple[dict[str, Any], bytes]:
    """The document in a body, and the body, mended if it had to be."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        if (mended := _mended(body)) is not None:
            return mended, orjson.dumps(mended)
        if body.lstrip()[:1] == b"<":
            raise _invalid(
                "the server answered with a web page, not JSON; does base_url end in "
                "the path of the API, such as /v1?",
                headers,
            ) from error
        what = "an empty reply" if not body else "a reply that is not JSON"
        raise _invalid(f"the server sent {what}", headers) from error
    if not isinstance(document, dict):
        raise _invalid("the server sent JSON, but not a chat completion", headers)
    return document, body


def _mended(body: bytes) -> dict[str, Any] | None:
    """The object in a body that is JSON but for NaN, half a surrogate pair, a byte
    order mark or a byte that is not UTF-8, as some servers send; it was paid for. None
    if it is not."""
    try:
        document = _clean(json.loads(body.decode("utf-8-sig", errors="replace")))
    except (ValueError, RecursionError, OverflowError):
        return None
    return document if isinstance(document, dict) else None


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return SURROGATE.sub("\ufffd", value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, int) and abs(value) >= 2**63:
        return float(value)
    if isinstance(value, dict):
        return {_clean(name): _clean(item) for name, item in value.items()}
    return [_clean(item) for item in value] if isinstance(value, list) else value


def _choice(document: Mapping[str, Any], headers: Mapping[str, str]) -> dict[str, Any]:
    choices = document.get("choices")
    if not isinstance(choices, list) or not choices:
        raise _invalid("the reply has no choices: it is not a chat completion", headers)
    choice = choices[0]
    if not isinstance(choice, dict) or not isinstance(choice.get("message"), dict):
        raise _invalid("the reply's first choice has no message", headers)
    return choice


def _output(
    choice: Mapping[str, Any], headers: Mapping[str, str]
) -> tuple[str, str | None]:
    message, reason = choice["message"], choice.get("finish_reason")
    content = message.get("content")
    if isinstance(content, list):  # some servers send the text in parts
        content = "".join(
            part["text"]
            for part in content
            if isinstance(part, dict) and isinstance(part.get("text"), str)
        )
    if content is not None and not isinstance(content, str):
        raise _invalid(
            f"the reply's content is a {type(content).__name__}, not a text", headers
        )
    if reason is not None and not isinstance(reason, str):
        raise _invalid("the reply's finish_reason is not a text", headers)
    if content:
        return content, reason
    if isinstance(refusal := message.get("refusal"), str):
        return refusal, reason
    if calls := message.get("tool_calls"):
        return _written(calls, headers), reason
    return "", reason


def _written(calls: Any, headers: Mapping[str, str]) -> str:
    try:
        return orjson.dumps(calls).decode()
    except orjson.JSONEncodeError as error:  # it reads deeper than it writes
        raise _invalid(f"the reply's tool calls: {error}", headers) from error


def _usage(usage: Any) -> Usage:
    if not isinstance(usage, Mapping):
        return Usage()
    asked = usage.get("prompt_tokens_details")
    given = usage.get("completion_tokens_details")
    return Usage(
        input_tokens=_number(usage, "prompt_tokens"),
        cached_input_tokens=_number(asked, "cached_tokens"),
        output_tokens=_number(usage, "completion_tokens"),
        reasoning_tokens=_number(given, "reasoning_tokens"),
        cache_write_tokens=_number(asked, "cache_write_tokens"),
    )


def _number(holder: Any, name: str) -> int | None:
    value = holder.get(name) if isinstance(holder, Mapping) else None
    return value if type(value) is int and 0 <= value < 2**53 else None


def _refusal(status: int, headers: Mapping[str, str], body: bytes) -> Failure:
    error = _error(body)
    message = error.get("message")
    if not isinstance(message, str) or not message:
        message = _said(body) or f"the server answered with HTTP status {status}"
    if 300 <= status < 400:
        message = f"the server points to {headers.get('location', 'elsewhere')!r}; "
        message += "redirects are not followed, set base_url to the address itself"
    return Failure(
        kind="status",
        status=status,
        code=_text(error.get("code")),
        type=_text(error.get("type")),
        param=_text(error.get("param")),
        message=redacted(message),
        request_id=_text(headers.get("x-request-id")),
        retry_after_s=retry_after(headers),
        should_retry={"true": True, "false": False}.get(
            headers.get("x-should-retry", "").lower()
        ),
        headers=headers,
    )


def _error(body: bytes) -> dict[str, Any]:
    """The error object of a refusal; servers differ in where they put it."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    if not isinstance(document, dict):
        return {}
    error = document.get("error", document.get("detail", document))
    if isinstance(error, str):
        return {"message": error}
    if isinstance(error, dict):
        return error
    return {"message": orjson.dumps(error).decode()}


def _said(body: bytes) -> str:
    """The text of a refusal that is not JSON, without its mark-up, shortened."""
    text = re.sub(r"<[^>]*>", " ", body[:LONGEST_SAYING].decode(errors="replace"))
    words = text.split()
    # A word that is cut may be half an API key, which nothing would recognise.
    return " ".join(words[:-1] if len(body) > LONGEST_SAYING else words)


def _text(value: object) -> str | None:
    if value is None or value == "":
        return None
    return SURROGATE.sub("\ufffd", str(value)[:LONGEST_NAME])


def _invalid(message: str, headers: Mapping[str, str]) -> CallError:
    return CallError(
        Failure(
            kind="invalid_reply",
            message=message,
            request_id=headers.get("x-request-id"),
        )
    )


def retry_after(headers: Mapping[str, str]) -> float | None:
    """How many seconds a server asks to wait; None where it does not say."""
    if (milliseconds := _seconds(headers.get("retry-after-ms"))) is not None:
        return milliseconds / 1000
    value = headers.get("retry-after")
    if value is None or (seconds := _seconds(value)) is not None:
        return None if value is None else seconds
    try:
        return max(
            0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time()
        )
    except (ValueError, OverflowError):
        return None


def _seconds(value: str | None) -> float | None:
    try:
        return max(0.0, float(value)) if value is not None else None
    except ValueError:
        return None
