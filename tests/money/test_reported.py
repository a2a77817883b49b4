"""Reported costs: what a reply itself says that it cost."""

from __future__ import annotations

import math
from typing import Any

import pytest

from promptlab.money.reported import reported_usd

LITELLM = "x-litellm-response-cost"


@pytest.mark.parametrize(
    ("usage", "headers", "usd"),
    [
        pytest.param({"cost": 0.0012}, {}, 0.0012, id="OpenRouter"),
        pytest.param({"cost": 0, "cost_details": None}, {}, 0, id="a free variant"),
        pytest.param(
            {
                "cost": 0.0001,
                "is_byok": True,
                "cost_details": {"upstream_inference_cost": 0.002},
            },
            {},
            0.0021,
            id="OpenRouter with a key of one's own",
        ),
        pytest.param(
            {"cost": {"input_tokens_cost": 0.001, "total_cost": 0.006}},
            {},
            0.006,
            id="Perplexity",
        ),
        pytest.param({"cost_in_usd_ticks": 37_756_000}, {}, 0.0037756, id="xAI"),
        pytest.param(None, {LITELLM: "3.5e-05"}, 3.5e-05, id="LiteLLM"),
        pytest.param({"cost": 0.5}, {LITELLM: "0.1"}, 0.5, id="the provider's first"),
    ],
)
def test_what_a_reply_says_that_it_cost_is_read(
    usage: Any, headers: dict[str, str], usd: float
) -> None:
    assert reported_usd(usage, headers) == pytest.approx(usd)


@pytest.mark.parametrize(
    "cost", [None, True, "free", -1, math.nan, math.inf, 1e300, 10**400, [1], {}, ""]
)
def test_what_is_no_cost_is_unknown(cost: Any) -> None:
    assert reported_usd({"cost": cost, "cost_in_usd_ticks": cost}, {}) is None
    assert reported_usd({}, {LITELLM: str(cost)[:20]}) is None or cost == 10**400


def test_a_fee_without_what_the_provider_charges_is_no_cost() -> None:
    assert reported_usd({"cost": 0.0001, "is_byok": True}, {}) is None
