"""promptlab: prompt experiments for people who live in notebooks.

    promptlab/
    ├── errors.py      what we raise, drawn as a tree
    ├── spec/          WHAT TO RUN       prompts, datasets, grids, requests, their keys
    ├── money/         WHAT IT COSTS     usage, prices
    ├── results/       WHAT CAME BACK    records, the table, exports
    ├── stats/         HOW SURE          intervals, designs
    ├── execution/     DOING IT          client, cache, limits, retries, runner
    ├── notebook/      LOOKING AT IT     comparison, rating, plots, panels
    ├── offline/       A STAND-IN MODEL  a server on this machine, to try without a key
    ├── secret.py      API keys, out of sight of tracebacks and reprs
    ├── home.py        paths, and where a project's state lives: .promptlab/
    ├── rows.py        what a file of rows holds: CSV, Excel, JSON, Parquet
    ├── files.py       the user's files: config.yaml, prompts, datasets
    └── cli/           python -m promptlab ...

Imports point one way: errors ← spec ← money ← results ← execution ← cli, and errors,
spec, results ← files ← cli; `notebook` sees results and stats, and runs an experiment
through its own methods; `stats` and `offline` import nothing of ours. Names are loaded
when they are first used, so that importing the package does nothing and takes no time.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from promptlab.errors import PromptlabError, PromptlabWarning, SpecError
    from promptlab.execution.cache import ResponseCache
    from promptlab.execution.client import Client, OpenAIClient, SDKClient
    from promptlab.execution.forecast import Forecast
    from promptlab.execution.login import login, logout
    from promptlab.execution.plan import Plan
    from promptlab.execution.reconcile import reconcile
    from promptlab.execution.records import find_run, recorded_runs
    from promptlab.execution.runner import arun, run, start
    from promptlab.execution.usage import budgets, headroom, set_budget, usage
    from promptlab.files import load_experiment
    from promptlab.money.price import Price
    from promptlab.money.price_table import prices
    from promptlab.money.prices import Prices
    from promptlab.money.usage import Usage
    from promptlab.notebook.compare.compare import compare
    from promptlab.notebook.compare.marks import marks
    from promptlab.notebook.explore.explore import explore
    from promptlab.notebook.panel.panel import panel
    from promptlab.notebook.panel.playground import playground
    from promptlab.notebook.plots import (
        plot_cost,
        plot_heatmap,
        plot_latency,
        plot_lengths,
        plot_tokens,
        plot_usage,
    )
    from promptlab.notebook.rate.rate import rate
    from promptlab.notebook.rate.votes import votes
    from promptlab.offline import OfflineServer
    from promptlab.results.exports import read_results
    from promptlab.results.record import Failure, Record, Response
    from promptlab.results.results import Results
    from promptlab.spec.dataset import Case, Dataset
    from promptlab.spec.experiment import Experiment, Trial
    from promptlab.spec.grid import Grid, Variant
    from promptlab.spec.prompt import Prompt
    from promptlab.spec.request import Request

__version__ = "0.1.0"

_HOMES = {
    "Case": "spec.dataset",
    "Client": "execution.client",
    "Dataset": "spec.dataset",
    "Experiment": "spec.experiment",
    "Failure": "results.record",
    "Forecast": "execution.forecast",
    "Grid": "spec.grid",
    "OfflineServer": "offline",
    "OpenAIClient": "execution.client",
    "Plan": "execution.plan",
    "Price": "money.price",
    "Prices": "money.prices",
    "Prompt": "spec.prompt",
    "PromptlabError": "errors",
    "PromptlabWarning": "errors",
    "Record": "results.record",
    "Request": "spec.request",
    "Response": "results.record",
    "ResponseCache": "execution.cache",
    "Results": "results.results",
    "SDKClient": "execution.client",
    "SpecError": "errors",
    "Trial": "spec.experiment",
    "Usage": "money.usage",
    "Variant": "spec.grid",
    "arun": "execution.runner",
    "budgets": "execution.usage",
    "compare": "notebook.compare.compare",
    "explore": "notebook.explore.explore",
    "find_run": "execution.records",
    "headroom": "execution.usage",
    "load_experiment": "files",
    "login": "execution.login",
    "logout": "execution.login",
    "marks": "notebook.compare.marks",
    "panel": "notebook.panel.panel",
    "playground": "notebook.panel.playground",
    "plot_cost": "notebook.plots",
    "plot_heatmap": "notebook.plots",
    "plot_latency": "notebook.plots",
    "plot_lengths": "notebook.plots",
    "plot_tokens": "notebook.plots",
    "plot_usage": "notebook.plots",
    "prices": "money.price_table",
    "rate": "notebook.rate.rate",
    "read_results": "results.exports",
    "reconcile": "execution.reconcile",
    "recorded_runs": "execution.records",
    "run": "execution.runner",
    "set_budget": "execution.usage",
    "start": "execution.runner",
    "usage": "execution.usage",
    "votes": "notebook.rate.votes",
}

__all__ = [
    "Case",
    "Client",
    "Dataset",
    "Experiment",
    "Failure",
    "Forecast",
    "Grid",
    "OfflineServer",
    "OpenAIClient",
    "Plan",
    "Price",
    "Prices",
    "Prompt",
    "PromptlabError",
    "PromptlabWarning",
    "Record",
    "Request",
    "Response",
    "ResponseCache",
    "Results",
    "SDKClient",
    "SpecError",
    "Trial",
    "Usage",
    "Variant",
    "__version__",
    "arun",
    "budgets",
    "compare",
    "explore",
    "find_run",
    "headroom",
    "load_experiment",
    "login",
    "logout",
    "marks",
    "panel",
    "playground",
    "plot_cost",
    "plot_heatmap",
    "plot_latency",
    "plot_lengths",
    "plot_tokens",
    "plot_usage",
    "prices",
    "rate",
    "read_results",
    "reconcile",
    "recorded_runs",
    "run",
    "set_budget",
    "start",
    "usage",
    "votes",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
