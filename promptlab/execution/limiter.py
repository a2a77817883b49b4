"""Limits: how many calls to one model may be under way, and how many a minute.

The limits are learnt from the server's replies, as `x-ratelimit-*` headers tell them,
and from what it refuses. No clock is read here: callers say what time it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

UNITS_S = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600}
UNITS_S["d"] = 86400
DURATION = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h|d)")

FIRST_WINDOW = 16
FIRST_SHARE = 1 / 4
"""Calls under way before anything is known of the server: so many, or this share of
the most that the user allows."""


def parse_duration(text: str | None) -> float | None:
    """The seconds of a duration as the headers write it: `20ms`, `6m0s`, `1.5`."""
    if text is None:
        return None
    text = text.strip()
    try:
        return max(0.0, float(text))
    except ValueError:
        parts = DURATION.findall(text)
        whole = "".join(number + unit for number, unit in parts) == text
        seconds = sum(float(number) * UNITS_S[unit] for number, unit in parts)
        return seconds if parts and whole else None


ROUNDING = 1e-6
"""Requests or tokens; less is an error of the arithmetic, and is not waited for."""


STRAY = 0.1
"""The share of refused calls up to which a server is not thought to be overloaded."""


class Bucket:
    """A token bucket: so much at once, refilled evenly; unlimited until it is known."""

    def __init__(self, per_minute: float | None, now: float) -> None:
        self._own = per_minute
        self._capacity = per_minute
        self._rate = (per_minute or 0) / 60
        self._level = per_minute or 0.0
        self._at = now

    def wait_s(self, amount: float, now: float) -> float:
        """The seconds until `amount` can be taken; no more than a full bucket."""
        if self._capacity is None or self._rate <= 0:
            return 0.0
        self._refill(now)
        missing = min(amount, self._capacity) - self._level
        return missing / self._rate if missing > ROUNDING else 0.0

    def take(self, amount: float) -> None:
        """Takes `amount`; the wait for it must be over."""
        if self._capacity is not None:
            self._level -= min(amount, self._capacity)

    def learn(
        self,
        limit: float | None,
        remaining: float | None,
        reset_s: float | None,
        now: float,
    ) -> None:
        """Adopts what a reply's headers say; of a limit set by the user and the
        server's, the lower one holds.

        The level only ever falls to what the server has left: others may be using
        the same key.
        """
        if limit is None or limit <= 0:
            return
        rate = limit / 60
        if remaining is not None and reset_s and limit > remaining:
            shown = (limit - remaining) / reset_s
            rate = shown if shown < rate / 2 else rate  # a limit per hour or per day
        if self._own is not None:
            limit, rate = min(limit, self._own), min(rate, self._own / 60)
        if self._capacity is None:
            self._level, self._at = limit, now
        else:
            self._refill(now)
        self._capacity, self._rate = limit, rate
        self._level = min(self._level, limit if remaining is None else remaining)

    def _refill(self, now: float) -> None:
        gained = max(0.0, now - self._at) * self._rate
        self._level = min(self._capacity or 0.0, self._level + gained)
        self._at = max(self._at, now)


class Limiter:
    """What one model at one server bears.

    The window, how many calls may be under way, starts small, grows by one with each
    answer until more than stray calls are refused, then by one for each windowful; a
    windowful in which a share f of the calls was refused shrinks it by f/2, so that
    stray failures hardly matter and an overload halves it (Alizadeh et al., "Data
    Center TCP", SIGCOMM 2010, with the share of one window as the estimate).
    """

    def __init__(
        self,
        ceiling: int,
        now: float,
        requests_per_minute: float | None = None,
        tokens_per_minute: float | None = None,
    ) -> None:
        self.ceiling = ceiling
        self.window: float = min(ceiling, max(FIRST_WINDOW, ceiling * FIRST_SHARE))
        self.reason = ""
        """Why the last caller that had to wait had to."""
        self._requests = Bucket(requests_per_minute, now)
        self._tokens = Bucket(tokens_per_minute, now)
        self._project_tokens = Bucket(None, now)
        self._paused_until = now
        self._pause_reason = ""
        self._slow_start = True
        self._seen = self._refused = 0

    def admit(self, tokens: int, now: float) -> float:
        """Lets one call of so many tokens start now, and gives 0; or gives the seconds
        to wait before asking again, and `reason` says what for."""
        waits = {
            "requests per minute": self._requests.wait_s(1, now),
            "tokens per minute": max(
                self._tokens.wait_s(tokens, now),
                self._project_tokens.wait_s(tokens, now),
            ),
            self._pause_reason: self._paused_until - now,
        }
        self.reason, wait_s = max(waits.items(), key=lambda item: item[1])
        if wait_s > 0:
            return wait_s
        self._requests.take(1)
        self._tokens.take(tokens)
        self._project_tokens.take(tokens)
        return 0.0

    def pause(self, wait_s: float, reason: str, now: float) -> None:
        """Lets no further call start for so many seconds."""
        if now + wait_s > self._paused_until:
            self._paused_until, self._pause_reason = now + wait_s, reason

    def learn(self, headers: Mapping[str, str], now: float) -> None:
        """Adopts the limits in a reply's headers."""
        if "x-ratelimit-limit-requests" in headers:
            self._learn(self._requests, "requests", headers, now)
        if "x-ratelimit-limit-tokens" in headers:
            self._learn(self._tokens, "tokens", headers, now)
        if "x-ratelimit-limit-project-tokens" in headers:
            self._learn(self._project_tokens, "project-tokens", headers, now)

    def answered(self) -> None:
        """Notes that a call was answered."""
        self._note(refused=False)
        grown = self.window + (1 if self._slow_start else 1 / self.window)
        self.window = min(float(self.ceiling), grown)

    def refused(self) -> None:
        """Notes that a call was refused for the rate, or that the server is ailing."""
        self._note(refused=True)

    def _note(self, *, refused: bool) -> None:
        self._seen += 1
        self._refused += refused
        if self._seen < self.window:
            return
        share = self._refused / self._seen
        self._slow_start &= share <= STRAY
        self.window = max(1.0, self.window * (1 - share / 2))
        self._seen = self._refused = 0

    @staticmethod
    def _learn(
        bucket: Bucket, what: str, headers: Mapping[str, str], now: float
    ) -> None:
        bucket.learn(
            parse_duration(headers.get(f"x-ratelimit-limit-{what}")),
            parse_duration(headers.get(f"x-ratelimit-remaining-{what}")),
            parse_duration(headers.get(f"x-ratelimit-reset-{what}")),
            now,
        )
