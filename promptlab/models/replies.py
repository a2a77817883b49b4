"""Replies: what a server sent, read as the response or the failure that it is."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import orjson

from promptlab.errors import CallError, Failure
from promptlab.models.failures import (
    as_name,
    broke_off,
    failure_in,
    refusal,
    request_id,
)
from promptlab.models.messages import Said, read_message
from promptlab.models.redaction import (
    REDACTED,
    SHORTEST_IN_ANSWERS,
    SHORTEST_SECRET,
    SURROGATE,
    without_keys,
)
from promptlab.money.reported import reported_usd
from promptlab.spec.address import CHAT, EMBEDDINGS
from promptlab.spec.response import Response, is_truncated, is_withheld
from promptlab.spec.usage import read_usage


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
        values = "\n".join(headers.values())
        for secret in secrets:
            if secret in values:
                headers = {
                    name.lower(): value.replace(secret, REDACTED)
                    for name, value in headers.items()
                }
        return Reply(self.status, headers, body)


def read_reply(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    latency_s: float,
    endpoint: str = CHAT,
) -> Response:
    """The response in a reply of an endpoint.

    Of others than chat completions it has what they say of tokens and cost, and the
    text of /responses; the rest is in `Response.document`.

    Raises:
        CallError: the reply is a refusal, or not what the endpoint answers.
    """
    if status >= 300:
        raise CallError(refusal(status, headers, body))
    document, body = _document(body, headers)
    if (failure := failure_in(document, headers)) is not None:
        raise CallError(failure)
    if endpoint == CHAT:
        said, finish_reason = _answer(_choice(document, headers), headers)
    else:
        is_cut = document.get("status") == "incomplete"  # of /responses
        said = Said(_output_text(document))
        finish_reason = "length" if is_cut else "stop"
    usage = read_usage(document.get("usage"))
    if endpoint == EMBEDDINGS:  # whose answers have no tokens, and say nothing of them
        usage = replace(usage, output_tokens=0)
    response = Response(
        **said._asdict(),
        finish_reason=finish_reason,
        usage=usage,
        reported_cost_usd=reported_usd(document.get("usage"), headers),
        latency_s=latency_s,
        model=as_name(document.get("model")),
        service_tier=as_name(document.get("service_tier")),
        received_s=time.time(),
        request_id=request_id(headers),
        body=body,
        headers=headers,
    )
    if (failure := broke_off(response.summary)) is not None:
        raise CallError(replace(failure, request_id=request_id(headers)))
    return response


def _document(body: bytes, headers: Mapping[str, str]) -> tuple[dict[str, Any], bytes]:
    """The document in a body, and the body, mended if it had to be."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        if (mended := _mended(body)) is not None:
            return mended, orjson.dumps(mended)
        streams = "text/event-stream" in headers.get("content-type", "")
        if streams or body.startswith(b"data:"):
            raise _invalid(
                "the server streams its answer, though a whole one was asked for: turn "
                "streaming off there, or read it with a client of your own (client=)",
                headers,
            ) from error
        if body.lstrip()[:1] == b"<":
            raise _invalid(
                "the server answered with a web page, not JSON; does base_url end in "
                "the path of the API, such as /v1?",
                headers,
            ) from error
        what = "an empty reply" if not body else "a reply that is not JSON"
        raise _invalid(f"the server sent {what}", headers) from error
    if isinstance(document, dict):
        return document, body
    first = document[0] if isinstance(document, list) and document else None
    if isinstance(first, dict) and (failure := failure_in(first, headers)):  # Gemini
        raise CallError(failure)
    raise _invalid("the server sent JSON, but not a chat completion", headers)


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


def _output_text(document: Mapping[str, Any]) -> str:
    """The text in an answer of /responses; "" in those of other endpoints."""
    output = document.get("output")
    items = output if isinstance(output, list) else []
    contents = [item.get("content") for item in items if isinstance(item, dict)]
    parts = [part for content in contents for part in content or ()]
    texts = [part.get("text") for part in parts if isinstance(part, dict)]
    return "".join(text for text in texts if isinstance(text, str))


def _choice(document: Mapping[str, Any], headers: Mapping[str, str]) -> dict[str, Any]:
    choices = document.get("choices")
    if not isinstance(choices, list) or not choices:
        raise _invalid("the reply has no choices: it is not a chat completion", headers)
    choice = choices[0]
    if not isinstance(choice, dict) or not isinstance(choice.get("message"), dict):
        if _is_cut(choice):  # thinking took all the tokens there were
            return {**choice, "message": {}}
        raise _invalid("the reply's first choice has no message", headers)
    return choice


def _is_cut(choice: Any) -> bool:
    """Whether a choice without a message is an answer that ended before its text."""
    reason = choice.get("finish_reason") if isinstance(choice, dict) else None
    return (
        isinstance(reason, str)
        and (is_truncated(reason) or is_withheld(reason))
        and not ({"text", "delta"} & choice.keys() or choice.get("message"))
    )


def _answer(
    choice: Mapping[str, Any], headers: Mapping[str, str]
) -> tuple[Said, str | None]:
    reason = choice.get("finish_reason")
    if reason is not None and not isinstance(reason, str):
        raise _invalid("the reply's finish_reason is not a string", headers)
    try:
        return read_message(choice["message"]), reason
    except ValueError as error:
        raise _invalid(f"the reply's {error}", headers) from error


def _invalid(message: str, headers: Mapping[str, str]) -> CallError:
    return CallError(
        Failure(
            kind="invalid_reply",
            message=message,
            request_id=request_id(headers),
        )
    )
