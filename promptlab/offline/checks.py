"""Checks: whether a request is one the API takes, before anything is answered."""

from collections.abc import Collection, Mapping
from typing import Any

from promptlab.offline.errors import (
    ApiError,
    invalid,
    unknown_model,
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
    _check_messages(body)
    if reasoning:
        _check_reasoning(body)
    _check_numbers(body)
    _check_stop(body)
    _check_format(body)
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
    if kind == "text" and not isinstance(text := part.get("text"), str):
        raise _wrong_type(text, f"{where}.text", "a string")


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
