"""Limits: durations, buckets and the window, on a clock that the tests set."""

from __future__ import annotations

import random

import pytest

from promptlab.execution.scheduling.limiter import (
    FIRST_WINDOW,
    REST_S,
    Bucket,
    BucketSnapshot,
    Limiter,
    Permit,
    header_number,
)

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
    assert header_number(text) == (
        None if seconds is None else pytest.approx(seconds, abs=1e-12)
    )


@pytest.mark.parametrize(
    ("given", "number"), [(100, 100), ("inf", None), ("nan", None)]
)
def test_of_numbers_only_those_are_read_that_say_something(
    given: object, number: float | None
) -> None:
    assert header_number(given) == number


# Clocks.


@pytest.mark.parametrize("jump_s", [1.0, 30.0, 1e6])
def test_after_a_sleep_of_the_machine_no_more_than_a_full_bucket_is_let_in(
    jump_s: float,
) -> None:
    limiter = Limiter(now=1e6)
    limiter.widen(1000, now=1e6)
    limiter.bound(rpm=60, tpm=None, now=1e6)
    for _ in range(60):
        limiter.take(1, now=1e6)

    now = 1e6 + jump_s
    let_in = 0
    while limiter.wait_s(1, now) == 0:
        limiter.take(1, now)
        let_in += 1

    assert let_in == min(60, jump_s)
    assert limiter.wait_s(1, now) <= 1


# Buckets.


def test_a_bucket_without_a_limit_lets_everything_pass() -> None:
    bucket = Bucket(None, now=0)

    assert [taken(bucket, 1000, now=0) for _ in range(5)] == [0] * 5
    assert bucket.least_s(10**9, now=0) == 0


def test_a_bucket_gives_its_minute_at_once_and_then_one_by_one() -> None:
    bucket = Bucket(60, now=0)

    waits = [taken(bucket, 1, now=0) for _ in range(62)]

    assert waits[:60] == [0] * 60
    assert waits[60:] == pytest.approx([1, 1])  # what must wait takes nothing


def taken(bucket: Bucket, amount: float, now: float) -> float:
    """Takes from a bucket if it need not wait; the wait."""
    if (wait_s := bucket.wait_s(amount, now)) <= 0:
        bucket.take(amount, now)
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


def test_what_is_more_than_a_full_bucket_takes_as_long_as_the_rest_flows_in() -> None:
    bucket = Bucket(60, now=0)

    assert bucket.least_s(50, now=0) == 0
    assert bucket.least_s(360, now=0) == pytest.approx(300)


def test_a_limit_that_is_lifted_or_lowered_keeps_what_was_taken_in_mind() -> None:
    bucket = Bucket(60, now=0)
    bucket.take(60, now=0)

    bucket.bound(30, now=0)
    assert taken(bucket, 1, now=0) == pytest.approx(2)
    bucket.bound(600, now=0)
    assert taken(bucket, 1, now=0) == pytest.approx(0.1)
    bucket.bound(None, now=1)
    bucket.take(60, now=1)
    bucket.bound(60, now=2)
    assert taken(bucket, 1, now=2) > 40


def test_a_call_larger_than_the_limit_holds_the_next_back_for_all_it_took() -> None:
    bucket = Bucket(60, now=0)

    bucket.take(180, now=0)

    assert taken(bucket, 60, now=0) == pytest.approx(180)


def test_half_a_request_a_minute_is_one_in_two_minutes() -> None:
    bucket = Bucket(None, now=0)
    bucket.bound(0.5, now=0)

    assert taken(bucket, 1, now=0) == 0
    assert taken(bucket, 1, now=0) == pytest.approx(120)


# What a reply says of the server's bucket.


def told(
    bucket: Bucket,
    sent: BucketSnapshot,
    *,
    limit: float | None = 600,
    remaining: float | None = None,
    reset_s: float | None = None,
    now: float = 0,
) -> None:
    bucket.learn(limit, remaining, reset_s, sent, now)


def left(bucket: Bucket, now: float = 0) -> float:
    """What a bucket of 600 a minute, 10 a second, is thought to hold."""
    return 10_000 - 10 * bucket.least_s(10_000, now)


def test_a_reply_tells_limit_and_level() -> None:
    bucket = Bucket(None, now=0)

    told(bucket, bucket.take(1, now=0), remaining=20, reset_s=58)

    assert left(bucket) == pytest.approx(20)


def test_what_was_sent_after_the_call_and_what_flowed_in_is_reckoned_with() -> None:
    bucket = Bucket(None, now=0)
    first = bucket.take(1, now=0)
    for _ in range(30):
        bucket.take(1, now=0)

    told(bucket, first, remaining=100, now=2)

    assert left(bucket, now=2) == pytest.approx(100 + 2 * 10 - 30)


def test_a_server_that_has_less_left_is_believed_at_once() -> None:
    bucket = Bucket(None, now=0)
    told(bucket, bucket.take(1, now=0), remaining=500)
    assert bucket.wait_s(100, now=1) == 0

    told(bucket, bucket.take(1, now=1), remaining=40, now=1)  # others use the key too

    assert bucket.wait_s(100, now=1) > 6
    assert bucket.wait_s(1, now=1) == 0


def test_a_server_that_has_more_left_is_believed_when_all_replies_say_so() -> None:
    bucket = Bucket(None, now=0)
    told(bucket, bucket.take(0, now=0), remaining=300)

    lefts = []
    for tenths in range(1, 13):
        now, more = tenths / 10, 40 if tenths == 5 else 200
        told(bucket, bucket.take(0, now=now), remaining=300 + more + tenths, now=now)
        lefts.append(left(bucket, now))

    assert lefts[:8] == pytest.approx([300 + tenths for tenths in range(1, 9)])
    assert max(lefts) == pytest.approx(300 + 40 + 12, abs=2)  # the least of them


def test_a_reply_to_an_older_call_says_nothing_of_the_level() -> None:
    bucket = Bucket(None, now=0)
    older, newer = bucket.take(1, now=0), bucket.take(1, now=1)
    told(bucket, newer, remaining=100, now=1)

    told(bucket, older, remaining=10, now=1)

    assert left(bucket, now=1) == pytest.approx(100)


def test_a_call_that_was_refused_is_not_charged() -> None:
    bucket = Bucket(None, now=0)
    told(bucket, bucket.take(1, now=0), remaining=100)

    bucket.give_back(bucket.take(50, now=0))

    assert left(bucket) == pytest.approx(100)


def test_what_was_given_back_is_not_counted_by_the_next_reply_to_an_older_call() -> (
    None
):
    bucket = Bucket(None, now=0)
    older, withdrawn = bucket.take(1, now=0), bucket.take(50, now=0)
    bucket.give_back(withdrawn)

    told(bucket, older, remaining=100)

    assert left(bucket) == pytest.approx(100)


def test_a_refused_call_owes_nothing_and_leaves_no_more_than_there_was() -> None:
    bucket = Bucket(None, now=0)
    first, *later = (bucket.take(1, now=0) for _ in range(30))
    told(bucket, first, remaining=10)
    assert left(bucket) == pytest.approx(10 - 29)

    lefts = []
    for mark in later:
        bucket.owe_nothing(mark, now=0)
        lefts.append(left(bucket))

    assert max(lefts) == pytest.approx(0)
    bucket.owe_nothing(bucket.take(1, now=1), now=1)
    assert left(bucket, now=1) == pytest.approx(10 - 1)


def test_the_only_call_in_flight_is_believed_at_once_when_more_is_left() -> None:
    bucket = Bucket(None, now=0)
    told(bucket, bucket.take(1, now=0), remaining=10)

    bucket.learn(600, 500, None, bucket.take(1, now=1), now=1, alone=True)

    assert left(bucket, now=1) == pytest.approx(500)


def test_a_limit_per_day_is_not_taken_for_one_per_minute() -> None:
    bucket = Bucket(None, now=0)

    sent = bucket.take(1, now=0)
    told(bucket, sent, limit=1440, remaining=1439, reset_s=60)  # as Groq: 1 a minute

    assert bucket.least_s(1440, now=0) == pytest.approx(60)


def test_a_reset_that_is_a_date_is_none() -> None:
    bucket = Bucket(None, now=0)

    sent = bucket.take(1, now=0)
    told(bucket, sent, limit=60, remaining=0, reset_s=1_790_000_000)

    assert bucket.wait_s(1, now=0) < 10


@pytest.mark.parametrize("limit", [None, 0, -1, 1e-9])
def test_a_reply_without_a_usable_limit_teaches_nothing(limit: float | None) -> None:
    bucket = Bucket(None, now=0)

    told(bucket, bucket.take(1, now=0), limit=limit, remaining=0, reset_s=60)

    assert taken(bucket, 1, now=0) == 0


def test_a_server_that_charges_more_than_is_reckoned_is_found_out() -> None:
    bucket = Bucket(None, now=0)
    remaining = 300.0

    for second in range(60):
        remaining += 10 - 2 * 7
        told(bucket, bucket.take(7, now=second), remaining=remaining, now=second)

    assert bucket.least_s(1000, now=59) == pytest.approx(
        (2 * 1000 - remaining) / 10, rel=0.05
    )


# Limits.


def sent_now(limiter: Limiter, tokens: float = 0) -> Permit:
    return limiter.take(tokens, now=0)


def answered(limiter: Limiter) -> None:
    limiter.answered(sent_now(limiter), {}, now=0)


def failed(limiter: Limiter) -> None:
    limiter.failed(sent_now(limiter), {}, now=0)


def test_three_buckets_are_read_from_headers() -> None:
    limiter = Limiter(now=0)

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
        sent_now(limiter),
        now=0,
    )

    assert limiter.wait_s(tokens=1000, now=0) == 0
    limiter.take(1000, now=0)
    assert limiter.wait_s(tokens=1000, now=0) > 10
    assert limiter.reason == "tokens per minute"


def test_unreadable_headers_are_passed_over() -> None:
    limiter = Limiter(now=0)

    limiter.learn(
        {"x-ratelimit-limit-requests": "many", "x-ratelimit-limit-tokens": ""},
        sent_now(limiter),
        now=0,
    )

    assert limiter.wait_s(tokens=10**9, now=0) == 0


def test_of_a_users_limit_and_a_servers_the_lower_one_holds() -> None:
    for own, servers in ((30, 600), (600, 30)):
        limiter = Limiter(now=0)
        limiter.bound(own, None, now=0)
        headers = {"x-ratelimit-limit-requests": str(servers)}
        limiter.learn(headers, sent_now(limiter), now=0)

        assert limiter.least_s(90, 0, now=0) == pytest.approx(120, abs=2)


def test_what_an_answer_takes_beyond_its_reckoning_counts_for_the_users_limit() -> None:
    limiter = Limiter(now=0)
    limiter.bound(None, 600, now=0)
    place = limiter.take(tokens=10, now=0)

    limiter.charge(place, 1_210, now=0)

    assert limiter.wait_s(tokens=600, now=0) == pytest.approx(121)


def test_what_the_users_limit_is_charged_is_not_held_against_the_servers() -> None:
    limiter = Limiter(now=0)
    long = limiter.take(tokens=10, now=0)
    limiter.charge(long, 5_000, now=0)

    place = limiter.take(tokens=10, now=0)
    told = {"x-ratelimit-limit-tokens": "60000", "x-ratelimit-remaining-tokens": "100"}
    limiter.learn(told, place, now=0)

    assert limiter.wait_s(tokens=1_000, now=0) >= 0.9


def test_a_call_that_was_not_sent_takes_nothing_of_any_limit() -> None:
    limiter = Limiter(now=0)
    limiter.bound(60, 600, now=0)
    before = limiter.least_s(100, 1000, now=0)

    limiter.withdraw(limiter.take(tokens=30, now=0))

    assert limiter.least_s(100, 1000, now=0) == pytest.approx(before)


def refused_at(level: int, headers: dict[str, str]) -> float:
    """How long the next call waits after one was refused, where so many were left of
    60 a minute before that one was sent."""
    limiter = Limiter(now=0)
    told = {
        "x-ratelimit-limit-requests": "60",
        "x-ratelimit-remaining-requests": str(level),
    }
    limiter.learn(told, sent_now(limiter), now=0)

    limiter.refused(sent_now(limiter), headers, None, now=0)

    return limiter.servers_least_s(30, 0, now=0)


def test_only_headers_that_say_what_is_left_give_a_refused_call_back() -> None:
    told = {
        "x-ratelimit-limit-requests": "60",
        "x-ratelimit-remaining-requests": "20",
    }

    assert refused_at(20, {}) == pytest.approx(30 - 19)
    assert refused_at(20, told) == pytest.approx(30 - 20)


def test_however_often_calls_are_refused_the_next_one_waits_as_long() -> None:
    limiter = Limiter(now=0)
    told = {
        "x-ratelimit-limit-requests": "6",
        "x-ratelimit-remaining-requests": "0",
    }
    first, *others = (sent_now(limiter) for _ in range(16))
    limiter.answered(first, told, now=0)

    for other in others:
        limiter.refused(other, {}, None, now=0)

    assert limiter.wait_s(0, now=0) >= 10


def test_a_pause_holds_every_call_and_says_why() -> None:
    limiter = Limiter(now=0)

    limiter.pause(20, "Retry-After", now=0)
    limiter.pause(5, "a shorter one", now=0)

    assert 19 <= limiter.wait_s(tokens=1, now=1) <= 21
    assert 19 <= limiter.least_s(1, 1, now=1) <= 21
    assert limiter.reason == "Retry-After"
    assert limiter.wait_s(tokens=1, now=22) == 0


# The window.


def limiter_for(ceiling: int) -> Limiter:
    limiter = Limiter(now=0)
    limiter.widen(ceiling, now=0)
    return limiter


def test_the_window_starts_small_and_never_passes_the_ceiling() -> None:
    assert limiter_for(32).window == FIRST_WINDOW
    assert limiter_for(3).window == 3

    limiter = limiter_for(20)
    for _ in range(1000):
        answered(limiter)

    assert limiter.window == 20


def test_the_next_run_begins_with_the_window_of_the_last() -> None:
    limiter = limiter_for(64)
    for _ in range(30):
        answered(limiter)
    before = limiter.window

    limiter.widen(8, now=1)
    limiter.widen(64, now=2)

    assert limiter.window == before


def test_a_server_that_ailed_is_given_another_try_after_a_rest() -> None:
    limiter = limiter_for(64)
    for _ in range(1000):
        failed(limiter)

    limiter.widen(64, now=1)
    assert limiter.window == 1
    limiter.widen(64, now=REST_S + 1)
    assert limiter.window == FIRST_WINDOW


def test_how_many_calls_at_once_a_server_bore_is_tried_again_after_a_rest() -> None:
    limiter = limiter_for(64)
    first, *_, refused = [sent_now(limiter) for _ in range(4)]
    limiter.refused(refused, {}, 5.0, now=0)
    limiter.answered(first, {}, now=0)
    answered(limiter)  # in the place of the first, so three at once are borne

    limiter.widen(64, now=1)
    assert limiter.window == 3
    limiter.widen(64, now=REST_S + 1)
    assert limiter.window >= FIRST_WINDOW


def test_what_is_left_takes_as_long_as_the_pace_that_was_found_lets_it() -> None:
    limiter = limiter_for(64)
    for second in range(10):
        limiter.answered(limiter.take(0, now=second), {}, now=second)
    assert limiter.servers_least_s(100, 0, now=10) == 0

    limiter.refused(limiter.take(0, now=10), {}, 5.0, now=10)
    limiter.answered(limiter.take(0, now=16), {}, now=16)

    assert 99 < limiter.servers_least_s(100, 0, now=16) < 200


def test_until_the_first_refusal_each_answer_adds_one() -> None:
    limiter = limiter_for(64)
    before = limiter.window

    for _ in range(10):
        answered(limiter)

    assert limiter.window == before + 10


def test_a_stray_refusal_does_not_end_the_quick_start() -> None:
    limiter = limiter_for(256)
    before = limiter.window

    failed(limiter)
    for _ in range(3 * int(before)):
        answered(limiter)

    assert limiter.window > 3 * before


def test_after_a_refusal_a_windowful_of_answers_adds_one() -> None:
    limiter = limiter_for(64)
    for _ in range(int(limiter.window)):
        failed(limiter)
    before = limiter.window

    for _ in range(int(before)):
        answered(limiter)

    assert limiter.window == pytest.approx(before + 1, rel=0.1)


def test_a_windowful_of_refusals_halves_the_window() -> None:
    limiter = limiter_for(64)
    before = limiter.window

    for _ in range(int(before)):
        failed(limiter)

    assert limiter.window == pytest.approx(before / 2)


def test_the_window_never_falls_below_one() -> None:
    limiter = limiter_for(64)

    for _ in range(1000):
        failed(limiter)

    assert limiter.window == 1


def test_a_stray_failure_hardly_matters() -> None:
    limiter = limiter_for(100)
    for _ in range(500):
        answered(limiter)

    for number in range(1000):
        if number % 100:
            answered(limiter)
        else:
            failed(limiter)

    assert limiter.window > 90


def test_a_retry_after_of_0_is_as_if_nothing_was_said() -> None:
    waits = []
    for asked_s in (None, 0.0):
        limiter = Limiter(now=0, dice=random.Random(1))
        limiter.widen(64, now=0)
        places = [sent_now(limiter) for _ in range(16)]
        waits.append([limiter.refused(p, {}, asked_s, now=0) for p in places])

    assert waits[0] == waits[1]
