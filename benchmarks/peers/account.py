"""The account of a run by itself: what the ledger and a budget take, without a call.

Each call is reserved for, answered at once and entered, in groups of eight, fewer than
a busy run sends or writes at a time, so that this is rather too much than too little.
"""

import asyncio
import time

import promptlab as pl
from benchmarks import workload
from benchmarks.peers import Site
from promptlab.execution.accounting import RunAccounting
from promptlab.money.budget import BudgetLimits
from promptlab.money.prices import Prices
from promptlab.store.ledger import Ledger

GROUP = 8
BUDGET_USD = 1e6
PRICES = {"mock-*": {"input": 1, "output": 4}}
"""Made up; they only have to be looked up."""


def prepare(dataset: list[dict], site: Site) -> list[pl.Request]:
    """The requests of the grid: to make them is not the account's work."""
    return [pl.Request(site.base_url, body) for _, body in workload.trials(dataset)]


def enter(requests: list[pl.Request], site: Site) -> None:
    response = pl.Response(
        output="",
        finish_reason="stop",
        usage=pl.Usage(120, 0, 130, 0, 0),
        latency_s=0.05,
        model="mock-1",
        service_tier="default",
        received_s=time.time(),
        request_id="req_0123456789abcdef0123456789abcdef",
    )

    async def main() -> None:
        ledger = Ledger()
        account = RunAccounting(
            Prices.of(PRICES),
            ledger,
            BudgetLimits(usd=BUDGET_USD),
            project={},
            experiment="bench",
            run="20261124-120000-bench-0123",
        )

        async def make(request: pl.Request) -> None:
            async with account.call(request, 1) as call:
                await call.sent()
                call.answered(response)

        for start in range(0, len(requests), GROUP):
            await asyncio.gather(*map(make, requests[start : start + GROUP]))
            account.write()
        account.close()
        ledger.close()

    asyncio.run(main())
