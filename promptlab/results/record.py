"""Records: what came back for each trial, an answer or a failure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import orjson

from promptlab.money.price import Price
from promptlab.money.usage import Usage
from promptlab.results.documents import first_choice
from promptlab.results.response import ReplySummary
from promptlab.spec.experiment import Trial
from promptlab.spec.prompt import ChatMessage, Turn

GATEWAY_TIMEOUTS = (408, 504, 524)
"""The statuses of a gateway that waited no longer: the model behind it may go on."""

LONGEST_TEXT = 2_000
"""Characters of each text of a failure that are kept."""


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
    """What the reply itself says it cost; None where it does not say."""
    tool_calls: str | None = None
    """The tools that it calls, as JSON; None where it calls none."""
    refusal: str | None = None
    """Why the model does not answer, in its words; None where it does."""
    reasoning: str | None = None
    """What the model thought first, where the server tells it."""
    media: str | None = None
    """What it holds that is not text, as `2 images`; None where that is nothing."""
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


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Why a call, or the trial it was part of, has no answer."""

    kind: str
    """`connection`, `timeout`, `status`, `invalid_reply`, `not_cached`, `wait`,
    `broken_off` (the model had begun), `unreachable` (no connection came about),
    `refused` (as the same was refused before), `dead_end` (a conversation has more to
    ask and cannot go on from its last reply) or the name of an exception."""
    message: str
    status: int | None = None
    """The HTTP status, or that which the code in a reply's body stands for."""
    code: str | None = None
    """The provider's code, such as `rate_limit_exceeded`."""
    type: str | None = None
    """The provider's type of error, such as `insufficient_quota`."""
    param: str | None = None
    """The parameter that the provider names."""
    request_id: str | None = None
    """What the provider's support asks for."""
    attempts: int = 1
    """How often the call was made."""
    retry_after_s: float | None = None
    """How long the server asked to wait."""
    should_retry: bool | None = None
    """What the server says of a further attempt, where it says so."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)
    """The reply's headers, for the limiter; never kept."""

    @cached_property
    def summary(self) -> str:
        """One line: status, code, what the server said, how often it was asked."""
        message = " ".join(self.message.split())
        times = f" ({self.attempts} attempts)" if self.attempts > 1 else ""
        return f"{self.label}: {_short(message)}{times}"

    @property
    def may_be_charged(self) -> bool:
        """Whether the provider may charge for the call all the same: it was neither
        refused nor unsent."""
        if self.kind == "broken_off" or self.status in GATEWAY_TIMEOUTS:
            return True
        return (self.status or 0) < 300 and self.kind != "unreachable"

    @property
    def label(self) -> str:
        """Its status and code, each said once; else its kind."""
        parts = dict.fromkeys(str(part) for part in (self.status, self.code) if part)
        return " ".join(parts) or self.kind

    def after(self, attempts: int) -> Failure:
        """The same failure, at that attempt."""
        return replace(self, attempts=attempts)

    def to_keep(self) -> Failure:
        """The same failure without headers, its texts cut to what is worth keeping."""
        texts: dict[str, Any] = {
            name: _short(text, LONGEST_TEXT)
            for name in ("message", "code", "type", "param", "request_id")
            if isinstance(text := getattr(self, name), str)
        }
        return replace(self, headers={}, **texts)

    def to_plain(self) -> dict[str, Any]:
        """Its fields that say something, as JSON values."""
        return {
            name: value
            for name in self.__dataclass_fields__
            if name != "headers" and (value := getattr(self, name)) is not None
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Failure:
        """The failure that `to_plain` wrote."""
        return cls(**plain)


def _short(text: str, length: int = 500) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


@dataclass(frozen=True, kw_only=True)
class Record:
    """A trial and its outcome: one row of the table."""

    trial: Trial
    output: str | None
    """The last reply; None where the trial failed."""
    finish_reason: str | None
    usage: Usage
    """Of all calls of the trial together."""
    latency_s: float | None
    """Of all calls of the trial together, as measured when they were made."""
    cost_usd: float | None
    """What all its calls cost at list price; None where that is not known."""
    billed_usd: float | None
    """What this run paid for them; None where that is not known."""
    price: Price | None
    """What the last reply's tokens cost, and whose price that is; None where it is not
    known, and where the reply says what it cost."""
    cached: bool
    """Whether this run paid for none of it."""
    error: Failure | None
    key: str | None
    """What the last reply is kept under."""
    turns: tuple[Turn, ...]
    """The conversation as far as it came: for each call, the messages that it added
    and the reply."""
    cost_source: str | None = None
    """Whose word the last reply's cost is: the source of the price, or `the reply`
    where that says what it cost; None where it is not known."""
    tool_calls: str | None = None
    """The tools that the last reply calls, as JSON."""
    refusal: str | None = None
    """Why the model does not answer, in its words."""
    reasoning: str | None = None
    """What the model thought first, where the server tells it."""
    read: Callable[[], dict[str, Any] | None] | None = field(
        default=None, repr=False, compare=False
    )
    """Reads the last reply as it was received; None where nothing keeps it."""

    @cached_property
    def response(self) -> dict[str, Any] | None:
        """The last reply as the server sent it, whole: `id`, `choices`, `usage`,
        `system_fingerprint` and whatever else it has.

        It is read from the cache. None where the trial failed, where the run kept no
        answers (`use_cache=False`), and where the answer was removed since.
        """
        return None if self.read is None else self.read()

    @property
    def message(self) -> dict[str, Any] | None:
        """The assistant's message in `response`, whole: annotations, audio, images and
        reasoning with it. None where there is none."""
        message = first_choice(self.response or {}).get("message")
        return message if isinstance(message, dict) else None

    @property
    def messages(self) -> list[ChatMessage]:
        """The conversation as one list of messages."""
        return [message for turn in self.turns for message in turn]

    def __repr__(self) -> str:
        outcome = self.error.summary if self.error else _short(self.output or "", 80)
        return f"Record({self.trial}: {outcome!r})"
