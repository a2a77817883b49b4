"""promptlab: prompt experiments for people who live in notebooks.

    promptlab/
    ├── experiment.py  Experiment: a definition that can be run, planned, forecast
    ├── errors.py      what we raise, drawn as a tree; Failure
    ├── formats.py     numbers as text: money, tokens, seconds, shares
    ├── paths.py       paths as people write them
    ├── secret.py      API keys, out of sight of tracebacks and reprs
    ├── spec/          WHAT TO RUN         prompts, datasets, grids, requests, keys
    ├── money/         WHAT IT COSTS       prices, budgets, counts of tokens
    ├── models/        TALKING TO A MODEL  clients, replies, failures, keys and logins
    ├── store/         ON DISK             answers; one database of calls, runs, marks
    ├── results/       WHAT CAME BACK      records, the table, costs, exports, past runs
    ├── analysis/      WHICH IS BETTER     leaderboard, effects, agreement, rankings
    ├── execution/     DOING IT            options, calls, the runner, scheduling
    ├── planning/      BEFORE THE RUN      plans, forecasts, pilots, power
    ├── embeddings/    TEXTS AS VECTORS    asked in chunks, kept by text
    ├── scoring/       HOW GOOD            scorers of text and JSON, checks of a case
    ├── scorers.py     the named scorers, and `scorer` for functions of your own
    ├── render/        AS TEXT AND HTML    cards of experiments, plans, results
    ├── stats/         HOW SURE            intervals, comparisons, effects, power, races
    ├── notebook/      LOOKING AT IT       compare, rate, explore, panel, plots
    ├── offline/       A STAND-IN MODEL    a server to try without a key
    ├── files/         THE USER'S FILES    config.yaml, prompts, datasets
    ├── testing.py     FakeClient, for tests of your own
    └── cli/           python -m promptlab ...

Imports point one way: errors, formats, paths, secret ← files ← spec ← money ← models ←
store ← results ← analysis ← execution ← planning ← embeddings ← scoring ← scorers ←
experiment ← files/config.py ← cli; `notebook` sees what is below planning, and
`experiment`;
`stats` and `offline` import nothing of ours, and are seen from where they are needed.
Names are loaded when they are first used, so that importing the package does nothing
and takes no time.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from promptlab.analysis.agreement import agreement as agreement
    from promptlab.analysis.effects import effects as effects
    from promptlab.analysis.leaderboard import leaderboard as leaderboard
    from promptlab.analysis.pair import compare_pair as compare_pair
    from promptlab.analysis.pareto import pareto as pareto
    from promptlab.analysis.ranking import ranking as ranking
    from promptlab.analysis.sensitivity import sensitivity as sensitivity
    from promptlab.analysis.stability import stability as stability
    from promptlab.embeddings.embed import aembed as aembed
    from promptlab.embeddings.embed import embed as embed
    from promptlab.errors import Failure as Failure
    from promptlab.errors import PromptlabError as PromptlabError
    from promptlab.errors import PromptlabWarning as PromptlabWarning
    from promptlab.errors import SpecError as SpecError
    from promptlab.execution.engine import Engine as Engine
    from promptlab.execution.hooks import Event as Event
    from promptlab.execution.hooks import Reply as Reply
    from promptlab.execution.options import RunOptions as RunOptions
    from promptlab.experiment import Experiment as Experiment
    from promptlab.files.config import load_experiment as load_experiment
    from promptlab.models.client import Client as Client
    from promptlab.models.login import login as login
    from promptlab.models.login import logout as logout
    from promptlab.models.openai import OpenAIClient as OpenAIClient
    from promptlab.models.sdk import SDKClient as SDKClient
    from promptlab.money.price import Price as Price
    from promptlab.money.price_table import prices as prices
    from promptlab.money.prices import Prices as Prices
    from promptlab.notebook.compare.compare import compare as compare
    from promptlab.notebook.compare.marks import marks as marks
    from promptlab.notebook.explore.explore import explore as explore
    from promptlab.notebook.panel.panel import panel as panel
    from promptlab.notebook.panel.playground import playground as playground
    from promptlab.notebook.plots import plot_cost as plot_cost
    from promptlab.notebook.plots import plot_effects as plot_effects
    from promptlab.notebook.plots import plot_flips as plot_flips
    from promptlab.notebook.plots import plot_heatmap as plot_heatmap
    from promptlab.notebook.plots import plot_interaction as plot_interaction
    from promptlab.notebook.plots import plot_latency as plot_latency
    from promptlab.notebook.plots import plot_leaderboard as plot_leaderboard
    from promptlab.notebook.plots import plot_lengths as plot_lengths
    from promptlab.notebook.plots import plot_pareto as plot_pareto
    from promptlab.notebook.plots import plot_stability as plot_stability
    from promptlab.notebook.plots import plot_tokens as plot_tokens
    from promptlab.notebook.plots import plot_usage as plot_usage
    from promptlab.notebook.rate.rate import rate as rate
    from promptlab.notebook.rate.votes import votes as votes
    from promptlab.offline import OfflineServer as OfflineServer
    from promptlab.planning.forecast import Forecast as Forecast
    from promptlab.planning.plan import Plan as Plan
    from promptlab.planning.power import Power as Power
    from promptlab.results.exports import read_results as read_results
    from promptlab.results.record import Record as Record
    from promptlab.results.record import Score as Score
    from promptlab.results.results import Results as Results
    from promptlab.results.runs import find_run as find_run
    from promptlab.results.runs import recorded_runs as recorded_runs
    from promptlab.scoring.scorer import Scorer as Scorer
    from promptlab.spec.content import audio as audio
    from promptlab.spec.content import file as file
    from promptlab.spec.content import image as image
    from promptlab.spec.dataset import Case as Case
    from promptlab.spec.dataset import Dataset as Dataset
    from promptlab.spec.grid import Grid as Grid
    from promptlab.spec.grid import Variant as Variant
    from promptlab.spec.prompt import Prompt as Prompt
    from promptlab.spec.request import Request as Request
    from promptlab.spec.response import Response as Response
    from promptlab.spec.tools import ToolCall as ToolCall
    from promptlab.spec.trial import Trial as Trial
    from promptlab.spec.usage import Usage as Usage
    from promptlab.spec.wordings import Wordings as Wordings
    from promptlab.store.cache import ResponseCache as ResponseCache
    from promptlab.store.explain import explain as explain
    from promptlab.store.reconcile import reconcile as reconcile
    from promptlab.store.usage import budgets as budgets
    from promptlab.store.usage import headroom as headroom
    from promptlab.store.usage import set_budget as set_budget
    from promptlab.store.usage import usage as usage

__version__ = "0.1.0"

_HOMES = {  # each public name, and the module that it is loaded from
    "Case": "spec.dataset",
    "Client": "models.client",
    "Dataset": "spec.dataset",
    "Engine": "execution.engine",
    "Event": "execution.hooks",
    "Experiment": "experiment",
    "Failure": "errors",
    "Forecast": "planning.forecast",
    "Grid": "spec.grid",
    "OfflineServer": "offline",
    "OpenAIClient": "models.openai",
    "Plan": "planning.plan",
    "Power": "planning.power",
    "Price": "money.price",
    "Prices": "money.prices",
    "Prompt": "spec.prompt",
    "PromptlabError": "errors",
    "PromptlabWarning": "errors",
    "Record": "results.record",
    "Reply": "execution.hooks",
    "Request": "spec.request",
    "Response": "spec.response",
    "ResponseCache": "store.cache",
    "Results": "results.results",
    "RunOptions": "execution.options",
    "SDKClient": "models.sdk",
    "Score": "results.record",
    "Scorer": "scoring.scorer",
    "SpecError": "errors",
    "ToolCall": "spec.tools",
    "Trial": "spec.trial",
    "Usage": "spec.usage",
    "Variant": "spec.grid",
    "Wordings": "spec.wordings",
    "aembed": "embeddings.embed",
    "agreement": "analysis.agreement",
    "audio": "spec.content",
    "budgets": "store.usage",
    "compare": "notebook.compare.compare",
    "compare_pair": "analysis.pair",
    "effects": "analysis.effects",
    "embed": "embeddings.embed",
    "explain": "store.explain",
    "explore": "notebook.explore.explore",
    "file": "spec.content",
    "find_run": "results.runs",
    "headroom": "store.usage",
    "image": "spec.content",
    "leaderboard": "analysis.leaderboard",
    "load_experiment": "files.config",
    "login": "models.login",
    "logout": "models.login",
    "marks": "notebook.compare.marks",
    "panel": "notebook.panel.panel",
    "pareto": "analysis.pareto",
    "playground": "notebook.panel.playground",
    "plot_cost": "notebook.plots",
    "plot_effects": "notebook.plots",
    "plot_flips": "notebook.plots",
    "plot_heatmap": "notebook.plots",
    "plot_interaction": "notebook.plots",
    "plot_latency": "notebook.plots",
    "plot_leaderboard": "notebook.plots",
    "plot_lengths": "notebook.plots",
    "plot_pareto": "notebook.plots",
    "plot_stability": "notebook.plots",
    "plot_tokens": "notebook.plots",
    "plot_usage": "notebook.plots",
    "prices": "money.price_table",
    "ranking": "analysis.ranking",
    "rate": "notebook.rate.rate",
    "read_results": "results.exports",
    "reconcile": "store.reconcile",
    "recorded_runs": "results.runs",
    "sensitivity": "analysis.sensitivity",
    "set_budget": "store.usage",
    "stability": "analysis.stability",
    "usage": "store.usage",
    "votes": "notebook.rate.votes",
}

__all__ = sorted([*_HOMES, "__version__"])


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
