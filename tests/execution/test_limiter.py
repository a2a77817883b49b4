"""Limits: durations, buckets and the window, on a clock that the tests set."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field

import pytest

from promptlab.execution.limiter import FIRST_WINDOW, Bucket, Limiter, parse_duration

# Durations.


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1s", 1),
        ("6m0s", 360),
        ("20ms", 0.02),
        ("1h2m3.5s", 3723.5),
        ("17", 17),
        ("1.5", 1.5),
        (" 2s ", 2),
        ("1d2h", 93600),
        ("7.66s", 7.66),
        ("250us", 0.00025),
        ("250µs", 0.00025),
        ("10ns", 1e-8),
        ("0", 0),
        ("-3", 0),
        ("", None),
        ("x", None),
        ("6m and a bit", None),
        ("s", None),
        (None, None),
    ],
)
def test_a_duration_is_read_as_the_headers_write_it(
    text: str | None, seconds: float | None
) -> None:
    assert parse_duration(text) == (
        None if seconds is None else pytest.approx(seconds, abs=1e-12)
    )


# Buckets.


def test_a_bucket_without_a_limit_lets_everything_pass() -> None:
    bucket = Bucket(None, now=0)

    assert [taken(bucket, 1000, now=0) for _ in range(5)] == [0] * 5


def test_a_bucket_gives_its_minute_at_once_and_then_one_by_one() -> None:
    bucket = Bucket(60, now=0)

    waits = [taken(bucket, 1, now=0) for _ in range(62)]

    assert waits[:60] == [0] * 60
    assert waits[60:] == pytest.approx([1, 1])  # what must wait takes nothing


def taken(bucket: Bucket, amount: float, now: float) -> float:
    """Takes from a bucket if it need not wait; the wait."""
    if (wait_s := bucket.wait_s(amount, now)) <= 0:
        bucket.take(amount)
    return wait_s


def test_a_bucket_refills_up_to_its_minute_and_no_further() -> None:
    bucket = Bucket(60, now=0)
    for _ in range(60):
        taken(bucket, 1, now=0)

    assert taken(bucket, 10, now=10) == 0
    assert taken(bucket, 60, now=10_000) == 0
    assert taken(bucket, 1, now=10_000) == pytest.approx(1)


def test_a_call_larger_than_the_limit_waits_for_a_full_bucket_not_for_ever() -> None:
    bucket = Bucket(600, now=0)
    taken(bucket, 600, now=0)

    assert taken(bucket, 1_000_000, now=0) == pytest.approx(60)


def test_a_bucket_learns_its_limit_and_level_from_a_reply() -> None:
    bucket = Bucket(None, now=0)

    bucket.learn(limit=60, remaining=2, reset_s=58, now=0)

    assert [taken(bucket, 1, now=0) for _ in range(4)] == pytest.approx([0, 0, 1, 1])


def test_a_level_falls_to_what_the_server_has_left_and_never_rises() -> None:
    bucket = Bucket(60, now=0)

    bucket.learn(limit=60, remaining=1, reset_s=59, now=0)  # others use the key too
    bucket.learn(limit=60, remaining=50, reset_s=10, now=0)  # an older reply

    assert [taken(bucket, 1, now=0) for _ in range(2)] == pytest.approx([0, 1])


def test_of_two_limits_the_lower_one_holds() -> None:
    mine, servers = Bucket(30, now=0), Bucket(600, now=0)

    mine.learn(limit=600, remaining=600, reset_s=0, now=0)
    servers.learn(limit=30, remaining=30, reset_s=0, now=0)

    for bucket in (mine, servers):
        assert taken(bucket, 30, now=0) == 0
        assert taken(bucket, 1, now=0) == pytest.approx(2)


def test_a_limit_per_day_is_not_taken_for_one_per_minute() -> None:
    bucket = Bucket(None, now=0)

    bucket.learn(limit=1440, remaining=1439, reset_s=60, now=0)  # as Groq: 1 a minute
    taken(bucket, 1439, now=0)

    assert taken(bucket, 1, now=0) == pytest.approx(60)


@pytest.mark.parametrize("limit", [None, 0, -1])
def test_a_reply_without_a_usable_limit_teaches_nothing(limit: float | None) -> None:
    bucket = Bucket(None, now=0)

    bucket.learn(limit, remaining=0, reset_s=60, now=0)

    assert taken(bucket, 1, now=0) == 0


def test_three_buckets_are_read_from_headers() -> None:
    limiter = Limiter(100, now=0)

    limiter.learn(
        {
            "x-ratelimit-limit-requests": "600",
            "x-ratelimit-remaining-requests": "599",
            "x-ratelimit-reset-requests": "100ms",
            "x-ratelimit-limit-tokens": "60000",
            "x-ratelimit-remaining-tokens": "60000",
            "x-ratelimit-limit-project-tokens": "6000",
            "x-ratelimit-remaining-project-tokens": "1000",
        },
        now=0,
    )

    assert limiter.admit(tokens=1000, now=0) == 0
    assert limiter.admit(tokens=1000, now=0) == pytest.approx(10)
    assert limiter.reason == "tokens per minute"


def test_unreadable_headers_are_passed_over() -> None:
    limiter = Limiter(100, now=0)

    limiter.learn(
        {"x-ratelimit-limit-requests": "many", "x-ratelimit-limit-tokens": ""}, now=0
    )

    assert limiter.admit(tokens=10**9, now=0) == 0


def test_a_pause_holds_every_call_and_says_why() -> None:
    limiter = Limiter(100, now=0)

    limiter.pause(20, "Retry-After", now=0)
    limiter.pause(5, "a shorter one", now=0)

    assert limiter.admit(tokens=1, now=1) == pytest.approx(19)
    assert limiter.reason == "Retry-After"
    assert limiter.admit(tokens=1, now=21) == 0


# The window.


def test_the_window_starts_small_and_never_passes_the_ceiling() -> None:
    assert Limiter(32, now=0).window == FIRST_WINDOW
    assert Limiter(3, now=0).window == 3

    limiter = Limiter(20, now=0)
    for _ in range(1000):
        limiter.answered()

    assert limiter.window == 20


def test_until_the_first_refusal_each_answer_adds_one() -> None:
    limiter = Limiter(64, now=0)
    before = limiter.window

    for _ in range(10):
        limiter.answered()

    assert limiter.window == before + 10


def test_a_stray_refusal_does_not_end_the_quick_start() -> None:
    limiter = Limiter(256, now=0)
    before = limiter.window

    limiter.refused()
    for _ in range(3 * int(before)):
        limiter.answered()

    assert limiter.window > 3 * before


def test_after_a_refusal_a_windowful_of_answers_adds_one() -> None:
    limiter = Limiter(64, now=0)
    for _ in range(int(limiter.window)):
        limiter.refused()
    before = limiter.window

    for _ in range(int(before)):
        limiter.answered()

    assert limiter.window == pytest.approx(before + 1, rel=0.1)


def test_a_windowful_of_refusals_halves_the_window() -> None:
    limiter = Limiter(64, now=0)
    before = limiter.window

    for _ in range(int(before)):
        limiter.refused()

    assert limiter.window == pytest.approx(before / 2)


def test_the_window_never_falls_below_one() -> None:
    limiter = Limiter(64, now=0)

    for _ in range(1000):
        limiter.refused()

    assert limiter.window == 1


def test_a_stray_failure_hardly_matters() -> None:
    limiter = Limiter(100, now=0)
    for _ in range(500):
        limiter.answered()

    for number in range(1000):
        limiter.refused() if number % 100 == 0 else limiter.answered()

    assert limiter.window > 90


# All of it against a server, simulated.


@dataclass
class SimulatedServer:
    """Allows so many requests a minute, all of them at once after a rest."""

    per_minute: int
    latency_s: float
    tells: bool = True
    """Whether its replies have x-ratelimit headers."""
    refused: int = 0
    level: float = field(init=False)
    at: float = 0.0

    def __post_init__(self) -> None:
        self.level = self.per_minute

    def admits(self, now: float) -> tuple[float, Mapping[str, str]]:
        """How long a call that comes now must wait, and the headers of its reply."""
        rate = self.per_minute / 60
        self.level = min(self.per_minute, self.level + (now - self.at) * rate)
        self.at = now
        wait_s = max(0.0, (1 - self.level) / rate)
        if wait_s > 0:
            self.refused += 1
        else:
            self.level -= 1
        return wait_s, self.headers if self.tells else {}

    @property
    def headers(self) -> Mapping[str, str]:
        reset_s = (self.per_minute - self.level) * 60 / self.per_minute
        return {
            "x-ratelimit-limit-requests": str(self.per_minute),
            "x-ratelimit-remaining-requests": str(int(self.level)),
            "x-ratelimit-reset-requests": f"{reset_s:.3f}s",
        }


def simulated(
    server: SimulatedServer, calls: int, concurrency: int, limiter: Limiter
) -> float:
    """The seconds that so many calls take, asked as a run asks them: by as many
    workers as calls may be in flight, which enter one by one: each finds a place in
    the window, then asks the limiter."""
    now, left, in_flight, order = 0.0, calls, 0, iter(range(10**9))
    agenda: list[tuple[float, int, Iterator[float | str]]] = []
    at_door: deque[Iterator[float | str]] = deque()
    at_gate: deque[Iterator[float | str]] = deque()
    door_open = True

    def worker() -> Iterator[float | str]:
        nonlocal left
        while left:
            left -= 1
            while not (yield from attempt()):
                pass

    def attempt() -> Generator[float | str, None, bool]:
        nonlocal in_flight
        yield "door"
        while True:
            yield "gate"
            held_s = limiter.admit(tokens=100, now=now)
            if held_s <= 0:
                break
            in_flight -= 1
            yield held_s
        yield "entered"
        wait_s, headers = server.admits(now)
        yield server.latency_s
        in_flight -= 1
        limiter.learn(headers, now)
        if wait_s == 0:
            limiter.answered()
            return True
        limiter.refused()
        limiter.pause(wait_s, "Retry-After", now)
        yield wait_s
        return False

    for _ in range(min(calls, concurrency)):
        heapq.heappush(agenda, (0.0, next(order), worker()))
    while agenda:
        now, _, going = heapq.heappop(agenda)
        match next(going, "done"):
            case "door":
                at_door.append(going)
            case "gate":
                at_gate.append(going)
            case "entered":
                door_open = True
                heapq.heappush(agenda, (now, next(order), going))
            case float(wait_s):
                heapq.heappush(agenda, (now + wait_s, next(order), going))
        if door_open and at_door:
            door_open = False
            heapq.heappush(agenda, (now, next(order), at_door.popleft()))
        while at_gate and in_flight < int(limiter.window):
            in_flight += 1
            heapq.heappush(agenda, (now, next(order), at_gate.popleft()))
    return now


@pytest.mark.parametrize(
    ("per_minute", "calls", "latency_s", "concurrency"),
    [
        (500, 3000, 1.0, 32),
        (500, 3000, 1.0, 256),
        (60, 300, 2.0, 32),
        (60, 300, 2.0, 256),
        (5000, 10_000, 0.2, 32),
        (5000, 10_000, 0.2, 256),
    ],
)
def test_a_run_takes_what_the_limit_allows_and_is_hardly_ever_refused(
    per_minute: int, calls: int, latency_s: float, concurrency: int
) -> None:
    server = SimulatedServer(per_minute, latency_s)
    ideal_s = max(
        (calls - per_minute) * 60 / per_minute, calls / concurrency * latency_s
    )

    limiter = Limiter(concurrency, now=0)
    sent_unknowing = limiter.window - per_minute  # before any reply told the limit

    took_s = simulated(server, calls, concurrency, limiter)

    assert server.refused <= max(calls / 100, sent_unknowing)
    assert took_s <= 1.05 * ideal_s + 2 * latency_s


def test_a_users_own_limit_keeps_a_server_without_headers_from_refusing() -> None:
    server = SimulatedServer(120, latency_s=1.0, tells=False)
    limiter = Limiter(64, now=0, requests_per_minute=100)

    took_s = simulated(server, 500, 64, limiter)

    assert server.refused == 0
    assert took_s == pytest.approx(400 * 60 / 100, rel=0.05)


def test_without_headers_a_run_finds_its_speed_by_what_is_refused() -> None:
    server = SimulatedServer(600, latency_s=1.0, tells=False)

    took_s = simulated(server, 3000, 64, Limiter(64, now=0))

    assert server.refused <= 3000 / 5
    assert took_s <= 1.25 * (3000 - 600) * 60 / 600
