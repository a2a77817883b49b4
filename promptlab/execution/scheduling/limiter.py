"""Limits: how many calls to one model may be in flight, and how many a minute.

The limits are learnt from the server's replies, as `x-ratelimit-*` headers tell them,
and from what it refuses. No clock is read here: callers say what time it is.

A reply tells what the server had left when the call came to it. Since then it gained
what flows in, and lost what was sent after that call: so the newest call that was
replied to says best what is left now, whether our own account was too high (others use
the key, or the server charges more than was estimated) or too low (it charges less).

A server that refuses a call now and then, but not those sent before and after it, does
so by accident, whatever is sent: that call alone waits. Many in a row are a limit.

A server that refuses without saying what is left may limit the calls in flight or the
calls a minute. Which of the two, a single call finds out: sent as soon as a call in
flight is answered, it is answered as well where there was just no place, and refused
where there were too many a minute. Then `Cap` or `Pace` keeps to what was found.
"""

from __future__ import annotations

import math
import random
import re
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

UNITS_S = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600}
UNITS_S["d"] = 86400
DURATION = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h|d)")

FIRST_WINDOW = 16
FIRST_SHARE = 1 / 4
"""Calls in flight before anything is known of the server: so many, or this share of
the most that the user allows."""

LONGEST_RESET_S = 31 * 86_400.0
"""No limit is for longer than a month; what is more is a date, as some servers send."""

REST_S = 60.0
"""After such a rest, what a server refused says little of what it bears now."""


ROUNDING = 1e-6
"""Requests or tokens; less is an error of the arithmetic, and is not waited for."""

STRAY = 0.1
"""The share of refused calls up to which a server is not thought to be overloaded."""

ACCIDENT = 1.1e-6
"""Calls that were sent one after the other are not all refused by accident where the
chance of that is no larger, by the share of calls that are refused alone: 6 calls up
to a tenth, 9 at a fifth."""

ROW = 16
"""No more calls in a row are looked at."""

ASKED_S = 2.0
"""Nor is a call if the server asks to wait for longer than this."""

LONG_WAIT_S = 10.0
"""A server that asks to wait for longer does not let calls in evenly, whatever its
headers say is left."""

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
"""How much more than was estimated a server is thought to charge, at most."""

GAPS_S = (0.1, 8.0)
"""How long no call starts after a refusal, and at most after several in a row, each
twice as long as the last."""

GAP_SHARE = 1 / 4
"""How long it is at first at least, of the time from one call to the next by the pace
or the limits that are known."""

RATE_LIMIT = "the rate limit"
"""What calls wait for where the server did not say how long."""

SOON = 3.0
"""A call that is in flight for so many times as long as another one took to be refused
was let in."""

TRUSTED = 3
"""So many refusals in a row may come exactly when the server said to come back."""


def header_number(value: object) -> float | None:
    """The number in a header, of requests or tokens; of a duration, such as `20ms` or
    `6m0s`, its seconds. None if it holds neither."""
    text = str(value).strip()
    try:
        number = float(text)
    except ValueError:
        parts = DURATION.findall(text)
        whole = "".join(number + unit for number, unit in parts) == text
        seconds = sum(float(number) * UNITS_S[unit] for number, unit in parts)
        return seconds if parts and whole else None
    return max(0.0, number) if math.isfinite(number) else None


class BucketSnapshot(NamedTuple):
    """When something was taken from a bucket, and all that was taken by then."""

    at: float
    taken: float
    amount: float


class Permit(NamedTuple):
    """The place of a call that was let through: what it took of the buckets."""

    number: int
    """How many were let through by then."""
    requests: BucketSnapshot
    tokens: BucketSnapshot
    size: float
    """The tokens that were estimated for it."""


class Bucket:
    """A token bucket: so much at once, refilled evenly; unlimited until it is known."""

    def __init__(self, per_minute: float | None, now: float) -> None:
        self._capacity = per_minute
        self._rate = (per_minute or 0) / 60
        self._level = per_minute or 0.0
        self._at = now
        self._taken = 0.0
        self._times = 0
        self._lifted: tuple[BucketSnapshot, float] | None = None
        """When the limit was lifted, and what was left then."""
        self._newest_reply: tuple[BucketSnapshot, float] | None = None
        """The newest call that was replied to, and what was left then."""
        self._returned: deque[BucketSnapshot] = deque(maxlen=1000)
        """What was taken and not charged, by calls later than the one of `_told`."""
        self._proof: tuple[int, float, float] | None = None
        """How many replies, since when, said that more is left, and how much at least;
        None before the first reply."""
        self._fullest = 0.0
        """The most that was ever left, as a server may have a smaller bucket than what
        it lets through in a minute."""
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

    @property
    def spacing_s(self) -> float:
        """The seconds in which one unit flows in; 0 while no limit is known."""
        return 1 / self._rate if self._rate > 0 else 0.0

    def take(self, amount: float, now: float) -> BucketSnapshot:
        """Takes `amount`; the wait for it must be over."""
        self._taken += amount
        self._times += 1
        if self._capacity is not None:
            self._level = self._level_at(now) - amount * self._weight
            self._at = now
        return BucketSnapshot(now, self._taken, amount)

    def give_back(self, mark: BucketSnapshot) -> None:
        """Undoes a `take`: the call was not sent, or the server says what is left."""
        self._returned.append(mark)
        self._level += mark.amount * self._weight

    def owe_nothing(self, mark: BucketSnapshot, now: float) -> None:
        """Notes that a call was refused: nothing is owed for it. No more is left than
        before, as far as anything was left."""
        self._returned.append(mark)
        if self._capacity is not None:
            self._level, self._at = self._level_at(now), now
            paid_back = self._level + mark.amount * self._weight
            self._level = max(self._level, min(0.0, paid_back))

    def bound(self, per_minute: float | None, now: float) -> None:
        """Sets the limit, or lifts it. The first time the bucket is full; after that,
        what was taken stays in mind, as does what is taken while no limit holds. A
        bucket holds one at least, however long it takes to flow in."""
        if per_minute is None:
            if self._capacity is not None:
                self._lifted = (
                    BucketSnapshot(now, self._taken, 0.0),
                    self._level_at(now),
                )
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
        sent: BucketSnapshot,
        now: float,
        *,
        alone: bool = False,
        refused: bool = False,
    ) -> None:
        """Adopts what the reply to a call says of the server's bucket; `sent` is what
        `take` gave for that call. While it was the only one in flight, nothing can
        have overtaken it: it is right in any case."""
        if limit is None or limit < 1:
            return
        rate = limit / 60
        is_span = reset_s is not None and 0 < reset_s <= LONGEST_RESET_S
        if remaining is not None and reset_s and is_span and limit > remaining:
            shown = (limit - remaining) / reset_s
            rate = shown if shown < rate / 2 else rate  # a limit per hour or per day
        ours = limit if self._capacity is None else min(limit, self._level_at(now))
        self._capacity, self._rate = limit, rate
        self._level, self._at = ours, now
        if remaining is None or (self._newest_reply and sent < self._newest_reply[0]):
            return  # a call that was sent later has been replied to
        self._fullest = max(self._fullest, remaining)
        if not refused:
            self._weigh(remaining, sent, now)
        self._newest_reply = sent, remaining
        while self._returned and self._returned[0].taken <= sent.taken:
            self._returned.popleft()
        later = self._weight * (self._taken - sent.taken - self._uncharged(sent.taken))
        theirs = min(limit, remaining + rate * (now - sent.at) - later)
        self._adopt(theirs, ours, now, alone=alone)

    def _uncharged(self, after: float, until: float = math.inf) -> float:
        """What was taken between two marks and not charged."""
        return sum(m.amount for m in self._returned if after < m.taken <= until)

    def _adopt(self, theirs: float, ours: float, now: float, *, alone: bool) -> None:
        """Believes in less at once, and in more when all replies of a while say so."""
        if self._proof is None or theirs <= ours or alone:
            self._level = theirs
        else:
            replies, since, least = self._proof
            self._proof = replies + 1, since, min(least, theirs - ours)
            if replies + 1 < PROOF[0] or now - since < PROOF[1]:
                return
            self._level = ours + self._proof[2]
        self._proof = 0, now, float("inf")

    def _weigh(self, remaining: float, sent: BucketSnapshot, now: float) -> None:
        """Compares what the server charged with what was taken, from the call that was
        last replied to up to this one."""
        if self._newest_reply is None or self._capacity is None:
            return
        before, left = self._newest_reply
        passed_s = sent.at - before.at
        most = left + self._rate * passed_s
        if passed_s <= 0 or most > (1 - SPARE_SHARE) * self._fullest:
            return  # a full bucket gains nothing, so nothing can be told from it
        step = STEADY * min(1.0, passed_s / max(now - sent.at, ROUNDING))
        taken = sent.taken - before.taken - self._uncharged(before.taken, sent.taken)
        charged = most - remaining
        self._charged_per_s += step * (charged / passed_s - self._charged_per_s)
        self._taken_per_s += step * (taken / passed_s - self._taken_per_s)
        if self._taken_per_s > 0:
            weight = self._charged_per_s / self._taken_per_s
            self._weight = min(HEAVIEST, max(1.0, weight))

    @property
    def _spare(self) -> float:
        """What is to stay in a server's bucket when a call has been let through."""
        if self._newest_reply is None or self._capacity is None:
            return 0.0
        alone, crowded = SPARE
        calls = alone + (crowded - alone) * min(1.0, self._weight - 1)
        full = min(self._capacity, self._fullest)
        return min(calls * self._taken / self._times, SPARE_SHARE * full)

    def _level_at(self, now: float) -> float:
        gained = max(0.0, now - self._at) * self._rate
        return min(self._capacity or 0.0, self._level + gained)


class Pace:
    """How many calls a second a server bears that does not say: what it answered until
    it refused many, and slowly more until it does so again.

    A pace is tested: if a share of the calls is refused at that pace as well, and again
    at a slower one, they are refused by accident, at any pace, and it is forgotten. Of
    a real limit, what was answered is answered again.
    """

    SHARE = 0.95
    """Of what was answered, so that it is not refused again at once."""
    FASTER = (0.002, 0.01)
    """How much faster it gets with each answer, and at most with each second."""
    SLOWER = 0.95
    """How much slower it gets with each single refusal."""
    FAR = 1.2
    """At most so far above what was found, until that is long ago."""
    LONG_S = 150.0
    """Then limits for a minute would have been met again: it gets faster five times as
    fast, and when it is twice what was found, that is forgotten."""
    FLOOR = 0.8
    """Of what was found: single refusals make it no slower."""
    TEST = (32, 1.0)
    """After so many calls it is seen how many of them were refused; after so many
    seconds at least, where that is to say what a pace that was found is worth."""
    MANY = 0.45
    """While no pace is known, a larger share says that there may be a limit."""
    FEW = 0.08
    """Up to such a share the pace is thought to be right."""
    VAIN = 2
    """So often in a row a pace was slower in vain: calls are refused by accident."""

    def __init__(self, now: float) -> None:
        self.rate: float | None = None
        """Calls a second; None while nothing is known."""
        self._next_at = now
        self._found, self._found_at = 0.0, now
        self._since = self._grown_at = now
        self._answered = self._refused = 0
        self._sent = self._singles = self._vain = 0
        self.usual = 0.0
        """The share of the last calls that were refused alone."""

    def restart(self, now: float) -> None:
        """Begins to measure; what was found stays."""
        self._since = now
        self._answered = self._refused = self._sent = self._singles = 0

    def wait_s(self, now: float) -> float:
        """The seconds until the next call may start."""
        return 0.0 if self.rate is None else max(0.0, self._next_at - now)

    def least_s(self, calls: float, now: float) -> float:
        """The seconds until so many calls can have started."""
        return 0.0 if self.rate is None else (calls - 1) / self.rate + self.wait_s(now)

    def take(self, now: float) -> None:
        """Notes that a call starts."""
        self._sent += 1
        if self.rate is not None:
            self._next_at = max(self._next_at, now) + 1 / self.rate

    def refused(self) -> None:
        """Notes that a call was refused while others were."""
        self._refused += 1
        self._sent = self._singles = 0

    def refused_alone(self, now: float) -> bool:
        """Notes that a call was refused, and those sent just before and after it were
        not; whether those were many, and no pace is known that could be tested."""
        self._refused += 1
        self._singles += 1
        if self.rate is not None:
            self.rate = max(self.rate * self.SLOWER, self.FLOOR * self._found)
            self._found_at = now
        return self._test(now)

    def _test(self, now: float) -> bool:
        """Sees after some calls whether the pace is right: finds a slower one, or that
        none is of use. Whether there is none, and more are refused than usual."""
        few, least_s = self.TEST
        soon = self.rate is not None and now - self._since < least_s
        if self._sent < few or soon:
            return False
        share = self._singles / self._sent
        self._sent = self._singles = 0
        if self.rate is None:
            self.usual = share
            return share > self.MANY
        if share <= self.FEW:
            self._vain = 0
        elif self._vain + 1 < self.VAIN:
            self._vain += 1
            self.find(now, sure=True)
        else:
            self.rate, self._vain, self.usual = None, 0, share
            self.restart(now)
        return False

    def answered(self, now: float) -> None:
        """Notes that a call was answered."""
        self._answered += 1
        self._test(now)
        if self.rate is None:
            return
        by_answer, by_second = self.FASTER
        passed_s, self._grown_at = now - self._grown_at, now
        if now - self._found_at < self.LONG_S:
            grown = self.rate * (1 + min(by_answer, by_second * passed_s))
            self.rate = max(self.rate, min(grown, self.FAR * self._found))
            return
        self.rate *= 1 + min(5 * by_answer, by_second * passed_s)
        if self.rate > 2 * self._found:
            self.rate = None

    def find(self, now: float, *, sure: bool) -> None:
        """Sets the pace to what was answered since the last one was found. Unless that
        is `sure`, a share f of refusals makes it slower by f/2 at most."""
        answered = max(1, self._answered)
        rate = self.SHARE * answered / max(now - self._since, ROUNDING)
        if self.rate is not None:
            share = self._refused / (answered + self._refused)
            least = 0.0 if sure else self.rate * (1 - share / 2)
            rate = min(self.rate, max(rate, least))
        self.rate = self._found = rate
        self._found_at = now
        self._next_at = max(self._next_at, now + 1 / rate)
        self._grown_at = now
        self.restart(now)


class Cap:
    """How many calls at once a server bears that refuses more: as many as were found
    and, from time to time, one more."""

    PATIENCE = (2, 20, 640)
    """After so many answers one more is tried: at first, once that was refused, and
    after many refusals."""

    def __init__(self) -> None:
        self.calls: float | None = None
        """None while nothing is known."""
        self._patience = self.PATIENCE[0]
        self._answered = 0
        self._tried: int | None = None
        """The call that is one more, while it is in flight."""

    @property
    def room(self) -> float:
        """How many calls may be in flight."""
        if self.calls is None:
            return math.inf
        tries = self._tried is not None or self._answered >= self._patience
        return int(self.calls) + tries

    def find(self, calls: int) -> None:
        """Sets it to as many as were answered while others were refused; if it was
        known, only half the way, as that may have been an accident."""
        known = calls if self.calls is None else (self.calls + calls) / 2
        self.calls, self._patience = max(1.0, known), self.PATIENCE[0]
        self._answered, self._tried = 0, None

    def take(self, number: int, in_flight: int) -> None:
        """Notes that a call is let through, as one of so many."""
        if (
            self._tried is None
            and self.calls is not None
            and in_flight > int(self.calls)
        ):
            self._tried, self._answered = number, 0

    def answered(self, number: int) -> None:
        """Notes that a call was answered; if it was one more, that is borne."""
        self._answered += 1
        if self.calls is not None and number == self._tried:
            self.calls += 1
            self._patience = max(1, self._patience // 2)
            self._tried, self._answered = None, 0

    def refused(self, number: int) -> bool:
        """Notes that a call was refused; whether it was one more."""
        if number != self._tried:
            return False
        _, least, most = self.PATIENCE
        self._patience = min(most, max(least, 2 * self._patience))
        self._tried, self._answered = None, 0
        return True

    def lost(self, number: int) -> None:
        """Notes that nothing will be heard of a call, if nothing was."""
        if number == self._tried:
            self._tried = None


@dataclass
class Stop:
    """That a server refuses calls, and how it is found out that it answers again."""

    asked: int
    """The last call that was let through before the first refusal came back."""
    newest: int
    """The newest call that was refused."""
    explained: bool
    """Whether the server's headers say why."""
    may_be_full: bool
    """Whether there may be no more calls at once, as far as is known."""
    asked_s: float
    """How long the server asked to wait."""
    gap_s: float
    """How long after a call the next one may start."""
    refusals: int = 1
    """How many in a row, each of a call that was sent after the last one came back."""
    others: int = 0
    """The calls in flight that were not refused: if there may be no more at once."""
    freed: int = 0
    """How many of those have been answered, and no other was sent in their place."""
    probes: dict[int, float] = field(default_factory=dict)
    """The calls in flight that were let through since, and when."""
    early: set[int] = field(default_factory=set)
    """Those that were let through because there might be a place."""


class Limiter:
    """What one model at one server bears, and what the user wants of it.

    The window, how many calls may be in flight, starts small, grows by one with each
    answer until more than stray calls fail, then by one for each windowful; a windowful
    in which a share f of the calls failed shrinks it by f/2, so that stray failures
    hardly matter and an overload halves it (Alizadeh et al., "Data Center TCP",
    SIGCOMM 2010, with the share of one window as the estimate).
    """

    def __init__(self, now: float, dice: random.Random | None = None) -> None:
        self.reason = ""
        """Why the last caller that had to wait had to."""
        self._window = 1.0
        self._ceiling = 1
        self._own_requests, self._own_tokens = Bucket(None, now), Bucket(None, now)
        self._requests, self._tokens = Bucket(None, now), Bucket(None, now)
        self._project_tokens = Bucket(None, now)
        self._pace, self._cap = Pace(now), Cap()
        self._paused_until = now
        self._pause_reason = ""
        self._stop: Stop | None = None
        self._refusals: deque[int] = deque(maxlen=256)
        """The calls that were refused lately, by their numbers."""
        self._number = 0
        self._out: set[int] = set()
        """The calls in flight, by their numbers."""
        self._slow_start = True
        self._seen = self._failed = 0
        self._heard_at = now
        self._said: dict[str, tuple[str, ...]] = {}
        """The last headers of each kind, as they were."""
        self._ignored: dict[str, str] = {}
        self._dice = dice or random.Random()

    @property
    def window(self) -> float:
        """How many calls may be in flight."""
        return min(self._window, self._cap.room)

    @property
    def notes(self) -> list[str]:
        """What the user should know of the server, in a few words each."""
        cap = self._cap.calls
        shown = cap is not None and cap < self._ceiling
        return [
            *([f"at most {cap:.0f} at once, as more were refused"] if shown else []),
            *(f"ignored {name}: {value}" for name, value in self._ignored.items()),
        ]

    @property
    def refuses(self) -> bool:
        """Whether the server answers nothing: it refused the last calls that were sent,
        more than are refused by accident."""
        last = range(self._number - TRUSTED + 1, self._number + 1)
        return self._stop is not None or all(n in self._refusals for n in last)

    def has_room(self, in_flight: int) -> bool:
        """Whether the server bears one more call than these."""
        stop = self._stop
        if stop is not None and stop.others and not stop.freed and self._out:
            return False  # what becomes of a call in flight says more than another one
        return in_flight < int(self.window)

    def widen(self, ceiling: int, now: float) -> None:
        """Sets how many calls may be in flight, whatever the server bears."""
        self._ceiling = ceiling
        if now - self._heard_at > REST_S:
            self._slow_start, self._cap = True, Cap()
        if self._slow_start:
            first = min(ceiling, max(FIRST_WINDOW, ceiling * FIRST_SHARE))
            self._window = max(self._window, float(first))

    def bound(self, rpm: float | None, tpm: float | None, now: float) -> None:
        """Sets the user's own limits; those of the server hold as well."""
        self._own_requests.bound(rpm, now)
        self._own_tokens.bound(tpm, now)

    def wait_s(self, tokens: float, now: float) -> float:
        """The seconds until one call of so many tokens may start: 0 for now; else
        `reason` says what is waited for."""
        waits = [
            (max(b.wait_s(1, now) for b in self._by_request), "requests per minute"),
            (max(b.wait_s(tokens, now) for b in self._by_token), "tokens per minute"),
        ]
        if not (self._stop and self._stop.freed):
            waits.append((self._pace.wait_s(now), RATE_LIMIT))
            waits.append((self._paused_until - now, self._pause_reason))
        wait_s, self.reason = max(waits, key=lambda wait: wait[0])
        return max(0.0, wait_s)

    def servers_wait(self, tokens: float, now: float) -> tuple[float, str]:
        """As `wait_s`, by what the server said alone; and what that was."""
        waits = [
            (self._requests.wait_s(1, now), "requests"),
            (self._tokens.wait_s(tokens, now), "tokens"),
            (self._project_tokens.wait_s(tokens, now), "project-tokens"),
        ]
        wait_s, what = max(waits)
        if self._paused_until - now > wait_s:
            return self._paused_until - now, self._pause_reason
        return wait_s, ", ".join(self._said.get(what, ()))

    def take(self, tokens: float, now: float) -> Permit:
        """Notes that a call of so many tokens starts; the wait for it must be over."""
        if not self._out and now - self._heard_at > REST_S and self._pace.rate is None:
            self._pace.restart(now)  # what was idle says nothing of the server
        self._number += 1
        self._out.add(self._number)
        self._cap.take(self._number, len(self._out))
        if (stop := self._stop) is not None:
            stop.probes[self._number] = now
            if stop.freed:
                stop.early.add(self._number)
                stop.freed -= 1
            else:
                self.pause(stop.gap_s, self._pause_reason, now)
        self._pace.take(now)
        self._own_requests.take(1, now)
        self._own_tokens.take(tokens, now)
        self._project_tokens.take(tokens, now)
        # What replies tell is compared with what was taken of the server's buckets.
        requests, taken = self._requests.take(1, now), self._tokens.take(tokens, now)
        return Permit(self._number, requests, taken, tokens)

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
            self._pace.least_s(calls, now),
            self._paused_until - now,
        )

    def pause(self, wait_s: float, reason: str, now: float) -> None:
        """Lets no further call start for so many seconds, and up to a tenth more, so
        that not all who share a limit come back at once."""
        until = now + wait_s * (1 + 0.1 * self._dice.random())
        if until > self._paused_until:
            self._paused_until, self._pause_reason = until, reason

    def withdraw(self, place: Permit) -> None:
        """Undoes a `take`: the call was not sent."""
        self.lost(place)
        self._own_requests.give_back(place.requests)
        self._own_tokens.give_back(place.tokens)
        self._give_back(place)

    def lost(self, place: Permit) -> None:
        """Notes that nothing will be heard of a call, if nothing was."""
        self._out.discard(place.number)
        self._cap.lost(place.number)
        if self._stop is not None:
            self._stop.probes.pop(place.number, None)

    def charge(self, place: Permit, tokens: float, now: float) -> None:
        """Takes of the user's own limit what a call took beyond the estimate: without
        max_tokens an answer may have any length."""
        if tokens > place.size:
            self._own_tokens.take(tokens - place.size, now)

    def learn(
        self,
        headers: Mapping[str, str],
        place: Permit,
        now: float,
        *,
        refused: bool = False,
    ) -> None:
        """Adopts the limits in the headers of the reply to a call."""
        for (what, (name, *_)), (bucket, mark) in zip(
            HEADERS.items(), self._servers(place), strict=True
        ):
            if name in headers:
                limit, remaining, reset_s = (
                    header_number(headers.get(header)) for header in HEADERS[what]
                )
                if limit is None or 0 < limit < 1:
                    self.ignore(name, str(headers[name]))
                    continue
                self._said[what] = tuple(
                    f"{header}: {headers[header]}"
                    for header in HEADERS[what]
                    if header in headers
                )
                alone = not self._out
                bucket.learn(
                    limit, remaining, reset_s, mark, now, alone=alone, refused=refused
                )

    def answered(self, place: Permit, headers: Mapping[str, str], now: float) -> None:
        """Notes that a call was answered, and adopts what the reply says."""
        self._cap.answered(place.number)
        self.lost(place)
        self.learn(headers, place, now)
        self._pace.answered(now)
        self._note(now, failed=False)
        grown = self._window + (1 if self._slow_start else 1 / self._window)
        self._window = max(self._window, min(float(self._ceiling), grown))
        if self._stop is not None:
            self._hear(self._stop, place.number, now)

    def settled(self, place: Permit, headers: Mapping[str, str], now: float) -> None:
        """Notes that a call was dealt with, if not answered, as another like it would
        be: the request is wrong, not the rate; and adopts what the reply says."""
        self.lost(place)
        self.learn(headers, place, now)
        if self._stop is not None:
            self._hear(self._stop, place.number, now)

    def ignore(self, name: str, value: str) -> None:
        """Notes that a header says what cannot be."""
        self._ignored[name] = value[:40]

    def failed(self, place: Permit, headers: Mapping[str, str], now: float) -> None:
        """Notes that the server is overloaded or broken: a call failed that may succeed
        later; and adopts what the reply says."""
        self.lost(place)
        self.learn(headers, place, now)
        self._note(now, failed=True)

    def refused(
        self,
        place: Permit,
        headers: Mapping[str, str],
        asked_s: float | None,
        now: float,
    ) -> float | None:
        """Notes that a call was refused for the rate (429), and adopts what the reply
        says; the seconds that all have to wait, None if this one waits alone.
        `asked_s` is what the server asks for.

        It was not charged; but only headers that say what is left let another call
        start in its place.
        """
        one_more = self._cap.refused(place.number)
        self.lost(place)
        in_a_row = self._in_a_row(place.number)
        self._overtaken(place, now)
        explained = self._says_why(headers, place)
        if any(name in headers for name in REMAINING.values()):
            self._give_back(place)
        else:
            for bucket, mark in self._servers(place):
                bucket.owe_nothing(mark, now)
        self.learn(headers, place, now, refused=True)
        if one_more and not explained:
            return 0.0
        stop, asked = self._stop, asked_s or 0.0
        chance = max(STRAY, self._pace.usual) ** in_a_row
        few = chance > ACCIDENT and not explained and asked <= ASKED_S
        if self._cap.calls is not None and self._pace.usual <= STRAY:
            few &= len(self._out) + 1 < self._cap.calls
        if stop is None and few and not self._pace.refused_alone(now):
            if self._slow_start:
                self._window = max(1.0, self._window - 1)
            return None
        self._pace.refused()
        self._slow_start, self._heard_at = False, now
        if stop is None or place.number > stop.asked:
            stop = self._stop = self._stopped(place, stop, explained, asked)
            trusted = asked > 0 and stop.refusals <= TRUSTED
            reason = "Retry-After" if asked else RATE_LIMIT
            self.pause(max(asked, 0.0 if trusted else stop.gap_s), reason, now)
        stop.newest = max(stop.newest, place.number)
        if stop.may_be_full:
            stop.others = len(self._out)
        return 0.0 if stop.others else max(0.0, self._paused_until - now)

    def _in_a_row(self, number: int) -> int:
        """How many calls, sent one after the other, were refused with that one; no
        more than matter."""
        self._refusals.append(number)
        first = last = number
        while first - 1 in self._refusals and last - first < ROW:
            first -= 1
        while last + 1 in self._refusals and last - first < ROW:
            last += 1
        return last - first + 1

    def _stopped(
        self, place: Permit, last: Stop | None, explained: bool, asked_s: float
    ) -> Stop:
        """The stop that a refusal begins or prolongs. Calls in flight may be the reason
        where no pace is known, and no call that was to find out has said otherwise."""
        refusals = last.refusals + 1 if last else 1
        refuted = last is not None and place.number in last.early
        may_be_full = not explained and self._pace.rate is None
        if refuted and self._cap.calls is None:
            may_be_full = False
        first_s = max(GAPS_S[0], GAP_SHARE * self._spacing_s)
        gap_s = min(GAPS_S[1], first_s * 2 ** (refusals - 1))
        return Stop(
            asked=self._number,
            newest=place.number,
            explained=explained,
            may_be_full=may_be_full,
            asked_s=asked_s,
            gap_s=gap_s,
            refusals=refusals,
        )

    def _overtaken(self, place: Permit, now: float) -> None:
        """Ends a stop if a call that was sent long before the one that was just refused
        is still in flight: it was let in, as refusals come soon."""
        stop = self._stop
        soon_s = SOON * (now - place.requests.at)
        if stop is not None:
            borne = [n for n, at in stop.probes.items() if now - at > soon_s]
            if borne:
                self._hear(stop, min(borne), now)

    def _hear(self, stop: Stop, number: int, now: float) -> None:
        """Ends a stop if that call was answered."""
        if number <= (stop.asked if stop.others else stop.newest):
            stop.freed += stop.others > 0
            return
        self._stop = None
        if number in stop.early:
            self._cap.find(stop.others)
            self._paused_until = now
        elif (
            not stop.explained or stop.refusals >= TRUSTED or stop.asked_s > LONG_WAIT_S
        ):
            sure = stop.refusals >= 2 * TRUSTED or stop.asked_s > ASKED_S
            self._pace.find(now, sure=sure)

    @property
    def _spacing_s(self) -> float:
        """The time from one call to the next, as far as the server's pace is known."""
        return max(self._requests.spacing_s, 1 / (self._pace.rate or math.inf))

    def _servers(self, place: Permit) -> tuple[tuple[Bucket, BucketSnapshot], ...]:
        return (
            (self._requests, place.requests),
            (self._tokens, place.tokens),
            (self._project_tokens, place.tokens),
        )

    def _give_back(self, place: Permit) -> None:
        for bucket, mark in self._servers(place):
            bucket.give_back(mark)

    def _says_why(self, headers: Mapping[str, str], place: Permit) -> bool:
        """Whether the headers of a refusal say that too little was left."""
        for what, name in REMAINING.items():
            remaining = header_number(headers.get(name))
            limit = header_number(headers.get(f"x-ratelimit-limit-{what}")) or 0.0
            wanted = 1.0 if what == "requests" else HEAVIEST * place.size
            if remaining is not None and remaining < max(wanted, SPARE_SHARE * limit):
                return True
        return False

    def _note(self, now: float, *, failed: bool) -> None:
        self._heard_at = now
        self._seen += 1
        self._failed += failed
        if self._seen < self._window:
            return
        share = self._failed / self._seen
        self._slow_start &= share <= STRAY
        self._window = max(1.0, self._window * (1 - share / 2))
        self._seen = self._failed = 0

    @property
    def _by_request(self) -> tuple[Bucket, ...]:
        return self._own_requests, self._requests

    @property
    def _by_token(self) -> tuple[Bucket, ...]:
        return self._own_tokens, self._tokens, self._project_tokens


HEADERS = {
    what: tuple(
        f"x-ratelimit-{part}-{what}" for part in ("limit", "remaining", "reset")
    )
    for what in ("requests", "tokens", "project-tokens")
}
REMAINING = {what: remaining for what, (_, remaining, _) in HEADERS.items()}
