"""Small experiments to run, and what they gave."""

from __future__ import annotations

from typing import Any

import pandas as pd

import promptlab as pl


def capitals(
    cities: int = 4, *, repeats: int = 1, name: str = "capitals", **grid: Any
) -> pl.Experiment:
    """An experiment of two temperatures, or as `grid` says, on some cities."""
    parameters: dict[str, Any] = {
        "model": ["fake"],
        "prompt": ["Where is {{city}}?"],
        "temperature": [0, 1],
    }
    return pl.Experiment(
        name,
        grid=pl.Grid(**{**parameters, **grid}),
        dataset=[{"city": f"city {number}"} for number in range(cities)],
        repeats=repeats,
    )


def outcomes(results: pl.Results) -> pd.DataFrame:
    """The table without who paid: what must not depend on how often a run was cut."""
    return results.table.drop(columns=["billed_usd", "cached"])
