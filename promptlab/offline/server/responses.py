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
from promptlab.offline.server.errors import invalid, unsupported
from promptlab.offline.server.wire import logprob_items

Json = dict[str, Any]
Body = Mapping[str, Any]

LOGPROBS = "message.output_text.logprobs"

KNOWN = {
    *("model", "input", "instructions", "max_output_tokens", "temperature", "top_p"),
    *("text", "tools", "tool_choice", "parallel_tool_calls", "stream", "include"),
    *("top_logprobs", "store", "reasoning", "truncation", "metadata", "user"),
    *("safety_identifier", "prompt_cache_key", "service_tier", "stream_options"),
}


def chat_request(body: Body) -> Json:
    """The chat request that asks the same.

    Raises:
        ApiError: something in it is wrong, or not served here.
    """
    for name, value in body.items():
        if name not in KNOWN and value is not None:
            raise unsupported(name)
    if body.get("store"):
        raise unsupported("store")
    include = body.get("include") or []
    if not isinstance(include, list) or any(each != LOGPROBS for each in include):
        raise invalid(f"'include' takes only '{LOGPROBS}' here.", "include", None)
    request: Json = {
        "model": body.get("model"),
        "messages": [*_instructions(body), *_messages(body.get("input"))],
        "max_completion_tokens": body.get("max_output_tokens"),
        "temperature": body.get("temperature"),
        "top_p": body.get("top_p"),
        "response_format": _format(body.get("text")),
        "tools": _tools(body.get("tools")),
        "tool_choice": _tool_choice(body.get("tool_choice")),
        "parallel_tool_calls": body.get("parallel_tool_calls"),
        "stream": body.get("stream"),
        "reasoning_effort": (body.get("reasoning") or {}).get("effort"),
        "top_logprobs": body.get("top_logprobs"),
        "logprobs": True if include or body.get("top_logprobs") else None,
    }
    return {name: value for name, value in request.items() if value is not None}


def response(answer: Answer, body: Body) -> Json:
    """A response with one answer."""
    done = answer.finish_reason != "length"
    return _frame(body) | {
        "status": "completed" if done else "incomplete",
        "completed_at": int(time.time()),
        "incomplete_details": None if done else {"reason": "max_output_tokens"},
        "output": _output(answer),
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
    whole = response(answer, body)
    begun = whole | {
        "status": "in_progress",
        "completed_at": None,
        "incomplete_details": None,
        "output": [],
        "usage": None,
    }
    ended = "completed" if whole["status"] == "completed" else "incomplete"
    made = [
        {"type": "response.created", "response": begun},
        {"type": "response.in_progress", "response": begun},
        *(e for at, item in enumerate(whole["output"]) for e in _item_events(item, at)),
        {"type": f"response.{ended}", "response": whole},
    ]
    for number, event in enumerate(made):
        yield {**event, "sequence_number": number}


def _item_events(item: Json, index: int) -> Iterator[Json]:
    """What a stream says of one item of the output."""
    place = {"item_id": item["id"], "output_index": index}
    if item["type"] == "function_call":
        yield _added(item | {"arguments": "", "status": "in_progress"}, index)
        for piece in tokens.split(item["arguments"]):
            yield {
                "type": "response.function_call_arguments.delta",
                **place,
                "delta": piece,
            }
        yield {
            "type": "response.function_call_arguments.done",
            **place,
            "name": item["name"],
            "arguments": item["arguments"],
        }
    else:
        (part,) = item["content"]
        yield _added(item | {"content": [], "status": "in_progress"}, index)
        place["content_index"] = 0
        empty = {**part, "text": "", "logprobs": []}
        yield {"type": "response.content_part.added", **place, "part": empty}
        scored = part["logprobs"] or [None] * len(tokens.split(part["text"]))
        for piece, scores in zip(tokens.split(part["text"]), scored, strict=True):
            yield {
                "type": "response.output_text.delta",
                **place,
                "delta": piece,
                "logprobs": [scores] if scores else [],
            }
        yield {
            "type": "response.output_text.done",
            **place,
            "text": part["text"],
            "logprobs": part["logprobs"],
        }
        yield {"type": "response.content_part.done", **place, "part": part}
    yield {"type": "response.output_item.done", "output_index": index, "item": item}


def _added(item: Json, index: int) -> Json:
    return {"type": "response.output_item.added", "output_index": index, "item": item}


def _frame(body: Body) -> Json:
    return {
        "id": f"resp_{uuid.uuid4().hex}",
        "object": "response",
        "created_at": int(time.time()),
        "error": None,
        "instructions": body.get("instructions"),
        "max_output_tokens": body.get("max_output_tokens"),
        "metadata": body.get("metadata") or {},
        "model": body["model"],
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
    }


def _output(answer: Answer) -> list[Json]:
    status = "incomplete" if answer.finish_reason == "length" else "completed"
    if answer.tool_calls:
        return [
            {
                "id": f"fc_{uuid.uuid4().hex}",
                "type": "function_call",
                "status": status,
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
            "status": status,
            "role": "assistant",
            "content": [part],
        }
    ]


def _instructions(body: Body) -> Iterator[Json]:
    match body.get("instructions"):
        case None:
            return
        case str(text):
            yield {"role": "system", "content": text}
        case _:
            raise invalid("'instructions' must be a string here.", "instructions", None)


def _messages(given: object) -> Iterator[Json]:
    """The items of an input as chat messages."""
    match given:
        case None:
            raise invalid(
                "Missing required parameter: 'input'.",
                "input",
                "missing_required_parameter",
            )
        case str(text):
            yield {"role": "user", "content": text}
        case [*items]:
            for at, item in enumerate(items):
                yield _message(item, f"input[{at}]")
        case _:
            raise invalid("'input' must be a string or an array.", "input", None)


def _message(item: object, where: str) -> Json:
    match item:
        case {"type": "function_call", "call_id": id_, "name": name, "arguments": said}:
            call = {"name": name, "arguments": said}
            calls = [{"id": id_, "type": "function", "function": call}]
            return {"role": "assistant", "content": None, "tool_calls": calls}
        case {"type": "function_call_output", "call_id": id_, "output": output}:
            return {
                "role": "tool",
                "tool_call_id": id_,
                "content": _content(output, where),
            }
        case {"role": str(role), "content": content, **rest} if (
            rest.get("type", "message") == "message"
        ):
            return {"role": role, "content": _content(content, where)}
        case {"type": str(kind)}:
            raise invalid(f"Items of type '{kind}' are not served here.", where, None)
        case _:
            raise invalid(f"'{where}' is not an item of a conversation.", where, None)


def _content(content: object, where: str) -> Any:
    """The content of a message: a text, or parts in the names of chat requests."""
    if not isinstance(content, list):
        return content
    parts = []
    for at, part in enumerate(content):
        match part:
            case {"type": "input_text" | "output_text" | "text", "text": text}:
                parts.append({"type": "text", "text": text})
            case {"type": str(kind)}:
                raise invalid(
                    f"Invalid content type. {kind} is not served here.",
                    f"{where}.content[{at}].type",
                    None,
                )
            case _:
                raise invalid("A part of content needs a type.", where, None)
    return parts


def _format(text: object) -> Json | None:
    """`text.format` as the `response_format` of a chat request."""
    match text:
        case None | {"format": None}:
            return None
        case {"verbosity": str()}:
            raise unsupported("text.verbosity")
        case {"format": {"type": "json_schema", **named}}:
            return {"type": "json_schema", "json_schema": named}
        case {"format": {"type": _} as form}:
            return dict(form)
        case dict() if "format" not in text:
            return None
        case _:
            raise invalid("'text.format' must be an object.", "text.format", None)


def _tools(tools: object) -> list[Json] | None:
    """The tools in the form of chat requests."""
    if tools is None:
        return None
    if not isinstance(tools, list):
        raise invalid("'tools' must be an array of objects.", "tools", None)
    functions = []
    for at, tool in enumerate(tools):
        match tool:
            case {"type": "function", **function}:
                functions.append({"type": "function", "function": function})
            case {"type": kind}:
                message = f"Tools of type '{kind}' are not served here."
                raise invalid(message, f"tools[{at}].type", None)
            case _:
                raise invalid("A tool needs a type.", f"tools[{at}]", None)
    return functions


def _tool_choice(choice: object) -> Any:
    match choice:
        case {"type": "function", "name": name}:
            return {"type": "function", "function": {"name": name}}
        case _:
            return choice
