"""Checks: whether a request is one the API takes, before anything is answered."""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from promptlab.offline.server.errors import (
    ApiError,
    invalid,
    unknown_model,
    unrecognized,
    unsupported,
)

Body = Mapping[str, Any]

ROLES = ("system", "assistant", "user", "function", "tool", "developer")
MAX_DIMENSIONS = 4096
MAX_INPUTS = 2048

_DECIMALS = {
    "temperature": (0, 2),
    "top_p": (0, 1),
    "presence_penalty": (-2, 2),
    "frequency_penalty": (-2, 2),
}
_INTEGERS = {
    "max_tokens": (1, None),
    "max_completion_tokens": (1, None),
    "n": (1, 128),
    "seed": (-(2**63), 2**63 - 1),
    "top_logprobs": (0, 20),
    "dimensions": (1, MAX_DIMENSIONS),
}
_FORMATS = ("json_object", "json_schema", "text")
_REASONING_REFUSES = ("temperature", "top_p", "logprobs", "top_logprobs", "stop")
_CHAT = frozenset(
    {
        *("model", "messages", "temperature", "top_p", "n", "seed", "stop", "stream"),
        *("max_tokens", "max_completion_tokens", "response_format", "stream_options"),
        *("tools", "tool_choice", "parallel_tool_calls", "logprobs", "top_logprobs"),
        *("user", "metadata", "safety_identifier", "prompt_cache_key", "service_tier"),
        *("presence_penalty", "frequency_penalty", "logit_bias", "modalities", "store"),
        *("reasoning_effort", "verbosity", "audio", "prediction", "functions"),
        *("function_call", "web_search_options", "moderation"),
        *("prompt_cache_options", "prompt_cache_retention"),
    }
)
"""The parameters of the API."""
_IDLE: dict[str, tuple[object, ...]] = {
    "presence_penalty": (0,),
    "frequency_penalty": (0,),
    "logit_bias": ({},),
    "modalities": (["text"],),
    "store": (False,),
}
"""Those that are served only with a value that changes nothing."""
_UNSERVED = (
    *("audio", "prediction", "functions", "function_call", "web_search_options"),
    "moderation",
)
_REASONING = ("reasoning_effort", "verbosity")
_COMPLETION = (
    *("model", "prompt", "temperature", "top_p", "n", "seed", "stop", "stream"),
    *("max_tokens", "stream_options", "user"),
)
_TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]+")
_JSON_TYPES = {
    dict: "an object",
    list: "an array",
    str: "a string",
    bool: "a boolean",
    int: "an integer",
    float: "a decimal",
    type(None): "null",
}


def check_chat(body: Body, models: Collection[str], *, reasoning: bool) -> None:
    """Refuse a chat request that the API would refuse.

    With `reasoning`, refuse also the parameters that reasoning models do not take.
    """
    _check_model(body, models)
    _check_served(body, reasoning=reasoning)
    _check_messages(body)
    _check_tools(body)
    if reasoning:
        _check_reasoning(body)
    _check_numbers(body)
    _check_stop(body)
    _check_format(body)
    _check_stream(body)


def check_completion(body: Body, models: Collection[str]) -> None:
    """Refuse a request of the older completions endpoint that cannot be served."""
    _check_model(body, models)
    for param, value in body.items():
        if param not in _COMPLETION and value is not None:
            raise unsupported(param)
    if "prompt" not in body:
        raise _missing("prompt")
    if not isinstance(body["prompt"], str):
        raise _wrong_type(body["prompt"], "prompt", "a string")
    _check_numbers(body)
    _check_stop(body)
    _check_stream(body)


def check_embeddings(body: Body, models: Collection[str]) -> None:
    """Refuse an embeddings request that the API would refuse."""
    _check_model(body, models)
    _check_input(body)
    _check_numbers(body)
    _check_value(body.get("encoding_format"), "encoding_format", ("float", "base64"))


def _check_model(body: Body, models: Collection[str]) -> None:
    model = body.get("model")
    if model is None:
        raise ApiError(400, "you must provide a model parameter")
    if not isinstance(model, str):
        raise _wrong_type(model, "model", "a string")
    if model not in models:
        raise unknown_model(model)


def _check_messages(body: Body) -> None:
    if (messages := body.get("messages")) is None:
        raise _missing("messages")
    if not isinstance(messages, list):
        raise _wrong_type(messages, "messages", "an array of objects")
    if not messages:
        raise _empty_array("messages")
    for index, message in enumerate(messages):
        _check_message(message, f"messages[{index}]")
    _check_calls(messages)


def _check_message(message: object, where: str) -> None:
    if not isinstance(message, dict):
        raise _wrong_type(message, where, "an object")
    if (role := message.get("role")) is None:
        raise _missing(f"{where}.role")
    _check_value(role, f"{where}.role", ROLES)
    content = message.get("content")
    if content is None:
        # An assistant's turn may be a tool call or a refusal, without content.
        if role == "assistant":
            return
        raise _wrong_type(content, f"{where}.content", "a string")
    if isinstance(content, list):
        for index, part in enumerate(content):
            _check_part(part, f"{where}.content[{index}]")
    elif not isinstance(content, str):
        raise _wrong_type(content, f"{where}.content", "a string")


def _check_part(part: object, where: str) -> None:
    if not isinstance(part, dict):
        raise _wrong_type(part, where, "an object")
    if (kind := part.get("type")) is None:
        raise _missing(f"{where}.type")
    if kind not in ("text", "refusal"):
        raise invalid(
            f"Invalid content type. {kind} is only supported by certain models.",
            f"{where}.type",
            None,
        )
    if not isinstance(text := part.get(kind), str):
        raise _wrong_type(text, f"{where}.{kind}", "a string")


def _check_served(body: Body, *, reasoning: bool) -> None:
    """Refuse what would change an answer of the API and changes none here."""
    for param, value in body.items():
        if param not in _CHAT and value is not None:
            raise unrecognized(param)
        idle = _IDLE.get(param, ())
        if value is None or value in idle:
            continue
        if idle or param in _UNSERVED or (param in _REASONING and not reasoning):
            raise unsupported(param)


def _check_tools(body: Body) -> None:
    tools, choice = body.get("tools"), body.get("tool_choice")
    if tools is None:
        if choice is not None:
            raise invalid(
                "Invalid value for 'tool_choice': 'tool_choice' is only allowed when "
                "'tools' are specified.",
                "tool_choice",
                None,
            )
        return
    if not isinstance(tools, list):
        raise _wrong_type(tools, "tools", "an array of objects")
    if not tools:
        raise _empty_array("tools")
    names = [_tool_name(tool, f"tools[{at}]") for at, tool in enumerate(tools)]
    match choice:
        case None | "none" | "auto" | "required":
            return
        case {"type": "function", "function": {"name": name}} if name in names:
            return
        case {"type": "function", "function": {"name": name}}:
            raise invalid(
                f"Tool choice '{name}' not found in 'tools' parameter.",
                "tool_choice",
                None,
            )
        case str():
            _check_value(choice, "tool_choice", ("none", "auto", "required"))
        case _:
            raise _wrong_type(choice, "tool_choice", "a string or a named function")


def _tool_name(tool: object, where: str) -> str:
    if not isinstance(tool, dict):
        raise _wrong_type(tool, where, "an object")
    _check_value(tool.get("type"), f"{where}.type", ("function", "custom"))
    if tool.get("type") != "function":
        raise invalid(
            "Only tools of type 'function' are served.", f"{where}.type", None
        )
    if not isinstance(function := tool.get("function"), dict):
        raise _wrong_type(function, f"{where}.function", "an object")
    if not isinstance(name := function.get("name"), str):
        raise _missing(f"{where}.function.name")
    if not _TOOL_NAME.fullmatch(name):
        raise invalid(
            f"Invalid '{where}.function.name': string does not match pattern. Expected "
            "a string that matches the pattern '^[a-zA-Z0-9_-]+$'.",
            f"{where}.function.name",
            "invalid_value",
        )
    if not isinstance(schema := function.get("parameters") or {}, dict):
        raise _wrong_type(schema, f"{where}.function.parameters", "an object")
    return name


def _check_calls(messages: Sequence[Body]) -> None:
    """Refuse calls without results, and results without a call."""
    open_calls: list[str] = []
    for index, message in enumerate(messages):
        where = f"messages[{index}]"
        if message["role"] == "tool":
            if (id_ := message.get("tool_call_id")) is None:
                raise _missing(f"{where}.tool_call_id")
            if id_ not in open_calls:
                raise invalid(
                    "Invalid parameter: messages with role 'tool' must be a response "
                    "to a preceeding message with 'tool_calls'.",
                    f"{where}.role",
                    None,
                )
            open_calls.remove(id_)
            continue
        if open_calls:
            raise _unanswered(open_calls, where)
        open_calls = _call_ids(message, where)
    if open_calls:
        raise _unanswered(open_calls, "messages")


def _call_ids(message: Body, where: str) -> list[str]:
    calls = message.get("tool_calls")
    if calls is None:
        return []
    match calls:
        case [*_] if all(
            isinstance(call, dict)
            and isinstance(call.get("id"), str)
            and isinstance(function := call.get("function"), dict)
            and isinstance(function.get("name"), str)
            and isinstance(function.get("arguments"), str)
            for call in calls
        ):
            return [call["id"] for call in calls]
    raise _wrong_type(calls, f"{where}.tool_calls", "an array of function calls")


def _unanswered(open_calls: Sequence[str], where: str) -> ApiError:
    return invalid(
        "An assistant message with 'tool_calls' must be followed by tool messages "
        "responding to each 'tool_call_id'. The following tool_call_ids did not have "
        f"response messages: {', '.join(open_calls)}",
        where,
        None,
    )


def _check_reasoning(body: Body) -> None:
    if body.get("max_tokens") is not None:
        raise unsupported("max_tokens", instead="max_completion_tokens")
    if body.get("reasoning_effort") != "none":
        for param in _REASONING_REFUSES:
            if body.get(param) is not None:
                raise unsupported(param)


def _check_numbers(body: Body) -> None:
    for param, (low, high) in _DECIMALS.items():
        if (value := body.get(param)) is not None:
            if type(value) not in (int, float):
                raise _wrong_type(value, param, "a decimal")
            _check_range(value, param, "decimal", low, high)
    for param, (least, most) in _INTEGERS.items():
        if (value := body.get(param)) is not None:
            if type(value) is not int:
                raise _wrong_type(value, param, "an integer")
            _check_range(value, param, "integer", least, most)
    if body.get("top_logprobs") is not None and not body.get("logprobs"):
        raise invalid(
            "The 'top_logprobs' parameter is only allowed when 'logprobs' is enabled.",
            "top_logprobs",
            None,
        )


def _check_range(
    value: float, param: str, kind: str, low: float, high: float | None
) -> None:
    if value < low:
        side, code, bound = "below minimum", "below_min", f">= {low}"
    elif high is not None and value > high:
        side, code, bound = "above maximum", "above_max", f"<= {high}"
    else:
        return
    raise invalid(
        f"Invalid '{param}': {kind} {side} value. "
        f"Expected a value {bound}, but got {value} instead.",
        param,
        f"{kind}_{code}_value",
    )


def _check_stop(body: Body) -> None:
    match body.get("stop"):
        case None | str():
            return
        case [*stops] if len(stops) > 4:
            raise invalid(
                "Invalid 'stop': array too long. Expected an array with maximum "
                f"length 4, but got an array with length {len(stops)} instead.",
                "stop",
                "array_above_max_length",
            )
        case [*stops] if all(isinstance(stop, str) for stop in stops):
            return
        case stop:
            raise _wrong_type(stop, "stop", "a string or an array of strings")


def _check_format(body: Body) -> None:
    form = body.get("response_format")
    if form is None:
        return
    if not isinstance(form, dict):
        raise _wrong_type(form, "response_format", "an object")
    _check_value(form.get("type"), "response_format.type", _FORMATS, required=True)
    if form["type"] == "json_schema":
        param = "response_format.json_schema"
        if (named := form.get("json_schema")) is None:
            raise _missing(param)
        if not isinstance(named, dict):
            raise _wrong_type(named, param, "an object")
        if not isinstance(schema := named.get("schema", {}), dict):
            raise _wrong_type(schema, f"{param}.schema", "an object")


def _check_stream(body: Body) -> None:
    if (stream := body.get("stream")) is not None and not isinstance(stream, bool):
        raise _wrong_type(stream, "stream", "a boolean")
    options = body.get("stream_options")
    if options is None:
        return
    if not isinstance(options, dict):
        raise _wrong_type(options, "stream_options", "an object")
    if not stream:
        raise invalid(
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
            "stream_options",
            None,
        )


def _check_input(body: Body) -> None:
    match body.get("input"):
        case None:
            raise _missing("input")
        case str(text):
            if not text:
                raise invalid("'$.input' is invalid: empty string.", "input", None)
        case []:
            raise _empty_array("input")
        case [*inputs] if len(inputs) > MAX_INPUTS:
            raise invalid(
                "Invalid 'input': array too long. Expected an array with maximum "
                f"length {MAX_INPUTS}, but got an array with length "
                f"{len(inputs)} instead.",
                "input",
                "array_above_max_length",
            )
        case [*inputs] if (
            all(isinstance(text, str) and text for text in inputs)
            or all(map(_is_token, inputs))
            or all(isinstance(i, list) and i and all(map(_is_token, i)) for i in inputs)
        ):
            return
        case _:
            raise invalid("'$.input' is invalid.", "input", None)


def _is_token(value: object) -> bool:
    return type(value) is int


def _check_value(
    value: object, param: str, supported: tuple[str, ...], *, required: bool = False
) -> None:
    if value in supported or (value is None and not required):
        return
    if value is None:
        raise _missing(param)
    if not isinstance(value, str):
        raise _wrong_type(value, param, f"one of {_listed(supported)}")
    raise invalid(
        f"Invalid value: '{value}'. Supported values are: {_listed(supported)}.",
        param,
        "invalid_value",
    )


def _listed(values: tuple[str, ...]) -> str:
    quoted = [f"'{value}'" for value in values]
    return f"{', '.join(quoted[:-1])}, and {quoted[-1]}"


def _missing(param: str) -> ApiError:
    return invalid(
        f"Missing required parameter: '{param}'.", param, "missing_required_parameter"
    )


def _empty_array(param: str) -> ApiError:
    return invalid(
        f"Invalid '{param}': empty array. Expected an array with minimum length 1, "
        "but got an empty array instead.",
        param,
        "empty_array",
    )


def _wrong_type(value: object, param: str, expected: str) -> ApiError:
    got = _JSON_TYPES.get(type(value), "something else")
    return invalid(
        f"Invalid type for '{param}': expected {expected}, but got {got} instead.",
        param,
        "invalid_type",
    )
