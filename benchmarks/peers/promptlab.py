"""promptlab, used as a notebook would use it."""

from typing import Any

import pandas as pd

import promptlab as pl
from benchmarks import workload
from benchmarks.peers import API_KEY, Site
from benchmarks.peers.account import BUDGET_USD, PRICES


def grid(
    dataset: list[dict], site: Site, *, progress: bool | str = False, **options: Any
) -> pd.DataFrame:
    results = _experiment(dataset).run(
        base_url=site.base_url,
        api_key=API_KEY,
        max_concurrency=site.concurrency,
        cache=site.cache,
        progress=progress,
        **options,
    )
    return results.table


def guarded(dataset: list[dict], site: Site) -> pd.DataFrame:
    """The grid with a budget in dollars."""
    return grid(dataset, site, budget_usd=BUDGET_USD, prices=PRICES)


def plan(dataset: list[dict], site: Site) -> object:
    return _experiment(dataset).plan(base_url=site.base_url, cache=site.cache)


def _experiment(dataset: list[dict]) -> pl.Experiment:
    return pl.Experiment(
        "bench",
        grid=pl.Grid(
            model=workload.MODELS,
            prompt=workload.PROMPTS,
            system=workload.SYSTEMS,
            temperature=workload.TEMPERATURES,
            max_tokens=workload.MAX_TOKENS,
        ),
        dataset=dataset,
        repeats=1,
    )
