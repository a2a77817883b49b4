"""The wire format: answers as the JSON objects and stream chunks of the OpenAI API."""

from collections.abc import Iterator, Sequence
from typing import Any

from promptlab.offline import tokens
from promptlab.offline.responder import RESPONDER_VERSION, Answer

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
                "message": {
                    "role": "assistant",
                    "content": answer.text,
                    "refusal": None,
                    "annotations": [],
                },
                "logprobs": None,
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
        role = {"role": "assistant", "content": "", "refusal": None}
        yield frame | {"choices": [_delta(index, role)]}
        for token in tokens.split(answer.text):
            yield frame | {"choices": [_delta(index, {"content": token})]}
        yield frame | {"choices": [_delta(index, {}, answer.finish_reason)]}
    if include_usage:
        yield frame | {"choices": [], "usage": usage(answers)}


def _delta(index: int, delta: Json, finish_reason: str | None = None) -> Json:
    return {
        "index": index,
        "delta": delta,
        "logprobs": None,
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
    return {name: value for name, value in whole.items() if name != "choices"}


def with_wrong_types(whole: Json) -> Json:
    """`whole` with fields of types no client expects."""
    return whole | {"id": 7, "choices": "nope", "usage": [1, 2]}
