"""The wire format: answers as the JSON objects and stream chunks of the OpenAI API."""

from collections.abc import Iterator, Sequence
from typing import Any

from promptlab.offline.responder.responder import RESPONDER_VERSION
from promptlab.offline.server import tokens
from promptlab.offline.server.answers import Answer, ToolCall

FINGERPRINT = f"fp_offline_{RESPONDER_VERSION}"
"""The system_fingerprint of every completion."""

Json = dict[str, Any]


def completion(answers: Sequence[Answer], *, id: str, created: int, model: str) -> Json:
    """A chat.completion with one choice per answer; `created` in Unix seconds."""
    return {
        "id": id,
        "object": "chat.completion",
        "created": created,
        "model": model,
        "choices": [
            {
                "index": index,
                "message": _message(answer),
                "logprobs": _logprobs(logprob_items(answer)),
                "finish_reason": answer.finish_reason,
            }
            for index, answer in enumerate(answers)
        ],
        "usage": usage(answers),
        "service_tier": "default",
        "system_fingerprint": FINGERPRINT,
    }


def chunks(
    answers: Sequence[Answer],
    *,
    id: str,
    created: int,
    model: str,
    include_usage: bool,
) -> Iterator[Json]:
    """The chat.completion.chunks of a stream: role, tokens, finish, perhaps usage."""
    frame: Json = {
        "id": id,
        "object": "chat.completion.chunk",
        "created": created,
        "model": model,
        "service_tier": "default",
        "system_fingerprint": FINGERPRINT,
    }
    if include_usage:
        frame["usage"] = None
    for index, answer in enumerate(answers):
        content = None if answer.tool_calls else ""
        role = {"role": "assistant", "content": content, "refusal": None}
        yield frame | {"choices": [_delta(index, role)]}
        for place, call in enumerate(answer.tool_calls):
            begun = {"index": place, **_call(call), "function": {"name": call.name}}
            begun["function"]["arguments"] = ""
            yield frame | {"choices": [_delta(index, {"tool_calls": [begun]})]}
            for piece in tokens.split(call.arguments):
                more = {"index": place, "function": {"arguments": piece}}
                yield frame | {"choices": [_delta(index, {"tool_calls": [more]})]}
        pieces = tokens.split(answer.text)
        items = logprob_items(answer)
        scores: list[list[Json] | None] = (
            [[item] for item in items] if items else [None] * len(pieces)
        )
        for token, scored in zip(pieces, scores, strict=True):
            yield frame | {"choices": [_delta(index, {"content": token}, scored)]}
        yield frame | {
            "choices": [_delta(index, {}, finish_reason=answer.finish_reason)]
        }
    if include_usage:
        yield frame | {"choices": [], "usage": usage(answers)}


def text_completion(
    answers: Sequence[Answer], *, id: str, created: int, model: str
) -> Json:
    """A text_completion of the older endpoint, with one choice per answer."""
    return {
        "id": id.replace("chatcmpl", "cmpl"),
        "object": "text_completion",
        "created": created,
        "model": model,
        "choices": [
            {
                "index": index,
                "text": answer.text,
                "logprobs": None,
                "finish_reason": answer.finish_reason,
            }
            for index, answer in enumerate(answers)
        ],
        "usage": usage(answers),
        "system_fingerprint": FINGERPRINT,
    }


def text_chunks(
    answers: Sequence[Answer],
    *,
    id: str,
    created: int,
    model: str,
    include_usage: bool,
) -> Iterator[Json]:
    """The chunks of a stream of the older endpoint."""
    whole = text_completion(answers, id=id, created=created, model=model)
    for choice, answer in zip(whole["choices"], answers, strict=True):
        for token in tokens.split(answer.text):
            part = choice | {"text": token, "finish_reason": None}
            yield whole | {"choices": [part], "usage": None}
        yield whole | {"choices": [choice | {"text": ""}], "usage": None}
    if include_usage:
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


def _scored(token: str, logprob: float) -> Json:
    return {"token": token, "logprob": logprob, "bytes": list(token.encode())}


def _logprobs(items: list[Json] | None) -> Json | None:
    return None if items is None else {"content": items, "refusal": None}


def _message(answer: Answer) -> Json:
    message: Json = {
        "role": "assistant",
        "content": None if answer.tool_calls else answer.text,
        "refusal": None,
        "annotations": [],
    }
    if answer.tool_calls:
        message["tool_calls"] = [_call(call) for call in answer.tool_calls]
    return message


def _call(call: ToolCall) -> Json:
    return {
        "id": call.id,
        "type": "function",
        "function": {"name": call.name, "arguments": call.arguments},
    }


def _delta(
    index: int,
    delta: Json,
    scores: list[Json] | None = None,
    *,
    finish_reason: str | None = None,
) -> Json:
    return {
        "index": index,
        "delta": delta,
        "logprobs": _logprobs(scores),
        "finish_reason": finish_reason,
    }


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


def embeddings(
    vectors: Sequence[list[float] | str], *, model: str, prompt_tokens: int
) -> Json:
    """An embeddings reply; a vector is a list of floats, or base64 text."""
    return {
        "object": "list",
        "data": [
            {"object": "embedding", "index": index, "embedding": vector}
            for index, vector in enumerate(vectors)
        ],
        "model": model,
        "usage": {"prompt_tokens": prompt_tokens, "total_tokens": prompt_tokens},
    }


def model(name: str) -> Json:
    """One model."""
    return {"id": name, "object": "model", "created": 0, "owned_by": "promptlab"}


def models(names: Sequence[str]) -> Json:
    """The list of models."""
    return {"object": "list", "data": [model(name) for name in names]}


def without_choices(whole: Json) -> Json:
    """`whole` as a reply that leaves the answers out."""
    answers = ("choices", "output")
    return {name: value for name, value in whole.items() if name not in answers}


def with_wrong_types(whole: Json) -> Json:
    """`whole` with fields of types no client expects."""
    return whole | {"id": 7, "choices": "nope", "usage": [1, 2]}
