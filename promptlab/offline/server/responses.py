"""The Responses API: its requests as chat requests, its answers from the same answers.

Nothing is kept from one request to the next, so `previous_response_id`, `conversation`
and `store: true` are refused, as are built-in tools.
"""

import time
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from promptlab.offline.server import tokens
from promptlab.offline.server.answers import Answer
from promptlab.offline.server.errors import ApiError, invalid, missing, unsupported
from promptlab.offline.server.wire import logprob_items

Json = dict[str, Any]
Body = Mapping[str, Any]

LOGPROBS = "message.output_text.logprobs"

_SAME = ("model", "temperature", "top_p", "parallel_tool_calls", "stream")
"""Parameters that chat requests have under the same name."""
_SERVED = {
    *_SAME,
    *("input", "instructions", "max_output_tokens", "text", "tools", "tool_choice"),
    *("include", "top_logprobs", "reasoning", "truncation", "metadata", "user"),
    *("safety_identifier", "prompt_cache_key", "service_tier", "stream_options"),
}


def chat_request(body: Body) -> Json:
    """The chat request that asks the same.

    Raises:
        ApiError: something in it is wrong, or not served here.
    """
    for name, value in body.items():
        idle = value is None or (name == "store" and value is False)
        if name not in _SERVED and not idle:
            raise unsupported(name)
    include = body.get("include") or []
    if not isinstance(include, list) or any(each != LOGPROBS for each in include):
        raise _unserved(f"'include' must list only '{LOGPROBS}'.", "include")
    request: Json = {
        **{name: body.get(name) for name in _SAME},
        "messages": [*_instructions(body), *_messages(body.get("input"))],
        "max_completion_tokens": body.get("max_output_tokens"),
        "response_format": _format(body.get("text")),
        "tools": _tools(body.get("tools")),
        "tool_choice": _tool_choice(body.get("tool_choice")),
        "reasoning_effort": (body.get("reasoning") or {}).get("effort"),
        "top_logprobs": body.get("top_logprobs"),
        "logprobs": True if include or body.get("top_logprobs") else None,
    }
    return {name: value for name, value in request.items() if value is not None}


def response(answer: Answer, body: Body) -> Json:
    """A response with one answer."""
    cut = answer.finish_reason == "length"
    status = "incomplete" if cut else "completed"
    return {
        "id": f"resp_{uuid.uuid4().hex}",
        "object": "response",
        "created_at": int(time.time()),
        "completed_at": int(time.time()),
        "status": status,
        "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
        "error": None,
        "instructions": body.get("instructions"),
        "max_output_tokens": body.get("max_output_tokens"),
        "metadata": body.get("metadata") or {},
        "model": body["model"],
        "output": [item | {"status": status} for item in _output(answer)],
        "parallel_tool_calls": body.get("parallel_tool_calls") is not False,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "service_tier": "default",
        "store": False,
        "temperature": body.get("temperature", 1.0),
        "text": body.get("text") or {"format": {"type": "text"}},
        "tool_choice": body.get("tool_choice") or "auto",
        "tools": body.get("tools") or [],
        "top_p": body.get("top_p", 1.0),
        "truncation": "disabled",
        "usage": {
            "input_tokens": answer.prompt_tokens,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": answer.completion_tokens,
            "output_tokens_details": {"reasoning_tokens": answer.reasoning_tokens},
            "total_tokens": answer.prompt_tokens + answer.completion_tokens,
        },
    }


def events(answer: Answer, body: Body) -> Iterator[Json]:
    """The events of a stream, in order."""
    for number, (kind, event) in enumerate(_events(response(answer, body))):
        yield {"type": f"response.{kind}", **event, "sequence_number": number}


def _events(whole: Json) -> Iterator[tuple[str, Json]]:
    later = dict.fromkeys(("completed_at", "incomplete_details", "usage"))
    begun = whole | later | {"status": "in_progress", "output": []}
    yield "created", {"response": begun}
    yield "in_progress", {"response": begun}
    for index, item in enumerate(whole["output"]):
        place = {"output_index": index}
        empty: Json = {"content": []} if "content" in item else {"arguments": ""}
        added = item | empty | {"status": "in_progress"}
        yield "output_item.added", {**place, "item": added}
        yield from _item_events(item, {"item_id": item["id"], **place})
        yield "output_item.done", {**place, "item": item}
    yield whole["status"], {"response": whole}


def _item_events(item: Json, place: Json) -> Iterator[tuple[str, Json]]:
    """What a stream says of the content of one item of the output."""
    if item["type"] == "function_call":
        for piece in tokens.split(item["arguments"]):
            yield "function_call_arguments.delta", {**place, "delta": piece}
        whole = {"name": item["name"], "arguments": item["arguments"]}
        yield "function_call_arguments.done", {**place, **whole}
        return
    (part,) = item["content"]
    place = {**place, "content_index": 0}
    empty = {**part, "text": "", "logprobs": []}
    yield "content_part.added", {**place, "part": empty}
    for index, piece in enumerate(tokens.split(part["text"])):
        scores = part["logprobs"][index : index + 1]
        yield "output_text.delta", {**place, "delta": piece, "logprobs": scores}
    whole = {"text": part["text"], "logprobs": part["logprobs"]}
    yield "output_text.done", {**place, **whole}
    yield "content_part.done", {**place, "part": part}


def _output(answer: Answer) -> list[Json]:
    if answer.tool_calls:
        return [
            {
                "id": f"fc_{uuid.uuid4().hex}",
                "type": "function_call",
                "call_id": call.id,
                "name": call.name,
                "arguments": call.arguments,
            }
            for call in answer.tool_calls
        ]
    part = {
        "type": "output_text",
        "text": answer.text,
        "annotations": [],
        "logprobs": logprob_items(answer) or [],
    }
    return [
        {
            "id": f"msg_{uuid.uuid4().hex}",
            "type": "message",
            "role": "assistant",
            "content": [part],
        }
    ]


def _unserved(message: str, where: str) -> ApiError:
    return invalid(message, where, None)


def _instructions(body: Body) -> list[Json]:
    match body.get("instructions"):
        case None:
            return []
        case str(text):
            return [{"role": "system", "content": text}]
        case _:
            raise _unserved("'instructions' must be a string.", "instructions")


def _messages(given: object) -> list[Json]:
    """The items of an input as chat messages."""
    match given:
        case None:
            raise missing("input")
        case str(text):
            return [{"role": "user", "content": text}]
        case [*items]:
            return [_message(item, f"input[{at}]") for at, item in enumerate(items)]
        case _:
            raise _unserved("'input' must be a string or an array.", "input")


def _message(item: object, where: str) -> Json:
    match item:
        case {"type": "function_call", "call_id": id_, "name": name, "arguments": args}:
            call = {"name": name, "arguments": args}
            calls = [{"id": id_, "type": "function", "function": call}]
            return {"role": "assistant", "content": None, "tool_calls": calls}
        case {"type": "function_call_output", "call_id": id_, "output": output}:
            content = _content(output, where)
            return {"role": "tool", "tool_call_id": id_, "content": content}
        case {"role": str(role), "content": content, **rest} if (
            rest.get("type", "message") == "message"
        ):
            return {"role": role, "content": _content(content, where)}
        case {"type": str(kind)}:
            raise _unserved(
                f"Items of type '{kind}' are not supported by the offline model.", where
            )
        case _:
            raise _unserved(f"'{where}' must be an item of a conversation.", where)


def _content(content: object, where: str) -> Any:
    """The content of a message: a string, or parts in the names of chat requests."""
    if not isinstance(content, list):
        return content
    parts = []
    for at, part in enumerate(content):
        match part:
            case {"type": "input_text" | "output_text" | "text", "text": text}:
                parts.append({"type": "text", "text": text})
            case {"type": str(kind)}:
                message = (
                    f"Content of type '{kind}' is not supported by the offline model."
                )
                raise _unserved(message, f"{where}.content[{at}].type")
            case _:
                raise _unserved("Each part of the content must have a type.", where)
    return parts


def _format(text: object) -> Json | None:
    """`text.format` as the `response_format` of a chat request."""
    match text:
        case {"verbosity": str()}:
            raise unsupported("text.verbosity")
        case {"format": {"type": "json_schema", **named}}:
            return {"type": "json_schema", "json_schema": named}
        case {"format": {"type": _} as form}:
            return dict(form)
        case None | {"format": None}:
            return None
        case dict() if "format" not in text:
            return None
        case _:
            raise _unserved("'text.format' must be an object.", "text.format")


def _tools(tools: object) -> list[Json] | None:
    """The tools in the form of chat requests."""
    if tools is None:
        return None
    if not isinstance(tools, list):
        raise _unserved("'tools' must be an array of objects.", "tools")
    functions = []
    for at, tool in enumerate(tools):
        match tool:
            case {"type": "function", **function}:
                functions.append({"type": "function", "function": function})
            case {"type": kind}:
                message = (
                    f"Tools of type '{kind}' are not supported by the offline model."
                )
                raise _unserved(message, f"tools[{at}].type")
            case _:
                raise _unserved("Each tool must have a type.", f"tools[{at}]")
    return functions


def _tool_choice(choice: object) -> Any:
    match choice:
        case {"type": "function", "name": name}:
            return {"type": "function", "function": {"name": name}}
        case _:
            return choice
