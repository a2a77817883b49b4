"""Messages: text, tool calls, refusal, reasoning and media in an assistant's message.

Servers differ in where they put things. Text is in `content`, whole or in parts; tool
calls in `tool_calls`, or in the older `function_call`; reasoning in
`reasoning_content`, `reasoning`, `reasoning_details` or parts of the content.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import orjson

REASONING = ("reasoning_content", "reasoning", "thinking", "reasoning_details")
"""Members that may hold the reasoning; the first that is not empty counts."""

THOUGHTS = ("thinking", "reasoning", "redacted_thinking")
"""The types of content parts that are reasoning."""

BESIDE_TEXT = (
    *("tool_calls", "function_call", "refusal", "audio", "images"),
    *REASONING,
)
"""The members of a message that say more than its text."""

MEDIA = ("image", "audio", "video", "file")
"""What an answer may hold beside text; the types of such parts contain these words."""

IN_PARTS = ("text", "thinking", "summary", "content")
"""Members of a part of reasoning that may hold its text."""

DEEPEST = 5
"""How many levels of nested reasoning are read."""

LONGEST_KIND = 40
"""Characters shown of an unknown type of part."""


class Said(NamedTuple):
    """The content of a message."""

    output: str
    """The text; if empty, the refusal, the transcript of the audio, the tool calls as
    JSON, or the media, as `[2 images]`; "" if there is nothing."""
    tool_calls: str | None = None
    """As JSON."""
    refusal: str | None = None
    reasoning: str | None = None
    media: str | None = None
    """What it holds beside text, such as `2 images`."""


def read_message(message: Mapping[str, Any]) -> Said:
    """The content of an assistant's message.

    Raises:
        ValueError: its content is neither text nor parts, or nests too deep.
    """
    content = message.get("content")
    if isinstance(content, str) and not any(map(message.get, BESIDE_TEXT)):
        return Said(content)
    if content is not None and not isinstance(content, (str, list)):
        raise ValueError(f"content is a {type(content).__name__}, not text")
    parts = [part for part in _list(content) if isinstance(part, Mapping)]
    text = content if isinstance(content, str) else _text_in(parts, "text")
    calls = _tool_calls(message, parts)
    refusal = _text(message.get("refusal")) or _text_in(parts, "refusal")
    media = _media(message, parts)
    audio = message.get("audio")
    instead = (
        refusal
        or (_text(audio.get("transcript")) if isinstance(audio, Mapping) else "")
        or calls
        or (f"[{media}]" if media else "")
    )
    return Said(
        output=text if text.strip() or not instead else instead,
        tool_calls=calls or None,
        refusal=refusal or None,
        reasoning=_reasoning(message, parts) or None,
        media=media or None,
    )


def _tool_calls(message: Mapping[str, Any], parts: Sequence[Mapping[str, Any]]) -> str:
    """The calls as a JSON list; "" without calls."""
    calls = message.get("tool_calls")
    if not calls and (function := message.get("function_call")):
        calls = [{"type": "function", "function": function}]
    calls = calls or [part for part in parts if part.get("type") == "tool_use"]
    try:
        return orjson.dumps(calls).decode() if calls else ""
    except orjson.JSONEncodeError as error:  # it reads deeper than it writes
        raise ValueError(f"tool calls: {error}") from error


def _reasoning(message: Mapping[str, Any], parts: Sequence[Mapping[str, Any]]) -> str:
    for name in REASONING:
        if text := _text(message.get(name)):
            return text
    return "".join(_text(part) for part in parts if part.get("type") in THOUGHTS)


def _media(message: Mapping[str, Any], parts: Sequence[Mapping[str, Any]]) -> str:
    """What it holds beside text: `image`, `2 images and audio`."""
    kinds = Counter(_kinds(message, parts))
    return " and ".join(
        kind if number == 1 else f"{number} {kind}s" for kind, number in kinds.items()
    )


def _kinds(
    message: Mapping[str, Any], parts: Sequence[Mapping[str, Any]]
) -> Iterator[str]:
    if message.get("audio"):
        yield "audio"
    for _ in _list(message.get("images")):
        yield "image"
    for part in parts:
        kind = str(part.get("type", "part"))[:LONGEST_KIND]
        known = ("text", "output_text", "refusal", "tool_use", *THOUGHTS)
        if kind not in known and not isinstance(part.get("text"), str):
            yield next((medium for medium in MEDIA if medium in kind), kind)


def _text_in(parts: Sequence[Mapping[str, Any]], name: str) -> str:
    """The members of that name, one after the other."""
    return "".join(
        part[name]
        for part in parts
        if isinstance(part.get(name), str) and part.get("type") not in THOUGHTS
    )


def _text(value: Any, depth: int = 0) -> str:
    """The text in a value: itself, or what its members or items hold."""
    if isinstance(value, str):
        return value
    if depth > DEEPEST:
        return ""
    if isinstance(value, Mapping):
        found = (_text(value.get(name), depth + 1) for name in IN_PARTS)
        return next(filter(None, found), "")
    return "".join(_text(item, depth + 1) for item in _list(value))


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
