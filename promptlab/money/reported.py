"""Reported costs: what a reply itself says that it cost."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

SOURCE = "the reply"
"""Whose word such a cost is, where the source of a price would stand."""

LITELLM = "x-litellm-response-cost"

TICKS = 10**10
"""What xAI counts in, to the US dollar."""

LARGEST_USD = 1e9
"""No call costs as much; a number from here on is a mistake."""


def reported_usd(block: Any, headers: Mapping[str, str]) -> float | None:
    """What a reply says that it cost, in US dollars, by its usage (OpenRouter,
    Perplexity, xAI) or its headers (LiteLLM); None if it does not say."""
    usage = block if isinstance(block, dict) else {}
    cost = usage.get("cost")
    if isinstance(cost, dict):
        cost = cost.get("total_cost")
    upstream = 0.0
    if usage.get("is_byok") is True:  # the cost is OpenRouter's fee alone
        details = usage.get("cost_details")
        of = details if isinstance(details, dict) else {}
        upstream = _amount(of.get("upstream_inference_cost"))
    for usd in (
        _amount(cost) + upstream,
        _amount(usage.get("cost_in_usd_ticks")) / TICKS,
        _amount(headers.get(LITELLM)),
    ):
        if 0 <= usd < LARGEST_USD:
            return usd
    return None


def _amount(value: Any) -> float:
    """A number; NaN for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return math.nan
    try:
        return float(value)
    except (ValueError, OverflowError):
        return math.nan
