"""Failures: what a server says in place of an answer, as one plain sentence, with what
decides whether to ask again.

Servers differ in where they put it: an `error` object or text, a list of `errors`,
FastAPI's `detail`, an array around all of it, JSON within a text. They are read alike.
"""

from __future__ import annotations

import email.utils
import math
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
"""Characters of what a server says that are read."""

DEEPEST = 8
"""How many objects within objects are looked into for what a server says."""

MOST = 10
"""How many messages of a list are read."""

REQUEST_IDS = ("x-request-id", "request-id", "apim-request-id", "x-litellm-call-id")
"""Headers that hold what a provider's support asks for, the usual ones first."""

WITHIN = ("error", "errors", "detail", "message")
"""Members that may hold the error object itself."""

ERRORS = ("error", "errors", "detail")
"""Members that say what went wrong where there is no answer."""

SAYING = (
    *("message", "msg", "error", "errors", "detail", "title", "reason"),
    *("error_description", "error_msg", "status_msg", "Message"),
)
"""Members that may hold what a server says, the most telling first."""

CODES = ("code", "status", "status_code", "statusCode", "error_code")
TYPES = ("type", "status", "error_type", "__type", "code")

BROKEN_OFF = frozenset(
    {"error", "abort", "aborted", "insufficient_system_resource", "network_error"}
)
"""Reasons to finish of what is no answer."""

NOTHING = "the model broke off: the reply has no text, no token and no finish_reason"

STATUSES = {
    "invalid_request_error": 400,
    "invalid_argument": 400,
    "invalid_api_key": 401,
    "authentication_error": 401,
    "unauthenticated": 401,
    "insufficient_balance": 402,
    "permission_error": 403,
    "permission_denied": 403,
    "not_found_error": 404,
    "model_not_found": 404,
    "not_found": 404,
    "insufficient_quota": 429,
    "rate_limit_exceeded": 429,
    "rate_limit_error": 429,
    "resource_exhausted": 429,
    "api_error": 500,
    "internal": 500,
    "internal_server_error": 500,
    "server_error": 500,
    "unavailable": 503,
    "service_unavailable": 503,
    "deadline_exceeded": 504,
    "overloaded_error": 529,
}
"""Codes and types in the body of a reply, and the HTTP status that they stand for."""

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
    """What a reply with an HTTP status from 300 says."""
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
    """The failure in the body of a reply whose HTTP status is that of an answer; None
    where it says of none.

    Its status is the one that its code stands for. What has choices too broke off: the
    model had begun.
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
    """What a server refused: without keys, and with what to look at where it knows no
    such address."""
    failure = _redacted(failure, secrets)
    if failure.status not in (404, 405):
        return failure
    said = f"{failure.code} {failure.type} {failure.message}"
    base_url, model = request.base_url, request.model
    if model.lower() in said.lower() or OF_MODEL.search(said):
        hint = f"is the model's name right? {base_url}/models may list those there are"
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
    """A name in a reply as a text, cut where it is too long for one."""
    if value is None or value == "" or isinstance(value, (bool, dict, list)):
        return None
    return SURROGATE.sub("\ufffd", str(value)[:LONGEST_NAME])


def retry_after(headers: Mapping[str, str]) -> float | None:
    """How many seconds a reply's headers ask to wait; None where they do not say."""
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
    return Failure(
        kind=kind,
        status=status,
        code=next(_quotas(parts), None) or _named(parts, CODES),
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
    """What a server says, without the JSON or HTML around it; empty for nothing."""
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
    """The words of a text, without mark-up if it is a web page, shortened."""
    cut = text[:LONGEST_SAYING]
    words = (re.sub(r"<[^>]*>", " ", cut) if cut[:1] == "<" else cut).split()
    if len(text) <= LONGEST_SAYING:
        return " ".join(words)
    # A word that is cut may be half an API key, which nothing would recognise.
    return " ".join(words[:-1]) or cut


def _named(parts: Mapping[str, Any], names: tuple[str, ...]) -> str | None:
    return next((n for name in names if (n := as_name(parts.get(name)))), None)


def _status(parts: Mapping[str, Any]) -> int | None:
    """The HTTP status that an error's code stands for, or its type."""
    said = [as_name(parts.get(name)) or "" for name in (*CODES, *TYPES)]
    numbers = (int(code) for code in said if re.fullmatch("[45][0-9][0-9]", code))
    named = (STATUSES[code.lower()] for code in said if code.lower() in STATUSES)
    return next(numbers, None) or next(named, None)


def _details(parts: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Google's details of an error."""
    details = parts.get("details")
    for detail in details[:MOST] if isinstance(details, list) else ():
        if isinstance(detail, dict):
            yield detail


def _quotas(parts: Mapping[str, Any]) -> Iterator[str]:
    """The quotas that an error says are used up."""
    for detail in _details(parts):
        violations = detail.get("violations")
        for violation in violations[:MOST] if isinstance(violations, list) else ():
            name = violation.get("quotaId") if isinstance(violation, dict) else None
            if (quota := as_name(name)) is not None:
                yield quota


def _come_back(parts: Mapping[str, Any], message: str) -> float | None:
    """How many seconds the body of a refusal asks to wait; None where it does not."""
    for detail in _details(parts):
        if isinstance(delay := detail.get("retryDelay"), str):
            return _seconds(delay.removesuffix("s"))
    if (said := COME_BACK.search(message[:LONGEST_SAYING])) is None:
        return None
    spans = SPAN.findall(said[1])
    return sum(float(number) * SECONDS[unit.lower()] for number, unit in spans)


def _seconds(value: str | None) -> float | None:
    try:
        seconds = max(0.0, float(value)) if value is not None else None
    except ValueError:
        return None
    return seconds if seconds is not None and math.isfinite(seconds) else None


def _redacted(failure: Failure, secrets: Sequence[str]) -> Failure:
    """The same failure; a server may have put the key into any part of it."""
    parts = {
        name: redacted(part, *secrets) if isinstance(part, str) else part
        for name, part in failure.to_plain().items()
    }
    return replace(Failure.from_plain(parts), headers=failure.headers)


def _said(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
