"""Retries: every code that providers use, what it means, and how long to wait."""

from __future__ import annotations

import random

import pytest
from fakes.client import refusal

from promptlab.errors import Failure
from promptlab.execution.scheduling.retries import Backoff, Verdict, judge

QUOTA = "insufficient_quota"


@pytest.mark.parametrize(
    ("failure", "verdict"),
    [
        (refusal(429, "rate_limit_exceeded", type="requests"), Verdict.REPEAT),
        (refusal(429, "rate_limit_exceeded", type="tokens"), Verdict.REPEAT),
        (refusal(429, "slow_down"), Verdict.REPEAT),
        (refusal(429), Verdict.REPEAT),
        (refusal(429, "429", type="throttling_error"), Verdict.REPEAT),  # litellm
        (refusal(429, "insufficient_quota", type=QUOTA), Verdict.STOP),
        (refusal(429, "credit_balance_exhausted", type=QUOTA), Verdict.STOP),
        (refusal(429, "organization_spend_limit_exceeded", type=QUOTA), Verdict.STOP),
        (refusal(429, "project_spend_limit_exceeded", type=QUOTA), Verdict.STOP),
        (refusal(429, "organization_usage_limit_exceeded", type=QUOTA), Verdict.STOP),
        (refusal(429, "billing_hard_limit_reached"), Verdict.STOP),
        (refusal(429, "a_code_of_tomorrow", type=QUOTA), Verdict.STOP),
        (refusal(429, message="You exceeded your current quota, …"), Verdict.STOP),
        (refusal(429, QUOTA, retry_after_s=9.0), Verdict.REPEAT),  # Azure, a period
        (refusal(429, QUOTA, retry_after_s=0.0), Verdict.STOP),  # says no time
        (refusal(403, message="… used all available credits"), Verdict.STOP),  # xAI
        (refusal(400, message="Your credit balance is too low …"), Verdict.STOP),
        (refusal(400, message="say: check your plan and billing"), Verdict.FAIL),
        (refusal(400, "budget_exceeded"), Verdict.STOP),  # LiteLLM
        (refusal(401, "invalid_api_key"), Verdict.STOP),
        (refusal(401), Verdict.STOP),
        (refusal(402), Verdict.STOP),  # Together: spend limit
        (refusal(403, "unsupported_country_region_territory"), Verdict.STOP),
        (refusal(403, message="the context is too long"), Verdict.FAIL),  # Together
        (refusal(403, message='flagged for "violence"'), Verdict.FAIL),  # OpenRouter
        (refusal(403, "content_filter"), Verdict.FAIL),
        (refusal(404, "model_not_found"), Verdict.FAIL_MODEL),
        (refusal(400, "unsupported_parameter"), Verdict.FAIL_VARIANT),
        (refusal(400, "unsupported_value"), Verdict.FAIL_VARIANT),
        (refusal(400, "context_length_exceeded"), Verdict.FAIL),
        (refusal(400, "content_filter"), Verdict.FAIL),  # Azure
        (refusal(400, "invalid_prompt"), Verdict.FAIL),
        (refusal(400, "400"), Verdict.FAIL),  # litellm
        (refusal(422), Verdict.FAIL),  # FastAPI servers
        (refusal(413), Verdict.FAIL),
        (refusal(301), Verdict.FAIL),
        (refusal(408), Verdict.REPEAT),
        (refusal(409), Verdict.REPEAT),
        (refusal(500), Verdict.REPEAT),
        (refusal(501), Verdict.FAIL),
        (refusal(502), Verdict.REPEAT),
        (refusal(503), Verdict.REPEAT),
        (refusal(504), Verdict.REPEAT),
        (refusal(529), Verdict.REPEAT),
        (refusal(500, should_retry=False), Verdict.FAIL),
        (refusal(409, should_retry=False), Verdict.FAIL),
        (Failure(kind="connection", message="reset by peer"), Verdict.REPEAT),
        (Failure(kind="timeout", message="no answer in time"), Verdict.REPEAT),
        (Failure(kind="broken_off", message="gone"), Verdict.REPEAT),
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
    assert judge(failure) is verdict


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
