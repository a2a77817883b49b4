"""The meter: what the calls of a run have taken so far."""

from __future__ import annotations

from promptlab.money.prices import Prices
from promptlab.money.usage import Terms, when
from promptlab.results.record import Response
from promptlab.spec.request import Request


class Meter:
    """Counts answered calls, their tokens and their cost."""

    def __init__(self, prices: Prices) -> None:
        self.calls = 0
        self.input_tokens = 0
        self.output_tokens = 0
        self.billed_usd = 0.0
        """NaN once a call has no known price."""
        self._prices = prices

    def add(self, request: Request, response: Response) -> None:
        """Counts a call that was answered."""
        usage = response.usage
        terms = Terms(
            request.base_url,
            request.model,
            response.model,
            response.service_tier,
            *when(response.received_s),
        )
        self.calls += 1
        self.input_tokens += usage.input_tokens or 0
        self.output_tokens += usage.output_tokens or 0
        self.billed_usd += self._prices.cost_usd(terms, usage)
