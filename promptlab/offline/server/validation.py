"""Validation: whether a request is one the API takes, before anything is answered.

Each parameter has a check, which refuses a value in the API's own words. What would
change an answer of the API and changes none here is refused too, never left out.
"""

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

_TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]+")
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
        raise invalid(
            "Invalid value for 'tool_choice': 'tool_choice' is only allowed when "
            "'tools' are specified.",
            "tool_choice",
            None,
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
        raise _wrong_type(value, where, named or _NAMES[kinds[-1]])


def _anything(value: Any, where: str) -> None:
    """Served whatever it is, as it changes no answer."""


def _unserved(value: Any, where: str) -> None:
    raise unsupported(where)


def _only(*idle: object) -> Check:
    """Served only with a value that changes nothing."""

    def check(value: Any, where: str) -> None:
        if value not in idle:
            raise unsupported(where)

    return check


def _typed(*kinds: type) -> Check:
    return lambda value, where: _expect(value, where, *kinds)


def _number(kind: type, low: float, high: float | None = None) -> Check:
    """An integer or a decimal within bounds."""
    name = _NAMES[kind].split()[-1]

    def check(value: Any, where: str) -> None:
        _expect(value, where, int, kind)
        if value < low:
            side, code, bound = "below minimum", "below_min", f">= {low}"
        elif high is not None and value > high:
            side, code, bound = "above maximum", "above_max", f"<= {high}"
        else:
            return
        raise invalid(
            f"Invalid '{where}': {name} {side} value. "
            f"Expected a value {bound}, but got {value} instead.",
            where,
            f"{name}_{code}_value",
        )

    return check


def _one_of(*values: str) -> Check:
    *others, last = [f"'{value}'" for value in values]
    listed = f"{', '.join(others)}, and {last}"

    def check(value: Any, where: str) -> None:
        if value is None:
            raise missing(where)
        _expect(value, where, str, named=f"one of {listed}")
        if value not in values:
            raise invalid(
                f"Invalid value: '{value}'. Supported values are: {listed}.",
                where,
                "invalid_value",
            )

    return check


def _each(check: Check) -> Check:
    """A list, not empty, of objects that pass `check`."""

    def check_all(values: Any, where: str) -> None:
        _expect(values, where, list, named="an array of objects")
        if not values:
            raise _empty(where)
        for index, value in enumerate(values):
            _expect(value, f"{where}[{index}]", dict)
            check(value, f"{where}[{index}]")

    return check_all


def _messages(messages: Any, where: str) -> None:
    _each(_message)(messages, where)
    # Calls need results, and results a call.
    waiting: list[str] = []
    for index, message in enumerate(messages):
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
            raise _unanswered(waiting, f"{where}[{index}]")
        waiting = [call["id"] for call in message.get("tool_calls") or ()]
    if waiting:
        raise _unanswered(waiting, where)


def _message(message: Body, where: str) -> None:
    _one_of(*ROLES)(message.get("role"), f"{where}.role")
    content, calls = message.get("content"), message.get("tool_calls")
    if isinstance(content, list):
        for index, part in enumerate(content):
            _part(part, f"{where}.content[{index}]")
    # An assistant's turn may be a tool call or a refusal, without content.
    elif content is not None or message["role"] != "assistant":
        _expect(content, f"{where}.content", str)
    match calls:
        case None:
            return
        case [*_] if all(map(_is_call, calls)):
            return
    raise _wrong_type(calls, f"{where}.tool_calls", "an array of function calls")


def _is_call(call: object) -> bool:
    match call:
        case {"id": str(), "function": {"name": str(), "arguments": str()}}:
            return True
    return False


def _part(part: Any, where: str) -> None:
    _expect(part, where, dict)
    if (kind := part.get("type")) is None:
        raise missing(f"{where}.type")
    if kind not in ("text", "refusal"):
        message = f"Invalid content type. {kind} is only supported by certain models."
        raise invalid(message, f"{where}.type", None)
    _expect(part.get(kind), f"{where}.{kind}", str)


def _unanswered(waiting: Sequence[str], where: str) -> ApiError:
    return invalid(
        "An assistant message with 'tool_calls' must be followed by tool messages "
        "responding to each 'tool_call_id'. The following tool_call_ids did not have "
        f"response messages: {', '.join(waiting)}",
        where,
        None,
    )


def _tool(tool: Body, where: str) -> None:
    _one_of("function", "custom")(tool.get("type"), f"{where}.type")
    if tool["type"] != "function":
        message = "Only tools of type 'function' are served."
        raise invalid(message, f"{where}.type", None)
    function = tool.get("function")
    _expect(function, f"{where}.function", dict)
    if not isinstance(name := tool["function"].get("name"), str):
        raise missing(f"{where}.function.name")
    if not _TOOL_NAME.fullmatch(name):
        raise invalid(
            f"Invalid '{where}.function.name': string does not match pattern. Expected "
            "a string that matches the pattern '^[a-zA-Z0-9_-]+$'.",
            f"{where}.function.name",
            "invalid_value",
        )
    schema = tool["function"].get("parameters") or {}
    _expect(schema, f"{where}.function.parameters", dict)


def _tool_choice(choice: Any, where: str) -> None:
    match choice:
        case {"type": "function", "function": {"name": _}}:
            return
        case str():
            _one_of("none", "auto", "required")(choice, where)
        case _:
            raise _wrong_type(choice, where, "a string or a named function")


def _stop(stop: Any, where: str) -> None:
    match stop:
        case [*stops] if len(stops) > 4:
            raise _too_long(stops, where, 4)
        case str():
            return
        case [*stops] if all(isinstance(stop, str) for stop in stops):
            return
    raise _wrong_type(stop, where, "a string or an array of strings")


def _response_format(form: Any, where: str) -> None:
    _expect(form, where, dict)
    _one_of("json_object", "json_schema", "text")(form.get("type"), f"{where}.type")
    if form["type"] == "json_schema":
        if (named := form.get("json_schema")) is None:
            raise missing(f"{where}.json_schema")
        _expect(named, f"{where}.json_schema", dict)
        _expect(named.get("schema", {}), f"{where}.json_schema.schema", dict)


def _input(texts: Any, where: str) -> None:
    match texts:
        case "":
            raise invalid("'$.input' is invalid: empty string.", where, None)
        case str():
            return
        case []:
            raise _empty(where)
        case [*inputs] if len(inputs) > MAX_INPUTS:
            raise _too_long(inputs, where, MAX_INPUTS)
        case [*inputs] if (
            all(isinstance(text, str) and text for text in inputs)
            or _are_tokens(inputs)
            or all(isinstance(ids, list) and ids and _are_tokens(ids) for ids in inputs)
        ):
            return
    raise invalid("'$.input' is invalid.", where, None)


def _are_tokens(values: Sequence[object]) -> bool:
    return all(type(value) is int for value in values)


def _wrong_type(value: object, param: str, expected: str) -> ApiError:
    got = _NAMES.get(type(value), "something else")
    return invalid(
        f"Invalid type for '{param}': expected {expected}, but got {got} instead.",
        param,
        "invalid_type",
    )


def _empty(param: str) -> ApiError:
    return invalid(
        f"Invalid '{param}': empty array. Expected an array with minimum length 1, "
        "but got an empty array instead.",
        param,
        "empty_array",
    )


def _too_long(values: Sequence[object], param: str, most: int) -> ApiError:
    return invalid(
        f"Invalid '{param}': array too long. Expected an array with maximum length "
        f"{most}, but got an array with length {len(values)} instead.",
        param,
        "array_above_max_length",
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
    "tools": _each(_tool),
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
        _unserved,
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
