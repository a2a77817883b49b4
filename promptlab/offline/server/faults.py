"""Faults: the switches that make the offline server slow, limited or broken."""

import random
from dataclasses import dataclass

from promptlab.offline.server.limits import Bucket, Limits

KINDS = (
    "rate_limited",
    "server_errors",
    "overloaded",
    "dropped",
    "html",
    "no_choices",
    "truncated_json",
    "empty_content",
    "wrong_types",
)
"""The faults drawn by chance, in the order of the draw."""


@dataclass(frozen=True, kw_only=True)
class Faults:
    """What goes wrong, and how often; by default nothing does.

    A share is the part of calls, 0 to 1, that meets a fault: each call meets at most
    one, so the shares sum to at most 1. Which calls do is drawn from `seed`, apart
    from the sampling of answers: the same seed gives the same faults call by call.
    """

    latency_s: float = 0.0
    """Seconds before each answer, or before the first chunk of a stream."""
    jitter_s: float = 0.0
    """Up to so many seconds more, drawn evenly."""

    requests_per_minute: int | None = None
    """Calls allowed; 429 rate_limit_exceeded beyond, and x-ratelimit headers."""
    tokens_per_minute: int | None = None
    """Tokens allowed; a call takes max_tokens or characters / 4, whichever is more."""
    burst_s: float = 60.0
    """Seconds of a limit that may be used at once, as after a pause."""

    rate_limited: float = 0.0
    """Share answered 429 rate_limit_exceeded although no limit was met."""
    server_errors: float = 0.0
    """Share answered 500."""
    overloaded: float = 0.0
    """Share answered 503."""
    dropped: float = 0.0
    """Share whose connection is closed without an answer."""
    html: float = 0.0
    """Share answered 200 with an HTML page."""
    no_choices: float = 0.0
    """Share answered 200 with JSON that has no choices."""
    truncated_json: float = 0.0
    """Share answered 200 with JSON that breaks off."""
    empty_content: float = 0.0
    """Share cut by length before any visible text, as reasoning models can be."""
    wrong_types: float = 0.0
    """Share answered 200 with JSON whose fields have wrong types."""

    quota_after: int | None = None
    """Answered calls after which all are 429 insufficient_quota."""
    reasoning: bool = False
    """Refuse max_tokens always, temperature, top_p, logprobs and stop unless
    reasoning_effort is none, as reasoning models do: 400 unsupported_parameter."""
    seed: int = 0
    """Makes the draw of faults reproducible."""

    def __post_init__(self) -> None:
        shares = {kind: getattr(self, kind) for kind in KINDS}
        for kind, share in shares.items():
            if not 0 <= share <= 1:
                raise ValueError(f"{kind} must be from 0 to 1, got {share!r}")
        # A hair above 1 is the sum of shares such as 0.7 + 0.2 + 0.1.
        if (total := sum(shares.values())) > 1 + 1e-9:
            raise ValueError(f"shares must sum to at most 1, got {total:g}: {shares!r}")
        for name in ("latency_s", "jitter_s"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must be >= 0, got {getattr(self, name)!r}")
        for name in ("requests_per_minute", "tokens_per_minute", "burst_s"):
            if (limit := getattr(self, name)) is not None and not limit > 0:
                raise ValueError(f"{name} must be > 0, got {limit!r}")

    def limits(self) -> Limits:
        """Full buckets for the limits that are set."""
        limits = {
            "requests": self.requests_per_minute,
            "tokens": self.tokens_per_minute,
        }
        return Limits(
            tuple(
                Bucket(kind, per_minute, self.burst_s)
                for kind, per_minute in limits.items()
                if per_minute is not None
            )
        )


@dataclass(frozen=True)
class Draw:
    """What chance holds for one call: its fault, if any, and its delay in seconds."""

    kind: str | None
    delay_s: float


class Dice:
    """The draws of one server, one per call in order of arrival."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._random = random.Random(faults.seed)

    def roll(self) -> Draw:
        """The next call's draw."""
        faults, point, jitter = (
            self._faults,
            self._random.random(),
            self._random.random(),
        )
        delay_s = faults.latency_s + jitter * faults.jitter_s
        for kind in KINDS:
            point -= getattr(faults, kind)
            if point < 0:
                return Draw(kind, delay_s)
        return Draw(None, delay_s)
