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
from promptlab.execution.redaction import (
    REDACTED,
    SHORTEST_IN_ANSWERS,
    SHORTEST_SECRET,
    SURROGATE,
    redacted,
    without_keys,
)
from promptlab.money.usage import Usage
from promptlab.results.record import Failure, Response

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

        In an answer they are looked for only if they are long: what is short may be a
        placeholder, such as `not-needed`, and a word of the answer.
        """
        shortest = SHORTEST_SECRET if self.status >= 300 else SHORTEST_IN_ANSWERS
        secrets = [secret for secret in secrets if len(secret) >= SHORTEST_SECRET]
        long = [secret for secret in secrets if len(secret) >= shortest]
        headers, body = self.headers, without_keys(self.body, long)
        for secret in secrets:
            if any(secret in value for value in headers.values()):
                headers = {
                    name.lower(): value.replace(secret, REDACTED)
                    for name, value in headers.items()
                }
        return Reply(self.status, headers, body)


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
