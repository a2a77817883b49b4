"""The wire format: answers as the JSON objects and stream chunks of the OpenAI API."""

import base64
import time
import uuid
from array import array
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from promptlab.offline.responder.responder import RESPONDER_VERSION
from promptlab.offline.server import tokens
from promptlab.offline.server.answers import Answer

FINGERPRINT = f"fp_offline_{RESPONDER_VERSION}"
"""The system_fingerprint of every completion."""

Json = dict[str, Any]
Body = Mapping[str, Any]


def completion(answers: Sequence[Answer], body: Body) -> Json:
    """A chat.completion with one choice per answer."""
    return _frame("chatcmpl", "chat.completion", body) | {
        "choices": [
            {
                "index": index,
                "message": {
                    "role": "assistant",
                    "content": None if answer.tool_calls else answer.text,
                    "refusal": None,
                    "annotations": [],
                }
                | ({"tool_calls": _calls(answer)} if answer.tool_calls else {}),
                "logprobs": _logprobs(logprob_items(answer)),
                "finish_reason": answer.finish_reason,
            }
            for index, answer in enumerate(answers)
        ],
        "usage": usage(answers),
        "service_tier": "default",
    }


def chunks(answers: Sequence[Answer], body: Body) -> Iterator[Json]:
    """The chat.completion.chunks of a stream: role, tokens, finish, perhaps usage."""
    frame = _frame("chatcmpl", "chat.completion.chunk", body)
    frame["service_tier"] = "default"
    if with_usage := (body.get("stream_options") or {}).get("include_usage"):
        frame["usage"] = None
    for index, answer in enumerate(answers):
        for delta, scores, reason in _deltas(answer):
            choice = {"index": index, "delta": delta, "logprobs": _logprobs(scores)}
            yield frame | {"choices": [choice | {"finish_reason": reason}]}
    if with_usage:
        yield frame | {"choices": [], "usage": usage(answers)}


def text_completion(answers: Sequence[Answer], body: Body) -> Json:
    """A text_completion of the older endpoint, with one choice per answer."""
    choices = [
        {
            "index": index,
            "text": answer.text,
            "logprobs": None,
            "finish_reason": answer.finish_reason,
        }
        for index, answer in enumerate(answers)
    ]
    frame = _frame("cmpl", "text_completion", body)
    return frame | {"choices": choices, "usage": usage(answers)}


def text_chunks(answers: Sequence[Answer], body: Body) -> Iterator[Json]:
    """The chunks of a stream of the older endpoint."""
    whole = text_completion(answers, body)
    for choice, answer in zip(whole["choices"], answers, strict=True):
        for token in tokens.split(answer.text):
            part = choice | {"text": token, "finish_reason": None}
            yield whole | {"choices": [part], "usage": None}
        yield whole | {"choices": [choice | {"text": ""}], "usage": None}
    if (body.get("stream_options") or {}).get("include_usage"):
        yield whole | {"choices": []}


def logprob_items(answer: Answer) -> list[Json] | None:
    """The log probabilities of an answer's tokens; None where nobody asked for them."""
    if answer.logprobs is None:
        return None
    return [
        {
            **_scored(each.token, each.logprob),
            "top_logprobs": [_scored(*other) for other in each.top],
        }
        for each in answer.logprobs
    ]


def usage(answers: Sequence[Answer]) -> Json:
    """The usage block: the prompt counted once, the completions summed."""
    prompt = answers[0].prompt_tokens
    completed = sum(answer.completion_tokens for answer in answers)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completed,
        "total_tokens": prompt + completed,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": sum(answer.reasoning_tokens for answer in answers),
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def embeddings(vectors: Sequence[list[float]], body: Body, prompt_tokens: int) -> Json:
    """An embeddings reply; vectors are lists of floats, or base64 of 32-bit ones in
    the byte order of this machine."""
    packed = body.get("encoding_format") == "base64"
    return {
        "object": "list",
        "data": [
            {
                "object": "embedding",
                "index": index,
                "embedding": base64.b64encode(array("f", vector).tobytes()).decode()
                if packed
                else vector,
            }
            for index, vector in enumerate(vectors)
        ],
        "model": body["model"],
        "usage": {"prompt_tokens": prompt_tokens, "total_tokens": prompt_tokens},
    }


def model(name: str) -> Json:
    """One model."""
    return {"id": name, "object": "model", "created": 0, "owned_by": "promptlab"}


def _frame(prefix: str, kind: str, body: Body) -> Json:
    return {
        "id": f"{prefix}-{uuid.uuid4().hex}",
        "object": kind,
        "created": int(time.time()),
        "model": body["model"],
        "system_fingerprint": FINGERPRINT,
    }


def _deltas(
    answer: Answer,
) -> Iterator[tuple[Json, list[Json] | None, str | None]]:
    """What a stream says of one answer: deltas, log probabilities, how it ended."""
    content = None if answer.tool_calls else ""
    yield {"role": "assistant", "content": content, "refusal": None}, None, None
    for index, call in enumerate(_calls(answer)):
        name, arguments = call["function"].values()
        begun = call | {"index": index, "function": {"name": name, "arguments": ""}}
        yield {"tool_calls": [begun]}, None, None
        for piece in tokens.split(arguments):
            more = {"index": index, "function": {"arguments": piece}}
            yield {"tool_calls": [more]}, None, None
    items = logprob_items(answer)
    for index, token in enumerate(tokens.split(answer.text)):
        yield {"content": token}, [items[index]] if items else None, None
    yield {}, None, answer.finish_reason


def _calls(answer: Answer) -> list[Json]:
    return [
        {
            "id": call.id,
            "type": "function",
            "function": {"name": call.name, "arguments": call.arguments},
        }
        for call in answer.tool_calls
    ]


def _scored(token: str, logprob: float) -> Json:
    return {"token": token, "logprob": logprob, "bytes": list(token.encode())}


def _logprobs(items: list[Json] | None) -> Json | None:
    return None if items is None else {"content": items, "refusal": None}
