"""Responses: the answer to one call, and its summary for tables and prices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson

from promptlab.spec.tools import called
from promptlab.spec.usage import Usage


class ReplySummary(NamedTuple):
    """One reply in brief: an entry of the cache begins with it.

    A tuple of plain values, as there may be a million of them. Its members are stored
    in this order, so new ones go last; entries without them go on being read.
    """

    output: str
    """What `Response.output` is."""
    finish_reason: str | None
    input_tokens: int | None
    cached_input_tokens: int | None
    output_tokens: int | None
    reasoning_tokens: int | None
    cache_write_tokens: int | None
    latency_s: float
    received_s: float
    """When it came, in seconds since 1970."""
    model: str | None
    """The model that answered, as the reply names it."""
    service_tier: str | None
    attempts: int
    reported_cost_usd: float | None = None
    """What the reply itself says it cost; None if it does not say."""
    tool_calls: str | None = None
    """As JSON; None without calls."""
    refusal: str | None = None
    """In the model's words; None if it did not refuse."""
    reasoning: str | None = None
    """What the model thought first, where the server tells it."""
    media: str | None = None
    """What it holds that is not text, as `2 images`; None if that is nothing."""

    @property
    def usage(self) -> Usage:
        """Its tokens."""
        return Usage(
            self.input_tokens,
            self.cached_input_tokens,
            self.output_tokens,
            self.reasoning_tokens,
            self.cache_write_tokens,
        )

    @property
    def message(self) -> dict[str, Any]:
        """The assistant's message, as the next call of a conversation repeats it."""
        instead = (self.refusal, self.tool_calls)
        content = None if self.output in instead else self.output
        more: dict[str, Any] = {}
        if self.refusal is not None:
            more["refusal"] = self.refusal
        if self.tool_calls is not None:
            more["tool_calls"] = _listed(self.tool_calls)
        return {"role": "assistant", "content": content, **more}

    def dead_end(self, then: Sequence[Mapping[str, Any]]) -> str:
        """Why a conversation cannot go on from it with these messages; "" if it can."""
        results = [message["role"] for message in then].count("tool")
        if self.tool_calls is not None:
            said = f"the model called {called(self.tool_calls)}"
            if not results:
                return f"{said}, and nothing answers the call"
            if results != len(_listed(self.tool_calls)):
                answer = "message answers" if results == 1 else "messages answer"
                return f"{said}, and {results} tool {answer}: expected one for each"
            return ""
        if results:
            return "the model called no tool, and a tool message answers a call"
        if not self.output.strip():
            reason = self.finish_reason or "no finish_reason"
            return f"the model's answer was empty ({reason})"
        if self.output == f"[{self.media}]":
            return f"the model answered with no text ({self.media})"
        return ""


TRUNCATED = frozenset(("length", "max_tokens", "model_length"))
WITHHELD = frozenset(
    (
        *("content_filter", "content_filtered", "guardrail_intervened", "safety"),
        *("recitation", "blocklist", "prohibited_content", "spii", "image_safety"),
    )
)
"""Finish reasons, as servers name them, in lower case."""


def is_truncated(finish_reason: str | None) -> bool:
    """Whether an answer that ended so was cut short by the limit on its tokens."""
    return (finish_reason or "").lower() in TRUNCATED


def is_withheld(finish_reason: str | None) -> bool:
    """Whether a content filter withheld an answer that ended so, in part or whole."""
    return (finish_reason or "").lower() in WITHHELD


def _listed(tool_calls: str) -> list[Any]:
    """Calls as JSON; none if it is not that."""
    try:
        calls = orjson.loads(tool_calls)
    except orjson.JSONDecodeError:
        return []
    return calls if isinstance(calls, list) else [calls]


ADDED_UP = (
    *("input_tokens", "cached_input_tokens", "output_tokens", "reasoning_tokens"),
    *("cache_write_tokens", "latency_s", "reported_cost_usd"),
)
"""What the calls of a conversation take together."""


def combined(replies: Sequence[ReplySummary]) -> ReplySummary:
    """The replies of a conversation as one: the last, with what all of them took; None
    where one of them does not say."""
    if len(replies) == 1:
        return replies[0]
    sums: dict[str, Any] = {}
    for name in ADDED_UP:
        values = [getattr(reply, name) for reply in replies]
        sums[name] = None if None in values else sum(values)
    return replies[-1]._replace(**sums)


@dataclass(frozen=True, slots=True)
class Response:
    """The answer to one call."""

    output: str
    """The text. Where there is none, what stands in its place: the refusal, the
    transcript of audio, the tool calls as JSON, or what it is, as `[2 images]`; else
    ""."""
    finish_reason: str | None
    """`stop`, `length` (cut by max_tokens), `content_filter`, `tool_calls`."""
    usage: Usage
    latency_s: float
    """From the first byte sent to the last received, of the attempt that answered."""
    model: str | None = None
    """The model that answered: the snapshot behind the name that was asked."""
    service_tier: str | None = None
    """The tier that served it, which decides on the price."""
    attempts: int = 1
    """How often the call was made until it was answered."""
    received_s: float = 0.0
    """When it came, in seconds since 1970."""
    request_id: str | None = None
    """What the provider's support asks for; it goes into the ledger, not the cache."""
    reported_cost_usd: float | None = None
    """What the reply itself says it cost; None if it does not say."""
    tool_calls: str | None = None
    """The tools that it calls, as JSON; None if it calls none."""
    refusal: str | None = None
    """Why the model does not answer, in its words; None if it does."""
    reasoning: str | None = None
    """What the model thought first, where the server tells it."""
    media: str | None = None
    """What it holds that is not text, as `2 images`; None if that is nothing."""
    calls: int = 1
    """How many calls the client made for it; `usage` is of all of them together."""
    body: bytes = field(default=b"", repr=False)
    """The answer as received: the JSON text, byte for byte."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)
    """The reply's headers, for the limiter; never kept."""

    @property
    def document(self) -> dict[str, Any]:
        """The whole answer, parsed: id, model snapshot, choices, usage, ..."""
        document: dict[str, Any] = orjson.loads(self.body)
        return document

    @property
    def summary(self) -> ReplySummary:
        """What the table shows of it, and what its price goes by."""
        usage = self.usage
        return ReplySummary(
            self.output,
            self.finish_reason,
            usage.input_tokens,
            usage.cached_input_tokens,
            usage.output_tokens,
            usage.reasoning_tokens,
            usage.cache_write_tokens,
            self.latency_s,
            self.received_s,
            self.model,
            self.service_tier,
            self.attempts,
            self.reported_cost_usd,
            self.tool_calls,
            self.refusal,
            self.reasoning,
            self.media,
        )

    @classmethod
    def from_summary(cls, summary: ReplySummary, body: bytes) -> Response:
        """The response that was summarized, from that and the answer as received."""
        fields = summary._asdict()
        usage = Usage(**{name: fields.pop(name) for name in Usage.__slots__})
        return cls(**fields, usage=usage, body=body)
