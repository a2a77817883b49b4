"""The responder: the answer to a chat request, worked out from the request alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson

from promptlab.offline.responder import tokens
from promptlab.offline.responder.generation import Writer
from promptlab.offline.responder.instructions import read_wishes
from promptlab.offline.responder.logprobs import TokenLogprob, token_logprobs
from promptlab.offline.responder.models import MODELS, Model
from promptlab.offline.responder.ranking import Evidence
from promptlab.offline.responder.sampling import Sampler, seeded
from promptlab.offline.responder.task import read_task, text_of
from promptlab.offline.responder.tools import (
    ToolCall,
    called,
    chosen_function,
    functions,
)

RESPONDER_VERSION = 1
"""Raised whenever any answer changes: it is part of what a cached answer depends on."""

DEFAULT_TEMPERATURE = 1.0
"""As in OpenAI's API, when a request names none."""

CALL_TOKENS = 4
"""Tokens that a call of a function costs beyond its name and arguments."""

MESSAGE_TOKENS = 3
"""Tokens that each message costs beyond its text, and the reply once more."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One choice, with its tokens as `tokens` counts them."""

    text: str
    finish_reason: str
    """stop; length when max_tokens cut it; tool_calls when it calls a function that
    the request did not name."""
    prompt_tokens: int
    completion_tokens: int
    reasoning_tokens: int = 0
    """The part of `completion_tokens` that shows no text."""
    tool_calls: tuple[ToolCall, ...] = ()
    logprobs: tuple[TokenLogprob, ...] | None = None
    """Of each token of the text; None where the request does not ask for them."""


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
    evidence = Evidence(task, model)
    writer = Writer(task, wishes, evidence, _schema(body))
    function = chosen_function(body)
    prompt_tokens = count_prompt(body["messages"], functions(body))

    def one(choice: int) -> Answer:
        sampler = _sampler(body, model, choice)
        if function is None:
            return _cut(writer.write(sampler), body, prompt_tokens, sampler)
        call = called(function, task, evidence, sampler)
        return _calling(call, body, prompt_tokens)

    return tuple(one(choice) for choice in range(body.get("n") or 1))


def count_prompt(
    messages: list[Mapping[str, Any]], offered: Sequence[Mapping[str, Any]] = ()
) -> int:
    """The tokens of a prompt, with those of the functions that it offers."""
    texts = sum(tokens.count(text_of(message)) for message in messages)
    calls = sum(
        tokens.count(call["function"]["name"] + call["function"]["arguments"])
        for message in messages
        for call in message.get("tool_calls") or ()
    )
    schemas = tokens.count(orjson.dumps(offered).decode()) if offered else 0
    return texts + calls + schemas + MESSAGE_TOKENS * (len(messages) + 1)


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


def _calling(call: ToolCall, body: Mapping[str, Any], prompt_tokens: int) -> Answer:
    """An answer that calls a function, its arguments ended at the limit of tokens."""
    named = tokens.count(call.name) + CALL_TOKENS
    pieces = tokens.split(call.arguments)
    limit = token_limit(body) or named + len(pieces)
    kept = pieces[: max(0, limit - named)]
    by_name = isinstance(body.get("tool_choice"), dict)
    return Answer(
        text="",
        finish_reason=(
            "length" if len(kept) < len(pieces) else "stop" if by_name else "tool_calls"
        ),
        prompt_tokens=prompt_tokens,
        completion_tokens=min(limit, named + len(kept)),
        tool_calls=(replace(call, arguments="".join(kept)),),
    )


def _cut(
    text: str, body: Mapping[str, Any], prompt_tokens: int, sampler: Sampler
) -> Answer:
    """`text` ended before a stop sequence, or at the limit of tokens."""
    for stop in _stops(body):
        text = text.partition(stop)[0]
    pieces = tokens.split(text)
    limit = token_limit(body) or len(pieces)
    text = "".join(pieces[:limit])
    asked = body.get("logprobs")
    return Answer(
        text=text,
        finish_reason="length" if len(pieces) > limit else "stop",
        prompt_tokens=prompt_tokens,
        completion_tokens=min(len(pieces), limit),
        logprobs=(
            token_logprobs(text, sampler.draws, body.get("top_logprobs") or 0)
            if asked
            else None
        ),
    )


def _stops(body: Mapping[str, Any]) -> list[str]:
    stop = body.get("stop") or []
    return [s for s in ([stop] if isinstance(stop, str) else stop) if s]


def token_limit(body: Mapping[str, Any]) -> int | None:
    """The most tokens an answer may have; None if the request sets no limit."""
    limit: int | None = body.get("max_completion_tokens") or body.get("max_tokens")
    return limit
