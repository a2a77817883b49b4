"""Parameters: the names that a grid knows, and what values of theirs can be."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from promptlab.errors import SpecError, brief
from promptlab.spec.address import canonical_url
from promptlab.spec.prompt import Prompt
from promptlab.spec.request import canonical
from promptlab.spec.schemas import response_format
from promptlab.spec.wordings import Wordings

FIRST = ("model", "prompt", "system", "temperature", "max_tokens")
"""The parameters that the table shows first, in this order."""

KNOWN = (
    *FIRST,
    "base_url",
    "frequency_penalty",
    "logit_bias",
    "logprobs",
    "max_completion_tokens",
    "metadata",
    "min_p",
    "modalities",
    "parallel_tool_calls",
    "prediction",
    "presence_penalty",
    "prompt_cache_key",
    "prompt_cache_options",
    "reasoning_effort",
    "repetition_penalty",
    "response_format",
    "safety_identifier",
    "seed",
    "service_tier",
    "stop",
    "store",
    "tool_choice",
    "tools",
    "top_a",
    "top_k",
    "top_logprobs",
    "top_p",
    "user",
    "verbosity",
    "web_search_options",
)
"""What OpenAI's API and the servers compatible with it take; others are sent too."""

OBJECTS = {
    "audio": '{"voice": "alloy", "format": "wav"}',
    "logit_bias": '{"50256": -100}',
    "metadata": '{"team": "a"}',
    "prediction": '{"type": "content", "content": "..."}',
    "prompt_cache_options": '{"mode": "explicit"}',
    "response_format": '{"type": "json_object"}',
    "web_search_options": '{"search_context_size": "low"}',
}
"""Parameters whose value is always an object, with one such value."""

LISTS = {
    "functions": '[{"name": "..."}]',
    "modalities": '["text", "audio"]',
    "tools": '[{"type": "function", "function": {...}}]',
}
"""Parameters whose value is always a list, with one such value."""

REFUSED = {
    "messages": "the messages are made from 'prompt' and 'system'",
    "stream": "promptlab reads whole replies",
    "stream_options": "promptlab reads whole replies",
    "n": "use repeats=, which keeps each answer under its own key",
    "api_key": "a key is no part of a grid; set OPENAI_API_KEY or pass api_key= to run",
    "timeout": "pass timeout_s= to run",
    "extra_body": "give its members themselves, such as top_k=[40]",
    "extra_headers": "pass headers= to run",
    "extra_query": "a query belongs to base_url",
}


def check_form(name: str, given: Any) -> None:
    """Refuses one value of a parameter that was given for the list of its values."""
    if name in LISTS:
        values = _members(given)
        if not all(isinstance(value, (list, tuple, type(None))) for value in values):
            one = [dict(given)] if isinstance(given, Mapping) else given
            one = repr([one] if isinstance(one, str) else list(one))
            one = one if len(one) <= 40 else "[...]"
            raise SpecError(
                f"{name}: each of its values is itself a list, such as {LISTS[name]}; "
                f"write [{one}] for one value, or {{'a name': {one}}}"
            )
    if name in OBJECTS:
        values = _members(given)
        if not all(isinstance(value, (Mapping, type, type(None))) for value in values):
            one = f"[{brief(dict(given))}]" if isinstance(given, Mapping) else ""
            raise SpecError(
                f"{name}: each of its values is an object, such as {OBJECTS[name]}; "
                f"write {one or f'[{OBJECTS[name]}]'}"
            )
    if name == "tool_choice" and isinstance(given, Mapping) and "type" in given:
        raise SpecError(
            f"tool_choice: this is one value of it; write [{brief(dict(given))}]"
        )


def check_stop(given: Any) -> None:
    """Refuses several texts, which may be meant for one value or for several."""
    texts = isinstance(given, (list, tuple)) and all(isinstance(g, str) for g in given)
    if texts and len(given) > 1:
        named = {f"stop_{number}": text for number, text in enumerate(given, start=1)}
        raise SpecError(
            "stop: a value of it is a string or a list of strings; write "
            f"[{brief(list(given))}] for one value with all of these, or name the "
            f"values: {brief(named)}"
        )


def _members(given: Any) -> list[Any]:
    """What was given as the values of a parameter, if one list or mapping was."""
    if isinstance(given, Mapping):
        return list(given.values())
    if isinstance(given, (list, tuple)):
        return list(given)
    return [given] if isinstance(given, str) else []


def read_value(name: str, value: Any) -> Any:
    """A value of a parameter as it is sent; a `Prompt` or `Wordings` for 'prompt'.

    Raises:
        SpecError: the parameter cannot have it.
    """
    if name == "prompt":
        return _read_prompt(value)
    if name == "response_format" and isinstance(value, type):
        value = response_format(value)
    value = canonical(value)
    if name in ("model", "base_url") and (not isinstance(value, str) or not value):
        raise SpecError(f"expected a string, got {value!r}")
    if name == "base_url":
        return canonical_url(value)
    if name == "system":
        _check_system(value)
    elif value is not None:
        _check_number(name, value)
    return value


def _read_prompt(value: Any) -> Prompt | Wordings:
    if isinstance(value, (Prompt, Wordings)):
        return value
    if isinstance(value, Mapping) and "wordings" in value:
        return Wordings.from_plain(value)
    return Prompt(value)


def _check_system(value: Any) -> None:
    if value is None:
        return
    if not isinstance(value, str):
        raise SpecError(f"expected a string or null, got {brief(value)}")
    if not value.strip():
        raise SpecError("the text is empty; null means no system message")
    Prompt([{"role": "system", "content": value}, {"role": "user", "content": "-"}])


def _check_number(name: str, value: Any) -> None:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if name in ("max_tokens", "max_completion_tokens") and (
        not isinstance(value, int) or isinstance(value, bool) or value < 1
    ):
        raise SpecError(f"expected an integer >= 1, got {value!r}")
    if name == "temperature" and not (number and 0 <= value <= 2):
        raise SpecError(f"expected a number from 0 to 2, got {value!r}")
    if name == "top_p" and not (number and 0 <= value <= 1):
        raise SpecError(f"expected a number from 0 to 1, got {value!r}")
    if name == "seed" and (not isinstance(value, int) or isinstance(value, bool)):
        raise SpecError(f"expected an integer, got {value!r}")


def check_name(name: str) -> None:
    """Raises `SpecError` where no parameter can have this name, or it is misspelt."""
    if reason := REFUSED.get(name):
        raise SpecError(f"{name} is not a parameter of a grid: {reason}")
    if name in KNOWN:
        return
    if close := difflib.get_close_matches(name, KNOWN, n=1, cutoff=0.85):
        raise SpecError(f"no parameter {name!r}; did you mean {close[0]!r}?")
