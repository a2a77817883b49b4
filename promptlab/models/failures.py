"""Failures: what a server replies instead of an answer, as one plain sentence, with
what decides whether to retry.

Servers differ in where they put it: an `error` object or string, a list of `errors`,
FastAPI's `detail`, an array around all of it, JSON within a string.
"""

from __future__ import annotations

import email.utils
import math
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import orjson

from promptlab.errors import Failure
from promptlab.models.redaction import SURROGATE, redacted
from promptlab.models.routes import proxy_named
from promptlab.spec.request import Request
from promptlab.spec.response import ReplySummary

LONGEST_NAME = 200
"""Characters of a code, a type or a model's name that are read."""

LONGEST_SAYING = 2_000
"""Characters of a server's message that are read."""

DEEPEST = 8
"""How many levels of nested objects are searched for a server's message."""

MOST = 10
"""How many messages of a list are read."""

REQUEST_IDS = ("x-request-id", "request-id", "apim-request-id", "x-litellm-call-id")
"""Headers that hold what a provider's support asks for, the usual ones first."""

WITHIN = ("error", "errors", "detail", "message")
"""Members that may hold the error object itself."""

ERRORS = ("error", "errors", "detail")
"""Members that say what went wrong if there is no answer."""

SAYING = (
    *("message", "msg", "error", "errors", "detail", "title", "reason"),
    *("error_description", "error_msg", "status_msg", "Message"),
)
"""Members that may hold a server's message, the most specific first."""

CODES = ("code", "status", "status_code", "statusCode", "error_code")
TYPES = ("type", "status", "error_type", "__type", "code")

BROKEN_OFF = frozenset(
    {"error", "abort", "aborted", "insufficient_system_resource", "network_error"}
)
"""Reasons to finish of what is no answer."""

NOTHING = "the model broke off: the reply has no text, no token and no finish_reason"

STATUSES = {
    name: status
    for status, names in {
        400: "invalid_request_error invalid_argument",
        401: "invalid_api_key authentication_error unauthenticated",
        402: "insufficient_balance",
        403: "permission_error permission_denied",
        404: "not_found_error model_not_found not_found",
        429: "insufficient_quota rate_limit_exceeded rate_limit_error "
        "resource_exhausted",
        500: "api_error internal internal_server_error server_error",
        503: "unavailable service_unavailable",
        504: "deadline_exceeded",
        529: "overloaded_error",
    }.items()
    for name in names.split()
}
"""The HTTP status that a code or type in the body of a reply means."""

COME_BACK = re.compile(
    r"(?:try again|retry)[a-z ]{0,20} (?:in|after) ((?:\d{1,9}(?:\.\d{1,9})?"
    r" ?(?:ms|milliseconds?|s|secs?|seconds?|m|mins?|minutes?|h|hours?)(?![a-z])"
    r"\s?){1,4})",
    re.IGNORECASE,
)
"""When to come back, as servers write it: `try again in 1m2.5s`."""

OF_MODEL = re.compile(r"\bmodel\b|model_not_found|deployment", re.IGNORECASE)

SPAN = re.compile(r"([\d.]+) ?(ms|milli|s|m|h)", re.IGNORECASE)
SECONDS = {"ms": 0.001, "milli": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def refusal(status: int, headers: Mapping[str, str], body: bytes) -> Failure:
    """The failure in a reply with an HTTP status >= 300."""
    try:
        said = orjson.loads(body)
    except orjson.JSONDecodeError:
        said = body.decode(errors="replace")
    message = ""
    if 300 <= status < 400:
        message = f"the server points to {headers.get('location', 'elsewhere')!r}; "
        message += "redirects are not followed, set base_url to the address itself"
    return _failure(status, headers, said, message)


def failure_in(
    document: Mapping[str, Any], headers: Mapping[str, str]
) -> Failure | None:
    """The failure in the body of a reply with the HTTP status of an answer; None if it
    is one.

    Its status is the one that its code means. If it has choices too, the model began to
    answer and broke off.
    """
    choices = document.get("choices")
    if not choices:
        beside = any(is_error(document.get(name)) for name in ERRORS)
        if not beside and document.get("object") != "error":
            return None
        return _failure(_status(_parts(document)) or 200, headers, document)
    first = choices[0] if isinstance(choices, list) else None
    holders = [document, first] if isinstance(first, dict) else [document]
    for holder in holders:
        if is_error(holder.get("error")):
            names = ("error", *CODES, *TYPES)
            said = {name: holder[name] for name in names if name in holder}
            return _broke_off(headers, said)
    reason = first.get("finish_reason") if isinstance(first, dict) else None
    return _broke_off(headers, reason) if _is_broken_off(reason) else None


def no_answer(timeout_s: float | None) -> Failure:
    """A call that took longer than it may."""
    after = "in time" if timeout_s is None else f"within {timeout_s:g} s (timeout_s)"
    return Failure(kind="timeout", message=f"no answer {after}")


def connection_failed(error: BaseException, secrets: Iterable[str]) -> Failure:
    """A connection that broke."""
    said = redacted(_said(error), *secrets)
    return Failure(kind="connection", message=f"the connection failed: {said}")


def unreachable(
    base_url: str, error: BaseException | str, secrets: Iterable[str]
) -> Failure:
    """A connection that could not be made, with what to look at."""
    said = error if isinstance(error, str) else redacted(_said(error), *secrets)
    where, hint = base_url, "is the server running, and base_url right?"
    if "CERTIFICATE_VERIFY_FAILED" in said:
        hint = (
            "if its certificate is of a private authority, name the file of that in "
            "the variable SSL_CERT_FILE, or in client=pl.OpenAIClient(..., ca_file=...)"
        )
    elif proxy := proxy_named(base_url):
        where, hint = f"{where} through {proxy}", "is the proxy right, and running?"
    message = f"no connection to {where}: {said}; {hint}"
    return Failure(kind="unreachable", message=message)


def unexpected(error: Exception, secrets: Iterable[str]) -> Failure:
    """An error that no client should raise; a header may be wrong, for one."""
    return Failure(kind=type(error).__name__, message=redacted(_said(error), *secrets))


def explained(failure: Failure, request: Request, secrets: Sequence[str]) -> Failure:
    """The failure without keys, and with a hint if the server does not know the
    address."""
    failure = _redacted(failure, secrets)
    if failure.status not in (404, 405):
        return failure
    said = f"{failure.code} {failure.type} {failure.message}"
    base_url, model = request.base_url, request.model
    if model.lower() in said.lower() or OF_MODEL.search(said):
        hint = f"is the model's name right? {base_url}/models may list valid names"
    elif not urlsplit(base_url).path:
        hint = f"base_url lacks the path of the API, try {base_url}/v1"
    else:
        hint = (
            "does base_url end in the path of the API, such as /v1? Asked was "
            f"{base_url}{request.endpoint}"
        )
    return replace(failure, message=f"{failure.message.rstrip('.')}; {hint}")


def is_error(value: object) -> bool:
    """Whether a member named `error` holds one: servers add empty ones to answers."""
    if isinstance(value, dict):
        return any(value.values())
    return bool(value.strip()) if isinstance(value, str) else bool(value)


def broke_off(reply: ReplySummary) -> Failure | None:
    """The failure in what was read as an answer: of a model that broke off, or a reply
    with neither text nor token nor a reason to finish; None in an answer."""
    if reply.output_tokens == 0 and reply.finish_reason is None:
        if not (reply.output or reply.tool_calls or reply.refusal or reply.reasoning):
            return _failure(None, {}, {}, NOTHING, kind="broken_off")
    elif _is_broken_off(reply.finish_reason):
        return _broke_off({}, reply.finish_reason)
    return None


def request_id(headers: Mapping[str, str]) -> str | None:
    """What the provider's support asks for."""
    return next((as_name(headers[n]) for n in REQUEST_IDS if headers.get(n)), None)


def as_name(value: object) -> str | None:
    """A name in a reply as a string, shortened if it is too long for one."""
    if value is None or value == "" or isinstance(value, (bool, dict, list)):
        return None
    return SURROGATE.sub("\ufffd", str(value)[:LONGEST_NAME])


def retry_after(headers: Mapping[str, str]) -> float | None:
    """How many seconds a reply's headers ask to wait; None if they do not say."""
    if (milliseconds := _seconds(headers.get("retry-after-ms", ""))) is not None:
        return milliseconds / 1000
    value = headers.get("retry-after", "")
    if (seconds := _seconds(value)) is not None:
        return seconds
    try:
        date = email.utils.parsedate_to_datetime(value)
        return max(0.0, date.timestamp() - time.time())
    except (ValueError, OverflowError):
        return None


def _is_broken_off(finish_reason: object) -> bool:
    if isinstance(finish_reason, dict):  # SGLang
        finish_reason = finish_reason.get("type")
    return isinstance(finish_reason, str) and finish_reason.lower() in BROKEN_OFF


def _broke_off(headers: Mapping[str, str], said: Any) -> Failure:
    message = "the model broke off"
    if isinstance(said, str):
        message, said = f"{message}: its finish_reason is {said!r}", {}
    message = _sentence(said) or message
    return _failure(_status(_parts(said)), headers, said, message, kind="broken_off")


def _failure(
    status: int | None,
    headers: Mapping[str, str],
    said: Any,
    message: str = "",
    kind: str = "status",
) -> Failure:
    parts = _parts(said)
    message = message or _sentence(said)
    if not message and isinstance(said, (dict, list)) and said:
        message = orjson.dumps(said)[:LONGEST_SAYING].decode(errors="replace")
    message = message or f"the server answered with HTTP status {status}"
    asked_s = retry_after(headers)
    quotas = [
        as_name(violation.get("quotaId"))
        for detail in _dicts(parts.get("details"))  # Google
        for violation in _dicts(detail.get("violations"))
    ]
    return Failure(
        kind=kind,
        status=status,
        code=next(filter(None, quotas), None) or _named(parts, CODES),
        type=_named(parts, TYPES),
        param=as_name(parts.get("param")),
        message=redacted(message),
        request_id=request_id(headers),
        retry_after_s=_come_back(parts, message) if asked_s is None else asked_s,
        should_retry={"true": True, "false": False}.get(
            headers.get("x-should-retry", "").lower()
        ),
        headers=headers,
    )


def _parts(said: Any, depth: int = DEEPEST) -> dict[str, Any]:
    """The members of an error, with those around it."""
    if isinstance(said, list):
        said = next((item for item in said if isinstance(item, dict)), None)
    if not isinstance(said, dict) or not depth:
        return {}
    within = (said[name] for name in WITHIN if isinstance(said.get(name), (dict, list)))
    return {**said, **_parts(next(within, None), depth - 1)}


def _sentence(said: Any, depth: int = DEEPEST) -> str:
    """A server's message, without the JSON or HTML around it; empty if none."""
    if not depth:
        return ""
    if isinstance(said, str):
        text = said.strip()
        with suppress(orjson.JSONDecodeError):
            if text[:1] in ("{", "["):
                return _sentence(orjson.loads(text), depth - 1) or _words(text)
        return _words(text)
    if isinstance(said, list):
        items = (_sentence(item, depth - 1) for item in said[:MOST])
        return "; ".join(dict.fromkeys(filter(None, items)))
    if not isinstance(said, dict):
        return ""
    sentences = (_sentence(said[name], depth - 1) for name in SAYING if name in said)
    sentence = next(filter(None, sentences), "")
    if sentence and isinstance(where := said.get("loc"), list):  # FastAPI
        sentence = f"{'.'.join(map(str, where[:MOST]))}: {sentence}"
    if isinstance(behind := said.get("metadata"), dict):  # OpenRouter
        parts = [_sentence(behind.get(n), depth - 1) for n in ("provider_name", "raw")]
        parts.append(_sentence(behind.get("reasons"), depth - 1))
        if more := ": ".join(part for part in parts if part and part != sentence):
            sentence = f"{sentence} ({more})".strip()
    return sentence


def _words(text: str) -> str:
    """The words of a string, without mark-up if it is a web page, shortened."""
    cut = text[:LONGEST_SAYING]
    words = (re.sub(r"<[^>]*>", " ", cut) if cut[:1] == "<" else cut).split()
    if len(text) <= LONGEST_SAYING:
        return " ".join(words)
    # A word that is cut may be half an API key, which nothing would recognise.
    return " ".join(words[:-1]) or cut


def _named(parts: Mapping[str, Any], names: tuple[str, ...]) -> str | None:
    return next((n for name in names if (n := as_name(parts.get(name)))), None)


def _status(parts: Mapping[str, Any]) -> int | None:
    """The HTTP status that an error's code or type means."""
    said = [as_name(parts.get(name)) or "" for name in (*CODES, *TYPES)]
    numbers = (int(code) for code in said if re.fullmatch("[45][0-9][0-9]", code))
    named = (STATUSES[code.lower()] for code in said if code.lower() in STATUSES)
    return next(numbers, None) or next(named, None)


def _dicts(value: Any) -> list[dict[str, Any]]:
    """The objects in a list; empty for anything else."""
    items = value[:MOST] if isinstance(value, list) else ()
    return [item for item in items if isinstance(item, dict)]


def _come_back(parts: Mapping[str, Any], message: str) -> float | None:
    """How many seconds the body of a refusal asks to wait; None if it does not say."""
    for detail in _dicts(parts.get("details")):  # Google
        if isinstance(delay := detail.get("retryDelay"), str):
            return _seconds(delay.removesuffix("s"))
    if (found := COME_BACK.search(message[:LONGEST_SAYING])) is None:
        return None
    spans = SPAN.findall(found[1])
    return sum(float(number) * SECONDS[unit.lower()] for number, unit in spans)


def _seconds(value: str) -> float | None:
    try:
        seconds = max(0.0, float(value))
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) else None


def _redacted(failure: Failure, secrets: Sequence[str]) -> Failure:
    """The same failure; a server may have put the key into any part of it."""
    parts = {
        name: redacted(part, *secrets) if isinstance(part, str) else part
        for name, part in failure.to_plain().items()
    }
    return replace(Failure.from_plain(parts), headers=failure.headers)


def _said(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
