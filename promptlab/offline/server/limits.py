"""Rate limits: token buckets for requests and tokens per minute, and their headers."""

import math
from dataclasses import dataclass, field

from promptlab.offline.server.errors import ApiError, rate_limited


@dataclass
class Bucket:
    """An allowance that refills steadily; times are seconds of one monotonic clock."""

    kind: str
    """requests or tokens: what it counts, as headers and errors name it."""
    per_minute: int
    burst_s: float
    """Seconds of refill it holds when full."""
    level: float = field(init=False)
    updated: float | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.level = self.capacity

    @property
    def capacity(self) -> float:
        """What a full bucket holds, at least one."""
        return max(1.0, self.per_minute * self.burst_s / 60)

    def refill(self, now: float) -> None:
        """Add what has flowed in since the last call."""
        if self.updated is not None:
            gained = (now - self.updated) * self.per_minute / 60
            self.level = min(self.capacity, self.level + gained)
        self.updated = now

    def wait_s(self, amount: float) -> float:
        """Seconds until `amount` is there: 0 if it is now, infinite if never."""
        if amount > self.capacity:
            return float("inf")
        return max(0.0, amount - self.level) * 60 / self.per_minute

    def headers(self) -> dict[str, str]:
        """The x-ratelimit headers of this bucket."""
        return {
            f"x-ratelimit-limit-{self.kind}": str(self.per_minute),
            f"x-ratelimit-remaining-{self.kind}": str(max(0, int(self.level))),
            f"x-ratelimit-reset-{self.kind}": duration(
                (self.capacity - self.level) * 60 / self.per_minute
            ),
        }

    def exceeded(self, model: str, amount: int, headers: dict[str, str]) -> ApiError:
        """The 429 for asking `amount` now."""
        unit = {"requests": "RPM", "tokens": "TPM"}[self.kind]
        where = f"for {model} in organization org-offline on {self.kind} per min"
        wait_s = self.wait_s(amount)
        if wait_s == float("inf"):
            detail = (
                f"Request too large {where} ({unit}): Limit {self.per_minute}, "
                f"Requested {amount}. The input or output tokens must be reduced in "
                "order to run successfully."
            )
            return rate_limited(self.kind, detail, None, headers)
        detail = (
            f"Rate limit reached {where} ({unit}): Limit {self.per_minute}, "
            f"Used {math.ceil(self.capacity - self.level)}, Requested {amount}. "
            f"Please try again in {duration(wait_s)}."
        )
        return rate_limited(self.kind, detail, wait_s, headers)


@dataclass(frozen=True)
class Limits:
    """The buckets one server draws from; empty when nothing is limited."""

    buckets: tuple[Bucket, ...]

    def headers(self) -> dict[str, str]:
        """The x-ratelimit headers of every bucket."""
        return {
            name: value
            for bucket in self.buckets
            for name, value in bucket.headers().items()
        }

    def draw(self, model: str, tokens: int, now: float) -> None:
        """Take one request and `tokens` from the buckets, or nothing and refuse."""
        amounts = {"requests": 1, "tokens": tokens}
        for bucket in self.buckets:
            bucket.refill(now)
        for bucket in self.buckets:
            amount = amounts[bucket.kind]
            if bucket.wait_s(amount) > 0:
                raise bucket.exceeded(model, amount, self.headers())
        for bucket in self.buckets:
            bucket.level -= amounts[bucket.kind]


def duration(seconds: float) -> str:
    """`seconds` as the API writes durations.

    >>> duration(0.02), duration(1.5), duration(360), duration(3725)
    ('20ms', '1.5s', '6m0s', '1h2m5s')
    """
    if seconds < 1:
        return f"{round(seconds * 1000)}ms"
    seconds = round(seconds, 3)
    hours, rest = divmod(seconds, 3600)
    minutes, rest = divmod(rest, 60)
    clock = f"{hours:.0f}h{minutes:.0f}m" if hours else f"{minutes:.0f}m"
    return f"{clock if seconds >= 60 else ''}{round(rest, 3):g}s"
