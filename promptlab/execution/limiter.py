"""Limits: how many calls to one model may be under way, and how many a minute.

The limits are learnt from the server's replies, as `x-ratelimit-*` headers tell them,
and from what it refuses. No clock is read here: callers say what time it is.

A reply tells what the server had left when the call came to it. Since then it gained
what flows in, and lost what was sent after that call: so the newest call that was
replied to says best what is left now, whether our own account was too high (others use
the key, or the server charges more than we reckon) or too low (it charges less).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import NamedTuple

UNITS_S = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600}
UNITS_S["d"] = 86400
DURATION = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h|d)")

FIRST_WINDOW = 16
FIRST_SHARE = 1 / 4
"""Calls under way before anything is known of the server: so many, or this share of
the most that the user allows."""

LONGEST_RESET_S = 31 * 86_400.0
"""No limit is for longer than a month; what is more is a date, as some servers send."""

REST_S = 60.0
"""After such a rest, how ailing the server was says little of how it is now."""


ROUNDING = 1e-6
"""Requests or tokens; less is an error of the arithmetic, and is not waited for."""

STRAY = 0.1
"""The share of refused calls up to which a server is not thought to be overloaded."""

SPARE = (2, 8)
SPARE_SHARE = 0.05
"""What is left in a server's bucket on purpose, as others may be faster: so many calls'
worth where the key is ours alone, and where most is used by others; at most this share
of the bucket."""

STEADY = 0.3
"""How far one reply moves what is thought of the server's charges."""

PROOF = (10, 1.0)
"""So many replies over so many seconds must all say that more is left than we thought
before we think so: calls may overtake each other, or be held up on the way."""

HEAVIEST = 4.0
"""How much more than we reckon a server is thought to charge, at most."""


def number_told(value: object) -> float | None:
    """The number in a header, of requests or tokens; of a duration, such as `20ms` or
    `6m0s`, its seconds. None where it holds neither."""
    text = str(value).strip()
    try:
        number = float(text)
    except ValueError:
        parts = DURATION.findall(text)
        whole = "".join(number + unit for number, unit in parts) == text
        seconds = sum(float(number) * UNITS_S[unit] for number, unit in parts)
        return seconds if parts and whole else None
    return max(0.0, number) if math.isfinite(number) else None


class Mark(NamedTuple):
    """When something was taken from a bucket, and all that was taken by then."""

    at: float
    taken: float


class Place(NamedTuple):
    """The place of a call that was let through: what it took of the buckets."""

    requests: Mark
    tokens: Mark
    size: float
    """The tokens that it was reckoned with."""


class Bucket:
    """A token bucket: so much at once, refilled evenly; unlimited until it is known."""

    def __init__(self, per_minute: float | None, now: float) -> None:
        self._capacity = per_minute
        self._rate = (per_minute or 0) / 60
        self._level = per_minute or 0.0
        self._at = now
        self._taken = 0.0
        self._times = 0
        self._lifted: tuple[Mark, float] | None = None
        """When the limit was lifted, and what was left then."""
        self._told: tuple[Mark, float] | None = None
        """The newest call that was replied to, and what was left then."""
        self._proof: tuple[int, float, float] | None = None
        """How many replies, since when, said that more is left, and how much at least;
        None before the first reply."""
        self._weight = 1.0
        """What is charged for each unit taken; others may be charged too, so it is one
        or more."""
        self._charged_per_s = self._taken_per_s = 0.0

    def wait_s(self, amount: float, now: float) -> float:
        """The seconds until `amount` can be taken; no more than a full bucket."""
        if self._capacity is None or self._rate <= 0:
            return 0.0
        wanted = amount * self._weight + self._spare
        missing = min(wanted, self._capacity) - self._level_at(now)
        return missing / self._rate if missing > ROUNDING else 0.0

    def least_s(self, amount: float, now: float) -> float:
        """The seconds until so much in all, maybe more than a full bucket, can have
        been taken."""
        if self._capacity is None or self._rate <= 0:
            return 0.0
        return max(0.0, amount * self._weight - self._level_at(now)) / self._rate

    def take(self, amount: float, now: float) -> Mark:
        """Takes `amount`; the wait for it must be over."""
        self._taken += amount
        self._times += 1
        if self._capacity is not None:
            self._level = self._level_at(now) - amount * self._weight
            self._at = now
        return Mark(now, self._taken)

    def give_back(self, amount: float) -> None:
        """Undoes a `take` that the server refused to charge."""
        self._level += amount * self._weight

    def bound(self, per_minute: float | None, now: float) -> None:
        """Sets the limit, or lifts it. The first time the bucket is full; after that,
        what was taken stays in mind, as does what is taken while no limit holds. A
        bucket holds one at least, however long it takes to flow in."""
        if per_minute is None:
            if self._capacity is not None:
                self._lifted = Mark(now, self._taken), self._level_at(now)
            self._capacity, self._rate = None, 0.0
            return
        most, rate = max(1.0, per_minute), per_minute / 60
        if self._capacity is not None:
            left = self._level_at(now)
        elif self._lifted is not None:
            mark, level = self._lifted
            left = level + rate * (now - mark.at) - (self._taken - mark.taken)
        else:
            left = most
        self._capacity, self._rate = most, rate
        self._level, self._at = min(left, most), now

    def learn(
        self,
        limit: float | None,
        remaining: float | None,
        reset_s: float | None,
        sent: Mark,
        now: float,
    ) -> None:
        """Adopts what the reply to a call says of the server's bucket; `sent` is what
        `take` gave for that call."""
        if limit is None or limit <= 0:
            return
        rate = limit / 60
        is_span = reset_s is not None and 0 < reset_s <= LONGEST_RESET_S
        if remaining is not None and reset_s and is_span and limit > remaining:
            shown = (limit - remaining) / reset_s
            rate = shown if shown < rate / 2 else rate  # a limit per hour or per day
        ours = limit if self._capacity is None else min(limit, self._level_at(now))
        self._capacity, self._rate = limit, rate
        self._level, self._at = ours, now
        if remaining is None or (self._told and sent < self._told[0]):
            return  # a call that was sent later has been replied to
        self._weigh(remaining, sent, now)
        self._told = sent, remaining
        later = self._weight * (self._taken - sent.taken)
        self._adopt(min(limit, remaining + rate * (now - sent.at) - later), ours, now)

    def _adopt(self, theirs: float, ours: float, now: float) -> None:
        """Believes in less at once, and in more when all replies of a while say so."""
        if self._proof is None or theirs <= ours:
            self._level = theirs
        else:
            replies, since, least = self._proof
            self._proof = replies + 1, since, min(least, theirs - ours)
            if replies + 1 < PROOF[0] or now - since < PROOF[1]:
                return
            self._level = ours + self._proof[2]
        self._proof = 0, now, float("inf")

    def _weigh(self, remaining: float, sent: Mark, now: float) -> None:
        """Compares what the server charged with what was taken, from the call that was
        last replied to up to this one."""
        if self._told is None or self._capacity is None:
            return
        before, left = self._told
        passed_s = sent.at - before.at
        most = left + self._rate * passed_s
        if passed_s <= 0 or most > (1 - SPARE_SHARE) * self._capacity:
            return  # a full bucket gains nothing, so nothing can be told from it
        step = STEADY * min(1.0, passed_s / max(now - sent.at, ROUNDING))
        charged, taken = most - remaining, sent.taken - before.taken
        self._charged_per_s += step * (charged / passed_s - self._charged_per_s)
        self._taken_per_s += step * (taken / passed_s - self._taken_per_s)
        if self._taken_per_s > 0:
            weight = self._charged_per_s / self._taken_per_s
            self._weight = min(HEAVIEST, max(1.0, weight))

    @property
    def _spare(self) -> float:
        """What is to stay in a server's bucket when a call has been let through."""
        if self._told is None or self._capacity is None:
            return 0.0
        alone, crowded = SPARE
        calls = alone + (crowded - alone) * min(1.0, self._weight - 1)
        return min(calls * self._taken / self._times, SPARE_SHARE * self._capacity)

    def _level_at(self, now: float) -> float:
        gained = max(0.0, now - self._at) * self._rate
        return min(self._capacity or 0.0, self._level + gained)


class Limiter:
    """What one model at one server bears, and what the user wants of it.

    The window, how many calls may be under way, starts small, grows by one with each
    answer until more than stray calls are refused, then by one for each windowful; a
    windowful in which a share f of the calls was refused shrinks it by f/2, so that
    stray failures hardly matter and an overload halves it (Alizadeh et al., "Data
    Center TCP", SIGCOMM 2010, with the share of one window as the estimate).
    """

    def __init__(self, now: float) -> None:
        self.window = 1.0
        self.reason = ""
        """Why the last caller that had to wait had to."""
        self._ceiling = 1
        self._own_requests, self._own_tokens = Bucket(None, now), Bucket(None, now)
        self._requests, self._tokens = Bucket(None, now), Bucket(None, now)
        self._project_tokens = Bucket(None, now)
        self._paused_until = now
        self._pause_reason = ""
        self._slow_start = True
        self._seen = self._refused = 0
        self._heard_at = now

    def widen(self, ceiling: int, now: float) -> None:
        """Sets how many calls may be under way, whatever the server bears."""
        self._ceiling = ceiling
        self._slow_start |= now - self._heard_at > REST_S
        if self._slow_start:
            first = min(ceiling, max(FIRST_WINDOW, ceiling * FIRST_SHARE))
            self.window = max(self.window, float(first))

    def bound(self, rpm: float | None, tpm: float | None, now: float) -> None:
        """Sets the user's own limits; those of the server hold as well."""
        self._own_requests.bound(rpm, now)
        self._own_tokens.bound(tpm, now)

    def wait_s(self, tokens: float, now: float) -> float:
        """The seconds until one call of so many tokens may start: 0 for now; else
        `reason` says what is waited for."""
        waits = {
            "requests per minute": max(b.wait_s(1, now) for b in self._by_request),
            "tokens per minute": max(b.wait_s(tokens, now) for b in self._by_token),
            self._pause_reason: self._paused_until - now,
        }
        self.reason, wait_s = max(waits.items(), key=lambda item: item[1])
        return max(0.0, wait_s)

    def take(self, tokens: float, now: float) -> Place:
        """Notes that a call of so many tokens starts; the wait for it must be over."""
        self._own_requests.take(1, now)
        self._own_tokens.take(tokens, now)
        self._project_tokens.take(tokens, now)
        # What replies tell is compared with what was taken of the server's buckets.
        return Place(
            self._requests.take(1, now), self._tokens.take(tokens, now), tokens
        )

    def least_s(self, calls: float, tokens: float, now: float) -> float:
        """The seconds until so many calls, of so many tokens in all, can have been let
        through."""
        return max(
            self._own_requests.least_s(calls, now),
            self._own_tokens.least_s(tokens, now),
            self.servers_least_s(calls, tokens, now),
        )

    def servers_least_s(self, calls: float, tokens: float, now: float) -> float:
        """As `least_s`, without the user's own limits."""
        return max(
            0.0,
            self._requests.least_s(calls, now),
            self._tokens.least_s(tokens, now),
            self._project_tokens.least_s(tokens, now),
            self._paused_until - now,
        )

    def pause(self, wait_s: float, reason: str, now: float) -> None:
        """Lets no further call start for so many seconds."""
        if now + wait_s > self._paused_until:
            self._paused_until, self._pause_reason = now + wait_s, reason

    def give_back(self, place: Place) -> None:
        """Notes that the server refused a call for the rate, so that it charged none of
        it; what it says of its buckets is to be learnt afterwards."""
        self._requests.give_back(1)
        self._tokens.give_back(place.size)
        self._project_tokens.give_back(place.size)

    def withdraw(self, place: Place) -> None:
        """Undoes a `take`: the call was not sent."""
        self._own_requests.give_back(1)
        self._own_tokens.give_back(place.size)
        self.give_back(place)

    def charge(self, place: Place, tokens: float, now: float) -> None:
        """Takes of the user's own limit what a call took beyond what it was reckoned
        with: without max_tokens an answer may have any length."""
        if tokens > place.size:
            self._own_tokens.take(tokens - place.size, now)

    def learn(self, headers: Mapping[str, str], place: Place, now: float) -> None:
        """Adopts the limits in the headers of the reply to a call."""
        for what, bucket, mark in (
            ("requests", self._requests, place.requests),
            ("tokens", self._tokens, place.tokens),
            ("project-tokens", self._project_tokens, place.tokens),
        ):
            if f"x-ratelimit-limit-{what}" in headers:
                limit, remaining, reset_s = (
                    number_told(headers.get(f"x-ratelimit-{name}-{what}"))
                    for name in ("limit", "remaining", "reset")
                )
                bucket.learn(limit, remaining, reset_s, mark, now)

    def answered(self, now: float) -> None:
        """Notes that a call was answered."""
        self._note(now, refused=False)
        grown = self.window + (1 if self._slow_start else 1 / self.window)
        self.window = max(self.window, min(float(self._ceiling), grown))

    def refused(self, now: float) -> None:
        """Notes that a call was refused for the rate, or that the server is ailing."""
        self._note(now, refused=True)

    def _note(self, now: float, *, refused: bool) -> None:
        self._heard_at = now
        self._seen += 1
        self._refused += refused
        if self._seen < self.window:
            return
        share = self._refused / self._seen
        self._slow_start &= share <= STRAY
        self.window = max(1.0, self.window * (1 - share / 2))
        self._seen = self._refused = 0

    @property
    def _by_request(self) -> tuple[Bucket, ...]:
        return self._own_requests, self._requests

    @property
    def _by_token(self) -> tuple[Bucket, ...]:
        return self._own_tokens, self._tokens, self._project_tokens
