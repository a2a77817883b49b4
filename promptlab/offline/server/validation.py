"""Validation: whether a request is one the API takes, before anything is answered.

Each parameter has a check, which refuses a value in the API's own words. What would
change an answer of the API and changes none here is refused too, never left out.
"""

import math
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from promptlab.offline.server.errors import (
    ApiError,
    invalid,
    missing,
    unknown_model,
    unrecognized,
    unsupported,
)

Body = Mapping[str, Any]
Check = Callable[[Any, str], None]
"""Takes a value and where it stands; raises an ApiError if the API would refuse it."""

MAX_DIMENSIONS = 4096
MAX_INPUTS = 2048
ROLES = ("system", "assistant", "user", "function", "tool", "developer")

_NAMES = {
    dict: "an object",
    list: "an array",
    str: "a string",
    bool: "a boolean",
    int: "an integer",
    float: "a decimal",
    type(None): "null",
}
"""Types of JSON, as errors name them."""


def check_chat(body: Body, models: Collection[str], *, reasoning: bool) -> None:
    """Refuse a chat request that the API would refuse.

    With `reasoning`, refuse also the parameters that reasoning models do not take.
    """
    _check_all(body, _CHAT, models, unrecognized, required="messages")
    if not reasoning:
        _refuse(body, "reasoning_effort", "verbosity")
    elif body.get("max_tokens") is not None:
        raise unsupported("max_tokens", instead="max_completion_tokens")
    elif body.get("reasoning_effort") != "none":
        _refuse(body, "temperature", "top_p", "logprobs", "top_logprobs", "stop")
    _needs(body, "stream_options", "stream", "'stream' is enabled")
    _needs(body, "top_logprobs", "logprobs", "'logprobs' is enabled")
    if not body.get("tools") and body.get("tool_choice") is not None:
        message = "'tool_choice' is only allowed when 'tools' are specified."
        raise invalid(
            f"Invalid value for 'tool_choice': {message}", "tool_choice", None
        )
    match body.get("tool_choice"):
        case {"function": {"name": name}} if name not in [
            tool["function"]["name"] for tool in body["tools"]
        ]:
            message = f"Tool choice '{name}' not found in 'tools' parameter."
            raise invalid(message, "tool_choice", None)


def check_completion(body: Body, models: Collection[str]) -> None:
    """Refuse a request of the older completions endpoint that cannot be served."""
    _check_all(body, _COMPLETION, models, unsupported, required="prompt")
    _needs(body, "stream_options", "stream", "'stream' is enabled")


def check_embeddings(body: Body, models: Collection[str]) -> None:
    """Refuse an embeddings request that the API would refuse."""
    _check_all(body, _EMBEDDINGS, models, unrecognized, required="input")


def _check_all(
    body: Body,
    checks: Mapping[str, Check],
    models: Collection[str],
    unknown: Callable[[str], ApiError],
    *,
    required: str,
) -> None:
    model = body.get("model")
    if model is None:
        raise ApiError(400, "you must provide a model parameter")
    _expect(model, "model", str)
    if model not in models:
        raise unknown_model(model)
    if body.get(required) is None:
        raise missing(required)
    for param, value in body.items():
        if value is not None:
            if param not in checks:
                raise unknown(param)
            checks[param](value, param)


def _refuse(body: Body, *params: str) -> None:
    for param in params:
        if body.get(param) is not None:
            raise unsupported(param)


def _needs(body: Body, param: str, other: str, when: str) -> None:
    if body.get(param) is not None and not body.get(other):
        message = f"The '{param}' parameter is only allowed when {when}."
        raise invalid(message, param, None)


def _expect(value: object, where: str, *kinds: type, named: str = "") -> None:
    """Refuse a value of another type than `kinds`; True is no integer."""
    if type(value) not in kinds:
        got = _NAMES.get(type(value), "something else")
        expected = named or _NAMES[kinds[-1]]
        message = f"Invalid type for '{where}': expected {expected}, but got {got} "
        raise invalid(f"{message}instead.", where, "invalid_type")


def _anything(value: Any, where: str) -> None:
    """Served whatever it is, as it changes no answer."""


def _only(*idle: object) -> Check:
    """Served only with a value that changes nothing."""

    def check(value: Any, where: str) -> None:
        if value not in idle:
            raise unsupported(where)

    return check


def _typed(kind: type) -> Check:
    return lambda value, where: _expect(value, where, kind)


def _number(kind: type, low: float, high: float = math.inf) -> Check:
    """An integer or a decimal within bounds."""
    name = _NAMES[kind].split()[-1]

    def check(value: Any, where: str) -> None:
        _expect(value, where, int, kind)
        if low <= value <= high:
            return
        side = "below_min" if value < low else "above_max"
        bound = f">= {low}" if value < low else f"<= {high}"
        raise invalid(
            f"Invalid '{where}': {name} {side.replace('_', ' ')}imum value. "
            f"Expected a value {bound}, but got {value} instead.",
            where,
            f"{name}_{side}_value",
        )

    return check


def _one_of(*values: str) -> Check:
    listed = ", ".join(f"'{value}'" for value in values)

    def check(value: Any, where: str) -> None:
        _expect(value, where, str, named=f"one of {listed}")
        if value not in values:
            message = f"Invalid value: '{value}'. Supported values are: {listed}."
            raise invalid(message, where, "invalid_value")

    return check


def _object(*required: str, **checks: Check) -> Check:
    """An object; some of its members must be there, some are checked."""

    def check(value: Any, where: str) -> None:
        _expect(value, where, dict)
        for name in dict.fromkeys([*required, *checks]):
            if value.get(name) is not None:
                checks.get(name, _anything)(value[name], f"{where}.{name}")
            elif name in required:
                raise missing(f"{where}.{name}")

    return check


def _each(check: Check, most: int | None = None) -> Check:
    """An array, not empty, of what passes `check`."""

    def check_all(values: Any, where: str) -> None:
        _expect(values, where, list, named="an array of objects")
        if not values:
            raise _wrong_length(
                "empty array", "minimum length 1", "an empty array", where
            )
        if most is not None and len(values) > most:
            got = f"an array with length {len(values)}"
            raise _wrong_length("array too long", f"maximum length {most}", got, where)
        for index, value in enumerate(values):
            check(value, f"{where}[{index}]")

    return check_all


def _wrong_length(problem: str, expected: str, got: str, where: str) -> ApiError:
    return invalid(
        f"Invalid '{where}': {problem}. Expected an array with {expected}, but got "
        f"{got} instead.",
        where,
        "empty_array" if got == "an empty array" else "array_above_max_length",
    )


def _messages(messages: Any, where: str) -> None:
    _each(_message)(messages, where)
    # Calls need results, and results a call.
    waiting: list[str] = []
    for index, message in enumerate([*messages, {"role": "the end"}]):
        if message["role"] == "tool":
            if (id_ := message.get("tool_call_id")) is None:
                raise missing(f"{where}[{index}].tool_call_id")
            if id_ not in waiting:
                raise invalid(
                    "Invalid parameter: messages with role 'tool' must be a response "
                    "to a preceeding message with 'tool_calls'.",
                    f"{where}[{index}].role",
                    None,
                )
            waiting.remove(id_)
            continue
        if waiting:
            raise invalid(
                "An assistant message with 'tool_calls' must be followed by tool "
                "messages responding to each 'tool_call_id'. The following "
                f"tool_call_ids did not have response messages: {', '.join(waiting)}",
                f"{where}[{index}]",
                None,
            )
        waiting = [call["id"] for call in message.get("tool_calls") or ()]


def _message(message: Any, where: str) -> None:
    _object("role", role=_one_of(*ROLES), tool_calls=_each(_CALL))(message, where)
    content = message.get("content")
    if isinstance(content, list) and content:
        _each(_part)(content, f"{where}.content")
    # An assistant's turn may be a tool call or a refusal, without content.
    elif content is not None or message["role"] != "assistant":
        _expect(content, f"{where}.content", list, str)


def _part(part: Any, where: str) -> None:
    _object("type")(part, where)
    if (kind := part["type"]) not in ("text", "refusal"):
        message = f"Invalid content type. {kind} is only supported by certain models."
        raise invalid(message, f"{where}.type", None)
    _expect(part.get(kind), f"{where}.{kind}", str)


def _tool_name(name: Any, where: str) -> None:
    _expect(name, where, str)
    if not re.fullmatch("[a-zA-Z0-9_-]+", name):
        message = (
            f"Invalid '{where}': string does not match pattern. Expected a string "
        )
        pattern = "that matches the pattern '^[a-zA-Z0-9_-]+$'."
        raise invalid(message + pattern, where, "invalid_value")


def _tool_choice(choice: Any, where: str) -> None:
    if isinstance(choice, dict):
        named = _object("name", name=_typed(str))
        _object("type", "function", type=_one_of("function"), function=named)(
            choice, where
        )
    else:
        _one_of("none", "auto", "required")(choice, where)


def _stop(stop: Any, where: str) -> None:
    _expect(stop, where, str, list, named="a string or an array of strings")
    if isinstance(stop, list) and stop:
        _each(_typed(str), most=4)(stop, where)


def _response_format(form: Any, where: str) -> None:
    kinds = _one_of("json_object", "json_schema", "text")
    by_schema = isinstance(form, dict) and form.get("type") == "json_schema"
    needed = ["json_schema"] if by_schema else []
    named = _object(schema=_typed(dict))
    _object("type", *needed, type=kinds, json_schema=named)(form, where)


def _input(texts: Any, where: str) -> None:
    match texts:
        case "":
            raise invalid("'$.input' is invalid: empty string.", where, None)
        case str():
            return
        case [] | [*_] if not texts or len(texts) > MAX_INPUTS:
            _each(_anything, most=MAX_INPUTS)(texts, where)
        case [*inputs] if (
            all(isinstance(text, str) and text for text in inputs)
            or _are_tokens(inputs)
            or all(isinstance(ids, list) and ids and _are_tokens(ids) for ids in inputs)
        ):
            return
    raise invalid("'$.input' is invalid.", where, None)


def _are_tokens(values: Sequence[object]) -> bool:
    return all(type(value) is int for value in values)


_CALL = _object(
    *("id", "function"),
    id=_typed(str),
    function=_object(*("name", "arguments"), name=_typed(str), arguments=_typed(str)),
)
_TOOL = _object(
    *("type", "function"),
    type=_one_of("function"),
    function=_object("name", name=_tool_name, parameters=_typed(dict)),
)
_SHARED: dict[str, Check] = {
    "model": _typed(str),
    "temperature": _number(float, 0, 2),
    "top_p": _number(float, 0, 1),
    "n": _number(int, 1, 128),
    "seed": _number(int, -(2**63), 2**63 - 1),
    "stop": _stop,
    "stream": _typed(bool),
    "stream_options": _typed(dict),
    "max_tokens": _number(int, 1),
    "user": _anything,
}
_CHAT = _SHARED | {
    "messages": _messages,
    "max_completion_tokens": _number(int, 1),
    "response_format": _response_format,
    "tools": _each(_TOOL),
    "tool_choice": _tool_choice,
    "logprobs": _anything,
    "top_logprobs": _number(int, 0, 20),
    "presence_penalty": _only(0),
    "frequency_penalty": _only(0),
    "logit_bias": _only({}),
    "modalities": _only(["text"]),
    "store": _only(False),
    **dict.fromkeys(
        (
            *("parallel_tool_calls", "metadata", "safety_identifier", "service_tier"),
            *("prompt_cache_key", "prompt_cache_options", "prompt_cache_retention"),
            *("reasoning_effort", "verbosity"),
        ),
        _anything,
    ),
    **dict.fromkeys(
        (
            *("audio", "prediction", "functions", "function_call", "moderation"),
            "web_search_options",
        ),
        _only(),
    ),
}
"""The parameters of chat completions; others are not the API's."""
_COMPLETION = _SHARED | {"prompt": _typed(str)}
"""The parameters of the older completions that are served."""
_EMBEDDINGS: dict[str, Check] = {
    "model": _typed(str),
    "input": _input,
    "dimensions": _number(int, 1, MAX_DIMENSIONS),
    "encoding_format": _one_of("float", "base64"),
    "user": _anything,
}
"""The parameters of embeddings."""
