"""The responder: the answer to a chat request, worked out from the request alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from promptlab.offline import tokens
from promptlab.offline.evidence import Evidence
from promptlab.offline.models import MODELS, Model
from promptlab.offline.sampling import Sampler, seeded
from promptlab.offline.task import read_task, text_of
from promptlab.offline.wishes import read_wishes
from promptlab.offline.writing import Writer

RESPONDER_VERSION = 1
"""Raised whenever any answer changes: it is part of what a cached answer depends on."""

DEFAULT_TEMPERATURE = 1.0
"""As in OpenAI's API, when a request names none."""

MESSAGE_TOKENS = 3
"""Tokens that each message costs beyond its text, and the reply once more."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One choice, with its tokens as `tokens` counts them."""

    text: str
    finish_reason: str
    """stop, or length when max_tokens cut it."""
    prompt_tokens: int
    completion_tokens: int
    reasoning_tokens: int = 0
    """The part of `completion_tokens` that shows no text."""


def answer(body: Mapping[str, Any]) -> Answer:
    """The first of `answers(body)`."""
    return answers({**body, "n": 1})[0]


def answers(body: Mapping[str, Any]) -> tuple[Answer, ...]:
    """The `n` answers to a chat request that `check_chat` lets pass.

    Temperature 0, or a seed, always gives the same ones; otherwise they are drawn
    anew each time.
    """
    model = MODELS[body["model"]]
    task = read_task(body["messages"])
    wishes = read_wishes(task.instructions, task.system)
    writer = Writer(task, wishes, Evidence(task, model), _schema(body))
    prompt_tokens = count_prompt(body["messages"])
    return tuple(
        _cut(writer.write(_sampler(body, model, choice)), body, prompt_tokens)
        for choice in range(body.get("n") or 1)
    )


def count_prompt(messages: list[Mapping[str, Any]]) -> int:
    """The tokens of a prompt."""
    texts = sum(tokens.count(text_of(message)) for message in messages)
    return texts + MESSAGE_TOKENS * (len(messages) + 1)


def _schema(body: Mapping[str, Any]) -> Mapping[str, Any] | None:
    match body.get("response_format"):
        case {"type": "json_schema", "json_schema": {"schema": schema}}:
            return schema  # type: ignore[no-any-return]
        case {"type": "json_schema" | "json_object"}:
            return {}
        case _:
            return None


def _sampler(body: Mapping[str, Any], model: Model, choice: int) -> Sampler:
    temperature, top_p = body.get("temperature"), body.get("top_p")
    # The same seed must not draw alike for every case of a dataset.
    salt = f"{choice}:{text_of(body['messages'][-1])}"
    return Sampler(
        temperature=DEFAULT_TEMPERATURE if temperature is None else temperature,
        top_p=1.0 if top_p is None else top_p,
        sharpness=model.sharpness,
        random=seeded(body.get("seed"), salt),
    )


def _cut(text: str, body: Mapping[str, Any], prompt_tokens: int) -> Answer:
    """`text` ended before a stop sequence, or at the limit of tokens."""
    for stop in _stops(body):
        text = text.partition(stop)[0]
    pieces = tokens.split(text)
    limit = token_limit(body) or len(pieces)
    return Answer(
        text="".join(pieces[:limit]),
        finish_reason="length" if len(pieces) > limit else "stop",
        prompt_tokens=prompt_tokens,
        completion_tokens=min(len(pieces), limit),
    )


def _stops(body: Mapping[str, Any]) -> list[str]:
    stop = body.get("stop") or []
    return [s for s in ([stop] if isinstance(stop, str) else stop) if s]


def token_limit(body: Mapping[str, Any]) -> int | None:
    """The most tokens an answer may have; None if the request sets no limit."""
    limit: int | None = body.get("max_completion_tokens") or body.get("max_tokens")
    return limit
