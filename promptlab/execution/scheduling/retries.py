"""Retries: which failures to repeat, after how long, and which end more than a call."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from enum import Enum

from promptlab.errors import Failure

QUOTA = frozenset(
    {
        "insufficient_quota",
        "credit_balance_exhausted",
        "organization_spend_limit_exceeded",
        "project_spend_limit_exceeded",
        "organization_usage_limit_exceeded",
        "billing_hard_limit_reached",
        "budget_exceeded",  # LiteLLM
    }
)
"""Codes and types of a refusal that no waiting mends."""

OUT_OF_QUOTA = re.compile(
    r"exceeded your current quota|check your plan and billing"
    r"|used all available credits|insufficient (?:balance|credits)",
    re.IGNORECASE,
)
NO_CREDIT = "Your credit balance is too low"
"""What Anthropic says with status 400."""

A_MINUTE = re.compile(r"per(?:second|minute)", re.IGNORECASE)
A_DAY = re.compile(r"perday", re.IGNORECASE)
"""What Google's quotas are named by."""

OF_ONE = re.compile(
    r"context|too (?:long|large|many tokens)"
    r"|flagged|moderation|guardrail|content[ _-]?(?:filter|policy)",
    re.IGNORECASE,
)
"""What a 403 says that is about one call: it is too long, or its text is refused."""


class Verdict(Enum):
    """What a failure means for what else is to be asked."""

    RETRY = "the call may succeed when it is made again"
    FAIL = "the trial fails; the others are not concerned"
    FAIL_VARIANT = "every trial of the variant would be refused the same way"
    FAIL_MODEL = "every trial of the model would be refused the same way"
    STOP = "every further call would be refused"


def classify(failure: Failure, *, answered: bool = False) -> Verdict:
    """What to do after a failure: by its status first, then by code and message. A 403
    is about that call alone where others are `answered`, or where it says so."""
    status = failure.status
    if status is None or status < 300:
        return Verdict.RETRY if failure.kind in REPEATABLE else Verdict.FAIL
    if _out_of_quota(failure):
        return Verdict.STOP
    if status in (401, 402):
        return Verdict.STOP
    if status == 403:
        said = f"{failure.code} {failure.type} {failure.message}"
        return Verdict.FAIL if answered or OF_ONE.search(said) else Verdict.STOP
    if status == 404:
        return Verdict.FAIL_MODEL
    if failure.code in ("unsupported_parameter", "unsupported_value"):
        return Verdict.FAIL_VARIANT
    if status in (408, 409, 425, 429) or (status >= 500 and status not in (501, 505)):
        return Verdict.FAIL if failure.should_retry is False else Verdict.RETRY
    return Verdict.FAIL


REPEATABLE = ("connection", "timeout", "unreachable", "broken_off")


def _out_of_quota(failure: Failure) -> bool:
    """Whether no waiting helps. A reply that says when to come back is about a rate,
    unless the quota is that of a day."""
    code, named = failure.code or "", {failure.code, failure.type} & QUOTA
    if failure.status == 400:
        return bool(named) or failure.message.startswith(NO_CREDIT)
    if failure.status not in (403, 429):
        return False
    if A_DAY.search(code):
        return True
    if failure.retry_after_s or A_MINUTE.search(code):
        return False
    return bool(named or OUT_OF_QUOTA.search(failure.message))


@dataclass(frozen=True)
class Backoff:
    """How long to wait before a call is made again, if the server does not say.

    Full jitter (Brooker, "Exponential Backoff And Jitter", AWS, 2015): a random time
    below a bound that grows with every attempt. It starts low, as most failures are
    single ones, and grows fast, as those that stay may stay for a minute.
    """

    first_s: float = 0.25
    growth: float = 4.0
    longest_s: float = 8.0

    def wait_s(self, attempt: int, dice: random.Random) -> float:
        """Seconds to wait after that failed attempt (1 is the first; 0, a
        shorter while, is for a call that was only refused)."""
        bound_s = self.first_s * self.growth ** (attempt - 1)
        return dice.uniform(0, min(self.longest_s, bound_s))
