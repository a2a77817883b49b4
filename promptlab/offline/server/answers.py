"""Answers: what a chat request is answered, cut, counted and scored as the API does."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import orjson

from promptlab.offline.responder.ranking import MODELS
from promptlab.offline.responder.responder import Responder
from promptlab.offline.responder.sampling import Sampler, seeded
from promptlab.offline.responder.task import text_of
from promptlab.offline.server import tokens
from promptlab.offline.server.logprobs import TokenLogprob, token_logprobs

DEFAULT_TEMPERATURE = 1.0
"""As in OpenAI's API, when a request names none."""

CALL_TOKENS = 4
"""Tokens that a call of a function costs beyond its name and arguments."""

MESSAGE_TOKENS = 3
"""Tokens that each message costs beyond its text, and the reply once more."""

EMPTY_TOKENS = 64
"""Tokens that an answer without text spends when the request names no limit."""

Body = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class ToolCall:
    """A call of a function."""

    id: str
    name: str
    arguments: str
    """As JSON."""


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
    """Those of each token of the text; None if the request does not ask for them."""

    def emptied(self, limit: int | None) -> Self:
        """This answer, cut by length before any text of it could be seen."""
        spent = limit or EMPTY_TOKENS
        return replace(
            self,
            text="",
            tool_calls=(),
            logprobs=None if self.logprobs is None else (),
            finish_reason="length",
            completion_tokens=spent,
            reasoning_tokens=spent,
        )


def answer(body: Body) -> Answer:
    """The first of `answers(body)`."""
    return answers({**body, "n": 1})[0]


def answers(body: Body) -> tuple[Answer, ...]:
    """The `n` answers to a chat request that `check_chat` lets pass.

    Temperature 0, or a seed, always gives the same ones; otherwise they are drawn
    again each time.
    """
    model, messages = MODELS[body["model"]], body["messages"]
    functions = [tool["function"] for tool in body.get("tools") or ()]
    responder = Responder(messages, model)
    function = responder.function(functions, body.get("tool_choice"))
    prompt_tokens = count_prompt(messages, functions)
    made = []
    for index in range(body.get("n") or 1):
        # The same seed must not draw alike for every case of a dataset.
        salt = f"{index}:{text_of(messages[-1])}"
        sampler = Sampler(
            temperature=_given(body, "temperature", DEFAULT_TEMPERATURE),
            top_p=_given(body, "top_p", 1.0),
            sharpness=model.sharpness,
            random=seeded(body.get("seed"), salt),
        )
        if function is None:
            text = responder.text(sampler, _schema(body))
            made.append(_text_answer(text, body, prompt_tokens, sampler))
        else:
            arguments = responder.arguments(sampler, function)
            made.append(_call_answer(function["name"], arguments, body, prompt_tokens))
    return tuple(made)


def count_prompt(messages: Sequence[Body], functions: Sequence[Body] = ()) -> int:
    """The tokens of a prompt, with those of the functions that it offers."""
    texts = [text_of(message) for message in messages]
    texts += [
        call["function"]["name"] + call["function"]["arguments"]
        for message in messages
        for call in message.get("tool_calls") or ()
    ]
    texts += [orjson.dumps(functions).decode()] if functions else []
    return sum(map(tokens.count, texts)) + MESSAGE_TOKENS * (len(messages) + 1)


def token_limit(body: Body) -> int | None:
    """The most tokens an answer may have; None if the request sets no limit."""
    limit: int | None = body.get("max_completion_tokens") or body.get("max_tokens")
    return limit


def _given(body: Body, param: str, default: float) -> float:
    value: float | None = body.get(param)
    return default if value is None else value


def _schema(body: Body) -> Body | None:
    match body.get("response_format"):
        case {"type": "json_schema", "json_schema": {"schema": schema}}:
            return schema  # type: ignore[no-any-return]
        case {"type": "json_schema" | "json_object"}:
            return {}
        case _:
            return None


def _call_answer(name: str, arguments: str, body: Body, prompt_tokens: int) -> Answer:
    """An answer that calls a function, its arguments ended at the limit of tokens."""
    named = tokens.count(name) + CALL_TOKENS
    pieces = tokens.split(arguments)
    limit = token_limit(body) or named + len(pieces)
    kept = pieces[: max(0, limit - named)]
    by_name = isinstance(body.get("tool_choice"), dict)
    whole = "stop" if by_name else "tool_calls"
    call = ToolCall(
        id=f"call_{uuid.uuid4().hex[:24]}", name=name, arguments="".join(kept)
    )
    return Answer(
        text="",
        finish_reason=whole if len(kept) == len(pieces) else "length",
        prompt_tokens=prompt_tokens,
        completion_tokens=min(limit, named + len(kept)),
        tool_calls=(call,),
    )


def _text_answer(text: str, body: Body, prompt_tokens: int, sampler: Sampler) -> Answer:
    """`text` ended before a stop sequence, or at the limit of tokens."""
    stops = body.get("stop") or []
    for stop in filter(None, [stops] if isinstance(stops, str) else stops):
        text = text.partition(stop)[0]
    pieces = tokens.split(text)
    kept = pieces[: token_limit(body)]
    scored = token_logprobs(kept, sampler.draws, body.get("top_logprobs") or 0)
    return Answer(
        text="".join(kept),
        finish_reason="stop" if len(kept) == len(pieces) else "length",
        prompt_tokens=prompt_tokens,
        completion_tokens=len(kept),
        logprobs=scored if body.get("logprobs") else None,
    )
