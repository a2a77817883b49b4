"""Retries: every code that providers use, what it means, and how long to wait."""

from __future__ import annotations

import random

import pytest

from promptlab.errors import Failure
from promptlab.execution.scheduling.retries import Backoff, Verdict, classify
from promptlab.testing import failure

QUOTA = "insufficient_quota"


@pytest.mark.parametrize(
    ("failure", "verdict"),
    [
        (failure(429, "rate_limit_exceeded", type="requests"), Verdict.RETRY),
        (failure(429, "rate_limit_exceeded", type="tokens"), Verdict.RETRY),
        (failure(429, "slow_down"), Verdict.RETRY),
        (failure(429), Verdict.RETRY),
        (failure(429, "429", type="throttling_error"), Verdict.RETRY),  # litellm
        (failure(429, "insufficient_quota", type=QUOTA), Verdict.STOP),
        (failure(429, "credit_balance_exhausted", type=QUOTA), Verdict.STOP),
        (failure(429, "organization_spend_limit_exceeded", type=QUOTA), Verdict.STOP),
        (failure(429, "project_spend_limit_exceeded", type=QUOTA), Verdict.STOP),
        (failure(429, "organization_usage_limit_exceeded", type=QUOTA), Verdict.STOP),
        (failure(429, "billing_hard_limit_reached"), Verdict.STOP),
        (failure(429, "a_code_of_tomorrow", type=QUOTA), Verdict.STOP),
        (failure(429, message="You exceeded your current quota, …"), Verdict.STOP),
        (failure(429, QUOTA, retry_after_s=9.0), Verdict.RETRY),  # Azure, a period
        (failure(429, QUOTA, retry_after_s=0.0), Verdict.STOP),  # says no time
        (failure(403, message="… used all available credits"), Verdict.STOP),  # xAI
        (failure(400, message="Your credit balance is too low …"), Verdict.STOP),
        (failure(400, message="say: check your plan and billing"), Verdict.FAIL),
        (failure(400, "budget_exceeded"), Verdict.STOP),  # LiteLLM
        (failure(401, "invalid_api_key"), Verdict.STOP),
        (failure(401), Verdict.STOP),
        (failure(402), Verdict.STOP),  # Together: spend limit
        (failure(403, "unsupported_country_region_territory"), Verdict.STOP),
        (failure(403, message="the context is too long"), Verdict.FAIL),  # Together
        (failure(403, message='flagged for "violence"'), Verdict.FAIL),  # OpenRouter
        (failure(403, "content_filter"), Verdict.FAIL),
        (failure(404, "model_not_found"), Verdict.FAIL_MODEL),
        (failure(400, "unsupported_parameter"), Verdict.FAIL_VARIANT),
        (failure(400, "unsupported_value"), Verdict.FAIL_VARIANT),
        (failure(400, "context_length_exceeded"), Verdict.FAIL),
        (failure(400, "content_filter"), Verdict.FAIL),  # Azure
        (failure(400, "invalid_prompt"), Verdict.FAIL),
        (failure(400, "400"), Verdict.FAIL),  # litellm
        (failure(422), Verdict.FAIL),  # FastAPI servers
        (failure(413), Verdict.FAIL),
        (failure(301), Verdict.FAIL),
        (failure(408), Verdict.RETRY),
        (failure(409), Verdict.RETRY),
        (failure(500), Verdict.RETRY),
        (failure(501), Verdict.FAIL),
        (failure(502), Verdict.RETRY),
        (failure(503), Verdict.RETRY),
        (failure(504), Verdict.RETRY),
        (failure(529), Verdict.RETRY),
        (failure(500, should_retry=False), Verdict.FAIL),
        (failure(409, should_retry=False), Verdict.FAIL),
        (Failure(kind="connection", message="reset by peer"), Verdict.RETRY),
        (Failure(kind="timeout", message="no answer in time"), Verdict.RETRY),
        (Failure(kind="broken_off", message="gone"), Verdict.RETRY),
        (Failure(kind="invalid_reply", message="a web page"), Verdict.FAIL),
        (Failure(kind="ValueError", message="a bug"), Verdict.FAIL),
    ],
    ids=lambda value: (
        value.name
        if isinstance(value, Verdict)
        else f"{value.status or value.kind} {value.code or value.type or ''}".strip()
    ),
)
def test_a_failure_is_judged_by_status_then_code_then_message(
    failure: Failure, verdict: Verdict
) -> None:
    assert classify(failure) is verdict


@pytest.mark.parametrize("attempt", range(1, 12))
def test_backoff_is_random_below_a_bound_that_grows(attempt: int) -> None:
    backoff = Backoff(first_s=0.25, growth=4, longest_s=60)
    dice, bound = random.Random(attempt), min(60, 0.25 * 4 ** (attempt - 1))

    waits = [backoff.wait_s(attempt, dice) for _ in range(1000)]

    assert 0 <= min(waits) < 0.05 * bound
    assert 0.95 * bound < max(waits) <= bound


def test_no_backoff_is_longer_than_eight_seconds() -> None:
    dice = random.Random(1)

    waits = [Backoff().wait_s(attempt, dice) for attempt in range(1, 500)]

    assert 7.5 < max(waits) <= 8
