"""promptlab, used as a notebook would use it."""

from concurrent.futures import ProcessPoolExecutor
from importlib import import_module
from itertools import repeat
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from typing import Any

import pandas as pd

import promptlab as pl
from benchmarks import workload
from benchmarks.peers import API_KEY, Site
from benchmarks.peers.account import BUDGET_USD, PRICES


def grid(
    dataset: list[dict], site: Site, *, progress: bool | str = False, **options: Any
) -> pd.DataFrame:
    options = _options(site) | {"progress": progress} | options
    return _experiment(dataset).run(**options).table


def long(dataset: list[dict], site: Site) -> pd.DataFrame:
    """As `grid`, with answers that may be ten times as long."""
    return _experiment(dataset, longer=10).run(**_options(site)).table


def two_runs(dataset: list[dict], site: Site) -> pd.DataFrame:
    """As `grid`, each half in a run of its own, at the same time."""
    halves = [_experiment(half) for half in _halves(dataset)]
    handles = [half.start(**_options(site)) for half in halves]
    return pd.concat([handle.result().table for handle in handles])


def two_processes(dataset: list[dict], site: Site) -> pd.DataFrame:
    """As `grid`, each half in a process of its own, at the same time."""
    spawn, halves = get_context("spawn"), _halves(dataset)
    ready = spawn.Barrier(len(halves))
    with ProcessPoolExecutor(len(halves), spawn, _begin, (ready,)) as processes:
        return pd.concat(processes.map(grid, halves, repeat(site)))


def _begin(ready: Barrier) -> None:
    """Imports what a run needs, and waits until the other process has, too."""
    for package in ("openai", "aiohttp", "pyarrow"):
        import_module(package)
    ready.wait()


def _halves(dataset: list[dict]) -> list[list[dict]]:
    return [dataset[0::2], dataset[1::2]] if len(dataset) > 1 else [dataset]


def guarded(dataset: list[dict], site: Site) -> pd.DataFrame:
    """The grid with a budget in dollars."""
    return grid(dataset, site, budget_usd=BUDGET_USD, prices=PRICES)


def plan(dataset: list[dict], site: Site) -> object:
    return _experiment(dataset).plan(base_url=site.base_url, cache=site.cache)


def _options(site: Site) -> dict[str, object]:
    return {
        "base_url": site.base_url,
        "api_key": API_KEY,
        "max_concurrency": site.concurrency,
        "cache": site.cache,
        "progress": False,
    }


def _experiment(dataset: list[dict], longer: int = 1) -> pl.Experiment:
    return pl.Experiment(
        "bench",
        grid=pl.Grid(
            model=workload.MODELS,
            prompt=workload.PROMPTS,
            system=workload.SYSTEMS,
            temperature=workload.TEMPERATURES,
            max_tokens=[longer * tokens for tokens in workload.MAX_TOKENS],
        ),
        dataset=dataset,
        repeats=1,
    )
